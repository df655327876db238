//! One rule each, said in an example.

use super::*;

#[test]
fn urgent_comes_before_high_before_normal_before_low_and_each_in_order() {
    let mut pair = Pair::new();
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::Urgent,
        Priority::High,
        Priority::Urgent,
    ] {
        pair.send(envelope(Kind::Mail, priority, 1)).unwrap();
    }
    let order: Vec<Seq> = pair
        .inbox
        .take(Portion::ALL)
        .into_iter()
        .map(|t| t.0)
        .collect();
    assert_eq!(order, [2, 4, 3, 1, 0]);
}

#[test]
fn mail_is_refused_at_the_limit_and_a_notice_is_not() {
    let mut arrivals = Arrivals::default();
    for _ in 0..LIMITS.places {
        arrivals
            .admit(envelope(Kind::Mail, Priority::Normal, 1), LIMITS, &budget())
            .unwrap();
    }
    let full = envelope(Kind::Mail, Priority::Urgent, 1);
    assert_eq!(
        arrivals.admit(full, LIMITS, &budget()),
        Err(NotAdmitted::Full)
    );
    let notice = envelope(Kind::Broadcast, Priority::Normal, 1);
    assert!(arrivals.admit(notice, LIMITS, &budget()).is_ok());
}

#[test]
fn news_of_dead_mail_has_a_reserve_beyond_the_limit() {
    let mut arrivals = Arrivals::default();
    let admit = |arrivals: &mut Arrivals, kind| {
        arrivals.admit(envelope(kind, Priority::Normal, 1), LIMITS, &Budget::new(0))
    };
    for _ in 0..LIMITS.places + FAILURES_RESERVE {
        assert!(admit(&mut arrivals, Kind::Failure).is_ok());
    }
    assert_eq!(admit(&mut arrivals, Kind::Failure), Err(NotAdmitted::Full));
    assert_eq!(admit(&mut arrivals, Kind::Mail), Err(NotAdmitted::Full));
}

#[test]
fn without_room_in_the_budget_mail_is_refused_and_a_notice_is_missed() {
    let mail = || envelope(Kind::Mail, Priority::Normal, 1);
    let budget = Budget::new(mail().cost());
    let (mut one, mut other) = (Arrivals::default(), Arrivals::default());
    one.admit(mail(), LIMITS, &budget).unwrap();
    assert_eq!(
        other.admit(mail(), LIMITS, &budget),
        Err(NotAdmitted::NoRoom)
    );
    assert_eq!(other.take().unwrap_or_default().missed, 0);
    let notice = envelope(Kind::Broadcast, Priority::Normal, 1);
    assert_eq!(
        other.admit(notice, LIMITS, &budget),
        Err(NotAdmitted::NoRoom)
    );
    assert_eq!(
        (other.mail(), other.take().unwrap_or_default().missed),
        (0, 1)
    );
    drop(one);
    assert!(other.admit(mail(), LIMITS, &budget).is_ok());
}

#[test]
fn what_was_never_handed_over_dies_of_waiting_at_its_time_and_not_before() {
    let mut pair = Pair::new();
    let mail = |expires| dying(Kind::Mail, Priority::Normal, 1, Some(expires));
    for expires in [10, 20, 20] {
        pair.send(mail(expires)).unwrap();
    }
    assert!(pair.inbox.expire(9).is_empty());
    let dead = pair.inbox.expire(10);
    assert_eq!(
        (dead.len(), dead[0].reason, dead[0].attempts),
        (1, Reason::Expired, 0)
    );
    // Once it was leased, the work takes as long as it takes.
    let one = Portion {
        count: 1,
        ..Portion::ALL
    };
    pair.inbox.lease(one, Some(15));
    assert!(pair.inbox.expire(15).is_empty());
    assert_eq!(pair.inbox.expire(1_000).len(), 1, "the other one");
    assert_eq!(pair.inbox.waiting(), 1);
}

#[test]
fn a_reply_that_nobody_got_leaves_the_time_running() {
    let mut pair = Pair::new();
    pair.send(dying(Kind::Mail, Priority::Normal, 1, Some(10)))
        .unwrap();
    let leased = pair.inbox.lease(Portion::ALL, Some(100))[0].delivery;
    pair.inbox.unlease(leased);
    let (seq, _) = pair.inbox.take(Portion::ALL)[0];
    assert_eq!(pair.inbox.next_due(), None);
    pair.inbox.put_back(seq);
    assert_eq!(pair.inbox.expire(10).len(), 1);
}

