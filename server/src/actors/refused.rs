//! Why a call was refused: sentences and codes, for HTTP and sockets alike.

use super::directory::Unresolved;
use crate::core::inbox::NotAdmitted;
use clawlink_protocol::error::{ErrorBody, ErrorCode};

/// Why a call was refused: the body of its reply.
#[derive(Debug)]
pub struct Refused(pub Box<ErrorBody>);

impl Refused {
    /// A refusal of this code, in a sentence.
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Refused(Box::new(ErrorBody {
            error: error.into(),
            code: Some(code),
            ..ErrorBody::default()
        }))
    }

    /// The request is not what the call takes.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Refused::new(ErrorCode::BadRequest, error)
    }

    /// Nobody bears this id or name.
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

    /// A word that names no agent, or too many.
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
    pub(super) fn not_admitted(why: NotAdmitted, agent: &str) -> Self {
        let full = format!("the inbox of \"{agent}\" is full; try again when it has polled");
        let no_room = "all inboxes together hold as much as they may (--inboxes-bytes)";
        match why {
            NotAdmitted::Full => Refused::new(ErrorCode::InboxFull, full),
            NotAdmitted::NoRoom => Refused::new(ErrorCode::RelayFull, no_room),
            NotAdmitted::Closed => Refused::unknown(agent, Vec::new()),
        }
    }

    /// A part of the relay did not answer.
    pub fn unavailable(what: &str) -> Self {
        Refused::new(
            ErrorCode::Unavailable,
            format!("{what} did not answer; try again"),
        )
    }
}
