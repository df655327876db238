//! What a socket's client may ask: its frames are the calls of the same name, without
//! `from_agent`, which is the socket's own.

use super::error::ApiError;
use super::{Shared, body};
use crate::core::json;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::events::{
    BroadcastFrame, DelegateFrame, FrameHead, RespondFrame, SocketEvent,
};
use clawlink_protocol::name::AgentId;
use serde_json::value::RawValue;

/// Does what a frame asks for, and gives the answer, if it wants one: with a `ref` every frame is
/// answered, without one only a failure.
pub async fn serve(state: &Shared, id: AgentId, text: &str) -> Option<String> {
    let head = match body::parse::<FrameHead<'_>>(text.as_bytes()) {
        Ok(head) => head,
        Err(error) => return Some(failure(&error)),
    };
    // It is sent back, so its reader must be able to read it.
    if let Some(error) = head
        .reference
        .and_then(|reference| json::check(reference.get()).err())
    {
        return Some(failure(&ApiError::bad_request(format!("ref: {error}"))));
    }
    let outcome = call(state, id, &head.kind(), text).await;
    match (head.reference, outcome) {
        (None, Ok(_)) => None,
        (None, Err(error)) => Some(failure(&error)),
        (Some(reference), Ok(reply)) => Some(reply_to(reference, "", &reply)),
        (Some(reference), Err(error)) => {
            let fields = serde_json::to_string(error.body()).unwrap_or_default();
            Some(reply_to(reference, r#""status":"error","#, &fields))
        }
    }
}

/// The answer to a frame that failed and has no `ref`.
pub fn failure(error: &ApiError) -> String {
    let event = SocketEvent::Error {
        error: &error.body().error,
        code: error.code(),
    };
    serde_json::to_string(&event).unwrap_or_default()
}

fn reply_to(reference: &RawValue, status: &str, object: &str) -> String {
    let fields = object.strip_prefix('{').unwrap_or("}");
    format!(r#"{{"type":"reply","ref":{reference},{status}{fields}"#)
}

/// What the HTTP call of the same name would have replied.
async fn call(state: &Shared, id: AgentId, kind: &str, text: &str) -> Result<String, ApiError> {
    let relay = &state.relay;
    let text = text.as_bytes();
    let reply = match kind {
        "heartbeat" => Ok(r#"{"status":"ok"}"#.to_owned()),
        "delegate" => {
            let (call, message_id) = body::parse::<DelegateFrame<'_>>(text)?.from_agent(id);
            serde_json::to_string(&relay.delegate(&call, message_id).await?)
        }
        "respond" => {
            let call = body::parse::<RespondFrame<'_>>(text)?.from_agent(id);
            serde_json::to_string(&relay.respond(&call).await?)
        }
        "broadcast" => {
            let (call, message_id) = body::parse::<BroadcastFrame<'_>>(text)?.from_agent(id);
            serde_json::to_string(&relay.broadcast(&call, message_id).await?)
        }
        other => {
            let known = "heartbeat, delegate, respond, broadcast";
            let error = format!("type \"{other}\" is not one of {known}");
            return Err(ApiError::bad_request(error));
        }
    };
    reply.map_err(|error| ApiError::new(ErrorCode::Other, error.to_string()))
}
