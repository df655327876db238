//! Changes of several writers to one text go together line by line, or neither is lost in silence.

use harness::{Relay, Reply, Value, dice, json};

/// Writes a file made from this version, to be merged.
fn merge(relay: &Relay, agent: &str, base: u64, content: &str) -> Reply {
    let call = json!({
        "file_key": "k", "agent_id": agent, "content": content, "base_version": base, "merge": true,
    });
    relay.post("/files", &call)
}

fn put(relay: &Relay, content: &Value) {
    let call = json!({"file_key": "k", "agent_id": "w", "content": content});
    assert_eq!(relay.post("/files", &call).status, 200);
}

fn content(relay: &Relay) -> String {
    let file = relay.get("/files/k").json();
    file["content"].as_str().expect("text").to_owned()
}

fn numbered(lines: usize) -> Vec<String> {
    (0..lines).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn what_two_have_changed_in_different_places_is_merged_to_the_last_byte() {
    let relay = Relay::start();
    relay.register("b");
    let base = "one\r\ntwo\n\nthree";
    let first = merge(&relay, "a", 0, base).json();
    assert_eq!(
        (&first["status"], &first["version"]),
        (&json!("saved"), &json!(1))
    );
    let call = json!({"file_key": "k", "agent_id": "a", "content": "ONE\r\ntwo\n\nthree",
                      "base_version": 1, "file_type": "markdown"});
    relay.post("/files", &call);
    let merged = merge(&relay, "c", 1, "one\r\ntwo\n\nTHREE\n").json();
    let whole = "ONE\r\ntwo\n\nTHREE\n";
    assert_eq!(
        (&merged["status"], &merged["version"], &merged["size"]),
        (&json!("merged"), &json!(3), &json!(whole.len()))
    );
    assert_eq!(content(&relay), whole);
    let file = relay.get("/files/k").json();
    assert_eq!(
        (&file["last_editor"], &file["file_type"]),
        (&json!("c"), &json!("markdown"))
    );
    assert_eq!(relay.poll("b")[2]["from_version"], 2);
    let again = merge(&relay, "c", 3, "x").json();
    assert_eq!(again["status"], "saved", "nobody has written meanwhile");
}

#[test]
fn a_conflict_writes_nothing_and_gives_both_texts_between_markers() {
    let relay = Relay::start();
    merge(&relay, "a", 0, "one\ntwo\nthree\n");
    merge(&relay, "a", 1, "one\n2\nthree\n");
    let refused = merge(&relay, "b", 1, "one\nzwei\nthree\n");
    assert_eq!(
        (refused.status, refused.code()),
        (409, "version_conflict".into())
    );
    let body = refused.json();
    assert_eq!(
        (&body["current_version"], &body["last_editor"]),
        (&json!(2), &json!("a"))
    );
    assert_eq!(
        body["merged_content"],
        "one\n<<<<<<< version 2 by a\n2\n||||||| version 1\ntwo\n=======\nzwei\n>>>>>>> sent by b\nthree\n"
    );
    assert_eq!(content(&relay), "one\n2\nthree\n");
    let new = merge(&relay, "b", 0, "zero\n").json();
    assert!(
        new["merged_content"]
            .as_str()
            .expect("text")
            .contains("zero")
    );
    let header = [("Content-Type", "application/json"), ("If-Match", "\"1\"")];
    let call = json!({"file_key": "k", "agent_id": "b", "content": "x\n", "merge": true});
    let asked = relay.request("POST", "/files", &header, call.to_string().as_bytes());
    assert_eq!(
        (asked.status, asked.code()),
        (412, "version_conflict".into())
    );
}

#[test]
fn what_cannot_be_merged_is_refused_with_the_reason() {
    let relay = Relay::start();
    for n in 0..23 {
        put(&relay, &json!(format!("{n}\n")));
    }
    let gone = merge(&relay, "a", 2, "x\n").json();
    assert_eq!(
        (&gone["code"], &gone["reason"]),
        (&json!("version_conflict"), &json!("base_gone"))
    );
    assert_eq!(
        (&gone["current_version"], gone.get("merged_content")),
        (&json!(23), None)
    );
    assert_eq!(merge(&relay, "a", 99, "x\n").json()["reason"], "base_gone");
    put(&relay, &json!({"no": "text"}));
    assert_eq!(merge(&relay, "a", 23, "x\n").json()["reason"], "not_text");
    put(&relay, &json!("text\n"));
    let no_base = json!({"file_key": "k", "agent_id": "a", "content": "x", "merge": true});
    assert_eq!(relay.post("/files", &no_base).status, 400);
    let bytes = json!({"file_key": "k", "agent_id": "a", "content": "eA==", "merge": true,
                       "encoding": "base64", "base_version": 25});
    assert_eq!(relay.post("/files", &bytes).status, 400);
    assert_eq!(
        merge(&relay, "a", 25, &"\n".repeat(20_001)).code(),
        "too_large"
    );
    assert_eq!(
        merge(&relay, "a", 25, &"x".repeat((1 << 20) + 1)).code(),
        "too_large"
    );
    put(&relay, &json!("\n".repeat(20_001)));
    assert_eq!(merge(&relay, "a", 25, "x\n").code(), "too_large");
    let removed = relay.request("DELETE", "/files/k", &[("X-Agent-Id", "b")], b"");
    assert_eq!(removed.json()["version"], 27);
    let gone = merge(&relay, "a", 25, "x\n").json();
    assert_eq!(
        (&gone["deleted"], &gone["last_editor"]),
        (&json!(true), &json!("b"))
    );
    assert_eq!(merge(&relay, "a", 27, "x\n").json()["status"], "saved");
}

#[test]
fn a_repeated_merge_is_done_once_and_a_refused_one_is_tried_anew() {
    let relay = Relay::start();
    put(&relay, &json!("a\nb\nc\n"));
    put(&relay, &json!("A\nb\nc\n"));
    let keyed = |content: &str| {
        let call = json!({"file_key": "k", "agent_id": "x", "content": content,
                          "base_version": 1, "merge": true});
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "m"),
        ];
        relay.request("POST", "/files", &headers, call.to_string().as_bytes())
    };
    assert_eq!(keyed("X\nb\nc\n").status, 409);
    assert_eq!(keyed("a\nb\nC\n").json()["version"], 3);
    let again = keyed("a\nb\nC\n").json();
    assert_eq!(
        (&again["version"], &again["replayed"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(content(&relay), "A\nb\nC\n");
}

/// Everybody starts from version 1, changes the lines that `lines` gives it, and sends all at once.
fn all_at_once(
    relay: &Relay,
    writers: usize,
    lines: impl Fn(usize) -> Vec<usize> + Sync,
) -> Vec<Reply> {
    put(relay, &json!(numbered(500).concat()));
    let write = |writer: usize| {
        let mut text = numbered(500);
        for line in lines(writer) {
            text[line] = format!("{writer} was at {line}\n");
        }
        merge(relay, &format!("w{writer}"), 1, &text.concat())
    };
    let write = &write;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|n| scope.spawn(move || write(n)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a reply"))
            .collect()
    })
}

#[test]
fn twenty_writers_with_lines_of_their_own_lose_nothing() {
    let relay = Relay::start();
    let own = |writer: usize| (writer * 25..writer * 25 + 25).collect();
    let replies = all_at_once(&relay, 20, own);
    let mut versions: Vec<u64> = replies
        .iter()
        .map(|reply| {
            assert_eq!(reply.status, 200, "{}", reply.text);
            reply.json()["version"].as_u64().expect("a version")
        })
        .collect();
    versions.sort();
    assert_eq!(versions, (2..=21).collect::<Vec<u64>>());
    let wanted: String = (0..500)
        .map(|n| format!("{} was at {n}\n", n / 25))
        .collect();
    assert_eq!(content(&relay), wanted);
}

#[test]
fn twenty_writers_of_one_line_are_one_winner_and_nineteen_who_hear_of_it() {
    let relay = Relay::start();
    let replies = all_at_once(&relay, 20, |_| vec![250]);
    let (won, lost): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(|r| r.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    let file = relay.get("/files/k").json();
    let winner = file["last_editor"].as_str().expect("a winner").to_owned();
    let line = format!("{} was at 250\n", &winner[1..]);
    assert!(content(&relay).contains(&line));
    for reply in lost {
        let body = reply.json();
        assert_eq!(
            (&body["current_version"], &body["last_editor"]),
            (&json!(2), &json!(winner))
        );
        let merged = body["merged_content"].as_str().expect("both texts");
        assert!(merged.contains(&line) && merged.contains("||||||| version 1\nline 250\n"));
        assert_eq!(merged.matches(" was at 250\n").count(), 2);
    }
}

#[test]
fn a_merge_that_takes_long_keeps_nobody_waiting() {
    let relay = Relay::start();
    put(&relay, &json!(dice(1)));
    put(&relay, &json!(dice(2)));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let began = std::time::Instant::now();
            (merge(&relay, "a", 1, &dice(3)).status, began.elapsed())
        });
        while !slow.is_finished() {
            let began = std::time::Instant::now();
            assert_eq!(relay.get("/files/k?history=1").status, 200);
            assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
        }
        let (status, took) = slow.join().expect("a reply");
        assert!(
            status == 409 && took.as_secs() < 10,
            "{status} after {took:?}"
        );
    });
}
