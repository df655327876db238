//! What can go wrong, once: each failure is a sentence, what to type next, and an exit code.

use crate::api::{Refusal, Trouble};
use crate::arrange::Misuse;
use crate::escape;
use crate::explain;
use std::io;
use std::path::{Path, PathBuf};

/// What a command's caller can tell apart by the exit code.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    /// The relay refused, or something here failed.
    Refused = 1,
    Usage = 2,
    NotFound = 3,
    NothingCame = 4,
    Conflict = 5,
    OutOfReach = 6,
    NotAllowed = 7,
}

/// Why a command did not do what it was told. In a box, since nearly every function here hands one
/// on: without it that is 88 bytes moved at every `?`, 10 KB of the program.
pub(crate) type Failure = Box<Cause>;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Cause {
    /// What its two sentences say.
    Said {
        exit: Exit,
        what: String,
        hint: String,
    },
    /// Nothing was typed at all.
    Nothing,
    /// The command needs an identity, and there is none for this relay.
    NotRegistered {
        program: String,
        relay: String,
        /// Names under which identities are kept besides.
        kept: Vec<String>,
    },
    /// The state file cannot be used as it is.
    DamagedState { path: PathBuf, why: String },
    /// A file of this machine cannot be read or written.
    Local { doing: String, error: io::Error },
    /// A relay answered a search, and it is the user who decides to trust it.
    FoundBySearch { urls: Vec<String>, program: String },
    /// No usable answer came from the relay.
    NoReply {
        url: String,
        trouble: Trouble,
        maybe_taken: bool,
    },
    /// The relay said no.
    Refused(Refused),
}

/// A refusal, and what this session can say to it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Box<Refusal>,
    /// For commands that are suggested.
    pub(crate) program: String,
    pub(crate) token_sent: bool,
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Failure {
        usage(&misuse.what, &misuse.hint)
    }
}

/// A failure of reading or writing a file here.
pub(crate) fn local(doing: &str, path: &Path, error: io::Error) -> Failure {
    let cause = Cause::Local {
        doing: [doing, " ", &escape::line(&path.to_string_lossy())].concat(),
        error,
    };
    cause.into()
}

/// What happened, and what to type next; that may be nothing.
pub(crate) fn said(exit: Exit, what: &str, hint: &str) -> Failure {
    let (what, hint) = (what.to_owned(), hint.to_owned());
    Cause::Said { exit, what, hint }.into()
}

/// Wrong usage.
pub(crate) fn usage(what: &str, hint: &str) -> Failure {
    said(Exit::Usage, what, hint)
}

/// Nothing came in time.
pub(crate) fn nothing_came(what: &str, seconds: u64) -> Failure {
    let what = format!("no {what} within {seconds} s");
    said(Exit::NothingCame, &what, "")
}

/// This relay has no such call.
pub(crate) fn unable(what: &str, hint: &str) -> Failure {
    said(Exit::Refused, what, hint)
}

impl Cause {
    /// What the relay said, where it said no.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Cause::Refused(refused) => Some(&refused.refusal),
            _ => None,
        }
    }

    /// Its exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Cause::Said { exit, .. } => *exit,
            Cause::Nothing | Cause::NotRegistered { .. } => Exit::Usage,
            Cause::Local { error, .. } if error.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Cause::DamagedState { .. } | Cause::Local { .. } => Exit::Refused,
            Cause::FoundBySearch { .. } | Cause::NoReply { .. } => Exit::OutOfReach,
            Cause::Refused(refused) => refused_exit(&refused.refusal),
        }
    }

    /// What happened and, on the next line, what to type.
    pub(crate) fn report(&self) -> String {
        let (what, hint) = explain::words(self);
        let hint = hint.trim_end();
        if hint.is_empty() {
            what.trim_end().to_owned()
        } else {
            [what.trim_end(), "\n  ", hint].concat()
        }
    }
}

fn refused_exit(refusal: &Refusal) -> Exit {
    match refusal.code.as_str() {
        "unknown_agent" | "not_found" => Exit::NotFound,
        "ambiguous_agent" => Exit::Conflict,
        "unauthorized" | "forbidden" | "agent_claimed" => Exit::NotAllowed,
        "unavailable" => Exit::OutOfReach,
        _ => match refusal.status {
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 | 412 => Exit::Conflict,
            502..=504 => Exit::OutOfReach,
            _ => Exit::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Cause {
        Cause::Refused(Refused {
            refusal: Box::new(Refusal {
                status,
                code: code.to_owned(),
                error: "No.\u{1b}[2J".to_owned(),
                did_you_mean: vec!["anna".to_owned()],
                candidates: vec!["id1 (online, host)".to_owned()],
                ..Refusal::default()
            }),
            program: "clawlink".to_owned(),
            token_sent: false,
        })
    }

    fn no_reply(trouble: Trouble, maybe_taken: bool) -> Cause {
        Cause::NoReply {
            url: "http://localhost:9077".to_owned(),
            trouble,
            maybe_taken,
        }
    }

    #[test]
    fn the_code_decides_the_exit_and_else_the_status() {
        for (status, code, exit) in [
            (404, "unknown_agent", Exit::NotFound),
            (404, "", Exit::NotFound),
            (409, "ambiguous_agent", Exit::Conflict),
            (412, "some_new_code", Exit::Conflict),
            (401, "", Exit::NotAllowed),
            (403, "forbidden", Exit::NotAllowed),
            (409, "agent_claimed", Exit::NotAllowed),
            (429, "inbox_full", Exit::Refused),
            (400, "", Exit::Refused),
            (500, "", Exit::Refused),
            (503, "unavailable", Exit::OutOfReach),
        ] {
            assert_eq!(refused(status, code).exit(), exit, "{status} {code}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_type_and_nothing_raw() {
        let report = refused(404, "unknown_agent").report();
        assert_eq!(
            report,
            "the relay refused: No.\\u{1b}[2J\n  did you mean anna? All that are there: clawlink discover"
        );
        assert!(
            refused(409, "ambiguous_agent")
                .report()
                .ends_with("\n  id1 (online, host)")
        );
        assert!(refused(401, "").report().contains("CLAWLINK_TOKEN"));
    }

    #[test]
    fn a_sandbox_is_not_taken_for_a_relay_that_is_down() {
        assert!(
            no_reply(Trouble::Forbidden, false)
                .report()
                .contains("this sandbox forbids")
        );
        assert!(
            no_reply(Trouble::Refused, false)
                .report()
                .contains("clawlink-server --port 9077")
        );
        assert_eq!(no_reply(Trouble::Refused, false).exit(), Exit::OutOfReach);
    }

    #[test]
    fn a_lost_reply_says_that_nobody_knows() {
        let report = no_reply(Trouble::Timeout(10), true).report();
        assert!(report.contains("unknown"), "{report}");
    }
}
