//! The two texts of each delegation, its message and its reply, written field by field.
//!
//! What they say is what their types in the protocol say, and a test holds them to it. They are written
//! here because `serde_json` looks at every byte of every name and word for what it would have to
//! escape, which was a sixth of what a delegation costs; here names are known to be plain, and words are
//! looked through many bytes at a time.

use super::json::is_plain;
use bytestring::ByteString;
use clawlink_protocol::messages::{Delegated, Outgoing};
use std::cell::RefCell;

/// Bytes of a reply to a delegation; longer names make it longer.
const REPLY: usize = 320;
/// Room that is kept for the next message.
const SCRATCH_MAX: usize = 64 * 1024;

thread_local! {
    /// Where a message is written, as its length is not known before.
    static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The text of a message. It takes as much room as it has bytes: it may wait for days.
pub fn message(message: &Outgoing<'_>) -> serde_json::Result<ByteString> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.shrink_to(SCRATCH_MAX);
        if !delegation(scratch, message) {
            scratch.push_str(&serde_json::to_string(message)?);
        }
        Ok(ByteString::from(scratch.as_str()))
    })
}

/// Writes a delegation; says whether it was one.
fn delegation(out: &mut String, message: &Outgoing<'_>) -> bool {
    let Outgoing::TaskDelegation {
        message_id,
        from_agent,
        from_name,
        sender_verified,
        to_agent,
        task,
        context,
        priority,
        thread_id,
        parent_id,
        timestamp,
    } = message
    else {
        return false;
    };
    let mut object = Object(out);
    object
        .json(r#"{"type":"#, "\"task_delegation\"")
        .plain(r#","message_id":""#, message_id)
        .plain(r#","from_agent":""#, from_agent.as_str());
    if let Some(name) = from_name {
        object.word(r#","from_name":""#, name);
    }
    let verified = if *sender_verified { "true" } else { "false" };
    object
        .json(r#","sender_verified":"#, verified)
        .plain(r#","to_agent":""#, to_agent.as_str())
        .json(r#","task":"#, task.get())
        .json(r#","context":"#, context.get())
        .word(r#","priority":""#, priority);
    if let Some(thread) = thread_id {
        object.plain(r#","thread_id":""#, thread.as_str());
    }
    if let Some(parent) = parent_id {
        object.plain(r#","parent_id":""#, parent.as_str());
    }
    object.plain(r#","timestamp":""#, timestamp).end();
    true
}

/// The text of a reply.
pub fn reply(reply: &Delegated<'_>) -> String {
    let Delegated {
        status,
        delivery,
        message_id,
        to_agent,
        recipient,
        task_state,
        epoch,
    } = reply;
    let mut out = String::with_capacity(REPLY);
    let mut object = Object(&mut out);
    object
        .plain(r#"{"status":""#, status)
        .plain(r#","delivery":""#, delivery)
        .plain(r#","message_id":""#, message_id.as_str())
        .plain(r#","to_agent":""#, to_agent.as_str())
        .plain(r#","recipient":{"status":""#, recipient.status)
        .number(r#","last_seen_seconds":"#, recipient.last_seen_seconds)
        .end();
    if let Some(state) = task_state {
        object.plain(r#","task_state":""#, state);
    }
    object.plain(r#","epoch":""#, epoch).end();
    out
}

/// An object that is being written. Each name comes with what stands before and behind it.
struct Object<'a>(&'a mut String);

impl Object<'_> {
    /// An id, or a word of the relay's own, whose letters need no escapes; its name comes with the quote
    /// that opens it.
    fn plain(&mut self, name: &'static str, word: &str) -> &mut Self {
        debug_assert!(is_plain(word.as_bytes()), "{name}{word}");
        self.0.push_str(name);
        self.0.push_str(word);
        self.0.push('"');
        self
    }

    /// Any string; likewise.
    fn word(&mut self, name: &'static str, word: &str) -> &mut Self {
        self.0.push_str(name);
        if is_plain(word.as_bytes()) {
            self.0.push_str(word);
        } else {
            let quoted = serde_json::Value::from(word).to_string();
            self.0.push_str(&quoted[1..quoted.len() - 1]);
        }
        self.0.push('"');
        self
    }

    /// What is JSON already.
    fn json(&mut self, name: &'static str, json: &str) -> &mut Self {
        self.0.push_str(name);
        self.0.push_str(json);
        self
    }

    fn number(&mut self, name: &'static str, number: u64) -> &mut Self {
        self.0.push_str(name);
        match char::from_digit(u32::try_from(number).unwrap_or(u32::MAX), 10) {
            // As it nearly always is.
            Some(digit) => self.0.push(digit),
            None => self.0.push_str(&number.to_string()),
        }
        self
    }

    fn end(&mut self) {
        self.0.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawlink_protocol::messages::Recipient;
    use clawlink_protocol::name::{AgentId, MessageId};
    use proptest::option;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn id() -> impl Strategy<Value = String> {
        "[A-Za-z0-9_-]{1,64}"
    }

    /// What the relay says itself.
    fn plain() -> impl Strategy<Value = String> {
        "[a-z0-9_:.+T-]{0,40}"
    }

    fn json() -> impl Strategy<Value = Box<RawValue>> {
        let text = any::<String>().prop_map(|text| serde_json::Value::from(text).to_string());
        let text = prop_oneof![text, Just(r#"{ "a" : [1, null] }"#.to_owned())];
        text.prop_map(|text| RawValue::from_string(text).unwrap())
    }

    proptest! {
        #[test]
        fn a_delegation_says_what_its_type_says(
            ids in [id(), id(), id()],
            name in option::of(any::<String>()),
            sender_verified: bool,
            bodies in [json(), json()],
            priority: String,
            timestamp in plain(),
            more in [option::of(id()), option::of(id())],
        ) {
            let agent = |id: &str| AgentId::parse(id).unwrap();
            let task = |id: &Option<String>| id.as_deref().map(|id| MessageId::parse(id).unwrap());
            let (from, to, more) = (agent(&ids[1]), agent(&ids[2]), more.each_ref().map(task));
            let outgoing = Outgoing::TaskDelegation {
                message_id: &ids[0],
                from_agent: &from,
                from_name: name.as_deref(),
                sender_verified,
                to_agent: &to,
                task: &bodies[0],
                context: &bodies[1],
                priority: &priority,
                thread_id: more[0].as_ref(),
                parent_id: more[1].as_ref(),
                timestamp: &timestamp,
            };
            let written = message(&outgoing).unwrap();
            prop_assert_eq!(&*written, serde_json::to_string(&outgoing).unwrap());
        }

        #[test]
        fn a_reply_says_what_its_type_says(
            ids in [id(), id()],
            words in [plain(), plain(), plain(), plain()],
            state in option::of(plain()),
            last_seen_seconds: u64,
            short in 0_u64..12,
        ) {
            for last_seen_seconds in [last_seen_seconds, short] {
                let delegated = Delegated {
                    status: &words[0],
                    delivery: &words[1],
                    message_id: MessageId::parse(&ids[0]).unwrap(),
                    to_agent: AgentId::parse(&ids[1]).unwrap(),
                    recipient: Recipient { status: &words[2], last_seen_seconds },
                    task_state: state.as_deref(),
                    epoch: &words[3],
                };
                prop_assert_eq!(reply(&delegated), serde_json::to_string(&delegated).unwrap());
            }
        }
    }

    #[test]
    fn another_message_is_written_as_its_type_says() {
        let (from, to) = (AgentId::parse("a").unwrap(), AgentId::parse("b").unwrap());
        let outgoing = Outgoing::TaskCanceled {
            message_id: &MessageId::parse("t").unwrap(),
            from_agent: &from,
            sender_verified: true,
            to_agent: &to,
            timestamp: "\"now\"",
        };
        let written = message(&outgoing).unwrap();
        assert_eq!(&*written, serde_json::to_string(&outgoing).unwrap());
    }
}
