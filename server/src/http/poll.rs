//! Receiving: polls, and what is done with what they leased.

use super::Shared;
use super::body::Body;
use super::caller::Caller;
use super::delivery::{put, put_number, without_brace, write_delivery};
use super::error::ApiError;
use super::frequent::Answer;
use super::link::Watch;
use super::messages::agent_id;
use super::once::json;
use super::page::{number, parameters};
use crate::actors::agent::poll::{Action, Ask, Batch, MAX};
use crate::actors::receiving::{Deliveries, Polled, Waits};
use crate::actors::relay::Relay;
use crate::actors::speaking::Speaker;
use crate::core::inbox::Portion;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::{Json, Path};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::messages::{Ack, Acked, LEASE_RANGE, POLL_MAX, RECEIPTS_MAX, WAIT_MAX};
use futures_util::future::Either::{self, Left, Right};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes of a reply handed down at a time, so that the end of a long one is only claimed when the
/// rest of it has gone.
const CHUNK: usize = 64 * 1024;

/// The parameters of a poll. Numbers come as text, so that a bad one is told by its name.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PollQuery<'a> {
    /// Seconds to wait for mail where there is none.
    #[schemars(with = "Option<u64>", range(min = 0, max = WAIT_MAX))]
    wait: Option<Cow<'a, str>>,
    /// Seconds for which what is handed over is leased.
    #[schemars(with = "Option<u64>", range(min = 1, max = 3_600))]
    lease: Option<Cow<'a, str>>,
    /// Messages of the reply at most.
    #[schemars(with = "Option<u64>", range(min = 1, max = POLL_MAX))]
    max: Option<Cow<'a, str>>,
    /// 1: shows messages and takes none.
    #[schemars(extend("enum" = ["0", "1"]))]
    peek: Option<Cow<'a, str>>,
    /// The batch of an earlier reply, which is acknowledged first.
    #[schemars(with = "Option<String>")]
    ack: Option<Cow<'a, str>>,
}

impl PollQuery<'_> {
    /// Reads a query string.
    fn read(query: &str) -> Result<PollQuery<'_>, ApiError> {
        PollQuery::plain(query).map_or_else(|| parameters(query), Ok)
    }

    /// The same without the parser, which takes as long as all else of an empty poll: where everything is
    /// written as it usually is.
    fn plain(query: &str) -> Option<PollQuery<'_>> {
        let mut read = PollQuery::default();
        let mut rest = query;
        while !rest.is_empty() {
            let pair = parted(&mut rest, b'&');
            let mut value = pair;
            let name = parted(&mut value, b'=');
            let place = match name {
                _ if name.len() == pair.len() => return None,
                "wait" => &mut read.wait,
                "lease" => &mut read.lease,
                "max" => &mut read.max,
                "peek" => &mut read.peek,
                "ack" => &mut read.ack,
                _ => return None,
            };
            let escaped = value.bytes().any(|byte| matches!(byte, b'%' | b'+'));
            if escaped || place.replace(value.into()).is_some() {
                return None;
            }
        }
        Some(read)
    }

    /// What is asked, and how long to wait for it.
    fn ask(&self) -> Result<(Ask, Duration), ApiError> {
        let of = |name, text: &Option<Cow<'_, str>>, range: RangeInclusive<u64>| {
            text.as_deref()
                .map(|text| number(name, text, range))
                .transpose()
        };
        let wait = of("wait", &self.wait, 0..=WAIT_MAX)?;
        let lease = of("lease", &self.lease, LEASE_RANGE)?;
        let max = of("max", &self.max, 1..=POLL_MAX)?;
        let peek = of("peek", &self.peek, 0..=1)?;
        let plain = wait.is_none() && lease.is_none() && max.is_none() && peek.is_none();
        let portion = match plain && self.ack.is_none() {
            true => Portion::ALL,
            false => Ask::portion(max.map_or(MAX, |max| max as usize)),
        };
        let ask = Ask {
            portion,
            lease: lease.map(Duration::from_secs),
            peek: peek == Some(1),
            ..Ask::PLAIN
        };
        Ok((ask, Duration::from_secs(wait.unwrap_or(0))))
    }
}

