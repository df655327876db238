//! What no client of good will sends.

use crate::{Outcome, Scale, outcome};
use harness::http::{connect, read_reply};
use harness::socket::{RawSocket, frame, header};
use harness::{Relay, eventually};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

fn relay(options: &[&str]) -> Relay {
    Relay::with(&[options, &["--log", "warn"]].concat())
}

fn grown(relay: &Relay, before: u64) -> u64 {
    relay.rss_kib().saturating_sub(before) / 1024
}

/// Writes until the relay has enough; how much it took, and by how much its memory grew.
fn flood(relay: &Relay, socket: &mut RawSocket, bytes: &[u8], time: Duration) -> (usize, u64) {
    let mut answers = socket.0.try_clone().expect("the same connection");
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while answers.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
    let (before, until) = (relay.rss_kib(), Instant::now() + time);
    let (mut taken, mut most) = (0, 0);
    while Instant::now() < until && socket.write(bytes) {
        taken += bytes.len();
        most = most.max(grown(relay, before));
    }
    let _ = socket.0.shutdown(std::net::Shutdown::Both);
    reader.join().expect("it ends");
    (taken, most)
}

/// A frame that says it has 1 GiB, and goes on to.
pub(crate) fn giant_frame(_: Scale) -> Outcome {
    let relay = relay(&[]);
    let mut socket = RawSocket::open(relay.address, "a");
    socket.write(&header(0x81, 1 << 30));
    let (taken, most) = flood(
        &relay,
        &mut socket,
        &vec![b'x'; MIB],
        Duration::from_secs(5),
    );
    let mut again = RawSocket::open(relay.address, "a");
    again.write(&header(0x81, 1 << 30));
    let code = again.close_code();
    let good = code == Some(1009) && most < 16;
    outcome(
        good,
        format!(
            "closed with {code:?} after {} MB, memory +{most} MB",
            taken / MIB
        ),
    )
}

/// Fragments without an end, each of nothing.
pub(crate) fn endless_fragments(_: Scale) -> Outcome {
    let relay = relay(&["--body-deadline", "2"]);
    let mut socket = RawSocket::open(relay.address, "a");
    socket.write(&frame(0x01, b"x"));
    let drip = frame(0x00, b"").repeat(10_000);
    let began = Instant::now();
    let (taken, most) = flood(&relay, &mut socket, &drip, Duration::from_secs(15));
    let took = began.elapsed();
    let good = took < Duration::from_secs(12) && most < 16;
    outcome(
        good,
        format!(
            "ended after {took:.1?} and {} MB, memory +{most} MB",
            taken / MIB
        ),
    )
}

/// A frame without a mask.
pub(crate) fn unmasked_frame(_: Scale) -> Outcome {
    let relay = relay(&[]);
    let mut socket = RawSocket::open(relay.address, "a");
    let before = relay.cpu();
    socket.write(&[0x81, 0x01, b'x']);
    let code = socket.close_code();
    let used = relay.cpu() - before;
    let good = code == Some(1002) && used < Duration::from_millis(100);
    outcome(
        good,
        format!("closed with {code:?}, {used:?} of processor time"),
    )
}

/// Pings as fast as they can be written.
pub(crate) fn pings(_: Scale) -> Outcome {
    let relay = relay(&[]);
    let mut socket = RawSocket::open(relay.address, "a");
    let pings = frame(0x89, b"x").repeat(10_000);
    let (taken, most) = flood(&relay, &mut socket, &pings, Duration::from_secs(3));
    let healthy = relay.get("/health").status == 200;
    outcome(
        healthy && most < 16,
        format!("{} MB of pings in 3 s, memory +{most} MB", taken / MIB),
    )
}

fn body_of_100_mb(framing: &str, part: impl Fn(&[u8]) -> Vec<u8>) -> Outcome {
    let relay = relay(&[]);
    relay.register("a");
    let before = relay.rss_kib();
    let mut stream = connect(relay.address);
    let head = format!(
        "POST /delegate HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n",
        relay.address
    );
    stream.write_all(head.as_bytes()).expect("the head is read");
    let (part, mut taken) = (part(&vec![b' '; MIB]), 0);
    let mut most = 0;
    while taken < 100 && stream.write_all(&part).is_ok() {
        taken += 1;
        most = most.max(grown(&relay, before));
    }
    // The answer may be lost with the connection; on a connection of little it is not.
    let mut stream = connect(relay.address);
    let _ = stream.write_all(head.as_bytes());
    let _ = stream
        .write_all(&part)
        .and_then(|()| stream.write_all(&part[..MIB / 2]));
    let status = read_reply(&mut stream).status;
    let good = status == 413 && most < 16;
    outcome(
        good,
        format!("{status} after {taken} MB at most, memory +{most} MB"),
    )
}

