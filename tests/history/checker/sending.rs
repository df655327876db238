//! One call, or one key, is one message; it comes to whom it was sent, and to nobody else.

use super::book::{Book, Letter};
use super::{Findings, Rule};
use crate::record::{Kind, Mark, Told};
use std::collections::BTreeSet;

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    for (&mark, letter) in &book.letters {
        one_message(book, mark, letter, findings);
        replays(mark, letter, findings);
        recipients(book, mark, letter, findings);
    }
    for parcel in book.parcels.values() {
        for handover in &parcel.handovers {
            if let Some(why) = stray(book, parcel.mark, parcel.agent, handover.to) {
                let what = format!("{} got m{}, {why}", parcel.agent, parcel.mark);
                findings.add(Rule::Misdelivered, parcel.mark, what);
            }
        }
    }
}

fn one_message(book: &Book<'_>, mark: Mark, letter: &Letter<'_>, findings: &mut Findings) {
    let told = letter.calls.iter().filter_map(|call| call.told.done());
    let mut ids: BTreeSet<&str> = told.filter_map(|accepted| accepted.id.as_deref()).collect();
    let copies = book
        .parcels
        .range((mark, "")..)
        .take_while(|((other, _), _)| *other == mark);
    let handovers = copies.flat_map(|(_, parcel)| &parcel.handovers);
    ids.extend(handovers.map(|handover| handover.item.id.as_str()));
    if ids.len() > 1 {
        let ids: Vec<&str> = ids.into_iter().collect();
        let what = format!("m{mark} became {} messages: {}", ids.len(), ids.join(", "));
        findings.add(Rule::Doubled, mark, what);
    }
}

/// A key that is known gives the first reply again, and says so; a new one does not.
fn replays(mark: Mark, letter: &Letter<'_>, findings: &mut Findings) {
    for (n, call) in letter.calls.iter().enumerate() {
        let Told::Done(accepted) = &call.told else {
            continue;
        };
        let before = &letter.calls[..n];
        let known = before
            .iter()
            .any(|b| b.told.done().is_some() && b.span.to < call.span.from);
        let possible = before.iter().any(|b| !matches!(b.told, Told::Refused(..)));
        if (known && !accepted.replayed) || (accepted.replayed && !possible) {
            let what = format!(
                "call {} of m{mark} was answered with replayed:{}",
                n + 1,
                accepted.replayed
            );
            findings.add(Rule::NotReplayed, mark, what);
        }
    }
}

/// A broadcast goes to every other agent that is registered.
fn recipients(book: &Book<'_>, mark: Mark, letter: &Letter<'_>, findings: &mut Findings) {
    let told = letter.accepted().and_then(|call| call.told.done());
    let Some(count) = told.and_then(|accepted| accepted.recipients) else {
        return;
    };
    let from = &*letter.first().from;
    let others = || book.joined.iter().filter(|(agent, _)| **agent != from);
    let sure = others()
        .filter(|(agent, _)| book.was_there(agent, letter.span))
        .count();
    let may = |agent: &str| {
        let leave = book.left.get(agent);
        leave.is_none_or(|leave| leave.to >= letter.span.from)
    };
    let possible = others().filter(|(agent, join)| join.from <= letter.span.to && may(agent));
    let possible = possible.count();
    if !(sure as u64..=possible as u64).contains(&count) {
        let what = format!("m{mark} was said to go to {count} of {sure} to {possible} agents");
        findings.add(Rule::Recipients, mark, what);
    }
}

/// Why this agent should not have got it by then.
fn stray(book: &Book<'_>, mark: Mark, agent: &str, by: u64) -> Option<&'static str> {
    let Some(letter) = book.letters.get(&mark) else {
        return Some("which nobody sent");
    };
    let sent = letter.first();
    let other = sent.to.as_deref().is_some_and(|to| to != agent);
    let own = sent.kind == Kind::Broadcast && &*sent.from == agent;
    match () {
        () if !letter.may_exist() => Some("which the relay had refused"),
        () if other => Some("which was for another"),
        () if own => Some("which was its own broadcast"),
        () if by < letter.span.from => Some("which was not yet sent"),
        () => None,
    }
}
