//! Delegations to a capability: whose turn it is, and what becomes of them when that agent is away.

use super::*;
use crate::core::identity::Reader;
use crate::core::task::{Away, State, Task};

impl World {
    async fn able(&self, agent: &str, capability: &str) {
        let call = Register {
            agent_id: Some(id(agent)),
            capabilities: Some(vec![word(capability)]),
            ..Register::default()
        };
        self.relay()
            .register(call, "test".into(), None)
            .await
            .unwrap();
    }

    async fn to_whom_can(&self, capability: &str, task: &str) -> Result<Sent, String> {
        self.to_whom_can_within(capability, task, None).await
    }

    async fn to_whom_can_within(
        &self,
        capability: &str,
        task: &str,
        ttl: Option<u64>,
    ) -> Result<Sent, String> {
        let task = to_raw_value(task).unwrap();
        let call = Delegate {
            ttl,
            ..for_anyone("s", capability, &task)
        };
        let sender = self.anybody("s");
        let sent = self.relay().delegate(&call, None, &sender);
        sent.map(Sent::from).map_err(|refused| refused.0.error)
    }

    async fn answers(&self, agent: &str, task: &Task) {
        let result = to_raw_value("r").unwrap();
        let call = clawlink_protocol::messages::Respond {
            from_agent: id(agent),
            to_agent: None,
            message_id: task.asked.id.clone(),
            result: Some(&result),
            status: None,
        };
        let speaker = self.anybody(agent);
        self.relay().respond(&call, &speaker).unwrap();
    }

    /// Two answers wait in the inbox of an agent that has nothing to do.
    async fn has_two_answers(&self, agent: &str) {
        for _ in 0..2 {
            let sent = self.send(agent, "s", "x", None).await.unwrap();
            let task = self.relay().task(&sent.message_id).unwrap();
            self.poll("s").await;
            self.answers("s", &task).await;
        }
    }

    async fn sent_to(&self, capability: &str, task: &str) -> (String, Arc<Task>) {
        let sent = self.to_whom_can(capability, task).await.unwrap();
        let task = self.relay().task(&sent.message_id).unwrap();
        (sent.to_agent, task)
    }

    /// It is heard, and everybody else is not, until they are stale.
    async fn all_stale_but(&self, agents: &[&str]) {
        for _ in 0..13 {
            agents.iter().for_each(|agent| {
                self.relay().heartbeat(&self.anybody(agent));
            });
            pass(s(10)).await;
        }
    }
}

fn passed_on(task: &Task) -> Vec<Option<Away>> {
    let progress = task.progress();
    let steps = progress.history().0.iter();
    steps.map(|step| step.passed_on).collect()
}

#[test]
fn equals_have_their_turns_and_nobody_works_for_itself() {
    on_relay(&[], |world| async move {
        for agent in ["a", "b", "c", "s"] {
            world.able(agent, "rust").await;
        }
        world.able("d", "go").await;
        let mut turns = Vec::new();
        for _ in 0..6 {
            turns.push(world.sent_to("rust", "t").await.0);
        }
        assert_eq!(turns, ["a", "b", "c", "a", "b", "c"]);
        assert_eq!(world.poll("b").await.unwrap().len(), 2);
        // It is what has ended that counts, not what was taken.
        assert_eq!(world.sent_to("rust", "t").await.0, "a");
        let refused = world.to_whom_can("rsut", "t").await.unwrap_err();
        assert!(refused.contains("did you mean \"rust\""), "{refused}");
    });
}

#[test]
fn what_an_agent_has_not_begun_goes_to_the_next_when_it_is_stale() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (first, task) = world.sent_to("rust", "t").await;
        assert_eq!(first, "a");
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(world.status("a"), Some("stale"));
        assert_eq!((task.to(), task.state()), (&id("b"), State::Queued));
        assert_eq!(passed_on(&task), [None, Some(Away::Stale)]);
        assert_eq!(world.poll("b").await.unwrap(), ["t"]);
        assert!(world.poll("a").await.unwrap().is_empty(), "it is b's now");
    });
}

#[test]
fn what_was_taken_and_came_back_goes_to_the_next_too() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, task) = world.sent_to("rust", "t").await;
        let ask = Ask {
            lease: Some(s(600)),
            ..Ask::PLAIN
        };
        let batch = world
            .relay()
            .polled(&world.anybody("a"), ask, Duration::ZERO)
            .await;
        batch.unwrap().unwrap().written();
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(task.state(), State::Delivered, "its lease runs");
        assert_eq!(task.to(), &id("a"));
        for _ in 0..5 {
            world.all_stale_but(&["b", "s"]).await;
        }
        assert_eq!((task.to(), task.state()), (&id("b"), State::Queued));
        assert_eq!(world.poll("b").await.unwrap(), ["t"]);
    });
}

