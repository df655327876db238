//! Calls that carry an idempotency key.

use super::Shared;
use super::caller::Caller;
use super::delivery::without_brace;
use super::error::ApiError;
use crate::actors::replays::Turn;
use crate::actors::speaking::Speaker;
use crate::core::replay::{Digest, Key};
use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use clawlink_protocol::error::ErrorCode;
use serde::Serialize;

/// Characters of a key.
const KEY_MAX: usize = 64;

/// The key that a request brings.
pub fn key_of(
    caller: &Caller,
    sender: &Speaker,
    route: &'static str,
) -> Result<Option<Key>, ApiError> {
    let text = caller.key()?;
    text.map(|text| key(text, sender, route)).transpose()
}

/// A key as it was sent.
pub fn key(text: &str, sender: &Speaker, route: &'static str) -> Result<Key, ApiError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || !(1..=KEY_MAX).contains(&text.len()) {
        let error = format!("an idempotency key must be 1 to {KEY_MAX} visible ASCII characters");
        return Err(ApiError::bad_request(error));
    }
    Ok(Key {
        sender: sender.id().clone(),
        proof: sender.proof(),
        route,
        text: text.into(),
    })
}

/// Does a call unless its key says that it was done; gives the reply. Done to its end, whoever still
/// waits for it: a caller that hangs up must find out by repeating it.
pub async fn once<Work>(
    state: &Shared,
    key: Key,
    digest: Digest,
    work: Work,
) -> Result<String, ApiError>
where
    Work: Future<Output = Result<String, ApiError>> + 'static,
{
    let replays = state.relay.replays.clone();
    let done = actix_web::rt::spawn(async move {
        match replays.turn(key, digest).await {
            Turn::Done(reply) => Ok(format!("{},\"replayed\":true}}", without_brace(&reply))),
            Turn::Mismatch => Err(ApiError::new(
                ErrorCode::IdempotencyMismatch,
                "this idempotency key came with another body before; take a new key for a new message",
            )),
            Turn::First(first) => {
                let reply = work.await?;
                first.finish(&reply);
                Ok(reply)
            }
        }
    });
    let broken = |_| ApiError::new(ErrorCode::Unavailable, "the call broke off; try again");
    done.await.map_err(broken)?
}

/// A reply as text.
pub fn written<T: Serialize>(reply: &T) -> Result<String, ApiError> {
    let failed = |error: String| ApiError::new(ErrorCode::Other, error);
    let text = crate::core::json::written(reply).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(text.into()).map_err(|error| failed(error.to_string()))
}

/// A reply that is text already.
pub fn json(text: impl MessageBody + 'static) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, BoxBody::new(text));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
