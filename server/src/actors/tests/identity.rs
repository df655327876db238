//! Whose an agent is, from the moment a secret claims it.

use super::*;
use crate::actors::agent::poll::NoMail;
use crate::core::identity::{Brings, Reader, SecretHash};
use clawlink_protocol::error::ErrorCode;

/// The secret of this number, as it is kept.
fn secret(n: u8) -> Option<SecretHash> {
    Some(SecretHash::made_of([n; 32]).1)
}

impl World {
    /// Registers an agent with what it shows; gives the secret that it gets.
    async fn enrol(
        &self,
        agent: &str,
        shown: Option<SecretHash>,
    ) -> Result<Option<String>, ErrorCode> {
        let call = Register {
            agent_id: Some(id(agent)),
            name: Some(word(agent)),
            ..Register::default()
        };
        let joined = self.relay().register(call, "test".into(), shown).await;
        joined
            .map(|joined| joined.secret)
            .map_err(|no| no.0.code.unwrap())
    }

    fn speak(&self, agent: &str, shown: Option<SecretHash>) -> Result<Speaker, Option<String>> {
        let speaker = self.relay().may_speak_for(&id(agent), shown);
        speaker.map_err(|no| {
            assert_eq!(no.0.code, Some(ErrorCode::Forbidden));
            no.0.reason
        })
    }
}

#[test]
fn the_last_secret_given_claims_an_agent_by_its_first_use() {
    on_relay(&[], |world| async move {
        let first = world.enrol("a", None).await.unwrap().unwrap();
        let second = world.enrol("a", None).await.unwrap().unwrap();
        assert_ne!(first, second);
        let (first, second) = (SecretHash::of(&first), SecretHash::of(&second));
        assert_eq!(
            world.speak("a", first).unwrap_err().as_deref(),
            Some("secret_wrong")
        );
        assert!(!world.speak("a", None).unwrap().is_verified());
        assert!(world.speak("a", second).unwrap().is_verified());
        assert_eq!(
            world.speak("a", None).unwrap_err().as_deref(),
            Some("secret_required")
        );
        assert_eq!(world.enrol("a", None).await, Err(ErrorCode::AgentClaimed));
        assert_eq!(world.enrol("a", second).await, Ok(None));
    });
}

#[test]
fn whoever_was_there_without_the_secret_is_sent_away_when_it_claims() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (socket, _seat) = world.socket("a").await;
        let entry = world.relay().directory.get("a").unwrap();
        let waits = Ask {
            wait: true,
            ..Ask::PLAIN
        };
        let poll = entry.agent.clone();
        let poll = tokio::spawn(async move { poll.poll(waits, s(50)).await });
        quiet().await;
        assert_eq!(world.enrol("a", secret(1)).await, Ok(None));
        world.delegate("a", "for its owner").await.unwrap();
        quiet().await;
        assert_eq!(*socket.dismissed.lock(), Some(Dismiss::NotYours));
        assert!(socket.got().is_empty());
        assert_eq!(poll.await.unwrap().err(), Some(NoMail::NotYours));
        let mine = world.speak("a", secret(1)).unwrap();
        let batch = world
            .relay()
            .polled(&mine, Ask::PLAIN, Duration::ZERO)
            .await;
        assert_eq!(batch.unwrap().unwrap().messages.len(), 1);
        let attached = entry.agent.attach(socket.opened(false), false, false).await;
        assert_eq!(attached.err(), Some(NoMail::NotYours));
    });
}

#[test]
fn what_comes_before_the_agent_has_heard_of_its_claim_is_not_for_who_was_there() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (socket, _seat) = world.socket("a").await;
        let entry = world.relay().directory.get("a").unwrap();
        let claims = entry
            .agent
            .identity()
            .register(Brings::Own(secret(1).unwrap()));
        assert!(claims.is_ok());
        assert_eq!(world.delegate("a", "mine").await.unwrap(), "queued");
        quiet().await;
        assert_eq!(*socket.dismissed.lock(), Some(Dismiss::NotYours));
        assert!(socket.got().is_empty());
    });
}

