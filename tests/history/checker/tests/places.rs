//! In one place at a time; receipts; attempts.

use super::{Rule, Tale, item, leased};
use crate::record::{Action, End, Told};

#[test]
fn a_lease_that_ended_frees_its_message() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.leases(1_012, &[(1, "r2", 2)])
        .acks(1_020, "r2")
        .is_sound();
}

#[test]
fn a_lease_that_lasts_does_not() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.leases(500, &[(1, "r2", 2)])
        .acks(510, "r2")
        .breaks(&[Rule::Twice]);
}

#[test]
fn an_extension_prolongs_and_one_that_nobody_answered_may_shorten() {
    let second = Action::Extend(3_000_000);
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, second, "r1", Told::Done(true));
    tale.leases(1_500, &[(1, "r2", 2)])
        .acks(1_510, "r2")
        .breaks(&[Rule::Twice]);
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Extend(100_000), "r1", Told::Unknown);
    tale.leases(200, &[(1, "r2", 2)]).acks(210, "r2").is_sound();
}

#[test]
fn what_was_given_back_comes_again_after_its_delay_and_not_before() {
    for (delay, again, sound) in [
        (0, 30, true),
        (2_000_000, 30, false),
        (2_000_000, 2_021, true),
    ] {
        let mut tale = Tale::new();
        tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
        tale.settles(20, Action::Nack(delay), "r1", Told::Done(true));
        tale.leases(again, &[(1, "r2", 2)]).acks(again + 5, "r2");
        match sound {
            true => tale.is_sound(),
            false => tale.breaks(&[Rule::Twice]),
        }
    }
}

#[test]
fn what_was_given_back_without_an_answer_may_come_again_or_not() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Nack(0), "r1", Told::Unknown);
    tale.leases(30, &[(1, "r2", 2)]).acks(40, "r2").is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Nack(0), "r1", Told::Unknown);
    tale.leases(1_020, &[(1, "r2", 2)])
        .acks(1_030, "r2")
        .is_sound();
}

#[test]
fn nothing_comes_after_its_acknowledgement_was_confirmed() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]).acks(20, "r1");
    tale.leases(1_100, &[(1, "r2", 2)])
        .breaks(&[Rule::AfterAck]);
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]).acks(20, "r1");
    tale.takes(1_100, &[1]).breaks(&[Rule::AfterAck]);
}

#[test]
fn an_acknowledgement_that_nobody_answered_promises_nothing() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Ack, "r1", Told::Unknown);
    tale.leases(1_100, &[(1, "r2", 2)])
        .acks(1_110, "r2")
        .is_sound();
}

/// The acknowledgement may have arrived first of two calls that overlap, but a higher attempt
/// tells that the delivery it was for was over.
#[test]
fn a_late_receipt_that_is_taken_as_good_is_found() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.leases(1_020, &[(1, "r2", 2)]);
    tale.acks(1_030, "r1").breaks(&[Rule::StaleAck]);
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.leases(1_020, &[(1, "r2", 2)]);
    tale.settles(1_030, Action::Ack, "r1", Told::Done(false));
    tale.acks(1_040, "r2").is_sound();
}

#[test]
fn a_receipt_is_over_with_its_lease_even_if_nobody_else_came() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .leases(10, &[(1, "r1", 1)])
        .acks(1_100, "r1");
    tale.breaks(&[Rule::StaleAck]);
    tale.0.stood_still = true;
    tale.is_sound();
    // Said for the second time, the first may have been in time.
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Ack, "r1", Told::Unknown);
    tale.acks(1_100, "r1").is_sound();
}

#[test]
fn a_receipt_is_over_when_it_was_given_back() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.settles(20, Action::Nack(0), "r1", Told::Done(true));
    tale.acks(30, "r1").breaks(&[Rule::StaleAck]);
}

#[test]
fn one_delivery_on_two_paths_is_found() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .leases(10, &[(1, "r1", 1)])
        .leases(11, &[(1, "r1", 1)]);
    tale.acks(20, "r1").breaks(&[Rule::Twice]);
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .takes(10, &[1])
        .takes(2_000, &[1])
        .breaks(&[Rule::Twice]);
    let mut tale = Tale::new();
    tale.sends(1, 0).takes(10, &[1]);
    tale.streams(20, false, vec![item(1)], End::Lost)
        .breaks(&[Rule::Twice]);
}

