//! `clawlink watch`: what it hands on is acknowledged, what fails comes again.

use harness::stub::Request;
use harness::{Answer, Client, Relay, Stub, Value, Watcher, eventually, json};

#[test]
fn each_message_is_printed_and_acknowledged() {
    let relay = Relay::with(&["--inbox-limit", "2"]);
    let client = Client::joined(&relay, "a");
    let _watcher = Watcher::start(&client, &[]);
    for n in 0..6 {
        eventually("there is room, as what was printed is acknowledged", || {
            (relay.delegate("x", "a", &format!("body {n}")).status == 200).then_some(())
        });
    }
    eventually("all of them are printed", || {
        let printed = client.written("printed");
        let bodies: Vec<&str> = printed
            .lines()
            .filter(|l| l.starts_with("  body"))
            .collect();
        (bodies.len() == 6).then(|| assert_eq!(bodies[5], "  body 5"))
    });
}

#[test]
fn with_json_each_message_is_a_line() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let _watcher = Watcher::start(&client, &["--json"]);
    relay.delegate("x", "a", "one\ntwo");
    let line: Value = serde_json_line(&client.written("printed"));
    assert_eq!(line["task"], "one\ntwo");
}

fn serde_json_line(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "{text}");
    text.parse().expect("JSON")
}

#[test]
fn a_command_gets_each_message_as_a_line_and_its_0_acknowledges_it() {
    let relay = Relay::with(&["--inbox-limit", "2"]);
    let client = Client::joined(&relay, "a");
    let _watcher = Watcher::start(&client, &["--exec", "cat >> got"]);
    for n in 0..5 {
        let context = json!({"n": n, "text": "`x`\u{1b}\u{202e}"});
        let call = json!({"from_agent": "x", "to_agent": "a", "task": "t\n", "context": context});
        eventually("there is room, as what was handled is acknowledged", || {
            (relay.post("/delegate", &call).status == 200).then_some(())
        });
    }
    let got = eventually("all are handled", || {
        let got = std::fs::read_to_string(client.home().join("got")).ok()?;
        (got.lines().count() == 5).then_some(got)
    });
    assert!(!got.contains(['\u{1b}', '\u{202e}']), "{got:?}");
    for (n, line) in got.lines().enumerate() {
        let message: Value = line.parse().expect("JSON");
        assert_eq!(
            (&message["task"], &message["context"]["n"]),
            (&json!("t\n"), &json!(n))
        );
        assert_eq!(message["context"]["text"], "`x`\u{1b}\u{202e}");
    }
    eventually("no file of it is left", || {
        let mut files = std::fs::read_dir(client.folder()).expect("a folder");
        files
            .all(|file| file.expect("a file").file_name() == "agent_state.json")
            .then_some(())
    });
}

/// A relay that leases one message, and what it is told of it.
fn relay_of_one(attempt: u64, lease_seconds: u64) -> Stub {
    let mut given = false;
    Stub::start(move |request| {
        let empty = json!({"messages": [], "count": 0, "epoch": "e", "remaining": 0});
        let line = request.line.as_str();
        if line == "GET /" || line == "POST /heartbeat" {
            return Answer::ok(json!({"status": "ok", "epoch": "e"}));
        }
        if line == "POST /ack" {
            return Answer::ok(json!({"status": "ok", "done": 1, "expired": []}));
        }
        if line.contains("ack=") {
            let mut reply = empty;
            reply["acked"] = json!({"done": 0, "expired": ["r1"]});
            return Answer::ok(reply);
        }
        if std::mem::replace(&mut given, true) {
            return Answer::Silence(Vec::new());
        }
        let delivery = json!({"receipt": "r1", "attempt": attempt, "lease_seconds": lease_seconds});
        let message = json!({"type": "task_delegation", "message_id": "m1", "from_agent": "x",
            "task": "t", "delivery": delivery});
        Answer::ok(json!({"messages": [message], "count": 1, "epoch": "e", "batch": "b1"}))
    })
}

fn told(stub: &Stub, action: &str) -> Vec<Value> {
    let acks = stub.requests().into_iter();
    let acks = acks.filter(|request| request.line == "POST /ack");
    acks.map(|request| request.json())
        .filter(|body| body["action"] == action)
        .collect()
}

#[test]
fn a_command_that_fails_gives_its_message_back_for_longer_each_time() {
    for (attempt, command, how, delay, again) in [
        (1, "exit 7", "exited with 7", 10, "it comes again in 10 s"),
        (
            2,
            "none-such",
            "exited with 127",
            30,
            "it comes again in 30 s",
        ),
        (3, "false", "exited with 1", 90, "it comes again in 90 s"),
        (
            4,
            "kill -9 $$",
            "was ended by signal 9",
            270,
            "it comes again in 270 s",
        ),
        (
            5,
            "false",
            "exited with 1",
            0,
            "it came 5 times, the relay gives it up",
        ),
    ] {
        let stub = relay_of_one(attempt, 120);
        let client = Client::member(&stub.url(), "a", "a");
        let watcher = Watcher::start(&client, &["--exec", command]);
        let said = watcher.says("m1: ");
        let line = format!("clawlink: m1: the command {how}; {again}\n");
        assert!(said.contains(&line), "{said}");
        let nacked = told(&stub, "nack");
        let expected = json!({"agent_id": "a", "batch": "b1", "action": "nack", "delay": delay});
        assert_eq!(nacked, [expected]);
        let polls: Vec<String> = stub
            .lines()
            .into_iter()
            .filter(|l| l.contains("/poll/"))
            .collect();
        assert_eq!(polls[0], "GET /poll/a?lease=120&max=1&wait=55");
    }
}

