//! What was broadcast is there for who comes late: the log, its filters and pages, the command.

use harness::{Client, Original, Relay, Value, json};

fn tell(relay: &Relay, from: &str, topic: &str, tags: &[&str], content: &Value) -> Value {
    let call = json!({"from_agent": from, "topic": topic, "tags": tags, "content": content});
    let reply = relay.post("/broadcast", &call);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn log(relay: &Relay, query: &str) -> Value {
    let reply = relay.get(&format!("/broadcasts{query}"));
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    reply.json()
}

/// The contents of a list, in its order.
fn contents(list: &Value) -> String {
    let broadcasts = list["broadcasts"].as_array().cloned().unwrap_or_default();
    assert_eq!(list["count"], broadcasts.len());
    let contents = broadcasts.iter().map(|b| match b["content"].as_str() {
        Some(text) => text.to_owned(),
        None => b["content"].to_string(),
    });
    contents.collect::<Vec<_>>().join(" ")
}

#[test]
fn who_comes_late_reads_what_was_said_as_it_was_sent() {
    let relay = Relay::start();
    relay.register("early");
    tell(&relay, "early", "build", &["rust"], &json!({"n": 1}));
    tell(&relay, "never-registered", "general", &[], &json!("second"));
    let heard = relay.get("/poll/early").json()["messages"][0].clone();
    relay.register("late");
    assert!(relay.poll("late").is_empty());
    let list = log(&relay, "");
    assert_eq!(contents(&list), "second {\"n\":1}");
    assert_eq!(list["next_cursor"], Value::Null);
    let mut second = list["broadcasts"][0].clone();
    assert_eq!(second["type"], "knowledge_broadcast");
    second["queued_at"] = heard["queued_at"].clone();
    assert_eq!(second, heard, "as the inbox had it");
    assert_eq!(contents(&log(&relay, "")), contents(&list), "and it stays");
}

#[test]
fn the_log_shows_what_meets_every_filter() {
    let relay = Relay::start();
    relay.post("/register", &json!({"agent_id": "a1", "name": "Anna"}));
    tell(
        &relay,
        "a1",
        "build",
        &["rust", "ci"],
        &json!("Main is Gr\u{fc}n"),
    );
    tell(&relay, "b1", "build", &["rust"], &json!("two"));
    tell(&relay, "b1", "Build", &[], &json!({"k": "\u{dc}ber"}));
    for (query, found) in [
        ("?topic=build", "two Main is Gr\u{fc}n"),
        ("?topic=Build", "{\"k\":\"\u{dc}ber\"}"),
        ("?tag=ci", "Main is Gr\u{fc}n"),
        ("?tag=c", ""),
        ("?from=a1", "Main is Gr\u{fc}n"),
        ("?from=Anna&topic=build", "Main is Gr\u{fc}n"),
        ("?from=anna", ""),
        ("?q=GR%C3%9CN", "Main is Gr\u{fc}n"),
        ("?q=%C3%BCber", "{\"k\":\"\u{dc}ber\"}"),
        ("?q=ust&from=b1", "two"),
        ("?q=knowledge_broadcast", ""),
        ("?limit=1", "{\"k\":\"\u{dc}ber\"}"),
        ("?unknown=1&topic=none", ""),
    ] {
        assert_eq!(contents(&log(&relay, query)), found, "{query}");
    }
    for bad in [
        "limit=0",
        "limit=1001",
        "since=soon",
        "since=-1",
        "cursor=zz",
        "cursor=",
    ] {
        let reply = relay.get(&format!("/broadcasts?{bad}"));
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{bad}"
        );
    }
}

