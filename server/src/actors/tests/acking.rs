//! Sockets whose peer acknowledges: a message is theirs until its receipt comes back or they end.

use super::*;
use crate::actors::agent::poll::Action;
use crate::actors::receiving::Deliveries;
use crate::core::window::WINDOW_COUNT;

impl World {
    fn settle_receipts(&self, agent: &str, receipts: &[String], action: Action) -> usize {
        let receipts: Vec<_> = receipts.iter().map(Into::into).collect();
        let (agent, which) = (self.anybody(agent), Deliveries::Receipts(&receipts));
        let settled = self.relay().settle(&agent, &which, action);
        settled.unwrap().unwrap().done
    }
}

fn receipts(fake: &FakeSocket) -> Vec<String> {
    let receipts = fake.receipts();
    receipts.into_iter().map(|(receipt, _)| receipt).collect()
}

fn attempts(fake: &FakeSocket) -> Vec<u32> {
    let receipts = fake.receipts();
    receipts.into_iter().map(|(_, attempt)| attempt).collect()
}

#[test]
fn only_a_receipt_confirms_and_makes_room() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket_that("a", true).await;
        for n in 0..100 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        for _ in 0..5 {
            session.confirm(fake.mark());
            quiet().await;
        }
        assert_eq!(
            fake.got().len(),
            WINDOW_COUNT,
            "an answered ping is no receipt"
        );
        let acked = receipts(&fake)[10..20].to_vec();
        assert_eq!(world.settle_receipts("a", &acked, Action::Ack), 10);
        quiet().await;
        assert_eq!(fake.got().len(), WINDOW_COUNT + 10);
        let all = receipts(&fake);
        assert_eq!(world.settle_receipts("a", &all, Action::Ack), all.len());
        quiet().await;
        assert_eq!(fake.got().len(), 100);
        let rest = receipts(&fake)[WINDOW_COUNT + 10..].to_vec();
        world.settle_receipts("a", &rest, Action::Ack);
        drop(session);
        quiet().await;
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

#[test]
fn what_was_not_acknowledged_comes_again_on_the_next_connection() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (first, old) = world.socket_that("a", true).await;
        for task in ["read", "acked", "unread"] {
            world.delegate("a", task).await.unwrap();
        }
        quiet().await;
        let acked = receipts(&first)[1].clone();
        assert_eq!(world.settle_receipts("a", &[acked], Action::Ack), 1);
        assert!(
            world.poll("a").await.unwrap().is_empty(),
            "they are in one place"
        );
        old.confirm(1);
        drop(old);
        quiet().await;
        let (second, _session) = world.socket_that("a", true).await;
        quiet().await;
        assert_eq!(second.got(), ["read", "unread"]);
        assert_eq!(
            attempts(&second),
            [2, 1],
            "what it had not read was no attempt"
        );
        let late = receipts(&first);
        assert_eq!(
            world.settle_receipts("a", &late, Action::Ack),
            1,
            "only the one that was acknowledged before"
        );
    });
}

#[test]
fn a_message_that_ends_every_connection_is_given_up_after_five() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.register("s").await;
        world.send("s", "a", "poison", None).await.unwrap();
        for attempt in 1..=5 {
            let (fake, session) = world.socket_that("a", true).await;
            quiet().await;
            assert_eq!(attempts(&fake), [attempt]);
            session.confirm(fake.mark());
            drop(session);
            quiet().await;
        }
        assert!(world.poll("a").await.unwrap().is_empty());
        let told = world
            .relay()
            .polled(&world.anybody("s"), Ask::PLAIN, Duration::ZERO)
            .await;
        let told = told.unwrap().unwrap();
        let told = &told.messages[0].envelope.body;
        assert!(told.contains("attempts_used_up"), "{told}");
    });
}

#[test]
fn a_nack_brings_a_message_back_onto_the_socket_at_once_or_later() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, _session) = world.socket_that("a", true).await;
        world.delegate("a", "t").await.unwrap();
        let nack = async |later| {
            let last = receipts(&fake).pop().unwrap();
            assert_eq!(world.settle_receipts("a", &[last], Action::Nack(later)), 1);
            quiet().await;
        };
        nack(None).await;
        assert_eq!(attempts(&fake), [1, 2]);
        nack(Some(s(30))).await;
        pass(s(29)).await;
        assert_eq!(attempts(&fake), [1, 2]);
        pass(s(2)).await;
        assert_eq!(attempts(&fake), [1, 2, 3]);
        let last = receipts(&fake).pop().unwrap();
        let last = [last];
        let extended = world.settle_receipts("a", &last, Action::Extend(s(1)));
        assert_eq!(extended, 1);
        pass(s(3600)).await;
        assert_eq!(attempts(&fake), [1, 2, 3], "it lasts as long as the socket");
    });
}

