//! Leases and long polls, under a paused clock.

use super::*;
use crate::actors::agent::poll::{Action, Batch};
use crate::actors::receiving::Deliveries;
use clawlink_protocol::messages::Acked;
use tokio::time::Instant;

fn leased(seconds: u64) -> Ask {
    Ask {
        lease: Some(s(seconds)),
        portion: Ask::portion(50),
        ..Ask::PLAIN
    }
}

fn tasks(batch: &Batch) -> Vec<String> {
    batch
        .messages
        .iter()
        .map(|handed| body_of(&handed.envelope.body))
        .collect()
}

fn attempts(batch: &Batch) -> Vec<u32> {
    batch
        .messages
        .iter()
        .filter_map(|handed| Some(handed.lease.as_ref()?.attempt))
        .collect()
}

impl World {
    async fn ask(&self, agent: &str, ask: Ask, wait: Duration) -> Option<Batch> {
        self.relay()
            .polled(&self.anybody(agent), ask, wait)
            .await
            .unwrap()
    }

    /// A leased reply that arrives: the token of its batch, and what it held.
    async fn lease(&self, agent: &str, seconds: u64) -> (String, Vec<String>) {
        let batch = self
            .ask(agent, leased(seconds), Duration::ZERO)
            .await
            .unwrap();
        let token = batch.token.as_ref().map(ToString::to_string);
        let (token, tasks) = (token.unwrap_or_default(), tasks(&batch));
        batch.written();
        (token, tasks)
    }

    async fn settle(&self, agent: &str, batch: &str, action: Action) -> Acked {
        let which = Deliveries::Batch(batch);
        self.relay()
            .settle(&self.anybody(agent), &which, action)
            .unwrap()
            .unwrap()
    }
}

#[test]
fn a_leased_message_comes_again_in_its_old_place_when_the_lease_ends() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "one").await.unwrap();
        world.delegate("a", "two").await.unwrap();
        let (_, first) = world.lease("a", 60).await;
        assert_eq!(first, ["one", "two"]);
        world.delegate("a", "three").await.unwrap();
        pass(s(59)).await;
        assert_eq!(
            world.lease("a", 1).await.1,
            ["three"],
            "the others are leased"
        );
        pass(s(2)).await;
        let again = world.ask("a", leased(60), Duration::ZERO).await.unwrap();
        assert_eq!(
            (tasks(&again), attempts(&again)),
            (
                vec!["one".into(), "two".into(), "three".into()],
                vec![2, 2, 2]
            )
        );
    });
}

#[test]
fn the_place_of_what_is_called_off_while_its_reply_is_written_is_given_back_once() {
    on_relay(&["--inbox-limit", "3"], |world| async move {
        world.register("a").await;
        for task in ["one", "two"] {
            world.delegate("a", task).await.unwrap();
        }
        let agent = world.anybody("a");
        let batch = world
            .relay()
            .polled(&agent, Ask::PLAIN, Duration::ZERO)
            .await;
        let batch = batch.unwrap().unwrap();
        for handed in &batch.messages {
            let asked = &handed.envelope.task.as_ref().unwrap().asked;
            let sender = world.anybody(asked.from.as_str());
            world.relay().cancel(asked.id.as_str(), &sender).unwrap();
        }
        batch.written();
        assert_eq!(
            world.poll("a").await.unwrap().len(),
            2,
            "it is told of both"
        );
        for task in ["three", "four", "five"] {
            world.delegate("a", task).await.unwrap();
        }
        assert!(world.delegate("a", "six").await.is_err(), "it is full");
    });
}

