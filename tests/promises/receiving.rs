//! Receiving over HTTP: leases, receipts, long polls, and replies that nobody takes.

use harness::{Relay, Value, eventually, http, json};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

fn tasks(polled: &Value) -> Vec<&str> {
    let messages = polled["messages"].as_array().expect("messages");
    messages
        .iter()
        .filter_map(|message| message["task"].as_str())
        .collect()
}

/// A relay on which agent `a` is stale whenever it does not wait.
fn relay_that_notices() -> Relay {
    let relay = Relay::with(&["--stale-after", "1"]);
    relay.register("a");
    relay
}

fn is_online(relay: &Relay, online: bool) {
    let count = usize::from(online);
    eventually("a is as it should be", || {
        (relay.get("/discover").json()["count"] == count).then_some(())
    });
}

/// A long poll under way, on a connection of the test's own.
fn waiting(relay: &Relay, query: &str) -> std::net::TcpStream {
    let mut stream = http::connect(relay.address);
    let head = format!(
        "GET /poll/a?{query} HTTP/1.1\r\nHost: {}\r\n\r\n",
        relay.address
    );
    stream
        .write_all(head.as_bytes())
        .expect("the request is written");
    stream
}

#[test]
fn a_lease_is_acknowledged_by_receipt_or_batch() {
    let relay = Relay::start();
    relay.register("a");
    for task in ["one", "two", "three"] {
        relay.delegate("b", "a", task);
    }
    let polled = relay.get("/poll/a?lease=60&max=2").json();
    assert_eq!(
        (tasks(&polled), &polled["remaining"]),
        (vec!["one", "two"], &json!(1))
    );
    let delivery = &polled["messages"][0]["delivery"];
    assert_eq!(
        (&delivery["attempt"], &delivery["lease_seconds"]),
        (&json!(1), &json!(60))
    );
    assert!(harness::is_rfc3339_utc(&delivery["lease_until"]));
    assert!(polled["messages"][0]["queued_at"].is_string());
    let call = json!({"agent_id": "a", "receipts": [delivery["receipt"], "nonsense"]});
    let acked = relay.post("/ack", &call).json();
    assert_eq!(
        acked,
        json!({"status": "ok", "done": 1, "expired": ["nonsense"]})
    );
    let query = format!(
        "lease=60&ack={}",
        polled["batch"].as_str().expect("a batch")
    );
    let polled = relay.get(&format!("/poll/a?{query}")).json();
    assert_eq!(
        polled["acked"],
        json!({"done": 2, "expired": []}),
        "one of them once more"
    );
    assert_eq!(tasks(&polled), ["three"]);
    let call = json!({"agent_id": "a", "batch": polled["batch"], "action": "nack"});
    assert_eq!(relay.post("/ack", &call).json()["done"], 1);
    let polled = relay.get("/poll/a?lease=60").json();
    assert_eq!(polled["messages"][0]["delivery"]["attempt"], 2);
    let call =
        json!({"agent_id": "a", "batch": polled["batch"], "action": "extend", "lease": 3600});
    assert_eq!(relay.post("/ack", &call).json()["done"], 1);
    let call = json!({"agent_id": "a", "batch": "of-nobody"});
    assert_eq!(relay.post("/ack", &call).json()["unknown_batch"], true);
}

#[test]
fn a_batch_of_before_a_restart_or_of_another_agent_means_nothing() {
    let relay = Relay::start();
    let batch_of = |agent: &str| {
        relay.register(agent);
        relay.delegate("x", agent, "t");
        relay.get(&format!("/poll/{agent}?lease=60")).json()["batch"].clone()
    };
    let (a, b) = (batch_of("a"), batch_of("b"));
    let ack = |agent: &str, batch: &Value| {
        relay
            .post("/ack", &json!({"agent_id": agent, "batch": batch}))
            .json()
    };
    assert_eq!(ack("a", &b)["unknown_batch"], true);
    relay.post("/deregister", &json!({"agent_id": "a"}));
    assert_eq!(
        relay
            .post("/ack", &json!({"agent_id": "a", "batch": a}))
            .code(),
        "unknown_agent"
    );
    let again = batch_of("a");
    assert_eq!(ack("a", &a)["unknown_batch"], true);
    assert_eq!(ack("a", &again)["done"], 1);
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let relay = Relay::start();
    relay.register("a");
    for (query, named) in [
        ("wait=56", "wait"),
        ("wait=-1", "wait"),
        ("wait=x", "wait"),
        ("lease=0", "lease"),
        ("lease=3601", "lease"),
        ("max=0", "max"),
        ("max=501", "max"),
        ("peek=2", "peek"),
    ] {
        let reply = relay.get(&format!("/poll/a?{query}"));
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{query}"
        );
        assert!(reply.text.contains(named), "{}", reply.text);
    }
    for call in [
        json!({"agent_id": "a"}),
        json!({"agent_id": "a", "receipts": [], "batch": "x"}),
        json!({"agent_id": "a", "receipts": vec!["r"; 501]}),
        json!({"agent_id": "a", "receipts": ["r"], "action": "forget"}),
        json!({"agent_id": "a", "receipts": ["r"], "action": "extend"}),
        json!({"agent_id": "a", "receipts": ["r"], "action": "extend", "lease": 3601}),
        json!({"agent_id": "a", "receipts": ["r"], "action": "nack", "delay": 3601}),
        json!({"receipts": ["r"]}),
    ] {
        assert_eq!(relay.post("/ack", &call).status, 400, "{call}");
    }
}

