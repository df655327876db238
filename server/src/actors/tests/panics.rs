//! A panic ends one run of one actor, or the process; it never loses mail in silence.

use super::*;
use crate::actors::agent::Agent;
use crate::actors::dead_letters::DeadLetterOffice;
use crate::actors::herald::Herald;
use crate::actors::library::Library;
use crate::actors::registry::Registry;
use actix::Message;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

macro_rules! panics {
    ($($actor:ty),+) => {$(
        impl Handler<Panic> for $actor {
            type Result = ();
            fn handle(&mut self, _: Panic, _: &mut Self::Context) {
                panic!("injected by a test");
            }
        }
    )+};
}
panics!(Agent, Registry, Herald, Library, DeadLetterOffice);

impl World {
    pub(super) async fn make_agent_panic(&self, agent: &str) {
        let address = self.relay().directory.get(agent).unwrap().agent.address();
        assert!(address.send(Panic).await.is_err());
    }
}

#[test]
fn an_agent_that_panics_comes_back_with_its_inbox() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "before").await.unwrap();
        world.broadcast("to all").await;
        world.make_agent_panic("a").await;
        // At once, without a moment for the new run to begin.
        world.delegate("a", "after").await.unwrap();
        assert_eq!(
            world.poll("a").await.unwrap(),
            ["before", "to all", "after"]
        );
        assert_eq!(world.relay().online(), 1);
    });
}

#[test]
fn an_agent_that_panics_again_and_again_still_turns_stale() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        for round in 0..20 {
            world.delegate("a", &round.to_string()).await.unwrap();
            world.make_agent_panic("a").await;
            quiet().await;
        }
        pass(s(121)).await;
        assert_eq!(
            (world.status("a"), world.relay().online()),
            (Some("stale"), 0)
        );
        assert_eq!(world.poll("a").await.unwrap().len(), 20);
    });
}

#[test]
fn an_open_socket_goes_on_after_a_panic_and_gets_nothing_twice() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (fake, session) = world.socket("a").await;
        assert_eq!(world.delegate("a", "one").await.unwrap(), "websocket");
        world.make_agent_panic("a").await;
        quiet().await;
        assert_eq!(world.delegate("a", "two").await.unwrap(), "websocket");
        assert_eq!(fake.got(), ["one", "two"]);
        drop(session);
        quiet().await;
        assert_eq!(
            world.poll("a").await.unwrap(),
            ["one", "two"],
            "never confirmed"
        );
    });
}

#[test]
fn a_socket_that_ends_while_its_agent_is_down_gives_its_mail_back() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let (_fake, session) = world.socket("a").await;
        world.delegate("a", "one").await.unwrap();
        let address = world.relay().directory.get("a").unwrap().agent.address();
        address.do_send(Panic);
        drop(session);
        quiet().await;
        assert_eq!(world.poll("a").await.unwrap(), ["one"]);
        pass(s(121)).await;
        assert_eq!(world.status("a"), Some("stale"));
    });
}

#[test]
fn an_agent_that_left_is_not_started_again() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        let agent = world.relay().directory.get("a").unwrap().agent.clone();
        agent.address().do_send(Panic);
        world.deregister("a").await.unwrap();
        quiet().await;
        assert_eq!((world.status("a"), world.relay().online()), (None, 0));
        assert!(agent.poll(Ask::PLAIN, Duration::ZERO).await.is_err());
    });
}

#[test]
fn a_hub_that_panics_ends_the_relay() {
    fn ends(hub: &'static str, panic: fn(&World)) {
        on_relay(&[], |world| async move {
            panic(&world);
            let cut = tokio::time::timeout(s(5), world.server.lifeline.cut()).await;
            assert_eq!(cut.unwrap(), hub);
        });
    }
    ends("the registry", |world| {
        world.relay().registry.address().do_send(Panic)
    });
    ends("the herald", |world| {
        world.relay().herald.address().do_send(Panic)
    });
    ends("the dead letters", |world| {
        world.relay().dead_letters.address().do_send(Panic)
    });
    ends("the library", |world| {
        world.relay().library.address().do_send(Panic)
    });
}
