//! Leases, and acknowledges in every way there is: in time and late, by batch and by receipt, on
//! the next poll and by itself; gives back, prolongs, and forgets.

use super::{Ask, Desk, Pending};
use crate::record::{Action, Event, SECOND};

/// How a poller is minded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Settles most of what it gets at once.
    Steady,
    /// Comes late more often than not.
    Late,
    /// Gives nearly everything back, so that attempts are used up.
    Hopeless,
}

pub(crate) fn run(mut desk: Desk, temper: Temper) -> Vec<Event> {
    let mut pending: Option<Pending> = None;
    while !desk.is_over() {
        let ask = Ask {
            lease: Some(match temper {
                Temper::Late => 1,
                _ => desk.dice.between(1, 2),
            }),
            wait: desk.dice.below(3),
            max: match desk.dice.below(4) {
                0 => None,
                1 => Some(desk.dice.between(1, 3) as usize),
                _ => Some(desk.dice.between(5, 80) as usize),
            },
        };
        let acks = pending.take();
        if let Some(leased) = desk.poll(ask, acks) {
            pending = deal_with(&mut desk, temper, leased);
        } else {
            desk.rest(20);
        }
    }
    desk.events
}

/// Gives what is to be acknowledged with the next poll.
fn deal_with(desk: &mut Desk, temper: Temper, leased: Pending) -> Option<Pending> {
    let batch = desk.dice.percent(50);
    if temper == Temper::Hopeless && desk.dice.percent(80) {
        let delay = desk.dice.below(2) * SECOND;
        desk.settle(&leased, Action::Nack(delay), batch);
        return None;
    }
    if temper == Temper::Late && desk.dice.percent(80) {
        late(desk, &leased, batch, 90);
        return None;
    }
    match desk.dice.below(100) {
        0..40 => return Some(leased),
        40..66 => desk.settle(&leased, Action::Ack, batch),
        66..74 => in_parts(desk, leased),
        74..80 => {
            let delay = desk.dice.below(2) * SECOND;
            desk.settle(&leased, Action::Nack(delay), batch);
            if desk.dice.percent(30) {
                // Too late by its own doing.
                desk.settle(&leased, Action::Ack, !batch);
            }
        }
        80..88 => {
            let lease = desk.dice.between(1, 3) * SECOND;
            desk.settle(&leased, Action::Extend(lease), batch);
            desk.pause(0, 1_500);
            desk.settle(&leased, Action::Ack, batch);
        }
        88..94 => late(desk, &leased, batch, 60),
        94..97 => {
            // Said twice.
            desk.settle(&leased, Action::Ack, batch);
            desk.settle(&leased, Action::Ack, !batch);
        }
        _ => {}
    }
    None
}

/// Some are acknowledged and the others given back.
fn in_parts(desk: &mut Desk, mut leased: Pending) {
    let cut = desk.dice.below(leased.receipts.len() as u64 + 1) as usize;
    let rest = leased.receipts.split_off(cut);
    if !leased.receipts.is_empty() {
        desk.settle(&leased, Action::Ack, false);
    }
    leased.receipts = rest;
    if !leased.receipts.is_empty() {
        desk.settle(&leased, Action::Nack(0), false);
    }
}

/// Waits until about the end of the lease, often beyond it and, so often in a hundred, after
/// another poll of its own.
fn late(desk: &mut Desk, leased: &Pending, batch: bool, again: u64) {
    let left = leased.until.saturating_sub(desk.now()) / 1_000;
    let about = left + desk.dice.below(300);
    desk.rest(about.saturating_sub(50));
    if desk.dice.percent(again) {
        let ask = Ask {
            lease: Some(1),
            ..Ask::default()
        };
        let again = desk.poll(ask, None);
        desk.settle(leased, Action::Ack, batch);
        if let Some(again) = again {
            desk.settle(&again, Action::Ack, batch);
        }
    } else {
        desk.settle(leased, Action::Ack, batch);
    }
}