/// What stands before the next of these bytes, or at the end; `rest` is what stands behind it.
fn parted<'a>(rest: &mut &'a str, byte: u8) -> &'a str {
    let text = *rest;
    let end = text.bytes().position(|other| other == byte);
    let end = end.unwrap_or(text.len());
    *rest = text.get(end + 1..).unwrap_or_default();
    &text[..end]
}

/// `GET /poll/{agent_id}`
pub async fn poll(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let watch = caller.watch().cloned();
    let polled = polled(&state, &caller, &id, request.query_string())?;
    let Answer { text, batch } = match polled {
        Left(answer) => answer,
        Right(later) => later.answer(&state).await?,
    };
    let rest = text.into();
    Ok(json(Parcel { rest, batch, watch }))
}

/// A poll that waits for its answer.
pub struct Later {
    waits: Waits,
    bounded: bool,
}

impl Later {
    /// What comes of it.
    pub async fn answer(self, state: &Shared) -> Result<Answer, ApiError> {
        let polled = state.relay.awaited(self.waits).await?;
        Ok(written(polled, &state.relay.epoch, self.bounded))
    }
}

/// The reply to a poll, and what it hands over.
pub fn polled(
    state: &Shared,
    caller: &Caller,
    id: &str,
    query: &str,
) -> Result<Either<Answer, Later>, ApiError> {
    let id = agent_id(id)?;
    let query = PollQuery::read(query)?;
    let (ask, wait) = query.ask()?;
    let bounded = ask.portion.count != Portion::ALL.count;
    let polled = match caller.speak_for_known(state, &id)? {
        Some(speaker) => state
            .relay
            .poll(&speaker, query.ack.as_deref(), ask, wait)?,
        None => Left(Polled::nobodys(query.ack.as_deref())),
    };
    Ok(match polled {
        Left(polled) => Left(written(polled, &state.relay.epoch, bounded)),
        Right(waits) => Right(Later { waits, bounded }),
    })
}

/// `POST /ack`
pub async fn ack(state: Shared, caller: Caller, body: Body) -> Result<impl Responder, ApiError> {
    let call: Ack = body.parse()?;
    let speaker = caller.speak_for(&state, &call.agent_id)?;
    Ok(Json(settle(&state.relay, &call, &speaker)?))
}

/// Does what an ack asks for, however it came.
pub fn settle(relay: &Relay, call: &Ack, speaker: &Speaker) -> Result<Acked, ApiError> {
    let which = match (&call.receipts, &call.batch) {
        (Some(receipts), None) if receipts.len() <= RECEIPTS_MAX => Deliveries::Receipts(receipts),
        (Some(_), None) => {
            return Err(ApiError::bad_request(format!(
                "receipts: at most {RECEIPTS_MAX}"
            )));
        }
        (None, Some(batch)) => Deliveries::Batch(batch),
        _ => {
            return Err(ApiError::bad_request(
                "receipts or batch is required, not both",
            ));
        }
    };
    let seconds = |name, value: Option<u64>, least: u64| {
        let value = value.unwrap_or(least);
        number(name, &value.to_string(), least..=*LEASE_RANGE.end()).map(Duration::from_secs)
    };
    let action = match call.action.as_deref() {
        None | Some("ack") => Action::Ack,
        Some("nack") => {
            let delay = seconds("delay", call.delay, 0)?;
            Action::Nack((!delay.is_zero()).then_some(delay))
        }
        Some("extend") if call.lease.is_some() => Action::Extend(seconds("lease", call.lease, 1)?),
        Some("extend") => return Err(ApiError::bad_request("extend needs a lease, in seconds")),
        Some(other) => {
            let error = format!("action \"{other}\" is not one of ack, nack, extend");
            return Err(ApiError::bad_request(error));
        }
    };
    match relay.settle(speaker, &which, action)? {
        Some(acked) => Ok(Acked {
            status: Some("ok".to_owned()),
            ..acked
        }),
        None => Err(ApiError::new(
            ErrorCode::UnknownAgent,
            format!(
                "no agent \"{}\" is registered; its mail went with it",
                call.agent_id
            ),
        )),
    }
}

