//! A message goes where it was sent, says so truly, and comes out as it went in.

use harness::pair::Pair;
use harness::{Client, Relay, eventually};

/// A text whose times (`2026-11-22 12:31:07Z`) are blotted out, as they are never the same.
fn blot(text: &str) -> String {
    let day = |word: &str| word.len() == 10 && word.matches('-').count() == 2;
    let clock = |word: &str| word.trim_end().len() == 9 && word.contains('Z');
    let words = text.split(' ').map(|word| match word {
        word if day(word) => "T".to_owned(),
        word if clock(word) => word.replace(&word[..9], "T"),
        word => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The id that stands after this word in a text.
fn id_after<'a>(text: &'a str, word: &str) -> &'a str {
    let rest = text.split_once(word).expect("the word").1;
    rest.split([' ', ':']).next().expect("an id")
}

#[test]
fn a_task_and_its_answer_read_as_they_were_written() {
    let pair = Pair::on(Relay::start());
    let (anna, bernd) = (pair.id("anna"), pair.id("bernd"));
    let sent = pair.anna(&[
        "delegate",
        "--to",
        "bernd",
        "--task",
        "Run it\n  twice",
        "--context",
        "{\"b\": \"main\"}",
        "--priority",
        "high",
    ]);
    let sent = sent.ok().out;
    let task = id_after(&sent, "task ").to_owned();
    assert_eq!(sent, format!("task {task}: queued for bernd ({bernd})\n"));
    let mail = pair.bernd(&["poll"]).ok();
    let expected = format!(
        "[task] {task} from anna ({anna}), priority high, T T\n  Run it\n    twice\n  context: {{\"b\": \"main\"}}\n  \
         answer: clawlink --as bernd respond --msg-id {task} --to {anna} --result -\n"
    );
    assert_eq!((blot(&mail.out), mail.err.as_str()), (expected, ""));
    // The command that was shown is the one that answers.
    let line = [
        "--as", "bernd", "respond", "--msg-id", &task, "--to", &anna, "--result", "-", "--status",
        "failed",
    ];
    let answered = pair.client.pipe(&line, "no\n").ok().out;
    assert_eq!(answered, format!("answer to {task}: queued for {anna}\n"));
    let answer = pair.anna(&["poll"]).ok().out;
    assert_eq!(
        blot(&answer),
        format!("[answer] to {task} from bernd ({bernd}), failed, T T\n  no\n")
    );
    assert_eq!(pair.anna(&["poll"]).ok().out, "No messages.\n");
}

#[test]
fn a_broadcast_and_a_shared_file_are_heard_by_everybody_else_once() {
    let pair = Pair::on(Relay::start());
    let anna = pair.id("anna");
    pair.client
        .run(&["--as", "c", "register", "--name", "c"])
        .ok();
    let sent = pair
        .anna(&[
            "broadcast",
            "--content",
            "green",
            "--topic",
            "build",
            "--tags",
            "a, b",
        ])
        .ok()
        .out;
    let id = id_after(&sent, "broadcast ").to_owned();
    assert_eq!(sent, format!("broadcast {id}: for 2 other agents\n"));
    let line = [
        "--as",
        "anna",
        "file-put",
        "--key",
        "docs/a b.md",
        "--file",
        "-",
    ];
    assert_eq!(
        pair.client.pipe(&line, "text").ok().out,
        "docs/a b.md is now version 1\n"
    );
    let expected = format!(
        "[broadcast] {id} from anna ({anna}), topic build, tags a b, T T\n  green\n\
         [file] docs/a b.md version 1 by {anna}, T T\n  read: clawlink --as bernd file-get --key 'docs/a b.md'\n"
    );
    assert_eq!(blot(&pair.bernd(&["poll"]).ok().out), expected);
    assert_eq!(pair.bernd(&["poll", "--quiet"]).ok().out, "");
    assert_eq!(
        pair.client
            .run(&["--as", "c", "poll", "--json"])
            .ok()
            .json()
            .len(),
        2
    );
    assert_eq!(
        pair.anna(&["poll", "--quiet"]).ok().out,
        "",
        "not by itself"
    );
}

#[test]
fn json_is_the_relays_own_to_the_last_byte() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    relay.register("peer");
    let reply = client.run(&["--json", "register", "--name", "n"]).ok();
    let id = reply.json()[0]["agent"]["agent_id"].clone();
    let id = id.as_str().unwrap();
    let context = r#"{"n":1.50,"big":123456789012345678901234567890,"é":"é\u001b\t"}"#;
    let line = [
        "delegate",
        "--to",
        id,
        "--task",
        "t",
        "--context",
        context,
        "--json",
    ];
    let sent = client.run(&line).ok();
    let fields = sent.json();
    let expected = format!(
        "{{\"status\":\"delegated\",\"delivery\":\"queued\",\"message_id\":{},\"to_agent\":\"{id}\",\
         \"recipient\":{{\"status\":\"online\",\"last_seen_seconds\":{}}},\
         \"task_state\":\"queued\",\"epoch\":{}}}\n",
        fields[0]["message_id"], fields[0]["recipient"]["last_seen_seconds"], fields[0]["epoch"]
    );
    assert_eq!(sent.out, expected);
    let mail = client.run(&["poll", "--json"]).ok().out;
    assert!(mail.contains(&format!("\"context\":{context},")), "{mail}");
    assert_eq!(mail.lines().count(), 1);
    assert_eq!(
        client.run(&["poll", "--json"]).ok().out,
        "",
        "no mail is no line"
    );
    let sent = client
        .run(&["broadcast", "--content", "c", "--json"])
        .ok()
        .json();
    assert_eq!(sent[0]["recipients"], 1);
    let sent = client.run(&[
        "respond", "--to", "peer", "--msg-id", "m", "--result", "r", "--json",
    ]);
    assert_eq!(sent.ok().json()[0]["status"], "response_sent");
    let beat = client.run(&["heartbeat", "--json"]).ok().out;
    assert_eq!(beat, "{\"status\":\"ok\"}\n");
}

