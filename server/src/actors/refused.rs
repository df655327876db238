//! Why a call was refused: sentences and codes, for HTTP and sockets alike.

use super::directory::Unresolved;
use super::library::NotWritten;
use crate::core::inbox::NotAdmitted;
use crate::core::shelf::{Conflict, ShelfError};
use clawlink_protocol::error::{ErrorBody, ErrorCode};
use clawlink_protocol::name::{AgentId, FileKey};

/// Why a call was refused: the body of its reply.
#[derive(Debug)]
pub struct Refused(pub Box<ErrorBody>);

impl Refused {
    /// A refusal of this code, in a sentence.
    #[cold]
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Refused(Box::new(ErrorBody {
            error: error.into(),
            code: Some(code),
            ..ErrorBody::default()
        }))
    }

    /// Whether it is of this code.
    pub(super) fn is(&self, code: ErrorCode) -> bool {
        self.0.code == Some(code)
    }

    /// What is asked is another's to ask. `reason` is for programs.
    #[cold]
    pub(super) fn forbidden(error: impl Into<String>, reason: &str) -> Self {
        let mut refused = Refused::new(ErrorCode::Forbidden, error);
        refused.0.reason = Some(reason.to_owned());
        refused
    }

    /// The id is another's.
    #[cold]
    pub(super) fn claimed(agent: &AgentId) -> Self {
        let error = format!(
            "the id \"{agent}\" is claimed by a secret; send that in X-Agent-Secret, or take another agent_id"
        );
        Refused::new(ErrorCode::AgentClaimed, error)
    }

    /// Whether it is that an id is another's.
    pub(super) fn is_claimed(&self) -> bool {
        self.is(ErrorCode::AgentClaimed)
    }

    /// The request is not what the call takes.
    #[cold]
    pub fn bad_request(error: impl Into<String>) -> Self {
        Refused::new(ErrorCode::BadRequest, error)
    }

    /// Nobody bears this id or name.
    #[cold]
    pub(super) fn unknown(address: &str, did_you_mean: Vec<String>) -> Self {
        let hint = match did_you_mean.first() {
            Some(near) => format!("did you mean \"{near}\"? "),
            None => String::new(),
        };
        let mut refused = Refused::new(
            ErrorCode::UnknownAgent,
            format!(
                "no agent \"{address}\" is registered; {hint}GET /discover lists who is online"
            ),
        );
        refused.0.did_you_mean = Some(did_you_mean);
        refused
    }

    /// Nobody is there who can do this.
    #[cold]
    pub(super) fn nobody_can(capability: &str, did_you_mean: Vec<String>) -> Self {
        let hint = match did_you_mean.first() {
            Some(similar) => format!("did you mean \"{similar}\"? "),
            None => String::new(),
        };
        let error = format!(
            "no other agent online has the capability \"{capability}\"; {hint}GET /discover?all=1 shows also who is away"
        );
        let mut refused = Refused::new(ErrorCode::UnknownAgent, error);
        refused.0.did_you_mean = Some(did_you_mean);
        refused
    }

    /// A word that names no agent, or too many.
    #[cold]
    pub(super) fn unresolved(address: &str, why: Unresolved) -> Self {
        match why {
            Unresolved::Unknown { did_you_mean } => Refused::unknown(address, did_you_mean),
            Unresolved::Ambiguous { candidates, count } => {
                let mut refused = Refused::new(
                    ErrorCode::AmbiguousAgent,
                    format!("{count} agents bear the name \"{address}\"; address one by its id"),
                );
                refused.0.candidates = Some(candidates);
                refused.0.candidates_count = Some(count);
                refused
            }
        }
    }

    /// An inbox did not take a message.
    #[cold]
    pub(super) fn not_admitted(why: NotAdmitted, agent: &str) -> Self {
        let full = format!("the inbox of \"{agent}\" is full; try again when it has polled");
        let no_room = "all inboxes together hold as much as they may (--inboxes-bytes)";
        match why {
            NotAdmitted::Full => Refused::new(ErrorCode::InboxFull, full),
            NotAdmitted::NoRoom => Refused::new(ErrorCode::RelayFull, no_room),
            NotAdmitted::Closed => Refused::unknown(agent, Vec::new()),
        }
    }

    /// A file was not changed.
    #[cold]
    pub(super) fn not_written(why: NotWritten, key: &FileKey) -> Self {
        match why {
            NotWritten::Refused(ShelfError::FileTooLarge { limit }) => Refused::new(
                ErrorCode::TooLarge,
                format!("a file may have at most {limit} bytes (--file-limit)"),
            ),
            NotWritten::Refused(ShelfError::ShelfFull { limit }) => Refused::new(
                ErrorCode::RelayFull,
                format!("all files together may have at most {limit} bytes (--files-limit)"),
            ),
            NotWritten::Refused(ShelfError::Conflict(now)) => Refused::conflict(key, now),
            NotWritten::Refused(ShelfError::NotFound) => Refused::no_file(key.as_str()),
            NotWritten::Unavailable => Refused::unavailable("the library"),
        }
    }

    /// A file is not at the version that its writer has seen.
    #[cold]
    pub(super) fn conflict(key: &FileKey, now: Conflict) -> Self {
        let editor = now.last_editor.as_ref().map_or("", AgentId::as_str);
        let error = match (now.version, now.deleted) {
            (0, _) => format!("there is no \"{key}\"; nothing was written"),
            (n, true) => {
                format!("\"{key}\" was deleted in version {n} by {editor}; nothing was written")
            }
            (n, false) => format!("\"{key}\" is at version {n}, by {editor}; nothing was written"),
        };
        let mut refused = Refused::new(ErrorCode::VersionConflict, error);
        refused.0.current_version = Some(now.version);
        refused.0.last_editor = now.last_editor.map(|id| id.to_string());
        refused.0.deleted = now.deleted.then_some(true);
        refused
    }

    /// Nothing is kept under this key.
    #[cold]
    pub fn no_file(key: &str) -> Self {
        let error = format!("no file is kept under \"{key}\"; GET /files lists the keys");
        Refused::new(ErrorCode::NotFound, error)
    }

    /// A version is not there.
    #[cold]
    pub(super) fn no_version(error: String) -> Self {
        Refused::new(ErrorCode::NotFound, error)
    }

    /// A part of the relay did not answer.
    #[cold]
    pub fn unavailable(what: &str) -> Self {
        Refused::new(
            ErrorCode::Unavailable,
            format!("{what} did not answer; try again"),
        )
    }
}