/// The reply is put together, not serialised: each message is written as it was accepted.
fn written(Polled { acked, batch }: Polled, epoch: &str, bounded: bool) -> Answer {
    let messages = batch.as_ref().map_or(&[][..], |batch| &batch.messages);
    let size: usize = messages
        .iter()
        .map(|handed| handed.envelope.size() + 256)
        .sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(b"{\"messages\":[");
    for (n, handed) in messages.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        let envelope = &handed.envelope;
        out.extend_from_slice(without_brace(&envelope.body).as_bytes());
        put(&mut out, [r#","queued_at":""#, &envelope.accepted_at, "\""]);
        write_delivery(&mut out, handed.lease.as_ref());
        out.push(b'}');
    }
    put(&mut out, [r#"],"count":"#]);
    put_number(&mut out, messages.len() as u64);
    put(&mut out, [r#","epoch":""#, epoch, "\""]);
    match &batch {
        None => put(&mut out, [r#","status":"unknown_agent""#]),
        Some(batch) => {
            if batch.missed > 0 {
                put(&mut out, [r#","missed":"#]);
                put_number(&mut out, batch.missed);
            }
            if bounded {
                put(&mut out, [r#","remaining":"#]);
                put_number(&mut out, batch.remaining as u64);
            }
            if let Some(token) = &batch.token {
                put(&mut out, [r#","batch":""#]);
                token.put(&mut out);
                out.push(b'"');
            }
        }
    }
    if let Some(acked) = acked {
        put(&mut out, [r#","acked":"#]);
        write_acked(&mut out, &acked);
    }
    out.push(b'}');
    Answer { text: out, batch }
}

fn write_acked(out: &mut Vec<u8>, acked: &Acked) {
    match acked {
        // As nearly always.
        Acked {
            status: None,
            done,
            expired,
            expired_count: None,
            unknown_batch: None,
        } if expired.is_empty() => {
            put(out, [r#"{"done":"#]);
            put_number(out, *done as u64);
            put(out, [r#","expired":[]}"#]);
        }
        // Writing to a Vec does not fail.
        _ => drop(serde_json::to_writer(out, acked)),
    }
}

/// A reply's body that knows whether it was written to its end. If it was not, its messages go back
/// to their places.
struct Parcel {
    rest: Bytes,
    batch: Option<Batch>,
    watch: Option<Rc<Watch>>,
}

impl MessageBody for Parcel {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.rest.is_empty() {
            match (self.batch.take(), &self.watch) {
                // Its last part has not met the kernel yet, or a peer that has gone.
                (Some(batch), Some(watch)) if batch.is_at_stake() => watch.gives(batch),
                (Some(batch), _) => batch.written(),
                (None, _) => {}
            }
            return Poll::Ready(None);
        }
        let size = CHUNK.min(self.rest.len());
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_query_that_is_read_without_the_parser_says_the_same(
            pairs in prop::collection::vec("(wait|lease|max|peek|ack|other)?=?[a-z0-9%+=-]{0,4}", 0..4),
        ) {
            let query = pairs.join("&");
            if let Some(read) = PollQuery::plain(&query) {
                prop_assert_eq!(parameters::<PollQuery<'_>>(&query).ok(), Some(read));
            }
        }
    }

    #[test]
    fn what_was_acknowledged_is_written_as_its_type_says() {
        let some = Acked {
            done: 7,
            ..Acked::default()
        };
        let over = Acked {
            expired: vec!["ab1c7".to_owned()],
            ..some.clone()
        };
        for acked in [some, over, Acked::unknown()] {
            let mut out = Vec::new();
            write_acked(&mut out, &acked);
            assert_eq!(out, serde_json::to_vec(&acked).expect("JSON"));
        }
    }

    #[test]
    fn a_usual_query_is_read_without_the_parser() {
        let read = PollQuery::plain("lease=60&ack=b-1&wait=5").expect("a usual one");
        let read = [read.wait, read.lease, read.max, read.peek, read.ack];
        let text = |text| Some(Cow::Borrowed(text));
        assert_eq!(read, [text("5"), text("60"), None, None, text("b-1")]);
        assert_eq!(PollQuery::plain(""), Some(PollQuery::default()));
        for other in ["wait", "wait=%35", "ack=a+b", "wait=1&wait=2", "x=1"] {
            assert_eq!(PollQuery::plain(other), None, "{other}");
        }
    }
}
