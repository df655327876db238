//! `clawlink watch` goes on for weeks: neither a relay that is away, nor a signal, nor a relay of
//! another kind loses a message.

use harness::relay::free_address;
use harness::{Answer, Client, Original, Relay, Stub, Value, Watcher, eventually, json};
use nix::sys::signal::Signal;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_signal_in_the_middle_of_a_command_lets_it_finish() {
    for (signal, command, room) in [
        (
            Signal::SIGTERM,
            "echo > began; read go < go; echo >> ended",
            true,
        ),
        (Signal::SIGINT, "echo > began; read go < go; exit 1", false),
    ] {
        let relay = Relay::with(&["--inbox-limit", "2"]);
        let client = Client::joined(&relay, "a");
        let go = client.home().join("go");
        make_fifo(&go);
        let mut watcher = Watcher::start(&client, &["--exec", command]);
        relay.delegate("x", "a", "in hand");
        client.written("began");
        relay.delegate("x", "a", "next");
        watcher.signal(signal);
        watcher.signal(signal);
        assert!(watcher.runs());
        std::fs::write(&go, "go\n").expect("the command reads");
        assert_eq!(watcher.end().code(), Some(0));
        assert_eq!(client.home().join("ended").exists(), room);
        let left: Vec<Value> = relay.poll("a");
        assert_eq!((left.len(), &left[0]["task"]), (1, &json!("next")));
        let sent = [relay.delegate("x", "a", "1"), relay.delegate("x", "a", "2")];
        let accepted = sent.iter().filter(|sent| sent.status == 200).count();
        assert_eq!(
            accepted,
            if room { 2 } else { 1 },
            "a failed one still has its place"
        );
    }
}

fn make_fifo(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo runs").success());
}

#[test]
fn a_signal_with_nothing_in_hand_ends_it_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let relay = Relay::with(&["--stale-after", "1"]);
        let client = Client::joined(&relay, "a");
        // Also after a message, when signals pass again.
        let mut watcher = Watcher::start(&client, &["--exec", "cat > got"]);
        relay.delegate("x", "a", "t");
        client.written("got");
        let polls = || relay.log().matches("route=\"/poll").count();
        // Unheard for more than a second it would be stale, so it waits in a poll.
        eventually("it has acknowledged, and waits", || {
            let before = polls();
            std::thread::sleep(Duration::from_millis(1_500));
            (before >= 2 && polls() == before && relay.get("/discover").json()["count"] == 1)
                .then_some(())
        });
        watcher.signal(signal);
        let began = Instant::now();
        assert_eq!(watcher.end().signal(), Some(signal as i32));
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_relay_that_ends_and_begins_anew_is_waited_for_and_registered_at() {
    let address = free_address();
    let relay = Relay::at(address, &[]);
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n", "--caps", "x"]).ok();
    let id = relay.get("/discover").json()["agents"][0]["agent_id"].clone();
    let id = id.as_str().expect("an id");
    let mut watcher = Watcher::start(&client, &["--json"]);
    relay.delegate("x", id, "before");
    client.written("printed");
    relay.end();
    let said = watcher.says("trying again until it is well");
    assert!(watcher.runs(), "{said}");
    let relay = Relay::at(address, &[]);
    watcher.says("answers again");
    let said = watcher.says(&format!("registered again as n ({id})"));
    assert_eq!(said.matches("trying again").count(), 1, "{said}");
    assert!(!said.contains("is unknown"), "{said}");
    assert_eq!(
        relay.get("/discover").json()["agents"][0]["capabilities"],
        json!(["x"])
    );
    relay.delegate("x", id, "after");
    eventually("it goes on", || {
        client
            .written("printed")
            .contains("\"task\":\"after\"")
            .then_some(())
    });
}

#[test]
fn a_refusal_that_time_mends_is_waited_for_and_another_is_not() {
    for (status, mends) in [
        (429, true),
        (503, true),
        (507, true),
        (401, false),
        (403, false),
        (400, false),
    ] {
        let stub = Stub::start(move |request| match request.line.as_str() {
            "GET /" => Answer::ok(json!({"epoch": "e"})),
            _ => Answer::Json(status, json!({"error": "No"})),
        });
        let client = Client::member(&stub.url(), "a", "a");
        let mut watcher = Watcher::start(&client, &[]);
        let polls = || {
            stub.lines()
                .iter()
                .filter(|line| line.contains("/poll"))
                .count()
        };
        if mends {
            eventually("it tries again", || (polls() >= 2).then_some(()));
            assert!(watcher.runs());
            watcher.says("the relay refused: No; trying again until it is well");
        } else {
            let code = if status == 400 { 1 } else { 7 };
            assert_eq!(watcher.end().code(), Some(code));
            assert_eq!(polls(), 1);
        }
    }
}

#[test]
fn an_agent_that_was_told_to_leave_is_not_registered_again() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    let mut watcher = Watcher::start(&client, &[]);
    eventually("it waits", || {
        relay.log().contains("/register").then_some(())
    });
    client.run(&["deregister"]).ok();
    assert_eq!(watcher.end().code(), Some(2));
    assert_eq!(relay.get("/discover").json()["count"], 0);
}

#[test]
fn a_closed_output_ends_it_and_what_was_not_printed_comes_again() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let mut command = client.command(&["watch"]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    drop(child.stdout.take());
    relay.delegate("x", "a", "t");
    let status = eventually("it ends", || child.try_wait().expect("its status"));
    assert_eq!(status.code(), Some(0));
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("its errors")
        .read_to_string(&mut said)
        .expect("text");
    assert!(said.contains("the messages come again"), "{said}");
    assert_eq!(relay.poll("a")[0]["task"], "t");
}

#[test]
fn an_original_is_asked_again_and_again_and_what_fails_is_kept() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "n"]).ok();
    let id = &original.agents()[0];
    let peer = Client::at(Some(original.url()));
    for task in ["good", "bad", "good"] {
        peer.run(&["register", "--name", "p"]).ok();
        peer.run(&["delegate", "--to", id, "--task", task]).ok();
    }
    let watcher = Watcher::start(&client, &["--exec", "tee -a got | grep -q good"]);
    let said = watcher.says("it is kept: clawlink show ");
    eventually("all three were handled", || {
        (client.written("got").lines().count() == 3).then_some(())
    });
    let (_, kept) = said.rsplit_once("clawlink show ").expect("a command");
    let kept = client.run(&["show", kept.trim(), "--json"]).ok().json();
    assert_eq!(kept[0]["task"], "bad");
    original.restart();
    watcher.says("registered again as n");
    assert_eq!(original.agents(), [id.as_str()]);
}