#[test]
fn whoever_has_shown_the_secret_stays_when_the_agent_registers_again() {
    on_relay(&[], |world| async move {
        world.enrol("a", secret(1)).await.unwrap();
        let fake = FakeSocket::default();
        let entry = world.relay().directory.get("a").unwrap();
        let _seat = entry
            .agent
            .attach(fake.opened(false), false, true)
            .await
            .unwrap();
        world.enrol("a", secret(1)).await.unwrap();
        world.delegate("a", "t").await.unwrap();
        quiet().await;
        assert_eq!(
            (fake.got(), *fake.dismissed.lock()),
            (vec!["t".to_owned()], None)
        );
    });
}

#[test]
fn of_the_bearers_of_a_name_the_only_claimed_one_that_is_online_is_meant() {
    on_relay(&[], |world| async move {
        let named = |agent: &str, shown| {
            let call = Register {
                agent_id: Some(id(agent)),
                name: Some(word("bob")),
                ..Register::default()
            };
            world.relay().register(call, "test".into(), shown)
        };
        let meant = || {
            world
                .relay()
                .directory
                .resolve(&word("bob"))
                .map(|agent| agent.id().to_string())
        };
        named("x1", None).await.unwrap();
        named("x2", secret(2)).await.unwrap();
        named("x3", None).await.unwrap();
        assert_eq!(meant().as_deref(), Ok("x2"));
        // A secret that was given claims at its first use, and that counts as well.
        let given = named("x3", None).await.unwrap().secret.unwrap();
        assert!(
            world
                .speak("x3", SecretHash::of(&given))
                .unwrap()
                .is_verified()
        );
        assert!(meant().is_err());
        let gone = world.speak("x2", secret(2)).unwrap();
        world.relay().deregister(&gone).await.unwrap();
        assert_eq!(meant().as_deref(), Ok("x3"));
        // Of claimed ones that are away none is meant before one that is here.
        pass(s(300)).await;
        assert!(world.relay().heartbeat(&world.anybody("x1")));
        assert_eq!(meant().as_deref(), Ok("x1"));
    });
}

#[test]
fn who_takes_the_id_of_one_that_has_left_gets_nothing_of_what_was_its() {
    on_relay(&[], |world| async move {
        for agent in ["a", "b"] {
            world.enrol(agent, secret(1)).await.unwrap();
        }
        let task = to_raw_value("secret").unwrap();
        let call = delegation("a", "b", &task);
        let mine = world.speak("a", secret(1)).unwrap();
        let sent = world.relay().delegate(&call, None, &mine).unwrap();
        world.relay().deregister(&mine).await.unwrap();
        world.enrol("a", secret(2)).await.unwrap();
        let other = world.speak("a", secret(2)).unwrap();
        let canceled = world.relay().cancel(sent.message_id.as_str(), &other);
        assert_eq!(canceled.unwrap_err().0.code, Some(ErrorCode::Forbidden));
        let task = world.relay().task(sent.message_id.as_str()).unwrap();
        let may = |agent: &str, shown| {
            let reader = Reader {
                agent: Some(id(agent)),
                proof: shown,
                strict: false,
            };
            let progress = task.progress();
            reader.may_read([
                (&task.asked.from, task.asked.sender.as_ref()),
                (task.to(), progress.assignee()),
            ])
        };
        assert!(!may("a", secret(2)) && may("a", secret(1)) && may("b", secret(1)));
        // The same for the dead letter, and for the one it was for.
        let reader = |proof| Reader {
            proof,
            ..Reader::default()
        };
        let b = world.speak("b", secret(1)).unwrap();
        world.relay().deregister(&b).await.unwrap();
        world.enrol("b", secret(2)).await.unwrap();
        quiet().await;
        for (proof, readable) in [(secret(2), false), (None, false), (secret(1), true)] {
            let office = &world.relay().dead_letters;
            let listed = office
                .list(Some(id("b")), None, 10, reader(proof))
                .await
                .unwrap();
            assert_eq!((listed.len(), listed[0].readable), (1, readable));
            let again = office
                .redeliver(vec![sent.message_id.to_string()], reader(proof))
                .await
                .unwrap();
            assert_eq!(again.done == 1, readable);
        }
    });
}

