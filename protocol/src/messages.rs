//! Delegating, answering, broadcasting and polling.
//!
//! A body is any JSON value, and is passed on as the sender wrote it ([`RawValue`]): numbers
//! keep their digits, keys their order.

use crate::name::{AgentId, MessageId, Word};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;

/// How soon a delegation wants to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before everything.
    Urgent,
    /// Before what is normal.
    High,
    /// The default, and where an unknown word orders.
    Normal,
    /// After everything.
    Low,
}

impl Priority {
    /// All of them, first to last.
    pub const ALL: [Priority; 4] = [
        Priority::Urgent,
        Priority::High,
        Priority::Normal,
        Priority::Low,
    ];

    /// Where a message with this word stands in the inbox; an unknown word stands as normal.
    pub fn of(word: &str) -> Priority {
        Priority::ALL
            .into_iter()
            .find(|p| p.as_str() == word)
            .unwrap_or(Priority::Normal)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Urgent => "urgent",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

/// `POST /delegate`, and a socket's `delegate` frame.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delegate<'a> {
    /// The sender; need not be registered.
    pub from_agent: AgentId,
    /// An id or a name. Either this or `to_capability`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_agent: Option<Word>,
    /// Goes to the agent online with this capability that has the fewest open tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_capability: Option<Word>,
    /// What is to be done: any JSON value but `null`.
    #[serde(borrow)]
    pub task: &'a RawValue,
    /// What helps to do it; `{}` unless given.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a RawValue>,
    /// One of [`Priority`], or any other word, which is passed on as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub priority: Option<SmolStr>,
    /// Seconds that it may wait to be handed over for the first time; within
    /// [`MESSAGE_TTL_RANGE`], a day unless given.
    #[cfg_attr(feature = "schema", schemars(range(min = *MESSAGE_TTL_RANGE.start(), max = *MESSAGE_TTL_RANGE.end())))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// Groups tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<MessageId>,
    /// The task that this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<MessageId>,
}

/// Seconds that a message may wait for its first hand-over.
pub const MESSAGE_TTL_RANGE: std::ops::RangeInclusive<u64> = 1..=7 * 86_400;
/// The same, unless its sender says.
pub const MESSAGE_TTL: u64 = 86_400;

/// The reply to a delegate: what is true when it is written, and no more.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delegated<'a> {
    /// `delegated`.
    pub status: &'a str,
    /// `websocket` when it was handed to an open socket, else `queued`.
    pub delivery: &'a str,
    /// The handle to answer by.
    pub message_id: MessageId,
    /// The id that the addressee's name stood for.
    pub to_agent: AgentId,
    /// How the recipient was when the message was taken.
    pub recipient: Recipient<'a>,
    /// Where the task is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_state: Option<&'a str>,
    /// The relay's epoch: a sender that was registered in another one is not known any more.
    pub epoch: &'a str,
}

/// How a recipient was when a message for it was taken.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recipient<'a> {
    /// `online` or `stale`.
    pub status: &'a str,
    /// Whole seconds since it was last heard.
    pub last_seen_seconds: u64,
}

/// `POST /respond`, and a socket's `respond` frame.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Respond<'a> {
    /// Who answers.
    pub from_agent: AgentId,
    /// Who asked: an id or a name; the sender of the task unless given, where the relay knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_agent: Option<Word>,
    /// The task's.
    pub message_id: MessageId,
    /// Any JSON value; `null` where there is none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// `completed` unless given; an unknown word is passed on as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// The reply to a respond.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Responded {
    /// `response_sent`.
    pub status: String,
    /// `websocket` or `queued`.
    pub delivery: String,
    /// The id that the addressee's name stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_agent: Option<String>,
    /// Whether it moved the task; absent where the relay knows no such task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// Where the task is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_state: Option<String>,
    /// The relay's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}

