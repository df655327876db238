//! What `poll`, `wait` and `watch` share: asking for mail, printing it, and losing none of it.
//!
//! Mail is leased, printed, and then acknowledged: what was not printed comes again. An original
//! knows no leases; there this program is the only place that has the mail, and what cannot be
//! printed is kept on disk.

use super::json_lines;
use super::presence::{RESTARTED, beat, enroll_again, note_epoch};
use super::receipts::{Fate, settle_batch};
use crate::api::{Again, Reply, Request};
use crate::args::Args;
use crate::escape;
use crate::failure::Failure;
use crate::json::Object;
use crate::kept;
use crate::message::Message;
use crate::output;
use crate::session::Session;
use crate::state::{Identity, Store};

/// How messages are taken and shown.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner {
    /// Nothing is taken.
    pub(super) peek: bool,
    /// They stay leased.
    pub(super) keep: bool,
    /// Nothing is said where there are none.
    pub(super) quiet: bool,
    /// Nothing is shortened.
    pub(super) full: bool,
}

impl Manner {
    /// What the command line says.
    pub(super) fn of(args: &Args) -> Manner {
        Manner {
            peek: args.peek,
            keep: args.keep,
            quiet: args.quiet,
            full: args.full,
        }
    }
}

/// The messages of one reply.
pub(super) struct Mail<'a> {
    /// Each as the relay wrote it.
    pub(super) messages: Vec<&'a str>,
    /// The token of their lease, if they have one.
    pub(super) batch: Option<String>,
    /// Whether the relay has them no more, whatever it was asked: an original.
    pub(super) taken: bool,
}

impl Mail<'_> {
    /// What a reply brings.
    pub(super) fn of(reply: &Object) -> Mail<'_> {
        Mail {
            messages: reply.list("messages"),
            batch: reply.text_of("batch"),
            taken: reply.text("epoch").is_empty(),
        }
    }
}

/// Which kind of relay this is, where no reply of it has told: what an original would misread, it is
/// not asked.
pub(super) fn look(session: &Session, mut identity: Identity) -> Result<Identity, Failure> {
    let info = session.get("/")?;
    note_epoch(&mut identity.entry, &info.fields);
    session.update(&identity)?;
    Ok(identity)
}

/// The original says nothing of an agent that it does not know, unless by a heartbeat.
pub(super) fn known_to_original(
    session: &Session,
    identity: Identity,
) -> Result<Identity, Failure> {
    if identity.entry.is_true("original") && !beat(session, &identity)?.1 {
        return enroll_again(session, identity);
    }
    Ok(identity)
}

/// One poll. A `wait` of 0 asks for none.
pub(super) fn ask(
    session: &Session,
    identity: &Identity,
    query: &str,
    wait: u64,
) -> Result<Reply, Failure> {
    let waits = match wait {
        0 => String::new(),
        _ => format!("&wait={wait}"),
    };
    let path = ["/poll/", identity.id.as_str(), query, &waits].concat();
    let reply = session.ask(&Request {
        path: &path,
        body: None,
        again: Again::Twice,
        wait,
    })?;
    if reply.fields.raw("messages").is_none() {
        return Err(session.not_a_relay("its list of messages is missing"));
    }
    Ok(reply)
}

/// Says what was lost before this poll.
pub(super) fn tell_missed(reply: &Object) {
    if let Some(missed) = reply.number("missed").filter(|missed| *missed > 0) {
        output::note(&format!(
            "{missed} broadcasts and file notices were dropped before this poll"
        ));
    }
}

/// Takes note of what the reply says about the relay and this agent.
pub(super) fn settle(
    session: &Session,
    mut identity: Identity,
    reply: &Object,
) -> Result<Identity, Failure> {
    if reply.text("status") == "unknown_agent" {
        return enroll_again(session, identity);
    }
    let original = identity.entry.is_true("original");
    let told = note_epoch(&mut identity.entry, reply);
    if told.restarted {
        output::note(RESTARTED.trim_end_matches("; "));
    }
    if told.news {
        session.update(&identity)?;
    }
    // A relay that turns out to be an original has not said whether it knows this agent.
    match identity.entry.is_true("original") && !original {
        true => known_to_original(session, identity),
        false => Ok(identity),
    }
}

/// Prints the messages. What could not be printed comes again at once, or is kept. Says whether it
/// was; no error where the reader has only gone.
pub(super) fn print(
    session: &Session,
    identity: &Identity,
    manner: Manner,
    mail: &Mail<'_>,
) -> Result<bool, Failure> {
    if mail.taken && (manner.peek || manner.keep) && !mail.messages.is_empty() {
        output::note("this relay cannot look or lease: the messages are off it now");
    }
    let Err(error) = output::print(&printed(session, manner, mail)) else {
        return Ok(true);
    };
    if let Some(batch) = &mail.batch {
        settle_batch(session, identity, batch, Fate::Again(0));
        output::note("not all could be printed; the messages come again");
    } else if mail.taken {
        rescue(session.store(), &mail.messages);
    }
    output::excuse(error).map(|()| false)
}

/// The messages as they are printed. What is printed short is kept whole before.
fn printed(session: &Session, manner: Manner, mail: &Mail<'_>) -> String {
    let messages = &mail.messages;
    if session.json {
        return json_lines(messages.iter().copied());
    }
    if messages.is_empty() {
        return if manner.quiet {
            String::new()
        } else {
            "No messages.\n".to_owned()
        };
    }
    let mut text = String::new();
    tidy(session);
    for raw in messages {
        let (message, rendered) = render(session, raw, manner.full);
        text.push_str(&rendered);
        if let Some(receipt) = message.receipt().filter(|_| manner.keep) {
            text.push_str(&["  done: ", &session.program, " ack ", &receipt, "\n"].concat());
        }
    }
    text
}

/// To be called before messages are rendered; see [`kept::tidy`].
pub(super) fn tidy(session: &Session) {
    kept::tidy(session.store());
}

/// A message, and how it is printed. What is printed short is kept whole before.
pub(super) fn render(session: &Session, raw: &str, full: bool) -> (Message, String) {
    let message = Message::parse(raw);
    let short = !full && message.is_long();
    let kept = short.then(|| kept::keep(session.store(), &message.id(), raw));
    let text = message.render(raw, &session.program, kept.flatten().as_deref());
    (message, text)
}

/// Keeps messages that are nowhere else, and says how to see them.
pub(super) fn rescue(store: &Store, messages: &[&str]) {
    kept::tidy(store);
    let commands: Vec<String> = messages.iter().filter_map(|raw| keep(store, raw)).collect();
    if !commands.is_empty() {
        output::note(&format!("the messages are kept: {}", commands.join(", ")));
    }
}

/// Keeps a message that is nowhere else: the command that shows it. Where it cannot be kept it is
/// said, whole.
pub(super) fn keep(store: &Store, raw: &str) -> Option<String> {
    let kept = kept::keep(store, &Message::parse(raw).id(), raw)
        .or_else(|| kept::keep(store, "message", raw));
    if kept.is_none() {
        output::note(&escape::json(raw));
    }
    kept.map(|id| kept::command(&id))
}
