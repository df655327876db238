//! A message is in one place at a time: what was handed over comes again only after whoever had
//! it may have lost it, and never after it was acknowledged.

use super::book::{Book, Handover, Parcel, SLACK, Way};
use super::{Findings, Rule};
use crate::record::{Micros, Span};

/// Attempts that a message has.
pub(super) const ATTEMPTS_MAX: u32 = 5;
/// An acknowledgement that begins so long after the lease is late without a doubt.
const LATE: Micros = 50_000;

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    for parcel in book.parcels.values() {
        pairs(parcel, findings);
        for handover in &parcel.handovers {
            stale_ack(book, parcel, handover, findings);
            attempt(book, parcel, handover, findings);
        }
    }
}

/// Whether one may have been over before the other began.
fn may_precede(first: &Handover<'_>, second: &Handover<'_>) -> bool {
    // On one way a message comes once, unless it was given back there.
    let one_way = first.place.0 == second.place.0;
    let returned = first
        .returned
        .is_some_and(|returned| returned <= second.to + SLACK);
    let counted = match (first.item.attempt, second.item.attempt) {
        (Some(a), Some(b)) if first.way == Way::Leased && second.way == Way::Leased => a < b,
        // Whether a broken socket has cost an attempt is the relay's to say.
        (Some(a), Some(b)) => a <= b,
        _ => true,
    };
    let free = first.free.is_some_and(|free| free <= second.to + SLACK);
    counted && if one_way { returned } else { free }
}

fn pairs(parcel: &Parcel<'_>, findings: &mut Findings) {
    for (n, one) in parcel.handovers.iter().enumerate() {
        for other in &parcel.handovers[n + 1..] {
            if may_precede(one, other) || may_precede(other, one) {
                continue;
            }
            let (rule, why) = judge(one, other);
            let what = format!("m{} came to {} {why}", parcel.mark, parcel.agent);
            findings.add(rule, parcel.mark, what);
            return;
        }
    }
}

/// What is wrong with two handovers of one copy that exclude each other.
fn judge(one: &Handover<'_>, other: &Handover<'_>) -> (Rule, &'static str) {
    for (acked, again) in [(one, other), (other, one)] {
        let Some(ack) = acked.acked else { continue };
        if acked.place.0 == again.place.0 || acked.item.receipt == again.item.receipt {
            continue;
        }
        let later = match (acked.item.attempt, again.item.attempt) {
            (Some(a), Some(b)) if a != b => a < b,
            _ => acked.to <= again.to,
        };
        if later && again.to <= ack.from {
            let why = "again, and only then the receipt of the time before was taken as good";
            return (Rule::StaleAck, why);
        }
        if later {
            return (
                Rule::AfterAck,
                "again after its acknowledgement was confirmed",
            );
        }
    }
    (
        Rule::Twice,
        "twice, and nothing had taken it back in between",
    )
}

/// An acknowledgement that was confirmed though its delivery was over.
fn stale_ack(
    book: &Book<'_>,
    parcel: &Parcel<'_>,
    handover: &Handover<'_>,
    findings: &mut Findings,
) {
    let Some(ack) = handover.acked else { return };
    let said_before = |span: Span| span.from < ack.from;
    if handover.perhaps_acked.is_some_and(said_before) {
        return;
    }
    let over = handover.over.filter(|_| !book.history.stood_still);
    let why = if handover.nacked.is_some_and(|nack| nack.to <= ack.from) {
        "it had been given back"
    } else if over.is_some_and(|over| over + LATE < ack.from) {
        "its lease was over"
    } else {
        return;
    };
    let what = format!(
        "an acknowledgement of m{} by {} was done, though {why}",
        parcel.mark, parcel.agent
    );
    findings.add(Rule::StaleAck, parcel.mark, what);
}

/// The number of an attempt is 1 to 5, and counts all before it, seen or possible.
fn attempt(book: &Book<'_>, parcel: &Parcel<'_>, handover: &Handover<'_>, findings: &mut Findings) {
    let attempt = match (handover.way, handover.item.attempt) {
        (Way::Plain | Way::Socket, None) => return,
        (_, attempt) => attempt.unwrap_or(0),
    };
    let is_before = |other: &&Handover<'_>| {
        let counted = other.item.attempt.is_some_and(|count| count <= attempt);
        counted && other.place != handover.place
    };
    let seen = parcel.handovers.iter().filter(is_before).count();
    let ghosts = book.ghosts_of(parcel.agent).iter();
    let unseen = ghosts
        .filter(|ghost| ghost.counts && ghost.from <= handover.to)
        .count();
    let possible = attempt as usize <= 1 + seen + unseen;
    if (1..=ATTEMPTS_MAX).contains(&attempt) && possible {
        return;
    }
    let what = format!(
        "m{} came to {} as attempt {attempt}, after {seen} seen and at most {unseen} unseen",
        parcel.mark, parcel.agent
    );
    findings.add(Rule::Attempts, parcel.mark, what);
}

/// Whether all attempts of a copy may have been used: those seen, and one by each that may have
/// taken it unseen after the last of them.
pub(super) fn may_be_used_up(book: &Book<'_>, parcel: &Parcel<'_>) -> bool {
    let last = parcel
        .handovers
        .iter()
        .max_by_key(|handover| handover.item.attempt);
    let seen = last.and_then(|handover| handover.item.attempt).unwrap_or(0);
    let since = last
        .map_or(Some(0), |handover| handover.free)
        .unwrap_or(Micros::MAX);
    let ghosts = book.ghosts_of(parcel.agent).iter();
    let unseen = ghosts
        .filter(|ghost| ghost.counts && ghost.until >= since)
        .count();
    seen as usize + unseen >= ATTEMPTS_MAX as usize
}
