//! The fixed wire: every call, with the fields, defaults and statuses that clients rely on.

use harness::{Relay, Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

fn is_rfc3339_utc(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() >= 20
        && text.as_bytes()[10] == b'T'
        && (text.ends_with("+00:00") || text.ends_with('Z'))
}

#[test]
fn the_root_tells_what_this_is_and_what_it_can_do() {
    let relay = Relay::start();
    relay.register("a");
    relay.post("/broadcast", &json!({"from_agent": "a", "content": "x"}));
    relay.post(
        "/files",
        &json!({"file_key": "f", "content": "x", "agent_id": "a"}),
    );
    let info = relay.get("/").json();
    assert_eq!(info["service"], "ClawLink Relay");
    assert_eq!(
        (&info["auth_required"], &info["protocol"]),
        (&json!(false), &json!(2))
    );
    let counts = (
        &info["agents_online"],
        &info["total_broadcasts"],
        &info["shared_files"],
    );
    assert_eq!(counts, (&json!(1), &json!(1), &json!(1)));
    assert!(is_rfc3339_utc(&info["server_time"]));
    assert!(info["version"].is_string() && info["note"].is_string() && info["epoch"].is_string());
    assert!(
        info["features"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    let mut endpoints = keys(&info["endpoints"]);
    endpoints.sort_unstable();
    let expected = [
        "broadcast",
        "delegate",
        "discover",
        "files_get",
        "files_list",
        "files_put",
        "heartbeat",
        "poll",
        "register",
        "respond",
        "websocket",
    ];
    assert_eq!(endpoints, expected);
}

#[test]
fn everything_in_register_is_optional_and_has_a_default() {
    let relay = Relay::start();
    for body in [
        "{}",
        "",
        r#"{"agent_id":null,"name":null,"capabilities":null,"unknown":1}"#,
    ] {
        let reply = relay.post_text("/register", body).json();
        assert_eq!(reply["status"], "registered");
        assert!(is_rfc3339_utc(&reply["server_time"]));
        let agent = &reply["agent"];
        let id = agent["agent_id"].as_str().unwrap();
        assert!(id.len() <= 16, "{id}");
        assert_eq!(agent["name"], format!("agent-{}", &id[..4]));
        assert_eq!(agent["capabilities"], json!([]));
        assert_eq!(
            (&agent["machine"], &agent["description"]),
            (&json!("127.0.0.1"), &json!(""))
        );
        assert_eq!(agent["status"], "online");
        assert!(is_rfc3339_utc(&agent["registered_at"]));
        assert!(agent["last_heartbeat"].as_f64().unwrap() > 1.7e9);
    }
}

#[test]
fn registering_again_keeps_the_inbox_and_when_it_came_and_replaces_the_rest() {
    let relay = Relay::start();
    let first = json!({"agent_id": "a", "name": "n", "capabilities": ["x"], "machine": "m", "description": "d"});
    let first = relay.post("/register", &first).json();
    relay.delegate("b", "a", "kept");
    let second = relay
        .post("/register", &json!({"agent_id": "a", "name": "other"}))
        .json();
    assert_eq!(
        second["agent"]["registered_at"],
        first["agent"]["registered_at"]
    );
    assert_eq!(second["agent"]["name"], "other");
    assert_eq!(second["agent"]["capabilities"], json!([]));
    assert_eq!(relay.poll("a")[0]["task"], "kept");
    assert_eq!(relay.get("/discover").json()["count"], 1);
}

#[test]
fn discover_lists_who_is_online() {
    let relay = Relay::start();
    assert_eq!(relay.get("/discover").json()["agents"], json!([]));
    relay.post(
        "/register",
        &json!({"agent_id": "a", "name": "n", "capabilities": ["x", "y"], "machine": "m"}),
    );
    relay.register("b");
    let found = relay.get("/discover?unknown=1").json();
    assert_eq!(found["count"], 2);
    assert!(is_rfc3339_utc(&found["server_time"]));
    let mut fields = keys(&found["agents"][0]);
    fields.sort_unstable();
    let expected = [
        "agent_id",
        "capabilities",
        "description",
        "last_heartbeat",
        "machine",
        "name",
        "registered_at",
        "status",
    ];
    assert_eq!(fields, expected);
    assert_eq!(found["agents"][0]["capabilities"], json!(["x", "y"]));
}

#[test]
fn discover_and_files_come_in_pages_that_neither_repeat_nor_skip() {
    let relay = Relay::start();
    for n in 0..25 {
        relay.register(&format!("a{n:02}"));
        relay.post(
            "/files",
            &json!({"file_key": format!("f{n:02}"), "content": "x", "agent_id": "a"}),
        );
    }
    for (path, list, key) in [
        ("/discover", "agents", "agent_id"),
        ("/files", "files", "file_key"),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = relay.get(&format!("{path}?limit=10{cursor}")).json();
            let entries = page[list].as_array().unwrap().clone();
            assert_eq!(page["count"], entries.len());
            seen.extend(
                entries
                    .iter()
                    .map(|entry| entry[key].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let expected: Vec<String> = (0..25).map(|n| format!("{}{n:02}", &list[..1])).collect();
        assert_eq!(seen, expected);
        assert_eq!(relay.get(&format!("{path}?cursor=dead")).status, 400);
        assert_eq!(relay.get(&format!("{path}?limit=0")).status, 400);
    }
}

#[test]
fn a_heartbeat_is_answered_with_one_word_and_nothing_else() {
    let relay = Relay::start();
    relay.register("a");
    assert_eq!(
        relay.post("/heartbeat", &json!({"agent_id": "a"})).text,
        r#"{"status":"ok"}"#
    );
    assert_eq!(
        relay.post("/heartbeat", &json!({"agent_id": "b"})).text,
        r#"{"status":"unknown_agent"}"#
    );
    for body in ["{}", "", r#"{"agent_id":null}"#, r#"{"agent_id":""}"#] {
        assert_eq!(relay.post_text("/heartbeat", body).status, 400, "{body}");
    }
}

#[test]
fn a_delegated_task_waits_for_its_agent_with_all_its_fields() {
    let relay = Relay::start();
    relay.register("a");
    let reply = relay.post(
        "/delegate",
        &json!({"from_agent": "nobody-registered", "to_agent": "a", "task": "t"}),
    );
    let sent = reply.json();
    assert_eq!(
        (&sent["status"], &sent["delivery"]),
        (&json!("delegated"), &json!("queued"))
    );
    let id = sent["message_id"].as_str().unwrap();
    assert!(
        id.len() <= 16
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        "{id}"
    );
    let polled = relay.get("/poll/a").json();
    assert_eq!(polled["count"], 1);
    let message = &polled["messages"][0];
    assert_eq!(message["type"], "task_delegation");
    assert_eq!(message["message_id"], id);
    assert_eq!(
        (&message["from_agent"], &message["to_agent"]),
        (&json!("nobody-registered"), &json!("a"))
    );
    assert_eq!(
        (&message["task"], &message["context"]),
        (&json!("t"), &json!({}))
    );
    assert_eq!(message["priority"], "normal");
    assert!(is_rfc3339_utc(&message["timestamp"]) && is_rfc3339_utc(&message["queued_at"]));
    assert_eq!(relay.get("/poll/a").json()["messages"], json!([]), "taken");
}

#[test]
fn what_delegate_and_broadcast_need_is_asked_for() {
    let relay = Relay::start();
    relay.register("a");
    for body in [
        json!({"to_agent": "a", "task": "t"}),
        json!({"from_agent": "b", "task": "t"}),
        json!({"from_agent": "b", "to_agent": "a"}),
        json!({"from_agent": "b", "to_agent": "a", "task": null}),
        json!({"from_agent": "b", "to_agent": "a", "task": ""}),
        json!({"from_agent": "", "to_agent": "a", "task": "t"}),
        json!({"from_agent": "b b", "to_agent": "a", "task": "t"}),
        json!({"from_agent": "b", "to_agent": "", "task": "t"}),
        json!({"from_agent": "b", "to_agent": "a", "task": "t", "priority": 5}),
    ] {
        let reply = relay.post("/delegate", &body);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "bad_request"),
            "{body}"
        );
    }
    for body in [
        json!({"from_agent": "b"}),
        json!({"content": "x"}),
        json!({"from_agent": "b", "content": null}),
        json!({"from_agent": "b", "content": "x", "tags": "t"}),
        json!({"from_agent": "b", "content": "x", "topic": ""}),
    ] {
        assert_eq!(relay.post("/broadcast", &body).status, 400, "{body}");
    }
    assert!(
        relay.poll("a").is_empty(),
        "what was refused did not arrive"
    );
}

#[test]
fn bodies_are_passed_on_as_they_were_written() {
    let relay = Relay::start();
    relay.register("a");
    let values = [
        r#"{"z":1,"a":{"deep":[1,2,{"x":null}]}}"#,
        r#"["list",1.50,1e3,-0]"#,
        "123456789012345678901234567890",
        "true",
        r#""\u0000 \ud83e\udd9e \\ \/ é""#,
    ];
    for value in values {
        let body =
            format!(r#"{{"from_agent":"b","to_agent":"a","task":{value},"context":{value}}}"#);
        assert_eq!(relay.post_text("/delegate", &body).status, 200, "{value}");
        let polled = relay.get("/poll/a").text;
        assert!(
            polled.contains(&format!(r#""task":{value},"context":{value}"#)),
            "{value}: {polled}"
        );
    }
}

#[test]
fn priority_orders_the_inbox_and_an_unknown_one_is_passed_on_as_normal() {
    let relay = Relay::start();
    relay.register("a");
    for priority in ["low", "normal", "asap", "high", "urgent", "normal"] {
        let call = json!({"from_agent": "b", "to_agent": "a", "task": "t", "priority": priority});
        assert_eq!(relay.post("/delegate", &call).status, 200);
    }
    let order: Vec<Value> = relay
        .poll("a")
        .iter()
        .map(|message| message["priority"].clone())
        .collect();
    assert_eq!(order, ["urgent", "high", "normal", "asap", "normal", "low"]);
}

#[test]
fn a_response_arrives_with_all_its_fields() {
    let relay = Relay::start();
    relay.register("boss");
    let call = json!({"from_agent": "worker", "to_agent": "boss", "message_id": "m-1", "result": {"n": 1}});
    let reply = relay.post("/respond", &call).json();
    assert_eq!(
        (&reply["status"], &reply["delivery"]),
        (&json!("response_sent"), &json!("queued"))
    );
    let call =
        json!({"from_agent": "worker", "to_agent": "boss", "message_id": "m-2", "status": "odd"});
    assert_eq!(relay.post("/respond", &call).status, 200);
    let messages = relay.poll("boss");
    let first = &messages[0];
    assert_eq!(
        (&first["type"], &first["message_id"]),
        (&json!("task_response"), &json!("m-1"))
    );
    assert_eq!(
        (&first["from_agent"], &first["to_agent"]),
        (&json!("worker"), &json!("boss"))
    );
    assert_eq!(
        (&first["result"], &first["status"]),
        (&json!({"n": 1}), &json!("completed"))
    );
    assert!(first["response_id"].is_string() && is_rfc3339_utc(&first["timestamp"]));
    assert_eq!(
        (&messages[1]["result"], &messages[1]["status"]),
        (&Value::Null, &json!("odd"))
    );
}

#[test]
fn a_broadcast_reaches_every_other_agent_once() {
    let relay = Relay::start();
    for agent in ["a", "b", "c"] {
        relay.register(agent);
    }
    let reply = relay
        .post(
            "/broadcast",
            &json!({"from_agent": "a", "content": {"found": 1}}),
        )
        .json();
    assert_eq!(
        (&reply["status"], &reply["recipients"]),
        (&json!("broadcast_sent"), &json!(2))
    );
    assert!(relay.poll("a").is_empty());
    for agent in ["b", "c"] {
        let messages = relay.poll(agent);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["type"], "knowledge_broadcast");
        assert_eq!(messages[0]["message_id"], reply["message_id"]);
        assert_eq!(messages[0]["content"], json!({"found": 1}));
        assert_eq!(
            (&messages[0]["topic"], &messages[0]["tags"]),
            (&json!("general"), &json!([]))
        );
    }
    let call = json!({"from_agent": "stranger", "content": "x", "topic": "t", "tags": ["u", "v"]});
    assert_eq!(relay.post("/broadcast", &call).json()["recipients"], 3);
    assert_eq!(relay.poll("a")[0]["tags"], json!(["u", "v"]));
}

#[test]
fn a_poll_of_an_unknown_agent_is_empty_and_says_so() {
    let relay = Relay::start();
    let polled = relay.get("/poll/nobody").json();
    assert_eq!(
        (&polled["messages"], &polled["count"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(polled["status"], "unknown_agent");
    assert_eq!(polled["epoch"], relay.get("/").json()["epoch"]);
    relay.register("a");
    assert!(relay.get("/poll/a").json().get("status").is_none());
}

#[test]
fn a_message_to_nobody_is_an_error_and_not_a_queue() {
    let relay = Relay::start();
    relay.register("researcher");
    let reply = relay.delegate("b", "reseacher", "t");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (404, "unknown_agent")
    );
    assert_eq!(reply.json()["did_you_mean"], json!(["researcher"]));
    let call = json!({"from_agent": "b", "to_agent": "gone", "message_id": "m", "result": 1});
    assert_eq!(relay.post("/respond", &call).status, 404);
    relay.register("reseacher");
    assert!(
        relay.poll("reseacher").is_empty(),
        "nothing had been kept for it"
    );
}

#[test]
fn a_name_is_an_address_unless_it_is_ambiguous() {
    let relay = Relay::start();
    for id in ["w1", "w2"] {
        relay.post(
            "/register",
            &json!({"agent_id": id, "name": "worker", "machine": id}),
        );
    }
    relay.post(
        "/register",
        &json!({"agent_id": "u", "name": "Übersetzer 🦞"}),
    );
    let sent = relay.delegate("b", "Übersetzer 🦞", "t").json();
    assert_eq!(sent["to_agent"], "u");
    assert_eq!(
        sent["recipient"],
        json!({"status": "online", "last_seen_seconds": 0})
    );
    assert_eq!(relay.poll("u")[0]["to_agent"], "u");
    let reply = relay.delegate("b", "worker", "t");
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (409, "ambiguous_agent")
    );
    let candidates = reply.json()["candidates"].clone();
    assert_eq!(
        candidates[0],
        json!({"agent_id": "w1", "status": "online", "machine": "w1"})
    );
    assert_eq!(
        (
            candidates.as_array().unwrap().len(),
            &reply.json()["candidates_count"]
        ),
        (2, &json!(2))
    );
}

#[test]
fn a_file_counts_its_versions_and_everybody_else_hears_of_it() {
    let relay = Relay::start();
    relay.register("a");
    relay.register("b");
    for version in 1..=3 {
        let call =
            json!({"file_key": "docs/r.md", "content": format!("v{version}\n"), "agent_id": "a"});
        let reply = relay.post("/files", &call).json();
        assert_eq!(
            (&reply["status"], &reply["version"]),
            (&json!("saved"), &json!(version))
        );
    }
    let file = relay.get("/files/docs/r.md").json();
    assert_eq!(
        (&file["file_key"], &file["content"]),
        (&json!("docs/r.md"), &json!("v3\n"))
    );
    assert_eq!(
        (&file["file_type"], &file["last_editor"]),
        (&json!("text"), &json!("a"))
    );
    assert_eq!(file["version"], 3);
    assert!(is_rfc3339_utc(&file["updated_at"]));
    assert_eq!(relay.get("/files/docs%2Fr.md").json()["version"], 3);
    let list = relay.get("/files").json();
    assert_eq!(list["count"], 1);
    assert!(list["files"][0].get("content").is_none());
    assert_eq!(list["files"][0]["file_key"], "docs/r.md");
    assert!(relay.poll("a").is_empty());
    let heard = relay.poll("b");
    let versions: Vec<&Value> = heard.iter().map(|notice| &notice["version"]).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(
        (&heard[0]["type"], &heard[0]["last_editor"]),
        (&json!("file_updated"), &json!("a"))
    );
}

#[test]
fn a_file_may_be_empty_or_odd_but_not_missing() {
    let relay = Relay::start();
    let put = |key: &str, content: Value| {
        relay
            .post(
                "/files",
                &json!({"file_key": key, "content": content, "agent_id": "a"}),
            )
            .status
    };
    assert_eq!(put("empty", json!("")), 200);
    assert_eq!(relay.get("/files/empty").json()["content"], "");
    for (key, content) in [
        ("käse & co #1?.md", json!("x")),
        ("nul", json!("a\u{0}b\u{7f}\r\n")),
        ("value", json!({"any": ["json", 1]})),
    ] {
        assert_eq!(put(key, content.clone()), 200, "{key}");
        let path: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(
            relay.get(&format!("/files/{path}")).json()["content"],
            content,
            "{key}"
        );
    }
    assert_eq!(relay.get("/files/none").code(), "not_found");
    for key in ["", "/a", "a//b", "a/../b", ".", "a\nb", &"k".repeat(257)] {
        assert_eq!(put(key, json!("x")), 400, "{key:?}");
    }
    for body in [
        json!({"content": "x", "agent_id": "a"}),
        json!({"file_key": "k", "agent_id": "a"}),
        json!({"file_key": "k", "content": null, "agent_id": "a"}),
        json!({"file_key": "k", "content": "x"}),
    ] {
        assert_eq!(relay.post("/files", &body).status, 400, "{body}");
    }
}

#[test]
fn leaving_takes_an_agent_out_at_once() {
    let relay = Relay::start();
    relay.register("a");
    assert_eq!(
        relay.post("/deregister", &json!({"agent_id": "a"})).text,
        r#"{"status":"deregistered"}"#
    );
    assert_eq!(relay.get("/discover").json()["count"], 0);
    assert_eq!(relay.get("/poll/a").json()["status"], "unknown_agent");
    assert_eq!(
        relay.post("/deregister", &json!({"agent_id": "a"})).code(),
        "unknown_agent"
    );
}

#[test]
fn the_epoch_is_new_at_each_start() {
    let epochs: Vec<Value> = (0..2)
        .map(|_| Relay::start().get("/").json()["epoch"].clone())
        .collect();
    assert_ne!(epochs[0], epochs[1]);
}

#[test]
fn health_is_a_round_trip_that_needs_no_token() {
    let relay = Relay::with(&["--token", "secret"]);
    let reply = relay.get("/health");
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
}

#[test]
fn head_is_answered_where_nothing_is_taken_away() {
    let relay = Relay::start();
    relay.register("a");
    relay.delegate("b", "a", "kept");
    for path in ["/", "/health", "/discover", "/files"] {
        let reply = relay.request("HEAD", path, &[], b"");
        assert_eq!((reply.status, reply.text.as_str()), (200, ""), "{path}");
    }
    assert_eq!(relay.request("HEAD", "/poll/a", &[], b"").status, 405);
    assert_eq!(relay.poll("a").len(), 1);
}
