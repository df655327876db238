//! The catalogue of errors. `docs/errors.md` explains each; the status of each is the
//! relay's matter (`server/src/http/error.rs`).

use crate::reservations::Reservation;
use serde::{Deserialize, Serialize};

/// What went wrong, for programs. Stable: a code never changes its meaning or its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is not what the call takes.
    BadRequest,
    /// The relay's token is missing or wrong.
    Unauthorized,
    /// A browser page of another origin, a host name that is not the relay's, or what is another
    /// agent's.
    Forbidden,
    /// Nobody is registered under this id or name.
    UnknownAgent,
    /// There is no such path, or nothing is kept under this key.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// Several agents bear this name.
    AmbiguousAgent,
    /// An agent was to be registered whose secret was not shown.
    AgentClaimed,
    /// Another agent has reserved some of these paths.
    Reserved,
    /// A file is not at the version that its writer has seen.
    VersionConflict,
    /// A body, frame, file or field is over its bound.
    TooLarge,
    /// The body is not JSON and says so.
    UnsupportedMediaType,
    /// The task has come to its end.
    TaskEnded,
    /// A chain of tasks is too long.
    TooDeep,
    /// An idempotency key came with another body before.
    IdempotencyMismatch,
    /// The recipient's inbox holds all it may.
    InboxFull,
    /// More requests, or more wrong tokens, than one peer may send.
    RateLimited,
    /// The relay as a whole holds all it may.
    RelayFull,
    /// The relay is starting or ending, or one of its parts did not answer.
    Unavailable,
    /// A code of a newer relay.
    #[serde(other)]
    Other,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [ErrorCode; 20] = [
        ErrorCode::BadRequest,
        ErrorCode::Unauthorized,
        ErrorCode::Forbidden,
        ErrorCode::UnknownAgent,
        ErrorCode::NotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::AmbiguousAgent,
        ErrorCode::AgentClaimed,
        ErrorCode::Reserved,
        ErrorCode::VersionConflict,
        ErrorCode::TooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::TaskEnded,
        ErrorCode::TooDeep,
        ErrorCode::IdempotencyMismatch,
        ErrorCode::InboxFull,
        ErrorCode::RateLimited,
        ErrorCode::RelayFull,
        ErrorCode::Unavailable,
        ErrorCode::Other,
    ];
}

/// An agent among several that bear one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The id to use instead.
    pub agent_id: String,
    /// `online` or `stale`.
    pub status: String,
    /// Where it runs.
    #[serde(default)]
    pub machine: String,
}

/// The body of every reply that is not a success.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// What happened, and what to do: one or two sentences.
    #[serde(default)]
    pub error: String,
    /// Absent in the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ErrorCode>,
    /// With `unknown_agent`: ids and names that look alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<Vec<String>>,
    /// With `ambiguous_agent`: who bears the name; at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Candidate>>,
    /// How many there are in all, where `candidates` was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates_count: Option<usize>,
    /// With `reserved`: what is in the way; of several the one that lasts longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
    /// With `version_conflict`: the version that the file is at; 0 where there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// With `version_conflict`: who wrote or deleted that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_editor: Option<String>,
    /// With `version_conflict`: why no merge was tried, `base_gone` or `not_text`. With `forbidden`:
    /// `secret_required` or `secret_wrong`, where a secret is what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `version_conflict`: what a merge came to, with markers where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_content: Option<String>,
    /// With `version_conflict`: that version is the file's deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}