/// A body that says it has 100 MB.
pub(crate) fn long_body(_: Scale) -> Outcome {
    body_of_100_mb("Content-Length: 104857600", <[u8]>::to_vec)
}

/// One that does not say.
pub(crate) fn endless_body(_: Scale) -> Outcome {
    body_of_100_mb("Transfer-Encoding: chunked", |part| {
        let size = format!("{:x}\r\n", part.len());
        [size.as_bytes(), part, b"\r\n"].concat()
    })
}

/// Bodies at the edge of JSON, and beyond.
pub(crate) fn odd_json(_: Scale) -> Outcome {
    let relay = relay(&[]);
    relay.register("a");
    let before = relay.rss_kib();
    let task = |value: &str| format!(r#"{{"from_agent":"b","to_agent":"a","task":{value}}}"#);
    let digits = "9".repeat(30);
    let deep = format!("{}1{}", "[".repeat(500_000), "]".repeat(500_000));
    let bodies = [
        ("deep", task(&deep), 400),
        ("deep objects", task(&r#"{"a":"#.repeat(100_000)), 400),
        (
            "a key twice",
            r#"{"from_agent":"b","to_agent":"a","task":1,"task":2}"#.to_owned(),
            400,
        ),
        ("half a surrogate", task(r#""\ud800""#), 400),
        ("half a surrogate behind", task(r#""\udc00x""#), 400),
        ("NUL", task("\"\0\""), 400),
        (
            "NUL in an id",
            r#"{"from_agent":"b\u0000","to_agent":"a","task":1}"#.to_owned(),
            400,
        ),
        (
            "30 digits for seconds",
            format!(r#"{{"from_agent":"b","to_agent":"a","task":1,"ttl":{digits}}}"#),
            400,
        ),
        ("30 digits as a task", task(&digits), 200),
        ("a number without end", task("1e999999"), 400),
        ("an array", "[1]".to_owned(), 400),
    ];
    let wrong: Vec<String> = bodies
        .iter()
        .filter_map(|(what, body, wanted)| {
            let status = relay.post_text("/delegate", body).status;
            (status != *wanted).then(|| format!("{what}: {status}"))
        })
        .collect();
    let kept = relay.poll("a");
    let whole = kept.iter().all(|mail| mail["task"].is_number());
    let most = grown(&relay, before);
    let good = wrong.is_empty() && whole && kept.len() == 1 && most < 32;
    outcome(
        good,
        format!(
            "{} bodies, otherwise than told: {wrong:?}; memory +{most} MB",
            bodies.len()
        ),
    )
}

/// Bodies of 1 MiB without their last byte.
pub(crate) fn held_bodies(scale: Scale) -> Outcome {
    let relay = relay(&["--in-flight-bytes", "33554432", "--body-gap", "3"]);
    relay.register("a");
    let before = relay.rss_kib();
    let peers = scale.peers.min(500);
    let body = vec![b' '; MIB - 1];
    let mut held = Vec::new();
    for _ in 0..peers {
        let mut stream = connect(relay.address);
        let head = format!(
            "POST /delegate HTTP/1.1\r\nHost: {}\r\nContent-Length: {MIB}\r\n\r\n",
            relay.address
        );
        // Where there is no room it is refused in the middle.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&body));
        held.push(stream);
    }
    let short = relay.delegate("b", "a", "short").status;
    let most = grown(&relay, before);
    drop(held);
    let long = "x".repeat(MIB / 2);
    eventually("there is room again", || {
        (relay.delegate("b", "a", &long).status == 200).then_some(())
    });
    // The 32 MiB, and 192 KiB for each connection: what it has read ahead, and what its body's room
    // grew out of and the allocator has not given back yet.
    let good = short == 200 && most < 32 + peers as u64 * 192 / 1024;
    outcome(
        good,
        format!("{peers} of them where 32 MiB may be: memory +{most} MB, a short call {short}"),
    )
}
