//! A connection may take its time, but not for ever, and it takes nothing from the others.

use harness::http::{connect, read_reply};
use harness::socket::{RawSocket, frame, header};
use harness::{Relay, Scrape, eventually, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: usize = 1024 * 1024;

/// The head of a request, with a body of this length.
pub(crate) fn head(relay: &Relay, line: &str, length: usize) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        relay.address
    )
}

/// Asks for the relay's health on a connection that stays open.
fn ask(relay: &Relay, stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(head(relay, "GET /health", 0).as_bytes());
    asked.is_ok() && stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0)
}

/// Asks for something on a connection that stays open.
type Asks = fn(&Relay, &mut TcpStream) -> bool;

/// The same for a call that is answered without the HTTP layer.
pub(crate) fn beat(relay: &Relay, stream: &mut TcpStream) -> bool {
    let body = r#"{"agent_id":"a"}"#;
    let call = head(relay, "POST /heartbeat", body.len()) + body;
    let asked = stream.write_all(call.as_bytes());
    asked.is_ok() && stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0)
}

/// How long it takes until the relay ends a connection to which a byte is sent now and then.
fn ends_after(stream: &mut TcpStream, drip: &[u8]) -> Duration {
    let began = Instant::now();
    let pause = Duration::from_millis(100);
    stream.set_read_timeout(Some(pause)).expect("a time-out");
    eventually("the connection ends", || {
        let _ = stream.write_all(drip);
        match stream.read(&mut [0; 1024]) {
            Ok(0) => Some(()),
            Ok(_) => None,
            Err(error) => (error.kind() != std::io::ErrorKind::WouldBlock).then_some(()),
        }
    });
    began.elapsed()
}

/// The layer below watches over the first head of a connection alone.
#[test]
fn the_head_of_a_second_request_has_the_same_time_as_that_of_the_first() {
    let relay = Relay::with(&["--head-deadline", "1", "--keep-alive", "30"]);
    let mut first = connect(relay.address);
    let took = ends_after(&mut first, b"G");
    assert!(took < Duration::from_secs(6), "{took:?}");
    let calls: [(_, Asks); 2] = [
        ("GET /health HTTP/1.1\r\n", ask),
        ("POST /heartbeat HTTP/1.1\r\n", beat),
    ];
    for (line, asks) in calls {
        let mut second = connect(relay.address);
        assert!(asks(&relay, &mut second));
        // Idleness is not slowness.
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(asks(&relay, &mut second), "it was ended while it was idle");
        second.write_all(line.as_bytes()).unwrap();
        let took = ends_after(&mut second, b"X");
        let second_at_least = Duration::from_millis(900)..Duration::from_secs(6);
        assert!(second_at_least.contains(&took), "{line}: {took:?}");
    }
}

#[test]
fn an_idle_connection_ends_when_its_time_is_over() {
    let relay = Relay::with(&["--keep-alive", "1"]);
    for asks in [ask as Asks, beat] {
        let mut stream = connect(relay.address);
        assert!(asks(&relay, &mut stream));
        let took = ends_after(&mut stream, b"");
        let second_at_least = Duration::from_millis(900)..Duration::from_secs(6);
        assert!(second_at_least.contains(&took), "{took:?}");
    }
}

