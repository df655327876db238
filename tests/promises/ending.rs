//! How a relay ends: everybody is told, nobody is cut off in the middle, and it does not take long.

use harness::{Relay, json};
use nix::sys::signal::Signal;
use std::io::Write;
use std::time::Duration;

#[test]
fn a_signal_closes_sockets_with_1001_answers_what_is_under_way_and_exits_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut relay = Relay::start();
        let mut socket = relay.socket("a");
        relay.register("b");
        // A request whose body is half sent when the signal comes.
        let body = json!({"from_agent": "a", "to_agent": "b", "task": "under way"}).to_string();
        let mut request = harness::http::connect(relay.address);
        let head = format!(
            "POST /delegate HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            relay.address,
            body.len(),
            &body[..10]
        );
        request.write_all(head.as_bytes()).unwrap();
        // An idle connection that was used before must not hold the relay up.
        let mut idle = harness::http::connect(relay.address);
        idle.write_all(
            format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", relay.address).as_bytes(),
        )
        .unwrap();
        harness::eventually("the relay is busy", || {
            relay.log().contains("/health").then_some(())
        });

        relay.signal(signal);
        assert_eq!(socket.close_code(), Some(1001), "{signal}");
        request.write_all(&body.as_bytes()[10..]).unwrap();
        let reply = harness::http::read_reply(&mut request);
        assert_eq!(
            (reply.status, &reply.json()["status"]),
            (200, &json!("delegated")),
            "{signal}"
        );
        let (status, took) = relay.wait();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(took < Duration::from_secs(10), "{signal}: {took:?}");
        assert!(
            std::net::TcpStream::connect(relay.address).is_err(),
            "no new connections"
        );
    }
}

#[test]
fn peers_that_neither_read_nor_finish_do_not_hold_the_relay_up() {
    let mut relay = Relay::start();
    let _deaf: Vec<_> = (0..20)
        .map(|n| {
            let name = format!("deaf{n}");
            let socket = harness::socket::RawSocket::open(relay.address, &name);
            relay.delegate("x", &name, &"x".repeat(900 * 1024));
            socket
        })
        .collect();
    let mut half = harness::http::connect(relay.address);
    half.write_all(b"POST /delegate HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        .unwrap();
    relay.signal(Signal::SIGTERM);
    let (status, took) = relay.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}
