//! First in, first out; urgent first; bounds of replies and inboxes.

use super::{Rule, Tale, item};
use crate::record::{Action, End, Event, Settled, Settlement, Told};

#[test]
fn what_was_sent_first_comes_first() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .sends(2, 5)
        .takes(10, &[1])
        .takes(20, &[2])
        .is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5).takes(10, &[2]).takes(20, &[1]);
    tale.breaks(&[Rule::OutOfOrder]);
}

#[test]
fn calls_that_overlap_have_no_order() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .sends(2, 1)
        .takes(10, &[2])
        .takes(20, &[1])
        .is_sound();
}

#[test]
fn polls_that_overlap_have_no_order_either() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .sends(2, 5)
        .takes(11, &[2])
        .takes(11, &[1])
        .is_sound();
}

#[test]
fn another_sender_or_priority_is_another_row() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .sends(2, 5)
        .last_sent(|sent| sent.from = "t".into());
    tale.takes(10, &[2]).takes(20, &[1]).is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5).last_sent(|sent| sent.rank = 0);
    tale.takes(10, &[2, 1]).is_sound();
}

#[test]
fn one_reply_is_in_order_also_of_what_comes_again() {
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5).leases(10, &[(1, "r1", 1)]);
    tale.leases(1_020, &[(2, "r3", 1), (1, "r2", 2)]);
    tale.acks(1_030, "r2")
        .acks(1_040, "r3")
        .breaks(&[Rule::OutOfOrder]);
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5).leases(10, &[(1, "r1", 1)]);
    tale.leases(500, &[(2, "r3", 1)])
        .leases(1_020, &[(1, "r2", 2)]);
    tale.acks(1_030, "r2").acks(1_040, "r3").is_sound();
}

#[test]
fn a_socket_is_in_order() {
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5);
    tale.streams(10, false, vec![item(2), item(1)], End::Closed)
        .breaks(&[Rule::OutOfOrder]);
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5);
    tale.streams(10, false, vec![item(1), item(2)], End::Closed)
        .is_sound();
}

/// The earlier may have been in a reply that was lost, and come back after the later had gone.
#[test]
fn unseen_hands_excuse_a_wrong_order() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .sends(2, 5)
        .polls(8, Some(1_000), Told::Unknown);
    tale.takes(10, &[2]).takes(1_100, &[1]).is_sound();
}

#[test]
fn a_reply_has_the_urgent_first() {
    let mut tale = Tale::new();
    tale.sends(1, 0).sends(2, 5).last_sent(|sent| sent.rank = 0);
    tale.takes(10, &[1, 2]).breaks(&[Rule::LessUrgentFirst]);
}

#[test]
fn a_reply_has_no_more_than_was_asked_for() {
    let mut tale = Tale::new();
    tale.0.inbox_limit = 10;
    for mark in 1..=4 {
        tale.sends(mark, u64::from(mark) * 5);
    }
    tale.takes(50, &[1, 2, 3, 4]).breaks(&[Rule::OverMax]);
}

#[test]
fn an_inbox_has_no_more_than_it_may() {
    let mut tale = Tale::new();
    for mark in 1..=3 {
        tale.sends(mark, u64::from(mark) * 5);
    }
    tale.takes(50, &[1, 2, 3])
        .sends(4, 60)
        .takes(70, &[4])
        .is_sound();
    let mut tale = Tale::new();
    for mark in 1..=4 {
        tale.sends(mark, u64::from(mark) * 5);
    }
    tale.takes(50, &[1, 2, 3])
        .takes(70, &[4])
        .breaks(&[Rule::OverLimit]);
}

/// A leased message still takes its place; one that somebody may have acknowledged may not.
#[test]
fn what_is_leased_is_inside() {
    let row = |told: Told<bool>| {
        let mut tale = Tale::new();
        for mark in 1..=3 {
            tale.sends(mark, u64::from(mark) * 5);
        }
        tale.leases(50, &[(1, "r1", 1)])
            .settles(60, Action::Ack, "r1", told);
        tale.sends(4, 70).takes(80, &[2, 3, 4]);
        tale
    };
    row(Told::Unknown).is_sound();
    let mut tale = row(Told::Done(false));
    tale.acks(1_000, "r1");
    tale.breaks(&[Rule::OverLimit]);
}

#[test]
fn the_counts_of_receipts_add_up() {
    let settled = |done, expired: &[&str]| Settled {
        agent: "a".into(),
        span: super::span(50),
        action: Action::Ack,
        receipts: vec!["r1".into(), "r2".into()],
        told: Told::Done(Settlement {
            done,
            expired: expired.iter().map(ToString::to_string).collect(),
        }),
    };
    Tale::new()
        .push(Event::Settled(settled(1, &["r2"])))
        .is_sound();
    for wrong in [settled(1, &[]), settled(2, &["r1"]), settled(1, &["r9"])] {
        Tale::new()
            .push(Event::Settled(wrong))
            .breaks(&[Rule::Miscounted]);
    }
}
