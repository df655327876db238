//! What goes over a socket besides messages.

use crate::agents::AgentRecord;
use crate::error::ErrorCode;
use crate::messages::{Ack, Broadcast, Delegate, Respond};
use crate::name::{AgentId, MessageId, Word};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;
use std::borrow::Cow;

/// The part of a client's frame that says what it is. The rest is the body of the HTTP call of
/// the same name, without `from_agent`, which the relay sets itself.
#[derive(Debug, Deserialize)]
pub struct FrameHead<'a> {
    /// `heartbeat`, `delegate`, `respond`, `broadcast` or `ack`.
    #[serde(borrow, default, rename = "type")]
    pub kind: Option<&'a RawValue>,
    /// With it the frame is always answered, and the answer carries it. Any JSON value.
    #[serde(borrow, default, rename = "ref")]
    pub reference: Option<&'a RawValue>,
    /// As the header `Idempotency-Key` of the HTTP call.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

impl<'a> FrameHead<'a> {
    /// The word that says what the frame is: empty where there is none, nothing where it is no
    /// string.
    pub fn kind(&self) -> Option<Cow<'a, str>> {
        let Some(kind) = self.kind.map(RawValue::get) else {
            return Some(Cow::Borrowed(""));
        };
        let word = kind
            .strip_prefix('"')
            .and_then(|kind| kind.strip_suffix('"'));
        match word.filter(|word| !word.contains('\\')) {
            Some(word) => Some(Cow::Borrowed(word)),
            None => serde_json::from_str(kind).ok().map(Cow::Owned),
        }
    }
}

/// What the relay writes onto a socket besides messages.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketEvent<'a> {
    /// The first frame of a socket that acknowledges.
    Welcome {
        /// Whose socket it is.
        agent_id: &'a AgentId,
        /// The relay's epoch.
        epoch: &'a str,
    },
    /// An agent has registered, for the first time or again.
    AgentJoined {
        /// Who.
        agent: &'a AgentRecord,
        /// Whether a secret has claimed it.
        sender_verified: bool,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
    /// An agent has been unheard for its `ttl`.
    AgentStale {
        /// Who.
        agent: &'a AgentRecord,
        /// Whether a secret has claimed it.
        sender_verified: bool,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
    /// An agent was deregistered, or removed after a long silence.
    AgentLeft {
        /// Who, as it was.
        agent: &'a AgentRecord,
        /// Whether a secret has claimed it.
        sender_verified: bool,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
    /// A frame without `ref` failed.
    Error {
        /// What happened, and what to do.
        error: &'a str,
        /// From the catalogue.
        code: ErrorCode,
    },
}

/// A socket's `delegate` frame.
#[derive(Debug, Deserialize)]
pub struct DelegateFrame<'a> {
    /// Kept: the sender's only handle.
    pub message_id: Option<MessageId>,
    /// As in [`Delegate`].
    pub to_agent: Option<Word>,
    /// As in [`Delegate`].
    pub to_capability: Option<Word>,
    /// As in [`Delegate`].
    #[serde(borrow)]
    pub task: &'a RawValue,
    /// As in [`Delegate`].
    #[serde(borrow, default)]
    pub context: Option<&'a RawValue>,
    /// As in [`Delegate`].
    pub priority: Option<SmolStr>,
    /// As in [`Delegate`].
    pub ttl: Option<u64>,
    /// As in [`Delegate`].
    pub thread_id: Option<MessageId>,
    /// As in [`Delegate`].
    pub parent_id: Option<MessageId>,
}

impl<'a> DelegateFrame<'a> {
    /// The call it makes, and the id it brings.
    pub fn from_agent(self, from_agent: AgentId) -> (Delegate<'a>, Option<MessageId>) {
        let DelegateFrame {
            message_id,
            to_agent,
            to_capability,
            task,
            context,
            priority,
            ttl,
            thread_id,
            parent_id,
        } = self;
        (
            Delegate {
                from_agent,
                to_agent,
                to_capability,
                task,
                context,
                priority,
                ttl,
                thread_id,
                parent_id,
            },
            message_id,
        )
    }
}

/// A socket's `respond` frame.
#[derive(Debug, Deserialize)]
pub struct RespondFrame<'a> {
    /// As in [`Respond`].
    pub to_agent: Option<Word>,
    /// As in [`Respond`].
    pub message_id: MessageId,
    /// As in [`Respond`].
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    /// As in [`Respond`].
    pub status: Option<String>,
}

impl<'a> RespondFrame<'a> {
    /// The call it makes.
    pub fn from_agent(self, from_agent: AgentId) -> Respond<'a> {
        let RespondFrame {
            to_agent,
            message_id,
            result,
            status,
        } = self;
        Respond {
            from_agent,
            to_agent,
            message_id,
            result,
            status,
        }
    }
}

/// A socket's `ack` frame: `POST /ack`, of the socket's own agent.
#[derive(Debug, Deserialize)]
pub struct AckFrame {
    /// As in [`Ack`].
    pub receipts: Option<Vec<SmolStr>>,
    /// As in [`Ack`].
    pub batch: Option<String>,
    /// As in [`Ack`].
    pub action: Option<String>,
    /// As in [`Ack`].
    pub delay: Option<u64>,
    /// As in [`Ack`].
    pub lease: Option<u64>,
}

impl AckFrame {
    /// The call it makes.
    pub fn of(self, agent_id: AgentId) -> Ack {
        let AckFrame {
            receipts,
            batch,
            action,
            delay,
            lease,
        } = self;
        Ack {
            agent_id,
            receipts,
            batch,
            action,
            delay,
            lease,
        }
    }
}

/// A socket's `broadcast` frame.
#[derive(Debug, Deserialize)]
pub struct BroadcastFrame<'a> {
    /// Kept: the sender's only handle.
    pub message_id: Option<MessageId>,
    /// As in [`Broadcast`].
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// As in [`Broadcast`].
    pub topic: Option<Word>,
    /// As in [`Broadcast`].
    pub tags: Option<Vec<Word>>,
    /// As in [`Broadcast`].
    pub ttl: Option<u64>,
}

impl<'a> BroadcastFrame<'a> {
    /// The call it makes, and the id it brings.
    pub fn from_agent(self, from_agent: AgentId) -> (Broadcast<'a>, Option<MessageId>) {
        let BroadcastFrame {
            message_id,
            content,
            topic,
            tags,
            ttl,
        } = self;
        (
            Broadcast {
                from_agent,
                content,
                topic,
                tags,
                ttl,
            },
            message_id,
        )
    }
}
