//! Delegations to a capability: whose turn it is, and what becomes of them when that agent is away.

use super::*;
use crate::core::task::{Away, State, Task};

impl World {
    async fn able(&self, agent: &str, capability: &str) {
        let call = Register {
            agent_id: Some(id(agent)),
            capabilities: Some(vec![word(capability)]),
            ..Register::default()
        };
        self.relay().register(call, "test".into()).await.unwrap();
    }

    async fn to_whom_can(&self, capability: &str, task: &str) -> Result<Delegated, String> {
        let task = to_raw_value(task).unwrap();
        let call = Delegate {
            from_agent: id("s"),
            to_agent: None,
            to_capability: Some(word(capability)),
            task: &task,
            context: None,
            priority: None,
            ttl: None,
            thread_id: None,
            parent_id: None,
        };
        let sent = self.relay().delegate(&call, None).await;
        sent.map_err(|refused| refused.0.error)
    }

    async fn sent_to(&self, capability: &str, task: &str) -> (String, Arc<Task>) {
        let sent = self.to_whom_can(capability, task).await.unwrap();
        let task = self.relay().task(&sent.message_id).unwrap();
        (sent.to_agent.unwrap(), task)
    }

    /// It is heard, and everybody else is not, until they are stale.
    async fn all_stale_but(&self, agents: &[&str]) {
        for _ in 0..13 {
            agents.iter().for_each(|agent| {
                self.relay().heartbeat(&id(agent));
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
        let batch = world.relay().poll(&id("a"), ask, Duration::ZERO).await;
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
        assert!(world.relay().deregister(id("a")).await.is_ok());
        quiet().await;
        assert_eq!(task.to(), &id("b"));
        assert_eq!(passed_on(&task), [None, Some(Away::Removed)]);
        assert!(world.relay().deregister(id("b")).await.is_ok());
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
        world.relay().respond(&call).await.unwrap();
        world.send("s", "a", "meant", None).await.unwrap();
        world.all_stale_but(&["b", "s"]).await;
        assert!(world.relay().deregister(id("a")).await.is_ok());
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
        world.sent_to("rust", "one").await;
        world.sent_to("rust", "two").await;
        pass(s(130)).await;
        assert_eq!(world.poll("a").await.unwrap(), ["one"]);
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
fn one_whose_inbox_is_full_is_not_given_more() {
    on_relay(&["--inbox-limit", "2"], |world| async move {
        world.register("s").await;
        world.able("a", "rust").await;
        world.able("b", "rust").await;
        let (_, task) = world.sent_to("rust", "t").await;
        for _ in 0..2 {
            world.delegate("b", "x").await.unwrap();
        }
        world.all_stale_but(&["b", "s"]).await;
        assert_eq!(task.to(), &id("a"), "it waits there");
        assert_eq!(world.poll("a").await.unwrap(), ["t"]);
    });
}
