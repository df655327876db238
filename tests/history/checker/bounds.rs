//! Bounds hold: of an inbox, of a reply, and of the arithmetic of receipts.

use super::book::{Book, Letter, Parcel, Way};
use super::places::may_be_used_up;
use super::{Findings, Rule};
use crate::record::{Event, Mark, Micros, Polled, Settled, Told};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    for event in &book.history.events {
        match event {
            Event::Polled(polled) => reply(polled, findings),
            Event::Settled(settled) => arithmetic(settled, findings),
            _ => {}
        }
    }
    inboxes(book, findings);
}

fn reply(polled: &Polled, findings: &mut Findings) {
    let count = polled.told.done().map_or(0, Vec::len);
    if let Some(max) = polled.max.filter(|&max| count > max) {
        let what = format!("{} asked for {max} messages and got {count}", polled.agent);
        findings.add(Rule::OverMax, None, what);
    }
}

fn arithmetic(settled: &Settled, findings: &mut Findings) {
    let Told::Done(settlement) = &settled.told else {
        return;
    };
    let asked: BTreeSet<&String> = settled.receipts.iter().collect();
    let strange = settlement
        .expired
        .iter()
        .any(|receipt| !asked.contains(receipt));
    if settlement.done + settlement.expired.len() != asked.len() || strange {
        let what = format!(
            "{} named {} receipts: {} done, {} expired",
            settled.agent,
            asked.len(),
            settlement.done,
            settlement.expired.len()
        );
        findings.add(Rule::Miscounted, None, what);
    }
}

/// The mail that was surely inside each inbox, at each moment.
fn inboxes(book: &Book<'_>, findings: &mut Findings) {
    let mut changes: BTreeMap<&str, Vec<(Micros, i64, Mark)>> = BTreeMap::new();
    for parcel in book.parcels.values() {
        let Some(letter) = book
            .letters
            .get(&parcel.mark)
            .filter(|letter| letter.is_mail())
        else {
            continue;
        };
        let Some(accepted) = letter.accepted() else {
            continue;
        };
        let (came, left) = (accepted.span.to, may_have_left(book, letter, parcel));
        if came < left {
            let changes = changes.entry(parcel.agent).or_default();
            changes.push((came, 1, parcel.mark));
            changes.push((left, -1, parcel.mark));
        }
    }
    for (agent, mut changes) in changes {
        changes.sort_unstable();
        let mut inside = 0;
        for (at, change, mark) in changes {
            inside += change;
            if inside > book.history.inbox_limit as i64 {
                let limit = book.history.inbox_limit;
                let seconds = at / 1_000_000;
                let what = format!("{agent} had {inside} messages of {limit} at {seconds} s");
                findings.add(Rule::OverLimit, mark, what);
                break;
            }
        }
    }
}

/// The earliest moment in which a message may have left its inbox for good.
fn may_have_left(book: &Book<'_>, letter: &Letter<'_>, parcel: &Parcel<'_>) -> Micros {
    let mut moments = vec![Micros::MAX];
    for handover in &parcel.handovers {
        let acked = [handover.acked, handover.perhaps_acked]
            .into_iter()
            .flatten();
        moments.extend(acked.map(|span| span.from));
        if matches!(handover.way, Way::Plain | Way::Socket) {
            moments.push(handover.from);
        }
    }
    let ghosts = book.ghosts_of(parcel.agent);
    let losing = ghosts
        .iter()
        .filter(|ghost| ghost.loses && ghost.until >= letter.span.from);
    moments.extend(losing.map(|ghost| ghost.from));
    if !parcel.died.is_empty() || may_be_used_up(book, parcel) {
        moments.extend(parcel.handovers.iter().map(|handover| handover.from));
        moments.extend(
            ghosts
                .iter()
                .filter(|ghost| ghost.counts)
                .map(|ghost| ghost.from),
        );
    }
    moments.extend(letter.first().ttl.map(|ttl| letter.span.from + ttl));
    moments.extend(book.left.get(parcel.agent).map(|leave| leave.from));
    moments.into_iter().min().unwrap_or(Micros::MAX)
}
