//! What is read here, and that the HTTP layer would have read the same.

use super::*;
use actix_codec::Decoder;
use actix_http::ServiceConfig;
use actix_http::h1::{Codec, Message, MessageType};
use bytes::BytesMut;
use proptest::prelude::*;

const POLL: &str = "GET /poll/a?wait=5&ack=b-1 HTTP/1.1\r\nHost: localhost\r\n";
const BEAT: &str = "POST /heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n";

#[test]
fn every_header_that_a_call_reads_is_known_by_its_name() {
    for name in Name::ALL {
        let header = name.header();
        assert!(kind(header.as_str()) == Some(Kind::Known(name)), "{header}");
        assert!(kind(&header.as_str().to_uppercase()) == Some(Kind::Known(name)));
    }
    for other in [
        "from",
        "accept",
        "referer",
        "user-agent",
        "x-forwarded-for",
        "",
    ] {
        assert!(kind(other).is_none(), "{other}");
    }
}

fn frequent(text: &str) -> Option<Request<'_>> {
    match read(text.as_bytes()) {
        Seen::Frequent(request) => Some(request),
        _ => None,
    }
}

fn other(text: &str) -> Option<usize> {
    match read(text.as_bytes()) {
        Seen::Other(length) => length,
        _ => panic!("it is read here: {text}"),
    }
}

#[test]
fn a_frequent_call_is_read_in_full() {
    let text = format!("{POLL}x-agent-SECRET: 00\r\n\r\nGET /");
    let poll = frequent(&text).expect("a poll");
    assert_eq!(poll.call, Frequent::Poll);
    assert_eq!((poll.path, poll.query), ("/poll/a", "wait=5&ack=b-1"));
    assert_eq!(poll.length, text.len() - 5);
    assert_eq!(poll.headers.header(Name::Host).first(), Some("localhost"));
    assert_eq!(poll.headers.header(Name::Secret), Header::Once(Some("00")));
    assert!(poll.body.is_empty() && !poll.closes);
    let text = format!("{BEAT}Connection: Close\r\n\r\n{{}}");
    let beat = frequent(&text).expect("a heartbeat");
    assert_eq!((beat.call, beat.body), (Frequent::Heartbeat, &b"{}"[..]));
    assert!(beat.closes && beat.length == text.len());
}

#[test]
fn what_is_not_there_in_full_is_left_with_its_length_where_that_is_known() {
    let head = format!("{BEAT}\r\n");
    for part in [head.clone(), head.clone() + "{"] {
        let whole = Some(head.len() + 2);
        assert!(matches!(read(part.as_bytes()), Seen::Part(length) if length == whole));
    }
    for length in 0..head.len() {
        let part = &head.as_bytes()[..length];
        assert!(matches!(read(part), Seen::Part(None)), "{length}");
    }
    let info = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(other(&format!("{info}GET /")), Some(info.len()));
    // Its body comes when it is told to go on.
    let text = format!("{BEAT}Expect: 100-continue\r\n\r\n{{}}");
    assert_eq!(other(&text), Some(text.len()));
}

#[test]
fn what_is_unusual_is_left_without() {
    for text in [
        format!("{BEAT}Transfer-Encoding: chunked\r\n\r\n{{}}"),
        format!("{BEAT}Content-Length: 2\r\n\r\n{{}}"),
        format!("{BEAT}Content-Length: 3\r\n\r\n{{}}"),
        BEAT.replace(": 2", ": +2") + "\r\n{}",
        BEAT.replace(": 2", ": 2, 2") + "\r\n{}",
        BEAT.replace(": 2", ": 99999999999999999999") + "\r\n{}",
        BEAT.replace("1.1", "1.0") + "\r\n{}",
        format!("{POLL}Upgrade: websocket\r\n\r\n"),
        format!("{POLL}Connection: upgrade\r\n\r\n"),
        format!("{POLL}Host: localhost\r\n\r\n"),
        POLL.replace("Host", "Hast") + "\r\n",
        format!("{POLL}X: {}\r\n\r\n", "X\r\nX: ".repeat(HEADERS)),
        "CONNECT localhost:80 HTTP/1.1\r\n\r\n".to_owned(),
        "GET /poll/a HTTP/1.1\nHost : a\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}".to_owned(),
    ] {
        assert_eq!(other(&text), None, "{text}");
    }
}

