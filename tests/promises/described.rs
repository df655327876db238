//! `GET /openapi.json` tells what the relay does: its real replies are held against it.

use harness::{Relay, Reply, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A relay each of whose replies is held against its own document. In it unknown fields are let
/// pass, as a newer relay may have them; here a field that is not told is a fault.
struct Described {
    relay: Relay,
    document: Value,
    /// Call and status of each reply so far.
    seen: RefCell<BTreeSet<(String, u16)>>,
}

impl Described {
    fn with(options: &[&str]) -> Described {
        let relay = Relay::with(options);
        let mut document = relay.get("/openapi.json").json();
        let schemas = document["components"]["schemas"].as_object_mut();
        for schema in schemas.expect("the schemas").values_mut() {
            if schema["type"] == "object"
                || ["oneOf", "anyOf"].iter().any(|of| schema.get(of).is_some())
            {
                schema["unevaluatedProperties"] = json!(false);
            }
        }
        let seen = RefCell::default();
        Described {
            relay,
            document,
            seen,
        }
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let reply = self.relay.request(method, path, headers, body.as_bytes());
        self.judge(method, path, &reply);
        reply
    }

    fn get(&self, path: &str) -> Value {
        let reply = self.call("GET", path, &[], "");
        serde_json_or_null(&reply.text)
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let headers = [("Content-Type", "application/json")];
        self.call("POST", path, &headers, &body.to_string()).json()
    }

    /// The path of the document that this one is.
    fn pattern(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.document["paths"].as_object().expect("the paths");
        let is = |pattern: &&String| {
            let (mut own, mut wanted) = (path.split('/'), pattern.split('/'));
            loop {
                match (own.next(), wanted.next()) {
                    (None, None) => return true,
                    // The key of a file may have slashes.
                    (Some(_), Some("{file_key}")) => return true,
                    (Some(_), Some(part)) if part.starts_with('{') => {}
                    (Some(own), Some(part)) if own == part => {}
                    _ => return false,
                }
            }
        };
        let found = paths.keys().find(|pattern| *pattern == path);
        let found = found.or_else(|| paths.keys().find(is));
        found
            .unwrap_or_else(|| panic!("{path} is not told"))
            .clone()
    }

    fn judge(&self, method: &str, path: &str, reply: &Reply) {
        let (pattern, status) = (self.pattern(path), reply.status);
        let call = format!("{method} {pattern}");
        let told = &self.document["paths"][&pattern][method.to_lowercase()]["responses"];
        let mut told = &told[status.to_string()];
        assert!(
            told.is_object(),
            "{call}: {status} is not told: {}",
            reply.text
        );
        if let Some(reference) = told["$ref"].as_str() {
            told = self.document.pointer(&reference[1..]).expect("a reply");
        }
        self.seen.borrow_mut().insert((call.clone(), status));
        let Some(content) = told["content"].as_object() else {
            return assert_eq!(reply.text, "", "{call}");
        };
        let (kind, content) = content.iter().next().expect("a type");
        let real = reply.header("Content-Type").unwrap_or_default();
        assert_eq!(real.split(';').next(), Some(kind.as_str()), "{call}");
        if kind != "application/json" {
            return;
        }
        let body = reply.json();
        let errors = self.errors(&content["schema"], &body);
        assert!(errors.is_empty(), "{call} {status}: {errors:?}\n{body:#}");
    }

    /// In what a body is not as its schema tells.
    fn errors(&self, schema: &Value, body: &Value) -> Vec<String> {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors = validator.iter_errors(body);
        let told = errors.map(|error| format!("{}: {error}", error.instance_path()));
        told.collect()
    }
}

fn serde_json_or_null(text: &str) -> Value {
    harness::Reply {
        status: 200,
        head: String::new(),
        text: if text.starts_with('{') { text } else { "null" }.to_owned(),
    }
    .json()
}

const KEY: (&str, &str) = ("Idempotency-Key", "k");

/// One call after the other, so that each is answered as it should be at least once.
fn tour(relay: &Described) {
    for path in ["/", "/health", "/metrics", "/openapi.json"] {
        relay.get(path);
    }
    for agent in ["a", "b", "c"] {
        let who = json!({"agent_id": agent, "name": agent, "capabilities": ["x"], "topics": ["t"]});
        relay.post("/register", who);
    }
    relay.post("/register", json!({"agent_id": "other", "name": "a2"}));
    relay.post(
        "/subscribe",
        json!({"agent_id": "a", "topics": ["t", "general"]}),
    );
    relay.post("/heartbeat", json!({"agent_id": "a"}));
    relay.get("/discover?all=1&limit=1");
    let task = json!({"from_agent": "a", "to_agent": "b", "task": {"any": [1]}, "thread_id": "g", "context": null}).to_string();
    for _ in 0..2 {
        relay.call("POST", "/delegate", &[KEY], &task);
    }
    let other = task.replace("[1]", "[2]");
    assert_eq!(relay.call("POST", "/delegate", &[KEY], &other).status, 422);
    let finding = json!({"from_agent": "a", "content": "c", "topic": "t", "tags": ["g"]});
    relay.post("/broadcast", finding);
    relay.get("/broadcasts?limit=1&topic=t");
    relay.get("/poll/nobody");
    relay.get("/poll/b?peek=1");
    let leased = relay.get("/poll/b?lease=60&max=1");
    let batch = leased["batch"].as_str().unwrap_or_default().to_owned();
    relay.post(
        "/ack",
        json!({"agent_id": "b", "batch": batch, "action": "extend", "lease": 9}),
    );
    relay.post("/ack", json!({"agent_id": "b", "receipts": ["none"]}));
    relay.get(&format!("/poll/b?ack={batch}&max=5"));
    relay.get("/poll/b?ack=none");
    tasks(relay);
    strangers(relay);
    files(relay);
    let reserve = |agent: &str| json!({"agent_id": agent, "pattern": "src/**", "reason": "r"});
    let id = relay.post("/reservations", reserve("a"))["id"].clone();
    assert_eq!(
        relay.post("/reservations", reserve("b"))["code"],
        "reserved"
    );
    relay.get("/reservations?path=src/x&agent=a&limit=1");
    let path = format!("/reservations/{}", id.as_str().unwrap_or_default());
    for (agent, wanted) in [("b", 403), ("a", 200), ("a", 404)] {
        let headers = [("X-Agent-Id", agent)];
        assert_eq!(relay.call("DELETE", &path, &headers, "").status, wanted);
    }
    relay.post("/deregister", json!({"agent_id": "other"}));
    refusals(relay);
}

fn tasks(relay: &Described) {
    let delegate = || json!({"from_agent": "a", "to_agent": "c", "task": "t"});
    let id = |reply: Value| reply["message_id"].as_str().expect("an id").to_owned();
    let task = id(relay.post("/delegate", delegate()));
    relay.get("/poll/c");
    let answer = |status: &str| {
        relay.post(
            "/respond",
            json!({"from_agent": "c", "message_id": task, "result": "r", "status": status}),
        )
    };
    answer("input_required");
    let input = json!({"from_agent": "a", "content": "c"});
    relay.post(&format!("/tasks/{task}/input"), input.clone());
    assert_eq!(answer("completed")["applied"], true);
    assert_eq!(answer("failed")["applied"], false);
    let after = relay.post(&format!("/tasks/{task}/input"), input);
    assert_eq!(after["code"], "task_ended");
    relay.get(&format!("/tasks/{task}?wait=1&until=changed&rev=1"));
    relay.get("/tasks/none");
    relay.get("/tasks?from=a&state=ended&limit=1");
    let task = id(relay.post("/delegate", delegate()));
    relay.get("/poll/c");
    relay.post(&format!("/tasks/{task}/cancel"), json!({"from_agent": "a"}));
    relay.get("/poll/a");
    relay.get("/poll/c");
    relay.post(
        "/delegate",
        json!({"from_agent": "a", "to_agent": "other", "task": "dies"}),
    );
    relay.post("/deregister", json!({"agent_id": "other"}));
    // The dead letters are told of a death, and tell the sender, in turn.
    let listed = harness::eventually("a dead letter", || {
        let listed = relay.get("/dead-letters?agent=other");
        (listed["count"] == 1).then_some(listed)
    });
    let ids = json!([listed["dead_letters"][0]["message"]["message_id"], "none"]);
    relay.post("/dead-letters/redeliver", json!({"message_ids": ids}));
    assert_eq!(
        relay.get("/poll/a")["messages"][0]["type"],
        "delivery_failed"
    );
    relay.post("/register", json!({"agent_id": "other", "name": "a2"}));
}

/// What who shows no secret is told of a claimed agent.
fn strangers(relay: &Described) {
    let secret = "5e".repeat(32);
    let own = [("X-Agent-Secret", &*secret)];
    let agent = json!({"agent_id": "own"});
    let claim = || relay.call("POST", "/register", &own, &agent.to_string());
    assert_eq!(claim().status, 200);
    assert_eq!(
        relay.post("/register", agent.clone())["code"],
        "agent_claimed"
    );
    let refused = relay.post("/heartbeat", agent.clone());
    assert_eq!(refused["reason"], "secret_required");
    let task = json!({"from_agent": "own", "to_agent": "own", "task": "t"}).to_string();
    let sent = relay.call("POST", "/delegate", &own, &task).json();
    let id = sent["message_id"].as_str().expect("an id");
    let ids = relay.get(&format!("/tasks/{id}"));
    assert_eq!(ids["task"].get("task"), None, "{ids}");
    relay.get("/tasks");
    let gone = relay.call("POST", "/deregister", &own, &agent.to_string());
    assert_eq!(gone.status, 200);
    harness::eventually("a dead letter", || {
        let listed = relay.get("/dead-letters?agent=own");
        let message = &listed["dead_letters"][0]["message"];
        (message["message_id"] == id && message.get("task").is_none()).then_some(())
    });
    let whole = relay
        .call("GET", "/dead-letters?agent=own", &own, "")
        .json();
    assert_eq!(whole["dead_letters"][0]["message"]["task"], "t");
}

fn files(relay: &Described) {
    let put = |content: &str, more: Value| {
        let mut call = json!({"file_key": "x/k", "content": content, "agent_id": "a"});
        for (name, value) in more.as_object().into_iter().flatten() {
            call[name] = value.clone();
        }
        relay.post("/files", call)
    };
    put("a\nb\nc\n", json!({}));
    put("A\nb\nc\n", json!({"base_version": 1}));
    assert_eq!(
        put("x", json!({"base_version": 1}))["code"],
        "version_conflict"
    );
    let merged = put("a\nb\nC\n", json!({"base_version": 1, "merge": true}));
    assert_eq!(merged["status"], "merged");
    put("b\nb\nc\n", json!({"base_version": 1, "merge": true}));
    put("AA==", json!({"encoding": "base64"}));
    relay.get("/files?limit=1");
    relay.get("/files/x/k");
    relay.get("/files/x/k?history=1");
    relay.get("/files/x/k?version=99");
    relay.call("GET", "/files/x/k", &[("If-None-Match", "*")], "");
    let editor = ("X-Agent-Id", "a");
    for (matches, wanted) in [("1", 412), ("*", 200), ("*", 404)] {
        let headers = [editor, ("If-Match", matches)];
        assert_eq!(
            relay.call("DELETE", "/files/x/k", &headers, "").status,
            wanted
        );
    }
    assert_eq!(
        relay.call("DELETE", "/files/x/k", &[editor], "").status,
        404
    );
    relay.get("/files/x/k?history=1");
    relay.get("/poll/b");
}

fn refusals(relay: &Described) {
    for path in [
        "/register",
        "/delegate",
        "/respond",
        "/broadcast",
        "/ack",
        "/files",
    ] {
        assert_eq!(relay.call("POST", path, &[], "{").status, 400);
        let form = [("Content-Type", "text/plain")];
        assert_eq!(relay.call("POST", path, &form, "{}").status, 415);
    }
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(3_000));
    assert_eq!(relay.call("POST", "/delegate", &[], &long).status, 413);
    relay.call("GET", "/ws/a", &[], "");
    for query in [
        "/poll/a?wait=99",
        "/discover?limit=0",
        "/tasks?state=no",
        "/files/k?history=2",
    ] {
        assert_eq!(relay.call("GET", query, &[], "").status, 400);
    }
    let foreign = [("Origin", "http://page.example")];
    assert_eq!(relay.call("GET", "/", &foreign, "").status, 403);
    let send = |to: &str| {
        relay.post(
            "/delegate",
            json!({"from_agent": "a", "to_agent": to, "task": "t"}),
        )
    };
    assert_eq!(send("nobody")["code"], "unknown_agent");
    for agent in ["d", "e"] {
        relay.post("/register", json!({"agent_id": agent, "name": "twin"}));
    }
    assert_eq!(send("twin")["code"], "ambiguous_agent");
    for _ in 0..4 {
        send("b");
    }
    assert_eq!(send("b")["code"], "inbox_full");
    let many = (0..9).map(|n| relay.post("/register", json!({"agent_id": format!("m{n}")})));
    let codes: Vec<Value> = many.map(|reply| reply["code"].clone()).collect();
    assert_eq!(codes.last(), Some(&json!("relay_full")));
    let mut parent = Value::Null;
    let chain = (0..9).map(|_| {
        let call = json!({"from_agent": "b", "to_agent": "m0", "task": "t", "parent_id": parent});
        relay.get("/poll/m0");
        let reply = relay.post("/delegate", call);
        parent = reply["message_id"].clone();
        reply
    });
    assert_eq!(chain.last().expect("nine")["code"], "too_deep");
}

