//! Who has sent a message, and whether that was proved.

use super::{TOKEN, call, claimed, delegate, register, secret};
use harness::socket::Socket;
use harness::{Relay, Value, json};

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
    let py = json!({"agent_id": "py", "name": "py"});
    let claim = register(&relay, Some(&secret(3)), &py);
    assert_eq!(claim.status, 200);
    assert_eq!(plain.close_code(), Some(4003));
    harness::eventually("a socket that was not the agent's own is counted", || {
        let counted = call(&relay, ("GET", "/metrics"), None, None, &Value::Null).text;
        let ended = r#"clawlink_sockets_ended_total{why="not_yours"} 1"#;
        counted.lines().any(|line| line == ended).then_some(())
    });
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
    register(&relay, None, &json!({"agent_id": "py", "name": "py"}));
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
        let py = json!({"agent_id": "py", "name": "py"});
        register(&relay, Some(&secret(3)), &py);
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