#[test]
fn a_long_poll_wakes_when_mail_comes_and_ends_when_none_does() {
    let relay = Relay::start();
    relay.register("a");
    let began = Instant::now();
    assert_eq!(relay.get("/poll/a?wait=1").json()["count"], 0);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let mut poll = waiting(&relay, "wait=30&lease=60");
    relay.delegate("b", "a", "t");
    let mut reply = [0; 4096];
    let read = poll.read(&mut reply).expect("an answer");
    assert!(String::from_utf8_lossy(&reply[..read]).contains("200 OK"));
    assert!(began.elapsed() < Duration::from_secs(10));
    let waits = relay.get("/poll/nobody?wait=30").json();
    assert_eq!(waits["status"], "unknown_agent", "at once");
}

/// FIN, RST and half-close.
fn leave(poll: std::net::TcpStream, way: usize) {
    match way {
        0 => drop(poll),
        1 => {
            let socket = socket2::SockRef::from(&poll);
            socket.set_linger(Some(Duration::ZERO)).expect("a reset");
        }
        _ => {
            poll.shutdown(Shutdown::Write).expect("half of it closes");
            // The other half stays open for the rest of the test.
            std::mem::forget(poll);
        }
    }
}

#[test]
fn who_is_known_to_have_left_a_long_poll_is_given_nothing() {
    let relay = relay_that_notices();
    for way in 0..3 {
        is_online(&relay, false);
        let poll = waiting(&relay, "wait=30");
        is_online(&relay, true);
        leave(poll, way);
        is_online(&relay, false);
        relay.delegate("b", "a", "t");
        assert_eq!(relay.poll("a").len(), 1, "way {way}");
    }
}

/// Between the moment in which a client leaves and that in which the relay hears of it, a lease is
/// what keeps its mail.
#[test]
fn what_is_leased_to_somebody_who_just_left_comes_again() {
    let relay = relay_that_notices();
    for way in 0..3 {
        is_online(&relay, false);
        let poll = waiting(&relay, "wait=30&lease=1");
        is_online(&relay, true);
        leave(poll, way);
        relay.delegate("b", "a", "t");
        let polled = eventually("it comes again", || relay.poll("a").into_iter().next());
        assert_eq!(polled["task"], "t", "way {way}");
    }
}

/// Its request and its reset are there before the relay looks: the reply meets nobody.
#[test]
fn a_plain_reply_to_somebody_who_is_gone_goes_back_however_short_it_is() {
    let relay = Relay::start();
    relay.register("a");
    for round in 0..5 {
        relay.delegate("b", "a", "t");
        let mut connection = http::connect(relay.address);
        let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", relay.address);
        connection
            .write_all(ask("/health").as_bytes())
            .expect("it is written");
        let read = connection.read(&mut [0; 1024]).expect("it is answered");
        assert!(read > 0);
        relay.freeze();
        connection
            .write_all(ask("/poll/a").as_bytes())
            .expect("it is written");
        leave(connection, 1);
        relay.signal(Signal::SIGCONT);
        relay.get("/health");
        let polled = eventually("it is back", || relay.poll("a").into_iter().next());
        assert_eq!(polled["task"], "t", "round {round}");
    }
}

/// More than the buffers between the two hold: the relay sees that it was not taken.
#[test]
fn a_long_reply_that_is_not_read_goes_back_to_its_places() {
    let relay = Relay::with(&["--inbox-bytes", "67108864"]);
    relay.register("a");
    let big = "x".repeat(1000 * 1024);
    for _ in 0..20 {
        assert_eq!(relay.delegate("b", "a", &big).status, 200);
    }
    let mut poll = waiting(&relay, "");
    let mut start = [0; 1024];
    poll.read_exact(&mut start).expect("it begins");
    drop(poll);
    let back = eventually("they come back", || {
        let polled = relay.poll("a");
        (!polled.is_empty()).then_some(polled)
    });
    assert_eq!(back.len(), 20);
    assert!(relay.poll("a").is_empty());
}

#[test]
fn a_relay_that_ends_answers_who_waits() {
    let mut relay = relay_that_notices();
    is_online(&relay, false);
    let mut poll = waiting(&relay, "wait=55");
    is_online(&relay, true);
    relay.signal(Signal::SIGTERM);
    let reply = http::read_reply(&mut poll);
    assert_eq!((reply.status, &reply.json()["count"]), (200, &json!(0)));
    let (status, took) = relay.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}