#[test]
fn a_task_is_passed_on_once() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        for agent in ["a", "b", "c"] {
            world.able(agent, "rust").await;
        }
        let (_, task) = world.sent_to("rust", "t").await;
        assert!(world.deregister("a").await.is_ok());
        quiet().await;
        assert_eq!(task.to(), &id("b"));
        assert_eq!(passed_on(&task), [None, Some(Away::Removed)]);
        assert!(world.deregister("b").await.is_ok());
        quiet().await;
        assert_eq!(task.state(), State::Undeliverable);
        assert!(world.poll("c").await.unwrap().is_empty());
    });
}

#[test]
fn what_was_begun_or_meant_for_one_stays_with_it() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, begun) = world.sent_to("rust", "begun").await;
        assert_eq!(world.poll("a").await.unwrap(), ["begun"]);
        let result = to_raw_value("on it").unwrap();
        let call = clawlink_protocol::messages::Respond {
            from_agent: id("a"),
            to_agent: None,
            message_id: begun.asked.id.clone(),
            result: Some(&result),
            status: Some("in_progress".into()),
        };
        let a = world.anybody("a");
        world.relay().respond(&call, &a).unwrap();
        world.send("s", "a", "meant", None).await.unwrap();
        world.all_stale_but(&["b", "s"]).await;
        assert!(world.deregister("a").await.is_ok());
        quiet().await;
        assert_eq!((begun.to(), begun.state()), (&id("a"), State::InProgress));
        assert!(world.poll("b").await.unwrap().is_empty());
    });
}

#[test]
fn what_nobody_else_can_do_goes_to_the_first_who_comes() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, one) = world.sent_to("rust", "one").await;
        world.sent_to("rust", "two").await;
        pass(s(130)).await;
        assert_eq!(world.poll("a").await.unwrap(), ["one"]);
        quiet().await;
        // It has as much to do as the other; more when that is done.
        assert!(world.poll("a").await.unwrap().is_empty());
        world.answers("a", &one).await;
        quiet().await;
        assert_eq!(world.poll("a").await.unwrap(), ["two"], "it came first");
        let (_, task) = world.sent_to("rust", "three").await;
        assert_eq!(task.to(), &id("a"));
        pass(s(130)).await;
        assert!(world.to_whom_can("rust", "four").await.is_err());
        assert_eq!(task.to(), &id("a"), "nobody is there");
        world.able("new", "rust").await;
        quiet().await;
        assert_eq!(world.poll("new").await.unwrap(), ["three"]);
    });
}

#[test]
fn one_whose_inbox_is_full_is_passed_over() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("s").await;
        world.able("a-full", "rust").await;
        world.able("b-idle", "rust").await;
        world.has_two_answers("a-full").await;
        for _ in 0..2 {
            assert_eq!(world.sent_to("rust", "t").await.0, "b-idle");
        }
        let refused = world.to_whom_can("rust", "t").await.unwrap_err();
        assert!(refused.contains("is full"), "{refused}");
        // What is left by one that went finds the way past the full one too.
        world.poll("b-idle").await;
        world.able("c", "rust").await;
        let (to, task) = world.sent_to("rust", "t").await;
        assert_eq!(to, "c");
        world.all_stale_but(&["a-full", "b-idle", "s"]).await;
        assert_eq!(task.to(), &id("b-idle"));
    });
}

#[test]
fn what_found_no_room_goes_on_when_somebody_has_done_something() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        let (_, left) = world.sent_to("rust", "left").await;
        world.able("b", "rust").await;
        for task in ["one", "two"] {
            assert_eq!(
                world.sent_to("rust", task).await.0,
                if task == "one" { "b" } else { "a" }
            );
        }
        let sent = world.send("s", "b", "three", None).await.unwrap();
        let done = world.relay().task(&sent.message_id).unwrap();
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(left.to(), &id("a"), "b has no room");
        assert!(world.relay().router.is_anybody_stranded());
        world.poll("b").await;
        world.answers("b", &done).await;
        quiet().await;
        assert_eq!(left.to(), &id("b"));
    });
}

#[test]
fn nothing_is_kept_of_agents_that_are_gone() {
    on_relay(&[], |world| async move {
        for n in 0..50 {
            let (agent, capability) = (format!("a{n}"), format!("c{n}"));
            world.able(&agent, &capability).await;
            world.sent_to(&capability, "t").await;
            if n % 2 == 0 {
                pass(s(130)).await;
                assert!(world.relay().router.is_anybody_stranded());
            }
            world.deregister(&agent).await.unwrap();
            quiet().await;
        }
        assert!(!world.relay().router.is_anybody_stranded());
    });
}

#[test]
fn who_comes_back_by_its_socket_gets_what_was_left() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (first, task) = world.sent_to("rust", "t").await;
        assert_eq!(first, "a");
        world.all_stale_but(&["s"]).await;
        assert_eq!(world.status("b"), Some("stale"));
        let (socket, _session) = world.socket("b").await;
        quiet().await;
        assert_eq!(task.to(), &id("b"));
        assert_eq!(socket.got(), ["t"]);
    });
}

