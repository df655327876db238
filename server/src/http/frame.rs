//! What a socket's client may ask: its frames are the calls of the same name, without
//! `from_agent`, which is the socket's own.

use super::error::ApiError;
use super::messages::{BROADCAST, DELEGATE, RESPOND};
use super::once::{self, written};
use super::poll::settle;
use super::whole::Whole;
use super::{Shared, body};
use crate::actors::relay::Relay;
use crate::actors::speaking::Speaker;
use crate::core::delegation::reply;
use crate::core::{frames, json};
use bytes::Bytes;
use bytestring::ByteString;
use clawlink_protocol::events::{
    AckFrame, BroadcastFrame, DelegateFrame, FrameHead, RespondFrame, SocketEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a frame may be.
const KNOWN: &str = "heartbeat, delegate, respond, broadcast, ack";

/// A call that most frames make.
enum Call<'a> {
    Delegate(DelegateFrame<'a>),
    Ack(AckFrame),
}

impl<'a> Call<'a> {
    /// The head and the call of a frame, where it can be told by its beginning that it makes one of these.
    fn with_head(text: &'a str) -> Option<(FrameHead<'a>, Call<'a>)> {
        fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<(FrameHead<'a>, T)> {
            // What is wrong is told by who reads it again.
            let Whole { head, call } = serde_json::from_str(text).ok()?;
            Some((head, call))
        }
        let kind = first_type(text)?;
        let is = |word: &str| {
            kind.strip_prefix(word)
                .is_some_and(|rest| rest.starts_with('"'))
        };
        if is(DELEGATE) {
            read(text).map(|(head, call)| (head, Call::Delegate(call)))
        } else if is("ack") {
            read(text).map(|(head, call)| (head, Call::Ack(call)))
        } else {
            None
        }
    }
}

/// The rest of a frame from its type on, within the quotes, where it begins with that.
fn first_type(text: &str) -> Option<&str> {
    fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
        text.trim_ascii_start().strip_prefix(what)
    }
    let rest = after(text, "{")?;
    let rest = after(after(rest, "\"type\"")?, ":")?;
    after(rest, "\"")
}

/// A frame that was read as far as to see what it asks for, or why it cannot be.
pub struct Frame<'a> {
    text: &'a str,
    read: Result<Asked<'a>, ApiError>,
}

/// What a frame asks for.
struct Asked<'a> {
    /// `None` where it is no string.
    kind: Option<Cow<'a, str>>,
    /// If it was read already.
    call: Option<Call<'a>>,
    reference: Option<&'a RawValue>,
    idempotency_key: Option<String>,
}

impl<'a> Frame<'a> {
    /// Reads it.
    pub fn read(state: &Shared, text: &'a str) -> Self {
        let read = Asked::read(text, state.limits.depth);
        Frame { text, read }
    }

    /// Whether there is something to be waited for in doing what it asks.
    pub fn waits(&self) -> bool {
        let waits =
            |asked: &Asked<'_>| asked.idempotency_key.is_some() || asked.kind() == Some(BROADCAST);
        self.read.as_ref().is_ok_and(waits)
    }

    /// Does what it asks for, and gives the frame that answers it, if it wants one: with a `ref` every frame is
    /// answered, without one only a failure. For one that [does not wait](Frame::waits).
    pub fn serve_at_once(self, state: &Shared, receiver: &Speaker) -> Option<Bytes> {
        match self.read {
            Err(error) => answer(state, None, Err(error)),
            Ok(asked) => {
                let outcome = asked.speaker(state, receiver);
                let wants = asked.reference.is_some();
                let outcome = outcome.and_then(|speaker| match asked.call {
                    Some(call) => done(&state.relay, &speaker, call, wants),
                    None => {
                        let kind = asked.kind.as_deref();
                        at_once(&state.relay, &speaker, kind, self.text, wants)
                    }
                });
                answer(state, asked.reference, outcome)
            }
        }
    }

    /// The same for any.
    pub async fn serve(self, state: &Shared, receiver: &Speaker) -> Option<Bytes> {
        match &self.read {
            Ok(asked) if self.waits() => {
                let outcome = asked.wait_for(state, receiver, self.text).await;
                answer(state, asked.reference, outcome)
            }
            _ => self.serve_at_once(state, receiver),
        }
    }
}

