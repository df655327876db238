//! Text of other agents never reaches a terminal raw, and never forges what the client says.

use harness::{Answer, Client, Original, Outcome, Relay, Stub, Value, Watcher, json};
use std::io::Read;

/// Moves the cursor, clears the screen, forges lines, turns the reading round, ends an escape
/// sequence, and rings; between plain letters that have to stay.
const HOSTILE: &str =
    "a\u{1b}[2J\u{1b}]0;t\u{7}b\r\nclawlink: c\u{7f}d\u{9b}31me\u{202e}f\u{2066}g\u{2028}h\u{0}i";

/// Whether a terminal would do something with this character other than show it.
fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Everything that a task, a reservation or a version of a file says, with hostile text in it.
fn hostile_records() -> [Value; 3] {
    let x = HOSTILE;
    let task = json!({
        "message_id": x, "from_agent": x, "to_agent": x, "state": x, "rev": 1, "task": x, "result": {x: x},
        "updated_at": x, "history": [{"state": x, "at": x, "by": x}],
    });
    let lease = json!({
        "id": x, "agent_id": x, "name": x, "pattern": x, "reason": x, "until": x, "seconds": 5, "exclusive": true,
    });
    let version =
        json!({"version": 1, "size": 3, "last_editor": x, "updated_at": x, "file_type": x});
    [task, lease, version]
}

/// A relay that answers every call with hostile text wherever there can be text.
fn hostile_relay() -> Stub {
    let x = HOSTILE;
    let agent = json!({
        "agent_id": x, "name": x, "capabilities": [x, x], "machine": x, "description": x,
        "status": x, "last_heartbeat": 1.5,
    });
    let file = json!({"file_key": x, "content": x, "file_type": x, "last_editor": x, "version": 1, "updated_at": x});
    let [task, lease, version] = hostile_records();
    let broadcast = json!({"type": "knowledge_broadcast", "message_id": x, "from_agent": x, "content": x, "topic": x, "tags": [x], "timestamp": x});
    let refused =
        json!({"error": x, "code": "version_conflict", "current_version": 2, "last_editor": x});
    let messages = json!([
        {"type": "task_delegation", "message_id": x, "from_agent": x, "task": x, "context": {x: x}, "priority": x, "timestamp": x},
        {"type": "task_response", "message_id": x, "response_id": x, "from_agent": x, "result": x, "status": x},
        {"type": "knowledge_broadcast", "message_id": x, "from_agent": x, "content": [x], "topic": x, "tags": [x]},
        {"type": "file_updated", "file_key": x, "version": 1, "last_editor": x},
        {"type": x, x: x},
        x,
        {"type": "delivery_failed", "message_id": x, "to_agent": x, "reason": x, "timestamp": x},
        {"type": "delivery_failed", "message_ids": [x, x], "count": 3, "to_agent": x, "reason": x},
    ]);
    Stub::start(
        move |request| match request.line.split('?').next().unwrap_or_default() {
            "GET /" => {
                Answer::ok(json!({"service": "ClawLink Relay", "version": x, "agents_online": x}))
            }
            "GET /discover" => Answer::ok(json!({"agents": [agent], "server_time": x})),
            "GET /files" => Answer::ok(json!({"files": [file]})),
            "GET /files/k" => Answer::ok(file.clone()),
            "GET /poll/me" => Answer::ok(json!({"messages": messages, "epoch": x, "missed": 3})),
            "GET /tasks" => Answer::ok(json!({"tasks": [task]})),
            "GET /tasks/t" => Answer::ok(json!({"task": task})),
            "POST /tasks/t/input" => Answer::ok(json!({"status": "input_sent", "task_state": x})),
            "GET /broadcasts" => {
                Answer::ok(json!({"broadcasts": [broadcast, x, {x: x}], "next_cursor": x}))
            }
            "POST /subscribe" => Answer::ok(json!({"status": "subscribed", "topics": [x, x]})),
            "GET /files/log" => Answer::ok(json!({"versions": [version], "file_key": x})),
            "DELETE /files/k" => Answer::Json(409, refused.clone()),
            "POST /files" => Answer::Json(409, refused.clone()),
            "GET /reservations" => Answer::ok(json!({"reservations": [lease]})),
            "POST /reservations" => Answer::ok(json!({"status": "reserved", "id": x, "until": x})),
            "POST /ack" => Answer::ok(json!({"status": "ok", "done": 1, "expired": [x, x]})),
            "POST /delegate" => Answer::ok(json!({
                "status": "delegated", "message_id": x, "to_agent": x, "delivery": x,
                "recipient": {"status": x, "last_seen_seconds": 5},
            })),
            "POST /broadcast" => Answer::ok(json!({"status": "broadcast_sent", "message_id": x})),
            "POST /respond" => Answer::Json(
                409,
                json!({
                    "error": x, "code": "ambiguous_agent",
                    "candidates": [{"agent_id": x, "status": x, "machine": x}],
                }),
            ),
            "POST /heartbeat" => Answer::Json(
                404,
                json!({"error": x, "code": "unknown_agent", "did_you_mean": [x]}),
            ),
            _ => Answer::Json(400, json!({"error": x, "code": x})),
        },
    )
}

