//! `poll` and `show`.
//!
//! A poll takes mail off the relay, so from there on this program is the only place that has
//! it: what is not printed whole is kept on disk before anything is printed, and what cannot
//! be printed at all is kept too.

use super::presence::{RESTARTED, beat, enroll_again, note_epoch};
use super::{Done, json_lines};
use crate::api::Request;
use crate::args::{self, Top};
use crate::escape;
use crate::failure::Failure;
use crate::json::Object;
use crate::kept;
use crate::message::Message;
use crate::output;
use crate::session::{self, Session};
use crate::state::{Identity, Store};
use serde_json::value::RawValue;

pub(super) fn poll(session: &Session, args: &args::Poll) -> Done {
    let mut identity = session.identity()?;
    // The original says nothing of an agent that it does not know, unless by a heartbeat.
    if identity.entry.is_true("original") && !beat(session, &identity)?.1 {
        identity = enroll_again(session, identity)?;
    }
    let path = ["/poll/", identity.id.as_str()].concat();
    let reply = session.ask(&Request {
        path: &path,
        body: None,
        repeatable: false,
    })?;
    if reply.fields.raw("messages").is_none() {
        return Err(session.not_a_relay("its list of messages is missing"));
    }
    let messages = reply.fields.list("messages");
    // Mail first: whatever fails after this must not lose it.
    deliver(session, args, &messages)?;
    if let Some(missed) = reply.fields.number("missed").filter(|missed| *missed > 0) {
        output::note(&format!(
            "{missed} broadcasts and file notices were dropped before this poll"
        ));
    }
    settle(session, identity, &reply.fields)?;
    Ok(String::new())
}

/// Takes note of what the reply says about the relay and this agent.
fn settle(session: &Session, mut identity: Identity, reply: &Object) -> Result<(), Failure> {
    if reply.text("status") == "unknown_agent" {
        enroll_again(session, identity)?;
        return Ok(());
    }
    let (epoch, original) = (
        identity.entry.text("epoch"),
        identity.entry.is_true("original"),
    );
    if note_epoch(&mut identity.entry, reply) {
        output::note(RESTARTED.trim_end_matches("; "));
    }
    // A relay that turns out to be an original has not said whether it knows this agent.
    if identity.entry.is_true("original") && !original && !beat(session, &identity)?.1 {
        enroll_again(session, identity)?;
    } else if epoch != identity.entry.text("epoch")
        || original != identity.entry.is_true("original")
    {
        session.update(&identity)?;
    }
    Ok(())
}

/// Prints the messages, and keeps what does not get through whole.
fn deliver(
    session: &Session,
    args: &args::Poll,
    messages: &[Box<RawValue>],
) -> Result<(), Failure> {
    let store = session.store();
    let mut text = String::new();
    if session.json {
        text = json_lines(messages.iter().map(|raw| raw.get()));
    } else if messages.is_empty() {
        if !args.quiet {
            text.push_str("No messages.\n");
        }
    } else {
        kept::tidy(store);
        for raw in messages {
            let raw = raw.get();
            let message = Message::parse(raw);
            let short = !args.full && message.is_long();
            let kept = if short {
                kept::keep(store, &message.id(), raw)
            } else {
                None
            };
            text.push_str(&message.render(raw, &session.program, kept.as_deref()));
        }
    }
    output::print(&text).or_else(|error| {
        rescue(store, messages);
        output::excuse(error)
    })
}

/// Keeps all of them, where standard output did not take them.
fn rescue(store: &Store, messages: &[Box<RawValue>]) {
    let ids = messages.iter().filter_map(|raw| {
        let raw = raw.get();
        let id = match Message::parse(raw).id() {
            id if id.is_empty() => "message".to_owned(),
            id => id,
        };
        kept::keep(store, &id, raw)
    });
    let commands: Vec<String> = ids.map(|id| kept::command(&id)).collect();
    if !commands.is_empty() {
        output::note(&format!(
            "the messages could not be printed and are kept: {}",
            commands.join(", ")
        ));
    }
}

pub(super) fn show(top: &Top, args: &args::Show) -> Done {
    let raw = kept::find(&session::store(top)?, &args.id)?;
    if top.json {
        return Ok([&escape::json(&raw), "\n"].concat());
    }
    Ok(Message::parse(&raw).render(&raw, &session::program(top), None))
}
