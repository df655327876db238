//! The client does all of its work at a relay of the Python original too.

use harness::{Client, Original, Outcome, json};

fn registered(original: &Original, name: &str) -> (Client, String) {
    let client = Client::at(Some(original.url()));
    let reply = client
        .run(&["register", "--name", name, "--json"])
        .ok()
        .json();
    let id = reply[0]["agent"]["agent_id"].as_str().expect("an id");
    (client, id.to_owned())
}

#[test]
fn register_discover_heartbeat_and_info_work() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client
        .run(&[
            "register",
            "--name",
            "n",
            "--caps",
            "x,y",
            "--description",
            "d",
        ])
        .ok();
    let [id] = &original.agents()[..] else {
        panic!("one agent: {:?}", original.agents());
    };
    let again = client.run(&["register", "--name", "m", "--caps", "x"]).ok();
    assert_eq!(
        again.out,
        format!("registered as m with id {id} at {}\n", original.url())
    );
    let table = client.run(&["discover", "--cap", "x"]).ok().out;
    let row: Vec<&str> = table
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        (row[0], row[1], row[2], row[4]),
        ("m", id.as_str(), "x", "online"),
        "{table}"
    );
    assert_eq!(
        client.run(&["discover", "--cap", "y"]).ok().out,
        "No agent with y is online. All that are: clawlink discover\n"
    );
    let beat = client.run(&["heartbeat"]).ok();
    assert_eq!(
        (beat.out.starts_with("online as m"), beat.err.as_str()),
        (true, "")
    );
    let info = client.run(&["info"]).ok().out;
    assert!(
        info.contains("the original protocol") && info.contains("agents:  1 online"),
        "{info}"
    );
    assert_eq!(
        client.run(&["info", "--json"]).ok().json()[0]["agent_id"],
        id.as_str()
    );
}

#[test]
fn a_task_and_its_answer_make_the_round() {
    let original = Original::start();
    let ((anna, anna_id), (bernd, bernd_id)) = (
        registered(&original, "anna"),
        registered(&original, "bernd"),
    );
    let sent = anna.run(&[
        "delegate",
        "--to",
        &bernd_id,
        "--task",
        "do",
        "--context",
        "{\"n\":1}",
        "--priority",
        "urgent",
    ]);
    let sent = sent.ok().out;
    let task = sent.trim_start_matches("task ").split(':').next().unwrap();
    assert_eq!(sent, format!("task {task}: queued for {bernd_id}\n"));
    let mail = bernd.run(&["poll"]).ok().out;
    assert_eq!(
        mail,
        format!(
            "[task] {task} from {anna_id}, priority urgent, 2026-11-22 12:00:00Z\n  do\n  context: {{\"n\":1}}\n  \
             answer: clawlink respond --msg-id {task} --to {anna_id} --result -\n"
        )
    );
    bernd
        .pipe(
            &[
                "respond", "--msg-id", task, "--to", &anna_id, "--result", "-",
            ],
            "done\n",
        )
        .ok();
    let answer = anna.run(&["poll", "--json"]).ok().json();
    let got = (
        &answer[0]["message_id"],
        &answer[0]["result"],
        &answer[0]["status"],
    );
    assert_eq!(got, (&json!(task), &json!("done\n"), &json!("completed")));
}

#[test]
fn a_broadcast_is_heard_by_everybody_else_once() {
    let original = Original::start();
    let (anna, anna_id) = registered(&original, "anna");
    let (bernd, _) = registered(&original, "bernd");
    let sent = anna
        .run(&[
            "broadcast",
            "--content",
            "c",
            "--topic",
            "t",
            "--tags",
            "a,b",
        ])
        .ok()
        .out;
    assert!(sent.ends_with(": for 1 other agent\n"), "{sent}");
    let heard = bernd.run(&["poll"]).ok().out;
    assert!(
        heard.contains(&format!("from {anna_id}, topic t, tags a b")),
        "{heard}"
    );
    assert_eq!(bernd.run(&["poll"]).ok().out, "No messages.\n");
    assert_eq!(bernd.run(&["poll", "--quiet"]).ok().out, "");
}

#[test]
fn files_are_stored_listed_and_read() {
    let original = Original::start();
    let ((anna, anna_id), (bernd, _)) = (
        registered(&original, "anna"),
        registered(&original, "bernd"),
    );
    let text = "a\r\n\u{1F99E}\n\n";
    let put = |key| {
        anna.pipe(
            &["file-put", "--key", key, "--file", "-", "--type", "notes"],
            text,
        )
    };
    assert_eq!(put("plan.md").ok().out, "plan.md is now version 1\n");
    assert_eq!(put("plan.md").ok().out, "plan.md is now version 2\n");
    assert_eq!(bernd.run(&["file-get", "--key", "plan.md"]).ok().out, text);
    let row = bernd.run(&["file-list"]).ok().out;
    let row: Vec<&str> = row
        .lines()
        .nth(1)
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(
        row,
        ["plan.md", "2", "notes", &anna_id, "2026-11-22", "12:00:00Z"]
    );
    let told = bernd.run(&["poll"]).ok().out;
    assert_eq!(told.matches("[file] plan.md version").count(), 2, "{told}");
    let missing = bernd.run(&["file-get", "--key", "none"]).exits(3);
    assert!(missing.err.contains("File not found") && missing.err.contains("clawlink file-list"));
    // The original has no path for such a key.
    bernd.run(&["file-get", "--key", "a/b"]).exits(3);
}