#[test]
fn an_ack_is_for_good_may_be_said_twice_and_counts_for_its_delivery_alone() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        world.delegate("a", "one").await.unwrap();
        world.delegate("a", "two").await.unwrap();
        let (old, _) = world.lease("a", 10).await;
        assert!(
            world.delegate("a", "full").await.is_err(),
            "leased mail takes its place"
        );
        pass(s(11)).await;
        let (new, _) = world.lease("a", 10).await;
        let late = world.settle("a", &old, Action::Ack).await;
        assert_eq!((late.done, late.expired.len()), (0, 2));
        for _ in 0..2 {
            let acked = world.settle("a", &new, Action::Ack).await;
            assert_eq!((acked.done, acked.expired.len()), (2, 0));
        }
        assert!(world.delegate("a", "room").await.is_ok());
        pass(s(3600)).await;
        assert_eq!(world.poll("a").await.unwrap(), ["room"]);
        let forgotten = world.settle("a", &new, Action::Ack).await;
        assert_eq!(
            (forgotten.done, forgotten.expired.len()),
            (0, 2),
            "after ten minutes"
        );
        let unknown = world.settle("a", "zzzz1-1", Action::Ack).await;
        assert_eq!((unknown.done, unknown.unknown_batch), (0, Some(true)));
    });
}

#[test]
fn a_nack_brings_it_back_at_once_or_later_and_an_extension_puts_it_off() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "t").await.unwrap();
        let (token, _) = world.lease("a", 60).await;
        assert_eq!(world.settle("a", &token, Action::Nack(None)).await.done, 1);
        let (token, again) = world.lease("a", 60).await;
        assert_eq!(again, ["t"]);
        world.settle("a", &token, Action::Nack(Some(s(30)))).await;
        pass(s(29)).await;
        assert!(world.lease("a", 60).await.1.is_empty());
        pass(s(2)).await;
        let (token, again) = world.lease("a", 10).await;
        assert_eq!(again, ["t"]);
        for _ in 0..10 {
            pass(s(9)).await;
            assert_eq!(
                world.settle("a", &token, Action::Extend(s(10))).await.done,
                1
            );
        }
        assert!(world.lease("a", 60).await.1.is_empty());
        pass(s(11)).await;
        assert_eq!(
            world
                .settle("a", &token, Action::Extend(s(10)))
                .await
                .expired
                .len(),
            1
        );
        assert_eq!(world.lease("a", 60).await.1, ["t"]);
    });
}

#[test]
fn after_five_attempts_a_message_is_given_up_and_its_place_is_free() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        world.delegate("a", "hopeless").await.unwrap();
        for attempt in 1..=5 {
            let batch = world.ask("a", leased(10), Duration::ZERO).await.unwrap();
            assert_eq!(attempts(&batch), [attempt]);
            batch.written();
            pass(s(11)).await;
        }
        assert!(world.poll("a").await.unwrap().is_empty());
        for task in ["x", "y"] {
            world.delegate("a", task).await.unwrap();
        }
    });
}

#[test]
fn a_reply_that_nobody_took_goes_back_and_is_no_attempt() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "t").await.unwrap();
        for _ in 0..20 {
            let batch = world.ask("a", leased(60), Duration::ZERO).await.unwrap();
            assert_eq!(attempts(&batch), [1]);
            drop(batch);
            quiet().await;
            let batch = world.ask("a", Ask::PLAIN, Duration::ZERO).await.unwrap();
            assert_eq!(tasks(&batch), ["t"]);
            drop(batch);
            quiet().await;
        }
        assert_eq!(world.poll("a").await.unwrap(), ["t"]);
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

#[test]
fn a_long_poll_is_answered_by_the_mail_or_by_the_end_of_its_time() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let began = Instant::now();
        let empty = world.ask("a", leased(60), s(30)).await.unwrap();
        assert!(empty.messages.is_empty() && began.elapsed() >= s(30));
        let began = Instant::now();
        let (batch, ()) = tokio::join!(world.ask("a", leased(60), s(30)), async {
            pass(s(10)).await;
            assert_eq!(world.delegate("a", "t").await.unwrap(), "queued");
        });
        assert_eq!(tasks(&batch.unwrap()), ["t"]);
        assert!(
            began.elapsed() < s(10) + Duration::from_millis(20),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn an_agent_is_heard_all_the_while_it_waits() {
    on_relay(&["--stale-after", "40"], |world| async move {
        world.register("a").await;
        for _ in 0..5 {
            world.ask("a", leased(60), s(55)).await.unwrap();
            assert_eq!(
                (world.status("a"), world.relay().online()),
                (Some("online"), 1)
            );
        }
        pass(s(39)).await;
        assert_eq!(world.status("a"), Some("online"));
        pass(s(2)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
    });
}

#[test]
fn who_leaves_while_waiting_takes_nothing_along() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for _ in 0..20 {
            let gone = tokio::time::timeout(s(1), world.ask("a", Ask::PLAIN, s(30))).await;
            assert!(gone.is_err());
        }
        world.delegate("a", "t").await.unwrap();
        assert_eq!(world.poll("a").await.unwrap(), ["t"]);
    });
}

