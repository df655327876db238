//! `ack`, `nack`: what becomes of messages that were kept.

use super::{Done, json_line};
use crate::api::{Again, Answer, Reply, Request};
use crate::args::Args;
use crate::escape;
use crate::failure::{Exit, Failure, said, usage};
use crate::json;
use crate::session::Session;
use crate::state::Identity;
use clawlink_protocol::messages::{Ack, LEASE_RANGE};

pub(super) fn ack(session: &Session, args: &Args) -> Done {
    let reply = settle(session, &args.words, None, None)?;
    done(session, &reply, "acknowledged")
}

pub(super) fn nack(session: &Session, args: &Args) -> Done {
    if let Some(delay) = args.delay.filter(|delay| delay > LEASE_RANGE.end()) {
        let most = LEASE_RANGE.end();
        return Err(usage(
            &format!("--delay cannot be {delay}"),
            &format!("it takes 0 to {most} seconds"),
        ));
    }
    let reply = settle(session, &args.words, Some("nack"), args.delay)?;
    done(session, &reply, "given back")
}

fn settle(
    session: &Session,
    receipts: &[String],
    action: Option<&str>,
    delay: Option<u64>,
) -> Result<Reply, Failure> {
    if receipts.is_empty() {
        let hint = "it stands below each message that poll --keep prints";
        return Err(usage("missing: RECEIPT", hint));
    }
    let identity = session.identity()?;
    let call = Ack {
        agent_id: identity.id,
        receipts: Some(receipts.iter().map(Into::into).collect()),
        batch: None,
        action: action.map(str::to_owned),
        delay,
        lease: None,
    };
    session.post("/ack", &json::write(&call), Again::Twice, "ok")
}

/// What was done; a lease that was over is told, as its message comes again.
fn done(session: &Session, reply: &Reply, word: &str) -> Done {
    let count = reply.fields.number("done").unwrap_or_default();
    let expired = reply.fields.texts("expired");
    if !expired.is_empty() {
        let over: Vec<String> = expired
            .iter()
            .map(|receipt| escape::line(receipt))
            .collect();
        return Err(said(
            Exit::Conflict,
            &format!("{count} {word}; not {}: its lease was over", over.join(" ")),
            "such a message comes again: clawlink poll",
        ));
    }
    if session.json {
        return Ok(json_line(reply));
    }
    Ok(format!("{count} {word}\n"))
}

/// What becomes of leased messages.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// They are done with.
    Done,
    /// They come again after so many seconds.
    Again(u64),
    /// Their lease lasts so many seconds from now.
    Longer(u64),
}

/// Says what becomes of all messages of one reply. Whether that was done to all of them.
pub(super) fn settle_batch(
    session: &Session,
    identity: &Identity,
    batch: &str,
    fate: Fate,
) -> bool {
    let (action, delay, lease) = match fate {
        Fate::Done => (None, None, None),
        Fate::Again(delay) => (Some("nack"), Some(delay), None),
        Fate::Longer(lease) => (Some("extend"), None, Some(lease)),
    };
    let body = json::write(&Ack {
        agent_id: identity.id.clone(),
        receipts: None,
        batch: Some(batch.to_owned()),
        action: action.map(str::to_owned),
        delay,
        lease,
    });
    // To say it twice is to say it once.
    let request = Request {
        path: "/ack",
        body: Some(&body),
        again: Again::Harmless,
        wait: 0,
    };
    match session.try_ask(&request) {
        Ok(Answer::Done(reply)) => {
            let fields = &reply.fields;
            fields.texts("expired").is_empty() && !fields.is_true("unknown_batch")
        }
        _ => false,
    }
}
