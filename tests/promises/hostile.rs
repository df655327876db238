//! Peers that mean harm, or are broken: the traps of the layers below, each with what it did
//! before its remedy.

use harness::socket::{RawSocket, frame, header};
use harness::{Relay, eventually, json};
use std::io::Write;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

/// Without a window and `TCP_USER_TIMEOUT`, a peer that stops reading freezes its session for
/// ever, and the relay goes on buffering for it.
#[test]
fn a_peer_that_stops_reading_holds_one_window_and_is_given_up() {
    let relay = Relay::with(&["--dead-peer-after", "2", "--inbox-bytes", "67108864"]);
    let socket = RawSocket::open(relay.address, "deaf");
    socket2::SockRef::from(&socket.0)
        .set_recv_buffer_size(4096)
        .unwrap();
    let big = "x".repeat(900 * 1024);
    let deliveries: Vec<String> = (0..20)
        .map(|_| {
            relay.delegate("b", "deaf", &big).json()["delivery"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let in_flight = deliveries
        .iter()
        .filter(|delivery| *delivery == "websocket")
        .count();
    assert!(
        in_flight <= 1,
        "one message beyond the window's bytes at most: {deliveries:?}"
    );
    assert_eq!(relay.get("/health").status, 200, "the relay goes on");
    // A poll beside the frozen socket gets at once what is not in flight.
    let polled = relay.poll("deaf");
    assert!((19..=20).contains(&polled.len()), "{}", polled.len());
    // TCP gives the peer up; what it never confirmed is in the inbox again, and the agent lives. On a
    // busy machine that may have been before the poll.
    let back = match polled.len() {
        20 => polled,
        _ => eventually("the socket is given up", || {
            let back = relay.poll("deaf");
            (!back.is_empty()).then_some(back)
        }),
    };
    assert!(
        back.iter()
            .any(|message| message["task"] == big || message["task"] == "t")
    );
    assert_eq!(
        relay.delegate("b", "deaf", "after").json()["delivery"],
        "queued"
    );
    drop(socket);
}

/// The codec would buffer all of it: 300 MB sent made 320 MB of memory.
#[test]
fn a_declared_giant_is_refused_at_its_header() {
    let relay = Relay::start();
    let mut socket = RawSocket::open(relay.address, "giant");
    let before = relay.rss_kib();
    socket.write(&header(0x81, 1 << 30));
    // What follows is thrown away for a moment, so that the refusal can be read; then the end.
    let chunk = vec![b'x'; MIB];
    let began = Instant::now();
    let mut most = 0;
    while socket.write(&chunk) {
        most = most.max(relay.rss_kib());
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the relay goes on reading"
        );
    }
    let grown = most.saturating_sub(before);
    assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    assert_eq!(relay.get("/health").status, 200);
}

#[test]
fn a_giant_is_told_1009_and_so_are_fragments_that_add_up_to_one() {
    let relay = Relay::start();
    let mut socket = RawSocket::open(relay.address, "giant");
    socket.write(&header(0x81, 1 << 30));
    assert_eq!(socket.close_code(), Some(1009));
    let mut socket = RawSocket::open(relay.address, "fragments");
    socket.write(&frame(0x01, &vec![b'x'; MIB / 2]));
    socket.write(&frame(0x00, &vec![b'x'; MIB / 2]));
    socket.write(&header(0x00, 1));
    assert_eq!(socket.close_code(), Some(1009));
}

/// Half a million callbacks in three seconds, when a protocol error did not end the session.
#[test]
fn a_protocol_error_ends_the_socket_and_costs_nothing_more() {
    let relay = Relay::start();
    let before = relay.cpu();
    for (what, bytes, code) in [
        ("unmasked", vec![0x81, 0x01, b'x'], 1002),
        ("reserved bits", frame(0xF1, b"x"), 1002),
        ("reserved opcode", frame(0x83, b"x"), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("not UTF-8", frame(0x81, &[0xFF, 0xFE]), 1007),
        (
            "fragments that are not UTF-8",
            [frame(0x01, &[0xC3]), frame(0x80, b"x")].concat(),
            1007,
        ),
        ("half a code in a close", frame(0x88, &[3]), 1002),
    ] {
        let mut socket = RawSocket::open(relay.address, "bad");
        socket.write(&bytes);
        let began = Instant::now();
        assert_eq!(socket.close_code(), Some(code), "{what}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what}");
    }
    // Held open without a word: a session that spins would show.
    let mut socket = RawSocket::open(relay.address, "held");
    socket.write(&[0x81, 0x01, b'x']);
    std::thread::sleep(Duration::from_millis(500));
    let used = relay.cpu() - before;
    assert!(
        used < Duration::from_millis(300),
        "{used:?} of processor time"
    );
    assert_eq!(relay.get("/health").status, 200);
}

#[test]
fn endless_empty_fragments_and_pings_cost_no_memory() {
    let relay = Relay::start();
    let mut socket = RawSocket::open(relay.address, "drip");
    socket.write(&frame(0x01, b""));
    let before = relay.rss_kib();
    let drip = frame(0x00, b"").repeat(1000);
    for _ in 0..200 {
        assert!(socket.write(&drip));
    }
    let grown = relay.rss_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "memory grew by {grown} KiB");
    assert_eq!(relay.get("/health").status, 200);
}

/// A peer that sends as fast as it can, and reads: what it sends must not wait in the relay.
#[test]
fn a_flood_of_tiny_frames_costs_no_memory() {
    let relay = Relay::start();
    let mut socket = RawSocket::open(relay.address, "flood");
    let mut answers = socket.0.try_clone().expect("the same connection");
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        while std::io::Read::read(&mut answers, &mut bytes).is_ok_and(|read| read > 0) {}
    });
    let before = relay.rss_kib();
    let flood = [frame(0x82, b""), frame(0x89, b"x")].concat().repeat(5_000);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < until {
        assert!(socket.write(&flood));
        let grown = relay.rss_kib().saturating_sub(before);
        assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    }
    socket
        .0
        .shutdown(std::net::Shutdown::Both)
        .expect("it ends");
    reader.join().expect("it ends");
    assert_eq!(relay.get("/health").status, 200);
}

