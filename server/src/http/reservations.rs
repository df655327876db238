//! Who edits what: reserving paths, looking who has, releasing.

use super::Shared;
use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::page::{PAGE, Page, cursor, parameters};
use crate::actors::refused::Refused;
use crate::core::glob::Pattern;
use crate::core::reservation::Place;
use actix_web::web::{Json, Path, block};
use actix_web::{HttpRequest, Responder};
use clawlink_protocol::agents::Status;
use clawlink_protocol::name::{FileKey, Word};
use clawlink_protocol::reservations::{ReservationList, Reserve};
use schemars::JsonSchema;
use serde::Deserialize;

/// `POST /reservations`
pub async fn reserve(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Reserve = body.parse()?;
    caller.speak_for(&state, &call.agent_id)?;
    let reservations = state.relay.reservations.clone();
    let reserved = block(move || reservations.reserve(call)).await;
    Ok(Json(reserved.map_err(|_| gone())??))
}

/// The filters of `GET /reservations`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Wanted {
    /// A path or a pattern, which those that are listed overlap.
    path: Option<String>,
    /// The id or name of their holder.
    agent: Option<String>,
}

/// `GET /reservations`
pub async fn list(state: Shared, request: HttpRequest) -> Result<impl Responder, ApiError> {
    let query = request.query_string();
    let epoch = state.relay.epoch.clone();
    let place = |key: &str| key.strip_suffix(&epoch)?.parse::<Place>().ok();
    let page = Page::of(query, PAGE, |key| place(key))?;
    let Wanted { path, agent } = parameters(query)?;
    let bad = |what: &str, why| ApiError::bad_request(format!("{what} {why}"));
    let path = path.map(|path| FileKey::parse(&path).map_err(|why| bad("path", why)));
    let pattern = path.transpose()?.map(Pattern::new);
    let agent = match agent {
        Some(agent) => {
            let agent = Word::parse(&agent).map_err(|why| bad("agent", why))?;
            Some(state.relay.resolve(&agent)?.id().clone())
        }
        None => None,
    };
    let reservations = state.relay.reservations.clone();
    // One more than the page holds tells whether there are more.
    let limit = page.limit + 1;
    let look = move || reservations.list(page.after, limit, pattern.as_ref(), agent.as_ref());
    let mut found = block(look).await.map_err(|_| gone())?;
    let more = found.len() > page.limit;
    found.truncate(page.limit);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(place, _)| cursor(&format!("{place}{epoch}")));
    let reservations: Vec<_> = found.into_iter().map(|(_, shown)| shown).collect();
    let count = reservations.len();
    Ok(Json(ReservationList {
        reservations,
        count,
        next_cursor,
    }))
}

/// `DELETE /reservations/{id}`
pub async fn release(
    state: Shared,
    caller: Caller,
    id: Path<String>,
) -> Result<impl Responder, ApiError> {
    let agent = caller.agent("holds it")?;
    caller.speak_for(&state, &agent)?;
    let reservations = state.relay.reservations.clone();
    let released = block(move || reservations.release(&id, &agent)).await;
    released.map_err(|_| gone())??;
    Ok(Json(Status::of("released")))
}

fn gone() -> Refused {
    Refused::unavailable("the list of reservations")
}