/// `POST /broadcast`, and a socket's `broadcast` frame.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Broadcast<'a> {
    /// The sender; need not be registered.
    pub from_agent: AgentId,
    /// Any JSON value but `null`.
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// `general` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Word>,
    /// At most [`TAGS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = TAGS_MAX)))]
    pub tags: Option<Vec<Word>>,
    /// Seconds that it may wait to be handed over for the first time; within
    /// [`MESSAGE_TTL_RANGE`], a day unless given.
    #[cfg_attr(feature = "schema", schemars(range(min = *MESSAGE_TTL_RANGE.start(), max = *MESSAGE_TTL_RANGE.end())))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
}

/// Tags of one broadcast, and capabilities of one agent.
pub const TAGS_MAX: usize = 100;

/// The reply to a broadcast.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BroadcastSent {
    /// `broadcast_sent`.
    pub status: String,
    /// The broadcast's own.
    pub message_id: String,
    /// Agents it went to: every registered one but the sender that hears its topic.
    pub recipients: u64,
    /// The relay's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}

/// What the relay writes into an inbox.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum Outgoing<'a> {
    /// A task for one agent.
    #[serde(rename = "task_delegation")]
    TaskDelegation {
        /// The handle to answer by.
        message_id: &'a str,
        /// The sender.
        from_agent: &'a AgentId,
        /// Its name, if it is registered.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<&'a str>,
        /// Whether the sender is registered and has shown its secret.
        sender_verified: bool,
        /// The recipient's id.
        to_agent: &'a AgentId,
        /// As sent.
        task: &'a RawValue,
        /// As sent, else `{}`.
        context: &'a RawValue,
        /// As sent, else `normal`.
        priority: &'a str,
        /// As sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        thread_id: Option<&'a MessageId>,
        /// As sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_id: Option<&'a MessageId>,
        /// RFC 3339, UTC: when the relay took it.
        timestamp: &'a str,
    },
    /// An answer to a task.
    #[serde(rename = "task_response")]
    TaskResponse {
        /// The task's.
        message_id: &'a MessageId,
        /// The answer's own.
        response_id: &'a str,
        /// Who answers.
        from_agent: &'a AgentId,
        /// Its name, if it is registered.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<&'a str>,
        /// Whether the sender is registered and has shown its secret.
        sender_verified: bool,
        /// Who asked.
        to_agent: &'a AgentId,
        /// As sent, else `null`.
        result: &'a RawValue,
        /// As sent, else `completed`.
        status: &'a str,
        /// `false` where it moved no task, though there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        applied: Option<bool>,
        /// With `applied`: where the task is.
        #[serde(skip_serializing_if = "Option::is_none")]
        task_state: Option<&'a str>,
        /// RFC 3339, UTC: when the relay took it.
        timestamp: &'a str,
    },
    /// A finding for everybody.
    #[serde(rename = "knowledge_broadcast")]
    KnowledgeBroadcast {
        /// The broadcast's own.
        message_id: &'a str,
        /// The sender.
        from_agent: &'a AgentId,
        /// Its name, if it is registered.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_name: Option<&'a str>,
        /// Whether the sender is registered and has shown its secret.
        sender_verified: bool,
        /// As sent.
        content: &'a RawValue,
        /// As sent, else `general`.
        topic: &'a str,
        /// As sent, else empty.
        tags: &'a [Word],
        /// RFC 3339, UTC: when the relay took it.
        timestamp: &'a str,
    },
    /// The sender of a task does not want it any more.
    #[serde(rename = "task_canceled")]
    TaskCanceled {
        /// The task's.
        message_id: &'a MessageId,
        /// The sender.
        from_agent: &'a AgentId,
        /// Whether the sender is registered and has shown its secret.
        sender_verified: bool,
        /// The assignee.
        to_agent: &'a AgentId,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
    /// The sender of a task tells what its assignee asked.
    #[serde(rename = "task_input")]
    TaskInput {
        /// The task's.
        message_id: &'a MessageId,
        /// The sender.
        from_agent: &'a AgentId,
        /// Whether the sender is registered and has shown its secret.
        sender_verified: bool,
        /// The assignee.
        to_agent: &'a AgentId,
        /// As sent.
        content: &'a RawValue,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
    /// Messages of this agent have died.
    #[serde(rename = "delivery_failed")]
    DeliveryFailed {
        /// Which one, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<&'a str>,
        /// Which ones, where they are several; at most [`FAILED_MAX`].
        #[serde(skip_serializing_if = "Option::is_none")]
        message_ids: Option<&'a [&'a str]>,
        /// How many, where they are several.
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
        /// Whose inbox they were in.
        to_agent: &'a AgentId,
        /// `true`: the relay itself sends it.
        sender_verified: bool,
        /// `expired`, `attempts_used_up` or `recipient_removed`.
        reason: &'a str,
        /// RFC 3339, UTC: when they died.
        timestamp: &'a str,
    },
    /// A shared file has a new version.
    #[serde(rename = "file_updated")]
    FileUpdated {
        /// Which file.
        file_key: &'a str,
        /// Its new version.
        version: u64,
        /// The version before it; 0 where there was none.
        from_version: u64,
        /// Who wrote or deleted it.
        last_editor: &'a AgentId,
        /// Whether the editor is registered and has shown its secret.
        sender_verified: bool,
        /// Where it was deleted.
        #[serde(skip_serializing_if = "Option::is_none")]
        deleted: Option<bool>,
        /// RFC 3339, UTC.
        timestamp: &'a str,
    },
}

