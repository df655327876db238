//! Nothing vanishes.

use super::{Rule, Tale, item, leased};
use crate::record::{Action, End, Event, Told};

#[test]
fn what_was_accepted_and_never_came_is_lost() {
    let mut tale = Tale::new();
    tale.sends(1, 0).breaks(&[Rule::Lost]);
    tale.takes(10, &[1]).is_sound();
}

#[test]
fn what_waits_at_the_end_is_not_lost() {
    let mut tale = Tale::new();
    tale.sends(1, 0);
    tale.push(Event::Waits {
        agent: "a".into(),
        mark: 1,
    })
    .is_sound();
}

#[test]
fn of_what_was_refused_or_not_answered_nothing_is_promised() {
    let mut tale = Tale::new();
    tale.sends(1, 0).last_sent(|sent| sent.told = Told::Unknown);
    tale.sends(2, 5)
        .last_sent(|sent| sent.told = Told::Refused(429, "inbox_full".into()));
    tale.is_sound();
}

#[test]
fn what_was_given_back_and_came_no_more_is_lost() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Nack(0), "r1", Told::Done(true))
        .breaks(&[Rule::Lost]);
}

#[test]
fn what_was_leased_and_came_no_more_is_lost() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .leases(10, &[(1, "r1", 1)])
        .breaks(&[Rule::Lost]);
    // It may have been acknowledged.
    tale.settles(20, Action::Ack, "r1", Told::Unknown)
        .is_sound();
}

#[test]
fn a_plain_poll_without_an_answer_may_have_lost_what_was_there() {
    let mut tale = Tale::new();
    tale.sends(1, 0).polls(10, None, Told::Unknown).is_sound();
    // Not one of long before.
    let mut tale = Tale::new();
    tale.polls(5, None, Told::Unknown)
        .sends(1, 60_000)
        .breaks(&[Rule::Lost]);
    // And a lease loses nothing.
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .polls(10, Some(1_000), Told::Unknown)
        .breaks(&[Rule::Lost]);
}

#[test]
fn a_broken_socket_loses_nothing_and_one_that_says_goodbye_may() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, false, vec![], End::Lost)
        .breaks(&[Rule::Lost]);
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, false, vec![], End::Leaving)
        .is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, false, vec![item(1)], End::Lost)
        .is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, true, vec![leased((1, "r1", 1))], End::Closed);
    tale.breaks(&[Rule::Lost]);
}

#[test]
fn five_attempts_are_an_end_where_the_dead_are_not_listed() {
    let mut tale = Tale::new();
    tale.sends(1, 0);
    for (attempt, receipt) in (1..=5).zip(["r1", "r2", "r3", "r4", "r5"]) {
        tale.leases(u64::from(attempt) * 1_010, &[(1, receipt, attempt)]);
    }
    tale.is_sound();
    tale.0.dead_limit = Some(1_000);
    tale.breaks(&[Rule::Lost]);
    tale.dies(9_000, 1, "attempts_used_up", 5).is_sound();
}

#[test]
fn the_mail_of_who_left_is_gone_and_listed_where_there_is_a_list() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leaves("a", 100).is_sound();
    tale.0.dead_limit = Some(1_000);
    tale.breaks(&[Rule::Lost]);
    tale.dies(200, 1, "recipient_removed", 0).is_sound();
}

#[test]
fn a_broadcast_comes_to_all_or_is_counted_as_missed() {
    let mut tale = Tale::new();
    tale.joins("b", 0)
        .broadcasts(1, 10)
        .takes(20, &[1])
        .breaks(&[Rule::Lost]);
    let mut tale = Tale::new();
    tale.broadcasts(1, 10).takes(20, &[]).breaks(&[Rule::Lost]);
    if let Some(Event::Polled(polled)) = tale.0.events.last_mut() {
        polled.missed = 1;
    }
    tale.is_sound();
}

#[test]
fn a_broadcast_is_not_for_who_came_later() {
    let mut tale = Tale::new();
    tale.broadcasts(1, 10)
        .takes(20, &[1])
        .joins("b", 15)
        .is_sound();
}
