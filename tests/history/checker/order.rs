//! First in, first out for a sender, a receiver and a priority; urgent before low.

use super::book::{Book, Handover, Letter, Parcel};
use super::{Findings, Rule};
use crate::record::{Event, Micros};
use std::collections::BTreeMap;

/// Each message is compared with so many that followed it.
const NEIGHBOURS: usize = 200;

type Row<'b, 'a> = Vec<(&'b Letter<'a>, &'b Parcel<'a>)>;

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    let mut rows: BTreeMap<(&str, &str, u8), Row<'_, '_>> = BTreeMap::new();
    for parcel in book
        .parcels
        .values()
        .filter(|parcel| !parcel.handovers.is_empty())
    {
        if let Some(letter) = book.letters.get(&parcel.mark) {
            let key = (&*letter.first().from, parcel.agent, letter.first().rank);
            rows.entry(key).or_default().push((letter, parcel));
        }
    }
    for row in rows.values_mut() {
        row.sort_by_key(|(letter, _)| letter.span.from);
        for (n, (earlier, first)) in row.iter().enumerate() {
            for (later, second) in row[n + 1..].iter().take(NEIGHBOURS) {
                // Of calls that overlap, either may have come first.
                if earlier.span.to < later.span.from {
                    overtaken(book, first, second, findings);
                }
            }
        }
    }
    urgency(book, findings);
}

/// The earlier of two messages was overtaken by the later.
fn overtaken(book: &Book<'_>, earlier: &Parcel<'_>, later: &Parcel<'_>, findings: &mut Findings) {
    let why = if reversed_in_a_reply(book, earlier, later) {
        "in the same reply"
    } else if came_first(book, later, earlier) {
        "though it was sent later"
    } else {
        return;
    };
    let (mark, agent) = (earlier.mark, earlier.agent);
    let what = format!("m{} came to {agent} before m{mark}, {why}", later.mark);
    findings.add(Rule::OutOfOrder, mark, what);
}

/// What waits is in order, also where it comes again: so is each reply.
fn reversed_in_a_reply(book: &Book<'_>, earlier: &Parcel<'_>, later: &Parcel<'_>) -> bool {
    earlier.handovers.iter().any(|a| {
        let reply = matches!(book.history.events[a.place.0], Event::Polled(_));
        let reversed = |b: &Handover<'_>| b.place.0 == a.place.0 && b.place.1 < a.place.1;
        reply && later.handovers.iter().any(reversed)
    })
}

/// Whether the first handover of one was surely before that of the other, and nobody unseen may
/// have had the other before that.
fn came_first(book: &Book<'_>, one: &Parcel<'_>, other: &Parcel<'_>) -> bool {
    let begins = |parcel: &Parcel<'_>| parcel.handovers.iter().map(|h| h.from).min();
    let is_first = |handover: &&Handover<'_>, parcel: &Parcel<'_>| {
        let others = parcel
            .handovers
            .iter()
            .filter(|h| h.place != handover.place);
        others.into_iter().all(|h| h.from > handover.to)
    };
    let mut candidates = one.handovers.iter();
    let Some(mine) = candidates.find(|handover| is_first(handover, one)) else {
        return false;
    };
    let on_one_stream = || {
        let theirs = other.handovers.iter().find(|h| h.place.0 == mine.place.0);
        theirs.is_some_and(|theirs| is_first(&theirs, other) && mine.place.1 < theirs.place.1)
    };
    let apart = begins(other).is_some_and(|begins: Micros| mine.to < begins);
    let in_unseen_hands = || {
        let mut ghosts = book.ghosts_of(one.agent).iter();
        ghosts.any(|ghost| ghost.from <= mine.to && ghost.until >= mine.from)
    };
    (apart || on_one_stream()) && !in_unseen_hands()
}

fn urgency(book: &Book<'_>, findings: &mut Findings) {
    for event in &book.history.events {
        let Event::Polled(polled) = event else {
            continue;
        };
        let items = polled.told.done().map_or(&[][..], Vec::as_slice);
        let ranked = items.iter().filter_map(|item| {
            let letter = book.letters.get(&item.mark)?;
            Some((item.mark, letter.first().rank))
        });
        let ranked: Vec<_> = ranked.collect();
        if let Some(pair) = ranked.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            let (before, after) = (pair[0].0, pair[1].0);
            let what = format!(
                "{} got m{before} before the more urgent m{after}",
                polled.agent
            );
            findings.add(Rule::LessUrgentFirst, after, what);
        }
    }
}
