//! `poll`, `wait` and `show`.

use super::Done;
use super::mail::{self, Mail, Manner};
use super::presence::enroll_again;
use super::receipts::{Fate, settle_batch};
use crate::api::{Reply, whole_seconds};
use crate::args::Args;
use crate::environment::Environment;
use crate::escape;
use crate::failure::{Failure, nothing_came, unable};
use crate::input;
use crate::kept;
use crate::message::Message;
use crate::output;
use crate::session::{self, Session};
use crate::state::Identity;
use clawlink_protocol::messages::{POLL_MAX, WAIT_MAX};
use std::time::{Duration, Instant};

/// Seconds of the longest wait: a year.
const WAIT_LONGEST: u64 = 365 * 24 * 3600;
/// Before a poll that was answered early is asked again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Seconds in which messages that are being printed are nobody else's.
const LEASE: u64 = 60;
/// The same for messages that are kept.
const KEEP: u64 = 3600;

pub(super) fn poll(session: &Session, args: &Args) -> Done {
    input::within("--max", args.max, 1..=POLL_MAX, "messages")?;
    let manner = Manner::of(args);
    let more = manner.peek || manner.keep || args.max.is_some() || args.wait.is_some();
    let identity = look_first(session, session.identity()?, more)?;
    let identity = mail::known_to_original(session, identity)?;
    let query = match identity.entry.is_true("original") {
        true => String::new(),
        false => query(args),
    };
    let reply = receive(session, &identity, &query, until(args.wait.unwrap_or(0)))?;
    let reply = reply.fields;
    let mail = Mail::of(&reply);
    // Mail first: whatever fails after this must not lose it.
    if mail::print(session, &identity, manner, &mail)?
        && let Some(batch) = &mail.batch
        && !args.keep
        && !settle_batch(session, &identity, batch, Fate::Done)
    {
        output::note("printed, but the relay could not be told in time: the messages come again");
    }
    mail::tell_missed(&reply);
    // What was only shown is among what remains.
    let shown = if args.peek { mail.messages.len() } else { 0 };
    let remaining = reply.number("remaining").unwrap_or_default();
    let more = remaining.saturating_sub(shown as u64);
    if more > 0 {
        output::note(&format!("{more} more wait: poll again"));
    }
    mail::settle(session, identity, &reply)?;
    Ok(String::new())
}

/// What an original would misread (`more` than to hand over all mail), an original is not asked. One that was seen before may have been
/// replaced by ours.
fn look_first(session: &Session, identity: Identity, more: bool) -> Result<Identity, Failure> {
    if !more || !identity.entry.text("epoch").is_empty() {
        return Ok(identity);
    }
    let identity = mail::look(session, identity)?;
    if identity.entry.is_true("original") {
        return Err(unable(
            "this relay cannot wait, look or lease: it takes all mail off at once",
            &format!("without these options: {} poll", session.program),
        ));
    }
    Ok(identity)
}

fn query(args: &Args) -> String {
    let max = args.max.map(|max| ["&max=", &max.to_string()].concat());
    let max = max.unwrap_or_default();
    if args.peek {
        return ["?peek=1", &max].concat();
    }
    let lease = if args.keep { KEEP } else { LEASE };
    ["?lease=", &lease.to_string(), &max].concat()
}

/// The end of a wait of so many seconds.
pub(super) fn until(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds.min(WAIT_LONGEST))
}

/// A poll, as often as the relay holds one, until there is something or the time is up.
fn receive(
    session: &Session,
    identity: &Identity,
    query: &str,
    until: Instant,
) -> Result<Reply, Failure> {
    loop {
        let began = Instant::now();
        let left = until.saturating_duration_since(Instant::now());
        let wait = whole_seconds(left).min(WAIT_MAX);
        let reply = mail::ask(session, identity, query, wait)?;
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

pub(super) fn wait(session: &Session, args: &Args) -> Done {
    let mut identity = look_first(session, session.identity()?, true)?;
    let seconds = args.seconds.unwrap_or(WAIT_LONGEST);
    let until = until(seconds);
    let reply = loop {
        let reply = receive(session, &identity, "?peek=1&max=1", until)?.fields;
        if reply.text("status") != "unknown_agent" {
            break reply;
        }
        identity = enroll_again(session, identity)?;
    };
    let mail = Mail::of(&reply);
    if mail.taken && !mail.messages.is_empty() {
        let manner = Manner {
            peek: true,
            ..Manner::default()
        };
        mail::print(session, &identity, manner, &mail)?;
        mail::settle(session, identity, &reply)?;
        return Ok(String::new());
    }
    mail::settle(session, identity, &reply)?;
    let waiting = reply.number("remaining").unwrap_or_default();
    match waiting {
        0 => Err(nothing_came("mail", seconds)),
        _ if session.json => Ok(format!("{{\"waiting\":{waiting}}}\n")),
        1 => Ok(format!("1 message waits: {} poll\n", session.program)),
        _ => Ok(format!(
            "{waiting} messages wait: {} poll\n",
            session.program
        )),
    }
}

pub(super) fn show(args: &Args) -> Done {
    let store = session::store(args, &Environment::read())?;
    let raw = kept::find(&store, args.word())?;
    if args.json {
        return Ok([&escape::json(&raw), "\n"].concat());
    }
    Ok(Message::parse(&raw).render(&raw, &session::program(args), None))
}
