//! Reads a request's body: bounded, with deadlines, whatever its content type claims to be, as
//! long as it is not one that a web page can send without asking.

use super::alarm::{after, by, soon};
use super::error::ApiError;
use super::flow::{Flow, Load, count};
use super::head::{Head, Headers, Name};
use super::link::Watch;
use super::turns::in_flight_full;
use super::{Shared, State};
use crate::config::Limits;
use crate::core::joined::{self, Joined, NotUtf8};
use crate::core::json::is_deeper;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest};
use bytestring::ByteString;
use clawlink_protocol::error::ErrorCode;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::rc::Rc;
use std::sync::Arc;

/// A file's content grows by at most so much when it is written as JSON (`\u0000`).
const JSON_GROWTH: usize = 6;
/// Room for the other fields of a file's request.
const FILE_FIELDS: usize = 64 * 1024;
/// How many times as long a part must be as all that is kept with it.
const BESIDES: usize = 64;
/// What a body mostly says it is.
const JSON: &str = "application/json";
/// What a form or an image of a foreign page can send.
const PAGE_TYPES: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

/// A body that is there in full.
pub struct Body {
    text: ByteString,
    /// Counts for as long as the body is there.
    _load: Option<Load>,
}

impl Body {
    /// A copy of a short one, which does not count.
    pub fn short(text: &str) -> Body {
        let text = text.into();
        Body { text, _load: None }
    }

    /// As it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A part of it that was read from it, to be kept longer than the rest. Shares its buffer, unless that
    /// would keep much besides.
    pub fn part(&self, text: &str) -> ByteString {
        let rest = self.text.len() - text.len();
        match rest <= text.len() / BESIDES {
            true => self.text.slice_ref(text),
            false => text.into(),
        }
    }

    /// Reads it as a call.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        read(&self.text)
    }
}

/// Reads a body as a call. An empty one is an empty object.
pub fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, ApiError> {
    parse(if body.is_empty() { "{}" } else { body })
}

/// Judges a short body that has come with its head.
pub fn judge<'a>(head: &Head<'_>, body: &'a [u8], state: &State) -> Result<&'a str, ApiError> {
    acceptable(head.headers, head.path, Some(&state.limits))?;
    let text = joined::text(body).map_err(not_text)?;
    shallow(body, state.limits.depth)?;
    Ok(text)
}

/// Reads a call; an error says which field is wrong.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    // An array would do for the parser, its elements taken as the fields in turn.
    if !text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    {
        let error = "the body is JSON, but no object; send {\"field\": value}";
        return Err(ApiError::bad_request(error));
    }
    serde_json::from_str(text).map_err(|error| not_understood::<T>(text, &error))
}

#[cold]
fn not_text(error: NotUtf8) -> ApiError {
    ApiError::bad_request(format!("the body is not UTF-8: {error}"))
}

/// Refuses a call of more levels than it may have; where the parser sees to that, nothing is looked
/// at.
pub fn shallow(call: &[u8], depth: Option<usize>) -> Result<(), ApiError> {
    match depth {
        Some(depth) if is_deeper(call, depth) => {
            let error =
                format!("nested deeper than {depth} levels (--json-depth); send less in one");
            Err(ApiError::bad_request(error))
        }
        _ => Ok(()),
    }
}

/// Says which field is wrong, when it is a field. Reads the body anew: the way that goes well
/// does not pay for it.
#[cold]
fn not_understood<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> ApiError {
    if error.classify() != serde_json::error::Category::Data {
        return ApiError::bad_request(format!("the body is not JSON: {error}"));
    }
    let error = error.to_string();
    let reason = error.split(" at line ").next().unwrap_or_default();
    let again = &mut serde_json::Deserializer::from_str(text);
    let field = serde_path_to_error::deserialize::<_, T>(again)
        .err()
        .map(|e| e.path().to_string());
    match field.filter(|field| field != ".") {
        Some(field) => ApiError::bad_request(format!("{field}: {reason}")),
        None => ApiError::bad_request(reason),
    }
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Body, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        let state = request.app_data::<Shared>().cloned();
        let limits = state.as_ref().map(|state| &state.limits);
        let checked = acceptable(request.headers(), request.path(), limits);
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        Box::pin(async move {
            let bound = checked?;
            let Some(state) = state else {
                return Err(bound.exceeded());
            };
            whole(payload, bound, watch, &state).await
        })
    }
}

#[cold]
fn broke_off(error: &PayloadError) -> ApiError {
    ApiError::bad_request(format!("the body broke off: {error}"))
}

#[cold]
fn no_room(flow: &Flow) -> ApiError {
    count(&flow.counts.in_flight_refused);
    in_flight_full("this body").closing()
}

async fn whole(
    payload: Payload,
    bound: Bound,
    watch: Option<Rc<Watch>>,
    state: &State,
) -> Result<Body, ApiError> {
    // Only where it is read: what nobody reads stays in the kernel.
    if let Some(watch) = &watch {
        watch.body_begins();
    }
    let body = gather(payload, bound, &state.flow).await;
    if let Some(watch) = &watch {
        watch.body_ends();
    }
    let (text, load) = body?;
    shallow(text.as_bytes(), state.limits.depth)?;
    Ok(Body {
        text: text.into(),
        _load: Some(load),
    })
}

