//! Delegating, answering, broadcasting, polling.

use super::Shared;
use super::body::Body;
use super::error::ApiError;
use super::guard::speaks_for;
use crate::actors::agent::Batch;
use actix_web::web::{Json, Path};
use actix_web::{HttpRequest, HttpResponse, Responder};
use clawlink_protocol::messages::{Broadcast, Delegate, Respond};
use clawlink_protocol::name::AgentId;
use std::io::Write;

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

/// `GET /poll/{agent_id}`
pub async fn poll(
    state: Shared,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = agent_id(&id)?;
    speaks_for(&request, &id);
    let batch = state.relay.poll(&id).await?;
    let body = polled(batch.as_ref(), &state.relay.epoch);
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(body))
}

/// The reply is put together, not serialised: each message is written as it was accepted.
fn polled(batch: Option<&Batch>, epoch: &str) -> Vec<u8> {
    let messages = batch.map_or(&[][..], |batch| &batch.messages);
    let size: usize = messages.iter().map(|message| message.size() + 64).sum();
    let mut out = Vec::with_capacity(size + 128);
    out.extend_from_slice(b"{\"messages\":[");
    for (n, message) in messages.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        message.write_polled(&mut out);
    }
    // Writing to a Vec does not fail.
    let _ = write!(out, "],\"count\":{},\"epoch\":\"{epoch}\"", messages.len());
    match batch {
        None => out.extend_from_slice(b",\"status\":\"unknown_agent\""),
        Some(Batch { missed: 0, .. }) => {}
        Some(Batch { missed, .. }) => {
            let _ = write!(out, ",\"missed\":{missed}");
        }
    }
    out.push(b'}');
    out
}