const COMMANDS: [&[&str]; 28] = [
    &["info"],
    &["discover"],
    &["discover", "--cap=\u{1b}x"],
    &["file-list"],
    &["poll"],
    &["poll", "--full"],
    &["delegate", "--to=a", "--task=t"],
    &["broadcast", "--content=c"],
    &["respond", "--to=a", "--msg-id=m", "--result=r"],
    &["heartbeat"],
    &["register", "--name=n"],
    &["tasks"],
    &["task", "t"],
    &["task", "t", "--wait=1"],
    &["cancel", "t"],
    &["input", "t", "--content=c"],
    &["knowledge"],
    &["subscribe", "t"],
    &["file-log", "--key=log"],
    &["file-rm", "--key=k"],
    &["file-put", "--key=k", "--file=/dev/null"],
    &["reserve", "src"],
    &["reserved"],
    &["reserved", "src"],
    &["release", "r"],
    &["ack", "r"],
    &["nack", "r"],
    &["wait", "--for=1"],
];

/// A client that is `me` at this stub.
fn member(stub: &Stub) -> Client {
    Client::member(&stub.url(), "me", HOSTILE)
}

/// Runs the client with a terminal for its output: what the terminal gets.
fn on_terminal(client: &Client, line: &str, environment: &[(&str, &str)]) -> String {
    let mut script = client.terminal(&format!("clawlink {line}"));
    script.envs(environment.iter().copied());
    let output = script.output().expect("script, of util-linux, runs");
    // The terminal itself makes CR LF of LF.
    String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n")
}

#[test]
fn nothing_a_relay_says_acts_on_the_terminal_or_forges_a_line() {
    let stub = hostile_relay();
    let client = member(&stub);
    for line in COMMANDS {
        let Outcome { out, err, .. } = client.run(line);
        assert!(
            !out.contains(acts) && !err.contains(acts),
            "{line:?}: {out:?} {err:?}"
        );
        assert!(!(out.clone() + &err).contains("\u{fffd}"), "{line:?}");
        let lines = out.lines().chain(err.lines());
        let forged = lines.filter(|line| line.starts_with("clawlink: c")).count();
        assert_eq!(forged, 0, "{line:?}: {out} {err}");
    }
    let shown = client.run(&["poll"]).out;
    assert!(
        shown.contains("a\\u{1b}[2J\\u{1b}]0;t\\u{7}b\n  clawlink: c\\u{7f}d\\u{9b}31me\\u{202e}f"),
        "{shown}"
    );
    let heads = shown.lines().filter(|line| !line.starts_with("  "));
    assert_eq!(
        heads.count(),
        8,
        "a body stands indented below its head: {shown}"
    );
}

