//! What goes over a socket besides messages.

use crate::agents::AgentRecord;
use crate::error::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The part of a client's frame that says what it is. The rest is the body of the HTTP call of
/// the same name, without `from_agent`, which the relay sets itself.
#[derive(Debug, Clone, Deserialize)]
pub struct FrameHead {
    /// `heartbeat`, `delegate`, `respond` or `broadcast`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With it the frame is always answered, and the answer carries it. Any JSON value.
    #[serde(default, rename = "ref")]
    pub reference: Option<Value>,
}

/// What the relay writes onto a socket besides messages.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SocketEvent<'a> {
    /// An agent came online that was not before.
    AgentJoined {
        /// Who.
        agent: &'a AgentRecord,
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
