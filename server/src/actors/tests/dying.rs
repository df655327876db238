//! Mail that dies: of waiting, of too many attempts, with its recipient. Its sender learns of it.

use super::*;
use crate::actors::agent::poll::Action;
use crate::actors::dead_letters::Listed;
use crate::actors::receiving::Deliveries;
use crate::core::identity::Reader;
use serde_json::Value;

impl World {
    pub(super) async fn dead(&self, agent: &str) -> Vec<Listed> {
        let listed =
            self.relay()
                .dead_letters
                .list(Some(id(agent)), None, 1_000, Reader::default());
        listed.await.unwrap()
    }

    /// Reason and attempts of each letter.
    async fn reasons(&self, agent: &str) -> Vec<(&'static str, u32)> {
        let dead = self.dead(agent).await;
        let reasons = dead.iter().map(|l| (l.reason.as_str(), l.attempts));
        reasons.collect()
    }

    /// What is new in an inbox, whole.
    async fn messages(&self, agent: &str) -> Vec<Value> {
        let agent = self.anybody(agent);
        let batch = self.relay().polled(&agent, Ask::PLAIN, Duration::ZERO);
        let batch = batch.await.unwrap().unwrap();
        let messages = batch.messages.iter();
        let messages = messages.map(|h| serde_json::from_str(&h.envelope.body).unwrap());
        let messages = messages.collect();
        batch.written();
        messages
    }

    async fn lease_once(&self, agent: &str, lease: Duration) -> String {
        let ask = Ask {
            lease: Some(lease),
            portion: Ask::portion(50),
            ..Ask::PLAIN
        };
        let agent = self.anybody(agent);
        let batch = self.relay().polled(&agent, ask, Duration::ZERO);
        let batch = batch.await.unwrap().unwrap();
        let token = batch.token.as_ref().unwrap().to_string();
        batch.written();
        token
    }
}

#[test]
fn a_message_that_nobody_fetches_dies_at_its_time_and_its_sender_is_told() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.register("s").await;
        let sent = world.send("s", "a", "t", Some(10)).await.unwrap();
        pass(s(10) - Duration::from_millis(50)).await;
        assert!(world.dead("a").await.is_empty());
        pass(Duration::from_millis(100)).await;
        assert_eq!(world.reasons("a").await, [("expired", 0)]);
        let told = world.messages("s").await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["type"], "delivery_failed");
        assert_eq!(told[0]["message_id"], sent.message_id);
        assert_eq!(told[0]["to_agent"], "a");
        assert_eq!(told[0]["reason"], "expired");
        assert_eq!(told[0]["message_ids"], Value::Null);
        assert!(world.poll("a").await.unwrap().is_empty());
    });
}

#[test]
fn a_stale_agent_is_not_asked_and_its_mail_dies_in_time_all_the_same() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        pass(s(500)).await;
        for task in ["x", "y"] {
            world.send("s", "a", task, Some(3)).await.unwrap();
        }
        pass(s(4)).await;
        assert_eq!(world.status("a"), Some("stale"));
        assert_eq!(world.dead("a").await.len(), 2);
        assert!(world.delegate("a", "their places are free").await.is_ok());
    });
}

#[test]
fn what_was_handed_over_once_is_never_too_old() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for task in ["leased", "never"] {
            world.send("s", "a", task, Some(60)).await.unwrap();
            if task == "leased" {
                world.lease_once("a", s(30)).await;
            }
        }
        pass(s(600)).await;
        assert_eq!(world.poll("a").await.unwrap(), ["leased"]);
        assert_eq!(world.reasons("a").await, [("expired", 0)]);
    });
}

#[test]
fn without_a_word_from_its_sender_a_message_waits_for_a_day() {
    on_relay(&["--reap-after", "1000000"], |world| async move {
        world.register("a").await;
        world.delegate("a", "t").await.unwrap();
        pass(s(86_399)).await;
        assert!(world.dead("a").await.is_empty());
        pass(s(2)).await;
        assert_eq!(world.dead("a").await.len(), 1);
        for ttl in [0, 604_801] {
            let error = world.send("s", "a", "t", Some(ttl)).await.unwrap_err();
            assert!(error.contains("1 to 604800"), "{error}");
        }
    });
}

#[test]
fn mail_of_an_agent_that_is_gone_dies_and_each_sender_learns_of_all_of_it_at_once() {
    on_relay(&[], |world| async move {
        for agent in ["a", "s", "other"] {
            world.register(agent).await;
        }
        let mut ids = Vec::new();
        for n in 0..150 {
            let sent = world.send("s", "a", &n.to_string(), None).await.unwrap();
            ids.push(sent.message_id);
        }
        let one = world.send("other", "a", "one", None).await.unwrap();
        world.broadcast("nobody asks after it").await;
        world.lease_once("a", s(60)).await;
        world.deregister("a").await.unwrap();
        quiet().await;
        let told = world.messages("s").await;
        let (notices, counts): (Vec<&Value>, Vec<u64>) = told
            .iter()
            .filter_map(|told| Some((told, told["count"].as_u64()?)))
            .unzip();
        assert_eq!(counts, [100, 50]);
        let named = notices
            .iter()
            .flat_map(|n| n["message_ids"].as_array().unwrap());
        let mut named: Vec<&str> = named.filter_map(Value::as_str).collect();
        named.sort_unstable();
        ids.sort_unstable();
        assert_eq!(named, ids);
        assert!(notices.iter().all(|n| n["reason"] == "recipient_removed"));
        let told = world.messages("other").await;
        assert_eq!(told.last().unwrap()["message_id"], one.message_id);
        assert_eq!(world.dead("a").await.len(), 151);
    });
}