#[test]
fn json_stays_json_that_says_the_same_with_those_characters_escaped() {
    let stub = hostile_relay();
    let client = member(&stub);
    let mut lines = 0;
    for line in COMMANDS {
        let outcome = client.run(&[line, &["--json"]].concat());
        assert!(!outcome.out.contains(acts), "{line:?}: {outcome:?}");
        lines += outcome.json().len();
    }
    assert!(lines > 15, "{lines}");
    let messages = client.run(&["poll", "--json"]).json();
    assert_eq!(messages[0]["task"], HOSTILE);
    assert_eq!(messages[5], HOSTILE);
    let file = client.run(&["file-get", "--key=k", "--json"]).ok();
    assert_eq!(file.json()[0]["content"], HOSTILE);
    assert!(!file.out.contains(acts));
}

/// A merge that failed shows both texts.
#[test]
fn the_markers_of_a_conflict_are_harmless_too() {
    let x = HOSTILE;
    let stub = Stub::start(move |request| match request.line.as_str() {
        "POST /files" => Answer::Json(
            409,
            json!({"error": x, "code": "version_conflict", "current_version": 2, "last_editor": x, "merged_content": x}),
        ),
        _ => Answer::ok(
            json!({"service": "ClawLink Relay", "epoch": "e", "features": ["files_merge"]}),
        ),
    });
    let client = member(&stub);
    let line = [
        "file-put",
        "--key=k",
        "--file=/dev/null",
        "--base=1",
        "--merge",
    ];
    let machine = client.run(&[&line[..], &["--json"]].concat()).exits(5);
    assert!(!machine.out.contains(acts), "{machine:?}");
    assert_eq!(machine.json()[0]["merged_content"], HOSTILE);
    assert_eq!(
        client.run(&line).exits(5).out,
        HOSTILE,
        "a pipe gets it as it is"
    );
    let seen = on_terminal(&client, &line.join(" "), &[]);
    assert!(
        seen.contains("a\\u{1b}[2J") && !seen.contains(acts),
        "{seen:?}"
    );
}

/// What stands in a task's text must not pass for what the client says of it.
#[test]
fn a_task_cannot_write_its_own_result() {
    let forged = "look\nresult: all is well\n\n  result: indeed";
    let task = json!({"message_id": "t", "state": "failed", "task": forged, "result": "it broke"});
    let stub = Stub::saying(Answer::ok(json!({"task": task})));
    let shown = member(&stub).run(&["task", "t"]).ok().out;
    let results = shown.lines().filter(|line| line.starts_with("  result: "));
    assert_eq!(
        results.collect::<Vec<_>>(),
        ["  result: it broke"],
        "{shown}"
    );
}

/// A relay that always has this mail for `me`.
fn relay_with_mail(messages: Value) -> Stub {
    let features = ["ack", "lease", "peek", "wait"];
    Stub::start(
        move |request| match request.line.split('?').next().unwrap_or_default() {
            "GET /poll/me" => Answer::ok(json!({"messages": messages, "batch": "b", "epoch": "e"})),
            "GET /" => {
                Answer::ok(json!({"service": "ClawLink Relay", "epoch": "e", "features": features}))
            }
            _ => Answer::ok(json!({"status": "ok"})),
        },
    )
}

#[test]
fn what_watch_says_of_hostile_mail_is_harmless() {
    let x = HOSTILE;
    let delivery = json!({"receipt": x, "attempt": 1, "lease_until": x, "lease_seconds": 120});
    let message = json!({
        "type": "task_delegation", "message_id": x, "from_agent": x, "task": x, "priority": x, "delivery": delivery,
    });
    let stub = relay_with_mail(json!([message]));
    let client = member(&stub);
    let watcher = Watcher::start(&client, &["--exec", "false"]);
    let said = watcher.says("the command exited with 1");
    assert!(!said.contains(acts), "{said:?}");
    assert!(
        said.lines().all(|line| !line.starts_with("clawlink: c")),
        "{said}"
    );
}

