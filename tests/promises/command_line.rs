//! The command line takes what people type, and says what to type instead.

use harness::{Client, Relay, Value, json};
use std::process::Command;

const COMMANDS: [&str; 23] = [
    "register",
    "discover",
    "heartbeat",
    "deregister",
    "delegate",
    "poll",
    "ack",
    "nack",
    "wait",
    "watch",
    "show",
    "respond",
    "tasks",
    "task",
    "cancel",
    "input",
    "broadcast",
    "file-put",
    "file-get",
    "file-list",
    "scan",
    "info",
    "completions",
];

/// A client for what needs no relay: one that is asked all the same is out of reach.
fn offline() -> Client {
    Client::at(Some("http://127.0.0.1:1".to_owned()))
}

/// The examples of a page of help, as a shell would run them.
fn examples(page: &str) -> Vec<&str> {
    let after = page.lines().skip_while(|line| *line != "Examples:").skip(1);
    let block = after.take_while(|line| line.starts_with("  "));
    block.map(str::trim).collect()
}

#[test]
fn options_stand_before_or_after_the_command_with_a_blank_or_an_equals_sign() {
    let relay = Relay::start();
    let client = Client::at(None);
    let url = relay.url();
    let joined = format!("--relay={url}");
    for line in [
        [
            "--relay", &url, "--json", "--as", "x", "register", "--name", "n",
        ]
        .as_slice(),
        &[
            "register", "--name", "n", "--as", "x", "--relay", &url, "--json",
        ],
        &["--as=x", "register", &joined, "--json", "--name=n"],
        &[
            "--json",
            "register",
            "--as=x",
            "--name=n",
            "--timeout=3",
            &joined,
        ],
    ] {
        let reply = client.run(line).ok().json();
        assert_eq!(reply[0]["agent"]["name"], "n", "{line:?}");
    }
    let found = relay.get("/discover").json();
    assert_eq!(
        found["count"], 1,
        "all four were the same identity: {found}"
    );
}

#[test]
fn a_value_that_begins_with_a_hyphen_is_sent_as_it_is() {
    let relay = Relay::start();
    relay.register("a");
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    for task in ["--help", "-", "-x=y", " ", "a=b", "$(reboot) `reboot`"] {
        let line = ["delegate", "--to", "a", &format!("--task={task}")];
        client.pipe(&line, "from standard input").ok();
        let sent = relay.poll("a")[0]["task"].clone();
        let expected = if task == "-" {
            "from standard input"
        } else {
            task
        };
        assert_eq!(sent, expected);
    }
}

#[test]
fn help_and_version_are_answered_wherever_they_stand() {
    let client = offline();
    let page = client.run(&["delegate", "--help"]).ok();
    assert!(
        page.out.starts_with("usage: clawlink delegate --to A"),
        "{page:?}"
    );
    for line in [
        ["-h", "delegate"].as_slice(),
        &["delegate", "--to", "--help"],
        &["delegate", "--nonsense", "-h", "x", "y"],
        &["help", "delegate"],
        &["--json", "delegate", "-h"],
    ] {
        let other = client.run(line).ok();
        assert_eq!((&other.out, &other.err), (&page.out, &page.err), "{line:?}");
    }
    assert_eq!(page.err, "");
    for line in [
        ["--version"].as_slice(),
        &["poll", "--version"],
        &["-V", "info"],
    ] {
        let version = client.run(line).ok().out;
        assert_eq!(version, format!("clawlink {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_overview_and_the_completions_name_every_command() {
    let client = offline();
    let overview = client.run(&["--help"]).ok().out;
    let listed = overview.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        COMMANDS.contains(&name).then_some(name)
    });
    assert_eq!(listed.collect::<Vec<_>>(), COMMANDS);
    for shell in ["bash", "zsh", "fish"] {
        let script = client.run(&["completions", shell]).ok().out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    client.run(&["completions", "tcsh"]).exits(2);
}

#[test]
fn bash_completes_commands_options_and_values() {
    let client = offline();
    let script = client.run(&["completions", "bash"]).ok().out;
    let complete = |words: &str| {
        let line = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); _clawlink; echo \"${{COMPREPLY[*]}}\""
        );
        let bash = Command::new("bash").args(["-c", &line]).output();
        let bash = bash.expect("bash runs");
        assert!(
            bash.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&bash.stderr)
        );
        String::from_utf8_lossy(&bash.stdout).trim().to_owned()
    };
    assert_eq!(complete("clawlink del"), "delegate");
    assert_eq!(
        complete("clawlink --json file-"),
        "file-put file-get file-list file-rm file-log"
    );
    assert_eq!(complete("clawlink delegate --prio"), "--priority");
    assert_eq!(complete("clawlink delegate --priority ur"), "urgent");
    assert_eq!(complete("clawlink completions z"), "zsh");
}

