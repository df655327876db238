//! Files that several agents edit: nobody overwrites what he has not seen, and what was there before
//! can be had again.

use harness::{Relay, Reply, Value, is_rfc3339_utc, json};
use std::collections::BTreeMap;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Writes a file with these further fields.
fn put(relay: &Relay, key: &str, agent: &str, content: &str, more: Value) -> Reply {
    let mut call = json!({"file_key": key, "agent_id": agent, "content": content});
    let fields = call.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    relay.post("/files", &call)
}

/// Writes a file with a header.
fn put_if(relay: &Relay, key: &str, header: (&str, &str), content: &str) -> Reply {
    let call = json!({"file_key": key, "agent_id": "a", "content": content});
    relay.request(
        "POST",
        "/files",
        &[JSON, header],
        call.to_string().as_bytes(),
    )
}

fn delete(relay: &Relay, key: &str, headers: &[(&str, &str)]) -> Reply {
    relay.request("DELETE", &format!("/files/{key}"), headers, b"")
}

fn content(relay: &Relay, key: &str) -> Value {
    relay.get(&format!("/files/{key}")).json()["content"].clone()
}

#[test]
fn a_write_from_a_version_that_is_not_the_current_one_is_refused_and_says_who_wrote_that() {
    let relay = Relay::start();
    let refused = put(&relay, "k", "a", "x", json!({"base_version": 1}));
    assert_eq!(
        (refused.status, refused.code()),
        (409, "version_conflict".into())
    );
    assert_eq!(refused.json()["current_version"], 0);
    let first = put(&relay, "k", "a", "1", json!({"base_version": 0}));
    assert_eq!((first.status, &first.json()["version"]), (200, &json!(1)));
    let second = put(&relay, "k", "b", "2", json!({"base_version": 1}));
    assert_eq!((second.status, &second.json()["version"]), (200, &json!(2)));
    for base in [0, 1, 3] {
        let refused = put(&relay, "k", "a", "mine", json!({"base_version": base}));
        assert_eq!(refused.status, 409, "{base}");
        let body = refused.json();
        assert_eq!(
            (&body["current_version"], &body["last_editor"]),
            (&json!(2), &json!("b"))
        );
    }
    assert_eq!(content(&relay, "k"), "2");
    let blind = put(&relay, "k", "a", "3", json!({}));
    assert_eq!(
        blind.json()["version"],
        3,
        "without a base the last one wins"
    );
}

#[test]
fn the_headers_of_http_ask_the_same_and_are_answered_with_its_own_status() {
    let relay = Relay::start();
    for (header, status) in [
        (("If-Match", "*"), 412),
        (("If-Match", "\"1\""), 412),
        (("If-None-Match", "*"), 200),
        (("If-None-Match", "*"), 412),
        (("If-Match", "\"1\""), 200),
        (("If-Match", "\"1\""), 412),
        (("If-Match", "2"), 200),
        (("If-Match", "*"), 200),
        (("If-Match", "\"x\""), 400),
        (("If-None-Match", "\"4\""), 400),
    ] {
        let reply = put_if(&relay, "k", header, "x");
        assert_eq!(reply.status, status, "{header:?}: {}", reply.text);
        if status == 412 {
            assert_eq!(reply.code(), "version_conflict");
            assert!(reply.json()["current_version"].is_u64());
        }
    }
    assert_eq!(relay.get("/files/k").json()["version"], 4);
    let two = json!({"file_key": "k", "agent_id": "a", "content": "x", "base_version": 3});
    let two = relay.request(
        "POST",
        "/files",
        &[JSON, ("If-Match", "\"4\"")],
        two.to_string().as_bytes(),
    );
    assert_eq!(two.status, 400);
}

#[test]
fn a_base_of_another_epoch_counts_as_none() {
    let relay = Relay::start();
    let epoch = relay.get("/").json()["epoch"].clone();
    put(&relay, "k", "a", "1", json!({}));
    let old = json!({"base_version": 1, "base_epoch": "before"});
    assert_eq!(put(&relay, "k", "a", "2", old.clone()).status, 409);
    assert_eq!(put(&relay, "new", "a", "2", old).status, 200);
    let here = json!({"base_version": 1, "base_epoch": epoch});
    assert_eq!(put(&relay, "k", "a", "2", here).status, 200);
}

