//! What people use it for, from end to end, with real processes on real input.

use harness::{Client, Outcome, Relay, Value, eventually, json};
use std::cell::RefCell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Barrier;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const SOURCE: &str = include_str!("../../server/src/core/inbox.rs");

/// An agent: a session of its own on a machine that it shares.
struct Agent<'a> {
    machine: &'a Client,
    name: &'static str,
    /// Mail that was taken and not looked at yet.
    mail: RefCell<Vec<Value>>,
}

impl<'a> Agent<'a> {
    fn joins(machine: &'a Client, name: &'static str, capability: &str) -> Agent<'a> {
        let agent = Agent {
            machine,
            name,
            mail: RefCell::default(),
        };
        agent.run(&["register", "--name", name, "--caps", capability]);
        agent
    }

    fn run(&self, line: &[&str]) -> Outcome {
        self.pipe(line, "")
    }

    fn pipe(&self, line: &[&str], input: &str) -> Outcome {
        self.machine
            .pipe(&[&["--as", self.name], line].concat(), input)
            .ok()
    }

    /// Waits for the next message of a type.
    fn receives(&self, kind: &str) -> Value {
        eventually(kind, || {
            let mut mail = self.mail.borrow_mut();
            mail.extend(self.run(&["poll", "--json"]).json());
            let at = mail.iter().position(|message| message["type"] == kind)?;
            Some(mail.remove(at))
        })
    }

    /// Gives a task to whoever has this capability, once somebody is there. Gives its id.
    fn delegates(&self, capability: &str, task: &str, context: &str) -> String {
        let sent = self.sends(capability, task, context, &["--json"]);
        text(&sent.json()[0]["message_id"]).to_owned()
    }

    /// The same, and waits for the result.
    fn asks(&self, capability: &str, task: &str, context: &str) -> String {
        self.sends(capability, task, context, &["--wait", "60"]).out
    }

    fn sends(&self, capability: &str, task: &str, context: &str, more: &[&str]) -> Outcome {
        let line = [
            "--as",
            self.name,
            "delegate",
            "--to-cap",
            capability,
            "--task",
            "-",
            "--context",
            context,
        ];
        eventually(capability, || {
            let sent = self.machine.pipe(&[&line, more].concat(), task);
            // Nobody is there yet.
            (sent.code != 3).then(|| sent.ok())
        })
    }

    fn answers(&self, task: &Value, status: &str, result: &str) {
        let (id, to) = (text(&task["message_id"]), text(&task["from_agent"]));
        let line = [
            "respond", "--msg-id", id, "--to", to, "--status", status, "--result", "-",
        ];
        self.pipe(&line, result);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Runs a tool of the system on a text, as an agent would.
fn tool(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the tool runs");
    let mut stdin = child.stdin.take().expect("its input");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).expect("it reads"));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("all of it was read");
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_research_pipeline_hands_facts_from_agent_to_agent_unchanged() {
    let relay = Relay::start();
    let machine = Client::of(&relay);
    std::thread::scope(|scope| {
        scope.spawn(|| researcher(&machine));
        scope.spawn(|| writer(&machine));
        coordinator(&machine);
    });
    let log = relay.log();
    assert!(
        !log.contains("refused"),
        "nothing went wrong on the way:\n{log}"
    );
}

/// Extracts the headings of the text it is given.
fn researcher(machine: &Client) {
    let me = Agent::joins(machine, "researcher", "research");
    let task = me.receives("task_delegation");
    assert_eq!(task["context"]["want"], "headings");
    me.answers(&task, "in_progress", "reading");
    me.answers(
        &task,
        "completed",
        &tool("grep", &["^#"], text(&task["task"])),
    );
}

/// Writes what it is given as a report that all can read.
fn writer(machine: &Client) {
    let me = Agent::joins(machine, "writer", "writing");
    let task = me.receives("task_delegation");
    let facts = text(&task["task"]);
    let count = tool("wc", &["-l"], facts);
    let report = format!("{} headings\n\n{facts}", count.trim());
    let key = text(&task["context"]["key"]);
    me.pipe(
        &[
            "file-put", "--key", key, "--file", "-", "--type", "markdown",
        ],
        &report,
    );
    me.answers(&task, "completed", key);
}

