//! Many calls on one connection: each is answered once, in its order, and what was not read stays.

use crate::connections::{beat, head};
use harness::http::connect;
use harness::{Relay, Scrape, eventually, json};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Calls of all ways through the relay, and what their replies begin with.
fn mixed(relay: &Relay) -> Vec<(String, &'static str)> {
    let body = |line: &str, body: &str| head(relay, line, body.len()) + body;
    let delegate = json!({"from_agent": "a", "to_agent": "b", "task": "t", "context": "c"});
    let keyed = body("POST /delegate", &delegate.to_string());
    let keyed = keyed.replacen("\r\n", "\r\nIdempotency-Key: k\r\n", 1);
    let chunked = head(relay, "POST /heartbeat", 0)
        .replace("Content-Length: 0", "Transfer-Encoding: chunked");
    vec![
        (
            body("POST /heartbeat", r#"{"agent_id":"a"}"#),
            r#"{"status":"unknown_agent"}"#,
        ),
        (
            body("POST /register", r#"{"agent_id":"a"}"#),
            r#"{"status":"registered""#,
        ),
        (head(relay, "GET /health", 0), r#"{"status":"ok"}"#),
        (
            body("POST /register", r#"{"agent_id":"b"}"#),
            r#"{"status":"registered""#,
        ),
        (
            body("POST /delegate", &delegate.to_string()),
            r#"{"status":"delegated""#,
        ),
        (keyed.clone(), r#"{"status":"delegated""#),
        (
            head(relay, "GET /poll/b?max=1", 0),
            r#"{"messages":[{"type":"task_delegation""#,
        ),
        (keyed, r#"{"status":"delegated""#),
        (
            body("POST /heartbeat", "no JSON"),
            r#"{"error":"the body is not JSON"#,
        ),
        (
            head(relay, "GET /poll/b?wait=1", 0),
            r#"{"messages":[{"type":"task_delegation""#,
        ),
        (
            head(relay, "GET /poll/b?wait=x", 0),
            r#"{"error":"wait must be"#,
        ),
        (
            head(relay, "GET /poll/%62", 0),
            r#"{"messages":[],"count":0"#,
        ),
        (
            head(relay, "DELETE /poll/b", 0),
            r#"{"error":"/poll/b does not take DELETE"#,
        ),
        (
            body("POST /heartbeat", r#"{"agent_id":"b"}"#),
            r#"{"status":"ok"}"#,
        ),
        (
            chunked + "10\r\n{\"agent_id\":\"b\"}\r\n0\r\n\r\n",
            r#"{"status":"ok"}"#,
        ),
        (
            body("POST /heartbeat", r#"{"agent_id":"b"}"#),
            r#"{"status":"ok"}"#,
        ),
        (
            body("POST /heartbeat", r#"{"agent_id":"b"}"#).replacen(
                "\r\n",
                "\r\nConnection: close\r\n",
                1,
            ),
            r#"{"status":"ok"}"#,
        ),
    ]
}

/// The bodies of all replies up to the end of the connection.
fn bodies(stream: &mut TcpStream) -> Vec<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a good end");
    let text = String::from_utf8(bytes).expect("text");
    let mut rest = &*text;
    let mut bodies = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        assert!(head.starts_with("HTTP/1.1 "), "{text}");
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length = length.lines().next().and_then(|digits| digits.parse().ok());
        let (body, after) = after.split_at(length.expect("a number"));
        bodies.push(body.to_owned());
        rest = after;
    }
    assert_eq!(rest, "");
    bodies
}

#[test]
fn requests_of_all_kinds_are_answered_in_their_order_wherever_the_bytes_are_parted() {
    let length = |relay: &Relay| {
        mixed(relay)
            .iter()
            .map(|(call, _)| call.len())
            .sum::<usize>()
    };
    let all = length(&Relay::start());
    // In one write, in two, and in many.
    let parts = (0..all).step_by(97).map(|at| vec![at]);
    let parts = parts.chain([
        (1..all).step_by(50).collect(),
        (1..all).step_by(411).collect(),
    ]);
    let parts: Vec<Vec<usize>> = parts.collect();
    std::thread::scope(|scope| {
        for half in parts.chunks(parts.len().div_ceil(4)) {
            scope.spawn(move || half.iter().for_each(|cuts| answered_in_order(cuts)));
        }
    });
}

fn answered_in_order(cuts: &[usize]) {
    let relay = Relay::start();
    let calls = mixed(&relay);
    let bytes = calls.iter().map(|(call, _)| &**call).collect::<String>();
    let mut stream = connect(relay.address);
    stream.set_nodelay(true).expect("no delay");
    let mut sent = 0;
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let part = &bytes.as_bytes()[sent..cut.min(bytes.len())];
        if let Err(error) = stream.write_all(part) {
            panic!("{error} at {sent}, {cuts:?}: {:#?}", bodies(&mut stream));
        }
        sent = cut.min(bytes.len());
        // So that each part is mostly read by itself.
        std::thread::sleep(Duration::from_millis(2));
    }
    let bodies = bodies(&mut stream);
    assert_eq!(bodies.len(), calls.len(), "{cuts:?}: {bodies:#?}");
    for ((call, expected), body) in calls.iter().zip(&bodies) {
        assert!(body.starts_with(expected), "{cuts:?}: {call}\n{body}");
    }
    assert!(bodies[7].ends_with(r#""replayed":true}"#), "{}", bodies[7]);
}

#[test]
fn the_reply_to_a_poll_is_given_up_where_it_is_not_taken_and_its_mail_stays() {
    let relay = Relay::with(&["--body-deadline", "1", "--inbox-bytes", "20000000"]);
    relay.register("a");
    let long = "x".repeat(900_000);
    for _ in 0..16 {
        assert_eq!(relay.delegate("b", "a", &long).status, 200);
    }
    let mut stream = connect(relay.address);
    socket2::SockRef::from(&stream)
        .set_recv_buffer_size(4096)
        .expect("a small buffer");
    let poll = head(&relay, "GET /poll/a", 0);
    stream.write_all(poll.as_bytes()).expect("it is written");
    stream.read_exact(&mut [0; 64]).expect("the reply begins");
    let late = r#"clawlink_deadlines_total{what="reply"}"#;
    eventually("it is given up", || {
        (Scrape::of(&relay).value(late) > 0.0).then_some(())
    });
    assert_eq!(relay.poll("a").len(), 16);
    assert_eq!(Scrape::of(&relay).value("clawlink_in_flight_bytes"), 0.0);
}

#[test]
fn what_many_send_at_once_is_answered_to_each_of_them() {
    let relay = Relay::start();
    // So that all of it is there when the relay next reads: some of them more than is read at a time.
    relay.signal(Signal::SIGSTOP);
    let callers = (0..40).map(|number| {
        let (name, count) = (format!("nobody-{number}"), 40 + 120 * (number % 2));
        let call = json!({"from_agent": "a", "to_agent": name, "task": "t"}).to_string();
        let call = head(&relay, "POST /delegate", call.len()) + &call;
        let mut stream = connect(relay.address);
        let calls = call.repeat(count);
        stream.write_all(calls.as_bytes()).expect("it is written");
        (stream, name, count)
    });
    let callers: Vec<_> = callers.collect();
    relay.signal(Signal::SIGCONT);
    for (mut stream, name, count) in callers {
        let (mut said, own) = (String::new(), format!("no agent \\\"{name}\\\""));
        while said.matches("HTTP/1.1 ").count() < count || !said.ends_with('}') {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).expect("it is answered");
            assert!(read > 0, "{name}: {said}");
            said.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        assert_eq!(said.matches("HTTP/1.1 ").count(), count, "{name}");
        assert_eq!(said.matches(&own).count(), count, "{name}: {said}");
    }
}

/// Resets a connection: whoever writes on it meets an error.
fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).expect("no linger");
}

#[test]
fn mail_whose_reply_met_a_reset_connection_is_there_for_the_next_poll() {
    let relay = Relay::start();
    relay.register("a");
    for n in 0..20 {
        assert_eq!(relay.delegate("b", "a", &n.to_string()).status, 200);
        let mut stream = connect(relay.address);
        assert!(beat(&relay, &mut stream));
        relay.freeze();
        let poll = head(&relay, "GET /poll/a", 0);
        stream.write_all(poll.as_bytes()).expect("it is written");
        reset(stream);
        relay.signal(Signal::SIGCONT);
        // Whether it was read before the reset or not: it is not held anywhere.
        let under_way = || Scrape::of(&relay).value("clawlink_connections");
        eventually("the connection ends", || (under_way() <= 1.0).then_some(()));
        let mail = relay.get("/poll/a?wait=1").json();
        assert_eq!(mail["messages"][0]["task"], n.to_string(), "{n}");
    }
}

#[test]
fn polls_that_come_together_are_answered_one_by_one() {
    let relay = Relay::start();
    relay.register("a");
    for _ in 0..4 {
        assert_eq!(relay.delegate("b", "a", &"x".repeat(250_000)).status, 200);
    }
    let mut stream = connect(relay.address);
    let polls = head(&relay, "GET /poll/a?peek=1", 0).repeat(60);
    stream
        .write_all(polls.as_bytes())
        .expect("they are written");
    let poll = head(&relay, "GET /poll/a", 0);
    stream.write_all(poll.as_bytes()).expect("it is written");
    eventually("one of them is answered", || {
        let bytes = Scrape::of(&relay).value("clawlink_in_flight_bytes");
        (bytes > 500_000.0).then_some(())
    });
    for _ in 0..10 {
        let scrape = Scrape::of(&relay);
        let bytes = scrape.value("clawlink_in_flight_bytes");
        assert!(bytes < 3_000_000.0, "{bytes}");
        assert!(scrape.value("clawlink_requests_under_way") < 5.0);
    }
    assert!(relay.peak_kib() < 64 * 1024, "{} KiB", relay.peak_kib());
    let mut replies = 0;
    let mut bytes = vec![0; 1 << 20];
    let mut rest = Vec::new();
    while replies < 61 {
        let read = stream.read(&mut bytes).expect("replies");
        rest.extend_from_slice(&bytes[..read]);
        replies += rest.windows(12).filter(|w| w == b"HTTP/1.1 200").count();
        rest.drain(..rest.len().saturating_sub(11));
    }
}

#[test]
fn mail_that_was_read_does_not_come_again_because_a_later_reply_broke_off() {
    let relay = Relay::with(&["--inbox-bytes", "20000000"]);
    relay.register("short");
    relay.register("long");
    assert_eq!(relay.delegate("b", "short", "once").status, 200);
    for _ in 0..16 {
        assert_eq!(
            relay.delegate("b", "long", &"x".repeat(900_000)).status,
            200
        );
    }
    let mut stream = connect(relay.address);
    let polls = head(&relay, "GET /poll/short", 0) + &head(&relay, "GET /poll/long", 0);
    stream
        .write_all(polls.as_bytes())
        .expect("they are written");
    let mut text = String::new();
    while !text.contains("\"once\"") || text.matches("HTTP/1.1 200").count() < 2 {
        let mut some = [0; 512];
        let read = stream.read(&mut some).expect("replies");
        text.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    reset(stream);
    eventually("what was not written is back", || {
        (relay.get("/poll/long?peek=1&max=500").json()["remaining"].as_u64() > Some(0))
            .then_some(())
    });
    assert!(relay.poll("short").is_empty());
}

#[test]
fn a_reply_that_says_it_is_the_last_one_is() {
    let relay = Relay::start();
    relay.register("a");
    let sent = relay.delegate("b", "a", "t").json();
    let waits = format!(
        "GET /tasks/{}?wait=1&until=ended",
        sent["message_id"].as_str().unwrap()
    );
    let with_body = |line: &str, header: &str| {
        head(&relay, line, 5).replacen("\r\n", &format!("\r\n{header}"), 1)
    };
    let body = "{\"agent_id\":\"a\"}";
    let next = head(&relay, "POST /heartbeat", body.len()) + body;
    for (head, status, parts) in [
        (with_body("POST /nothing", ""), "404", ["", "abcde"]),
        (
            with_body("POST /register", "Origin: http://x.example\r\n"),
            "403",
            ["", "abcde"],
        ),
        (with_body("GET /health", ""), "200", ["ab", "cde"]),
        (with_body(&waits, ""), "200", ["a", "bcde"]),
        (
            with_body("GET /health", "Connection: close\r\n"),
            "200",
            ["", "abcde"],
        ),
    ] {
        let mut stream = connect(relay.address);
        stream.set_nodelay(true).expect("no delay");
        let mut text = String::new();
        stream.write_all(head.as_bytes()).expect("it is written");
        stream
            .write_all(parts[0].as_bytes())
            .expect("it is written");
        let mut some = [0; 4096];
        let read = stream.read(&mut some).expect("a reply");
        text.push_str(&String::from_utf8_lossy(&some[..read]));
        // It may have ended already.
        let _ = stream.write_all([parts[1], &next].concat().as_bytes());
        let began = Instant::now();
        while let Ok(read @ 1..) = stream.read(&mut some) {
            text.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}{text}"
        );
        assert!(text.contains("\r\nconnection: close\r\n"), "{head}{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{head}{text}");
        assert!(began.elapsed() < Duration::from_secs(4), "{head}");
    }
}