/// A key is a peer's word. Only `--output` makes a file, and only the one it names.
#[test]
fn file_get_makes_no_file_of_its_own_accord() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    let theirs = client.home().join("theirs");
    std::fs::write(&theirs, "mine").expect("a file");
    let listing = || {
        let entries = std::fs::read_dir(client.home()).expect("a folder");
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let before = listing();
    for key in [
        "theirs",
        "a/b/theirs",
        "-o",
        ".bashrc",
        "~",
        "$HOME",
        "c:\\x",
    ] {
        let named = format!("--key={key}");
        client
            .pipe(&["file-put", &named, "--file", "-"], "new")
            .ok();
        assert_eq!(client.run(&["file-get", &named]).ok().out, "new");
        client.run(&["file-get", &named, "--json"]).ok();
        client.run(&["file-get", &named, "--output", "-"]).ok();
        on_terminal(&client, &format!("file-get '{named}'"), &[]);
        client.run(&["file-log", &named]).ok();
    }
    for key in ["/etc/hostname", "../x", "a/../../x", "..", "."] {
        client.run(&["file-get", &format!("--key={key}")]).exits(2);
    }
    // What the relay calls the file is nobody's path.
    let reply = json!({"file_key": "../../evil", "content": "c", "version": 1});
    let stub = Stub::saying(Answer::ok(reply));
    client
        .run(&["--relay", &stub.url(), "file-get", "--key=k"])
        .ok();
    client
        .run(&[
            "--relay",
            &stub.url(),
            "file-get",
            "--key=k",
            "--output=made",
        ])
        .ok();
    assert_eq!(
        std::fs::read_to_string(client.home().join("made")).unwrap(),
        "c"
    );
    std::fs::remove_file(client.home().join("made")).expect("the file that was named");
    assert_eq!(listing(), before);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine");
}

