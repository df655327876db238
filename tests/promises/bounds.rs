//! Everything has a bound, and meeting it is told.

use harness::{Relay, Scrape, eventually, json};

#[test]
fn a_body_over_its_bound_is_413_with_a_length_and_without() {
    let relay = Relay::with(&["--body-limit", "2048"]);
    relay.register("a");
    assert_eq!(relay.delegate("b", "a", &"x".repeat(1900)).status, 200);
    let reply = relay.delegate("b", "a", &"x".repeat(2048));
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    assert!(reply.text.contains("2048"), "{}", reply.text);
    let chunk = format!("{:x}\r\n{}\r\n", 1500, "x".repeat(1500));
    let chunked = [
        ("Transfer-Encoding", "chunked"),
        ("Content-Type", "application/json"),
    ];
    let mut stream = harness::http::connect(relay.address);
    let headers: String = chunked
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "POST /delegate HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
        relay.address
    );
    use std::io::Write;
    stream
        .write_all(format!("{head}{chunk}{chunk}").as_bytes())
        .unwrap();
    assert_eq!(harness::http::read_reply(&mut stream).status, 413);
    assert_eq!(relay.poll("a").len(), 1);
}

#[test]
fn a_file_is_bounded_by_its_decoded_length_and_all_files_together() {
    let relay = Relay::with(&["--file-limit", "2048", "--files-limit", "5000"]);
    let put = |key: &str, content: &str| {
        relay.post(
            "/files",
            &json!({"file_key": key, "content": content, "agent_id": "a"}),
        )
    };
    assert_eq!(
        put("control", &"\u{1}".repeat(2048)).status,
        200,
        "six bytes each on the wire"
    );
    let reply = put("long", &"x".repeat(2049));
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
    assert_eq!(put("two", &"x".repeat(2048)).status, 200);
    let reply = put("three", &"x".repeat(1000));
    assert_eq!((reply.status, reply.code().as_str()), (507, "relay_full"));
    assert_eq!(put("two", "").status, 200);
    assert_eq!(
        put("three", &"x".repeat(1000)).status,
        200,
        "a shorter version made room"
    );
}

#[test]
fn a_full_inbox_refuses_mail_and_lets_notices_give_way() {
    let relay = Relay::with(&["--inbox-limit", "4"]);
    relay.register("a");
    for n in 0..4 {
        assert_eq!(relay.delegate("b", "a", &n.to_string()).status, 200);
    }
    let reply = relay.delegate("b", "a", "one too many");
    assert_eq!((reply.status, reply.code().as_str()), (429, "inbox_full"));
    assert!(
        reply
            .header("Retry-After")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
    );
    let call = json!({"from_agent": "b", "to_agent": "a", "message_id": "m", "result": 1});
    assert_eq!(relay.post("/respond", &call).status, 429);
    for n in 0..5 {
        let call = json!({"from_agent": "b", "content": n});
        assert_eq!(relay.post("/broadcast", &call).status, 200, "never refused");
    }
    let polled = relay.get("/poll/a").json();
    assert_eq!(
        (&polled["count"], &polled["missed"]),
        (&json!(6), &json!(3))
    );
    let contents: Vec<_> = polled["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|m| m["content"].as_i64())
        .collect();
    assert_eq!(contents, [3, 4], "the newest stayed");
    assert_eq!(relay.delegate("b", "a", "room again").status, 200);
    assert!(
        relay.get("/poll/a").json().get("missed").is_none(),
        "told once"
    );
}

#[test]
fn an_inbox_is_bounded_in_bytes_and_one_message_always_fits() {
    let relay = Relay::with(&["--inbox-bytes", "4096"]);
    relay.register("a");
    assert_eq!(relay.delegate("b", "a", &"x".repeat(10_000)).status, 200);
    assert_eq!(relay.delegate("b", "a", "small").status, 429);
    assert_eq!(relay.poll("a").len(), 1);
    assert_eq!(relay.delegate("b", "a", "small").status, 200);
}

#[test]
fn what_an_agent_says_of_itself_is_bounded() {
    let relay = Relay::with(&["--agents-limit", "2"]);
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for body in [
        json!({"name": "x".repeat(129)}),
        json!({"name": "a\u{202e}b"}),
        json!({"capabilities": many}),
        json!({"capabilities": [""]}),
        json!({"capabilities": vec!["x".repeat(100); 41]}),
        json!({"name": "j\u{200b}"}),
        json!({"agent_id": ".."}),
        json!({"machine": "x".repeat(257)}),
        json!({"description": "x".repeat(4097)}),
        json!({"agent_id": "x".repeat(65)}),
        json!({"agent_id": "ä"}),
    ] {
        let reply = relay.post("/register", &body);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{body}"
        );
    }
    relay.register("a");
    relay.register("b");
    let reply = relay.post("/register", &json!({"agent_id": "c"}));
    assert_eq!((reply.status, reply.code().as_str()), (507, "relay_full"));
    assert!(harness::socket::Socket::try_open(relay.address, "/ws/c").is_err());
    relay.register("b");
}