/// Each took a whole core: the layer below reads on, and spins when its buffer is full.
#[test]
fn requests_that_are_sent_ahead_of_their_replies_cost_nothing() {
    let relay = Relay::with(&["--log", "warn"]);
    relay.register("a");
    let many = head(&relay, "GET /health", 0).repeat(1_000);
    let mut waiting = connect(relay.address);
    let poll = head(&relay, "GET /poll/a?wait=20", 0);
    waiting.write_all(poll.as_bytes()).unwrap();
    let mut deaf = connect(relay.address);
    socket2::SockRef::from(&deaf)
        .set_recv_buffer_size(4096)
        .unwrap();
    for stream in [&mut waiting, &mut deaf] {
        let pause = Duration::from_millis(100);
        stream.set_write_timeout(Some(pause)).unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        while stream.write_all(many.as_bytes()).is_ok() && Instant::now() < until {}
    }
    eventually("it does nothing", || {
        let before = relay.cpu();
        std::thread::sleep(Duration::from_secs(1));
        (relay.cpu() - before < Duration::from_millis(100)).then_some(())
    });
    // What waits is asked for when its turn comes.
    relay.delegate("b", "a", "t");
    waiting.set_read_timeout(Some(harness::PATIENCE)).unwrap();
    let mut text = String::new();
    let mut bytes = [0; 4096];
    while text.matches("HTTP/1.1 200").count() < 100 {
        let read = waiting.read(&mut bytes).expect("a reply");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert!(text.contains("\"task\":\"t\""));
}

#[test]
fn ten_thousand_requests_in_one_write_are_all_answered_and_nobody_waits_for_it() {
    let relay = Relay::with(&["--log", "warn"]);
    let mut stream = connect(relay.address);
    let mut writer = stream.try_clone().unwrap();
    let many = head(&relay, "GET /health", 0).repeat(10_000);
    let writes = std::thread::spawn(move || writer.write_all(many.as_bytes()));
    let (mut answered, mut rest) = (0, Vec::<u8>::new());
    let mut bytes = [0; 65_536];
    let mut slowest = Duration::ZERO;
    while answered < 10_000 {
        let read = stream.read(&mut bytes).expect("replies");
        assert!(read > 0, "it ended after {answered} replies");
        rest.extend(&bytes[..read]);
        answered += rest.windows(12).filter(|w| w == b"HTTP/1.1 200").count();
        rest.drain(..rest.len().saturating_sub(11));
        if answered % 50 == 0 {
            let began = Instant::now();
            assert_eq!(relay.get("/health").status, 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    writes.join().unwrap().unwrap();
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn a_body_that_stops_or_trickles_is_not_waited_for() {
    let relay = Relay::with(&["--body-gap", "1", "--body-deadline", "2"]);
    for drip in [&b""[..], b" "] {
        let mut stream = connect(relay.address);
        stream
            .write_all(head(&relay, "POST /register", 1_000).as_bytes())
            .unwrap();
        let mut writer = stream.try_clone().unwrap();
        let began = Instant::now();
        let drips = std::thread::spawn(move || {
            for _ in 0..100 {
                if drip.is_empty() || writer.write_all(drip).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).expect("a reply");
        let reply = String::from_utf8_lossy(&bytes[..read]).into_owned();
        assert!(
            reply.starts_with("HTTP/1.1 400") && reply.contains("did not come in time"),
            "{reply}"
        );
        assert!(began.elapsed() < Duration::from_secs(6));
        drop(stream);
        drips.join().unwrap();
    }
}

#[test]
fn a_message_of_a_socket_that_does_not_end_ends_the_socket() {
    let relay = Relay::with(&["--body-deadline", "1"]);
    let half = [header(0x81, 100), b"x".to_vec()].concat();
    let fragment = frame(0x01, b"x");
    for (what, begun, drip) in [
        ("half a header", vec![0x81], vec![]),
        ("half a frame", half, b"x".to_vec()),
        ("endless fragments", fragment, frame(0x00, b"")),
    ] {
        let mut socket = RawSocket::open(relay.address, "slow");
        // Whole messages and silence are no harm.
        socket.write(&frame(0x81, br#"{"type":"heartbeat"}"#));
        std::thread::sleep(Duration::from_millis(1_200));
        socket.write(&begun);
        let mut writer = socket.0.try_clone().unwrap();
        let drips = std::thread::spawn(move || {
            for _ in 0..100 {
                if writer.write_all(&drip).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let began = Instant::now();
        assert_eq!(socket.close_code(), Some(1002), "{what}");
        let took = began.elapsed();
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(6)).contains(&took),
            "{what}: {took:?}"
        );
        drop(socket);
        drips.join().unwrap();
    }
}

/// Shares a file that no kernel takes whole for a peer that does not read.
fn share_long_file(relay: &Relay) {
    let put = json!({"file_key": "long", "content": "x".repeat(8 * MIB), "agent_id": "a"});
    assert_eq!(relay.post("/files", &put).status, 200);
}

/// A connection that has asked for it, and does not read the reply beyond its first bytes.
fn deaf(relay: &Relay) -> TcpStream {
    let mut stream = connect(relay.address);
    socket2::SockRef::from(&stream)
        .set_recv_buffer_size(4096)
        .expect("a small buffer");
    let asked = stream.write_all(head(relay, "GET /files/long", 0).as_bytes());
    asked.expect("the request is written");
    stream.read_exact(&mut [0; 64]).expect("the reply begins");
    stream
}

#[test]
fn a_reply_that_is_taken_byte_by_byte_is_given_up() {
    let relay = Relay::with(&["--body-deadline", "4", "--in-flight-bytes", "8500000"]);
    share_long_file(&relay);
    let mut stream = deaf(&relay);
    let status = || relay.get("/files/long").status;
    assert_eq!(status(), 507, "it is on its way");
    let began = Instant::now();
    eventually("it is given up", || {
        let _ = stream.read(&mut [0]);
        (status() == 200).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn what_is_on_its_way_is_bounded_and_short_calls_go_through_all_the_same() {
    let relay = Relay::with(&["--in-flight-bytes", "1000000"]);
    relay.register("a");
    relay.register("c");
    let long = json!({"from_agent": "b", "to_agent": "c", "task": "x".repeat(400_000)}).to_string();
    let mut held: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = connect(relay.address);
            let head = head(&relay, "POST /delegate", long.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&long.as_bytes()[1..]).unwrap();
            stream
        })
        .collect();
    eventually("both are on their way", || {
        let bytes = Scrape::of(&relay).value("clawlink_in_flight_bytes");
        // A little of each is not counted.
        (bytes >= 780_000.0).then_some(())
    });
    let refused = relay.post_text("/delegate", &long);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "relay_full")
    );
    assert!(
        refused.text.contains("--in-flight-bytes"),
        "{}",
        refused.text
    );
    assert_eq!(relay.delegate("b", "a", "short").status, 200);
    assert_eq!(relay.poll("a")[0]["task"], "short");
    held.clear();
    eventually("there is room again", || {
        (relay.post_text("/delegate", &long).status == 200).then_some(())
    });
}

#[test]
fn a_reply_for_which_there_is_no_room_takes_no_mail_with_it() {
    let relay = Relay::with(&["--in-flight-bytes", "8500000"]);
    share_long_file(&relay);
    relay.register("a");
    assert_eq!(relay.delegate("b", "a", &"x".repeat(500_000)).status, 200);
    let held = deaf(&relay);
    let refused = relay.get("/files/long");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "relay_full")
    );
    assert_eq!(refused.header("Cache-Control"), Some("no-store"));
    assert_eq!(relay.get("/poll/a").status, 507);
    drop(held);
    let mail = eventually("there is room again", || {
        let reply = relay.get("/poll/a");
        (reply.status == 200).then(|| reply.json())
    });
    assert_eq!(mail["count"], 1);
}

#[test]
fn a_socket_waits_for_room_and_goes_on() {
    let relay = Relay::with(&["--in-flight-bytes", "500000"]);
    relay.register("a");
    relay.register("s");
    let mut held = RawSocket::open(relay.address, "h");
    held.write(&[header(0x81, 600_000), vec![b'x'; 480_000]].concat());
    let mut socket = RawSocket::open(relay.address, "s");
    let text = json!({"type": "delegate", "to_agent": "a", "task": "x".repeat(400_000)});
    socket.write(&frame(0x81, text.to_string().as_bytes()));
    std::thread::sleep(Duration::from_millis(300));
    assert!(relay.poll("a").is_empty(), "there was room");
    assert_eq!(relay.delegate("s", "a", "short").status, 200);
    drop(held);
    eventually("it goes on", || {
        let long = |mail: &harness::Value| mail["from_agent"] == "s" && mail["task"] != "short";
        relay.poll("a").iter().any(long).then_some(())
    });
}

#[test]
fn a_connection_beyond_the_bound_is_told_so_and_finds_a_place_when_there_is_one() {
    let relay = Relay::with(&["--connections-limit", "1"]);
    let mut first = connect(relay.address);
    assert!(ask(&relay, &mut first));
    let mut second = connect(relay.address);
    second
        .write_all(head(&relay, "GET /health", 0).as_bytes())
        .unwrap();
    let refused = read_reply(&mut second);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "relay_full")
    );
    assert!(
        refused.text.contains("--connections-limit"),
        "{}",
        refused.text
    );
    let mut third = connect(relay.address);
    drop(first);
    eventually("the place is free", || {
        let free = ask(&relay, &mut third);
        if !free {
            third = connect(relay.address);
        }
        free.then_some(())
    });
}

#[test]
fn a_relay_that_may_open_few_files_says_so_and_neither_ends_nor_spins() {
    let relay = Relay::within_files(100);
    eventually("it says so", || {
        let log = relay.log();
        (log.contains("LimitNOFILE") && log.contains("asked=20000")).then_some(())
    });
    let mut held: Vec<TcpStream> = (0..200).map(|_| connect(relay.address)).collect();
    let refused = held.iter_mut().take(60).filter_map(|stream| {
        let asked = stream.write_all(head(&relay, "GET /health", 0).as_bytes());
        let mut bytes = [0; 1024];
        let read = asked.and_then(|()| stream.read(&mut bytes)).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
        text.starts_with("HTTP/1.1 507").then_some(())
    });
    let refused = refused.count();
    assert!((5..40).contains(&refused), "{refused} of 60 were refused");
    let before = relay.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let used = relay.cpu() - before;
    assert!(used < Duration::from_millis(200), "{used:?} in a second");
    drop(held);
    assert_eq!(relay.get("/health").status, 200);
    assert!(
        !relay.log().contains("Too many open files"),
        "{}",
        relay.log()
    );
}