fn coordinator(machine: &Client) {
    let me = Agent::joins(machine, "coordinator", "planning");
    let facts = me.asks("research", PROTOCOL, r#"{"want": "headings"}"#);
    let key = me.asks("writing", &facts, r#"{"key": "reports/protocol.md"}"#);
    assert_eq!(key, "reports/protocol.md\n");
    // What was waited for came as mail as well, each answer once.
    let heard: Vec<(String, String)> = (0..3)
        .map(|_| me.receives("task_response"))
        .map(|answer| {
            (
                text(&answer["status"]).to_owned(),
                text(&answer["result"]).to_owned(),
            )
        })
        .collect();
    let told = [
        ("in_progress", "reading"),
        ("completed", &*facts),
        ("completed", key.trim()),
    ];
    assert_eq!(
        heard,
        told.map(|(status, result)| (status.to_owned(), result.to_owned()))
    );
    let mail = me.mail.borrow();
    assert!(mail.iter().all(|message| message["type"] == "file_updated"));
    let report = me.run(&["file-get", "--key", "reports/protocol.md"]).out;
    let headings: Vec<&str> = PROTOCOL
        .lines()
        .filter(|line| line.starts_with('#'))
        .collect();
    assert!(headings.len() > 3);
    assert_eq!(
        report,
        format!("{} headings\n\n{}\n", headings.len(), headings.join("\n"))
    );
}

/// Lists the documented public functions and the lines of more than `width` bytes.
const REVIEW: &str = r#"
NR >= from && NR <= to && /^ *pub fn / && before ~ /^ *(\/\/\/|#\[)/ { print NR ": documented " $0 }
NR >= from && NR <= to && length($0) > width { print NR ": long" }
{ before = $0 }
"#;
const WIDTH: usize = 90;

/// The same, computed directly.
fn findings(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = "";
    for (n, line) in (1..).zip(source.lines()) {
        let documented = ["///", "#["]
            .iter()
            .any(|start| before.trim_start().starts_with(start));
        if documented && line.trim_start().starts_with("pub fn ") {
            found.push(format!("{n}: documented {line}"));
        }
        if line.len() > WIDTH {
            found.push(format!("{n}: long"));
        }
        before = line;
    }
    found
}

#[test]
fn a_review_in_two_halves_finds_what_one_reader_finds() {
    let relay = Relay::start();
    let machine = Client::of(&relay);
    std::thread::scope(|scope| {
        scope.spawn(|| reviewer(&machine, "first"));
        scope.spawn(|| reviewer(&machine, "second"));
        let me = Agent::joins(&machine, "lead", "planning");
        let key = "src/core/inbox.rs";
        me.pipe(
            &["file-put", "--key", key, "--file", "-", "--type", "rust"],
            SOURCE,
        );
        me.pipe(
            &["file-put", "--key", REVIEWED, "--file", "-"],
            EMPTY_REVIEW,
        );
        // Both are there before the work is shared out.
        eventually("two reviewers", || {
            let found = me.run(&["discover", "--cap", "review", "--json"]).json();
            (found.len() == 2).then_some(())
        });
        let lines = SOURCE.lines().count();
        let half = |at: &str, from: usize, to: usize| {
            json!({"key": key, "at": at, "from": from, "to": to}).to_string()
        };
        let tasks = [
            me.delegates("review", "Review your half", &half("upper", 1, lines / 2)),
            me.delegates(
                "review",
                "Review your half",
                &half("lower", lines / 2 + 1, lines),
            ),
        ];
        let by = tasks.map(|task| {
            let done = me.run(&["task", &task, "--wait", "60", "--json"]).json();
            assert_eq!(done[0]["task"]["state"], "completed");
            done[0]["task"]["to_agent"].clone()
        });
        assert_ne!(by[0], by[1], "each had one half");
    });
    let review = machine.run(&["file-get", "--key", REVIEWED]).ok().out;
    let found = review
        .lines()
        .filter(|line| !EMPTY_REVIEW.lines().any(|own| own == *line));
    let expected = findings(SOURCE);
    assert!(
        expected.len() > 10,
        "the file has something to find: {expected:?}"
    );
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let log = machine.run(&["file-log", "--key", REVIEWED]).ok().out;
    assert_eq!(log.lines().count(), 1 + 3, "each has written once: {log}");
}

/// Where both reviewers write, each in its own part.
const REVIEWED: &str = "reviews/inbox";
const EMPTY_REVIEW: &str = "# Review\n\n## upper\n\n## lower\n\n(end)\n";

fn reviewer(machine: &Client, name: &'static str) {
    let me = Agent::joins(machine, name, "review");
    let task = me.receives("task_delegation");
    let context = &task["context"];
    // Read before the work, merged after it: the other has written meanwhile.
    let read = me.run(&["file-get", "--key", REVIEWED]).out;
    let source = me.run(&["file-get", "--key", text(&context["key"])]).out;
    let (from, to) = (
        format!("from={}", context["from"]),
        format!("to={}", context["to"]),
    );
    let width = format!("width={WIDTH}");
    let found = tool(
        "awk",
        &["-v", &from, "-v", &to, "-v", &width, REVIEW],
        &source,
    );
    let part = format!("## {}\n", text(&context["at"]));
    let review = read.replace(&part, &[&part, &*found].concat());
    me.pipe(
        &["file-put", "--key", REVIEWED, "--file", "-", "--merge"],
        &review,
    );
    me.answers(&task, "completed", REVIEWED);
}

const RESEARCHERS: [&str; 3] = ["ada", "ben", "cem"];

/// The sections of the document.
fn sections() -> Vec<&'static str> {
    PROTOCOL.split("\n## ").collect()
}

#[test]
fn three_researchers_hear_each_others_findings_once_and_the_coordinator_hears_all() {
    let relay = Relay::start();
    let machine = Client::of(&relay);
    let everybody_is_there = Barrier::new(4);
    let heard = std::thread::scope(|scope| {
        for (share, name) in RESEARCHERS.into_iter().enumerate() {
            let (machine, barrier) = (&machine, &everybody_is_there);
            scope.spawn(move || {
                let me = Agent::joins(machine, name, "research");
                barrier.wait();
                researches(&me, &sections_of(share));
                let others = sections().len() - sections_of(share).len();
                let heard = hears(&me, others);
                assert!(
                    heard.iter().all(|(_, by)| by != name),
                    "nobody hears itself"
                );
            });
        }
        let me = Agent::joins(&machine, "coordinator", "planning");
        everybody_is_there.wait();
        hears(&me, sections().len())
    });
    for name in RESEARCHERS.iter().chain(&["coordinator"]) {
        let more = machine.run(&["--as", name, "poll", "--json"]).ok().out;
        assert_eq!(more, "", "{name} has heard everything once");
    }
    let expected = sections().into_iter().enumerate().map(|(n, section)| {
        let heading = section.lines().next().unwrap_or_default();
        let finding = format!("{heading}: {}", section.matches('\n').count());
        (finding, RESEARCHERS[n % 3].to_owned())
    });
    let mut expected: Vec<(String, String)> = expected.collect();
    expected.sort();
    assert!(expected.len() >= 6, "each has something to find");
    assert_eq!(heard, expected);
}

/// Every third of them.
fn sections_of(share: usize) -> Vec<&'static str> {
    sections().into_iter().skip(share).step_by(3).collect()
}

/// Counts the lines of each section and tells everybody.
fn researches(me: &Agent<'_>, sections: &[&str]) {
    for section in sections {
        let heading = section.lines().next().unwrap_or_default();
        let finding = format!("{heading}: {}", tool("wc", &["-l"], section).trim());
        let line = [
            "broadcast",
            "--topic",
            "sections",
            "--tags",
            me.name,
            "--content",
            "-",
        ];
        me.pipe(&line, &finding);
    }
}

/// Takes so many findings, each with the tag of its finder; none of them comes twice.
fn hears(agent: &Agent<'_>, count: usize) -> Vec<(String, String)> {
    let mut heard: Vec<(String, String)> = (0..count)
        .map(|_| {
            let message = agent.receives("knowledge_broadcast");
            assert_eq!(message["topic"], "sections");
            (
                text(&message["content"]).to_owned(),
                text(&message["tags"][0]).to_owned(),
            )
        })
        .collect();
    heard.sort();
    assert!(heard.windows(2).all(|two| two[0] != two[1]), "{heard:?}");
    assert!(agent.mail.borrow().is_empty());
    heard
}
