//! Dead for a reason, and once.

use super::{Rule, Tale};
use crate::record::Micros;

fn with_ttl(ttl: u64) -> Tale {
    let mut tale = Tale::new();
    let ttl: Micros = ttl * 1_000;
    tale.sends(1, 0).last_sent(|sent| sent.ttl = Some(ttl));
    tale
}

#[test]
fn what_waited_beyond_its_time_expires() {
    with_ttl(1_000).dies(1_500, 1, "expired", 0).is_sound();
}

#[test]
fn nothing_expires_before_its_time_or_without_one_or_in_somebodys_hands() {
    with_ttl(1_000)
        .dies(900, 1, "expired", 0)
        .breaks(&[Rule::FalseDeath]);
    Tale::new()
        .sends(1, 0)
        .dies(900, 1, "expired", 0)
        .breaks(&[Rule::FalseDeath]);
    let mut tale = with_ttl(1_000);
    tale.leases(500, &[(1, "r1", 1)])
        .dies(3_000, 1, "expired", 1);
    tale.breaks(&[Rule::FalseDeath]);
}

#[test]
fn nothing_comes_first_after_its_time() {
    with_ttl(1_000).takes(900, &[1]).is_sound();
    with_ttl(1_000).takes(4_000, &[1]).breaks(&[Rule::TooLate]);
    // What was handed over in time comes again as ever.
    let mut tale = with_ttl(1_000);
    tale.leases(500, &[(1, "r1", 1)])
        .takes(4_000, &[1])
        .is_sound();
}

#[test]
fn attempts_are_used_up_after_five() {
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]);
    tale.dies(5_000, 1, "attempts_used_up", 5)
        .breaks(&[Rule::FalseDeath]);
    let mut tale = Tale::new();
    tale.sends(1, 0);
    for (attempt, receipt) in (1..=5).zip(["r1", "r2", "r3", "r4", "r5"]) {
        tale.leases(u64::from(attempt) * 1_010, &[(1, receipt, attempt)]);
    }
    tale.dies(9_000, 1, "attempts_used_up", 4)
        .breaks(&[Rule::FalseDeath]);
}

#[test]
fn nobody_is_removed_who_did_not_leave_and_no_other_reason_is_known() {
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .dies(10, 1, "recipient_removed", 0)
        .breaks(&[Rule::FalseDeath]);
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .dies(10, 1, "boredom", 0)
        .breaks(&[Rule::FalseDeath]);
}

#[test]
fn the_dead_do_not_come_and_were_not_acknowledged() {
    let mut tale = with_ttl(1_000);
    tale.dies(1_500, 1, "expired", 0)
        .leases(1_600, &[(1, "r1", 1)]);
    tale.breaks(&[Rule::AfterDeath, Rule::FalseDeath]);
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .leases(10, &[(1, "r1", 1)])
        .acks(20, "r1")
        .leaves("a", 30);
    tale.dies(40, 1, "recipient_removed", 1)
        .breaks(&[Rule::DeadAndAcked]);
}

#[test]
fn a_failure_is_told_to_the_sender_of_what_nobody_acknowledged() {
    let mut tale = with_ttl(1_000);
    tale.dies(1_500, 1, "expired", 0)
        .is_told_of_failure("s", "i1")
        .is_sound();
    tale.is_told_of_failure("t", "i1")
        .breaks(&[Rule::Misdelivered]);
    let mut tale = Tale::new();
    tale.sends(1, 0).leases(10, &[(1, "r1", 1)]).acks(20, "r1");
    tale.is_told_of_failure("s", "i1")
        .breaks(&[Rule::DeadAndAcked]);
}

#[test]
fn the_sender_of_what_died_is_told() {
    with_ttl(1_000)
        .dies_untold(1_500, 1, "expired", 0)
        .breaks(&[Rule::Untold]);
    with_ttl(1_000).dies(1_500, 1, "expired", 0).is_sound();
}