#[test]
fn every_example_in_the_help_does_what_it_says() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    relay.post(
        "/register",
        &json!({"agent_id": "r", "name": "researcher", "capabilities": ["rust"]}),
    );
    furnish(&client);
    // What scan would find is not ours to say; watch does not end, and has tests of its own.
    let mut commands = COMMANDS.to_vec();
    commands.retain(|command| !matches!(*command, "scan" | "watch"));
    commands.sort_by_key(|command| *command == "deregister");
    for command in commands {
        let page = client.run(&[command, "--help"]).ok().out;
        assert!(!examples(&page).is_empty(), "{command}");
        // A delegation that waits needs somebody who answers; it has a test of its own.
        let alone = |example: &&str| !(command == "delegate" && example.contains("--wait"));
        for example in examples(&page).into_iter().filter(alone) {
            let line = example.replace("http://10.0.0.5:9077", &relay.url());
            let line = line.replace("git diff", "echo diff");
            let line = with_mail(&relay, &client, line);
            let outcome = client.shell(&line).output().expect("a shell runs");
            assert!(outcome.status.success(), "{example}: {outcome:?}");
        }
    }
}

/// The line with receipts that are real, after mail has come for whoever waits for it.
fn with_mail(relay: &Relay, client: &Client, line: String) -> String {
    let agents = relay.get("/discover").json()["agents"].clone();
    for agent in agents.as_array().expect("agents") {
        let id = agent["agent_id"].as_str().expect("an id");
        relay.delegate("x", id, "one");
        relay.delegate("x", id, "two");
    }
    if line.contains("k3v9x2ab") && !line.starts_with("clawlink show") {
        return line.replace("k3v9x2ab", &task(relay, client, &line));
    }
    if !line.contains("x7q2") {
        return line;
    }
    let kept = client.run(&["poll", "--keep", "--json"]).ok().json();
    let receipt = |n: usize| {
        kept[n]["delivery"]["receipt"]
            .as_str()
            .expect("a receipt")
            .to_owned()
    };
    line.replace("x7q21", &receipt(0))
        .replace("x7q22", &receipt(1))
}

/// A task that the line can do something with: one given to this agent that it may answer, or one
/// of its own; answered already where the line waits for the answer.
fn task(relay: &Relay, client: &Client, line: &str) -> String {
    let own = client.run(&["info", "--json"]).ok().json();
    let own = own[0]["agent_id"].as_str().map(str::to_owned);
    let own = own.unwrap_or_else(|| {
        let state = std::fs::read_to_string(client.folder().join("agent_state.json"));
        let state: Value = serde_json::from_str(&state.expect("a state file")).expect("JSON");
        state["agent_id"].as_str().expect("an id").to_owned()
    });
    let id = match line.contains("respond") {
        true => relay.delegate("r", &own, "t").json()["message_id"].clone(),
        false => {
            let sent = client.run(&["delegate", "--to", "r", "--task", "t", "--json"]);
            sent.ok().json()[0]["message_id"].clone()
        }
    };
    if line.contains("--wait") {
        let answer = json!({"from_agent": "r", "message_id": id, "result": "done"});
        assert_eq!(relay.post("/respond", &answer).status, 200);
    }
    id.as_str().expect("an id").to_owned()
}

