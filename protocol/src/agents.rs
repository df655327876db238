//! Joining, leaving and finding each other.

use crate::name::{AgentId, Word};
use serde::{Deserialize, Serialize};

/// The header in which a call shows the secret of the agent it speaks for: 64 hex digits.
pub const SECRET_HEADER: &str = "X-Agent-Secret";

/// The shortest and longest `ttl` in seconds.
pub const TTL_RANGE: std::ops::RangeInclusive<u64> = 30..=86_400;

/// `POST /register`. Every field may be missing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Register {
    /// The relay makes a short one where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Else `agent-` and four characters of the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Word>,
    /// What the agent is good at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<Word>>,
    /// Else the peer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// For people and models that read the list of agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds of silence after which the agent is stale; within [`TTL_RANGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = *TTL_RANGE.start(), max = *TTL_RANGE.end())))]
    pub ttl: Option<u64>,
    /// The topics of which it hears broadcasts; at most [`TOPICS_MAX`]. What it chose before where
    /// there are none, else all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<Word>>,
}

/// Topics that an agent may choose.
pub const TOPICS_MAX: usize = 100;

/// `POST /subscribe`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subscribe {
    /// Whose broadcasts.
    pub agent_id: AgentId,
    /// The only topics that it hears from now on, at most [`TOPICS_MAX`]; all where there is no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<Word>>,
}

/// The reply to `POST /subscribe`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Subscribed {
    /// `subscribed`.
    pub status: String,
    /// In order; `null` for all.
    pub topics: Option<Vec<String>>,
}

/// An agent as the relay shows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentRecord {
    /// Its id.
    pub agent_id: String,
    /// Its name; several agents may bear one.
    #[serde(default)]
    pub name: String,
    /// What it is good at.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Where it runs.
    #[serde(default)]
    pub machine: String,
    /// What it says of itself.
    #[serde(default)]
    pub description: String,
    /// RFC 3339, UTC; kept when it registers again.
    #[serde(default)]
    pub registered_at: String,
    /// Unix seconds at which it was last heard.
    #[serde(default)]
    pub last_heartbeat: f64,
    /// `online` or `stale`.
    #[serde(default)]
    pub status: String,
    /// The topics of which it hears broadcasts; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
}

/// The reply to `POST /register`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Registered {
    /// `registered`.
    pub status: String,
    /// The agent as the relay now knows it.
    pub agent: AgentRecord,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub server_time: String,
    /// The relay's epoch; absent in the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// A fresh secret, while none has claimed the agent: its first use does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_secret: Option<String>,
}

/// The reply to `GET /discover`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Discovered {
    /// The agents that are online, in the order of their ids.
    pub agents: Vec<AgentRecord>,
    /// How many stand in this reply.
    pub count: usize,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub server_time: String,
    /// Where to go on, if there are more than stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /heartbeat` and `POST /deregister`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AboutAgent {
    /// Who is meant.
    pub agent_id: AgentId,
}

/// A reply that is a word: `{"status": "ok"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The word.
    pub status: String,
}

impl Status {
    /// A reply of that word.
    pub fn of(status: &str) -> Self {
        Status {
            status: status.to_owned(),
        }
    }
}