impl<'a> Asked<'a> {
    fn read(text: &'a str, depth: Option<usize>) -> Result<Asked<'a>, ApiError> {
        body::shallow(text.as_bytes(), depth)?;
        let (head, call) = match Call::with_head(text) {
            Some((head, call)) => (head, Some(call)),
            None => (body::parse::<FrameHead<'_>>(text)?, None),
        };
        // It is sent back, so its reader must be able to read it.
        if let Some(error) = head
            .reference
            .and_then(|reference| json::check(reference.get()).err())
        {
            return Err(ApiError::bad_request(format!("ref: {error}")));
        }
        Ok(Asked {
            kind: head.kind(),
            call,
            reference: head.reference,
            idempotency_key: head.idempotency_key,
        })
    }

    fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Anew for each frame: the agent may have been claimed since the upgrade, or be another's.
    fn speaker(&self, state: &Shared, receiver: &Speaker) -> Result<Speaker, ApiError> {
        Ok(state.relay.may_speak_on(receiver)?)
    }

    /// What the HTTP call of the same name would have replied.
    async fn wait_for(
        &self,
        state: &Shared,
        receiver: &Speaker,
        text: &str,
    ) -> Result<String, ApiError> {
        let speaker = self.speaker(state, receiver)?;
        let route = [DELEGATE, RESPOND, BROADCAST];
        let route = route.into_iter().find(|route| Some(*route) == self.kind());
        match (&self.idempotency_key, route) {
            (Some(key), Some(route)) => {
                let key = once::key(key, &speaker, route)?;
                let digest = state.relay.replays.digest(&but_ref(text)?);
                let (shared, text) = (state.clone(), ByteString::from(text));
                let kind = self.kind().map(str::to_owned);
                let work =
                    async move { perform(&shared.relay, &speaker, kind.as_deref(), &text).await };
                once::once(state, key, digest, work).await
            }
            _ => perform(&state.relay, &speaker, self.kind(), text).await,
        }
    }
}

fn answer(
    state: &Shared,
    reference: Option<&RawValue>,
    outcome: Result<String, ApiError>,
) -> Option<Bytes> {
    if let Err(error) = &outcome {
        state.traffic.refused(error.code());
    }
    match (reference, outcome) {
        (None, Ok(_)) => None,
        (None, Err(error)) => Some(failure(&error)),
        (Some(reference), Ok(reply)) => Some(reply_to(reference, "", &reply)),
        (Some(reference), Err(error)) => {
            let fields = serde_json::to_string(error.body()).unwrap_or_default();
            Some(reply_to(reference, r#""status":"error","#, &fields))
        }
    }
}

/// The frame that answers one that failed and has no `ref`.
pub fn failure(error: &ApiError) -> Bytes {
    let event = SocketEvent::Error {
        error: &error.body().error,
        code: error.code(),
    };
    frames::text([&serde_json::to_string(&event).unwrap_or_default()])
}

fn reply_to(reference: &RawValue, status: &str, object: &str) -> Bytes {
    let fields = object.strip_prefix('{').unwrap_or("}");
    let reference = reference.get();
    frames::text([r#"{"type":"reply","ref":"#, reference, ",", status, fields])
}

async fn perform(
    relay: &Relay,
    speaker: &Speaker,
    kind: Option<&str>,
    text: &str,
) -> Result<String, ApiError> {
    if kind != Some(BROADCAST) {
        return at_once(relay, speaker, kind, text, true);
    }
    let frame = body::parse::<BroadcastFrame<'_>>(text)?;
    let (call, message_id) = frame.from_agent(speaker.id().clone());
    written(&relay.broadcast(&call, message_id, speaker).await?)
}

/// Does what needs no waiting. The reply is empty where nobody `wants` it.
fn at_once(
    relay: &Relay,
    speaker: &Speaker,
    kind: Option<&str>,
    text: &str,
    wants: bool,
) -> Result<String, ApiError> {
    match kind {
        Some("heartbeat") => Ok(r#"{"status":"ok"}"#.to_owned()),
        Some(DELEGATE) => done(relay, speaker, Call::Delegate(body::parse(text)?), wants),
        Some(RESPOND) => {
            let call = body::parse::<RespondFrame<'_>>(text)?;
            let call = call.from_agent(speaker.id().clone());
            told(wants, &relay.respond(&call, speaker)?)
        }
        Some("ack") => done(relay, speaker, Call::Ack(body::parse(text)?), wants),
        #[cfg(test)]
        Some("panic") => panic!("injected by a test"),
        None => {
            let error = format!("type must be a string: {KNOWN}");
            Err(ApiError::bad_request(error))
        }
        Some(other) => {
            let error = format!("type \"{other}\" is not one of {KNOWN}");
            Err(ApiError::bad_request(error))
        }
    }
}

fn done(relay: &Relay, speaker: &Speaker, call: Call<'_>, wants: bool) -> Result<String, ApiError> {
    let id = speaker.id().clone();
    match call {
        Call::Delegate(frame) => {
            let (call, message_id) = frame.from_agent(id);
            let sent = relay.delegate(&call, message_id, speaker)?;
            Ok(if wants { reply(&sent) } else { String::new() })
        }
        Call::Ack(frame) => told(wants, &settle(relay, &frame.of(id), speaker)?),
    }
}

fn told<T: Serialize>(wants: bool, reply: &T) -> Result<String, ApiError> {
    match wants {
        true => written(reply),
        false => Ok(String::new()),
    }
}

/// What two frames of one key must have in common: all but `ref`, which is each one's own.
fn but_ref(text: &str) -> Result<Vec<u8>, ApiError> {
    let mut fields: BTreeMap<String, &RawValue> = body::parse(text)?;
    fields.remove("ref");
    written(&fields).map(String::into_bytes)
}