/// The bound of this request's body.
fn acceptable(
    headers: &dyn Headers,
    path: &str,
    limits: Option<&Limits>,
) -> Result<Bound, ApiError> {
    let header = |name| headers.header(name).first();
    let coding = header(Name::ContentEncoding).unwrap_or("identity");
    if !coding.eq_ignore_ascii_case("identity") {
        let error = format!("a body in Content-Encoding {coding} is not taken; send it as it is");
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, error));
    }
    let kind = header(Name::ContentType).unwrap_or_default();
    if let Some(kind) = of_page(kind) {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!(
                "a body of type {kind} is not taken; send JSON with Content-Type: application/json"
            ),
        ));
    }
    let mut limit = match limits {
        Some(limits) => bound(path, limits),
        None => Bound {
            bytes: 0,
            flag: "--body-limit",
            announced: None,
        },
    };
    let length = header(Name::ContentLength).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit.bytes as u64) {
        return Err(limit.exceeded());
    }
    limit.announced = length.map(|length| length as usize);
    Ok(limit)
}

/// The type, without what stands behind it, if it is one of [`PAGE_TYPES`].
fn of_page(kind: &str) -> Option<&str> {
    if kind == JSON {
        return None;
    }
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let mut types = PAGE_TYPES.iter();
    types
        .any(|page| kind.eq_ignore_ascii_case(page))
        .then_some(kind)
}

/// What a body may have at most, and the option it follows from.
#[derive(Debug, Clone, Copy)]
struct Bound {
    bytes: usize,
    flag: &'static str,
    /// Bytes that its head says it has; within the bound.
    announced: Option<usize>,
}

impl Bound {
    #[cold]
    fn exceeded(self) -> ApiError {
        let Bound { bytes, flag, .. } = self;
        let error = format!("this body may have at most {bytes} bytes ({flag})");
        ApiError::new(ErrorCode::TooLarge, error)
    }
}

fn bound(path: &str, limits: &Limits) -> Bound {
    let file = limits.file.saturating_mul(JSON_GROWTH);
    match path {
        "/files" => Bound {
            bytes: file.saturating_add(FILE_FIELDS),
            flag: "--file-limit",
            announced: None,
        },
        _ => Bound {
            bytes: limits.body,
            flag: "--body-limit",
            announced: None,
        },
    }
}

/// How many times over there may be room for what has come: room that nothing was written to is no memory
/// yet.
const ROOM: usize = 16;

/// The room for a body of which so many bytes have come: no more than is to come, and not all of it
/// for a peer that only announces. The step before the last is a part of the whole, as for a moment
/// there is room for both.
fn room(length: usize, announced: usize) -> usize {
    let many = length.saturating_mul(ROOM);
    match announced <= many {
        true => announced.max(length),
        false => many.min(announced / ROOM).max(length),
    }
}

async fn gather(
    mut payload: Payload,
    limit: Bound,
    flow: &Arc<Flow>,
) -> Result<(String, Load), ApiError> {
    let (clock, limits) = (&flow.clock, &flow.limits);
    // The parser skips what it does not know without looking at it.
    let (mut whole, mut length) = (Joined::default(), 0);
    let mut load = flow.load();
    // A short body is there already: no timer is wound up for it, and no clock is read.
    let mut there = soon(payload.next()).await;
    let mut end = None;
    loop {
        let next = match there {
            None => {
                let end = *end.get_or_insert_with(|| after(clock, limits.body_total));
                let due = end.min(after(clock, limits.body_gap));
                by(clock, due, payload.next()).await
            }
            there => there,
        };
        let Some(next) = next else {
            count(&flow.counts.late_bodies);
            flow.wait_for_turn().await;
            return Err(ApiError::bad_request("the body did not come in time").closing());
        };
        let Some(chunk) = next else {
            let mut text = whole.end().map_err(not_text)?;
            if limit.announced.is_none() {
                // It has grown by guesses.
                text.shrink_to_fit();
            }
            return Ok((text, load));
        };
        let chunk = chunk.map_err(|error| broke_off(&error))?;
        length += chunk.len();
        if length > limit.bytes {
            return Err(limit.exceeded());
        }
        if !load.add(chunk.len()) {
            return Err(no_room(flow));
        }
        if let Some(announced) = limit.announced.filter(|_| length > whole.capacity()) {
            whole.make_room(room(length, announced));
        }
        whole.push(&chunk);
        there = payload.next().now_or_never();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_kept_keeps_little_besides() {
        for (besides, shares) in [(BESIDES, true), (BESIDES + 1, false)] {
            let content = "c".repeat(BESIDES * BESIDES);
            let body = Body::short(&("b".repeat(besides) + &content));
            let text = &body.text()[besides..];
            let part = body.part(text);
            assert_eq!(part, *content);
            assert_eq!(part.as_ptr() == text.as_ptr(), shares);
        }
    }

    #[test]
    fn a_body_has_room_for_what_comes_and_not_for_what_is_only_announced() {
        assert_eq!(room(1, 50_000_000), ROOM);
        assert_eq!(room(0, 50_000_000), 0);
        assert_eq!(room(20_000_000, 50_000_000), 50_000_000);
        assert_eq!(room(100_000, 50_000_000), 1_600_000);
        assert_eq!(room(3_000_000, 50_000_000), 3_125_000);
        assert_eq!(room(100, 100), 100);
        // Whatever was announced: what has come is taken.
        assert_eq!(room(100, 10), 100);
    }
}