/// The same for what `show` keeps: ids are peers' words as well.
#[test]
fn a_message_is_kept_in_its_folder_whatever_its_id() {
    let long = "word ".repeat(50_000);
    let ids = [
        "../evil",
        "/tmp/evil",
        "..",
        ".",
        "",
        "a/b",
        "a\u{0}b",
        "x\u{202e}",
        "agent_state",
    ];
    let messages: Vec<Value> = ids
        .iter()
        .map(|id| json!({"type": "task_delegation", "message_id": id, "from_agent": "a", "task": long}))
        .collect();
    let stub = relay_with_mail(json!(messages));
    let client = member(&stub);
    client.run(&["poll"]).ok();
    let names = |folder: std::path::PathBuf| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let name = |e: std::io::Result<std::fs::DirEntry>| e.unwrap().file_name();
        entries
            .map(|e| name(e).to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(
        names(client.folder().join("messages")),
        ["agent_state.json"]
    );
    let state = client.folder().join("agent_state.json");
    let state = std::fs::read_to_string(state).expect("the state");
    assert!(
        state.contains("\"me\"") && !state.contains("word"),
        "{state}"
    );
    assert!(
        names(client.home().to_owned())
            .iter()
            .all(|name| !name.contains("evil"))
    );
}

/// A relay that always has another page must not keep a client for ever.
#[test]
fn a_list_without_end_ends() {
    let page = json!({"tasks": [{"message_id": "t"}], "next_cursor": "again"});
    let stub = Stub::saying(Answer::ok(page));
    let refused = member(&stub).run(&["tasks", "--json"]).exits(6);
    assert!(refused.err.contains("its list does not end"), "{refused:?}");
    assert_eq!(refused.out, "");
}

/// 100 kB where a word is expected: a table keeps its shape, an error its line.
#[test]
fn words_of_a_hundred_kilobytes_make_neither_tables_nor_errors_long() {
    let huge: String = HOSTILE.chars().cycle().take(100_000).collect();
    let [mut task, mut lease, mut version] = hostile_records();
    for record in [&mut task, &mut lease, &mut version] {
        for (_, value) in record.as_object_mut().expect("an object") {
            if value.is_string() {
                *value = json!(huge);
            }
        }
    }
    let stub =
        Stub::start(
            move |request| match request.line.split('?').next().unwrap_or_default() {
                "GET /tasks" => Answer::ok(json!({"tasks": [task]})),
                "GET /reservations" => Answer::ok(json!({"reservations": [lease]})),
                "GET /files/log" => Answer::ok(json!({"versions": [version]})),
                "GET /files" => Answer::ok(json!({"files": [version]})),
                _ => Answer::Json(
                    404,
                    json!({"error": huge, "code": "unknown_agent", "did_you_mean": [huge]}),
                ),
            },
        );
    let client = member(&stub);
    for line in [
        &["tasks"][..],
        &["reserved"],
        &["file-log", "--key=log"],
        &["file-list"],
    ] {
        let table = client.run(line).ok().out;
        assert_eq!(table.lines().count(), 2, "{line:?}");
        let longest = table.lines().map(columns).max().unwrap_or_default();
        // An id stays whole, so that it can be typed.
        let whole = matches!(line[0], "tasks" | "reserved");
        assert!(whole || longest <= 80, "{line:?}: {longest}");
        assert!(!table.contains(acts), "{line:?}");
    }
    let refused = client.run(&["delegate", "--to=a", "--task=t"]).exits(3);
    assert!(!refused.err.contains(acts) && refused.out.is_empty());
}

#[test]
fn a_file_is_exact_in_a_pipe_and_escaped_on_a_terminal() {
    let stub = hostile_relay();
    let client = member(&stub);
    assert_eq!(client.run(&["file-get", "--key=k"]).ok().out, HOSTILE);
    let seen = on_terminal(&client, "file-get --key=k", &[]);
    assert!(
        seen.starts_with("a\\u{1b}[2J") && !seen.contains(acts),
        "{seen:?}"
    );
    client.run(&["file-get", "--key=k", "--output=copy"]).ok();
    assert_eq!(
        std::fs::read_to_string(client.home().join("copy")).unwrap(),
        HOSTILE
    );
}

#[test]
fn a_terminal_gets_bold_heads_and_no_other_escape_and_none_where_they_are_unwanted() {
    let stub = hostile_relay();
    let client = member(&stub);
    for line in ["poll", "discover", "file-list", "info", "heartbeat"] {
        let seen = on_terminal(&client, line, &[]);
        assert_eq!(
            seen.contains("\u{1b}[1m"),
            !matches!(line, "info" | "heartbeat"),
            "{seen:?}"
        );
        let plain = seen.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
        assert!(!plain.contains(acts), "{line}: {seen:?}");
        for unwanted in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            assert_eq!(
                on_terminal(&client, line, &[unwanted]),
                plain,
                "{line} {unwanted:?}"
            );
        }
        let piped = client.run(&[line]);
        assert_eq!(
            piped.out.clone() + &piped.err,
            plain,
            "a pipe is no terminal"
        );
    }
}

/// Columns that a terminal gives these characters; the ones used here are plain or wide.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if c >= '\u{2e80}' { 2 } else { 1 })
        .sum()
}

fn column_of(line: &str, word: &str) -> usize {
    let at = line
        .rfind(word)
        .unwrap_or_else(|| panic!("{word} is in {line:?}"));
    columns(&line[..at])
}

#[test]
fn a_table_keeps_its_columns_and_80_of_them_whatever_stands_in_it() {
    let long = "x".repeat(300);
    let names = [
        "n",
        &"\u{65e5}\u{672c}".repeat(60),
        "\u{1F99E}\u{1F99E}",
        &long,
        HOSTILE,
    ];
    let agents: Vec<Value> = names.iter().enumerate().map(|(n, name)| {
        json!({"agent_id": format!("agent{n}"), "name": name, "capabilities": [name, name], "machine": name, "status": "online"})
    }).collect();
    let files: Vec<Value> = names.iter().map(|name| {
        json!({"file_key": name, "version": 1, "file_type": name, "last_editor": name, "updated_at": "2026-11-22T12:31:07Z"})
    }).collect();
    let stub =
        Stub::start(
            move |request| match request.line.split('?').next().unwrap_or_default() {
                "GET /files" => Answer::ok(json!({"files": files})),
                _ => Answer::ok(json!({"agents": agents})),
            },
        );
    let client = member(&stub);
    for (command, heading, word) in [
        ("discover", "STATUS", "online"),
        ("file-list", "UPDATED", "2026-11-22 12:31:07Z"),
    ] {
        let table = client.run(&[command]).ok().out;
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + names.len(), "{table}");
        let column = column_of(lines[0], heading);
        for line in &lines {
            assert!(columns(line) <= 80, "{line}");
        }
        for line in &lines[1..] {
            assert_eq!(column_of(line, word), column, "{table}");
        }
    }
    let table = client.run(&["discover"]).ok().out;
    assert!(
        (0..names.len()).all(|n| table.contains(&format!(" agent{n} "))),
        "ids stay whole: {table}"
    );
}

