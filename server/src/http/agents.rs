//! Joining, leaving, finding.

use super::Shared;
use super::body::{Body, read};
use super::caller::Caller;
use super::error::ApiError;
use super::once::{json, written};
use super::page::{COMPLETE, PAGE_BYTES, Page, cursor, parameters};
use crate::actors::clock::timestamp;
use crate::actors::directory::{Bounds, Wanted};
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, Responder};
use clawlink_protocol::agents::{
    AboutAgent, Discovered, Register, Registered, Status, Subscribe, Subscribed,
};
use clawlink_protocol::name::AgentId;
use schemars::JsonSchema;
use serde::Deserialize;

/// Agents looked at in one hold of the directory.
const STEP: usize = 500;
/// Agents that a page with a filter looks at: where no list has just those that are wanted, as with
/// a piece of text, a page may end before it is full, and its cursor goes on.
const LOOKS: usize = 10_000;

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
    caller: Caller,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Register = body.parse()?;
    if let Some(id) = &call.agent_id {
        caller.notes(id);
    }
    let joined = state
        .relay
        .register(call, peer(&request), caller.shown())
        .await?;
    let agent = joined.entry.record(&state.relay.clock);
    caller.notes(joined.entry.agent.id());
    Ok(Json(Registered {
        status: "registered".to_owned(),
        agent,
        server_time: timestamp(),
        epoch: Some(state.relay.epoch.clone()),
        agent_secret: joined.secret,
    }))
}

/// `POST /deregister`
pub async fn deregister(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let AboutAgent { agent_id } = body.parse()?;
    let speaker = caller.speak_for(&state, &agent_id)?;
    state.relay.deregister(&speaker).await?;
    Ok(Json(Status::of("deregistered")))
}

/// `POST /subscribe`
pub async fn subscribe(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Subscribe = body.parse()?;
    caller.speak_for(&state, &call.agent_id)?;
    let entry = state.relay.subscribe(call).await?;
    Ok(Json(Subscribed {
        status: "subscribed".to_owned(),
        topics: entry.record(&state.relay.clock).topics,
    }))
}

/// `POST /heartbeat`
pub async fn heartbeat(
    state: Shared,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    beat(&state, &caller, body.text()).map(json)
}

/// The reply to it; there is nothing to wait for.
pub fn beat(state: &Shared, caller: &Caller, body: &str) -> Result<String, ApiError> {
    let AboutAgent { agent_id } = read(body)?;
    let speaker = caller.speak_for_known(state, &agent_id)?;
    let known = speaker.is_some_and(|speaker| state.relay.heartbeat(&speaker));
    let status = if known { "ok" } else { "unknown_agent" };
    written(&Status::of(status))
}

/// The filters of `GET /discover`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Filters {
    /// 1: stale ones too.
    #[schemars(extend("enum" = ["0", "1"]))]
    all: Option<String>,
    /// One of its capabilities.
    capability: Option<String>,
    /// Its name.
    name: Option<String>,
    /// Where it runs.
    machine: Option<String>,
    /// Stands somewhere in what it says of itself.
    q: Option<String>,
}

impl Filters {
    fn wanted(self) -> Result<Wanted, ApiError> {
        let stale = match self.all.as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(_) => return Err(ApiError::bad_request("all must be 0 or 1")),
        };
        Ok(Wanted {
            stale,
            capability: self.capability,
            name: self.name,
            machine: self.machine,
            text: self.q.map(|text| text.to_lowercase()),
        })
    }
}

/// `GET /discover`
pub async fn discover(state: Shared, request: HttpRequest) -> Result<impl Responder, ApiError> {
    let query = request.query_string();
    let page = Page::of(query, COMPLETE, |id| AgentId::parse(id).ok())?;
    let wanted = parameters::<Filters>(query)?.wanted()?;
    let relay = &state.relay;
    let bounds = Bounds {
        count: page.limit,
        bytes: PAGE_BYTES,
        looks: if wanted.is_narrow() {
            LOOKS
        } else {
            usize::MAX
        },
        step: STEP,
    };
    let found = relay.directory.search(&wanted, page.after, bounds).await;
    let agents = found.entries.iter();
    let agents: Vec<_> = agents.map(|entry| entry.record(&relay.clock)).collect();
    let count = agents.len();
    Ok(Json(Discovered {
        agents,
        count,
        server_time: timestamp(),
        next_cursor: found.next.map(|id| cursor(id.as_str())),
    }))
}
