//! Joining, being found, leaving, being addressed: the fixed wire, and names.

use harness::{Relay, Value, eventually, is_rfc3339_utc, json, keys};

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
fn discover_finds_who_meets_every_filter() {
    let relay = Relay::with(&["--stale-after", "1"]);
    let join = |id: &str, name: &str, capabilities: Value, machine: &str, ttl: u64| {
        let call = json!({"agent_id": id, "name": name, "capabilities": capabilities,
            "machine": machine, "description": format!("The {name}"), "ttl": ttl});
        assert_eq!(relay.post("/register", &call).status, 200);
    };
    join("a1", "Anna", json!(["rust", "tests"]), "forge", 60);
    join("b1", "Bert", json!(["rust"]), "laptop", 60);
    relay.register("gone");
    let found = |query: &str| {
        let reply = relay.get(&format!("/discover?{query}")).json();
        let agents = reply["agents"].as_array().cloned().unwrap_or_default();
        let ids = agents
            .iter()
            .map(|a| a["agent_id"].as_str().unwrap_or_default().to_owned());
        assert_eq!(reply["count"], agents.len());
        ids.collect::<Vec<_>>().join(" ")
    };
    eventually("one of them is stale", || {
        (found("") == "a1 b1").then_some(())
    });
    for (query, ids) in [
        ("all=1", "a1 b1 gone"),
        ("all=0", "a1 b1"),
        ("capability=rust", "a1 b1"),
        ("capability=rust&machine=forge", "a1"),
        ("name=Bert", "b1"),
        ("name=bert", ""),
        ("q=the%20BERT", "b1"),
        ("q=tests", "a1"),
        ("q=gon&all=1", "gone"),
        ("capability=rus", ""),
    ] {
        assert_eq!(found(query), ids, "{query}");
    }
    let all = relay.get("/discover?all=1&limit=2").json();
    let rest = all["next_cursor"].as_str().expect("there is more");
    assert_eq!(found(&format!("all=1&cursor={rest}")), "gone");
    assert_eq!(relay.get("/discover?all=yes").status, 400);
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