#[test]
fn a_peek_shows_and_takes_nothing_also_when_it_waits() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let peek = Ask {
            peek: true,
            portion: Ask::portion(50),
            ..Ask::PLAIN
        };
        let (shown, ()) = tokio::join!(world.ask("a", peek, s(30)), async {
            pass(s(1)).await;
            world.delegate("a", "t").await.unwrap();
        });
        assert_eq!(tasks(&shown.unwrap()), ["t"]);
        for _ in 0..3 {
            assert_eq!(
                tasks(&world.ask("a", peek, Duration::ZERO).await.unwrap()),
                ["t"]
            );
        }
        assert_eq!(world.poll("a").await.unwrap(), ["t"]);
    });
}

#[test]
fn a_reply_is_bounded_and_tells_what_is_left() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for n in 0..120 {
            world.delegate("a", &n.to_string()).await.unwrap();
        }
        let batch = world.ask("a", leased(60), Duration::ZERO).await.unwrap();
        assert_eq!((batch.messages.len(), batch.remaining), (50, 70));
        batch.written();
        let big = "x".repeat(400 * 1024);
        for _ in 0..5 {
            world.delegate("a", &big).await.unwrap();
        }
        world.lease("a", 60).await;
        world.lease("a", 60).await;
        let batch = world.ask("a", leased(60), Duration::ZERO).await.unwrap();
        assert_eq!((batch.messages.len(), batch.remaining), (2, 1), "one MiB");
    });
}

#[test]
fn polls_that_wait_survive_a_panic_and_end_with_their_agent_or_the_relay() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (batch, ()) = tokio::join!(world.ask("a", Ask::PLAIN, s(30)), async {
            pass(s(1)).await;
            world.make_agent_panic("a").await;
        });
        assert!(
            batch.unwrap().messages.is_empty(),
            "it is told at once, and asks again"
        );
        let (gone, ()) = tokio::join!(world.ask("a", Ask::PLAIN, s(30)), async {
            pass(s(1)).await;
            world.deregister("a").await.unwrap();
        });
        assert!(gone.is_none());
        world.register("b").await;
        let began = Instant::now();
        let (batch, ()) = tokio::join!(world.ask("b", Ask::PLAIN, s(30)), async {
            pass(s(1)).await;
            world.server.lifeline.end();
        });
        assert!(batch.unwrap().messages.is_empty() && began.elapsed() < s(2));
    });
}

#[test]
fn a_ninth_poll_that_waits_takes_the_place_of_the_first() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let began = Instant::now();
        let wait = |n: u64| {
            let world = &world;
            async move {
                pass(Duration::from_millis(n)).await;
                let batch = world.ask("a", leased(60), s(30)).await.unwrap();
                batch.written();
                began.elapsed()
            }
        };
        let (first, others) =
            tokio::join!(wait(0), futures_util::future::join_all((1..=8).map(wait)));
        assert!((s(1)..s(2)).contains(&first), "{first:?}");
        assert!(others.iter().all(|waited| *waited >= s(30)), "{others:?}");
    });
}

#[test]
fn mail_in_a_reply_survives_a_panic_of_its_agent() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        world.delegate("a", "one").await.unwrap();
        world.delegate("a", "two").await.unwrap();
        let batch = world.ask("a", Ask::PLAIN, Duration::ZERO).await.unwrap();
        world.make_agent_panic("a").await;
        quiet().await;
        batch.written();
        assert_eq!(
            world.poll("a").await.unwrap(),
            ["one", "two"],
            "better twice than never"
        );
        for task in ["x", "y"] {
            world.delegate("a", task).await.unwrap();
        }
        assert!(
            world.delegate("a", "z").await.is_err(),
            "the count is right"
        );
    });
}