#[test]
fn mail_comes_by_priority_and_else_in_its_order() {
    let pair = Pair::on(Relay::start());
    for (task, priority) in [
        ("1", "low"),
        ("2", "normal"),
        ("3", "urgent"),
        ("4", "high"),
        ("5", "normal"),
    ] {
        pair.anna(&[
            "delegate",
            "--to",
            "bernd",
            "--task",
            task,
            "--priority",
            priority,
        ])
        .ok();
    }
    let mail = pair.bernd(&["poll", "--json"]).ok().json();
    let tasks: Vec<&str> = mail.iter().filter_map(|m| m["task"].as_str()).collect();
    assert_eq!(tasks, ["3", "4", "2", "5", "1"]);
}

#[test]
fn a_long_body_is_shortened_and_kept_whole_for_show() {
    let pair = Pair::on(Relay::start());
    let long: String = (1..=40).map(|n| format!("line {n}\n")).collect();
    let send = || {
        let line = [
            "--as", "anna", "delegate", "--to", "bernd", "--json", "--task", "-",
        ];
        let sent = pair.client.pipe(&line, &long).ok().json();
        sent[0]["message_id"].as_str().expect("an id").to_owned()
    };
    let id = send();
    let short = pair.bernd(&["poll"]).ok().out;
    assert!(
        short.contains("  line 6\n  ... 311 characters in 40 lines; all of it: clawlink show "),
        "{short}"
    );
    assert!(!short.contains("line 7"));
    let whole = pair.client.run(&["show", &id]).ok().out;
    assert_eq!(
        whole
            .lines()
            .filter(|line| line.starts_with("  line "))
            .count(),
        40
    );
    assert_eq!(
        pair.client.run(&["show", &id, "--json"]).ok().json()[0]["task"],
        long
    );
    let second = send();
    let full = pair.bernd(&["poll", "--full"]).ok().out;
    assert!(
        full.contains("  line 40\n") && !full.contains("show"),
        "{full}"
    );
    pair.client.run(&["show", &second]).exits(3);
    send();
    assert_eq!(pair.bernd(&["poll", "--json"]).ok().json()[0]["task"], long);
}

#[test]
fn an_agent_that_is_not_there_is_told_with_the_nearest_that_is() {
    let pair = Pair::on(Relay::start());
    let send = |to| pair.anna(&["delegate", "--to", to, "--task", "t"]).exits(3);
    let missed = send("brend");
    assert!(
        missed.err.contains("no agent \"brend\" is registered"),
        "{missed:?}"
    );
    assert!(
        missed.err.contains("did you mean bernd?")
            && missed.err.contains("clawlink --as anna discover"),
        "{missed:?}"
    );
    let missed = send("zzzz");
    assert!(
        missed
            .err
            .contains("who is there: clawlink --as anna discover"),
        "{missed:?}"
    );
    pair.anna(&["respond", "--to", "zzzz", "--msg-id", "m", "--result", "r"])
        .exits(3);
    assert_eq!(pair.bernd(&["poll", "--quiet"]).ok().out, "");
}