#[test]
fn since_is_a_time_or_seconds_ago() {
    let relay = Relay::start();
    tell(&relay, "a", "t", &[], &json!("first"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    tell(&relay, "a", "t", &[], &json!("second"));
    let all = log(&relay, "?since=3600");
    assert_eq!(contents(&all), "second first");
    let time = all["broadcasts"][0]["timestamp"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(contents(&log(&relay, "?since=1")), "second");
    assert_eq!(contents(&log(&relay, &format!("?since={time}"))), "second");
    let escaped = time.replace('+', "%2B");
    assert_eq!(
        contents(&log(&relay, &format!("?since={escaped}"))),
        "second"
    );
    assert_eq!(
        contents(&log(&relay, "?since=2000-01-01T00:00:00Z")),
        "second first"
    );
}

#[test]
fn whoever_turns_pages_sees_each_once_while_new_ones_come_and_old_ones_leave() {
    let relay = Relay::with(&["--broadcasts-limit", "10"]);
    for n in 0..10 {
        tell(
            &relay,
            "a",
            ["odd", "even"][usize::from(n % 2 == 0)],
            &[],
            &json!(n.to_string()),
        );
    }
    let next = |list: &Value| {
        let cursor = list["next_cursor"].as_str().expect("there is more");
        format!("&cursor={cursor}")
    };
    let first = log(&relay, "?limit=3");
    assert_eq!(contents(&first), "9 8 7");
    let of_topic = log(&relay, "?limit=2&topic=odd");
    assert_eq!(contents(&of_topic), "9 7");
    for n in 10..12 {
        tell(&relay, "a", "odd", &[], &json!(n.to_string()));
    }
    let second = log(&relay, &format!("?limit=3{}", next(&first)));
    assert_eq!(contents(&second), "6 5 4");
    let rest = log(&relay, &format!("?limit=3{}", next(&second)));
    assert_eq!(
        (contents(&rest).as_str(), &rest["next_cursor"]),
        ("3 2", &Value::Null)
    );
    let rest = log(&relay, &format!("?topic=odd{}", next(&of_topic)));
    assert_eq!(contents(&rest), "5 3");
    let other = Relay::start();
    for n in 0..10 {
        tell(&other, "a", "t", &[], &json!(n));
    }
    let dead = other.get(&format!("/broadcasts?limit=3{}", next(&first)));
    assert_eq!(
        (dead.status, dead.code().as_str()),
        (400, "bad_request"),
        "another relay's"
    );
}

#[test]
fn a_page_is_bounded_in_bytes_and_a_search_through_all_does_not_hold_up_the_others() {
    let relay = Relay::start();
    relay.register("a");
    let text = "X".repeat(1_000_000);
    for n in 0..16 {
        tell(&relay, "a", "t", &[], &json!(format!("{n} {text}")));
    }
    let first = relay.get("/broadcasts?limit=1000");
    assert!(first.text.len() < 10_000_000, "{}", first.text.len());
    let first = first.json();
    assert!(
        first["count"]
            .as_u64()
            .is_some_and(|count| (8..=9).contains(&count))
    );
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = log(&relay, &format!("?limit=1000&cursor={cursor}"));
    let seen = |list: &Value| list["count"].as_u64().unwrap_or_default();
    assert_eq!(
        (seen(&first) + seen(&rest), &rest["next_cursor"]),
        (16, &Value::Null)
    );
    std::thread::scope(|scope| {
        let search = scope.spawn(|| log(&relay, "?q=nowhere"));
        while !search.is_finished() {
            let began = std::time::Instant::now();
            tell(&relay, "a", "t", &[], &json!("meanwhile"));
            assert!(began.elapsed() < harness::PATIENCE / 4);
        }
        assert_eq!(search.join().map(|list| seen(&list)).ok(), Some(0));
    });
}

#[test]
fn the_command_shows_the_newest_last_and_shortens_what_is_long() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    assert_eq!(client.run(&["knowledge"]).ok().out, "No broadcasts.\n");
    let long = "line\n".repeat(40);
    let id = tell(&relay, "b", "build", &["rust"], &json!(long))["message_id"].clone();
    client
        .run(&[
            "broadcast",
            "--topic",
            "news",
            "--content",
            "\u{1b}[2Jfresh",
        ])
        .ok();
    let shown = client.run(&["knowledge"]).ok();
    let lines: Vec<&str> = shown.out.lines().collect();
    let id = id.as_str().unwrap_or_default();
    assert!(lines[0].starts_with(&format!(
        "[broadcast] {id} from b (unverified), topic build, tags rust, "
    )));
    assert_eq!(
        lines[7],
        format!("  ... 200 characters in 40 lines; all of it: clawlink show {id} (or --full)")
    );
    assert!(
        lines[8].contains(" from a (unverified), topic news, "),
        "one's own too: {}",
        lines[8]
    );
    assert_eq!((lines[9], lines.len()), ("  \\u{1b}[2Jfresh", 10));
    assert_eq!(client.run(&["show", id]).ok().out.lines().count(), 41);
    assert_eq!(
        client
            .run(&["knowledge", "--full", "--topic", "build"])
            .ok()
            .out
            .lines()
            .count(),
        41
    );
    let json = client.run(&["knowledge", "--json"]).ok().json();
    assert_eq!((json.len(), &json[1]["topic"]), (2, &json!("news")));
    let last = client.run(&["knowledge", "--max", "1"]).ok();
    assert!(
        last.out.contains("fresh") && last.err.contains("--max N"),
        "{last:?}"
    );
    for (filter, lines) in [
        (["--tag", "rust"], 8),
        (["--grep", "FRESH"], 2),
        (["--grep", "no&where"], 1),
        (["--since", "1h"], 10),
        (["--since", "2100-01-01T00:00:00+01:00"], 1),
    ] {
        let shown = client.run(&[&["knowledge"], &filter[..]].concat()).ok().out;
        assert_eq!(shown.lines().count(), lines, "{filter:?}: {shown}");
    }
    client.run(&["knowledge", "--since", "soon"]).exits(1);
    client.run(&["knowledge", "--max", "0"]).exits(1);
}

#[test]
fn an_original_keeps_no_log_and_is_said_to() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    let said = client.run(&["knowledge"]).exits(1).err;
    assert_eq!(
        said,
        "clawlink: this relay cannot show what was broadcast\n"
    );
}
