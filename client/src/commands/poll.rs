//! `poll`, `wait` and `show`.
//!
//! Mail is leased, printed, and then acknowledged: what was not printed comes again. An original
//! knows no leases; there this program is the only place that has the mail, and what cannot be
//! printed is kept on disk.

use super::presence::{RESTARTED, beat, enroll_again, note_epoch};
use super::receipts::settle_batch;
use super::{Done, json_lines};
use crate::api::{Again, Reply, Request};
use crate::args::{self, Top};
use crate::escape;
use crate::failure::Failure;
use crate::json::Object;
use crate::kept;
use crate::message::Message;
use crate::output;
use crate::session::{self, Session};
use crate::state::{Identity, Store};
use clawlink_protocol::messages::WAIT_MAX;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};

/// Seconds of the longest wait: a year.
const WAIT_LONGEST: u64 = 365 * 24 * 3600;
/// Before a poll that was answered early is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// Seconds in which messages that are being printed are nobody else's.
const LEASE: u64 = 60;
/// The same for messages that are kept.
const KEEP: u64 = 3600;

pub(super) fn poll(session: &Session, args: &args::Poll) -> Done {
    let mut identity = look_first(session, session.identity()?, args)?;
    // The original says nothing of an agent that it does not know, unless by a heartbeat.
    if identity.entry.is_true("original") && !beat(session, &identity)?.1 {
        identity = enroll_again(session, identity)?;
    }
    let query = match identity.entry.is_true("original") {
        true => String::new(),
        false => query(args),
    };
    let reply = receive(session, &identity, &query, args.wait.unwrap_or(0))?;
    let messages = reply.fields.list("messages");
    let batch = reply.fields.text_of("batch");
    // Mail first: whatever fails after this must not lose it.
    if let Err(error) = output::print(&printed(session, args, &messages)) {
        match batch {
            // They come again at once, instead of when the lease ends.
            Some(batch) => {
                settle_batch(session, &identity, &batch, Some("nack"));
                output::note("not all could be printed; the messages come again");
            }
            None if reply.fields.text("epoch").is_empty() => rescue(session.store(), &messages),
            None => {}
        }
        output::excuse(error)?;
    } else if let Some(batch) = batch
        && !args.keep
        && !settle_batch(session, &identity, &batch, None)
    {
        output::note("printed, but the relay could not be told in time: the messages come again");
    }
    tell(
        &reply.fields,
        if args.peek { messages.len() as u64 } else { 0 },
    );
    settle(session, identity, &reply.fields)?;
    Ok(String::new())
}

/// What an original would misread, an original is not asked. Which kind a relay is, is asked once.
fn look_first(
    session: &Session,
    mut identity: Identity,
    args: &args::Poll,
) -> Result<Identity, Failure> {
    let more = args.peek || args.keep || args.max.is_some() || args.wait.is_some();
    let entry = &identity.entry;
    if more && entry.text("epoch").is_empty() && !entry.is_true("original") {
        let info = session.get("/")?;
        note_epoch(&mut identity.entry, &info.fields);
        session.update(&identity)?;
    }
    if more && identity.entry.is_true("original") {
        return Err(Failure::Unable {
            what: "this relay cannot wait, look or lease: it takes all mail off at once".to_owned(),
            hint: format!("without these options: {} poll", session.program),
        });
    }
    Ok(identity)
}

fn query(args: &args::Poll) -> String {
    let max = args
        .max
        .map(|max| format!("&max={max}"))
        .unwrap_or_default();
    match args.peek {
        true => format!("?peek=1{max}"),
        false => format!("?lease={}{max}", if args.keep { KEEP } else { LEASE }),
    }
}

/// A poll, as often as the relay holds one, until there is something or the time is up.
fn receive(
    session: &Session,
    identity: &Identity,
    query: &str,
    seconds: u64,
) -> Result<Reply, Failure> {
    let until = Instant::now() + Duration::from_secs(seconds.min(WAIT_LONGEST));
    loop {
        let began = Instant::now();
        let left = until.saturating_duration_since(Instant::now());
        let left = left.as_millis().div_ceil(1000) as u64;
        let wait = left.min(WAIT_MAX);
        let waits = if wait > 0 {
            format!("&wait={wait}")
        } else {
            String::new()
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
        let answered =
            !reply.fields.list("messages").is_empty() || !reply.fields.text("status").is_empty();
        if answered || Instant::now() >= until {
            return Ok(reply);
        }
        // Another poll of this agent took our place, or the relay is ending: not at once again.
        if began.elapsed().as_secs() < wait {
            std::thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// What the reply says beside its messages.
fn tell(reply: &Object, shown: u64) {
    if let Some(missed) = reply.number("missed").filter(|missed| *missed > 0) {
        output::note(&format!(
            "{missed} broadcasts and file notices were dropped before this poll"
        ));
    }
    // What was only shown is among what remains.
    let more = reply
        .number("remaining")
        .unwrap_or_default()
        .saturating_sub(shown);
    if more > 0 {
        output::note(&format!("{more} more wait: poll again"));
    }
}

pub(super) fn wait(session: &Session, args: &args::Wait) -> Done {
    let looking = args::Poll {
        wait: None,
        max: None,
        peek: true,
        keep: false,
        quiet: false,
        full: false,
    };
    let mut identity = look_first(session, session.identity()?, &looking)?;
    let seconds = args.seconds.unwrap_or(WAIT_LONGEST);
    loop {
        let reply = receive(session, &identity, "?peek=1&max=1", seconds)?;
        if reply.fields.text("status") == "unknown_agent" {
            identity = enroll_again(session, identity)?;
            continue;
        }
        settle(session, identity, &reply.fields)?;
        let waiting = reply.fields.number("remaining").unwrap_or_default();
        return match waiting {
            0 => Err(Failure::NothingCame { seconds }),
            _ if session.json => Ok(format!("{{\"waiting\":{waiting}}}\n")),
            1 => Ok(format!("1 message waits: {} poll\n", session.program)),
            _ => Ok(format!(
                "{waiting} messages wait: {} poll\n",
                session.program
            )),
        };
    }
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

/// The messages as they are printed. What is printed short is kept whole before.
fn printed(session: &Session, args: &args::Poll, messages: &[Box<RawValue>]) -> String {
    if session.json {
        return json_lines(messages.iter().map(|raw| raw.get()));
    }
    if messages.is_empty() {
        return if args.quiet {
            String::new()
        } else {
            "No messages.\n".to_owned()
        };
    }
    let (store, mut text) = (session.store(), String::new());
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
        if let Some(receipt) = message.receipt().filter(|_| args.keep) {
            text.push_str(&["  done: ", &session.program, " ack ", &receipt, "\n"].concat());
        }
    }
    text
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