#[test]
fn what_did_not_arrive_comes_back_to_its_sender_by_name() {
    let pair = Pair::on(Relay::start());
    let bernd = pair.id("bernd");
    let send = || {
        let sent = pair.anna(&["delegate", "--to", "bernd", "--task", "t"]);
        id_after(&sent.ok().out, "task ").to_owned()
    };
    let first = send();
    pair.bernd(&["deregister"]).ok();
    let told = pair.anna(&["poll"]).ok().out;
    assert_eq!(
        blot(&told),
        format!("[failed] {first} to {bernd}: that agent was removed, T T\n")
    );
    pair.bernd(&["register", "--name", "bernd"]).ok();
    let (bernd, several) = (pair.id("bernd"), [send(), send()]);
    pair.bernd(&["deregister"]).ok();
    let told = pair.anna(&["poll"]).ok().out;
    assert_eq!(
        blot(&told),
        format!(
            "[failed] 2 messages to {bernd}: that agent was removed, T T\n  {} {}\n",
            several[0], several[1]
        )
    );
}

#[test]
fn a_name_of_two_is_answered_with_both_ids() {
    let pair = Pair::on(Relay::start());
    let twin = pair
        .client
        .run(&["--as", "twin", "register", "--name", "bernd", "--json"])
        .ok()
        .json();
    let twin = twin[0]["agent"]["agent_id"].as_str().unwrap();
    let missed = pair
        .anna(&["delegate", "--to", "bernd", "--task", "t"])
        .exits(5);
    for id in [twin, &pair.id("bernd")] {
        assert!(
            missed.err.contains(&format!("\n  {id} (online, ")),
            "{missed:?}"
        );
    }
    pair.anna(&["delegate", "--to", twin, "--task", "t"]).ok();
    let mail = pair.client.run(&["--as", "twin", "poll", "--json"]);
    assert_eq!(mail.ok().json().len(), 1);
}

#[test]
fn a_full_inbox_says_when_to_try_again() {
    let pair = Pair::on(Relay::with(&["--inbox-limit", "2"]));
    let send = || pair.anna(&["delegate", "--to", "bernd", "--task", "t"]);
    send().ok();
    send().ok();
    let full = send().exits(1);
    assert!(
        full.err.contains("inbox") && full.err.contains("try again in "),
        "{full:?}"
    );
    pair.bernd(&["poll"]).ok();
    send().ok();
}

#[test]
fn what_is_too_large_is_refused_with_the_way_that_works() {
    let pair = Pair::on(Relay::with(&["--body-limit", "2000"]));
    let line = ["--as", "anna", "delegate", "--to", "bernd", "--task", "-"];
    let refused = pair.client.pipe(&line, &"x".repeat(3000)).exits(1);
    assert!(
        refused.err.contains("clawlink --as anna file-put"),
        "{refused:?}"
    );
    pair.anna(&["delegate", "--to", "bernd", "--task="])
        .exits(1);
    assert_eq!(pair.bernd(&["poll", "--quiet"]).ok().out, "");
}

#[test]
fn a_recipient_that_is_away_is_told_as_that() {
    let pair = Pair::on(Relay::with(&["--stale-after", "1"]));
    let sent = eventually("bernd is away", || {
        let line = ["delegate", "--to", "bernd", "--task", "t"];
        let sent = pair.anna(&line).ok().out;
        sent.contains("which is").then_some(sent)
    });
    assert!(sent.contains(", which is stale (last seen "), "{sent}");
    let listed = eventually("anna is listed", || {
        pair.anna(&["heartbeat"]).ok();
        let listed = pair.anna(&["discover"]).ok().out;
        listed.contains("anna").then_some(listed)
    });
    assert!(!listed.contains("bernd"), "{listed}");
    assert!(!pair.bernd(&["poll", "--json"]).ok().json().is_empty());
}

#[test]
fn a_list_longer_than_a_page_is_shown_whole() {
    use harness::{Answer, Stub, json};
    let page = |first: bool| {
        let agent = |id: &str| json!({"agent_id": id, "name": id, "capabilities": ["c"], "status": "online"});
        let mut page = json!({"agents": [agent(if first { "a" } else { "z" })], "count": 1});
        if first {
            page["next_cursor"] = json!("on&on");
        }
        page
    };
    let stub = Stub::start(move |request| Answer::ok(page(!request.line.contains("cursor="))));
    let client = harness::Client::at(Some(stub.url()));
    let found = client
        .run(&["discover", "--cap", "c", "--json"])
        .ok()
        .json();
    let ids: Vec<_> = found
        .iter()
        .map(|agent| agent["agent_id"].clone())
        .collect();
    assert_eq!(ids, ["a", "z"]);
    assert!(
        stub.lines()[1].contains("cursor=on%26on"),
        "{:?}",
        stub.lines()
    );
}