#[test]
fn a_reader_that_has_the_version_is_not_sent_it_again() {
    let relay = Relay::start();
    put(&relay, "k", "a", "1", json!({}));
    let read = |known: &str| relay.request("GET", "/files/k", &[("If-None-Match", known)], b"");
    let full = relay.get("/files/k");
    assert_eq!((full.status, full.header("ETag")), (200, Some("\"1\"")));
    let same = read("\"1\"");
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(same.header("ETag"), Some("\"1\""));
    put(&relay, "k", "a", "2", json!({}));
    assert_eq!(read("\"1\"").json()["content"], "2");
    assert_eq!(read("\"1\", \"2\"").status, 304);
    let old = relay.get("/files/k?version=1");
    assert_eq!(
        (old.header("ETag"), &old.json()["content"]),
        (Some("\"1\""), &json!("1"))
    );
}

#[test]
fn twenty_versions_before_the_current_one_can_be_read() {
    let relay = Relay::start();
    for n in 1..=25 {
        put(
            &relay,
            "k",
            if n % 2 == 0 { "b" } else { "a" },
            &"x".repeat(n),
            json!({}),
        );
    }
    let history = relay.get("/files/k?history=1").json();
    let versions = history["versions"].as_array().expect("versions");
    assert_eq!((&history["count"], versions.len()), (&json!(21), 21));
    for (at, version) in versions.iter().enumerate() {
        let n = 25 - at;
        assert_eq!(
            (&version["version"], &version["size"]),
            (&json!(n), &json!(n))
        );
        assert_eq!(version["last_editor"], if n % 2 == 0 { "b" } else { "a" });
        assert_eq!(
            (&version["file_type"], version.get("deleted")),
            (&json!("text"), None)
        );
        assert!(is_rfc3339_utc(&version["updated_at"]));
        assert_eq!(
            relay.get(&format!("/files/k?version={n}")).json()["content"],
            "x".repeat(n)
        );
    }
    let gone = relay.get("/files/k?version=4");
    assert_eq!((gone.status, gone.code()), (404, "not_found".into()));
    assert!(gone.text.contains("is not kept"), "{}", gone.text);
    for query in [
        "version=x",
        "history=2",
        "history=1&version=5",
        "version=-1",
    ] {
        assert_eq!(
            relay.get(&format!("/files/k?{query}")).status,
            400,
            "{query}"
        );
    }
    assert_eq!(relay.get("/files/none?history=1").code(), "not_found");
}

#[test]
fn old_versions_give_way_to_new_ones_and_current_ones_never() {
    let relay = Relay::with(&["--file-limit", "4096", "--files-limit", "16384"]);
    let big = "x".repeat(4000);
    for _ in 0..6 {
        assert_eq!(put(&relay, "a", "w", &big, json!({})).status, 200);
    }
    let kept = relay.get("/files/a?history=1").json();
    assert_eq!(
        (&kept["count"], &kept["versions"][0]["version"]),
        (&json!(3), &json!(6))
    );
    for key in ["b", "c"] {
        assert_eq!(put(&relay, key, "w", &big, json!({})).status, 200);
    }
    let full = put(&relay, "d", "w", &big, json!({}));
    assert_eq!((full.status, full.code()), (507, "relay_full".into()));
    assert_eq!(relay.get("/files/a?history=1").json()["count"], 1);
    for key in ["a", "b", "c"] {
        assert_eq!(content(&relay, key), big, "{key}");
    }
}

