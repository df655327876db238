//! `GET /metrics` counts what happens, where it happens.

use harness::{Relay, Scrape, Value, eventually, json};
use std::thread;

/// What one step adds to a metric.
fn added(relay: &Relay, metric: &str, step: impl FnOnce()) -> f64 {
    let before = Scrape::of(relay).value(metric);
    step();
    Scrape::of(relay).value(metric) - before
}

/// Waits until a metric has come to this.
fn comes_to(relay: &Relay, metric: &str, wanted: f64) {
    eventually(&format!("{metric} is {wanted}"), || {
        (Scrape::of(relay).value(metric) == wanted).then_some(())
    });
}

#[test]
fn the_page_is_what_prometheus_reads_and_takes_nothing_away() {
    let relay = Relay::start();
    relay.register("a");
    relay.delegate("b", "a", "t");
    let reply = relay.get("/metrics");
    let kind = reply.header("Content-Type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    let scrape = Scrape::read(&reply.text);
    assert!(scrape.families.len() > 40, "{}", scrape.families.len());
    assert_eq!(relay.request("HEAD", "/metrics", &[], b"").status, 200);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        scrape.value(&format!("clawlink_build_info{{version=\"{version}\"}}")),
        1.0
    );
    assert_eq!(relay.poll("a").len(), 1);
    let foreign = [("Origin", "http://page.example")];
    assert_eq!(relay.request("GET", "/metrics", &foreign, b"").status, 403);
}

