//! Files near the limit: exact to the last byte, and not copied more often than they must be.

use harness::http::{connect, read_reply};
use harness::{Relay, Reply, Value, json};
use std::io::Write;

/// The largest file unless options say otherwise.
const LIMIT: usize = 8 << 20;
/// The relay hands a file down in pieces of so many bytes.
const PIECE: usize = 48 * 1024;
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn call(content: &str) -> Value {
    json!({"file_key": "k", "agent_id": "a", "content": content})
}

fn put(relay: &Relay, content: &str) -> Reply {
    relay.post("/files", &call(content))
}

fn content(relay: &Relay) -> Value {
    let reply = relay.get("/files/k");
    let length = reply.header("Content-Length").map(str::parse);
    assert_eq!(length, Some(Ok(reply.text.len())), "{}", reply.head);
    reply.json()["content"].take()
}

/// All of a text that is written into JSON otherwise than it is, or that somebody might take for
/// something else.
fn odd() -> String {
    let ascii: String = (0..=0x7f_u8).map(char::from).collect();
    ascii + "\"\\/\u{80}\u{9b}ä\u{2028}\u{2029}\u{d7ff}\u{feff}\u{ffff}\u{1f99e}\u{10ffff}\r\n\r"
}

#[test]
fn a_text_is_exact_to_the_last_byte_wherever_the_reply_is_cut() {
    let relay = Relay::start();
    let odd = odd();
    for before in [0, PIECE - odd.len() / 2, PIECE - 1, PIECE, 2 * PIECE - 3] {
        for after in [0, 1, PIECE] {
            let text = "x".repeat(before) + &odd + &"\n".repeat(after);
            assert_eq!(put(&relay, &text).status, 200);
            assert!(content(&relay) == *text, "{before} before, {after} after");
        }
    }
}

#[test]
fn a_text_may_be_escaped_in_the_request_in_any_way() {
    let relay = Relay::start();
    let odd = odd();
    let units = odd.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
    let escaped: String = units.collect();
    let send = |json: &str| {
        let body = format!(r#" {{"content" : "{json}","agent_id":"a","file_key":"k"}} "#);
        relay.post_text("/files", &body)
    };
    for json in [
        &escaped,
        &escaped.repeat(500),
        r#"\b\f\n\r\t\/\"\\"#,
        r"\ud83e\uDD9E\u2028",
        "",
    ] {
        assert_eq!(send(json).status, 200);
        let wanted: Value = serde_json::from_str(&format!("\"{json}\"")).expect("JSON");
        assert!(content(&relay) == wanted, "{}", &json[..json.len().min(60)]);
    }
    let bytes =
        r#"{"content":"\u0051\/8\u003d","encoding":"base64","agent_id":"a","file_key":"k"}"#;
    assert_eq!(relay.post_text("/files", bytes).status, 200);
    assert_eq!(content(&relay), "Q/8=");
    for json in [r"\ud83e", r"x\udd9e", r"\ud83e\n", r"\ud83e\u0041"] {
        let refused = send(json);
        assert_eq!(
            (refused.status, refused.code()),
            (400, "bad_request".into())
        );
        assert!(refused.text.contains("surrogate"), "{}", refused.text);
    }
    assert_eq!(content(&relay), "Q/8=");
}

#[test]
fn a_file_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let relay = Relay::start();
    let text = "x".repeat(LIMIT - 3) + "ä\n";
    assert_eq!(text.len(), LIMIT);
    assert_eq!(put(&relay, &text).status, 200);
    assert!(content(&relay) == *text);
    let refused = put(&relay, &(text.clone() + "x"));
    assert_eq!((refused.status, refused.code()), (413, "too_large".into()));
    assert!(content(&relay) == *text);
    assert_eq!(put(&relay, "").status, 200);
    assert_eq!(content(&relay), "");
}

#[test]
fn a_request_may_come_in_chunks_without_its_length() {
    let relay = Relay::with(&["--file-limit", "100000"]);
    let send = |text: &str| {
        let body = call(text).to_string();
        let mut stream = connect(relay.address);
        let head = format!(
            "POST /files HTTP/1.1\r\nHost: {}\r\n{}: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            relay.address, JSON.0, JSON.1
        );
        let mut sent = stream.write_all(head.as_bytes());
        for chunk in body.as_bytes().chunks(10_007) {
            let size = format!("{:x}\r\n", chunk.len());
            sent =
                sent.and_then(|()| stream.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()));
        }
        // A relay that has said no may close before it has read everything.
        let _ = sent.and_then(|()| stream.write_all(b"0\r\n\r\n"));
        read_reply(&mut stream)
    };
    let text = "line\n".repeat(20_000);
    assert_eq!(send(&text).status, 200);
    assert!(content(&relay) == *text);
    assert_eq!(send(&(text.clone() + "x")).code(), "too_large");
    // Longer than any request for a file: refused while it comes.
    assert_eq!(send(&text.repeat(8)).code(), "too_large");
    assert!(content(&relay) == *text);
}

#[test]
fn a_head_tells_the_length_of_what_it_does_not_send() {
    let relay = Relay::start();
    put(&relay, &("\"\n".repeat(PIECE)));
    let whole = relay.get("/files/k");
    let head = relay.request("HEAD", "/files/k", &[], b"");
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in ["Content-Length", "Content-Type", "ETag", "Cache-Control"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    assert_eq!(
        whole.header("Content-Length"),
        Some(&*whole.text.len().to_string())
    );
    assert_eq!(whole.header("Content-Type"), Some("application/json"));
}

/// Linux tells the most that a process ever held, and forgets it when asked to.
#[cfg(target_os = "linux")]
#[test]
fn a_file_of_8_mib_takes_the_relay_at_most_twice_its_size() {
    let text = "a line of a text, and \"quotes\"\n".repeat(LIMIT / 31);
    let escaped = text.replace('\n', "\\n").replace('"', "\\\"");
    let plain = "a line of a text without any escape ".repeat(LIMIT / 36);
    let bytes = "QUJD".repeat(LIMIT / 3);
    for (what, content, encoding) in [
        ("text without escapes", &plain, None),
        ("text with escapes", &escaped, None),
        ("bytes", &bytes, Some("base64")),
    ] {
        let relay = Relay::start();
        // What each of its threads takes when it is first asked for something is not the file's.
        for _ in 0..20 {
            relay.get("/files/k");
            let small =
                r#"{"file_key":"small","agent_id":"a","encoding":"base64","content":"eA=="}"#;
            assert_eq!(relay.post_text("/files", small).status, 200);
        }
        let idle = relay.rss_kib();
        relay.forget_peak();
        let encoding = encoding.map_or(String::new(), |name| format!(r#","encoding":"{name}""#));
        let body = format!(r#"{{"file_key":"k","agent_id":"a"{encoding},"content":"{content}"}}"#);
        assert_eq!(relay.post_text("/files", &body).status, 200, "{what}");
        let size = LIMIT as u64 / 1024;
        // The allocator gives back what is free after a while, when it is asked for something.
        harness::eventually("what was taken besides is given back", || {
            relay.get("/health");
            let kept = relay.rss_kib().saturating_sub(idle);
            (kept <= size + size / 2).then_some(kept)
        });
        assert_eq!(relay.get("/files/k").status, 200, "{what}");
        let peak = relay.peak_kib() - idle;
        assert!(peak <= 2 * size, "{what}: {peak} KiB");
    }
}
