//! What a socket's client may ask: its frames are the calls of the same name, without
//! `from_agent`, which is the socket's own.

use super::error::ApiError;
use super::messages::{BROADCAST, DELEGATE, RESPOND};
use super::once::{self, written};
use super::poll::settle;
use super::{Shared, body};
use crate::actors::relay::Relay;
use crate::actors::speaking::Speaker;
use crate::core::json;
use bytestring::ByteString;
use clawlink_protocol::events::{
    AckFrame, BroadcastFrame, DelegateFrame, FrameHead, RespondFrame, SocketEvent,
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a frame may be.
const KNOWN: &str = "heartbeat, delegate, respond, broadcast, ack";

/// Does what a frame asks for, and gives the answer, if it wants one: with a `ref` every frame is
/// answered, without one only a failure.
pub async fn serve(state: &Shared, receiver: &Speaker, text: ByteString) -> Option<String> {
    let refused = |error: ApiError| {
        state.traffic.refused(error.code());
        Some(failure(&error))
    };
    if let Err(error) = body::shallow(text.as_bytes(), state.limits.depth) {
        return refused(error);
    }
    let head = match body::parse::<FrameHead<'_>>(text.as_bytes()) {
        Ok(head) => head,
        Err(error) => return refused(error),
    };
    // It is sent back, so its reader must be able to read it.
    if let Some(error) = head
        .reference
        .and_then(|reference| json::check(reference.get()).err())
    {
        return refused(ApiError::bad_request(format!("ref: {error}")));
    }
    let outcome = call(state, receiver, &head, &text).await;
    match (head.reference, outcome) {
        (None, Ok(_)) => None,
        (None, Err(error)) => refused(error),
        (Some(reference), Ok(reply)) => Some(reply_to(reference, "", &reply)),
        (Some(reference), Err(error)) => {
            state.traffic.refused(error.code());
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
async fn call(
    state: &Shared,
    receiver: &Speaker,
    head: &FrameHead<'_>,
    text: &ByteString,
) -> Result<String, ApiError> {
    let no_string = || ApiError::bad_request(format!("type must be a string: {KNOWN}"));
    let kind = head.kind().ok_or_else(no_string)?;
    // Anew for each frame: the agent may have been claimed since the upgrade, or be another's.
    let speaker = state.relay.may_speak_for(receiver.id(), receiver.proof())?;
    let route = [DELEGATE, RESPOND, BROADCAST];
    let route = route.into_iter().find(|route| *route == kind);
    match (&head.idempotency_key, route) {
        (Some(key), Some(route)) => {
            let key = once::key(key, &speaker, route)?;
            let digest = state.relay.replays.digest(&but_ref(text)?);
            let (shared, text) = (state.clone(), text.clone());
            let work = async move { perform(&shared.relay, &speaker, &kind, &text).await };
            once::once(state, key, digest, work).await
        }
        _ => perform(&state.relay, &speaker, &kind, text).await,
    }
}

async fn perform(
    relay: &Relay,
    speaker: &Speaker,
    kind: &str,
    text: &ByteString,
) -> Result<String, ApiError> {
    let (text, id) = (text.as_bytes(), speaker.id().clone());
    match kind {
        "heartbeat" => Ok(r#"{"status":"ok"}"#.to_owned()),
        DELEGATE => {
            let (call, message_id) = body::parse::<DelegateFrame<'_>>(text)?.from_agent(id);
            written(&relay.delegate(&call, message_id, speaker)?)
        }
        RESPOND => {
            let call = body::parse::<RespondFrame<'_>>(text)?.from_agent(id);
            written(&relay.respond(&call, speaker)?)
        }
        BROADCAST => {
            let (call, message_id) = body::parse::<BroadcastFrame<'_>>(text)?.from_agent(id);
            written(&relay.broadcast(&call, message_id, speaker).await?)
        }
        "ack" => {
            let call = body::parse::<AckFrame>(text)?.of(id);
            written(&settle(relay, &call, speaker)?)
        }
        #[cfg(test)]
        "panic" => panic!("injected by a test"),
        other => {
            let error = format!("type \"{other}\" is not one of {KNOWN}");
            Err(ApiError::bad_request(error))
        }
    }
}

/// What two frames of one key must have in common: all but `ref`, which is each one's own.
fn but_ref(text: &str) -> Result<Vec<u8>, ApiError> {
    let mut fields: BTreeMap<String, &RawValue> = body::parse(text.as_bytes())?;
    fields.remove("ref");
    written(&fields).map(String::into_bytes)
}