#[test]
fn a_broken_socket_frees_its_messages_and_one_that_was_closed_does_not() {
    for (end, sound) in [
        (End::Lost, true),
        (End::Leaving, true),
        (End::Closed, false),
    ] {
        let mut tale = Tale::new();
        tale.sends(1, 0)
            .streams(10, false, vec![item(1)], end)
            .takes(50, &[1]);
        match sound {
            true => tale.is_sound(),
            false => tale.breaks(&[Rule::Twice]),
        }
    }
}

#[test]
fn a_socket_carries_a_message_once() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, false, vec![item(1), item(1)], End::Lost);
    tale.breaks(&[Rule::Twice]);
}

/// Its place in the window had been needed for another.
#[test]
fn what_a_socket_got_a_window_ago_does_not_come_again() {
    let mut tale = Tale::new();
    tale.0.inbox_limit = 100;
    for mark in 1..=65 {
        tale.sends(mark, u64::from(mark));
    }
    tale.streams(100, false, (1..=65).map(item).collect(), End::Lost);
    tale.takes(300, &[2]).is_sound();
    tale.takes(400, &[1]).breaks(&[Rule::Twice]);
}

#[test]
fn a_socket_with_receipts_gives_back_what_was_not_acknowledged() {
    let first = vec![leased((1, "r1", 1))];
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, true, first.clone(), End::Closed);
    tale.streams(100, true, vec![leased((1, "r2", 2))], End::Closed);
    tale.acks(101, "r2").is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .streams(10, true, first, End::Closed)
        .acks(11, "r1");
    tale.streams(100, true, vec![leased((1, "r2", 2))], End::Closed)
        .breaks(&[Rule::AfterAck]);
}

#[test]
fn attempts_count_from_one_to_five_and_leave_none_out() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 2)]).acks(20, "r1");
    tale.breaks(&[Rule::Attempts]);
    // Unless a reply was lost on its way.
    let mut tale = Tale::new();
    tale.sends(1, 0).polls(5, Some(1_000), Told::Unknown);
    tale.leases(1_010, &[(1, "r1", 2)])
        .acks(1_020, "r1")
        .is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0);
    for attempt in 1..=6 {
        let receipt = ["", "r1", "r2", "r3", "r4", "r5", "r6"][attempt as usize];
        tale.leases(u64::from(attempt) * 1_010, &[(1, receipt, attempt)]);
    }
    tale.acks(6_070, "r6").breaks(&[Rule::Attempts]);
}

#[test]
fn a_number_that_was_used_is_not_used_again() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .leases(10, &[(1, "r1", 1)])
        .leases(1_020, &[(1, "r2", 1)]);
    tale.acks(1_030, "r2").breaks(&[Rule::Twice]);
}

/// A receipt that is given back on a socket brings its message back onto it.
#[test]
fn a_socket_with_receipts_may_carry_a_message_again_that_it_gave_back() {
    let both = || vec![leased((1, "r1", 1)), leased((1, "r2", 2))];
    let mut tale = Tale::new();
    tale.sends(1, 0);
    tale.streams(10, true, both(), End::Closed);
    tale.acks(12, "r2").breaks(&[Rule::Twice]);
    tale.settles(11, Action::Nack(0), "r1", Told::Done(true));
    tale.is_sound();
}

/// What its peer is not known to have read was no attempt.
#[test]
fn a_broken_socket_with_receipts_may_have_cost_no_attempt() {
    let first = || vec![leased((1, "r1", 1))];
    let mut tale = Tale::new();
    tale.sends(1, 0);
    tale.streams(10, true, first(), End::Lost);
    tale.leases(50, &[(1, "r2", 1)]).acks(60, "r2").is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0);
    tale.streams(10, true, first(), End::Lost).acks(11, "r1");
    tale.leases(50, &[(1, "r2", 1)])
        .acks(60, "r2")
        .breaks(&[Rule::AfterAck]);
}
