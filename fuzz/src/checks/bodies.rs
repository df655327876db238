use clawlink_protocol::agents::{AboutAgent, Register, Subscribe};
use clawlink_protocol::dead_letters::Redeliver;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::events::{AckFrame, BroadcastFrame, DelegateFrame, FrameHead, RespondFrame};
use clawlink_protocol::files::PutFile;
use clawlink_protocol::messages::{Ack, Broadcast, Delegate, Outgoing, Respond};
use clawlink_protocol::name::AgentId;
use clawlink_protocol::reservations::Reserve;
use clawlink_protocol::tasks::{Cancel, Input};
use clawlink_server::core::json::{DEPTH_MAX, check};
use clawlink_server::http::body;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A body as every call and every frame reads it, and as a JSON value that is passed on.
pub fn bodies(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        sound_is_what_readers_read(text);
        calls(text);
        frames(text);
    }
}

/// Reads a call as its handler does. What it takes is a JSON object; else it says why, with 400.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    match body::parse::<T>(text) {
        Ok(call) => {
            assert!(text.trim_ascii_start().starts_with('{'));
            assert!(serde_json::from_str::<IgnoredAny>(text).is_ok());
            Some(call)
        }
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::BadRequest);
            assert!(!error.body().error.is_empty());
            let reply = serde_json::to_string(error.body()).expect("a reply");
            assert!(serde_json::from_str::<Value>(&reply).is_ok(), "{reply}");
            None
        }
    }
}

/// What was read can be written, and reads the same again.
macro_rules! comes_back {
    ($data:expr, $($call:ty),*) => {$(
        if let Some(call) = read::<$call>($data) {
            let once = serde_json::to_string(&call).expect("written");
            let again: $call = body::parse(&once).expect("read again");
            assert_eq!(serde_json::to_string(&again).expect("written"), once);
        }
    )*};
}

fn calls(data: &str) {
    comes_back!(
        data, Register, Subscribe, AboutAgent, Ack, Reserve, Redeliver, Cancel
    );
    comes_back!(
        data,
        Delegate<'_>,
        Respond<'_>,
        Broadcast<'_>,
        Input<'_>,
        PutFile<&RawValue>
    );
    if let Some(call) = read::<Delegate<'_>>(data) {
        delegated(&call);
    }
    if let Some(call) = read::<PutFile<&RawValue>>(data) {
        passed_on(call.content);
    }
}

fn frames(data: &str) {
    if let Some(head) = read::<FrameHead<'_>>(data) {
        head.kind();
        if let Some(reference) = head.reference {
            passed_on(reference);
        }
    }
    let id = AgentId::parse("a1").expect("an id");
    if let Some(frame) = read::<DelegateFrame<'_>>(data) {
        delegated(&frame.from_agent(id.clone()).0);
    }
    if let Some(frame) = read::<RespondFrame<'_>>(data) {
        let call = frame.from_agent(id.clone());
        call.result.map(passed_on);
    }
    if let Some(frame) = read::<BroadcastFrame<'_>>(data) {
        passed_on(frame.from_agent(id.clone()).0.content);
    }
    if let Some(frame) = read::<AckFrame>(data) {
        frame.of(id);
    }
    // As the digest of a frame without its `ref`.
    if let Some(fields) = read::<BTreeMap<String, &RawValue>>(data) {
        let text = serde_json::to_string(&fields).expect("written");
        assert!(read::<BTreeMap<String, &RawValue>>(&text).is_some());
    }
}

/// A value that is checked is one that every reader can read, as it was, inside a reply.
fn passed_on(raw: &RawValue) -> bool {
    if check(raw.get()).is_err() {
        return false;
    }
    let reply = format!(r#"{{"messages":[{{"task":{raw}}}],"count":1}}"#);
    let reply: Value = serde_json::from_str(&reply).expect("a reply that can be read");
    let own: Value = serde_json::from_str(raw.get()).expect("a value that can be read");
    assert_eq!(reply["messages"][0]["task"], own);
    true
}

/// The message that a delegation becomes.
fn delegated(call: &Delegate<'_>) {
    let empty: &RawValue = serde_json::from_str("{}").expect("JSON");
    let context = call.context.unwrap_or(empty);
    if !passed_on(call.task) || !passed_on(context) {
        return;
    }
    let priority = call.priority.as_deref().unwrap_or("normal");
    let message = serde_json::to_string(&Outgoing::TaskDelegation {
        message_id: "m1",
        from_agent: &call.from_agent,
        from_name: None,
        sender_verified: false,
        to_agent: &call.from_agent,
        task: call.task,
        context,
        priority,
        thread_id: call.thread_id.as_ref(),
        parent_id: call.parent_id.as_ref(),
        timestamp: "2026-01-01T00:00:00+00:00",
    });
    let read: Value = serde_json::from_str(&message.expect("written")).expect("read");
    assert_eq!(read["type"], "task_delegation");
    assert_eq!(read["priority"], priority);
    assert_eq!(
        read["task"],
        serde_json::from_str::<Value>(call.task.get()).expect("read")
    );
}

/// The check takes what `serde_json` reads as a value and nests no deeper than it may, and no more.
fn sound_is_what_readers_read(text: &str) {
    let readable = serde_json::from_str::<Value>(text).is_ok() && depth(text) <= DEPTH_MAX;
    let value = serde_json::from_str::<&RawValue>(text);
    let sound = value.is_ok_and(|value| check(value.get()).is_ok());
    assert_eq!(sound, readable, "{text:?}");
}

/// Brackets that are open at once at most, outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
