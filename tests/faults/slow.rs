//! Peers that take their time, while a bystander measures what others get.

use crate::{Outcome, Scale, outcome};
use harness::Relay;
use harness::http::connect;
use harness::socket::{frame, header};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Below this a p99 is noise: a busy machine's scheduler alone makes as much.
const NOISE: Duration = Duration::from_millis(20);
/// How long the bystander measures in quiet.
const QUIET: Duration = Duration::from_secs(1);
/// A deadline that makes the faults short.
const DEADLINE: Duration = Duration::from_secs(2);

fn relay() -> Relay {
    let seconds = DEADLINE.as_secs().to_string();
    Relay::with(&[
        "--log",
        "warn",
        "--head-deadline",
        &seconds,
        "--keep-alive",
        &seconds,
        "--body-gap",
        &seconds,
        "--body-deadline",
        &seconds,
    ])
}

/// The p99 of a delegation and a poll on one kept connection, for as long as `going` says.
fn p99(address: SocketAddr, going: impl Fn() -> bool) -> Duration {
    let body = r#"{"from_agent":"b","to_agent":"a","task":"t"}"#;
    let delegate = format!(
        "POST /delegate HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let poll = format!("GET /poll/a HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut stream = connect(address);
    let mut took = Vec::new();
    while going() {
        for call in [&delegate, &poll] {
            let began = Instant::now();
            stream.write_all(call.as_bytes()).expect("the relay reads");
            let read = stream.read(&mut [0; 4096]).expect("the relay answers");
            assert!(read > 0, "the bystander's connection was ended");
            took.push(began.elapsed());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// What came of many slow peers.
struct Dripped {
    /// Of the bystander meanwhile.
    p99: Duration,
    took: Duration,
    /// Peers that were not ended.
    left: usize,
}

/// Many peers of a relay that begin with `first` and then send `drip` every 200 ms, until all have
/// been ended or answered, or it has taken too long. Somebody meanwhile asks a relay.
fn drip_on(
    relay: &Relay,
    asked: SocketAddr,
    peers: usize,
    first: &impl Fn(&mut TcpStream),
    drip: &[u8],
) -> Dripped {
    let over = Arc::new(AtomicBool::new(false));
    let ends = over.clone();
    let bystander = std::thread::spawn(move || p99(asked, || !ends.load(Ordering::SeqCst)));
    let began = Instant::now();
    let mut held: Vec<TcpStream> = (0..peers)
        .map(|_| {
            let mut stream = connect(relay.address);
            first(&mut stream);
            stream.set_nonblocking(true).expect("a stream");
            stream
        })
        .collect();
    let patience = DEADLINE * 5 + Duration::from_secs(10);
    while !held.is_empty() && began.elapsed() < patience {
        held.retain_mut(|stream| {
            let _ = stream.write(drip);
            match stream.read(&mut [0; 65_536]) {
                Ok(read) => read > 0,
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
        std::thread::sleep(Duration::from_millis(200));
    }
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    Dripped {
        p99: bystander.join().expect("the bystander is served"),
        took,
        left: held.len(),
    }
}

/// All slow peers must be ended in time, and whoever asks the same relay must be served as if they
/// were another's: they and those who are asked share the machine, so that is what they are measured
/// against.
fn dripping(peers: usize, first: impl Fn(&mut TcpStream), drip: &[u8]) -> Outcome {
    let (relay, other) = (relay(), self::relay());
    relay.register("a");
    let quiet = Instant::now();
    let alone = p99(relay.address, || quiet.elapsed() < QUIET);
    let elsewhere = drip_on(&other, relay.address, peers, &first, drip);
    let here = drip_on(&relay, relay.address, peers, &first, drip);
    let good = here.left == 0 && here.p99 <= (elsewhere.p99 * 2).max(NOISE);
    let millis = |time: Duration| time.as_secs_f32() * 1e3;
    outcome(
        good,
        format!(
            "{peers} peers, {} left after {:.1} s; p99 of others {:.1} ms in quiet, {:.1} beside them, {:.1} among them",
            here.left,
            here.took.as_secs_f32(),
            millis(alone),
            millis(elsewhere.p99),
            millis(here.p99),
        ),
    )
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the relay takes it");
}

/// Heads that never end.
pub(crate) fn heads(scale: Scale) -> Outcome {
    let first = |stream: &mut TcpStream| say(stream, b"GET / HTTP/1.1\r\nX: ");
    dripping(scale.peers, first, b"x")
}

/// The same after a request that was answered.
pub(crate) fn second_heads(scale: Scale) -> Outcome {
    let first = |stream: &mut TcpStream| {
        say(stream, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        let read = stream.read(&mut [0; 1024]).expect("an answer");
        assert!(read > 0, "no answer");
        say(stream, b"GET / HTTP/1.1\r\nX: ");
    };
    dripping(scale.peers, first, b"x")
}

/// Bodies that never end.
pub(crate) fn bodies(scale: Scale) -> Outcome {
    let first = |stream: &mut TcpStream| {
        say(
            stream,
            b"POST /register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n{",
        );
    };
    dripping(scale.peers, first, b" ")
}

/// Upgrades that never end.
pub(crate) fn handshakes(scale: Scale) -> Outcome {
    let first = |stream: &mut TcpStream| {
        say(stream, b"GET /ws/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ");
    };
    dripping(scale.peers, first, b"x")
}

fn upgrade(stream: &mut TcpStream, id: &str) {
    let head = format!(
        "GET /ws/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    say(stream, head.as_bytes());
}

/// Sockets whose one message never ends: half of them in fragments, half in one frame.
pub(crate) fn frames(scale: Scale) -> Outcome {
    let count = std::cell::Cell::new(0);
    let first = |stream: &mut TcpStream| {
        let n = count.replace(count.get() + 1);
        upgrade(stream, &format!("slow{n}"));
        let begun = match n % 2 {
            0 => frame(0x01, b"x"),
            _ => header(0x81, 100_000),
        };
        say(stream, &begun);
    };
    // A fragment to the one, a part of the frame to the other.
    dripping(scale.peers / 2, first, &frame(0x00, b""))
}

/// Requests behind a poll that waits, more than any buffer holds.
pub(crate) fn ahead(_: Scale) -> Outcome {
    let relay = Relay::with(&["--log", "warn"]);
    let health = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", relay.address);
    let mut held: Vec<TcpStream> = (0..20).map(|_| connect(relay.address)).collect();
    for (n, stream) in held.iter_mut().enumerate() {
        relay.register(&format!("a{n}"));
        say(
            stream,
            format!(
                "GET /poll/a{n}?wait=30 HTTP/1.1\r\nHost: {}\r\n\r\n",
                relay.address
            )
            .as_bytes(),
        );
        stream
            .set_write_timeout(Some(Duration::from_millis(50)))
            .expect("a stream");
        let _ = stream.write_all(health.repeat(10_000).as_bytes());
    }
    let (before, rss) = (relay.cpu(), relay.rss_kib());
    std::thread::sleep(Duration::from_secs(1));
    let used = relay.cpu() - before;
    outcome(
        used < Duration::from_millis(100),
        format!(
            "{used:?} of processor time a second, {} MB of memory",
            rss / 1024
        ),
    )
}