#[test]
fn a_lost_connection_is_an_attempt_only_where_the_message_was_read() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    for _ in 0..20 {
        let leased = &pair.inbox.lease(Portion::ALL, None)[0];
        assert_eq!(leased.attempt, 1);
        assert!(pair.inbox.lose(leased.seq, false).is_none());
    }
    for attempt in 1..=ATTEMPTS_MAX {
        let leased = &pair.inbox.lease(Portion::ALL, None)[0];
        assert_eq!(leased.attempt, attempt);
        assert!(pair.inbox.expire(Millis::MAX).is_empty(), "it has no end");
        let dead = pair.inbox.lose(leased.seq, true);
        assert_eq!(dead.is_some(), attempt == ATTEMPTS_MAX);
    }
}

#[test]
fn everything_in_the_inbox_of_an_agent_that_is_gone_dies_with_it() {
    let mut pair = Pair::new();
    for priority in [Priority::Low, Priority::Normal, Priority::Urgent] {
        pair.send(envelope(Kind::Mail, priority, 1)).unwrap();
    }
    let one = Portion {
        count: 1,
        ..Portion::ALL
    };
    pair.inbox.lease(one, Some(10));
    pair.inbox.take(one);
    let dead: Vec<Dead> = pair.inbox.bury_all().collect();
    assert!(
        dead.iter()
            .all(|dead| dead.reason == Reason::RecipientRemoved)
    );
    let mut attempts: Vec<u32> = dead.iter().map(|dead| dead.attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [0, 0, 1]);
}

#[test]
fn a_message_in_hand_still_takes_its_place() {
    let mut pair = Pair::new();
    for _ in 0..LIMITS.places {
        pair.send(envelope(Kind::Mail, Priority::Normal, 1))
            .unwrap();
    }
    let taken = pair.inbox.take(Portion::ALL);
    let mail = || envelope(Kind::Mail, Priority::Normal, 1);
    assert_eq!(
        pair.arrivals.admit(mail(), LIMITS, &budget()),
        Err(NotAdmitted::Full)
    );
    let confirmed = pair.inbox.confirm(taken[0].0).unwrap();
    pair.arrivals.release(&confirmed);
    assert!(pair.arrivals.admit(mail(), LIMITS, &budget()).is_ok());
}

#[test]
fn an_older_notice_of_the_same_file_gives_way_before_the_oldest() {
    let mut pair = Pair::new();
    let file = |key: &str| envelope(Kind::FileUpdated(key.into()), Priority::Normal, 1);
    for notice in [
        envelope(Kind::Broadcast, Priority::Normal, 1),
        file("a"),
        file("b"),
        file("a"),
    ] {
        pair.send(notice).unwrap();
    }
    let kept: Vec<Seq> = pair
        .inbox
        .take(Portion::ALL)
        .into_iter()
        .map(|t| t.0)
        .collect();
    assert_eq!(kept, [0, 2, 3]);
    assert_eq!(pair.inbox.take_missed(), 1);
}

#[test]
fn what_happens_at_the_door_waits_there_together() {
    let mut arrivals = Arrivals::default();
    let mail = envelope(Kind::Mail, Priority::Normal, 1);
    arrivals.admit(mail.clone(), LIMITS, &budget()).unwrap();
    arrivals.admit(mail.clone(), LIMITS, &budget()).unwrap();
    assert_eq!((arrivals.outside(), arrivals.mail()), (2, 2));
    let mut waiting = arrivals.take().unwrap_or_default();
    assert_eq!((arrivals.outside(), arrivals.mail()), (0, 2));
    arrivals.release(&mail);
    assert_eq!(arrivals.mail(), 1);
    arrivals.give_back(Unwritten::Leased(7));
    arrivals.give_back_missed(3);
    arrivals.give_back_missed(2);
    waiting.merge(*arrivals.take().unwrap_or_default());
    waiting.merge(Waiting {
        missed: 1,
        ..Waiting::default()
    });
    assert_eq!((waiting.come.len(), waiting.missed), (2, 6));
    assert_eq!(waiting.returned, [Unwritten::Leased(7)]);
    let mut inbox = Inbox::new(LIMITS, Metrics::new());
    inbox.add_missed(2);
    inbox.add_missed(3);
    assert_eq!((inbox.take_missed(), inbox.take_missed()), (5, 0));
}