#[test]
fn another_target_than_a_plain_one_is_left_to_the_route_table() {
    for target in [
        "/poll/a%2Db",
        "/poll/",
        "/poll/a/b",
        "http://a/poll/a",
        "/poll/a?b#c",
        "/poll/a?\"",
        "/delegate",
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(other(&text), Some(text.len()), "{target}");
    }
    let text = "GET /poll/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(other(text), Some(text.len()));
}

/// What the HTTP layer takes for the request that stands at the beginning: method, path, query, and bytes
/// of all of it that are there; nothing where it refuses it or waits for more of its head.
fn by_the_http_layer(bytes: &[u8]) -> Option<(String, String, String, usize)> {
    let system = actix_web::rt::System::new();
    // It keeps the date in a task.
    let mut codec = system.block_on(async { Codec::new(ServiceConfig::default()) });
    let mut rest = BytesMut::from(bytes);
    let Ok(Some(Message::Item(request))) = codec.decode(&mut rest) else {
        return None;
    };
    if codec.message_type() != MessageType::None {
        while let Ok(Some(Message::Chunk(Some(_)))) = codec.decode(&mut rest) {}
    }
    let method = request.method().to_string();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let used = bytes.len() - rest.len();
    Some((method, request.path().to_owned(), query, used))
}

/// Requests, most of them with something odd.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let method = prop::sample::select(vec![
        "POST", "GET", "GET", "PUT", "HEAD", "CONNECT", "P\u{e4}",
    ]);
    let target = prop::sample::select(vec![
        "/delegate",
        "/heartbeat",
        "/poll/a",
        "/poll/a?wait=1&ack=b-1",
        "/poll/a?x=\"",
        "/poll/a#b",
        "http://h/delegate",
        "*",
        "/poll/a?a b",
        "/",
        "//delegate",
        "/delegate?",
        "/poll/%61",
    ]);
    let version = prop::sample::select(vec![
        "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1",
    ]);
    let header = prop::sample::select(vec![
        "Host: localhost",
        "content-length: 3",
        "Content-Length: 0",
        "Content-Length:  3 ",
        "Content-Length: +3",
        "Content-Length: 3, 3",
        "Content-Length: 03",
        "Content-Length: x",
        "Content-Length:",
        "Content-Length : 3",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Connection: close",
        "Connection: keep-alive",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "X-Agent-Id: a",
        " folded",
        ":",
        "X: \u{1}",
        "X: \u{e4}",
        "Idempotency-Key: k",
    ]);
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n"]);
    let body = prop::sample::select(vec![
        "",
        "{}",
        "{} ",
        "{} GET / HTTP/1.1\r\n\r\n",
        "3\r\n{} \r\n0\r\n\r\n",
    ]);
    let change = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    let host = prop::sample::select(vec![
        "Host: localhost",
        "Host: localhost",
        "Host: localhost",
        "X: y",
    ]);
    let headers = (host, prop::collection::vec(header, 0..4))
        .prop_map(|(host, others)| [vec![host], others].concat());
    (method, target, version, headers, end, body, change).prop_map(
        |(method, target, version, headers, end, body, change)| {
            let head = format!("{method} {target} {version}{end}");
            let headers = headers.into_iter().map(|header| format!("{header}{end}"));
            let mut bytes = [head, headers.collect(), end.to_owned(), body.to_owned()]
                .concat()
                .into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_are_read_beyond_what_is_there(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0..60usize,
    ) {
        for bytes in [&bytes[..], &[BEAT.as_bytes(), b"\r\n", &bytes].concat()[cut..]] {
            if let Seen::Frequent(request) = read(bytes) {
                prop_assert!(request.length <= bytes.len());
            }
        }
    }

    /// Otherwise what one takes for a body, the other might take for the next request.
    #[test]
    fn the_http_layer_would_have_read_the_same(bytes in requests()) {
        let theirs = by_the_http_layer(&bytes);
        match read(&bytes) {
            Seen::Frequent(ours) => {
                let (method, path, query, used) = theirs.expect("a request");
                let (known, _) = ours.call.entry();
                prop_assert_eq!((&*method, &*path, &*query), (known, ours.path, ours.query));
                prop_assert_eq!(used, ours.length);
            }
            Seen::Part(Some(length)) | Seen::Other(Some(length)) => {
                // What it refuses ends the connection.
                if let Some((.., used)) = theirs {
                    prop_assert_eq!(used, length.min(bytes.len()));
                }
            }
            Seen::Part(None) => prop_assert_eq!(theirs, None),
            Seen::Other(None) => {}
        }
    }
}