#[test]
fn who_was_silent_and_heard_before_it_was_noted_gets_what_was_left() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        let (_, task) = world.sent_to("rust", "t").await;
        world.able("b", "rust").await;
        pass(s(118)).await;
        // Time passes, and no actor has its turn.
        let mut passing = std::pin::pin!(tokio::time::advance(s(3)));
        std::future::poll_fn(|context| {
            let _ = passing.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        let b = world.relay().directory.get("b").unwrap();
        assert!(!b.agent.presence().is_online());
        // Another thread looks for somebody, finds nobody, and b is heard.
        assert!(world.relay().router.pick(&word("rust"), &[]).is_none());
        world.relay().heartbeat(&world.anybody("b"));
        quiet().await;
        assert_eq!(task.to(), &id("b"));
    });
}

#[test]
fn with_many_everybody_has_a_turn_though_others_ask_for_other_things() {
    on_relay(&[], |world| async move {
        world.able("a", "go").await;
        for n in 0..1_100 {
            world.able(&format!("r{n:05}"), "rust").await;
        }
        let mut served = std::collections::BTreeSet::new();
        for _ in 0..1_100 {
            world.sent_to("go", "t").await;
            served.insert(world.sent_to("rust", "t").await.0);
            world.poll("a").await;
        }
        assert_eq!(served.len(), 1_100);
    });
}

#[test]
fn a_task_that_was_forgotten_is_a_message_and_no_more() {
    on_relay(&["--tasks-limit", "1"], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let sent = world
            .to_whom_can_within("rust", "t", Some(60))
            .await
            .unwrap();
        pass(s(61)).await;
        for agent in ["a", "b", "s"] {
            world.relay().heartbeat(&world.anybody(agent));
        }
        // Another one takes its place.
        world.send("s", "s", "other", None).await.unwrap();
        assert!(world.relay().task(&sent.message_id).is_err());
        let again = world
            .relay()
            .dead_letters
            .redeliver(vec![sent.message_id], Reader::default());
        assert_eq!(again.await.unwrap().done, 1);
        world.all_stale_but(&["b", "s"]).await;
        assert!(world.poll("b").await.unwrap().is_empty());
        assert_eq!(world.poll("a").await.unwrap(), ["t"]);
    });
}

#[test]
fn a_task_whose_sender_has_told_more_stays_where_that_is_known() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, task) = world.sent_to("rust", "t").await;
        let content = to_raw_value("on main").unwrap();
        let call = clawlink_protocol::tasks::Input {
            from_agent: id("s"),
            content: &content,
        };
        let told = world
            .relay()
            .input(task.asked.id.as_str(), &call, &world.anybody("s"));
        told.unwrap();
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(task.to(), &id("a"));
        assert_eq!(world.poll("a").await.unwrap().len(), 2);
    });
}

#[test]
fn nobody_is_told_of_the_end_of_what_it_never_had() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, task) = world.sent_to("rust", "t").await;
        let ask = Ask {
            lease: Some(s(60)),
            ..Ask::PLAIN
        };
        let batch = world
            .relay()
            .polled(&world.anybody("a"), ask, Duration::ZERO)
            .await;
        batch.unwrap().unwrap().written();
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(task.to(), &id("b"));
        let (task, sender) = (task.asked.id.as_str(), world.anybody("s"));
        world.relay().cancel(task, &sender).unwrap();
        assert!(world.poll("b").await.unwrap().is_empty());
    });
}

#[test]
fn what_is_sent_again_to_one_who_is_away_goes_to_another() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        let sent = world
            .to_whom_can_within("rust", "t", Some(60))
            .await
            .unwrap();
        let task = world.relay().task(&sent.message_id).unwrap();
        world.all_stale_but(&["s"]).await;
        world.able("b", "rust").await;
        assert_eq!(task.state(), State::Expired);
        let again = world
            .relay()
            .dead_letters
            .redeliver(vec![sent.message_id], Reader::default());
        again.await.unwrap();
        quiet().await;
        assert_eq!((task.to(), task.state()), (&id("b"), State::Queued));
    });
}

#[test]
fn after_an_outage_of_all_each_has_its_part() {
    on_relay(&[], |world| async move {
        world.register("s").await;
        let workers = ["w0", "w1", "w2", "w3", "w4"];
        for worker in workers {
            world.able(worker, "rust").await;
        }
        for _ in 0..100 {
            world.sent_to("rust", "t").await;
        }
        world.all_stale_but(&["s"]).await;
        let mut got = [0; 5];
        for _ in 0..2 {
            for (got, worker) in got.iter_mut().zip(workers) {
                *got += world.poll(worker).await.unwrap().len();
                quiet().await;
            }
        }
        assert_eq!(got.iter().sum::<usize>(), 100);
        assert!(got.iter().all(|&got| got < 50), "{got:?}");
    });
}
