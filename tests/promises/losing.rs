//! A call whose reply was lost is made again only where the relay does it once all the same.

use harness::stub::Request;
use harness::{Answer, Client, Relay, Stub, Value, http, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const CALLS: [&[&str]; 4] = [
    &["delegate", "--to=a", "--task=t"],
    &["respond", "--to=a", "--msg-id=m", "--result=r"],
    &["broadcast", "--content=c"],
    &["file-put", "--key=k", "--file=/dev/null"],
];

/// What a relay answers when all is well; an original has no epoch.
fn answer(request: &Request, epoch: Option<&str>) -> Value {
    let status = match request.line.as_str() {
        "POST /register" => "registered",
        "POST /delegate" => "delegated",
        "POST /respond" => "response_sent",
        "POST /broadcast" => "broadcast_sent",
        "POST /files" => "saved",
        _ => return json!({"agents": []}),
    };
    let mut reply = json!({"status": status, "agent": {"agent_id": "me"}, "message_id": "m"});
    if let Some(epoch) = epoch {
        reply["epoch"] = json!(epoch);
    }
    reply
}

/// A relay that loses as many replies to each kind of sending as it is told, and somebody who is
/// registered there.
fn forgetful(lost: usize, epoch: Option<&'static str>) -> (Stub, Client) {
    let mut lines: Vec<String> = Vec::new();
    let stub = Stub::start(move |request| {
        let sends = request.line.starts_with("POST") && request.line != "POST /register";
        let before = lines.iter().filter(|line| **line == request.line).count();
        lines.push(request.line.clone());
        match sends && before < lost {
            true => Answer::broken(),
            false => Answer::ok(answer(request, epoch)),
        }
    });
    let client = Client::at(Some(stub.url()));
    client.run(&["register", "--name", "n"]).ok();
    (stub, client)
}

fn sent(stub: &Stub) -> Vec<Request> {
    let requests = stub.requests().into_iter();
    requests
        .filter(|request| request.line.starts_with("POST") && request.line != "POST /register")
        .collect()
}

fn key(request: &Request) -> String {
    let key = request.header("Idempotency-Key").expect("a key").to_owned();
    assert!(
        (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()),
        "{key:?}"
    );
    key
}

#[test]
fn a_lost_reply_is_asked_for_again_under_the_same_key_with_the_same_bytes() {
    let (stub, client) = forgetful(2, Some("e"));
    for call in CALLS {
        client.run(call).ok();
    }
    let sent = sent(&stub);
    assert_eq!(sent.len(), 12);
    let mut keys = BTreeSet::new();
    for tries in sent.chunks(3) {
        keys.insert(key(&tries[0]));
        for again in &tries[1..] {
            assert_eq!(
                (&again.line, &again.body, key(again)),
                (&tries[0].line, &tries[0].body, key(&tries[0]))
            );
        }
    }
    assert_eq!(keys.len(), 4, "each call has a key of its own");
}

/// Between the two stands something that loses the first reply to everything that is sent.
#[test]
fn the_relay_does_it_once() {
    let relay = Relay::start();
    relay.register("a");
    let address = relay.address;
    let mut lost: BTreeSet<String> = BTreeSet::new();
    let stub = Stub::start(move |request| {
        let (method, path) = request.line.split_once(' ').expect("a request line");
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(
            request
                .header("Idempotency-Key")
                .map(|key| ("Idempotency-Key", key)),
        );
        let reply = http::request(address, method, path, &headers, request.body.as_bytes());
        match path != "/register" && lost.insert(path.to_owned()) {
            true => Answer::broken(),
            false => Answer::Json(reply.status, reply.json()),
        }
    });
    let client = Client::at(Some(stub.url()));
    client.run(&["register", "--name", "n"]).ok();
    for call in CALLS {
        let replayed = client.run(&[call, &["--json"]].concat()).ok().json();
        assert_eq!(replayed[0]["replayed"], true, "{call:?}");
    }
    assert_eq!(sent(&stub).len(), 8);
    let mail = relay.poll("a");
    let kinds: Vec<&str> = mail.iter().filter_map(|m| m["type"].as_str()).collect();
    let once = [
        "task_delegation",
        "task_response",
        "knowledge_broadcast",
        "file_updated",
    ];
    assert_eq!(kinds, once);
    assert_eq!(relay.get("/files/k").json()["version"], 1);
}

#[test]
fn it_is_asked_for_until_the_time_is_up_and_then_called_unknown() {
    let (stub, client) = forgetful(usize::MAX, Some("e"));
    let began = Instant::now();
    let line = [CALLS[0], &["--timeout", "1"]].concat();
    let outcome = client.run(&line).exits(6);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(
        outcome
            .err
            .contains("whether the relay took the request is unknown"),
        "{outcome:?}"
    );
    let keys: BTreeSet<String> = sent(&stub).iter().map(key).collect();
    assert!(keys.len() == 1 && sent(&stub).len() > 2, "{keys:?}");
}

#[test]
fn an_original_would_do_it_twice_and_is_asked_once() {
    let (stub, client) = forgetful(1, None);
    for call in CALLS {
        let outcome = client.run(call).exits(6);
        assert!(
            outcome
                .err
                .contains("whether the relay took the request is unknown"),
            "{outcome:?}"
        );
    }
    let sent = sent(&stub);
    assert_eq!(sent.len(), 4);
    for request in sent {
        assert_eq!(request.header("Idempotency-Key"), None, "{}", request.line);
    }
}