#[test]
fn only_what_ends_with_a_connection_is_on_one() {
    let mut pair = Pair::new();
    for _ in 0..4 {
        pair.send(envelope(Kind::Mail, Priority::Normal, 1))
            .unwrap();
    }
    assert!(!pair.inbox.is_empty());
    let one = Portion {
        count: 1,
        ..Portion::ALL
    };
    let timed = pair.inbox.lease(one, Some(100))[0].clone();
    let endless = pair.inbox.lease(one, None)[0].clone();
    let delayed = pair.inbox.lease(one, None)[0].clone();
    pair.inbox.nack(delayed.delivery, Some(50));
    let (out, _) = pair.inbox.take(one)[0];
    let on = [timed.seq, endless.seq, delayed.seq, out].map(|seq| pair.inbox.is_on_connection(seq));
    assert_eq!(on, [false, true, false, true]);
    pair.inbox.put_back_unless(|_| false);
    assert_eq!(pair.inbox.waiting(), 2, "a lease and a delay go on");
}

#[test]
fn a_reason_has_one_word() {
    let reasons = [
        Reason::Expired,
        Reason::AttemptsUsedUp,
        Reason::RecipientRemoved,
    ];
    let words = ["expired", "attempts_used_up", "recipient_removed"];
    assert_eq!(reasons.map(Reason::as_str), words);
}

#[test]
fn a_closed_door_admits_nothing() {
    let mut arrivals = Arrivals::default();
    arrivals.close();
    for kind in [Kind::Mail, Kind::Broadcast] {
        let message = envelope(kind, Priority::Normal, 1);
        assert_eq!(
            arrivals.admit(message, LIMITS, &budget()),
            Err(NotAdmitted::Closed)
        );
    }
    assert_eq!(arrivals.outside(), 0);
}

#[test]
fn an_ack_of_an_expired_lease_changes_nothing_and_says_so() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    let first = pair.inbox.lease(Portion::ALL, Some(100))[0].delivery;
    assert!(pair.inbox.expire(99).is_empty() && pair.inbox.waiting() == 0);
    assert!(pair.inbox.expire(100).is_empty() && pair.inbox.waiting() == 1);
    let second = pair.inbox.lease(Portion::ALL, Some(200));
    assert_eq!(second[0].attempt, 2);
    assert!(matches!(pair.inbox.ack(first, 150), Settled::Expired));
    assert_eq!(pair.inbox.len(), 1);
    assert!(matches!(
        pair.inbox.ack(second[0].delivery, 150),
        Settled::Left(..)
    ));
    assert!(matches!(
        pair.inbox.ack(second[0].delivery, 150),
        Settled::Before
    ));
    assert!(pair.inbox.is_empty());
}

#[test]
fn a_message_dies_when_its_fifth_lease_ends_and_not_before() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(pair.inbox.lease(Portion::ALL, Some(10))[0].attempt, attempt);
        let dead = pair.inbox.expire(10);
        assert_eq!(dead.len(), usize::from(attempt == ATTEMPTS_MAX));
    }
    assert!(pair.inbox.is_empty());
}

#[test]
fn a_last_attempt_is_not_put_off() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    for attempt in 1..=ATTEMPTS_MAX {
        let delivery = pair.inbox.lease(Portion::ALL, Some(10))[0].delivery;
        let nacked = pair.inbox.nack(delivery, Some(20));
        let died = matches!(nacked, Returned::Died(_));
        assert_eq!(died, attempt == ATTEMPTS_MAX);
        assert_eq!(pair.inbox.next_due(), (!died).then_some(20));
        pair.inbox.expire(20);
    }
    assert!(pair.inbox.is_empty());
}

#[test]
fn a_reply_that_nobody_got_is_no_attempt() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    for _ in 0..20 {
        let lease = pair.inbox.lease(Portion::ALL, Some(10));
        assert_eq!(lease[0].attempt, 1);
        pair.inbox.unlease(lease[0].delivery);
    }
    assert_eq!((pair.inbox.next_due(), pair.inbox.waiting()), (None, 1));
}

#[test]
fn what_an_old_reply_gives_back_is_not_taken_from_who_has_it_now() {
    let mut pair = Pair::new();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    let first = pair.inbox.lease(Portion::ALL, Some(10))[0].delivery;
    pair.inbox.expire(10);
    let second = pair.inbox.lease(Portion::ALL, Some(100))[0].clone();
    pair.inbox.unlease(first);
    pair.inbox.put_back(second.seq);
    assert_eq!((second.attempt, pair.inbox.waiting()), (2, 0));
    assert!(matches!(
        pair.inbox.ack(second.delivery, 20),
        Settled::Left(..)
    ));
}

fn task(id: &str) -> Arc<Task> {
    use super::super::super::task::Asked;
    use clawlink_protocol::name::{AgentId, MessageId};
    let agent = AgentId::parse("a").unwrap();
    Arc::new(Task::new(
        1,
        Asked {
            sender: None,
            id: MessageId::parse(id).unwrap(),
            from: agent.clone(),
            to: agent,
            body: "{}".into(),
            capability: None,
            thread: None,
            parent: None,
            depth: 1,
            at: 0,
        },
    ))
}

