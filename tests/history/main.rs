//! The history checker: many clients over bad connections, everything they did and were told
//! written down, and a judge who proves from it that the relay kept its promises.
//!
//! docs/testing.md tells what is proved and how to run it.

mod chaos;
mod checker;
mod clients;
mod dice;
mod liar;
mod record;
mod run;
mod socket;
mod tally;
mod wire;

use chaos::Mood;
use checker::Rule;
use clients::Features;
use clients::poller::Temper;
use liar::Fault;
use run::{Plan, Role};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tally::Tally;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// So many of each.
fn crew(parts: &[(Role, usize)]) -> Vec<Role> {
    let many = |&(role, count): &(Role, usize)| std::iter::repeat_n(role, count);
    parts.iter().flat_map(many).collect()
}

#[test]
fn what_was_accepted_is_not_lost_and_what_was_acknowledged_does_not_come_again() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = setting("CLAWLINK_HISTORY_SEED");
    let seed = seed.unwrap_or_else(|| since.map_or(1, |since| since.as_nanos() as u64));
    println!("CLAWLINK_HISTORY_SEED={seed}");
    let plan = Plan {
        seed,
        messages: setting("CLAWLINK_HISTORY_MESSAGES").unwrap_or(20_000) as usize,
        time: Duration::from_secs(setting("CLAWLINK_HISTORY_SECONDS").unwrap_or(60)),
        crew: crew(&[
            (Role::Poller(Temper::Steady), 9),
            (Role::Poller(Temper::Late), 1),
            (Role::Sender, 8),
            (Role::Stream, 6),
            (Role::AckStream, 4),
            (Role::Plain, 4),
            (Role::Command, 3),
            (Role::Mute, 2),
            (Role::Poller(Temper::Hopeless), 1),
            (Role::Mortal, 1),
        ]),
        mood: Mood {
            evil: 15,
            reach: 1_500,
        },
        inbox_limit: 32,
    };
    let outcome = run::run(&plan);
    let tally = Tally::of(&outcome.history);
    println!("{tally}");
    println!(
        "connections hurt: {}; sent within {:?}",
        outcome.hurt, outcome.sending
    );
    let verdict = checker::judge(&outcome.history);
    println!(
        "copies that may have been lost as told: {}",
        tally::by_kind(&verdict.excused)
    );
    let found = verdict.found;
    assert!(
        found.is_empty(),
        "CLAWLINK_HISTORY_SEED={seed}\n{}",
        checker::report(&found)
    );
    // A run in which nothing happened proves nothing.
    assert!(
        tally.accepted * 4 >= plan.messages || tally.accepted > 2_000,
        "{tally}"
    );
    assert!(
        tally.again > 0 && tally.late > 0 && outcome.hurt > 0,
        "{tally}"
    );
}

/// A short run of a few clients over good connections, to a relay that seems to have this fault.
fn finds(fault: Option<Fault>, rules: &[Rule]) {
    let relay = run::relay(200);
    let info = relay.get("/").json();
    if fault == Some(Fault::ForgottenKeys) && !Features::of(&info).idempotency {
        println!("not tried: this relay knows no keys");
        return;
    }
    let liar = fault.map(|fault| liar::start(relay.address, fault));
    let front = liar.as_ref().map_or(relay.address, |liar| liar.address);
    let plan = Plan {
        seed: 1,
        messages: 200,
        time: Duration::from_secs(3),
        crew: crew(&[
            (Role::Poller(Temper::Steady), 1),
            (Role::Poller(Temper::Late), 4),
            (Role::Poller(Temper::Hopeless), 1),
            (Role::Plain, 1),
            (Role::Sender, 2),
        ]),
        mood: Mood::HONEST,
        inbox_limit: 200,
    };
    let outcome = run::run_behind(&plan, &relay, front);
    let found = checker::judge(&outcome.history).found;
    let report = checker::report(&found);
    println!("{report}");
    let broken = |rule: &Rule| found.iter().any(|violation| violation.rule == *rule);
    assert!(rules.iter().all(broken), "not found: {rules:?}\n{report}");
    assert_eq!(fault.is_none(), found.is_empty(), "{report}");
    let shown = found
        .iter()
        .find(|violation| rules.contains(&violation.rule));
    assert!(
        shown.is_none_or(|violation| violation.excerpt.contains(" sends m")),
        "{report}"
    );
}

#[test]
fn a_relay_without_a_fault_is_found_to_have_none() {
    finds(None, &[]);
}

#[test]
fn a_requeue_that_is_dropped_is_found() {
    finds(Some(Fault::DroppedRequeue), &[Rule::Lost]);
}

#[test]
fn an_acknowledgement_by_id_instead_of_by_receipt_is_found() {
    finds(Some(Fault::AckById), &[Rule::StaleAck]);
}

#[test]
fn a_message_on_two_paths_is_found() {
    finds(Some(Fault::TwoPaths), &[Rule::Twice]);
}

#[test]
fn a_key_that_says_nothing_is_found() {
    finds(Some(Fault::ForgottenKeys), &[Rule::Doubled]);
}
