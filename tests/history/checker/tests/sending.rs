//! One key is one message, for whom it was sent.

use super::{Rule, Tale, item};
use crate::record::{Accepted, Event, Kind, Sent, Told};

/// A second call with the same key.
fn again(tale: &mut Tale, at: u64, id: &str, replayed: bool) {
    tale.sends(1, at).last_sent(|sent| {
        sent.keyed = true;
        sent.told = Told::Done(Accepted {
            id: Some(id.to_owned()),
            replayed,
            recipients: None,
        });
    });
}

#[test]
fn a_key_is_one_message() {
    let mut tale = Tale::new();
    tale.sends(1, 0);
    again(&mut tale, 10, "i1", true);
    tale.takes(20, &[1]).is_sound();
    let mut tale = Tale::new();
    tale.sends(1, 0);
    again(&mut tale, 10, "other", true);
    tale.takes(20, &[1]).breaks(&[Rule::Doubled]);
}

#[test]
fn a_message_does_not_come_under_two_ids() {
    let mut tale = Tale::new();
    let mut other = item(1);
    other.id = "other".to_owned();
    tale.sends(1, 0)
        .takes(10, &[1])
        .polls(20, None, Told::Done(vec![other]));
    tale.breaks(&[Rule::Twice, Rule::Doubled]);
}

#[test]
fn a_repetition_is_called_one_and_only_then() {
    let mut tale = Tale::new();
    tale.sends(1, 0);
    again(&mut tale, 10, "i1", false);
    tale.takes(20, &[1]).breaks(&[Rule::NotReplayed]);
    let mut tale = Tale::new();
    again(&mut tale, 10, "i1", true);
    tale.takes(20, &[1]).breaks(&[Rule::NotReplayed]);
    // After a call that nobody answered either may be.
    for replayed in [true, false] {
        let mut tale = Tale::new();
        tale.sends(1, 0).last_sent(|sent| sent.told = Told::Unknown);
        again(&mut tale, 10, "i1", replayed);
        tale.takes(20, &[1]).is_sound();
    }
}

#[test]
fn what_nobody_sent_or_was_refused_or_was_for_another_is_found() {
    Tale::new().takes(10, &[7]).breaks(&[Rule::Misdelivered]);
    let mut tale = Tale::new();
    tale.sends(1, 0)
        .last_sent(|sent| sent.told = Told::Refused(429, "inbox_full".into()));
    tale.takes(10, &[1]).breaks(&[Rule::Misdelivered]);
    let mut tale = Tale::new();
    tale.joins("b", 0)
        .sends(1, 0)
        .last_sent(|sent| sent.to = Some("b".into()));
    tale.takes(10, &[1])
        .breaks(&[Rule::Lost, Rule::Misdelivered]);
    let mut tale = Tale::new();
    tale.takes(10, &[1])
        .sends(1, 20)
        .breaks(&[Rule::Misdelivered]);
}

#[test]
fn a_broadcast_is_not_for_its_sender_and_comes_once() {
    let mut tale = Tale::new();
    tale.joins("b", 0)
        .broadcasts(1, 10)
        .last_sent(|sent| sent.from = "a".into());
    let own = tale.takes(20, &[1]);
    own.push(Event::Waits {
        agent: "b".into(),
        mark: 1,
    });
    own.push(Event::Waits {
        agent: "s".into(),
        mark: 1,
    });
    own.breaks(&[Rule::Misdelivered]);
    let mut tale = Tale::new();
    tale.broadcasts(1, 10)
        .takes(20, &[1])
        .takes(30, &[1])
        .breaks(&[Rule::Twice]);
}

#[test]
fn a_broadcast_is_counted_to_those_who_were_there() {
    let counted = |recipients| {
        let mut tale = Tale::new();
        tale.joins("late", 10)
            .broadcasts(1, 10)
            .last_sent(|sent: &mut Sent| {
                assert_eq!(sent.kind, Kind::Broadcast);
                sent.told = Told::Done(Accepted {
                    recipients: Some(recipients),
                    ..Accepted::default()
                });
            });
        tale.takes(20, &[1]);
        tale
    };
    counted(1).is_sound();
    counted(2).is_sound();
    counted(0).breaks(&[Rule::Recipients]);
    counted(3).breaks(&[Rule::Recipients]);
}
