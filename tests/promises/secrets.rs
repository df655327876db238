//! An agent that a secret has claimed is spoken for by nobody who has only the relay's token.

mod proving;
mod reading;
mod routes;

use harness::socket::Socket;
use harness::{Relay, Reply, Value, json};
use std::sync::Barrier;

const TOKEN: &str = "s3cr3t-T0ken-value";

/// The secret of this number, as it goes over the wire.
fn secret(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

/// Registers an agent, with a secret if it has one.
fn register(relay: &Relay, secret: Option<&str>, agent: &Value) -> Reply {
    call(relay, ("POST", "/register"), None, secret, agent)
}

/// Sends a call with the relay's token, and with an agent's headers where they are given.
fn call(
    relay: &Relay,
    (method, path): (&str, &str),
    agent: Option<&str>,
    secret: Option<&str>,
    body: &Value,
) -> Reply {
    let bearer = format!("Bearer {TOKEN}");
    let mut headers = vec![("Authorization", &*bearer)];
    headers.extend(agent.map(|agent| ("X-Agent-Id", agent)));
    headers.extend(secret.map(|secret| ("X-Agent-Secret", secret)));
    if path.starts_with("/ws/") {
        headers.extend([
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let reply = Socket::try_open_with(relay.address, path, &headers[..headers.len() - 4]);
        if reply.is_ok() {
            return Reply {
                status: 200,
                head: String::new(),
                text: "{}".to_owned(),
            };
        }
    }
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    relay.request(method, path, &headers, body.as_bytes())
}

/// A relay on which `alice` is claimed by the secret 1, and `bob` by the secret 2.
fn claimed(options: &[&str]) -> Relay {
    let relay = Relay::with(&[&["--token", TOKEN], options].concat());
    for (n, agent) in [(1, "alice"), (2, "bob")] {
        let agent = json!({"agent_id": agent, "name": agent});
        let reply = register(&relay, Some(&secret(n)), &agent);
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.json().get("agent_secret").is_none());
    }
    relay
}

/// Delegates from one claimed agent to the other: the task's id.
fn delegate(relay: &Relay, from: (&str, u8), to: &str, task: &str) -> String {
    let body = json!({"from_agent": from.0, "to_agent": to, "task": task});
    let sent = call(
        relay,
        ("POST", "/delegate"),
        None,
        Some(&secret(from.1)),
        &body,
    );
    sent.json()["message_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

#[test]
fn a_given_secret_is_fresh_each_time_and_claims_by_its_first_use() {
    let relay = Relay::start();
    let register = |headers: &[(&str, &str)]| {
        let body = json!({"agent_id": "a"}).to_string();
        relay.request("POST", "/register", headers, body.as_bytes())
    };
    let given = || {
        register(&[]).json()["agent_secret"]
            .as_str()
            .expect("a secret")
            .to_owned()
    };
    let (first, second) = (given(), given());
    assert!(first != second && second.len() == 64 && second.bytes().all(|b| b.is_ascii_hexdigit()));
    let poll = |secret: &str| {
        let headers = [("X-Agent-Secret", secret)];
        relay.request("GET", "/poll/a", &headers, b"").status
    };
    assert_eq!(poll(&first), 403, "it is void");
    assert_eq!(relay.get("/poll/a").status, 200, "nobody has claimed it");
    assert_eq!(poll(&second), 200);
    assert_eq!(
        (relay.get("/poll/a").status, register(&[]).status),
        (403, 409)
    );
    let again = register(&[("X-Agent-Secret", &second)]);
    assert_eq!(again.status, 200);
    assert!(
        !again.text.contains("secret"),
        "never told again: {}",
        again.text
    );
    for path in ["/", "/discover", "/tasks", "/dead-letters"] {
        assert!(!relay.get(path).text.contains(&second), "{path}");
    }
}

#[test]
fn of_two_that_claim_an_id_at_the_same_time_one_wins() {
    let relay = Relay::start();
    for round in 0..20 {
        let agent = format!("a{round}");
        relay.register(&agent);
        let start = Barrier::new(4);
        let claim = |n: u8| {
            let body = json!({"agent_id": agent}).to_string();
            start.wait();
            let secret = secret(n);
            let headers = [("X-Agent-Secret", &*secret)];
            relay.request("POST", "/register", &headers, body.as_bytes())
        };
        let claim = &claim;
        let mut done: Vec<(u16, u8)> = std::thread::scope(|scope| {
            let claims: Vec<_> = (1..5)
                .map(|n| scope.spawn(move || (claim(n).status, n)))
                .collect();
            claims
                .into_iter()
                .map(|claim| claim.join().expect("a reply"))
                .collect()
        });
        done.sort_unstable();
        assert_eq!(
            done.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
            [200, 409, 409, 409]
        );
        let winner = secret(done[0].1);
        let polled = relay.request(
            "GET",
            &format!("/poll/{agent}"),
            &[("X-Agent-Secret", &winner)],
            b"",
        );
        assert_eq!(polled.status, 200);
    }
}

#[test]
fn a_restarted_relay_takes_the_same_secret_and_a_removed_agents_id_is_free() {
    let register = |relay: &Relay, n: u8| {
        let body = json!({"agent_id": "alice", "name": "alice"});
        call(relay, ("POST", "/register"), None, Some(&secret(n)), &body).status
    };
    let relay = claimed(&[]);
    assert_eq!((register(&relay, 1), register(&relay, 5)), (200, 409));
    call(
        &relay,
        ("POST", "/deregister"),
        None,
        Some(&secret(1)),
        &json!({"agent_id": "alice"}),
    );
    assert_eq!((register(&relay, 5), register(&relay, 1)), (200, 409));
    relay.end();
    let relay = Relay::with(&["--token", TOKEN]);
    assert_eq!((register(&relay, 1), register(&relay, 5)), (200, 409));
}

#[test]
fn registering_again_with_the_secret_keeps_inbox_leases_tasks_and_topics() {
    let relay = claimed(&[]);
    let (alice, bob) = (secret(1), secret(2));
    call(
        &relay,
        ("POST", "/subscribe"),
        None,
        Some(&bob),
        &json!({"agent_id": "bob", "topics": ["t"]}),
    );
    let leased = delegate(&relay, ("alice", 1), "bob", "leased");
    let path = "/poll/bob?lease=60&max=1";
    let receipt = call(&relay, ("GET", path), None, Some(&bob), &Value::Null).json();
    delegate(&relay, ("alice", 1), "bob", "waits");
    let before = receipt["messages"][0]["delivery"]["receipt"].clone();
    let again = json!({"agent_id": "bob", "name": "robert"});
    let again = call(&relay, ("POST", "/register"), None, Some(&bob), &again).json();
    assert_eq!(again["agent"]["topics"], json!(["t"]));
    let ack = json!({"agent_id": "bob", "receipts": [before]});
    assert_eq!(
        call(&relay, ("POST", "/ack"), None, Some(&bob), &ack).json()["done"],
        1
    );
    let polled = call(&relay, ("GET", "/poll/bob"), None, Some(&bob), &Value::Null).json();
    assert_eq!(
        (&polled["count"], &polled["messages"][0]["task"]),
        (&json!(1), &json!("waits"))
    );
    let task = call(
        &relay,
        ("GET", &format!("/tasks/{leased}")),
        Some("alice"),
        Some(&alice),
        &Value::Null,
    );
    assert_eq!(task.json()["task"]["state"], "delivered");
}

#[test]
fn a_strict_relay_lets_nobody_speak_without_a_secret_and_says_what_to_send() {
    let relay = claimed(&["--strict-identity"]);
    let given = register(&relay, None, &json!({"agent_id": "py"}));
    let given = given.json()["agent_secret"].clone();
    let given = given.as_str().expect("a secret").to_owned();
    for agent in ["py", "nobody"] {
        for (path, body) in [
            (
                "/delegate",
                json!({"from_agent": agent, "to_agent": "bob", "task": "t"}),
            ),
            ("/broadcast", json!({"from_agent": agent, "content": "c"})),
            (
                "/files",
                json!({"agent_id": agent, "file_key": "k", "content": "c"}),
            ),
            ("/ack", json!({"agent_id": agent, "receipts": []})),
            ("/deregister", json!({"agent_id": agent})),
        ] {
            let refused = call(&relay, ("POST", path), None, None, &body);
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (403, "forbidden"),
                "{path}"
            );
            let error = refused.json()["error"].clone();
            let told = ["--strict-identity", "X-Agent-Secret", "agent_secret"];
            assert!(
                told.iter().all(|word| error.to_string().contains(word)),
                "{error}"
            );
        }
    }
    let poll = |agent: &str, shown: Option<&str>| {
        call(
            &relay,
            ("GET", &format!("/poll/{agent}")),
            None,
            shown,
            &Value::Null,
        )
    };
    assert_eq!(poll("py", None).code(), "forbidden");
    assert_eq!(poll("nobody", None).json()["status"], "unknown_agent");
    let beat = call(
        &relay,
        ("POST", "/heartbeat"),
        None,
        None,
        &json!({"agent_id": "nobody"}),
    );
    assert_eq!(beat.json(), json!({"status": "unknown_agent"}));
    let bearer = format!("Bearer {TOKEN}");
    for agent in ["py", "nobody"] {
        let path = format!("/ws/{agent}");
        let refused = Socket::try_open_with(relay.address, &path, &[("authorization", &*bearer)]);
        assert!(
            refused.err().is_some_and(|error| error.contains("403")),
            "{agent}"
        );
    }
    assert_eq!(
        relay_agents(&relay),
        ["alice", "bob", "py"],
        "nobody was registered by it"
    );
    assert_eq!(poll("py", Some(&given)).status, 200);
}

fn relay_agents(relay: &Relay) -> Vec<String> {
    let found = call(relay, ("GET", "/discover"), None, None, &Value::Null).json();
    let agents = found["agents"].as_array().cloned().unwrap_or_default();
    let id = |agent: &Value| agent["agent_id"].as_str().unwrap_or_default().to_owned();
    agents.iter().map(id).collect()
}

#[test]
fn no_secret_is_ever_in_the_log() {
    let relay = claimed(&["--log", "trace"]);
    let given = register(&relay, None, &json!({"agent_id": "py"}));
    let given = given.json()["agent_secret"].clone();
    let given = given.as_str().expect("a secret").to_owned();
    let slip = format!("{}zz", &secret(1)[2..]);
    for shown in [&secret(1), &secret(9), &slip, &given] {
        for agent in ["alice", "py", "nobody"] {
            let path = format!("/poll/{agent}");
            let polled = call(
                &relay,
                ("GET", &path),
                Some(agent),
                Some(shown),
                &Value::Null,
            );
            assert!(!polled.text.contains(&shown[..16]), "{}", polled.text);
            let _ = call(
                &relay,
                ("GET", &format!("/ws/{agent}")),
                None,
                Some(shown),
                &Value::Null,
            );
        }
    }
    let log = harness::eventually("the calls are in the log", || {
        let log = relay.log();
        (log.matches("/poll/{agent_id}").count() >= 12).then_some(log)
    });
    for shown in [&secret(1), &secret(9), &given] {
        assert!(!log.contains(&shown[..16]), "{log}");
    }
}
