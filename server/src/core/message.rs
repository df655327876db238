//! A message as the relay holds it: serialised once, when it is accepted, and shared from then
//! on. A broadcast to 10,000 agents is one of these and 10,000 pointers.

use super::Millis;
use super::task::Task;
use bytestring::ByteString;
use clawlink_protocol::messages::Priority;
use clawlink_protocol::name::AgentId;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes that a piece of mail costs besides its body, and those of a notice, whose body is shared.
const MAIL_COST: usize = 512;
const NOTICE_COST: usize = 160;

/// What a message counts as in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A delegation or a response: refused when the inbox is full, never dropped.
    Mail,
    /// Tells a sender that its mail has died: as mail, with a reserve of places.
    Failure,
    /// A broadcast: never refused, gives way when there are too many.
    Broadcast,
    /// The notice of a changed file: as a broadcast, and the older one of a key goes first.
    FileUpdated(Arc<str>),
}

/// An accepted message.
#[derive(Debug)]
pub struct Envelope {
    /// The whole JSON object, as a socket sends it.
    pub body: ByteString,
    /// How it is counted.
    pub kind: Kind,
    /// Where it stands in the inbox.
    pub priority: Priority,
    /// When it was accepted, RFC 3339; a poll shows it as `queued_at`.
    pub accepted_at: String,
    /// When it dies, unless it was handed over before.
    pub expires: Option<Millis>,
    /// The task that it brings, if it is a delegation.
    pub task: Option<Arc<Task>>,
}

/// Who sent a message, and how its sender calls it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Origin {
    /// The task's id; a response carries that of its task.
    pub message_id: String,
    /// The sender.
    pub from_agent: AgentId,
}

/// What stands in a delegation besides what its task knows.
#[derive(Debug, Deserialize)]
pub struct Sent<'a> {
    /// The sender's name, if it bore one.
    #[serde(borrow)]
    pub from_name: Option<Cow<'a, str>>,
    /// Whether the sender was registered and had shown its secret.
    pub sender_verified: bool,
    /// What is to be done.
    #[serde(borrow)]
    pub task: &'a RawValue,
    /// What helps to do it.
    #[serde(borrow)]
    pub context: &'a RawValue,
    /// As sent, else `normal`.
    #[serde(borrow)]
    pub priority: Cow<'a, str>,
    /// RFC 3339, UTC: when the relay took it.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
}

impl Envelope {
    /// Bytes it is counted with.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// Whether it is counted as mail, and not as a notice that gives way.
    pub fn is_mail(&self) -> bool {
        matches!(self.kind, Kind::Mail | Kind::Failure)
    }

    /// Bytes it costs each inbox it is in.
    pub fn cost(&self) -> usize {
        match self.is_mail() {
            true => self.size() + MAIL_COST,
            false => NOTICE_COST,
        }
    }

    /// Read from its body when it is asked for: only mail that dies is ever asked, and has one.
    pub fn origin(&self) -> Option<Origin> {
        serde_json::from_str(&self.body).ok()
    }
}
