//! Mail that died: looking at it, and sending it again.

use super::Shared;
use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::page::{PAGE, PAGE_BYTES, Page, cursor, parameters};
use crate::actors::dead_letters::Listed;
use crate::actors::refused::Refused;
use crate::core::dead_letters::Place;
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, Responder};
use clawlink_protocol::dead_letters::{
    DeadLetter, DeadLetterList, LetterText, REDELIVER_MAX, Redeliver,
};
use clawlink_protocol::error::ErrorCode;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashSet;

/// The filter of `GET /dead-letters`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Whose {
    /// The id or name of the recipient.
    agent: Option<String>,
}

/// `GET /dead-letters`
pub async fn list(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let reader = caller.read(&state)?;
    let query = request.query_string();
    let page = Page::of(query, PAGE, |place| place.parse::<Place>().ok())?;
    let relay = &state.relay;
    let to = match parameters::<Whose>(query)?.agent {
        None => None,
        Some(agent) => Some(relay.agent_meant(&agent)?),
    };
    // One more than the page holds tells whether there are more.
    let found = relay
        .dead_letters
        .list(to, page.after, page.limit + 1, reader);
    let mut found = found.await.ok_or_else(gone)?;
    let mut bytes = 0;
    let fits = found.iter().take(page.limit).take_while(|letter| {
        let room = bytes < PAGE_BYTES;
        bytes += letter.envelope.size();
        room
    });
    let fits = fits.count();
    let last = (fits < found.len()).then(|| found.get(fits.saturating_sub(1)));
    let next_cursor = last.flatten().map(|last| cursor(&last.place.to_string()));
    found.truncate(fits);
    let dead_letters = found.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    let count = dead_letters.len();
    Ok(HttpResponse::Ok().json(DeadLetterList {
        dead_letters,
        count,
        next_cursor,
    }))
}

fn shown(letter: &Listed) -> Result<DeadLetter<'_>, ApiError> {
    let other = |error: serde_json::Error| ApiError::new(ErrorCode::Other, error.to_string());
    let message = match letter.readable {
        true => LetterText::Whole(serde_json::from_str(&letter.envelope.body).map_err(other)?),
        false => LetterText::Ids {
            message_id: &letter.origin.message_id,
            from_agent: &letter.origin.from_agent,
            to_agent: &letter.to,
        },
    };
    Ok(DeadLetter {
        message,
        to_agent: letter.to.as_str(),
        reason: letter.reason.as_str(),
        died_at: &letter.died_at,
        attempts: letter.attempts,
    })
}

/// `POST /dead-letters/redeliver`
pub async fn redeliver(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let reader = caller.read(&state)?;
    let Redeliver { mut message_ids } = body.parse()?;
    if !(1..=REDELIVER_MAX).contains(&message_ids.len()) {
        let error = format!("message_ids: 1 to {REDELIVER_MAX}");
        return Err(ApiError::bad_request(error));
    }
    let mut said = HashSet::new();
    message_ids.retain(|id| said.insert(id.clone()));
    let done = state
        .relay
        .dead_letters
        .redeliver(message_ids, reader)
        .await;
    Ok(Json(done.ok_or_else(gone)?))
}

fn gone() -> Refused {
    Refused::unavailable("the dead letters")
}
