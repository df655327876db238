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
fn a_call_that_panics_with_the_inbox_in_hand_costs_a_run_of_its_agent_and_no_message() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "before").await.unwrap();
        let agent = world.relay().directory.get("a").unwrap().agent.clone();
        // Out, and nobody will say what became of it.
        let batch = agent.poll(Ask::PLAIN, Duration::ZERO).await.unwrap();
        agent.look_and_panic();
        world.delegate("a", "after").await.unwrap();
        quiet().await;
        assert_eq!(world.relay().metrics.agent_panics.get(), 1);
        drop(batch);
        assert_eq!(world.poll("a").await.unwrap(), ["before", "after"]);
        assert_eq!(world.relay().online(), 1);
    });
}

/// A busy thread may begin the first run long after the agent is registered.
#[test]
fn what_is_taken_before_the_first_run_begins_does_not_come_again() {
    on_relay(&[], |world| async move {
        world.register("a").await;
        world.delegate("a", "once").await.unwrap();
        let other = world.relay().directory.get("a").unwrap().agent.clone();
        let taken = other.poll(Ask::PLAIN, Duration::ZERO).await.unwrap();
        let agent = other.unstarted("b");
        let _admitted = agent.admit(taken.messages[0].envelope.clone()).unwrap();
        let batch = agent.poll(Ask::PLAIN, Duration::ZERO).await.unwrap();
        assert_eq!(batch.messages.len(), 1);
        let registry = Arc::new(world.relay().registry.address());
        agent.connect(Agent::new(&agent, registry).start());
        quiet().await;
        let again = agent.poll(Ask::PLAIN, Duration::ZERO).await.unwrap();
        assert!(again.messages.is_empty());
        batch.written();
        quiet().await;
        let again = agent.poll(Ask::PLAIN, Duration::ZERO).await.unwrap();
        assert!(again.messages.is_empty());
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

/// The process of the test below.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn a_relay_whose_hub_panics() {
    let hub = std::env::var("CLAWLINK_TEST_HUB").unwrap();
    let args = Args::from_args(&["clawlink-server"], &["--port", "0", "--no-mdns"]).unwrap();
    let end = actix::System::new().block_on(async {
        let world = World {
            server: Server::new(Config::new(&args, None).unwrap()).unwrap(),
        };
        let state = world.server.state.clone();
        let running = world.server.listen().unwrap();
        let relay = &state.relay;
        match hub.as_str() {
            "the registry" => relay.registry.address().do_send(Panic),
            "the herald" => relay.herald.address().do_send(Panic),
            "the dead letters" => relay.dead_letters.address().do_send(Panic),
            "the library" => relay.library.address().do_send(Panic),
            other => unreachable!("{other}"),
        }
        running.until(std::future::pending()).await
    });
    eprintln!("{end}");
    std::process::exit(end.code().into());
}

#[test]
fn a_process_whose_hub_panics_ends_within_seconds_and_says_which() {
    let itself = "actors::tests::panics::a_relay_whose_hub_panics";
    for hub in [
        "the registry",
        "the herald",
        "the dead letters",
        "the library",
    ] {
        let began = std::time::Instant::now();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", itself, "--ignored", "--nocapture"]);
        let ended = child.env("CLAWLINK_TEST_HUB", hub).output().unwrap();
        assert!(began.elapsed() < s(5), "{hub}");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(70), "{hub}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(last, format!("{hub} has stopped; the relay cannot go on"));
    }
}

/// What a relay answers; nothing where it cuts the connection off.
fn asked(address: std::net::SocketAddr, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(s(10))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_call_that_panics_is_cut_off_and_all_others_are_served() {
    let args = Args::from_args(&["clawlink-server"], &["--port", "0", "--no-mdns"]).unwrap();
    actix::System::new().block_on(async {
        let server = Server::new(Config::new(&args, None).unwrap()).unwrap();
        let running = server.listen().unwrap();
        let address = running.address;
        let asks = tokio::task::spawn_blocking(move || {
            // More of them than there are workers.
            for _ in 0..50 {
                assert_eq!(asked(address, "/panic"), "");
                assert!(asked(address, "/health").starts_with("HTTP/1.1 200"));
            }
        });
        running.until(async { asks.await.unwrap() }).await;
    });
}

/// Opens a socket, lets a frame panic in it, and reads until it is cut off.
fn panics_in_a_socket(address: std::net::SocketAddr) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(s(10))).unwrap();
    let head = "GET /ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut got = [0; 4096];
    let length = stream.read(&mut got).unwrap();
    assert!(got[..length].starts_with(b"HTTP/1.1 101"));
    let text = br#"{"type":"panic"}"#;
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(text);
    stream.write_all(&frame).unwrap();
    // Its end, not the time-out of the read.
    while stream.read(&mut got).is_ok_and(|length| length > 0) {}
}

#[test]
fn a_socket_that_panics_is_cut_off_and_its_mail_comes_again() {
    let args = Args::from_args(&["clawlink-server"], &["--port", "0", "--no-mdns"]).unwrap();
    actix::System::new().block_on(async {
        let server = Server::new(Config::new(&args, None).unwrap()).unwrap();
        let world = World { server };
        world.register("a").await;
        world.delegate("a", "t").await.unwrap();
        let state = world.server.state.clone();
        let running = world.server.listen().unwrap();
        let address = running.address;
        let panics = tokio::task::spawn_blocking(move || {
            let began = std::time::Instant::now();
            panics_in_a_socket(address);
            assert!(began.elapsed() < s(5));
            assert!(asked(address, "/health").starts_with("HTTP/1.1 200"));
            asked(address, "/poll/a?wait=5")
        });
        let ends = async {
            let answer = panics.await.unwrap();
            assert!(answer.contains(r#""task":"t""#), "{answer}");
            assert_eq!(state.relay.online(), 1);
        };
        running.until(ends).await;
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
