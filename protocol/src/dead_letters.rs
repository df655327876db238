//! Mail that died: looking at it, and sending it again.

use crate::error::ErrorCode;
use crate::name::AgentId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A message that died.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetter<'a> {
    /// As it stood in the inbox; its ids alone for who may not read it.
    pub message: LetterText<'a>,
    /// Whose inbox it was.
    pub to_agent: &'a str,
    /// `expired`, `attempts_used_up` or `recipient_removed`.
    pub reason: &'a str,
    /// RFC 3339, UTC.
    pub died_at: &'a str,
    /// Leased deliveries before.
    pub attempts: u32,
}

/// A dead letter's message.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum LetterText<'a> {
    /// As it was.
    Whole(
        #[cfg_attr(
            feature = "schema",
            schemars(with = "crate::messages::Outgoing<'static>")
        )]
        &'a RawValue,
    ),
    /// For who may not read it.
    Ids {
        /// As its sender calls it.
        message_id: &'a str,
        /// The sender.
        from_agent: &'a AgentId,
        /// The recipient.
        to_agent: &'a AgentId,
    },
}

/// The reply to `GET /dead-letters`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetterList<'a> {
    /// In the order in which they died.
    pub dead_letters: Vec<DeadLetter<'a>>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on, if there are more than stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /dead-letters/redeliver`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Redeliver {
    /// As their senders know them; at most [`REDELIVER_MAX`].
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = REDELIVER_MAX)))]
    pub message_ids: Vec<String>,
}

/// Messages sent again by one call.
pub const REDELIVER_MAX: usize = 100;

/// The reply to `POST /dead-letters/redeliver`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Redelivered {
    /// `ok`.
    pub status: String,
    /// Messages that wait in their recipients' inboxes again.
    pub done: usize,
    /// Those that do not.
    pub failed: Vec<NotRedelivered>,
}

/// A message that was not sent again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotRedelivered {
    /// Which.
    pub message_id: String,
    /// What happened.
    pub error: String,
    /// From the catalogue.
    pub code: ErrorCode,
}