#[test]
fn hostile_mail_crosses_a_real_relay_unchanged_and_is_shown_harmless() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    client
        .run(&["register", "--name", "\u{65e5}\u{672c}\u{1F99E}"])
        .ok();
    let long: String = HOSTILE.chars().cycle().take(100_000).collect();
    let me = "\u{65e5}\u{672c}\u{1F99E}";
    client
        .pipe(&["delegate", "--to", me, "--task", "-"], &long)
        .ok();
    client
        .pipe(
            &["respond", "--to", me, "--msg-id", "m", "--result", "-"],
            &long,
        )
        .ok();
    let short = client.run(&["poll"]).ok().out;
    assert!(
        !short.contains(acts) && short.len() < 10_000,
        "{}",
        short.len()
    );
    let id = short
        .split("show ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    let whole = client.run(&["show", id]).ok().out;
    assert!(!whole.contains(acts) && whole.len() > 100_000);
    assert_eq!(
        client.run(&["show", id, "--json"]).ok().json()[0]["task"],
        long
    );
    // A command line that cannot be sent is told as harmlessly.
    for line in [
        ["register", "--name", HOSTILE_ARGUMENT].as_slice(),
        &[HOSTILE_ARGUMENT],
        &["poll", HOSTILE_ARGUMENT],
    ] {
        let refused = client.run(line).exits(2);
        assert!(!refused.err.contains(acts), "{refused:?}");
    }
    let missing = client.run(&["show", HOSTILE_ARGUMENT]).exits(3);
    assert!(!missing.err.contains(acts), "{missing:?}");
}

/// An argument cannot hold the character 0.
const HOSTILE_ARGUMENT: &str = "x\u{1b}[2J\u{9b}y\u{202e}\r\nz\u{7f}";

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    let content = "line\n".repeat(100_000);
    client
        .pipe(&["file-put", "--key", "k", "--file", "-"], &content)
        .ok();
    for line in [
        ["file-get", "--key", "k"].as_slice(),
        &["--help"],
        &["discover"],
    ] {
        let mut child = client.command(line).spawn().expect("the client runs");
        drop(child.stdout.take());
        let mut err = String::new();
        child
            .stderr
            .take()
            .expect("its errors")
            .read_to_string(&mut err)
            .expect("text");
        let status = child.wait().expect("it ends");
        assert_eq!((status.code(), err.as_str()), (Some(0), ""), "{line:?}");
    }
}

#[test]
fn mail_that_a_reader_did_not_take_is_kept_where_the_relay_has_let_it_go() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "n"]).ok();
    client
        .pipe(
            &["delegate", "--to", "n", "--task", "-"],
            &"word ".repeat(100_000),
        )
        .ok();
    let mut child = client
        .command(&["poll", "--json"])
        .spawn()
        .expect("the client runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0));
    let id = err
        .split("kept: clawlink show ")
        .nth(1)
        .unwrap_or_else(|| panic!("{err}"))
        .trim();
    let kept = client.run(&["show", id, "--json"]).ok().json();
    assert_eq!(kept[0]["task"].as_str().map(str::len), Some(500_000));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let client = Client::at(Some("http://127.0.0.1:1".to_owned()));
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = client
        .command(&["--help"])
        .stdout(full)
        .output()
        .expect("the client runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
}
