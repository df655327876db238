//! Delegating, answering, broadcasting.

use super::Shared;
use super::body::{Body, read};
use super::caller::Caller;
use super::error::ApiError;
use super::once::{json, key_of, once, written};
use crate::core::delegation::reply;
use actix_web::HttpResponse;
use clawlink_protocol::messages::{Broadcast, Delegate, Respond};
use clawlink_protocol::name::AgentId;

/// What an idempotency key counts for, beside its sender.
pub const DELEGATE: &str = "delegate";
/// The same.
pub const RESPOND: &str = "respond";
/// The same.
pub const BROADCAST: &str = "broadcast";

/// `POST /delegate`
pub async fn delegate(state: Shared, caller: Caller, body: Body) -> Result<HttpResponse, ApiError> {
    delegated(state, caller, body).await.map(json)
}

/// The reply to it.
pub async fn delegated(state: Shared, caller: Caller, body: Body) -> Result<String, ApiError> {
    let call: Delegate<'_> = body.parse()?;
    let speaker = caller.speak_for(&state, &call.from_agent)?;
    let Some(key) = key_of(&caller, &speaker, DELEGATE)? else {
        return Ok(reply(&state.relay.delegate(&call, None, &speaker)?));
    };
    let digest = state.relay.replays.digest(body.text().as_bytes());
    let relay = state.clone();
    let work = async move {
        let call = body.parse()?;
        Ok(reply(&relay.relay.delegate(&call, None, &speaker)?))
    };
    once(&state, key, digest, work).await
}

/// The reply where the caller brings no key: there is nothing to wait for.
pub fn delegated_keyless(state: &Shared, caller: &Caller, body: &str) -> Result<String, ApiError> {
    let call: Delegate<'_> = read(body)?;
    let speaker = caller.speak_for(state, &call.from_agent)?;
    Ok(reply(&state.relay.delegate(&call, None, &speaker)?))
}

/// `POST /respond`
pub async fn respond(state: Shared, caller: Caller, body: Body) -> Result<HttpResponse, ApiError> {
    let call: Respond<'_> = body.parse()?;
    let speaker = caller.speak_for(&state, &call.from_agent)?;
    let Some(key) = key_of(&caller, &speaker, RESPOND)? else {
        return written(&state.relay.respond(&call, &speaker)?).map(json);
    };
    let digest = state.relay.replays.digest(body.text().as_bytes());
    let relay = state.clone();
    let work = async move {
        let call = body.parse()?;
        written(&relay.relay.respond(&call, &speaker)?)
    };
    once(&state, key, digest, work).await.map(json)
}

/// `POST /broadcast`
pub async fn broadcast(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let call: Broadcast<'_> = body.parse()?;
    let speaker = caller.speak_for(&state, &call.from_agent)?;
    let Some(key) = key_of(&caller, &speaker, BROADCAST)? else {
        return written(&state.relay.broadcast(&call, None, &speaker).await?).map(json);
    };
    let digest = state.relay.replays.digest(body.text().as_bytes());
    let relay = state.clone();
    let work = async move {
        let call = body.parse()?;
        written(&relay.relay.broadcast(&call, None, &speaker).await?)
    };
    once(&state, key, digest, work).await.map(json)
}

/// An agent's id in a path.
pub fn agent_id(text: &str) -> Result<AgentId, ApiError> {
    AgentId::parse(text).map_err(|why| ApiError::bad_request(format!("agent_id: {why}")))
}
