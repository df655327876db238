//! Who edits what: advisory leases on patterns of paths.

use crate::name::{AgentId, FileKey};
use serde::{Deserialize, Serialize};

/// Seconds that a reservation may last.
pub const RESERVATION_TTL_RANGE: std::ops::RangeInclusive<u64> = 1..=86_400;
/// The same, unless its holder says.
pub const RESERVATION_TTL: u64 = 3_600;
/// Bytes of a reason.
pub const REASON_MAX: usize = 256;

/// `POST /reservations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reserve {
    /// Who reserves.
    pub agent_id: AgentId,
    /// A path, or a pattern of paths; within the bounds of a file key.
    pub pattern: FileKey,
    /// Seconds; within [`RESERVATION_TTL_RANGE`], [`RESERVATION_TTL`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = *RESERVATION_TTL_RANGE.start(), max = *RESERVATION_TTL_RANGE.end())))]
    pub ttl: Option<u64>,
    /// Whether it bears no other beside it; so unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<bool>,
    /// For people and models; at most [`REASON_MAX`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = REASON_MAX)))]
    pub reason: Option<String>,
}

/// The reply to `POST /reservations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reserved {
    /// `reserved`.
    pub status: String,
    /// The handle to release it by; the same when it was renewed.
    pub id: String,
    /// RFC 3339, UTC.
    pub until: String,
}

/// A reservation as others see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reservation {
    /// Its handle.
    pub id: String,
    /// Who holds it.
    pub agent_id: String,
    /// The holder's name.
    pub name: String,
    /// Which paths.
    pub pattern: String,
    /// Whether it bears no other beside it.
    pub exclusive: bool,
    /// Empty where none was given.
    pub reason: String,
    /// Seconds until it ends by itself. These count, the time informs.
    pub seconds: u64,
    /// RFC 3339, UTC.
    pub until: String,
}

/// The reply to `GET /reservations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReservationList {
    /// In the order in which they were made.
    pub reservations: Vec<Reservation>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on, if there are more than stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
