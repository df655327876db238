//! An accepted message does not vanish: it is acknowledged, dead with a reason, still waiting, or
//! was taken for good by somebody who may not have got it.

use super::book::{Book, Letter, Parcel, Way};
use super::places::may_be_used_up;
use super::{Findings, Rule};
use crate::record::Event;
use std::collections::BTreeMap;

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    let died = |event: &&Event| matches!(event, Event::Died(_));
    let dead = book.history.events.iter().filter(died).count();
    // Where the list is nearly full, the oldest may have left it.
    let listed = book
        .history
        .dead_limit
        .is_some_and(|limit| dead * 10 < limit * 9);
    let mut broadcasts: BTreeMap<&str, Vec<&Parcel<'_>>> = BTreeMap::new();
    for parcel in book.parcels.values() {
        let Some(letter) = book.letters.get(&parcel.mark) else {
            continue;
        };
        // Of what was not accepted for sure nothing is promised.
        if letter.accepted().is_none() || is_accounted_for(parcel) {
            continue;
        }
        if is_excused(book, letter, parcel, listed) {
            findings.excuse(parcel.agent, 1);
            continue;
        }
        match letter.is_mail() {
            true => lost(parcel, findings),
            false => broadcasts.entry(parcel.agent).or_default().push(parcel),
        }
    }
    for (agent, parcels) in broadcasts {
        let missed = missed(book, agent);
        if parcels.len() as u64 > missed && !book.ghosts_of(agent).iter().any(|g| g.polled) {
            parcels
                .into_iter()
                .for_each(|parcel| lost(parcel, findings));
        }
    }
}

fn lost(parcel: &Parcel<'_>, findings: &mut Findings) {
    let what = match parcel.handovers.len() {
        0 => format!("m{} never came to {}", parcel.mark, parcel.agent),
        n => format!(
            "m{} came to {} {n} times, was not acknowledged, and came no more",
            parcel.mark, parcel.agent
        ),
    };
    findings.add(Rule::Lost, parcel.mark, what);
}

/// Somebody has it, or may have said so; or it is known to be dead, or to wait.
fn is_accounted_for(parcel: &Parcel<'_>) -> bool {
    let taken = parcel.handovers.iter().any(|handover| {
        let acked = handover.acked.is_some() || handover.perhaps_acked.is_some();
        acked || matches!(handover.way, Way::Plain | Way::Socket)
    });
    taken || parcel.waits || !parcel.died.is_empty()
}

/// It may be gone by a way that the relay has told beforehand.
fn is_excused(book: &Book<'_>, letter: &Letter<'_>, parcel: &Parcel<'_>, listed: bool) -> bool {
    let taken_unseen = |ghost: &super::book::Ghost| ghost.loses && ghost.until >= letter.span.from;
    if book.ghosts_of(parcel.agent).iter().any(taken_unseen) {
        return true;
    }
    let accepted = letter
        .accepted()
        .map_or(letter.span.to, |call| call.span.to);
    // Only mail that was surely inside must be listed.
    let listed = listed && letter.is_mail();
    if let Some(leave) = book.left.get(parcel.agent) {
        return !listed || accepted >= leave.from;
    }
    let expired = letter.first().ttl.is_some() && parcel.handovers.is_empty();
    !listed && (expired || may_be_used_up(book, parcel))
}

/// Notices that gave way, as the agent was told.
fn missed(book: &Book<'_>, agent: &str) -> u64 {
    let told = book.history.events.iter().map(|event| match event {
        Event::Polled(polled) if &*polled.agent == agent => polled.missed,
        _ => 0,
    });
    told.sum()
}
