//! Sockets with `ack=1`: a message is done when its receipt has come back, and not before.

use harness::socket::{RawSocket, Socket};
use harness::{Relay, Value, eventually, json};

fn open(relay: &Relay, agent: &str) -> Socket {
    Socket::try_open(relay.address, &format!("/ws/{agent}?ack=1")).expect("it opens")
}

fn receipt(message: &Value) -> String {
    message["delivery"]["receipt"]
        .as_str()
        .expect("a receipt")
        .to_owned()
}

#[test]
fn the_first_frame_tells_the_epoch_and_every_message_carries_its_delivery() {
    let relay = Relay::start();
    let mut socket = open(&relay, "a");
    let welcome = socket.frame();
    let epoch = relay.get("/").json()["epoch"].clone();
    assert_eq!(
        welcome,
        json!({"type": "welcome", "agent_id": "a", "epoch": epoch})
    );
    relay.delegate("b", "a", "t");
    let task = socket.next_of("task_delegation");
    assert_eq!(task["delivery"]["attempt"], 1);
    assert_eq!(harness::keys(&task["delivery"]), ["attempt", "receipt"]);
    for (query, status) in [("ack=2", "400"), ("ack=yes", "400")] {
        let refused = Socket::try_open(relay.address, &format!("/ws/a?{query}"));
        assert!(refused.err().is_some_and(|error| error.contains(status)));
    }
    let mut plain = Socket::try_open(relay.address, "/ws/b?ack=0").expect("it opens");
    relay.delegate("a", "b", "t");
    assert_eq!(plain.next_of("task_delegation")["delivery"], Value::Null);
}

#[test]
fn what_was_not_acknowledged_comes_again_on_the_next_socket_or_by_a_poll() {
    let relay = Relay::start();
    let mut socket = open(&relay, "a");
    for task in ["one", "two", "three"] {
        relay.delegate("b", "a", task);
    }
    let got: Vec<Value> = (0..3).map(|_| socket.next_of("task_delegation")).collect();
    socket.send(&json!({"type": "ack", "ref": 1, "receipts": [receipt(&got[1])]}));
    let reply = socket.next_of("reply");
    assert_eq!(
        (&reply["status"], &reply["done"], &reply["expired"]),
        (&json!("ok"), &json!(1), &json!([]))
    );
    // A goodbye says that it was read, and not that it was done.
    socket.close();
    let mut socket = open(&relay, "a");
    let again = socket.next_of("task_delegation");
    assert_eq!(
        (&again["task"], &again["delivery"]["attempt"]),
        (&json!("one"), &json!(2))
    );
    socket.send(&json!({"type": "ack", "receipts": [receipt(&got[0])], "ref": 2}));
    assert_eq!(
        socket.next_of("reply")["expired"],
        json!([receipt(&got[0])]),
        "that delivery is over"
    );
    socket.send(&json!({"type": "ack", "receipts": [receipt(&again)], "ref": 3}));
    assert_eq!(socket.next_of("reply")["done"], 1);
    drop(socket);
    eventually("the third comes by a poll", || {
        let polled = relay.poll("a");
        (!polled.is_empty()).then(|| {
            assert_eq!(polled.len(), 1);
            assert_eq!(polled[0]["task"], "three");
        })
    });
}

#[test]
fn a_receipt_may_come_by_http_and_a_nack_by_the_socket() {
    let relay = Relay::start();
    let mut socket = open(&relay, "a");
    relay.delegate("b", "a", "t");
    let first = socket.next_of("task_delegation");
    socket.send(&json!({"type": "ack", "action": "nack", "receipts": [receipt(&first)]}));
    let second = socket.next_of("task_delegation");
    assert_eq!(second["delivery"]["attempt"], 2);
    let ack = json!({"agent_id": "a", "receipts": [receipt(&second)]});
    assert_eq!(relay.post("/ack", &ack).json()["done"], 1);
    socket.send(&json!({"type": "ack", "receipts": "no list"}));
    assert_eq!(socket.next_of("error")["code"], "bad_request");
    socket.close();
    assert!(relay.poll("a").is_empty());
}

#[test]
fn a_hundred_and_more_flow_as_they_are_acknowledged() {
    let relay = Relay::start();
    let mut socket = open(&relay, "a");
    for n in 0..200 {
        relay.delegate("b", "a", &n.to_string());
    }
    for n in 0..200 {
        let task = socket.next_of("task_delegation");
        assert_eq!(task["task"], n.to_string());
        socket.send(&json!({"type": "ack", "receipts": [receipt(&task)]}));
    }
    socket.send(&json!({"type": "heartbeat", "ref": 1}));
    socket.next_of("reply");
    drop(socket);
    eventually("nothing is left", || {
        (relay.get("/poll/a?peek=1").json()["remaining"] == 0).then_some(())
    });
}

#[test]
fn a_peer_that_acknowledges_must_answer_pings_and_one_of_the_original_need_not() {
    let relay = Relay::with(&["--ping-every", "1"]);
    relay.register("b");
    let silent = |path: &str| {
        let socket = RawSocket::open(relay.address, path);
        relay.delegate("b", path.split('?').next().unwrap_or_default(), "t");
        socket
    };
    let mut acking = silent("a?ack=1");
    let mut plain = silent("p");
    eventually("the one that should answer is dropped", || {
        let back = relay.get("/poll/a?peek=1").json();
        (back["count"] == 1).then_some(())
    });
    assert_eq!(
        acking.close_code(),
        None,
        "there is nobody to say goodbye to"
    );
    // By now the other has left as many pings unanswered, and it goes on.
    for n in 0..3 {
        let sent = relay.delegate("b", "p", &n.to_string()).json();
        assert_eq!(sent["delivery"], "websocket");
    }
    assert!(plain.write(&harness::socket::frame(0x88, b"")));
    eventually("its goodbye confirms what it was sent", || {
        let left = relay.get("/poll/p?peek=1").json();
        (left["count"] == 0 && relay.get("/poll/p").json()["count"] == 0).then_some(())
    });
}

#[test]
fn sockets_hear_who_falls_silent_and_who_leaves() {
    let relay = Relay::with(&["--stale-after", "1"]);
    let mut socket = relay.socket("listener");
    relay.register("a");
    assert_eq!(socket.next_of("agent_joined")["agent"]["agent_id"], "a");
    let stale = socket.next_of("agent_stale");
    assert_eq!(stale["agent"]["agent_id"], "a");
    assert_eq!(stale["agent"]["status"], "stale");
    assert!(harness::is_rfc3339_utc(&stale["timestamp"]));
    relay.post("/deregister", &json!({"agent_id": "a"}));
    assert_eq!(socket.next_of("agent_left")["agent"]["name"], "a");
}
