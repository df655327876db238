//! The wire of ClawLink as types: what the relay and the client say to each other.
//!
//! Requests stand beside their replies. Requests hold parsed names ([`name`]), so that a value of a request type
//! is already within its bounds; replies hold plain strings and optional fields, because a
//! client must also read what an older relay says.
//!
//! Three rules run through all of it: unknown fields are ignored, `null` is an absent
//! field, and ids are opaque.

pub mod agents;
pub mod base64;
pub mod dead_letters;
pub mod error;
pub mod events;
pub mod files;
pub mod knowledge;
pub mod messages;
pub mod name;
pub mod reservations;
pub mod tasks;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the protocol that `GET /` carries. A relay without it is the original.
pub const PROTOCOL: u32 = 2;

/// The `service` that `GET /` carries, in every relay there is.
pub const SERVICE: &str = "ClawLink Relay";

/// The port a relay listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 9077;

/// The DNS-SD service type under which a relay announces itself.
pub const MDNS_SERVICE: &str = "_clawlink._tcp.local.";

/// The reply to `GET /`. Everything but `service` may be missing in another relay's reply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Info {
    /// Always [`SERVICE`].
    pub service: String,
    /// The relay's own version.
    #[serde(default)]
    pub version: String,
    /// [`PROTOCOL`]; absent in the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u32>,
    /// What this relay can do beyond the fixed wire.
    #[serde(default)]
    pub features: Vec<String>,
    /// A random word, new at each start of the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// Whether calls need `Authorization: Bearer`.
    #[serde(default)]
    pub auth_required: bool,
    /// Agents that are not stale.
    #[serde(default)]
    pub agents_online: u64,
    /// Broadcasts accepted since the start.
    #[serde(default)]
    pub total_broadcasts: u64,
    /// Files that are there now.
    #[serde(default)]
    pub shared_files: u64,
    /// A sentence for whoever opens the URL by hand.
    #[serde(default)]
    pub note: String,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub server_time: String,
    /// Name of the call to `METHOD /path`.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
}
