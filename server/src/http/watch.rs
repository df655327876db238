//! What the relay is, and whether it lives.

use super::error::ApiError;
use super::{ENDPOINTS, Shared};
use crate::actors::clock::timestamp;
use actix_web::Responder;
use actix_web::web::Json;
use clawlink_protocol::agents::Status;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::{Info, PROTOCOL, SERVICE};
use std::time::Duration;
use tokio::time::timeout;

/// What this relay does beyond the fixed wire.
pub const FEATURES: [&str; 27] = [
    "ack",
    "ack_socket",
    "broadcasts",
    "dead_letters",
    "deregister",
    "discover_filters",
    "epoch",
    "files_base64",
    "files_conditional",
    "files_delete",
    "files_history",
    "files_merge",
    "idempotency",
    "identity",
    "lease",
    "message_ttl",
    "metrics",
    "names",
    "openapi",
    "peek",
    "reservations",
    "socket_ref",
    "subscriptions",
    "tasks",
    "to_capability",
    "ttl",
    "wait",
];
/// How long the registry may take to answer before the relay calls itself ill.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// `GET /`
pub async fn info(state: Shared) -> impl Responder {
    let relay = &state.relay;
    let auth_required = state.gate.token.is_some();
    let note = match auth_required {
        true => "Calls need Authorization: Bearer TOKEN. docs/protocol.md tells each call.",
        false => {
            "No token is set: whoever reaches this port may use it. docs/protocol.md tells each call."
        }
    };
    Json(Info {
        service: SERVICE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: Some(PROTOCOL),
        features: FEATURES.map(str::to_owned).to_vec(),
        epoch: Some(relay.epoch.clone()),
        auth_required,
        agents_online: relay.online() as u64,
        total_broadcasts: relay.herald.broadcasts(),
        shared_files: relay.library.len() as u64,
        note: note.to_owned(),
        server_time: timestamp(),
        endpoints: ENDPOINTS
            .map(|(name, call)| (name.to_owned(), call.to_owned()))
            .into(),
    })
}

/// `GET /health`: a round trip through the registry, so that a relay that only accepts
/// connections is not called healthy.
pub async fn health(state: Shared) -> Result<impl Responder, ApiError> {
    match timeout(HEALTH_PATIENCE, state.relay.registry.ping()).await {
        Ok(true) => Ok(Json(Status::of("ok"))),
        _ => Err(ApiError::new(
            ErrorCode::Unavailable,
            "the registry does not answer",
        )),
    }
}
