//! The client overwrites nothing that its session has not seen, unless it is told to.

use harness::{Client, Original, Relay, json};

fn put(client: &Client, content: &str, more: &[&str]) -> harness::Outcome {
    std::fs::write(client.home().join("f"), content).expect("a file");
    client.run(&[&["file-put", "--key", "plan.md", "--file", "f"], more].concat())
}

fn content(relay: &Relay) -> String {
    let file = relay.get("/files/plan.md").json();
    file["content"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_somebody_else_has_written_since_is_not_overwritten() {
    let relay = Relay::start();
    let (anna, bernd) = (
        Client::joined(&relay, "anna"),
        Client::joined(&relay, "bernd"),
    );
    assert_eq!(put(&anna, "1", &[]).ok().out, "plan.md is now version 1\n");
    put(&anna, "2", &[]).ok();
    let refused = put(&bernd, "mine", &[]).exits(5);
    assert_eq!(
        refused.err,
        "clawlink: plan.md is at version 2, written by anna; you have not read it. Nothing was written\n  \
         see it: clawlink file-get --key plan.md, and what was before: clawlink file-log --key plan.md\n  \
         merge yours with it: clawlink file-put --key plan.md --file f --merge\n  \
         overwrite it: clawlink file-put --key plan.md --file f --force\n"
    );
    assert_eq!(bernd.run(&["file-get", "--key", "plan.md"]).ok().out, "2");
    put(&bernd, "3", &[]).ok();
    let refused = put(&anna, "mine", &[]).exits(5);
    assert!(
        refused
            .err
            .contains("is at version 3, written by bernd; you last saw version 2"),
        "{}",
        refused.err
    );
    assert_eq!(content(&relay), "3");
    put(&anna, "4", &["--force"]).ok();
    put(&anna, "5", &[]).ok();
    assert_eq!(content(&relay), "5");
    put(&bernd, "x", &["--base", "4"]).exits(5);
    put(&bernd, "6", &["--base", "5"]).ok();
    put(&bernd, "x", &["--base", "6", "--force"]).exits(2);
    assert_eq!(content(&relay), "6");
}

#[test]
fn an_earlier_version_that_was_looked_at_does_not_count_as_seen() {
    let relay = Relay::start();
    let (anna, bernd) = (
        Client::joined(&relay, "anna"),
        Client::joined(&relay, "bernd"),
    );
    for text in ["1", "2"] {
        put(&anna, text, &[]).ok();
    }
    let old = bernd.run(&["file-get", "--key", "plan.md", "--version", "1"]);
    assert_eq!(old.ok().out, "1");
    put(&bernd, "x", &[]).exits(5);
    let gone = bernd
        .run(&["file-get", "--key", "plan.md", "--version", "9"])
        .exits(3);
    assert!(gone.err.contains("version 9"), "{}", gone.err);
    assert!(
        bernd
            .run(&["--version", "file-list"])
            .ok()
            .out
            .starts_with("clawlink ")
    );
    let log = bernd.run(&["file-log", "--key", "plan.md"]).ok().out;
    let rows: Vec<Vec<&str>> = log
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!((rows[0][0], rows.len()), ("VERSION", 3));
    assert_eq!(
        (&rows[1][..3], &rows[2][..3]),
        (&["2", "1", "anna"][..], &["1", "1", "anna"][..])
    );
}

#[test]
fn a_merge_keeps_both_changes_and_is_read_before_it_is_written_over() {
    let relay = Relay::start();
    let (anna, bernd) = (
        Client::joined(&relay, "anna"),
        Client::joined(&relay, "bernd"),
    );
    put(&anna, "a\nb\nc\n", &[]).ok();
    bernd.run(&["file-get", "--key", "plan.md"]).ok();
    put(&anna, "A\nb\nc\n", &[]).ok();
    let merged = put(&bernd, "a\nb\nC\n", &["--merge"]).ok();
    assert_eq!(
        merged.out,
        "plan.md is now version 3, merged with what others have changed\n  \
         read it before you go on: clawlink file-get --key plan.md\n"
    );
    assert_eq!(content(&relay), "A\nb\nC\n");
    put(&bernd, "a\nb\nD\n", &[]).exits(5);
    let failed = put(&bernd, "a\nb\nD\n", &["--merge"]).exits(5);
    assert!(
        failed.out.contains("\n=======\nD\n>>>>>>> sent by bernd\n"),
        "{failed:?}"
    );
    assert!(
        failed
            .err
            .contains("file-put --key plan.md --file f --base 3"),
        "{failed:?}"
    );
    let failed = put(&bernd, "a\nb\nD\n", &["--merge", "--json"]).exits(5);
    assert_eq!(failed.json()[0]["current_version"], 3);
    put(&bernd, "A\nb\nD\n", &["--base", "3"]).ok();
    put(&bernd, "A\nb\nE\n", &["--merge"]).ok();
    assert_eq!(content(&relay), "A\nb\nE\n");
    put(&bernd, "x", &["--merge", "--force"]).exits(2);
}

#[test]
fn a_relay_that_was_restarted_counts_anew_and_is_not_mistaken_for_the_one_before() {
    let relay = Relay::start();
    let address = relay.address;
    let anna = Client::joined(&relay, "anna");
    put(&anna, "1", &[]).ok();
    relay.end();
    let relay = Relay::at(address, &[]);
    let other = json!({"file_key": "plan.md", "agent_id": "b", "content": "other"});
    relay.post("/files", &other);
    put(&anna, "2", &[]).exits(5);
    assert_eq!(content(&relay), "other");
    anna.run(&["file-put", "--key", "new.md", "--file", "f"])
        .ok();
}

#[test]
fn a_file_that_changed_is_not_deleted_unread() {
    let relay = Relay::start();
    let (anna, bernd) = (
        Client::joined(&relay, "anna"),
        Client::joined(&relay, "bernd"),
    );
    put(&anna, "1", &[]).ok();
    bernd.run(&["file-get", "--key", "plan.md"]).ok();
    put(&anna, "2", &[]).ok();
    let rm = ["file-rm", "--key", "plan.md"];
    let refused = bernd.run(&rm).exits(5);
    assert!(refused.err.contains("version 2 by anna"), "{}", refused.err);
    bernd.run(&["file-get", "--key", "plan.md"]).ok();
    assert_eq!(
        bernd.run(&rm).ok().out,
        "plan.md is deleted; version 2 can still be read: clawlink file-get --key plan.md --version 2\n"
    );
    bernd.run(&rm).exits(3);
    let refused = put(&anna, "3", &[]).exits(5);
    assert!(
        refused.err.contains("at version 3, deleted by bernd"),
        "{}",
        refused.err
    );
    put(&bernd, "4", &[]).ok();
    let log = anna.run(&["file-log", "--key", "plan.md"]).ok().out;
    assert!(log.contains("deleted"), "{log}");
    let told = anna.run(&["poll"]).ok().out;
    assert!(
        told.contains("plan.md was deleted in version 3 by bernd"),
        "{told}"
    );
}

#[test]
fn bytes_that_are_no_text_come_back_exact() {
    let relay = Relay::start();
    let (anna, bernd) = (
        Client::joined(&relay, "anna"),
        Client::joined(&relay, "bernd"),
    );
    let bytes: Vec<u8> = (0..=255).rev().cycle().take(10_001).collect();
    std::fs::write(anna.home().join("f"), &bytes).expect("a file");
    anna.run(&["file-put", "--key", "b", "--file", "f"]).ok();
    bernd.run(&["file-get", "--key", "b", "--output", "g"]).ok();
    assert_eq!(
        std::fs::read(bernd.home().join("g")).expect("a file"),
        bytes
    );
    let piped = bernd.shell("clawlink file-get --key b | cmp - g").output();
    assert!(piped.expect("a shell").status.success());
    let shown = bernd
        .terminal("clawlink file-get --key b")
        .output()
        .expect("a terminal");
    let shown = String::from_utf8(shown.stdout).expect("text only");
    assert!(
        shown.contains("b is not text") && shown.contains("--output F"),
        "{shown}"
    );
}

#[test]
fn an_original_gets_the_plain_call_and_is_asked_nothing_it_cannot_do() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "n"]).ok();
    for text in ["1", "2"] {
        put(&client, text, &[]).ok();
    }
    put(&client, "3", &["--force"]).ok();
    for call in original.sent("/files") {
        assert!(call.get("base_version").is_none(), "{call}");
    }
    for command in [
        &["file-put", "--key", "k", "--file", "f", "--base", "1"][..],
        &["file-put", "--key", "k", "--file", "f", "--merge"],
        &["file-get", "--key", "plan.md", "--version", "1"],
        &["file-log", "--key", "plan.md"],
        &["file-rm", "--key", "plan.md"],
    ] {
        let refused = client.run(command).exits(1);
        assert!(
            refused.err.contains("this relay cannot"),
            "{command:?}: {}",
            refused.err
        );
    }
    std::fs::write(client.home().join("f"), [0xff, 0]).expect("a file");
    let bytes = client
        .run(&["file-put", "--key", "k", "--file", "f"])
        .exits(1);
    assert!(
        bytes.err.contains("this relay cannot keep"),
        "{}",
        bytes.err
    );
    assert_eq!(original.sent("/files").len(), 3);
}