#[test]
fn mail_of_a_reaped_agent_dies_too_and_can_be_sent_again() {
    on_relay(
        &["--reap-after", "200", "--inbox-limit", "2"],
        |world| async move {
            world.register("a").await;
            let first = world.send("s", "a", "one", None).await.unwrap().message_id;
            let second = world.send("s", "a", "two", None).await.unwrap().message_id;
            pass(s(201)).await;
            assert_eq!(world.status("a"), None);
            assert_eq!(world.reasons("a").await, [("recipient_removed", 0); 2]);
            let again = async |ids: &[&str]| {
                let ids = ids.iter().map(ToString::to_string).collect();
                let done = world
                    .relay()
                    .dead_letters
                    .redeliver(ids, Reader::default())
                    .await
                    .unwrap();
                let codes = done.failed.iter().map(|f| format!("{:?}", f.code));
                (done.done, codes.collect::<Vec<_>>().join(" "))
            };
            assert_eq!(
                again(&[&first, "nosuch"]).await,
                (0, "NotFound UnknownAgent".into())
            );
            assert_eq!(world.dead("a").await.len(), 2);
            world.register("a").await;
            assert_eq!(again(&[&second, &first]).await, (2, String::new()));
            assert!(world.dead("a").await.is_empty());
            assert_eq!(world.poll("a").await.unwrap(), ["two", "one"]);
        },
    );
}

#[test]
fn a_full_inbox_takes_no_dead_letter_back_and_the_letter_stays() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        let sent = world.send("s", "a", "dies", Some(5)).await.unwrap();
        pass(s(6)).await;
        world.delegate("a", "x").await.unwrap();
        world.delegate("a", "y").await.unwrap();
        let ids = vec![sent.message_id];
        let done = world
            .relay()
            .dead_letters
            .redeliver(ids.clone(), Reader::default())
            .await;
        assert_eq!(done.unwrap().done, 0);
        world.poll("a").await.unwrap();
        let done = world
            .relay()
            .dead_letters
            .redeliver(ids, Reader::default())
            .await;
        assert_eq!(done.unwrap().done, 1);
    });
}

#[test]
fn five_attempts_in_vain_are_told_to_the_sender() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.register("s").await;
        let sent = world.send("s", "a", "t", None).await.unwrap();
        for _ in 0..4 {
            world.lease_once("a", s(10)).await;
            pass(s(11)).await;
        }
        let batch = world.lease_once("a", s(10)).await;
        let which = Deliveries::Batch(&batch);
        let a = world.anybody("a");
        let nacked = world.relay().settle(&a, &which, Action::Nack(None));
        assert_eq!(nacked.unwrap().unwrap().done, 1);
        quiet().await;
        assert_eq!(world.reasons("a").await, [("attempts_used_up", 5)]);
        assert_eq!(world.messages("s").await[0]["message_id"], sent.message_id);
    });
}

#[test]
fn a_sender_whose_inbox_is_full_is_told_all_the_same() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("a").await;
        world.register("s").await;
        world.send("s", "a", "t", Some(5)).await.unwrap();
        for task in ["x", "y"] {
            world.delegate("s", task).await.unwrap();
        }
        assert!(world.delegate("s", "z").await.is_err());
        pass(s(6)).await;
        assert_eq!(world.messages("s").await.len(), 3);
    });
}

#[test]
fn a_broadcast_that_is_too_old_is_not_handed_over_and_nobody_is_told() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let content = to_raw_value("old news").unwrap();
        let call = Broadcast {
            from_agent: id("a2"),
            content: &content,
            topic: None,
            tags: None,
            ttl: Some(5),
        };
        world.register("a2").await;
        let sender = world.anybody(call.from_agent.as_str());
        let sent = world.relay().broadcast(&call, None, &sender);
        sent.await.unwrap();
        pass(s(6)).await;
        assert!(world.poll("a").await.unwrap().is_empty());
        assert!(world.messages("a2").await.is_empty());
        assert!(world.dead("a").await.is_empty());
    });
}

#[test]
fn all_inboxes_together_hold_no_more_than_the_budget() {
    on_relay(&["--inboxes-bytes", "100000"], |world| async move {
        let text = "x".repeat(9_000);
        let mut taken = 0;
        for n in 0..20 {
            world.register(&format!("a{n}")).await;
            match world.delegate(&format!("a{n}"), &text).await {
                Ok(_) => taken += 1,
                Err(error) => assert!(error.contains("--inboxes-bytes"), "{error}"),
            }
        }
        assert!((8..=10).contains(&taken), "{taken}");
        let told = world.broadcast("there is not room for all").await;
        assert!((1..20).contains(&told), "{told}");
        // What is read makes room, once its agent has looked.
        world.poll("a0").await.unwrap();
        world.poll("a0").await.unwrap();
        assert!(world.delegate("a19", &text).await.is_ok());
    });
}
