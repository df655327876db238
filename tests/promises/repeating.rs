//! Idempotency keys: a call that is repeated is done once, and answered each time.

use harness::{Relay, Reply, Value, json};

fn keyed(relay: &Relay, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    relay.request("POST", path, &headers, body.to_string().as_bytes())
}

fn without(mut reply: Value, field: &str) -> Value {
    reply.as_object_mut().expect("an object").remove(field);
    reply
}

#[test]
fn each_of_the_four_sending_calls_is_done_once_for_each_key() {
    let relay = Relay::start();
    relay.register("a");
    for (path, body) in [
        (
            "/delegate",
            json!({"from_agent": "s", "to_agent": "a", "task": "t"}),
        ),
        (
            "/respond",
            json!({"from_agent": "s", "to_agent": "a", "message_id": "m"}),
        ),
        ("/broadcast", json!({"from_agent": "s", "content": "c"})),
        (
            "/files",
            json!({"agent_id": "s", "file_key": "k", "content": "c"}),
        ),
    ] {
        let first = keyed(&relay, path, "k1", &body);
        assert_eq!(first.status, 200, "{}", first.text);
        assert_eq!(first.json()["replayed"], Value::Null);
        let again = keyed(&relay, path, "k1", &body);
        assert_eq!(
            (again.status, &again.json()["replayed"]),
            (200, &json!(true))
        );
        assert_eq!(without(again.json(), "replayed"), first.json(), "{path}");
        assert_eq!(relay.poll("a").len(), 1, "{path}");
        assert_eq!(
            keyed(&relay, path, "k2", &body).json()["replayed"],
            Value::Null
        );
        assert_eq!(relay.poll("a").len(), 1, "another key is another message");
    }
}

#[test]
fn another_body_under_the_same_key_is_refused_and_other_senders_have_keys_of_their_own() {
    let relay = Relay::start();
    relay.register("a");
    let task = |from: &str, task: &str| json!({"from_agent": from, "to_agent": "a", "task": task});
    assert_eq!(
        keyed(&relay, "/delegate", "k", &task("s", "one")).status,
        200
    );
    let refused = keyed(&relay, "/delegate", "k", &task("s", "two"));
    assert_eq!(
        (refused.status, refused.code()),
        (422, "idempotency_mismatch".into())
    );
    assert_eq!(
        keyed(&relay, "/delegate", "k", &task("other", "two")).status,
        200
    );
    assert_eq!(relay.poll("a").len(), 2);
    for bad in ["", " ", "k k", "\u{e9}", &"k".repeat(65)] {
        let reply = keyed(&relay, "/delegate", bad, &task("s", "x"));
        assert_eq!(
            (reply.status, reply.code()),
            (400, "bad_request".into()),
            "{bad:?}"
        );
    }
    assert_eq!(
        keyed(&relay, "/delegate", &"k".repeat(64), &task("s", "x")).status,
        200
    );
}

#[test]
fn what_was_refused_is_tried_anew_under_the_same_key() {
    let relay = Relay::start();
    let task = json!({"from_agent": "s", "to_agent": "late", "task": "t"});
    assert_eq!(keyed(&relay, "/delegate", "k", &task).status, 404);
    relay.register("late");
    let done = keyed(&relay, "/delegate", "k", &task);
    assert_eq!((done.status, &done.json()["replayed"]), (200, &Value::Null));
    assert_eq!(relay.poll("late").len(), 1);
}

#[test]
fn twins_that_come_at_the_same_time_are_one_message() {
    let relay = Relay::start();
    relay.register("a");
    // Text whose check takes a while, so that they meet.
    let task = json!({"from_agent": "s", "to_agent": "a", "task": "x".repeat(900_000)});
    for round in 0..5 {
        let key = format!("k{round}");
        let replies: Vec<Value> = std::thread::scope(|scope| {
            let twins: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| keyed(&relay, "/delegate", &key, &task).json()))
                .collect();
            let replies = twins.into_iter().map(|twin| twin.join().expect("a reply"));
            replies.collect()
        });
        let id = &replies[0]["message_id"];
        assert!(
            id.is_string() && replies.iter().all(|r| r["message_id"] == *id),
            "{replies:?}"
        );
        let first = replies.iter().filter(|reply| reply["replayed"].is_null());
        assert_eq!(first.count(), 1);
        assert_eq!(relay.poll("a").len(), 1);
    }
}

#[test]
fn frames_have_keys_too_and_the_ref_is_each_ones_own() {
    let relay = Relay::start();
    relay.register("a");
    let frame = |reference: u64, task: &str| {
        json!({"type": "delegate", "ref": reference, "to_agent": "a", "task": task,
            "idempotency_key": "k"})
    };
    let mut socket = relay.socket("s");
    socket.send(&frame(1, "t"));
    let first = socket.next_of("reply");
    drop(socket);
    let mut socket = relay.socket("s");
    socket.send(&frame(2, "t"));
    let again = socket.next_of("reply");
    assert_eq!(
        (&again["ref"], &again["replayed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(again["message_id"], first["message_id"]);
    socket.send(&frame(3, "other"));
    assert_eq!(socket.next_of("reply")["code"], "idempotency_mismatch");
    assert_eq!(relay.poll("a").len(), 1);
}

#[test]
fn a_key_outlives_its_caller_but_not_the_relay() {
    let relay = Relay::start();
    relay.register("a");
    let task = json!({"from_agent": "s", "to_agent": "a", "task": "t"});
    let id = keyed(&relay, "/delegate", "k", &task).json()["message_id"].clone();
    assert_eq!(
        keyed(&relay, "/delegate", "k", &task).json()["message_id"],
        id
    );
    let features = relay.get("/").json()["features"].clone();
    assert!(
        features
            .as_array()
            .is_some_and(|f| f.contains(&json!("idempotency")))
    );
    let other = Relay::start();
    other.register("a");
    assert_ne!(
        keyed(&other, "/delegate", "k", &task).json()["message_id"],
        id
    );
}

#[test]
fn the_oldest_keys_are_forgotten_when_all_together_grow_too_long() {
    let relay = Relay::with(&["--idempotency-bytes", "20000"]);
    relay.register("a");
    let send = |n: usize| {
        let task = json!({"from_agent": format!("s{n}"), "to_agent": "a", "task": n});
        keyed(&relay, "/delegate", "k", &task).json()["replayed"].clone()
    };
    for n in 0..100 {
        assert_eq!(send(n), Value::Null);
    }
    assert_eq!(send(99), true);
    assert_eq!(send(0), Value::Null);
}