#[test]
fn a_failed_message_is_kept_by_the_relay_for_later() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let mut watcher = Watcher::start(&client, &["--exec", "cat > got; exit 1"]);
    relay.delegate("x", "a", "t");
    watcher.says("it comes again in 10 s");
    assert!(watcher.runs());
    let peeked = relay.get("/poll/a?peek=1").json();
    assert_eq!(peeked["count"], 0, "it is not handed to anybody meanwhile");
    assert_eq!(
        serde_json_line(&client.written("got"))["delivery"]["attempt"],
        1
    );
}

#[test]
fn a_command_need_not_read_its_message() {
    let relay = Relay::with(&["--body-limit", "1000000"]);
    let client = Client::joined(&relay, "a");
    let _watcher = Watcher::start(&client, &["--exec", "echo one >> ran"]);
    for _ in 0..2 {
        relay.delegate("x", "a", &"x".repeat(200_000));
    }
    eventually("both are handled", || {
        (client.written("ran") == "one\none\n").then_some(())
    });
}

/// A relay whose leases are two seconds long, whatever is asked for.
fn short_leases(relay: &Relay) -> Stub {
    let address = relay.address;
    Stub::start(move |request| {
        let line = request.line.replace("lease=120", "lease=2");
        let (method, path) = line.split_once(' ').expect("a request line");
        let kind = [("Content-Type", "application/json")];
        let path = path.replace("wait=55", "wait=5");
        let body = request.body.as_bytes();
        let reply = harness::http::request(address, method, &path, &kind, body);
        Answer::Json(reply.status, reply.json())
    })
}

#[test]
fn a_command_may_take_longer_than_the_lease() {
    let relay = Relay::start();
    let stub = short_leases(&relay);
    relay.register("a");
    let client = Client::member(&stub.url(), "a", "a");
    let _watcher = Watcher::start(
        &client,
        &["--exec", "echo run >> runs; sleep 5; echo done >> runs"],
    );
    relay.delegate("x", "a", "t");
    eventually("the command is done", || {
        (client.written("runs") == "run\ndone\n").then_some(())
    });
    let acked = eventually("it is acknowledged", || {
        stub.requests()
            .into_iter()
            .find(|request: &Request| request.line.contains("ack="))
    });
    assert!(!acked.line.contains("wait="), "not held up: {}", acked.line);
    let longer = told(&stub, "extend");
    assert!(longer.len() >= 3 && longer[0]["lease"] == 2, "{longer:?}");
    let beats = stub
        .lines()
        .iter()
        .filter(|line| *line == "POST /heartbeat")
        .count();
    assert!(beats >= 3, "it is heard meanwhile: {beats}");
    let again = relay.get("/poll/a?wait=3").json();
    assert_eq!(again["count"], 0, "it does not come again");
    assert!(
        !std::fs::read_to_string(client.home().join("said"))
            .unwrap()
            .contains("too late")
    );
}

#[test]
fn an_acknowledgement_that_came_too_late_is_told() {
    let stub = relay_of_one(1, 120);
    let client = Client::member(&stub.url(), "a", "a");
    let watcher = Watcher::start(&client, &["--exec", "true"]);
    watcher.says("acknowledged too late, as the lease was over: it comes again");
}

#[test]
fn the_examples_in_its_help_work_and_an_empty_command_is_refused() {
    let relay = Relay::start();
    let first = Client::joined(&relay, "a");
    first.run(&["watch", "--exec", " "]).exits(2);
    let page = first.run(&["watch", "--help"]).ok().out;
    let examples = page.lines().filter(|line| line.starts_with("  clawlink "));
    for (n, example) in examples.enumerate() {
        // An agent of its own: the poll of one that was ended may not have been noticed yet.
        let own = format!("a{n}");
        let client = Client::joined(&relay, &own);
        let name = format!("second{n}");
        let second = ["--as", "second", "register", "--name", &name];
        client.run(&second).ok();
        std::fs::write(
            client.home().join("on-message"),
            "#!/bin/sh\ncat >> mail.jsonl\n",
        )
        .expect("a file");
        let chmod = client.shell("chmod +x on-message").status();
        assert!(chmod.expect("a shell").success());
        let to = match example.contains("second") {
            true => &name,
            false => &own,
        };
        let body = format!("number {n}");
        assert_eq!(relay.delegate("x", to, &body).status, 200);
        let out = std::fs::File::create(client.home().join("plain")).expect("a file");
        let line = format!("exec {}", example.trim());
        let mut child = client.shell(&line).stdout(out).spawn().expect("a shell");
        let read = |file: &str| {
            let text = std::fs::read_to_string(client.home().join(file));
            text.unwrap_or_default()
        };
        eventually(example, || {
            (read("plain") + &read("mail.jsonl"))
                .contains(&body)
                .then_some(())
        });
        child.kill().expect("it still runs");
        child.wait().expect("it ends");
    }
}