#[test]
fn it_is_sent_nothing_that_it_would_misread() {
    let original = Original::start();
    let (client, id) = registered(&original, "n");
    client.run(&["delegate", "--to", "x", "--task", "t"]).ok();
    client
        .run(&["respond", "--to", "x", "--msg-id", "m", "--result", "r"])
        .ok();
    client.run(&["broadcast", "--content", "c"]).ok();
    assert_eq!(
        original.sent("/delegate"),
        [json!({"from_agent": id, "to_agent": "x", "task": "t"})]
    );
    let respond = json!({"from_agent": id, "to_agent": "x", "message_id": "m", "result": "r"});
    assert_eq!(original.sent("/respond"), [respond]);
    assert_eq!(
        original.sent("/broadcast"),
        [json!({"from_agent": id, "content": "c"})]
    );
    let mail = original.take("x");
    assert_eq!(
        (&mail[0]["priority"], &mail[0]["context"]),
        (&json!("normal"), &json!({}))
    );
    assert_eq!(mail[1]["status"], "completed");
}

#[test]
fn an_id_that_the_original_made_is_kept() {
    let original = Original::start();
    let client = Client::member(&original.url(), "deadbeef", "py");
    let poll = client.run(&["poll"]).ok();
    assert!(
        poll.err.contains("registered again as py (deadbeef)"),
        "{poll:?}"
    );
    assert_eq!(original.agents(), ["deadbeef"]);
    client.run(&["register", "--name", "py"]).ok();
    assert_eq!(original.agents(), ["deadbeef"]);
}

#[test]
fn after_its_restart_poll_and_heartbeat_register_again_under_the_same_id() {
    let original = Original::start();
    let (client, id) = registered(&original, "n");
    client.run(&["register", "--name", "n", "--caps", "x"]).ok();
    let told = |outcome: Outcome| {
        let note =
            format!("clawlink: the relay did not know this agent; registered again as n ({id})\n");
        assert_eq!(outcome.err, note);
        assert_eq!(original.agents(), [id.as_str()]);
        let last = original.sent("/register").pop();
        assert_eq!(
            last.map(|body| body["capabilities"].clone()),
            Some(json!(["x"]))
        );
    };
    original.restart();
    told(client.run(&["poll"]).ok());
    original.restart();
    told(client.run(&["heartbeat"]).ok());
    // Mail that came for the id before it registered again is not lost.
    original.restart();
    let (other, _) = registered(&original, "other");
    other
        .run(&["delegate", "--to", &id, "--task", "early"])
        .ok();
    assert_eq!(
        client.run(&["poll", "--json"]).ok().json()[0]["task"],
        "early"
    );
    assert_eq!(client.run(&["poll"]).ok().err, "");
}

#[test]
fn what_it_cannot_do_is_said_and_nothing_is_forgotten() {
    let original = Original::start();
    let (client, id) = registered(&original, "n");
    let unable = client.run(&["deregister"]).exits(1);
    assert!(
        unable.err.contains("this relay cannot remove an agent"),
        "{unable:?}"
    );
    assert_eq!(
        client.run(&["info", "--json"]).ok().json()[0]["agent_id"],
        id.as_str()
    );
}

#[test]
fn a_relay_that_was_replaced_by_ours_is_noticed_and_the_id_kept() {
    let original = Original::start();
    let (client, id) = registered(&original, "n");
    let relay = harness::Relay::start();
    let file = client.folder().join("agent_state.json");
    let state = std::fs::read_to_string(&file).unwrap();
    // The same state, as if ours had taken over the original's address.
    std::fs::write(&file, state.replace(&original.url(), &relay.url())).unwrap();
    let line = ["poll", "--relay", &relay.url()];
    let poll = client.run(&line).ok();
    assert!(
        poll.err.contains(&format!("registered again as n ({id})")),
        "{poll:?}"
    );
    assert_eq!(client.run(&line).ok().err, "");
    let beats = relay.log().matches("route=\"/heartbeat\"").count();
    assert_eq!(
        beats,
        1,
        "ours is not asked by heartbeats any more:\n{}",
        relay.log()
    );
}

/// The original keeps mail for whatever it is given, so a name would be a queue that nobody reads.
#[test]
fn a_name_is_looked_up_before_the_original_gets_it() {
    let original = Original::start();
    let (anna, _) = registered(&original, "anna");
    let (_bernd, bernds) = registered(&original, "bernd");
    anna.run(&["delegate", "--to", "bernd", "--task", "t"]).ok();
    assert_eq!(original.take(&bernds)[0]["task"], "t");
    anna.run(&["respond", "--to", "bernd", "--msg-id", "m", "--result", "r"])
        .ok();
    assert_eq!(original.take(&bernds)[0]["result"], "r");
    anna.run(&["delegate", "--to", &bernds, "--task", "by id"])
        .ok();
    assert_eq!(original.take(&bernds)[0]["task"], "by id");
    let told = anna
        .run(&["delegate", "--to", "nobody", "--task", "t"])
        .ok();
    assert!(
        told.err
            .contains("nobody who is online has the id or name nobody"),
        "{told:?}"
    );
    let (_other, others) = registered(&original, "bernd");
    let which = anna
        .run(&["delegate", "--to", "bernd", "--task", "t"])
        .exits(5);
    assert!(
        which.err.contains(&bernds) && which.err.contains(&others),
        "{which:?}"
    );
}
