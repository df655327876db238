//! A reply while it is written: with it go the connection's turn, and its bytes, which count for as
//! long as they have not gone.

use super::error::ApiError;
use super::flow::{Flow, Load, NoRoom, count};
use super::link::Turn;
use actix_http::Response;
use actix_web::ResponseError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use clawlink_protocol::error::ErrorCode;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes of a reply handed down at a time: the layer below copies what it is given.
const CHUNK: usize = 64 * 1024;

/// There is no room for a body.
pub fn in_flight_full(what: &str) -> ApiError {
    let error = format!(
        "the relay has no room for {what} while so many others are on their way \
         (--in-flight-bytes); try again in a moment"
    );
    ApiError::new(ErrorCode::RelayFull, error)
}

/// A reply's body. With it go its bytes and the connection's turn.
pub struct Held {
    body: BoxBody,
    rest: Bytes,
    _load: Option<Load>,
    _turn: Option<Turn>,
}

impl Held {
    /// Holds a reply, if there is room for it.
    pub fn around(
        response: Response<BoxBody>,
        asked: bool,
        flow: &Arc<Flow>,
        turn: Option<Turn>,
    ) -> Response<Held> {
        let size = match response.body().size() {
            BodySize::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
            _ => 0,
        };
        let (response, load) = match load_of(flow, size, asked) {
            Ok(load) => (response, load),
            Err(error) => (error.error_response().into(), None),
        };
        response.map_body(|_, body| Held {
            body,
            rest: Bytes::new(),
            _load: load,
            _turn: turn,
        })
    }
}

/// The load of a reply of so many bytes. Where there is no room for it: what has been done must be told,
/// what was `asked` can be asked again.
pub fn load_of(flow: &Arc<Flow>, size: usize, asked: bool) -> Result<Option<Load>, ApiError> {
    match flow.carry(size) {
        Ok(load) => Ok(load),
        Err(NoRoom) if asked => {
            count(&flow.counts.in_flight_refused);
            Err(in_flight_full("this reply"))
        }
        Err(NoRoom) => {
            let mut load = flow.load();
            load.overdraw(size);
            Ok(Some(load))
        }
    }
}

impl MessageBody for Held {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => return other,
            }
        }
        let step = self.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.rest.split_to(step))))
    }
}
