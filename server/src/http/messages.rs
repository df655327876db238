//! Delegating, answering, broadcasting, polling.

use super::Shared;
use super::body::Body;
use super::error::ApiError;
use super::guard::speaks_for;
use actix_web::web::Json;
use actix_web::{HttpRequest, Responder};
use clawlink_protocol::messages::{Broadcast, Delegate, Respond};
use clawlink_protocol::name::AgentId;

/// `POST /delegate`
pub async fn delegate(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Delegate<'_> = body.parse()?;
    speaks_for(&request, &call.from_agent);
    Ok(Json(state.relay.delegate(&call, None).await?))
}

/// `POST /respond`
pub async fn respond(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Respond<'_> = body.parse()?;
    speaks_for(&request, &call.from_agent);
    Ok(Json(state.relay.respond(&call).await?))
}

/// `POST /broadcast`
pub async fn broadcast(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Broadcast<'_> = body.parse()?;
    speaks_for(&request, &call.from_agent);
    Ok(Json(state.relay.broadcast(&call, None).await?))
}

/// An agent's id in a path.
pub fn agent_id(text: &str) -> Result<AgentId, ApiError> {
    AgentId::parse(text).map_err(|why| ApiError::bad_request(format!("agent_id: {why}")))
}