#[test]
fn a_receipt_lives_through_a_panic_of_the_agent() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, _session) = world.socket_that("a", true).await;
        world.delegate("a", "t").await.unwrap();
        world.make_agent_panic("a").await;
        quiet().await;
        assert_eq!(fake.got(), ["t"], "it is still there");
        let all = receipts(&fake);
        assert_eq!(world.settle_receipts("a", &all, Action::Ack), 1);
    });
}

#[test]
fn sockets_hear_who_comes_falls_silent_and_leaves_but_not_of_themselves() {
    on_relay(&[], |world| async move {
        world.register("listener").await;
        let fake = FakeSocket::default();
        let herald = &world.relay().herald;
        let listening = herald.listen(id("listener"), fake.opened(false)).await;
        world.register("a").await;
        pass(s(121)).await;
        world.relay().heartbeat(&world.anybody("a"));
        world.deregister("a").await.unwrap();
        quiet().await;
        let heard = fake.announced();
        let heard: Vec<serde_json::Value> = heard
            .iter()
            .map(|notice| serde_json::from_str(notice).unwrap())
            .collect();
        let said: Vec<_> = heard
            .iter()
            .map(|n| {
                (
                    n["type"].as_str().unwrap(),
                    n["agent"]["agent_id"].as_str().unwrap(),
                )
            })
            .collect();
        let expected = ["agent_joined", "agent_stale", "agent_left"].map(|kind| (kind, "a"));
        assert_eq!(said, expected);
        assert_eq!(heard[1]["agent"]["status"], "stale");
        drop(listening);
        quiet().await;
        world.register("b").await;
        quiet().await;
        assert_eq!(fake.announced().len(), 3);
    });
}

#[test]
fn a_storm_of_joins_is_told_in_few_steps_in_order_and_to_each_only_what_came_after_it() {
    on_relay(&[], |world| async move {
        let herald = &world.relay().herald;
        let mut crowd = Vec::new();
        for n in 0..100 {
            let fake = FakeSocket::default();
            let name = format!("s{n}");
            let listening = herald.listen(id(&name), fake.opened(false)).await;
            crowd.push((fake, listening));
        }
        let heard = |n: usize| -> Vec<String> {
            let (fake, _) = &crowd[n];
            let notices = fake.announced().into_iter();
            let told = notices.map(|notice| {
                let notice: serde_json::Value = serde_json::from_str(&notice).unwrap();
                notice["agent"]["agent_id"].as_str().unwrap().to_owned()
            });
            told.collect()
        };
        world.register("first").await;
        tokio::task::yield_now().await;
        assert_eq!(heard(0), ["first"], "the first is told at once");
        let late = FakeSocket::default();
        for n in 1..20 {
            world.register(&format!("s{n}")).await;
        }
        let _late = herald.listen(id("late"), late.opened(false)).await;
        world.register("last").await;
        tokio::task::yield_now().await;
        assert_eq!(heard(0), ["first"], "the others wait for each other");
        pass(Duration::from_millis(10)).await;
        let all: Vec<_> = (1..20).map(|n| format!("s{n}")).collect();
        let expected = |but: &str| -> Vec<String> {
            let others = all.iter().filter(|name| *name != but);
            let first = std::iter::once("first".to_owned());
            first
                .chain(others.cloned())
                .chain(["last".to_owned()])
                .collect()
        };
        assert_eq!(heard(0), expected("s0"));
        assert_eq!(heard(7), expected("s7"), "not of itself");
        assert_eq!(late.announced().len(), 1, "not of what was before it");
    });
}

#[test]
fn a_receipt_counts_when_the_socket_ends_right_after_it() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket_that("a", true).await;
        for n in 0..3 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        let got = receipts(&fake);
        assert_eq!(world.settle_receipts("a", &got[..2], Action::Ack), 2);
        drop(session);
        quiet().await;
        assert_eq!(world.poll("a").await.unwrap(), ["2"]);
        let nonsense = ["nonsense".to_owned()];
        assert_eq!(world.settle_receipts("a", &nonsense, Action::Ack), 0);
    });
}

#[test]
fn a_receipt_counts_when_its_agent_leaves_right_after_it() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, _session) = world.socket_that("a", true).await;
        for n in 0..2 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        let agent = world.anybody("a");
        let first = &receipts(&fake)[..1];
        assert_eq!(world.settle_receipts("a", first, Action::Ack), 1);
        world.relay().deregister(&agent).await.unwrap();
        quiet().await;
        assert_eq!(world.dead("a").await.len(), 1);
    });
}

#[test]
fn receipts_make_room_in_the_window() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, _session) = world.socket_that("a", true).await;
        for n in 0..WINDOW_COUNT + 10 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        assert_eq!(fake.got().len(), WINDOW_COUNT);
        let ten = &receipts(&fake)[..10];
        assert_eq!(world.settle_receipts("a", ten, Action::Ack), 10);
        quiet().await;
        assert_eq!(fake.got().len(), WINDOW_COUNT + 10);
    });
}