#[test]
fn a_deleted_file_is_gone_is_told_of_and_counts_on_when_it_comes_back() {
    let relay = Relay::start();
    relay.register("a");
    relay.register("b");
    let by_a = ("X-Agent-Id", "a");
    put(&relay, "d/k", "a", "1", json!({}));
    put(&relay, "d/k", "a", "2", json!({}));
    assert_eq!(delete(&relay, "d/k", &[]).status, 400);
    assert_eq!(delete(&relay, "d/k", &[("X-Agent-Id", "a b")]).status, 400);
    assert_eq!(delete(&relay, "none", &[by_a]).code(), "not_found");
    let changed = delete(&relay, "d/k", &[by_a, ("If-Match", "\"1\"")]);
    assert_eq!(
        (changed.status, changed.code()),
        (412, "version_conflict".into())
    );
    let gone = delete(&relay, "d/k", &[by_a, ("If-Match", "\"2\"")]);
    assert_eq!(
        (&gone.json()["status"], &gone.json()["version"]),
        (&json!("deleted"), &json!(3))
    );
    assert_eq!(relay.get("/files/d/k").status, 404);
    assert_eq!(delete(&relay, "d/k", &[by_a]).status, 404);
    assert_eq!(relay.get("/files").json()["count"], 0);
    assert_eq!(relay.get("/").json()["shared_files"], 0);
    let history = relay.get("/files/d/k?history=1").json()["versions"].clone();
    assert_eq!(history[0]["deleted"], true);
    assert_eq!(
        (&history[0]["version"], &history[0]["size"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(relay.get("/files/d/k?version=2").json()["content"], "2");
    assert_eq!(relay.get("/files/d/k?version=3").code(), "not_found");
    let unseen = put(&relay, "d/k", "b", "x", json!({"base_version": 2})).json();
    assert_eq!(
        (&unseen["current_version"], &unseen["deleted"]),
        (&json!(3), &json!(true))
    );
    let back = put(&relay, "d/k", "b", "4", json!({"base_version": 0})).json();
    assert_eq!(back["version"], 4);
    let heard = relay.poll("b");
    let told: Vec<_> = heard
        .iter()
        .map(|notice| {
            (
                &notice["from_version"],
                &notice["version"],
                notice.get("deleted"),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (&json!(0), &json!(1), None),
            (&json!(1), &json!(2), None),
            (&json!(2), &json!(3), Some(&json!(true)))
        ]
    );
    assert_eq!(relay.poll("a")[0]["from_version"], 3);
}

#[test]
fn a_repeated_conditional_write_or_deletion_is_answered_as_the_first() {
    let relay = Relay::start();
    let keyed = |headers: &[(&str, &str)], method: &str, path: &str, body: &str| {
        let headers = [
            headers,
            &[("Idempotency-Key", "k1"), ("X-Agent-Id", "a"), JSON],
        ]
        .concat();
        relay.request(method, path, &headers, body.as_bytes())
    };
    let call = json!({"file_key": "k", "agent_id": "a", "content": "x", "base_version": 0});
    let call = call.to_string();
    assert_eq!(keyed(&[], "POST", "/files", &call).json()["version"], 1);
    let again = keyed(&[], "POST", "/files", &call).json();
    assert_eq!(
        (&again["version"], &again["replayed"]),
        (&json!(1), &json!(true))
    );
    let other = keyed(&[("If-None-Match", "*")], "POST", "/files", &call);
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(keyed(&[], "DELETE", "/files/k", "").json()["version"], 2);
    let again = keyed(&[], "DELETE", "/files/k", "").json();
    assert_eq!(
        (&again["version"], &again["replayed"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(keyed(&[], "DELETE", "/files/j", "").status, 422);
}

/// Many threads write from the version they have just read. Whatever the order was, each write that
/// was taken came from the version right before it, and no version is missing or there twice.
#[test]
fn conditional_writes_of_many_at_once_are_one_line_of_versions() {
    let relay = Relay::start();
    let (writers, each) = (8, 25);
    let taken: Vec<(u64, u64, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let relay = &relay;
                scope.spawn(move || edits(relay, writer, each))
            })
            .collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("a writer"));
        results.flatten().collect()
    });
    let line: BTreeMap<u64, (u64, String)> = taken
        .iter()
        .map(|(base, version, text)| (*version, (*base, text.clone())))
        .collect();
    assert_eq!((line.len(), taken.len()), (writers * each, writers * each));
    for (at, (version, (base, _))) in line.iter().enumerate() {
        assert_eq!((*version, *base), (at as u64 + 1, at as u64));
    }
    let history = relay.get("/files/k?history=1").json()["versions"].clone();
    for kept in history.as_array().expect("versions") {
        let version = kept["version"].as_u64().expect("a number");
        let read = relay.get(&format!("/files/k?version={version}")).json();
        assert_eq!(read["content"], line[&version].1);
    }
}

/// Writes until so many were taken: base, version and text of each.
fn edits(relay: &Relay, writer: usize, each: usize) -> Vec<(u64, u64, String)> {
    let mut taken = Vec::new();
    let mut base = 0;
    while taken.len() < each {
        let text = format!("{writer}:{}", taken.len());
        let reply = put(
            relay,
            "k",
            &format!("w{writer}"),
            &text,
            json!({"base_version": base}),
        );
        let body = reply.json();
        if reply.status == 200 {
            let version = body["version"].as_u64().expect("a version");
            taken.push((base, version, text));
            base = version;
        } else {
            assert_eq!(body["code"], "version_conflict", "{body}");
            let current = body["current_version"].as_u64().expect("a version");
            assert!(current != base, "refused without a reason: {body}");
            base = current;
        }
    }
    taken
}
