//! WebSocket: what comes over it, and what it may send.

use harness::socket::Socket;
use harness::{Relay, Value, eventually, json};
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(300);

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| frame["type"].as_str())
        .collect()
}

#[test]
fn an_unknown_id_is_registered_by_its_socket() {
    let relay = Relay::start();
    let _socket = relay.socket("fresh");
    let agents = relay.get("/discover").json();
    assert_eq!(agents["agents"][0]["agent_id"], "fresh");
    assert_eq!(agents["agents"][0]["name"], "agent-fres");
    assert_eq!(relay.request("GET", "/ws/bad%20id", &[], b"").status, 400);
    assert!(Socket::try_open(relay.address, "/ws/bad%20id").is_err());
    assert_eq!(relay.get("/discover").json()["count"], 1);
}

#[test]
fn a_delegation_goes_to_the_socket_at_once_and_nowhere_else() {
    let relay = Relay::start();
    let mut socket = relay.socket("a");
    eventually("the socket is seated", || {
        (relay.delegate("b", "a", "warm-up").json()["delivery"] == "websocket").then_some(())
    });
    let sent = relay.delegate("b", "a", "over the socket").json();
    assert_eq!(sent["delivery"], "websocket");
    let message = loop {
        let message = socket.next_of("task_delegation");
        if message["task"] != "warm-up" {
            break message;
        }
    };
    assert_eq!(
        (&message["task"], &message["message_id"]),
        (&json!("over the socket"), &sent["message_id"])
    );
    assert!(message.get("queued_at").is_none(), "a poll adds it");
    socket.close();
    eventually("it is read", || relay.poll("a").is_empty().then_some(()));
}

#[test]
fn what_waits_drains_into_a_socket_in_the_order_of_a_poll() {
    let relay = Relay::start();
    relay.register("a");
    for priority in ["low", "normal", "urgent"] {
        let call = json!({"from_agent": "b", "to_agent": "a", "task": "t", "priority": priority});
        relay.post("/delegate", &call);
    }
    let mut socket = relay.socket("a");
    let order: Vec<Value> = (0..3).map(|_| socket.frame()["priority"].clone()).collect();
    assert_eq!(order, ["urgent", "normal", "low"]);
}

#[test]
fn broadcasts_that_come_together_are_seen_by_all_in_one_order() {
    const SENDERS: usize = 8;
    const EACH: usize = 12;
    let relay = Relay::start();
    let (mut a, mut b) = (relay.socket("a"), relay.socket("b"));
    relay.register("c");
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let relay = &relay;
            scope.spawn(move || {
                for n in 0..EACH {
                    let content = json!({"sender": sender, "n": n});
                    let call = json!({"from_agent": "somebody", "content": content});
                    let sent = relay.post("/broadcast", &call).json();
                    assert_eq!(sent["recipients"], 3);
                }
            });
        }
    });
    let content = |message: Value| message["content"].clone();
    let read = |socket: &mut Socket| -> Vec<Value> {
        let all = 0..SENDERS * EACH;
        all.map(|_| content(socket.next_of("knowledge_broadcast")))
            .collect()
    };
    let (seen, others) = (read(&mut a), read(&mut b));
    let polled: Vec<Value> = relay.poll("c").into_iter().map(content).collect();
    assert_eq!(seen, others);
    assert_eq!(seen, polled);
    for sender in 0..SENDERS {
        let own = seen.iter().filter(|content| content["sender"] == sender);
        let order: Vec<_> = own.map(|content| content["n"].as_u64()).collect();
        let sent: Vec<_> = (0..EACH as u64).map(Some).collect();
        assert_eq!(order, sent);
    }
}

#[test]
fn a_broadcast_and_a_file_notice_reach_a_socket_once_and_its_inbox_not_at_all() {
    let relay = Relay::start();
    relay.register("sender");
    let mut socket = relay.socket("a");
    relay.post(
        "/broadcast",
        &json!({"from_agent": "sender", "content": "x"}),
    );
    relay.post(
        "/files",
        &json!({"file_key": "f", "content": "x", "agent_id": "sender"}),
    );
    let frames = socket.drain(A_WHILE);
    assert_eq!(kinds(&frames), ["knowledge_broadcast", "file_updated"]);
    assert!(relay.poll("a").is_empty());
}