#[test]
fn a_task_that_is_passed_on_is_its_new_assignees_and_still_its_senders_word() {
    on_relay(&[], |world| async move {
        for (agent, n) in [("s", 1), ("a", 2), ("b", 3)] {
            let call = Register {
                agent_id: Some(id(agent)),
                capabilities: (agent != "s").then(|| vec![word("rust")]),
                ..Register::default()
            };
            let joined = world.relay().register(call, "test".into(), secret(n)).await;
            assert!(joined.is_ok());
        }
        let task = to_raw_value("t").unwrap();
        let call = for_anyone("s", "rust", &task);
        let sender = world.speak("s", secret(1)).unwrap();
        let sent = world.relay().delegate(&call, None, &sender).unwrap();
        assert_eq!(sent.to_agent.as_str(), "a");
        let a = world.speak("a", secret(2)).unwrap();
        world.relay().deregister(&a).await.unwrap();
        quiet().await;
        let task = world.relay().task(sent.message_id.as_str()).unwrap();
        assert_eq!(task.to(), &id("b"));
        let may = |proof| {
            let progress = task.progress();
            let sender = (&task.asked.from, task.asked.sender.as_ref());
            let reader = Reader {
                proof,
                ..Reader::default()
            };
            reader.may_read([sender, (task.to(), progress.assignee())])
        };
        assert!(may(secret(1)) && may(secret(3)));
        assert!(!may(secret(2)), "it was a's, and is not any more");
        let b = world.speak("b", secret(3)).unwrap();
        let batch = world.relay().polled(&b, Ask::PLAIN, Duration::ZERO).await;
        let batch = batch.unwrap().unwrap();
        let body = &batch.messages[0].envelope.body;
        assert!(body.contains(r#""sender_verified":true"#), "{body}");
        assert!(body.contains(r#""to_agent":"b""#), "{body}");
        let result = to_raw_value("r").unwrap();
        let answer = |agent: &str| clawlink_protocol::messages::Respond {
            from_agent: id(agent),
            to_agent: None,
            message_id: task.asked.id.clone(),
            result: Some(&result),
            status: None,
        };
        // Who had it does not move it any more; who has it does.
        let (late, a) = (answer("a"), world.anybody("a"));
        let late = world.relay().respond(&late, &a).unwrap();
        assert_eq!(late.applied, Some(false));
        let done = world.relay().respond(&answer("b"), &b).unwrap();
        assert_eq!(done.applied, Some(true));
    });
}

#[test]
fn a_strict_relay_hears_nobody_without_a_secret() {
    on_relay(&["--strict-identity"], |world| async move {
        assert_eq!(
            world.speak("a", None).unwrap_err().as_deref(),
            Some("secret_required")
        );
        let given = world.enrol("a", None).await.unwrap().unwrap();
        assert_eq!(
            world.speak("a", None).unwrap_err().as_deref(),
            Some("secret_required")
        );
        assert!(
            world
                .speak("a", SecretHash::of(&given))
                .unwrap()
                .is_verified()
        );
        assert!(
            world
                .relay()
                .receiver(&id("b"), "test".into(), None)
                .await
                .is_err()
        );
        assert!(world.relay().directory.get("b").is_none());
        let receiver = world
            .relay()
            .receiver(&id("b"), "test".into(), secret(3))
            .await;
        assert!(receiver.unwrap().is_verified());
    });
}