#[test]
fn an_error_names_the_field_and_the_call_that_is_meant() {
    let relay = Relay::start();
    let reply = relay.post("/register", &json!({"capabilities": ["ok", "a\nb"]}));
    assert!(
        reply.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("capabilities[1]: must be"),
        "{}",
        reply.text
    );
    let reply = relay.request("DELETE", "/register", &[], b"");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (405, "method_not_allowed")
    );
    let reply = relay.get("/registr");
    assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "Text/Plain;charset=utf-8",
    ] {
        let reply = relay.request("POST", "/register", &[("Content-Type", kind)], b"{}");
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (415, "unsupported_media_type"),
            "{kind}"
        );
    }
    assert_eq!(
        relay.request("POST", "/register", &[], b"{}").status,
        200,
        "none at all is fine"
    );
    let packed = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    let reply = relay.request("POST", "/register", &packed, b"\x1f\x8b");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (415, "unsupported_media_type")
    );
    assert_eq!(relay.get("/").header("Cache-Control"), Some("no-store"));
    assert_eq!(relay.get("/none").header("Cache-Control"), Some("no-store"));
}

/// A recipient that never polls, and a sender that never stops.
#[test]
fn what_nobody_fetches_takes_no_more_memory_than_all_inboxes_may() {
    const BUDGET: u64 = 16 << 20;
    let budget = BUDGET.to_string();
    let options = [
        "--inboxes-bytes",
        &budget,
        "--inbox-bytes",
        "1000000000",
        "--inbox-limit",
        "1000000",
    ];
    let relay = Relay::with(&[&options[..], &["--log", "warn"]].concat());
    for agent in ["a", "b", "c"] {
        relay.register(agent);
    }
    let before = relay.rss_kib();
    let text = "x".repeat(10_000);
    let mut refused = 0;
    for n in 0..2_500 {
        let to = ["a", "b", "c"][n % 3];
        let sent = relay.delegate("s", to, &text);
        match sent.status {
            200 => assert_eq!(refused, 0, "there is no room by itself"),
            507 => refused += 1,
            status => panic!("{status}: {}", sent.text),
        }
    }
    assert!((500..1_500).contains(&refused), "{refused}");
    let grown = (relay.rss_kib() - before) * 1024;
    // Beside the messages there is what every connection and every allocator needs.
    assert!(grown < BUDGET * 3 / 2 + (16 << 20), "{grown}");
    for agent in ["a", "b", "c"] {
        relay.poll(agent);
        relay.poll(agent);
    }
    assert_eq!(relay.delegate("s", "a", &text).status, 200);
}

#[test]
fn ten_thousand_names_that_nobody_registered_leave_nothing_behind() {
    let relay = Relay::with(&["--log", "warn"]);
    relay.register("a");
    relay.delegate("s", "nobody", "t");
    let before = relay.rss_kib();
    for n in 0..10_000 {
        let sent = relay.delegate(&format!("s{n}"), &format!("nobody-{n}"), "t");
        assert_eq!((sent.status, sent.code()), (404, "unknown_agent".into()));
    }
    let grown = relay.rss_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    assert_eq!(relay.get("/discover?all=1").json()["count"], 1);
}

#[test]
fn of_more_polls_than_may_wait_the_oldest_makes_room() {
    let relay = Relay::with(&["--polls-limit", "2"]);
    relay.register("a");
    let waits = || Scrape::of(&relay).value("clawlink_polls_waiting");
    std::thread::scope(|scope| {
        let poll = || relay.get("/poll/a?wait=20").json()["count"].clone();
        let first = scope.spawn(poll);
        eventually("the first waits", || (waits() >= 1.0).then_some(()));
        let second = scope.spawn(poll);
        eventually("the second waits", || (waits() >= 2.0).then_some(()));
        let third = scope.spawn(poll);
        // The oldest has made room, and is answered without mail.
        assert_eq!(first.join().expect("an answer"), 0);
        for (task, waiting) in [("one", second), ("two", third)] {
            relay.delegate("s", "a", task);
            assert_eq!(waiting.join().expect("an answer"), 1);
        }
    });
}
