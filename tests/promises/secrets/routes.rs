//! Every call of the relay, tried without the secret, with another, and with the right one.

use super::{call, claimed, delegate, secret};
use harness::{Relay, Value, json};
use std::collections::BTreeSet;

/// The calls of the relay: method and path. Its document tells those of its route table, all of them.
fn routes(relay: &Relay) -> BTreeSet<(String, String)> {
    let document = call(relay, ("GET", "/openapi.json"), None, None, &Value::Null).json();
    let paths = document["paths"].as_object().expect("the paths").iter();
    let calls = paths.flat_map(|(path, calls)| {
        let methods = calls.as_object().expect("the calls").keys();
        methods.map(|method| (method.to_uppercase(), path.clone()))
    });
    calls.collect()
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
        ("GET", "/metrics", Open),
        ("GET", "/openapi.json", Open),
        ("GET", "/discover", Open),
        ("GET", "/broadcasts", Open),
        ("GET", "/files/{file_key}", Open),
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
        ("DELETE", "/files/{file_key}", own("/files/k", Value::Null)),
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
        routes(&relay),
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