#[test]
fn a_request_is_counted_under_its_call_and_never_under_its_path() {
    let relay = Relay::start();
    relay.register("a");
    let series = Scrape::of(&relay).len();
    for n in 0..20 {
        relay.get(&format!("/poll/agent{n}"));
        relay.get(&format!("/nothing/{n}"));
        relay.request("PATCH", &format!("/files/{n}/{n}"), &[], b"");
        relay.get(&format!("/files/{n}/{n}"));
    }
    relay.request("HEAD", "/discover", &[], b"");
    let foreign = [("Origin", "http://page.example")];
    relay.request("GET", "/discover", &foreign, b"");
    let scrape = Scrape::of(&relay);
    assert_eq!(scrape.len(), series);
    for (labels, wanted) in [
        (
            r#"method="GET",route="/poll/{agent_id}",status="2xx""#,
            20.0,
        ),
        (
            r#"method="GET",route="/files/{file_key}",status="4xx""#,
            20.0,
        ),
        (r#"method="POST",route="/register",status="2xx""#, 1.0),
        (r#"method="GET",route="/discover",status="2xx""#, 1.0),
        // No such path, no such method, and refused before it was looked for.
        (r#"route="-",status="4xx""#, 41.0),
        (r#"status="5xx""#, 0.0),
    ] {
        assert_eq!(
            scrape.value(&format!("clawlink_requests_total{{{labels}}}")),
            wanted,
            "{labels}"
        );
    }
    let took = r#"clawlink_request_duration_seconds_count{route="/poll/{agent_id}"}"#;
    assert_eq!(scrape.value(took), 20.0);
    let code = |code: &str| scrape.value(&format!("clawlink_refusals_total{{code=\"{code}\"}}"));
    assert_eq!(
        (
            code("not_found"),
            code("method_not_allowed"),
            code("forbidden")
        ),
        (40.0, 20.0, 1.0)
    );
}

#[test]
fn a_refusal_is_counted_by_its_code_also_where_a_socket_asked() {
    let relay = Relay::with(&["--inbox-limit", "2"]);
    relay.register("a");
    for task in ["1", "2", "3"] {
        relay.delegate("b", "a", task);
    }
    let full = r#"clawlink_refusals_total{code="inbox_full"}"#;
    assert_eq!(Scrape::of(&relay).value(full), 1.0);
    let mut socket = relay.socket("c");
    for reference in [None, Some(1)] {
        socket.send(&json!({"type": "delegate", "to_agent": "a", "task": "t", "ref": reference}));
        let answer = socket.frame();
        assert_eq!(answer["code"], "inbox_full", "{answer}");
    }
    assert_eq!(Scrape::of(&relay).value(full), 3.0);
    relay.post_text("/register", "{");
    let bad = r#"clawlink_refusals_total{code="bad_request"}"#;
    assert_eq!(Scrape::of(&relay).value(bad), 1.0);
}

#[test]
fn deliveries_receipts_and_what_comes_again_are_counted() {
    let relay = Relay::start();
    relay.register("a");
    relay.delegate("b", "a", "1");
    relay.post("/broadcast", &json!({"from_agent": "b", "content": "c"}));
    relay.get("/poll/a?peek=1");
    let delivered = |way: &str, kind: &str| {
        format!("clawlink_deliveries_total{{way=\"{way}\",kind=\"{kind}\"}}")
    };
    let scrape = Scrape::of(&relay);
    assert_eq!(
        scrape.value("clawlink_deliveries_total"),
        0.0,
        "a look is no delivery"
    );
    let leased = relay.get("/poll/a?lease=600").json();
    let receipt = |n: usize| leased["messages"][n]["delivery"]["receipt"].clone();
    let ack = |receipts: Value, action: &str| {
        relay.post(
            "/ack",
            &json!({"agent_id": "a", "receipts": receipts, "action": action}),
        )
    };
    assert_eq!(ack(json!([receipt(0), "none"]), "ack").json()["done"], 1);
    assert_eq!(ack(json!([receipt(1)]), "nack").json()["done"], 1);
    let again = relay.poll("a");
    assert_eq!(again.len(), 1);
    let scrape = Scrape::of(&relay);
    let receipts = |action: &str, result: &str| {
        scrape.value(&format!(
            "clawlink_receipts_total{{action=\"{action}\",result=\"{result}\"}}"
        ))
    };
    assert_eq!(scrape.value(&delivered("lease", "mail")), 1.0);
    assert_eq!(scrape.value(&delivered("lease", "broadcast")), 1.0);
    assert_eq!(scrape.value(&delivered("poll", "broadcast")), 1.0);
    assert_eq!(scrape.value("clawlink_redeliveries_total"), 1.0);
    assert_eq!(
        (receipts("ack", "done"), receipts("ack", "expired")),
        (1.0, 1.0)
    );
    assert_eq!(receipts("nack", "done"), 1.0);
    let put = json!({"file_key": "k", "content": "c", "agent_id": "b"});
    let file = added(&relay, &delivered("websocket", "file_updated"), || {
        let mut socket = relay.socket("a");
        relay.post("/files", &put);
        socket.next_of("file_updated");
        socket.close();
    });
    assert_eq!(file, 1.0);
}

#[test]
fn a_lease_that_runs_out_is_counted_and_so_is_what_comes_of_it() {
    let relay = Relay::start();
    relay.register("a");
    relay.delegate("b", "a", "t");
    assert_eq!(relay.get("/poll/a?lease=1").json()["count"], 1);
    let again = relay.get("/poll/a?lease=600&wait=10").json();
    assert_eq!(again["messages"][0]["delivery"]["attempt"], 2);
    let scrape = Scrape::of(&relay);
    assert_eq!(scrape.value("clawlink_leases_expired_total"), 1.0);
    assert_eq!(scrape.value("clawlink_redeliveries_total"), 1.0);
}

#[test]
fn inboxes_are_as_deep_as_what_is_in_them_and_empty_when_their_agent_is_gone() {
    let relay = Relay::with(&["--inbox-limit", "6"]);
    relay.register("a");
    for n in 0..3 {
        relay.delegate("b", "a", &n.to_string());
    }
    for n in 0..5 {
        relay.post("/broadcast", &json!({"from_agent": "b", "content": n}));
    }
    // It takes in what came, and lets notices give way.
    relay.get("/poll/a?peek=1");
    let scrape = Scrape::of(&relay);
    let held = |scrape: &Scrape, kind: &str| {
        scrape.value(&format!("clawlink_inbox_messages{{kind=\"{kind}\"}}"))
    };
    assert_eq!((held(&scrape, "mail"), held(&scrape, "notice")), (3.0, 3.0));
    assert_eq!(
        scrape.value(r#"clawlink_notices_missed_total{full="inbox"}"#),
        2.0
    );
    assert_eq!(scrape.value("clawlink_inbox_depth_count"), 3.0);
    assert_eq!(scrape.value("clawlink_inbox_depth_sum"), 6.0);
    assert!(scrape.value("clawlink_inboxes_bytes") > 3.0 * 512.0);
    relay.post("/deregister", &json!({"agent_id": "a"}));
    comes_to(&relay, "clawlink_inbox_messages{kind=\"notice\"}", 0.0);
    // The dead letters are kept elsewhere.
    comes_to(&relay, "clawlink_inboxes_bytes", 0.0);
    comes_to(&relay, "clawlink_dead_letters", 3.0);
}

#[test]
fn what_dies_untold_ends_in_a_metric() {
    let relay = Relay::start();
    relay.register("a");
    relay.register("s");
    let died = |kind: &str, reason: &str| {
        format!("clawlink_deaths_total{{kind=\"{kind}\",reason=\"{reason}\"}}")
    };
    relay.post(
        "/broadcast",
        &json!({"from_agent": "s", "content": "c", "ttl": 1}),
    );
    comes_to(&relay, &died("broadcast", "expired"), 1.0);
    relay.post(
        "/files",
        &json!({"file_key": "k", "content": "c", "agent_id": "s"}),
    );
    // Nobody is registered under the sender's id.
    let task = json!({"from_agent": "nobody", "to_agent": "a", "task": "t", "ttl": 1});
    relay.post("/delegate", &task);
    comes_to(&relay, &died("mail", "expired"), 1.0);
    comes_to(
        &relay,
        r#"clawlink_senders_not_told_total{why="unknown"}"#,
        1.0,
    );
    comes_to(&relay, "clawlink_dead_letters", 1.0);
    // The sender is told, and goes before it has read that.
    let task = json!({"from_agent": "s", "to_agent": "a", "task": "t", "ttl": 1});
    relay.post("/delegate", &task);
    comes_to(&relay, &died("mail", "expired"), 2.0);
    eventually("the sender is told", || {
        let waits = relay.get("/poll/s?peek=1").json();
        (waits["count"] == 1).then_some(())
    });
    for agent in ["s", "a"] {
        relay.post("/deregister", &json!({"agent_id": agent}));
    }
    comes_to(&relay, &died("delivery_failed", "recipient_removed"), 1.0);
    comes_to(&relay, &died("file_updated", "recipient_removed"), 1.0);
}

#[test]
fn news_of_dead_mail_that_finds_no_place_is_counted() {
    let relay = Relay::with(&["--inbox-limit", "2"]);
    relay.register("s");
    // Two places, and a reserve of 64.
    for n in 0..67 {
        let id = format!("gone{n}");
        relay.register(&id);
        relay.delegate("s", &id, "t");
        relay.post("/deregister", &json!({"agent_id": id}));
    }
    comes_to(
        &relay,
        r#"clawlink_senders_not_told_total{why="full"}"#,
        1.0,
    );
}

#[test]
fn what_is_kept_is_told_with_its_bytes() {
    let relay = Relay::with(&["--broadcasts-limit", "2", "--dead-letters-limit", "1"]);
    for agent in ["a", "b"] {
        relay.register(agent);
    }
    for n in 0..23 {
        relay.post(
            "/files",
            &json!({"file_key": "k", "content": n, "agent_id": "a"}),
        );
    }
    for n in 0..3 {
        relay.post("/broadcast", &json!({"from_agent": "a", "content": n}));
    }
    relay.post(
        "/reservations",
        &json!({"agent_id": "a", "pattern": "src/**"}),
    );
    let key = [
        ("Idempotency-Key", "k"),
        ("Content-Type", "application/json"),
    ];
    let task = json!({"from_agent": "a", "to_agent": "b", "task": "t"}).to_string();
    let sent = relay
        .request("POST", "/delegate", &key, task.as_bytes())
        .json();
    relay.delegate("a", "b", "t");
    let answer = json!({"from_agent": "b", "message_id": sent["message_id"], "result": "r"});
    assert_eq!(relay.post("/respond", &answer).json()["applied"], true);
    let scrape = Scrape::of(&relay);
    for (metric, wanted) in [
        ("clawlink_files", 1.0),
        ("clawlink_file_versions", 21.0),
        (r#"clawlink_file_versions_gone_total{why="count"}"#, 2.0),
        ("clawlink_broadcasts_kept", 2.0),
        ("clawlink_broadcasts_total", 3.0),
        ("clawlink_reservations", 1.0),
        ("clawlink_idempotency_keys", 1.0),
        (r#"clawlink_tasks{state="open"}"#, 1.0),
        (r#"clawlink_tasks{state="ended"}"#, 1.0),
        (r#"clawlink_agents{status="online"}"#, 2.0),
        (r#"clawlink_agents{status="stale"}"#, 0.0),
        (r#"clawlink_limit{option="broadcasts-limit"}"#, 2.0),
    ] {
        assert_eq!(scrape.value(metric), wanted, "{metric}");
    }
    for metric in [
        "clawlink_files_bytes",
        "clawlink_broadcasts_kept_bytes",
        "clawlink_idempotency_bytes",
        "clawlink_tasks_bytes",
        "clawlink_uptime_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(scrape.value(metric) > 0.0, "{metric}");
    }
    assert_eq!(scrape.value("clawlink_dead_letters_bytes"), 0.0);
    relay.delegate("a", "b", "t");
    relay.post("/deregister", &json!({"agent_id": "b"}));
    comes_to(&relay, "clawlink_dead_letters_dropped_total", 1.0);
    let scrape = Scrape::of(&relay);
    assert_eq!(scrape.value("clawlink_dead_letters"), 1.0);
    assert!(scrape.value("clawlink_dead_letters_bytes") > 512.0);
}

#[test]
fn sockets_connections_and_polls_that_wait_are_counted_while_they_last() {
    let relay = Relay::start();
    relay.register("p");
    let mut first = relay.socket("a");
    comes_to(&relay, "clawlink_sockets", 1.0);
    let second = relay.socket("a");
    assert_eq!(first.close_code(), Some(4001));
    comes_to(
        &relay,
        r#"clawlink_sockets_ended_total{why="replaced"}"#,
        1.0,
    );
    second.close();
    comes_to(&relay, r#"clawlink_sockets_ended_total{why="closed"}"#, 1.0);
    comes_to(&relay, "clawlink_sockets", 0.0);
    // One is the scrape's own.
    comes_to(&relay, "clawlink_connections", 1.0);
    let idle = harness::http::connect(relay.address);
    comes_to(&relay, "clawlink_connections", 2.0);
    drop(idle);
    comes_to(&relay, "clawlink_connections_unused_total", 1.0);
    thread::scope(|scope| {
        let poll = scope.spawn(|| relay.get("/poll/p?wait=20"));
        comes_to(&relay, "clawlink_polls_waiting", 1.0);
        relay.delegate("b", "p", "t");
        assert_eq!(poll.join().expect("a reply").json()["count"], 1);
    });
    comes_to(&relay, "clawlink_polls_waiting", 0.0);
}

#[test]
fn a_merge_is_counted_by_what_came_of_it() {
    let relay = Relay::start();
    let put = |content: &str, base: u64| {
        relay.post(
            "/files",
            &json!({"file_key": "k", "content": content, "agent_id": "a", "base_version": base, "merge": true}),
        )
    };
    assert_eq!(put("a\nb\nc\nd\n", 0).status, 200);
    assert_eq!(put("A\nb\nc\nd\n", 1).status, 200);
    assert_eq!(put("a\nb\nc\nD\n", 1).status, 200);
    assert_eq!(put("x\nb\nc\nd\n", 1).status, 409);
    let scrape = Scrape::of(&relay);
    let merges =
        |result: &str| scrape.value(&format!("clawlink_merges_total{{result=\"{result}\"}}"));
    assert_eq!(
        (merges("merged"), merges("conflict"), merges("gave_up")),
        (3.0, 1.0, 0.0)
    );
    assert_eq!(scrape.value("clawlink_merges_running"), 0.0);
}