/// What the examples speak of.
fn furnish(client: &Client) {
    let home = client.home();
    for folder in [
        ".clawlink/messages",
        ".local/share/bash-completion/completions",
        ".config/fish/completions",
    ] {
        std::fs::create_dir_all(home.join(folder)).expect("a folder");
    }
    for file in ["task.md", "plan.md", "findings.md", "log.txt"] {
        std::fs::write(home.join(file), "text\n").expect("a file");
    }
    let kept = home.join(".clawlink/messages/k3v9x2ab.json");
    std::fs::write(kept, r#"{"type":"task_delegation"}"#).expect("a file");
}

#[test]
fn a_hyphen_is_standard_input_wherever_a_text_is_taken_exact_to_the_last_byte() {
    let relay = Relay::start();
    relay.register("a");
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    let text = "`backticks` $(x) \"q\" \\n \u{1F99E}\r\n\ttab\n\n";
    let send = |line: &[&str], input: &str| client.pipe(line, input).ok();
    send(&["delegate", "--to", "a", "--task", "-"], text);
    send(
        &["delegate", "--to", "a", "--task=t", "--context", "-"],
        "{\"n\": 1.50}\n",
    );
    send(
        &["respond", "--to", "a", "--msg-id", "m", "--result", "-"],
        text,
    );
    send(&["broadcast", "--content=-"], text);
    send(&["file-put", "--key", "k", "--file", "-"], text);
    let mail = relay.poll("a");
    assert_eq!(mail[0]["task"], text);
    assert_eq!(mail[1]["context"], json!({"n": 1.5}));
    assert_eq!(mail[2]["result"], text);
    assert_eq!(mail[3]["content"], text);
    assert_eq!(relay.get("/files/k").json()["content"], text);
    assert_eq!(client.run(&["file-get", "--key", "k"]).ok().out, text);
    assert_eq!(
        client.run(&["file-get", "--key=k", "--output=-"]).ok().out,
        text
    );
}

#[test]
fn a_text_comes_from_a_file_as_exactly() {
    let relay = Relay::start();
    relay.register("a");
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    let text = "\u{feff}line\r\nline without an end";
    std::fs::write(client.home().join("text"), text).unwrap();
    std::fs::write(
        client.home().join("context"),
        "[1.50, 12345678901234567890.10]",
    )
    .unwrap();
    let line = [
        "delegate",
        "--to",
        "a",
        "--task-file",
        "text",
        "--context-file",
        "context",
    ];
    client.run(&line).ok();
    client
        .run(&["respond", "--to=a", "--msg-id=m", "--result-file=text"])
        .ok();
    client.run(&["broadcast", "--content-file", "text"]).ok();
    let reply = relay.get("/poll/a");
    assert!(
        reply
            .text
            .contains("\"context\":[1.50, 12345678901234567890.10]"),
        "digits stay: {}",
        reply.text
    );
    let mail: Vec<_> = reply
        .text
        .matches("line\\r\\nline without an end\"")
        .collect();
    assert_eq!(mail.len(), 3, "{}", reply.text);
    let none = client
        .run(&["broadcast", "--content-file", "none"])
        .exits(3);
    assert!(none.err.contains("none"), "{none:?}");
}

#[test]
fn what_cannot_be_sent_as_it_is_meant_is_refused_before_it_is_sent() {
    let relay = Relay::start();
    relay.register("a");
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    std::fs::write(client.home().join("latin1"), b"Gr\xfc\xdfe").unwrap();
    for (line, input, word) in [
        (
            ["--task", "-", "--context", "-"].as_slice(),
            "x",
            "standard input",
        ),
        (&["--task", "-"], "", "empty"),
        (&["--task", "x", "--task-file", "latin1"], "", "two things"),
        (&["--task-file", "latin1"], "", "byte 3"),
        (&["--task", "x", "--context", "{a:1}"], "", "not JSON"),
        (
            &["--task", "x", "--priority", "asap"],
            "",
            "low, normal, high, urgent",
        ),
        (
            &["--task", "--priority", "high"],
            "",
            "--task needs a value",
        ),
        (&["--context", "{}"], "", "missing: --task"),
        (&["Run the tests"], "", "needs quotes"),
    ] {
        let line = [&["delegate", "--to", "a"], line].concat();
        let outcome = client.pipe(&line, input).exits(2);
        assert!(outcome.err.contains(word), "{line:?}: {outcome:?}");
        assert_eq!(outcome.out, "", "{line:?}");
    }
    assert!(relay.poll("a").is_empty());
}

#[test]
fn a_mistyped_word_is_answered_with_the_one_that_was_meant() {
    let client = offline();
    for (line, meant) in [
        (["delgate"].as_slice(), "did you mean \"delegate\"?"),
        (&["inbox"], "did you mean \"poll\"?"),
        (&["fileput", "--key", "k"], "did you mean \"file-put\"?"),
        (&["delegate", "--taks", "x"], "did you mean \"--task\"?"),
        (&["poll", "--jsno"], "did you mean \"--json\"?"),
        (&["--task", "x", "delegate"], "clawlink delegate --task"),
        (&["xyzzy"], "clawlink --help"),
    ] {
        let outcome = client.run(line).exits(2);
        assert!(outcome.err.contains(meant), "{line:?}: {outcome:?}");
        assert_eq!((outcome.err.lines().count(), outcome.out.as_str()), (2, ""));
    }
}

#[test]
fn wrong_usage_exits_2_and_shows_the_usage_on_standard_error() {
    let client = offline();
    let nothing = client.run(&[]).exits(2);
    assert!(nothing.err.contains("no command given\n") && nothing.out.is_empty());
    assert!(COMMANDS.iter().all(|command| nothing.err.contains(command)));
    client.run(&["--json"]).exits(2);
    for (line, usage) in [
        (
            ["delegate", "--task", "x"].as_slice(),
            "usage: clawlink delegate --to A",
        ),
        (&["register"], "usage: clawlink register --name N"),
        (&["show"], "usage: clawlink show ID"),
        (&["info", "--timeout", "soon"], "usage: clawlink info"),
    ] {
        let outcome = client.run(line).exits(2);
        assert!(outcome.err.contains(usage), "{line:?}: {outcome:?}");
    }
    for line in [
        ["--timeout", "0", "info"].as_slice(),
        &["register", "--name", "n", "--ttl", "29"],
        &["register", "--name", ""],
        &["poll", "--max", "0"],
        &["poll", "--peek", "--max", "501"],
        &["scan", "--for", "0"],
        &["--as", "../x", "info"],
        &["--as", "x", "--as", "y", "info"],
        &["poll", "--quiet=1"],
    ] {
        client.run(line).exits(2);
    }
}
