//! One kind of relay takes the place of the other, under the same address: no mail is lost by it.

use harness::{Answer, Client, Original, Relay, Stub, json};
use std::process::Stdio;
use std::time::Duration;

/// The client's state, as if another relay had taken over the address of the one it knows.
fn moved(client: &Client, from: &str, to: &str) {
    let file = client.folder().join("agent_state.json");
    let state = std::fs::read_to_string(&file).expect("a state");
    std::fs::write(&file, state.replace(from, to)).expect("a state");
}

fn own_id(client: &Client, url: &str) -> String {
    let info = client.run(&["info", "--json", "--relay", url]).ok().json();
    info[0]["agent_id"].as_str().expect("an id").to_owned()
}

#[test]
fn ours_in_the_place_of_an_original_is_asked_for_all_it_can_do() {
    let (original, relay) = (Original::start(), Relay::start());
    for (line, code) in [
        (["poll", "--peek"].as_slice(), 0),
        (&["poll", "--keep", "--max", "1"], 0),
        (&["wait", "--for", "1"], 4),
    ] {
        let client = Client::at(None);
        let join = ["register", "--name", "n", "--relay", &original.url()];
        client.run(&join).ok();
        moved(&client, &original.url(), &relay.url());
        let asked = client.run(line).exits(code);
        assert!(asked.err.contains("registered again as n"), "{asked:?}");
        relay.delegate("x", &own_id(&client, &relay.url()), "t");
        assert_eq!(client.run(&["poll", "--json"]).ok().json().len(), 1);
    }
}

/// A client that believes in leases, at an original where two messages wait for it.
fn deceived(original: &Original) -> Client {
    let relay = Relay::start();
    let client = Client::at(None);
    let join = ["register", "--name", "n", "--relay", &relay.url()];
    client.run(&join).ok();
    let id = own_id(&client, &relay.url());
    let peer = Client::at(Some(original.url()));
    peer.run(&["register", "--name", "peer"]).ok();
    for task in ["one", "two"] {
        peer.run(&["delegate", "--to", &id, "--task", task]).ok();
    }
    moved(&client, &relay.url(), &original.url());
    client
}

#[test]
fn what_an_original_hands_over_to_a_look_is_printed() {
    for line in [["poll", "--peek", "--json"], ["wait", "--for=9", "--json"]] {
        let original = Original::start();
        let client = deceived(&original);
        let looked = client.run(&line).ok();
        let tasks: Vec<_> = looked.json().iter().map(|m| m["task"].clone()).collect();
        assert_eq!(tasks, ["one", "two"], "{looked:?}");
        assert!(looked.err.contains("are off it now"), "{looked:?}");
        assert_eq!(original.agents().len(), 2, "it has registered there");
        client.run(&line).exits(1);
    }
}

#[test]
fn and_kept_where_it_cannot_be_printed() {
    for line in [["poll", "--peek"], ["wait", "--for=9"]] {
        let original = Original::start();
        let client = deceived(&original);
        let mut child = client
            .command(&line)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let shown = said
            .lines()
            .find_map(|line| line.split_once("the messages are kept: "));
        let shown = shown.expect("how to see them").1;
        let mut tasks = shown.split(", ").map(|command| {
            let id = command.strip_prefix("clawlink show ").expect("a command");
            let kept = client.run(&["show", id, "--json"]).ok().json();
            kept[0]["task"].clone()
        });
        assert_eq!(
            (tasks.next(), tasks.next()),
            (Some(json!("one")), Some(json!("two")))
        );
    }
}

#[test]
fn a_wait_that_registers_again_waits_no_longer_for_it() {
    let mut polls = 0;
    let stub = Stub::start(move |request| {
        if request.line.starts_with("POST /register") {
            return Answer::ok(
                json!({"status": "registered", "agent": {"agent_id": "me"}, "epoch": "e"}),
            );
        }
        polls += 1;
        match polls {
            1 => Answer::ok(json!({"epoch": "e"})),
            2 => {
                std::thread::sleep(Duration::from_secs(1));
                Answer::ok(
                    json!({"messages": [], "count": 0, "epoch": "e", "status": "unknown_agent"}),
                )
            }
            _ => Answer::ok(json!({"messages": [], "count": 0, "epoch": "e"})),
        }
    });
    let client = Client::member(&stub.url(), "me", "me");
    client.run(&["wait", "--for", "2"]).exits(4);
    let lines = stub.lines();
    assert_eq!(lines[1], "GET /poll/me?peek=1&max=1&wait=2");
    assert!(lines[2].starts_with("POST /register"), "{lines:?}");
    assert!(!lines[3].contains("wait=2"), "{lines:?}");
}
