//! What others see of what a claimed agent has sent and got.

use super::{TOKEN, call, claimed, delegate, register, secret};
use harness::{Value, json, keys};

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
    register(&relay, None, &json!({"agent_id": "py", "name": "py"}));
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
