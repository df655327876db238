//! How a connection becomes a socket, and how a request that only asks for it is answered.

use harness::http::{connect, read_reply};
use harness::socket::{RawSocket, frame};
use harness::{Relay, Scrape, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What a request brings that asks for WebSocket.
const UPGRADE: &str = "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends a request that asks for WebSocket, with this after its head.
fn ask(relay: &Relay, line: &str, after: &[u8]) -> TcpStream {
    let mut stream = connect(relay.address);
    let head = format!("{line} HTTP/1.1\r\n{UPGRADE}\r\n");
    let bytes = [head.as_bytes(), after].concat();
    stream.write_all(&bytes).expect("the relay reads");
    stream
}

/// All that comes, to the end.
fn all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a good end");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn heartbeat(reference: u32) -> Vec<u8> {
    let text = json!({"type": "heartbeat", "ref": reference}).to_string();
    frame(0x81, text.as_bytes())
}

#[test]
fn frames_that_come_with_the_upgrade_are_the_first_of_the_socket() {
    let relay = Relay::start();
    let goodbye = frame(0x88, &1000u16.to_be_bytes());
    let frames = [heartbeat(1), heartbeat(2), heartbeat(3), goodbye].concat();
    // Wherever the bytes are parted.
    for cut in (0..frames.len()).step_by(7) {
        let mut stream = ask(&relay, "GET /ws/a", &frames[..cut]);
        std::thread::sleep(Duration::from_millis(5));
        stream.write_all(&frames[cut..]).expect("it is open");
        let told = all(&mut stream);
        assert!(told.starts_with("HTTP/1.1 101"), "{cut}: {told}");
        let at = |n| told.find(&format!(r#""ref":{n},"status":"ok""#));
        let order = [at(1), at(2), at(3)];
        assert!(
            order.iter().all(Option::is_some) && order.is_sorted(),
            "{cut}: {told}"
        );
    }
}

#[test]
fn whatever_asks_for_websocket_is_answered_like_any_other_request() {
    let relay = Relay::start();
    for (line, status, said) in [
        ("GET /health", 200, r#""status":"ok""#),
        ("GET /nothing", 404, "there is no /nothing here"),
        ("POST /ws/a", 405, "does not take POST"),
        ("GET /ws/bad%20id", 400, "agent_id"),
        ("GET /ws/a?ack=2", 400, "ack must be 0 or 1"),
        ("CONNECT localhost:80", 404, "there is no"),
    ] {
        let mut stream = ask(&relay, line, b"");
        let told = all(&mut stream);
        assert!(
            told.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {told}"
        );
        assert!(told.contains("\r\nconnection: close\r\n"), "{line}: {told}");
        assert!(told.contains(said), "{line}: {told}");
    }
    let told = all(&mut ask(&relay, "HEAD /health", b""));
    assert!(
        told.starts_with("HTTP/1.1 200") && told.ends_with("\r\n\r\n"),
        "{told}"
    );
    let told = all(&mut ask(&relay, "HEAD /ws/a", b""));
    assert!(
        told.starts_with("HTTP/1.1 405") && told.ends_with("\r\n\r\n"),
        "{told}"
    );
    let scrape = Scrape::of(&relay);
    assert_eq!(scrape.value("clawlink_connections"), 1.0, "its own");
    assert_eq!(scrape.value("clawlink_requests_under_way"), 1.0, "its own");
    assert_eq!(relay.get("/discover").json()["count"], 0);
}

#[test]
fn an_upgrade_that_the_http_layer_does_not_hand_on_is_no_upgrade() {
    let relay = Relay::start();
    let mut stream = connect(relay.address);
    let chunked =
        format!("GET /ws/a HTTP/1.1\r\n{UPGRADE}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    stream
        .write_all(chunked.as_bytes())
        .expect("the relay reads");
    let reply = read_reply(&mut stream);
    assert_eq!(reply.status, 400);
    let two = format!(
        "GET /ws/a HTTP/1.1\r\n{}\r\n",
        UPGRADE.replace(": websocket", ": h2c, websocket")
    );
    let mut stream = connect(relay.address);
    stream.write_all(two.as_bytes()).expect("the relay reads");
    assert_eq!(read_reply(&mut stream).status, 400);
    assert_eq!(relay.get("/discover").json()["count"], 0);
}

#[test]
fn a_body_with_an_upgrade_has_no_end_but_that_of_its_connection() {
    let relay = Relay::start();
    let mut stream = ask(&relay, "POST /heartbeat", br#"{"agent_id":"a"}"#);
    stream.shutdown(Shutdown::Write).expect("it is open");
    let told = all(&mut stream);
    assert!(
        told.starts_with("HTTP/1.1 400") && told.contains("the body broke off"),
        "{told}"
    );
}

#[test]
fn a_request_before_the_upgrade_is_answered_before_it() {
    let relay = Relay::start();
    let first = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = connect(relay.address);
    let both = format!("{first}GET /ws/a HTTP/1.1\r\n{UPGRADE}\r\n");
    stream.write_all(both.as_bytes()).expect("the relay reads");
    let mut heads = Vec::new();
    while heads.windows(4).filter(|end| end == b"\r\n\r\n").count() < 2 {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("both are answered");
        heads.extend(byte);
    }
    let goodbye = frame(0x88, &1000u16.to_be_bytes());
    let frames = [heartbeat(7), goodbye].concat();
    stream.write_all(&frames).expect("it is open");
    let told = String::from_utf8_lossy(&heads).into_owned() + &all(&mut stream);
    let (answer, socket) = told.split_once(r#"{"status":"ok"}"#).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{told}");
    assert!(
        socket.starts_with("HTTP/1.1 101") && socket.contains(r#""ref":7"#),
        "{told}"
    );
}

#[test]
fn mail_in_two_replies_of_which_one_asks_for_websocket_is_given_once() {
    let relay = Relay::start();
    ["a", "b"].iter().for_each(|agent| {
        relay.register(agent);
    });
    relay.delegate("s", "a", "one");
    relay.delegate("s", "b", "two");
    let mut stream = connect(relay.address);
    let first = "GET /poll/a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let both = format!("{first}GET /poll/b HTTP/1.1\r\n{UPGRADE}\r\n");
    stream.write_all(both.as_bytes()).expect("the relay reads");
    let told = all(&mut stream);
    assert!(
        told.contains(r#""task":"one""#) && told.contains(r#""task":"two""#),
        "{told}"
    );
    harness::eventually("it has gone", || {
        (Scrape::of(&relay).value("clawlink_requests_under_way") == 1.0).then_some(())
    });
    assert!(relay.poll("a").is_empty() && relay.poll("b").is_empty());
}

#[test]
fn requests_that_come_together_are_all_done_though_their_peer_has_ended_its_side() {
    let relay = Relay::start();
    relay.register("a");
    let body = r#"{"from_agent":"s","to_agent":"a","task":"t"}"#;
    let length = body.len();
    let one = format!(
        "POST /delegate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = connect(relay.address);
    stream
        .write_all(one.repeat(3).as_bytes())
        .expect("the relay reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let told = all(&mut stream);
    assert_eq!(told.matches(r#""status":"delegated""#).count(), 3, "{told}");
    assert_eq!(relay.poll("a").len(), 3);
}

#[test]
fn who_leaves_while_an_upgrade_is_answered_takes_nothing_along() {
    let relay = Relay::start();
    relay.register("a");
    let stream = ask(&relay, "GET /poll/a?wait=50", b"");
    harness::eventually("it waits", || {
        (Scrape::of(&relay).value("clawlink_requests_under_way") == 2.0).then_some(())
    });
    drop(stream);
    harness::eventually("it has gone", || {
        (Scrape::of(&relay).value("clawlink_requests_under_way") == 1.0).then_some(())
    });
    relay.delegate("b", "a", "t");
    assert_eq!(relay.poll("a").len(), 1);
}

#[test]
fn a_goodbye_is_answered_although_its_sender_says_nothing_more() {
    let relay = Relay::start();
    for round in 0..20 {
        let mut socket = RawSocket::open(relay.address, &format!("a{round}"));
        assert!(socket.write(&frame(0x88, &1000u16.to_be_bytes())));
        socket.0.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(socket.close_code(), Some(1000), "round {round}");
    }
}

#[test]
fn an_open_socket_is_one_connection_with_one_request() {
    let relay = Relay::start();
    let socket = relay.socket("a");
    let scrape = Scrape::of(&relay);
    assert_eq!(scrape.value("clawlink_connections"), 2.0);
    assert_eq!(scrape.value("clawlink_requests_under_way"), 2.0);
    socket.close();
    harness::eventually("it has ended", || {
        (Scrape::of(&relay).value("clawlink_connections") == 1.0).then_some(())
    });
    assert_eq!(Scrape::of(&relay).value("clawlink_requests_under_way"), 1.0);
}

#[test]
fn many_who_come_at_once_are_all_let_in_and_who_has_left_keeps_nobody_out() {
    const COME: usize = 400;
    let relay = Relay::start();
    let mut streams: Vec<_> = (0..COME)
        .map(|n| Some(ask(&relay, &format!("GET /ws/a{n}"), &heartbeat(n as u32))))
        .collect();
    streams.iter_mut().step_by(3).for_each(|stream| {
        stream.take();
    });
    for (n, stream) in streams.iter_mut().enumerate() {
        let Some(stream) = stream else { continue };
        let goodbye = frame(0x88, &1000u16.to_be_bytes());
        stream.write_all(&goodbye).expect("it is open");
        let told = all(stream);
        assert!(told.starts_with("HTTP/1.1 101"), "{n}: {told}");
        assert!(told.contains(&format!(r#""ref":{n},"#)), "{n}: {told}");
    }
}