#[test]
fn every_call_replies_as_the_document_tells() {
    let options = [
        "--body-limit",
        "2048",
        "--inbox-limit",
        "4",
        "--agents-limit",
        "8",
    ];
    let relay = Described::with(&options);
    tour(&relay);
    // None was left out: each was answered well at least once.
    let seen = relay.seen.borrow();
    for (path, calls) in relay.document["paths"].as_object().expect("the paths") {
        for (method, _) in calls.as_object().expect("the calls") {
            let call = format!("{} {path}", method.to_uppercase());
            let well = path == "/ws/{agent_id}" || seen.contains(&(call.clone(), 200));
            assert!(well, "{call} was not tried");
        }
    }
    let statuses: BTreeSet<u16> = seen.iter().map(|(_, status)| *status).collect();
    let all = [200, 304, 400, 403, 404, 409, 412, 413, 415, 422, 429, 507];
    assert_eq!(statuses, BTreeSet::from(all));
}

#[test]
fn a_field_more_a_field_less_and_another_type_are_found() {
    let relay = Described::with(&[]);
    let schema = json!({"$ref": "#/components/schemas/Polled"});
    let well = relay.relay.get("/poll/nobody").json();
    assert_eq!(relay.errors(&schema, &well), [""; 0]);
    let mut wrong = [well.clone(), well.clone(), well.clone(), well];
    wrong[0]["more"] = json!(1);
    wrong[1]["count"] = json!("1");
    wrong[2]["messages"] = json!([{"type": "no such"}]);
    wrong[3].as_object_mut().expect("an object").remove("epoch");
    for wrong in wrong {
        assert!(!relay.errors(&schema, &wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn the_token_and_a_missing_method_are_told_as_they_are() {
    let relay = Relay::with(&["--token", "t0ken"]);
    assert_eq!(relay.get("/openapi.json").status, 401);
    let bearer = ("Authorization", "Bearer t0ken");
    let reply = relay.request("GET", "/openapi.json", &[bearer], b"");
    assert_eq!(reply.json()["openapi"], "3.1.0");
    for (path, allowed) in [
        ("/files", "GET, HEAD, POST"),
        ("/poll/a", "GET"),
        ("/ack", "POST"),
    ] {
        let reply = relay.request("PUT", path, &[bearer], b"");
        assert_eq!((reply.status, reply.header("Allow")), (405, Some(allowed)));
    }
}
