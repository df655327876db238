//! What is dead is dead for a reason, and once.

use super::book::{Book, Letter, Parcel};
use super::places::{ATTEMPTS_MAX, may_be_used_up};
use super::{Findings, Rule};
use crate::record::{Died, Event, Failed, Mark, Micros, SECOND};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Places for failures beyond the limit of an inbox: who has no more of them is told of all.
const RESERVE: usize = 64;

/// How late a message may still come after its time to live: the relay's timers are no earlier
/// than they must be, and the machine is busy.
const LAG: Micros = SECOND;

pub(super) fn check(book: &Book<'_>, findings: &mut Findings) {
    for parcel in book.parcels.values() {
        let Some(letter) = book.letters.get(&parcel.mark) else {
            continue;
        };
        for died in &parcel.died {
            afterwards(parcel, died, findings);
            if let Some(why) = false_reason(book, letter, parcel, died) {
                let what = format!("m{} died as {}, {why}", parcel.mark, died.reason);
                findings.add(Rule::FalseDeath, parcel.mark, what);
            }
        }
        too_late(book, letter, parcel, findings);
    }
    told_to_have_failed(book, findings);
    told_of_each(book, findings);
}

fn afterwards(parcel: &Parcel<'_>, died: &Died, findings: &mut Findings) {
    let (mark, agent) = (parcel.mark, parcel.agent);
    if parcel
        .handovers
        .iter()
        .any(|handover| handover.from > died.span.to)
    {
        let what = format!("m{mark} came to {agent} after it was listed as dead");
        findings.add(Rule::AfterDeath, mark, what);
    }
    if parcel
        .handovers
        .iter()
        .any(|handover| handover.acked.is_some())
    {
        let what = format!("m{mark} was acknowledged by {agent}, and is listed as dead");
        findings.add(Rule::DeadAndAcked, mark, what);
    }
}

/// Why a message cannot have died like that.
fn false_reason(
    book: &Book<'_>,
    letter: &Letter<'_>,
    parcel: &Parcel<'_>,
    died: &Died,
) -> Option<&'static str> {
    let listed = died.span.to;
    match died.reason.as_str() {
        "expired" => match letter.first().ttl {
            None => Some("but has no time to live"),
            Some(ttl) if listed < letter.span.from + ttl => Some("before its time was over"),
            Some(_) if !parcel.handovers.is_empty() => Some("but was handed over"),
            Some(_) => None,
        },
        "attempts_used_up" if died.attempts != ATTEMPTS_MAX => Some("after another number of them"),
        "attempts_used_up" if !may_be_used_up(book, parcel) => {
            Some("but was not given out so often")
        }
        "attempts_used_up" => None,
        "recipient_removed" => match book.left.get(parcel.agent) {
            Some(leave) if leave.from <= listed => None,
            _ => Some("but nobody was removed"),
        },
        _ => Some("which is no reason"),
    }
}

/// A time to live bounds the wait for the first handover.
fn too_late(book: &Book<'_>, letter: &Letter<'_>, parcel: &Parcel<'_>, findings: &mut Findings) {
    let (Some(ttl), Some(first)) = (
        letter.first().ttl,
        parcel.handovers.iter().map(|handover| handover.from).min(),
    ) else {
        return;
    };
    let unseen = book
        .ghosts_of(parcel.agent)
        .iter()
        .any(|ghost| ghost.from <= first);
    if first > letter.span.to + ttl + LAG && !unseen && !book.history.stood_still {
        let what = format!(
            "m{} came to {} after its time to live",
            parcel.mark, parcel.agent
        );
        findings.add(Rule::TooLate, parcel.mark, what);
    }
}

/// Who is told that a message failed has sent it, and nobody has acknowledged it.
fn told_to_have_failed(book: &Book<'_>, findings: &mut Findings) {
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    for (&mark, letter) in &book.letters {
        let told = letter.calls.iter().filter_map(|call| call.told.done());
        marks.extend(told.filter_map(|accepted| Some((accepted.id.as_deref()?, mark))));
    }
    for event in &book.history.events {
        let Event::Failed(Failed {
            sender, to, ids, ..
        }) = event
        else {
            continue;
        };
        for &mark in ids.iter().filter_map(|id| marks.get(id.as_str())) {
            let from = book.letters.get(&mark).map(|letter| &letter.first().from);
            if from != Some(sender) {
                let what = format!("{sender} was told of the failure of m{mark}");
                findings.add(Rule::Misdelivered, mark, what);
            }
            let parcel = book.parcels.get(&(mark, &**to));
            let acked = |parcel: &Parcel<'_>| parcel.handovers.iter().any(|h| h.acked.is_some());
            if parcel.is_some_and(acked) {
                let what = format!("{sender} was told that m{mark} failed; {to} acknowledged it");
                findings.add(Rule::DeadAndAcked, mark, what);
            }
        }
    }
}

/// The sender of what died is told, as long as it has room for that.
fn told_of_each(book: &Book<'_>, findings: &mut Findings) {
    let failed = book.history.events.iter().filter_map(|event| match event {
        Event::Failed(failed) => Some(failed),
        _ => None,
    });
    let told: BTreeSet<(&str, &str)> = failed
        .flat_map(|failed| failed.ids.iter().map(|id| (&*failed.sender, id.as_str())))
        .collect();
    let mut untold: BTreeMap<&str, Vec<Mark>> = BTreeMap::new();
    let mut deaths: BTreeMap<&str, usize> = BTreeMap::new();
    for parcel in book
        .parcels
        .values()
        .filter(|parcel| !parcel.died.is_empty())
    {
        let letter = book.letters.get(&parcel.mark);
        let Some(call) = letter.and_then(Letter::accepted) else {
            continue;
        };
        *deaths.entry(&call.from).or_default() += 1;
        // The notice of a response bears the id of its task.
        let id = call.told.done().and_then(|accepted| accepted.id.as_deref());
        if id.is_some_and(|id| !told.contains(&(&*call.from, id))) {
            untold.entry(&call.from).or_default().push(parcel.mark);
        }
    }
    for (sender, marks) in untold {
        if deaths[sender] < RESERVE && !book.left.contains_key(sender) {
            for mark in marks {
                let what = format!("m{mark} died, and {sender} was not told");
                findings.add(Rule::Untold, mark, what);
            }
        }
    }
}
