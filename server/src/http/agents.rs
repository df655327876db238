//! Joining, leaving, finding.

use super::Shared;
use super::body::Body;
use super::error::ApiError;
use super::guard::speaks_for;
use super::page::{Page, cursor};
use crate::actors::clock::timestamp;
use actix_web::web::Json;
use actix_web::{HttpRequest, Responder};
use clawlink_protocol::agents::{AboutAgent, Discovered, Register, Registered, Status};
use clawlink_protocol::name::AgentId;

/// Bytes of what agents say of themselves, after which a page ends.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Agents looked at in one hold of the directory.
const STEP: usize = 1_000;

/// The peer's address, for the `machine` of an agent that names none.
pub fn peer(request: &HttpRequest) -> String {
    request
        .peer_addr()
        .map_or_else(|| "unknown".to_owned(), |address| address.ip().to_string())
}

/// `POST /register`
pub async fn register(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Register = body.parse()?;
    let entry = state.relay.register(call, peer(&request)).await?;
    let agent = entry.record(&state.relay.clock);
    speaks_for(&request, &agent.agent_id);
    Ok(Json(Registered {
        status: "registered".to_owned(),
        agent,
        server_time: timestamp(),
        epoch: Some(state.relay.epoch.clone()),
    }))
}

/// `POST /deregister`
pub async fn deregister(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let AboutAgent { agent_id } = body.parse()?;
    speaks_for(&request, &agent_id);
    state.relay.deregister(agent_id).await?;
    Ok(Json(Status::of("deregistered")))
}

/// `POST /heartbeat`
pub async fn heartbeat(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let AboutAgent { agent_id } = body.parse()?;
    speaks_for(&request, &agent_id);
    let known = state.relay.heartbeat(&agent_id);
    Ok(Json(Status::of(if known { "ok" } else { "unknown_agent" })))
}

/// `GET /discover`
pub async fn discover(state: Shared, request: HttpRequest) -> Result<impl Responder, ApiError> {
    let page = Page::of(request.query_string(), |id| AgentId::parse(id).ok())?;
    let relay = &state.relay;
    let (mut agents, mut after, mut bytes) = (Vec::new(), page.after, 0);
    let next_cursor = 'full: loop {
        let step = relay.directory.page(after.as_ref(), STEP);
        for entry in &step {
            if !entry.agent.presence().is_online() {
                continue;
            }
            if agents.len() == page.limit || bytes >= PAGE_BYTES {
                break 'full after.map(|id| cursor(id.as_str()));
            }
            bytes += entry.profile.size();
            agents.push(entry.record(&relay.clock));
            after = Some(entry.agent.id().clone());
        }
        match step.last() {
            Some(last) if step.len() == STEP => after = Some(last.agent.id().clone()),
            _ => break None,
        }
    };
    let count = agents.len();
    Ok(Json(Discovered {
        agents,
        count,
        server_time: timestamp(),
        next_cursor,
    }))
}
