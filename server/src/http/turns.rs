//! Goes around every call: the connection's record learns when a request begins and when its reply
//! has gone, and a long reply counts for as long as it has not.

use super::Shared;
use super::error::ApiError;
use super::flow::{UnderWay, count};
use super::link::{Turn, Watch};
use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError};
use bytes::Bytes;
use clawlink_protocol::error::ErrorCode;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Bytes of a reply handed down at a time: the layer below copies what it is given.
const CHUNK: usize = 64 * 1024;

/// The middleware.
pub async fn turns<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<Held<B>>>, Error> {
    let turn = request.conn_data::<Rc<Watch>>().cloned().map(Watch::ask);
    let state = request.app_data::<Shared>().cloned();
    let mut under_way = state.as_ref().map(|state| state.flow.begin());
    let response = next.call(request).await?;
    let size = response.response().body().size();
    if let (Some(UnderWay { load }), BodySize::Sized(size)) = (&mut under_way, size) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if !load.add(size) {
            // What has been done must be told; what was asked can be asked again.
            if response.request().method() == Method::GET {
                return Ok(response
                    .into_response(no_room(state.as_ref()))
                    .map_into_right_body());
            }
            load.overdraw(size);
        }
    }
    let held = |body| Held {
        body,
        rest: Bytes::new(),
        _under_way: under_way,
        _turn: turn,
    };
    Ok(response.map_body(|_, body| held(body)).map_into_left_body())
}

fn no_room(state: Option<&Shared>) -> actix_web::HttpResponse {
    if let Some(state) = state {
        count(&state.flow.counts.in_flight_refused);
    }
    let mut reply = in_flight_full("this reply").error_response();
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// There is no room for a body.
pub fn in_flight_full(what: &str) -> ApiError {
    let error = format!(
        "the relay has no room for {what} while so many others are on their way \
         (--in-flight-bytes); try again in a moment"
    );
    ApiError::new(ErrorCode::RelayFull, error)
}

pin_project_lite::pin_project! {
    /// A reply's body. With it go its bytes and the connection's turn.
    pub struct Held<B> {
        #[pin]
        body: B,
        rest: Bytes,
        _under_way: Option<UnderWay>,
        _turn: Option<Turn>,
    }
}

impl<B: MessageBody> MessageBody for Held<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        let held = self.project();
        if held.rest.is_empty() {
            match held.body.poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => *held.rest = bytes,
                other => return other,
            }
        }
        let step = held.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(held.rest.split_to(step))))
    }
}
