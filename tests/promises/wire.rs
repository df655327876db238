//! The fixed wire: every call that moves a message, with the fields, defaults and statuses that
//! clients rely on.

use harness::{Relay, Value, is_rfc3339_utc, json, keys};

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
