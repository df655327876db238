//! An agent that a secret has claimed is spoken for by nobody who has only the relay's token.

use harness::socket::Socket;
use harness::{Relay, Reply, Value, json, keys};
use std::collections::BTreeSet;
use std::sync::Barrier;

const TOKEN: &str = "s3cr3t-T0ken-value";

/// The secret of this number, as it goes over the wire.
fn secret(n: u8) -> String {
    format!("{n:02x}").repeat(32)
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
        let register = json!({"agent_id": agent, "name": agent});
        let reply = call(
            &relay,
            ("POST", "/register"),
            None,
            Some(&secret(n)),
            &register,
        );
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

/// The calls of the relay's route table: method and path.
fn routes() -> BTreeSet<(String, String)> {
    let source = include_str!("../../server/src/http/mod.rs");
    let table = source.split("pub fn routes").nth(1).expect("the table");
    let table = table.split("default_service").next().unwrap_or_default();
    let mut routes = BTreeSet::new();
    for entry in table.split(".service(on(").skip(1) {
        let path = entry.split('"').nth(1).expect("a path");
        for (word, method) in [
            ("read()", "GET"),
            ("get()", "GET"),
            ("post()", "POST"),
            ("delete()", "DELETE"),
            ("put()", "PUT"),
            ("patch()", "PATCH"),
        ] {
            if entry.contains(word) {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes
}

/// What a call has to do with agents.
enum Call {
    /// It is in nobody's name.
    Open,
    /// It is in the name of `alice`: by this path and body, and if it has none by the header.
    Own(String, Value),
    /// It shows what `alice` has to do with.
    Reads,
}
use Call::{Open, Own, Reads};

/// All there are. A route that is added has to be added here.
fn table(relay: &Relay) -> Vec<(&'static str, &'static str, Call)> {
    let mine = |what| delegate(relay, ("alice", 1), "bob", what);
    let theirs = delegate(relay, ("bob", 2), "alice", "for alice");
    let (canceled, told) = (mine("to be canceled"), mine("to be told more"));
    let reserve = json!({"agent_id": "alice", "pattern": "kept/**"});
    let reserved = call(
        relay,
        ("POST", "/reservations"),
        None,
        Some(&secret(1)),
        &reserve,
    );
    let reserved = reserved.json()["id"].as_str().expect("an id").to_owned();
    let me = || json!({"agent_id": "alice"});
    let own = |path: &str, body: Value| Own(path.to_owned(), body);
    vec![
        ("GET", "/", Open),
        ("GET", "/health", Open),
        ("GET", "/discover", Open),
        ("GET", "/broadcasts", Open),
        ("GET", "/files/{file_key:.*}", Open),
        ("GET", "/files", Open),
        ("GET", "/reservations", Open),
        ("GET", "/tasks", Reads),
        ("GET", "/tasks/{message_id}", Reads),
        ("GET", "/dead-letters", Reads),
        ("POST", "/dead-letters/redeliver", Reads),
        ("POST", "/register", own("/register", me())),
        ("POST", "/subscribe", own("/subscribe", me())),
        ("POST", "/heartbeat", own("/heartbeat", me())),
        (
            "POST",
            "/delegate",
            own(
                "/delegate",
                json!({"from_agent": "alice", "to_agent": "bob", "task": "t"}),
            ),
        ),
        (
            "POST",
            "/respond",
            own(
                "/respond",
                json!({"from_agent": "alice", "message_id": theirs, "result": "r"}),
            ),
        ),
        (
            "POST",
            "/broadcast",
            own("/broadcast", json!({"from_agent": "alice", "content": "c"})),
        ),
        ("GET", "/poll/{agent_id}", own("/poll/alice", Value::Null)),
        (
            "POST",
            "/ack",
            own("/ack", json!({"agent_id": "alice", "receipts": []})),
        ),
        (
            "POST",
            "/tasks/{message_id}/cancel",
            own(
                &format!("/tasks/{canceled}/cancel"),
                json!({"from_agent": "alice"}),
            ),
        ),
        (
            "POST",
            "/tasks/{message_id}/input",
            own(
                &format!("/tasks/{told}/input"),
                json!({"from_agent": "alice", "content": "c"}),
            ),
        ),
        (
            "POST",
            "/files",
            own(
                "/files",
                json!({"agent_id": "alice", "file_key": "k", "content": "c"}),
            ),
        ),
        (
            "DELETE",
            "/files/{file_key:.*}",
            own("/files/k", Value::Null),
        ),
        (
            "POST",
            "/reservations",
            own(
                "/reservations",
                json!({"agent_id": "alice", "pattern": "p"}),
            ),
        ),
        (
            "DELETE",
            "/reservations/{id}",
            own(&format!("/reservations/{reserved}"), Value::Null),
        ),
        ("GET", "/ws/{agent_id}", own("/ws/alice", Value::Null)),
        ("POST", "/deregister", own("/deregister", me())),
    ]
}

#[test]
fn every_call_in_the_name_of_a_claimed_agent_needs_its_secret() {
    let relay = claimed(&[]);
    let table = table(&relay);
    let tried: BTreeSet<(String, String)> = (table.iter())
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(
        tried,
        routes(),
        "the routes of the relay, and those tried here"
    );
    for (method, _, kind) in &table {
        let Own(path, body) = kind else { continue };
        let try_with =
            |secret: Option<&str>| call(&relay, (method, path), Some("alice"), secret, body);
        for (shown, reason) in [
            (None, "secret_required"),
            (Some(secret(2)), "secret_wrong"),
            (Some(secret(9)), "secret_wrong"),
        ] {
            let refused = try_with(shown.as_deref());
            match path.as_str() {
                "/register" => assert_eq!(
                    (refused.status, refused.code().as_str()),
                    (409, "agent_claimed"),
                    "{}",
                    refused.text
                ),
                _ => {
                    let code = (refused.status, refused.code());
                    assert_eq!(code, (403, "forbidden".to_owned()), "{method} {path}");
                    assert_eq!(refused.json()["reason"], reason, "{method} {path}");
                }
            }
            assert!(
                refused.json()["error"]
                    .as_str()
                    .is_some_and(|e| e.contains("secret"))
            );
        }
        for bad in [
            "",
            "xyz",
            &secret(1)[1..],
            &format!("{}zz", &secret(1)[2..]),
        ] {
            assert_eq!(
                try_with(Some(bad)).code(),
                "bad_request",
                "{method} {path} {bad:?}"
            );
        }
        let done = try_with(Some(&secret(1)));
        assert_eq!(done.status, 200, "{method} {path}: {}", done.text);
    }
}

#[test]
fn a_claimed_agents_tasks_and_dead_letters_are_ids_and_states_to_others() {
    let relay = claimed(&["--dead-letters-limit", "10"]);
    let secret_of = |n| Some(secret(n));
    let task = delegate(&relay, ("alice", 1), "bob", "the plan of alice");
    let answer = json!({"from_agent": "bob", "message_id": task, "result": "the answer of bob"});
    call(
        &relay,
        ("POST", "/respond"),
        None,
        secret_of(2).as_deref(),
        &answer,
    );
    let died = delegate(&relay, ("alice", 1), "bob", "the last words of alice");
    let gone = json!({"agent_id": "bob"});
    call(
        &relay,
        ("POST", "/deregister"),
        None,
        secret_of(2).as_deref(),
        &gone,
    );
    let one = format!("/tasks/{task}");
    let paths = [
        &*one,
        "/tasks",
        "/tasks?from=alice",
        "/tasks?to=bob",
        "/dead-letters?agent=bob",
    ];
    for path in paths {
        let get = |agent: Option<&str>, n: Option<u8>| {
            let shown = n.map(secret);
            call(&relay, ("GET", path), agent, shown.as_deref(), &Value::Null)
        };
        for (agent, n) in [
            (None, None),
            (Some("mallory"), None),
            (None, Some(9)),
            (Some("mallory"), Some(9)),
        ] {
            let seen = get(agent, n);
            assert_eq!(seen.status, 200, "{path}");
            assert!(!seen.text.contains(" of "), "{path}: {}", seen.text);
            assert!(
                seen.text.contains(&task) || seen.text.contains(&died),
                "{}",
                seen.text
            );
        }
        for n in [None, Some(2), Some(9)] {
            assert_eq!(get(Some("alice"), n).code(), "forbidden", "{path}");
        }
        // Also who has left reads, with its secret.
        for (agent, n) in [("alice", 1), ("bob", 2)] {
            let seen = get(Some(agent), Some(n));
            assert!(seen.text.contains(" of alice"), "{path}: {}", seen.text);
        }
    }
    let stranger = call(&relay, ("GET", &one), None, None, &Value::Null).json();
    let mut shown = keys(&stranger["task"]);
    shown.sort_unstable();
    assert_eq!(
        shown,
        ["from_agent", "message_id", "rev", "state", "to_agent"]
    );
    assert_eq!(stranger["task"]["state"], "completed");
    let letter = call(&relay, ("GET", "/dead-letters"), None, None, &Value::Null).json();
    let ids = json!({"message_id": died, "from_agent": "alice", "to_agent": "bob"});
    assert_eq!(letter["dead_letters"][0]["message"], ids);
    // Nor are they sent again by others.
    let again = |n: Option<u8>| {
        let shown = n.map(secret);
        let body = json!({"message_ids": [died]});
        call(
            &relay,
            ("POST", "/dead-letters/redeliver"),
            None,
            shown.as_deref(),
            &body,
        )
        .json()
    };
    for n in [None, Some(9)] {
        assert_eq!(again(n)["failed"][0]["code"], "forbidden");
    }
    assert_eq!(
        again(Some(1))["failed"][0]["code"],
        "unknown_agent",
        "bob is gone"
    );
}

#[test]
fn what_an_unclaimed_agent_has_to_do_with_it_may_read_by_its_name() {
    let relay = claimed(&[]);
    call(
        &relay,
        ("POST", "/register"),
        None,
        None,
        &json!({"agent_id": "py", "name": "py"}),
    );
    let task = delegate(&relay, ("alice", 1), "py", "for the script");
    let path = format!("/tasks/{task}");
    let read = |agent: Option<&str>| {
        let reply = call(&relay, ("GET", &path), agent, None, &Value::Null);
        reply.text.contains("for the script")
    };
    assert_eq!(
        (read(Some("py")), read(None), read(Some("mallory"))),
        (true, false, false)
    );
    let body = json!({"from_agent": "py", "to_agent": "py", "task": "among scripts"});
    let open = call(&relay, ("POST", "/delegate"), None, None, &body).json();
    let path = format!("/tasks/{}", open["message_id"].as_str().unwrap_or_default());
    let reply = call(&relay, ("GET", &path), None, None, &Value::Null);
    assert_eq!(reply.json()["task"]["task"], "among scripts", "as before");
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
fn a_message_says_whether_its_sender_has_proved_itself() {
    let relay = claimed(&[]);
    let bob = secret(2);
    let post = |path: &str, shown: Option<u8>, body: Value| {
        let shown = shown.map(secret);
        let reply = call(&relay, ("POST", path), None, shown.as_deref(), &body);
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    };
    post(
        "/register",
        None,
        json!({"agent_id": "py", "name": "alice the second"}),
    );
    for (from, shown) in [
        ("alice", Some(1)),
        ("py", None),
        ("nobody", None),
        ("nobody", Some(7)),
    ] {
        post(
            "/delegate",
            shown,
            json!({"from_agent": from, "to_agent": "bob", "task": "t"}),
        );
        post(
            "/broadcast",
            shown,
            json!({"from_agent": from, "content": "c"}),
        );
        post(
            "/files",
            shown,
            json!({"agent_id": from, "file_key": from, "content": "c"}),
        );
        post(
            "/respond",
            shown,
            json!({"from_agent": from, "to_agent": "bob", "message_id": "m"}),
        );
    }
    let polled = call(&relay, ("GET", "/poll/bob"), None, Some(&bob), &Value::Null).json();
    let messages = polled["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 16, "{messages:?}");
    for message in messages {
        let from = message.get("from_agent").unwrap_or(&message["last_editor"]);
        assert_eq!(message["sender_verified"], *from == "alice", "{message}");
    }
    let task = delegate(&relay, ("alice", 1), "bob", "t");
    call(&relay, ("GET", "/poll/bob"), None, Some(&bob), &Value::Null);
    post(
        &format!("/tasks/{task}/input"),
        Some(1),
        json!({"from_agent": "alice", "content": "c"}),
    );
    post(
        &format!("/tasks/{task}/cancel"),
        Some(1),
        json!({"from_agent": "alice"}),
    );
    let polled = call(&relay, ("GET", "/poll/bob"), None, Some(&bob), &Value::Null).json();
    let kinds = |kind: &str| {
        polled["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .filter(|m| m["type"] == kind && m["sender_verified"] == true)
            .count()
    };
    assert_eq!(
        (kinds("task_input"), kinds("task_canceled")),
        (1, 1),
        "{polled}"
    );
}

#[test]
fn a_sockets_messages_are_as_proved_as_its_upgrade() {
    let relay = claimed(&[]);
    let bearer = format!("Bearer {TOKEN}");
    let alice = secret(1);
    let headers = [("authorization", &*bearer), ("x-agent-secret", &*alice)];
    let mut proved = Socket::try_open_with(relay.address, "/ws/alice", &headers).expect("a socket");
    let mut plain =
        Socket::try_open_with(relay.address, "/ws/py", &headers[..1]).expect("a socket");
    for socket in [&mut proved, &mut plain] {
        socket.send(&json!({"type": "delegate", "to_agent": "bob", "task": "t", "ref": 1}));
        assert_eq!(socket.next_of("reply")["status"], "delegated");
    }
    let polled = call(
        &relay,
        ("GET", "/poll/bob"),
        None,
        Some(&secret(2)),
        &Value::Null,
    )
    .json();
    let verified = |n: usize| polled["messages"][n]["sender_verified"].clone();
    assert_eq!((verified(0), verified(1)), (json!(true), json!(false)));
    call(
        &relay,
        ("POST", "/register"),
        None,
        Some(&alice),
        &json!({"agent_id": "alice"}),
    );
    let joined = plain.next_of("agent_joined");
    assert_eq!(
        (&joined["agent"]["agent_id"], &joined["sender_verified"]),
        (&json!("alice"), &json!(true))
    );
    // Whoever claims an agent is alone with it.
    let register = json!({"agent_id": "py", "name": "py"});
    let claim = call(
        &relay,
        ("POST", "/register"),
        None,
        Some(&secret(3)),
        &register,
    );
    assert_eq!(claim.status, 200);
    assert_eq!(plain.close_code(), Some(4003));
    assert!(Socket::try_open_with(relay.address, "/ws/py", &headers[..1]).is_err());
    // An upgrade that brings a secret claims an id that nobody has.
    let fresh = secret(4);
    let fresh = [("authorization", &*bearer), ("x-agent-secret", &*fresh)];
    drop(Socket::try_open_with(relay.address, "/ws/new", &fresh).expect("a socket"));
    let polled = call(&relay, ("GET", "/poll/new"), None, None, &Value::Null);
    assert_eq!(polled.code(), "forbidden");
}

#[test]
fn a_poll_that_waits_without_the_secret_ends_when_it_claims() {
    let relay = claimed(&[]);
    call(
        &relay,
        ("POST", "/register"),
        None,
        None,
        &json!({"agent_id": "py", "name": "py"}),
    );
    let waits = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            call(
                &relay,
                ("GET", "/poll/py?wait=50"),
                None,
                None,
                &Value::Null,
            )
        });
        // Who waits is heard all the while.
        let heard = || {
            call(
                &relay,
                ("GET", "/discover?name=py"),
                None,
                None,
                &Value::Null,
            )
            .json()
        };
        let heard = || heard()["agents"][0]["last_heartbeat"].clone();
        let before = heard();
        harness::eventually("the poll waits", || (heard() != before).then_some(()));
        let register = json!({"agent_id": "py", "name": "py"});
        call(
            &relay,
            ("POST", "/register"),
            None,
            Some(&secret(3)),
            &register,
        );
        delegate(&relay, ("alice", 1), "py", "for its owner");
        waits.join().expect("a reply")
    });
    assert_eq!(waits.code(), "forbidden", "{}", waits.text);
    let polled = call(
        &relay,
        ("GET", "/poll/py"),
        None,
        Some(&secret(3)),
        &Value::Null,
    )
    .json();
    assert_eq!(polled["count"], 1, "nothing of it was lost: {polled}");
}

#[test]
fn a_repeated_call_answers_only_who_shows_the_same_secret() {
    let relay = claimed(&[]);
    let body = json!({"from_agent": "alice", "to_agent": "bob", "task": "t"}).to_string();
    let send = |shown: Option<u8>| {
        let (bearer, shown) = (format!("Bearer {TOKEN}"), shown.map(secret));
        let mut headers = vec![("Authorization", &*bearer), ("Idempotency-Key", "k")];
        headers.extend(shown.as_deref().map(|secret| ("X-Agent-Secret", secret)));
        relay.request("POST", "/delegate", &headers, body.as_bytes())
    };
    let first = send(Some(1)).json();
    assert_eq!(send(Some(1)).json()["replayed"], true);
    assert_eq!((send(None).status, send(Some(9)).status), (403, 403));
    call(
        &relay,
        ("POST", "/deregister"),
        None,
        Some(&secret(1)),
        &json!({"agent_id": "alice"}),
    );
    for other in [None, Some(9)] {
        let reply = send(other).json();
        assert!(
            reply["message_id"] != first["message_id"] && reply.get("replayed").is_none(),
            "{reply}"
        );
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
    let given = call(
        &relay,
        ("POST", "/register"),
        None,
        None,
        &json!({"agent_id": "py"}),
    );
    let given = given.json()["agent_secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
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
    let given = call(
        &relay,
        ("POST", "/register"),
        None,
        None,
        &json!({"agent_id": "py"}),
    );
    let given = given.json()["agent_secret"]
        .as_str()
        .expect("a secret")
        .to_owned();
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

#[test]
fn who_never_sends_a_secret_works_as_before() {
    let relay = Relay::start();
    for agent in ["a", "b"] {
        relay.register(agent);
        relay.register(agent);
    }
    let mut socket = relay.socket("a");
    let sent = relay.delegate("b", "a", "t").json();
    assert_eq!(sent["delivery"], "websocket");
    let message = socket.next_of("task_delegation");
    assert_eq!(message["sender_verified"], false);
    let answer = json!({"from_agent": "a", "to_agent": "b", "message_id": sent["message_id"], "result": "r"});
    assert_eq!(relay.post("/respond", &answer).status, 200);
    assert_eq!(relay.poll("b").len(), 1);
    assert_eq!(
        relay.post("/heartbeat", &json!({"agent_id": "a"})).json(),
        json!({"status": "ok"})
    );
    assert_eq!(
        relay.post("/deregister", &json!({"agent_id": "b"})).status,
        200
    );
}