#[test]
fn a_socket_hears_who_joins_but_not_itself() {
    let relay = Relay::start();
    let mut socket = relay.socket("a");
    relay.register("b");
    let joined = socket.next_of("agent_joined");
    assert_eq!(joined["agent"]["agent_id"], "b");
    assert!(joined["timestamp"].is_string());
    relay.post(
        "/register",
        &json!({"agent_id": "b", "capabilities": ["new"]}),
    );
    assert_eq!(
        socket.next_of("agent_joined")["agent"]["capabilities"],
        json!(["new"])
    );
    relay.register("a");
    assert!(socket.drain(A_WHILE).is_empty(), "itself");
}

#[test]
fn frames_are_calls_of_the_agent_whose_socket_it_is() {
    let relay = Relay::start();
    relay.register("b");
    let mut socket = relay.socket("a");
    socket.send(&json!({"type": "delegate", "to_agent": "b", "task": "t", "from_agent": "forged", "message_id": "own-1"}));
    socket.send(
        &json!({"type": "broadcast", "content": "c", "topic": "news", "message_id": "own-2"}),
    );
    socket.send(&json!({"type": "respond", "to_agent": "b", "message_id": "m9", "result": 7}));
    socket.send(&json!({"type": "heartbeat"}));
    let messages = eventually("all three arrive", || {
        let waiting = relay.get("/poll/b").json()["messages"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        ALL.lock().unwrap().extend(waiting);
        let all = ALL.lock().unwrap();
        (all.len() == 3).then(|| all.clone())
    });
    assert_eq!(
        kinds(&messages),
        ["task_delegation", "knowledge_broadcast", "task_response"]
    );
    assert!(messages.iter().all(|message| message["from_agent"] == "a"));
    assert_eq!(
        (&messages[0]["message_id"], &messages[1]["message_id"]),
        (&json!("own-1"), &json!("own-2"))
    );
    assert!(
        socket.drain(A_WHILE).is_empty(),
        "nothing is answered when all is well"
    );
}

static ALL: std::sync::Mutex<Vec<Value>> = std::sync::Mutex::new(Vec::new());

#[test]
fn a_frame_with_a_ref_is_always_answered() {
    let relay = Relay::start();
    relay.register("b");
    let mut socket = relay.socket("a");
    socket.send(&json!({"type": "delegate", "to_agent": "b", "task": "t", "ref": "r1"}));
    let reply = socket.next_of("reply");
    assert_eq!(
        (&reply["ref"], &reply["status"]),
        (&json!("r1"), &json!("delegated"))
    );
    assert_eq!(reply["delivery"], "queued");
    socket.send(&json!({"type": "delegate", "to_agent": "nobody", "task": "t", "ref": {"n": 2}}));
    let reply = socket.next_of("reply");
    assert_eq!(
        (&reply["ref"], &reply["status"]),
        (&json!({"n": 2}), &json!("error"))
    );
    assert_eq!(reply["code"], "unknown_agent");
    for (odd, word) in [
        (json!({"ref": 9}), "is not one of heartbeat"),
        (json!({"ref": 9, "type": null}), "is not one of heartbeat"),
        (json!({"ref": 9, "type": 5}), "type must be a string"),
        (
            json!({"ref": 9, "type": ["delegate"]}),
            "type must be a string",
        ),
    ] {
        socket.send(&odd);
        let reply = socket.next_of("reply");
        assert_eq!(
            (&reply["ref"], &reply["code"]),
            (&json!(9), &json!("bad_request"))
        );
        assert!(
            reply["error"]
                .as_str()
                .is_some_and(|error| error.contains(word)),
            "{reply}"
        );
    }
    let escaped = r#"{"type":"heart\u0062eat","ref":1}"#;
    socket.send_message(tungstenite::Message::text(escaped));
    assert_eq!(socket.next_of("reply")["status"], "ok");
    socket.send_message(tungstenite::Message::text(
        r#"{"type":"heartbeat","ref":1e999}"#,
    ));
    assert_eq!(
        socket.next_of("error")["code"],
        "bad_request",
        "nobody could read it back"
    );
    socket.send(&json!({"type": "heartbeat", "ref": 3}));
    assert_eq!(
        socket.next_of("reply"),
        json!({"type": "reply", "ref": 3, "status": "ok"})
    );
}

#[test]
fn a_frame_that_fails_says_so_and_the_socket_lives_on() {
    let relay = Relay::start();
    let mut socket = relay.socket("a");
    for frame in [
        json!({"type": "delegate", "task": "t"}),
        json!({"type": "delegate", "to_agent": "nobody", "task": "t"}),
        json!({"type": "broadcast"}),
        json!({"type": "dance"}),
        json!({"to_agent": "a"}),
        json!([1]),
    ] {
        socket.send(&frame);
        let answer = socket.frame();
        assert_eq!(answer["type"], "error", "{frame}: {answer}");
        assert!(
            answer["error"].is_string() && answer["code"].is_string(),
            "{answer}"
        );
    }
    socket.send_message(tungstenite::Message::text("{not json"));
    assert_eq!(socket.frame()["code"], "bad_request");
    socket.send_message(tungstenite::Message::binary(vec![1, 2, 3]));
    assert_eq!(socket.frame()["code"], "bad_request");
    socket.send(&json!({"type": "heartbeat", "ref": 1}));
    assert_eq!(socket.frame()["status"], "ok");
}

#[test]
fn a_second_socket_replaces_the_first() {
    let relay = Relay::start();
    let mut first = relay.socket("a");
    let mut second = relay.socket("a");
    assert_eq!(first.close_code(), Some(4001));
    relay.delegate("b", "a", "t");
    assert_eq!(second.next_of("task_delegation")["task"], "t");
}

#[test]
fn a_deregistered_agents_socket_is_closed() {
    let relay = Relay::start();
    let mut socket = relay.socket("a");
    eventually("it is seated", || {
        (relay.delegate("b", "a", "t").json()["delivery"] == "websocket").then_some(())
    });
    relay.post("/deregister", &json!({"agent_id": "a"}));
    assert_eq!(socket.close_code(), Some(1000));
}

#[test]
fn a_broken_connection_gives_back_what_was_not_confirmed_and_a_good_end_does_not() {
    let relay = Relay::start();
    // This one is cut without having read anything.
    let socket = relay.socket("cut");
    eventually("it is seated", || {
        (relay.delegate("b", "cut", "t").json()["delivery"] == "websocket").then_some(())
    });
    drop(socket);
    eventually("it comes back", || {
        relay
            .poll("cut")
            .iter()
            .any(|m| m["task"] == "t")
            .then_some(())
    });
    // This one reads, answers no ping after that, and says goodbye.
    let mut socket = relay.socket("good");
    eventually("it is seated", || {
        (relay.delegate("b", "good", "t").json()["delivery"] == "websocket").then_some(())
    });
    socket.next_of("task_delegation");
    socket.close();
    relay.delegate("b", "good", "later");
    let polled = eventually("the later one waits", || {
        let polled = relay.poll("good");
        (!polled.is_empty()).then_some(polled)
    });
    assert!(
        polled.iter().all(|message| message["task"] == "later"),
        "{polled:?}"
    );
}

#[test]
fn a_stream_of_messages_flows_through_a_socket_that_reads() {
    let relay = Relay::start();
    let mut socket = relay.socket("a");
    for n in 0..300 {
        assert_eq!(relay.delegate("b", "a", &n.to_string()).status, 200);
    }
    for n in 0..300 {
        assert_eq!(socket.next_of("task_delegation")["task"], n.to_string());
    }
    assert!(relay.poll("a").is_empty());
}

#[test]
fn fragments_make_one_frame() {
    use harness::socket::{RawSocket, frame};
    let relay = Relay::start();
    relay.register("b");
    let mut socket = RawSocket::open(relay.address, "a");
    let text = json!({"type": "delegate", "to_agent": "b", "task": "Größe"})
        .to_string()
        .into_bytes();
    let cut = text.iter().position(|byte| *byte == 0xC3).unwrap() + 1;
    socket.write(&frame(0x01, &text[..10]));
    socket.write(&frame(0x89, b"between"));
    socket.write(&frame(0x00, &text[10..cut]));
    socket.write(&frame(0x80, &text[cut..]));
    let polled = eventually("it arrives", || relay.poll("b").into_iter().next());
    assert_eq!(polled["task"], "Größe");
}

/// Some frames are done where they are read, others by the session: neither overtakes the other.
#[test]
fn frames_of_all_kinds_keep_their_order() {
    const FRAMES: usize = 60;
    let relay = Relay::start();
    relay.register("b");
    let mut socket = relay.socket("a");
    for n in 0..FRAMES {
        let mut frame = json!({"type": "delegate", "to_agent": "b", "task": n, "ref": n});
        match n % 4 {
            1 => frame = json!({"type": "broadcast", "content": n, "ref": n}),
            2 => frame["idempotency_key"] = json!(format!("key-{n}")),
            _ => {}
        }
        socket.send(&frame);
    }
    for n in 0..FRAMES {
        let reply = socket.next_of("reply");
        assert_eq!(reply["ref"], n, "{reply}");
    }
    let polled = relay.poll("b");
    let told = |message: &Value| {
        let task = message.get("task").or_else(|| message.get("content"));
        task.and_then(Value::as_u64)
    };
    let order: Vec<_> = polled.iter().filter_map(told).collect();
    assert_eq!(order, (0..FRAMES as u64).collect::<Vec<_>>());
}

/// Tasks for `to`, in frames as a client writes them.
fn delegations(to: &str, count: usize) -> Vec<u8> {
    let text = json!({"type": "delegate", "to_agent": to, "task": "t"}).to_string();
    harness::socket::frame(0x81, text.as_bytes()).repeat(count)
}

#[test]
fn frames_sent_just_before_the_end_all_count() {
    use harness::socket::{RawSocket, frame};
    let relay = Relay::with(&["--inbox-limit", "10000"]);
    relay.register("goodbye");
    relay.register("silent");
    let rounds = 100;
    for round in 0..rounds {
        let mut socket = RawSocket::open(relay.address, &format!("a{}", round % 7));
        let goodbye = frame(0x88, &1000u16.to_be_bytes());
        assert!(socket.write(&[delegations("goodbye", 3), goodbye].concat()));
        drop(socket);
        let mut socket = RawSocket::open(relay.address, &format!("b{}", round % 7));
        assert!(socket.write(&delegations("silent", 3)));
        drop(socket);
    }
    for to in ["goodbye", "silent"] {
        let mut arrived = 0;
        eventually("every frame has arrived", || {
            arrived += relay.poll(to).len();
            (arrived == 3 * rounds).then_some(())
        });
    }
}

#[test]
fn a_goodbye_confirms_even_when_the_connection_ends_with_it() {
    use harness::socket::{RawSocket, frame};
    let relay = Relay::start();
    for round in 0..50 {
        let name = format!("a{round}");
        relay.register(&name);
        relay.delegate("b", &name, "read");
        let mut socket = RawSocket::open(relay.address, &name);
        // The first byte of the message: it is here.
        let mut byte = [0];
        std::io::Read::read_exact(&mut socket.0, &mut byte).unwrap();
        assert!(socket.write(&frame(0x88, &1000u16.to_be_bytes())));
        socket.0.shutdown(std::net::Shutdown::Write).unwrap();
        // Read to the end: bytes left unread would make a reset of it, which takes the goodbye along.
        socket.close_code();
        // What still meets the open seat is confirmed by the goodbye too; after that mail waits.
        eventually("the seat is free", || {
            let later = relay.delegate("b", &name, "later").json();
            (later["delivery"] == "queued").then_some(())
        });
        let polled = relay.poll(&name);
        assert!(!polled.is_empty(), "round {round}");
        assert!(
            polled.iter().all(|message| message["task"] == "later"),
            "round {round}: {polled:?}"
        );
    }
}