/// A timer keeps an actor alive after its last address is gone: sessions would pile up.
#[test]
fn sockets_that_come_and_go_leave_nothing_behind() {
    let relay = Relay::start();
    let storm = || {
        for n in 0..300 {
            let socket = RawSocket::open(relay.address, &format!("a{}", n % 10));
            drop(socket);
        }
    };
    relay.get("/health");
    let before = relay.descriptors();
    storm();
    eventually("the descriptors are free again", || {
        (relay.descriptors() <= before).then_some(())
    });
    let settled = relay.rss_kib();
    for _ in 0..3 {
        storm();
    }
    eventually("the descriptors are free again", || {
        (relay.descriptors() <= before).then_some(())
    });
    let grown = relay.rss_kib().saturating_sub(settled);
    assert!(grown < 4 * 1024, "900 more sockets left {grown} KiB");
}

#[test]
fn no_request_makes_the_relay_fail() {
    let relay = Relay::start();
    relay.register("a");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let task = |value: &str| format!(r#"{{"from_agent":"b","to_agent":"a","task":{value}}}"#);
    for body in [
        "{".to_owned(),
        "\u{0}".to_owned(),
        "[]".to_owned(),
        r#"["b","a",1,{},"normal"]"#.to_owned(),
        "null".to_owned(),
        "\"text\"".to_owned(),
        task(&deep),
        task(r#""\ud800""#),
        task("1e999"),
        task("{\"a\":1,}"),
        format!("{},", task("1")),
        r#"{"from_agent":"b","to_agent":"a","task":1,"task":2}"#.to_owned(),
    ] {
        let reply = relay.post_text("/delegate", &body);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{}",
            &body[..body.len().min(60)]
        );
    }
    for body in [&b"\xff\xfe{}"[..], b"{\"from_agent\":\"\xff\"}"] {
        let reply = relay.request(
            "POST",
            "/delegate",
            &[("Content-Type", "application/json")],
            body,
        );
        assert_eq!(reply.status, 400);
    }
    for path in [
        "/poll/%00",
        "/poll/a%2Fb",
        "/files/%ff",
        "/files/%",
        "/ws/%ff",
        "/%",
        "/poll/a%0d%0aX:1",
        "/discover?limit=%ff",
    ] {
        let status = relay.get(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert!(relay.poll("a").is_empty());
    assert!(!relay.log().contains("panic"), "{}", relay.log());
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let relay = Relay::start();
    relay.register("a");
    let body = json!({"from_agent": "b", "to_agent": "a", "task": "t"}).to_string();
    for cut in [0, 1, body.len() / 2, body.len() - 1] {
        let mut stream = harness::http::connect(relay.address);
        let head = format!(
            "POST /delegate HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            relay.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body.as_bytes()[..cut]).unwrap();
    }
    relay.delegate("b", "a", "whole");
    let tasks: Vec<_> = relay
        .poll("a")
        .into_iter()
        .map(|message| message["task"].clone())
        .collect();
    assert_eq!(tasks, ["whole"]);
}

/// A log that nobody reads, or that nobody can read any more, is not worth a relay.
#[test]
fn a_log_that_cannot_be_written_does_not_matter() {
    use nix::sys::signal::Signal;
    for reads in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut relay = Relay::logging_to(writer);
        let reader = reads.then_some(reader);
        for _ in 0..2_000 {
            assert_eq!(relay.get("/nothing").status, 404);
        }
        assert_eq!(relay.get("/health").status, 200);
        relay.signal(Signal::SIGTERM);
        let (status, took) = relay.wait();
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(took < Duration::from_secs(10), "{took:?}");
        drop(reader);
    }
}

#[test]
fn text_that_is_not_utf8_is_found_wherever_it_stands() {
    let relay = Relay::start();
    let json = [("Content-Type", "application/json")];
    let body = b"{\"agent_id\":\"a\",\"unknown\":\"\xff\"}";
    assert_eq!(relay.request("POST", "/register", &json, body).status, 400);
    let put = json!({"file_key": "\u{fffd}", "content": "x", "agent_id": "a"});
    assert_eq!(relay.post("/files", &put).status, 200);
    assert_eq!(relay.get("/files/%EF%BF%BD").status, 200);
    for path in ["/files/%ff", "/files/%ff%EF%BF%BD", "/files/%EF%BF"] {
        assert_eq!(relay.get(path).code(), "bad_request", "{path}");
    }
}