/// Messages named in one `delivery_failed`.
pub const FAILED_MAX: usize = 100;

/// `POST /ack`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ack {
    /// Whose deliveries.
    pub agent_id: AgentId,
    /// Receipts of leased deliveries; at most [`RECEIPTS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<String>>", length(max = RECEIPTS_MAX)))]
    pub receipts: Option<Vec<SmolStr>>,
    /// Or the token of all deliveries of one reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// `ack` unless given; `nack`, `extend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["ack", "nack", "extend", null])))]
    pub action: Option<String>,
    /// With `nack`: seconds until they come again; within [`LEASE_RANGE`], or 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = *LEASE_RANGE.end())))]
    pub delay: Option<u64>,
    /// With `extend`: seconds that the lease lasts from now; within [`LEASE_RANGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = *LEASE_RANGE.start(), max = *LEASE_RANGE.end())))]
    pub lease: Option<u64>,
}

/// Receipts of one call.
pub const RECEIPTS_MAX: usize = 500;
/// Seconds of a lease.
pub const LEASE_RANGE: std::ops::RangeInclusive<u64> = 1..=3_600;
/// Seconds that a poll may wait.
pub const WAIT_MAX: u64 = 55;
/// Messages of one reply at most, where any parameter is given.
pub const POLL_MAX: u64 = 500;

/// What became of receipts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acked {
    /// `ok`, in the reply to `POST /ack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Deliveries it was done to; those that were acknowledged before count.
    pub done: usize,
    /// Receipts of deliveries that were over; at most 100.
    #[serde(default)]
    pub expired: Vec<String>,
    /// How many there were, where the list was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_count: Option<usize>,
    /// The batch is not one of this inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_batch: Option<bool>,
}

impl Acked {
    /// The batch was none of this inbox.
    pub fn unknown() -> Acked {
        Acked {
            unknown_batch: Some(true),
            ..Acked::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_priority_orders_as_normal() {
        assert_eq!(Priority::of("urgent"), Priority::Urgent);
        assert_eq!(Priority::of("URGENT"), Priority::Normal);
        assert_eq!(Priority::of("asap"), Priority::Normal);
        assert!(Priority::Urgent < Priority::High && Priority::Normal < Priority::Low);
    }

    #[test]
    fn a_client_reads_what_the_relay_writes() {
        let id = AgentId::parse("a1").unwrap();
        let tags = [Word::parse("x").unwrap()];
        let raw = serde_json::value::to_raw_value(&serde_json::json!({"n": 1})).unwrap();
        let written = serde_json::to_string(&Outgoing::KnowledgeBroadcast {
            message_id: "m1",
            from_agent: &id,
            from_name: None,
            sender_verified: false,
            content: &raw,
            topic: "general",
            tags: &tags,
            timestamp: "2026-01-01T00:00:00+00:00",
        })
        .unwrap();
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["type"], "knowledge_broadcast");
        assert_eq!(read["from_agent"], "a1");
        assert_eq!(read["content"]["n"], 1);
    }
}