fn delegation(task: &Arc<Task>) -> Arc<Envelope> {
    Arc::new(Envelope {
        body: task.asked.body.clone(),
        kind: Kind::Mail,
        priority: Priority::High,
        accepted_at: String::new(),
        expires: None,
        task: Some(task.clone()),
    })
}

#[test]
fn a_task_learns_when_its_message_is_handed_over_and_comes_back() {
    let mut pair = Pair::new();
    let task = task("t");
    pair.send(delegation(&task)).unwrap();
    pair.send(envelope(Kind::Mail, Priority::Normal, 1))
        .unwrap();
    let one = Portion {
        count: 1,
        ..Portion::ALL
    };
    let mut steps = Vec::new();
    let mut note = |inbox: &mut Inbox| {
        for (moved, step) in inbox.take_moved() {
            assert!(Arc::ptr_eq(&moved, &task));
            steps.push(step);
        }
    };
    let leased = pair.inbox.lease(one, Some(10))[0].delivery;
    pair.inbox.nack(leased, Some(20));
    note(&mut pair.inbox);
    pair.inbox.expire(20);
    note(&mut pair.inbox);
    let (seq, _) = pair.inbox.take(Portion::ALL)[0];
    note(&mut pair.inbox);
    pair.inbox.put_back(seq);
    note(&mut pair.inbox);
    let (over, back) = (Step::HandedOver, Step::CameBack);
    assert_eq!(steps, [over, back, back, over, back]);
}

#[test]
fn an_answered_delegation_is_withdrawn_wherever_it_is_and_nothing_else_is() {
    let (task, other) = (task("t"), task("u"));
    for held in 0..4 {
        let mut pair = Pair::new();
        pair.send(delegation(&task)).unwrap();
        let seq = match held {
            0 => 0,
            1 => pair.inbox.take(Portion::ALL)[0].0,
            2 => pair.inbox.lease(Portion::ALL, Some(10))[0].seq,
            _ => {
                let leased = pair.inbox.lease(Portion::ALL, None)[0].clone();
                pair.inbox.nack(leased.delivery, Some(10));
                leased.seq
            }
        };
        assert!(pair.inbox.withdraw(seq, &other, 5).is_none());
        assert!(pair.inbox.withdraw(seq + 1, &task, 5).is_none());
        assert_eq!(pair.inbox.len(), 1);
        assert!(pair.inbox.withdraw(seq, &task, 5).is_some());
        assert!(pair.inbox.is_empty() && pair.inbox.next_due().is_none());
        if held == 2 {
            assert!(matches!(pair.inbox.ack(1, 6), Settled::Before));
        }
    }
}

#[test]
fn what_comes_again_runs_out_or_gives_way_is_counted() {
    let metrics = Metrics::new();
    let mut arrivals = Arrivals::default();
    let mut inbox = Inbox::new(LIMITS, metrics.clone());
    let mut send = |inbox: &mut Inbox, kind| {
        let message = envelope(kind, Priority::Normal, 1);
        arrivals.admit(message, LIMITS, &budget()).unwrap();
        for (seq, held) in arrivals.take().unwrap_or_default().come {
            inbox.accept(seq, held);
        }
    };
    send(&mut inbox, Kind::Mail);
    let first = inbox.lease(Portion::ALL, Some(10));
    inbox.expire(10);
    assert_eq!(
        (metrics.leases_expired.get(), metrics.redeliveries.get()),
        (1, 0)
    );
    // A nack with a delay is no lease that ran out, and an unwritten reply was seen by nobody.
    let second = inbox.lease(Portion::ALL, Some(20));
    inbox.nack(second[0].delivery, Some(15));
    inbox.expire(15);
    assert_eq!(inbox.take(Portion::ALL).len(), first.len());
    assert_eq!(
        (metrics.leases_expired.get(), metrics.redeliveries.get()),
        (1, 2)
    );
    send(&mut inbox, Kind::Mail);
    let (seq, _) = inbox.take(Portion::ALL)[0];
    inbox.put_back(seq);
    inbox.take(Portion::ALL);
    assert_eq!(metrics.redeliveries.get(), 2);
    inbox.lose(seq, false);
    inbox.take(Portion::ALL);
    assert_eq!(metrics.redeliveries.get(), 3);
    for _ in 0..LIMITS.places {
        send(&mut inbox, Kind::Broadcast);
    }
    assert_eq!(metrics.missed.of(Missed::Inbox).get(), inbox.take_missed());
}
