//! The documentation tells what the binaries do: its calls are made, its options are counted.

use harness::{Relay, Scrape, Value, binaries, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

fn document(name: &str) -> String {
    let path = format!("{}/../{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a page: language and content.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language.to_owned(), body.join("\n")));
        }
    }
    blocks
}

/// What differs from run to run is the same afterwards, if it is of the same kind.
fn settled(value: &Value) -> Value {
    const MOMENTS: [&str; 9] = [
        "until",
        "server_time",
        "timestamp",
        "queued_at",
        "registered_at",
        "updated_at",
        "died_at",
        "created_at",
        "last_heartbeat",
    ];
    const IDS: [&str; 4] = ["epoch", "id", "message_id", "response_id"];
    match value {
        Value::Array(items) => items.iter().map(settled).collect(),
        Value::Object(fields) => {
            let settle = |(name, value): (&String, &Value)| match name.as_str() {
                moment if MOMENTS.contains(&moment) => {
                    let like = value.as_str().is_some_and(|text| text.ends_with("+00:00"));
                    assert!(like || value.is_f64(), "{name}: {value}");
                    (name.clone(), Value::from("a moment"))
                }
                id if IDS.contains(&id) && value.as_str().is_some_and(|id| id.len() == 8) => {
                    (name.clone(), Value::from("an id"))
                }
                "seconds" => (name.clone(), Value::from("some")),
                "agent_secret" if value.as_str().is_some_and(|secret| secret.len() == 64) => {
                    (name.clone(), Value::from("a secret"))
                }
                _ => (name.clone(), settled(value)),
            };
            Value::Object(fields.iter().map(settle).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn the_curl_lines_of_the_protocol_do_what_stands_below_them() {
    let relay = Relay::start();
    let page = document("docs/protocol.md");
    let calls: Vec<_> = blocks(&page);
    let (mut made, mut ids) = (0, Vec::new());
    for pair in calls
        .windows(2)
        .filter(|pair| pair[0].0 == "sh" && pair[1].0 == "json")
    {
        let line = pair[0]
            .1
            .replace("127.0.0.1:9077", &relay.address.to_string());
        // The id that the document calls so is another one here.
        let line = ids
            .iter()
            .fold(line, |line, (told, got): &(String, String)| {
                line.replace(told, got)
            });
        let output = Command::new("sh")
            .arg("-c")
            .arg(&line)
            .output()
            .expect("a shell");
        let got: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "{error}: {line}: {}",
                String::from_utf8_lossy(&output.stdout)
            )
        });
        let told: Value = serde_json::from_str(&pair[1].1).expect("JSON in the document");
        assert_eq!(settled(&got), settled(&told), "{line}");
        if let (Some(told), Some(got)) = (told["message_id"].as_str(), got["message_id"].as_str()) {
            ids.push((told.to_owned(), got.to_owned()));
        }
        made += 1;
    }
    let lines = calls
        .iter()
        .filter(|(language, _)| language == "sh")
        .count();
    assert!(
        made == lines && made >= 15,
        "{made} of {lines} lines have a reply below them"
    );
}

#[test]
fn every_option_of_the_relay_is_told_with_its_default() {
    let help = Command::new(binaries::relay())
        .arg("--help")
        .output()
        .expect("the relay runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let options = |text: &str, lead: &str| -> BTreeSet<String> {
        let names = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(lead));
        names
            .map(|rest| {
                rest.chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                    .collect()
            })
            .collect()
    };
    let mut told = options(&document("docs/operations.md"), "| `--");
    // Answered before the options are read.
    assert!(told.remove("version"));
    assert!(told.remove("help"));
    let mut real = options(&help, "--");
    real.remove("help");
    assert_eq!(told, real);
    // A default in the help stands in the row of its option.
    let page = document("docs/operations.md");
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in &real {
        let at = flat
            .find(&format!("--{option} "))
            .expect("it is in the help");
        let own = flat[at + 2..].split(" --").next().unwrap_or_default();
        let Some((_, default)) = own.split_once("(default ") else {
            continue;
        };
        let default = default.split(')').next().unwrap_or_default();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `--{option}`")))
            .expect("its row");
        assert!(
            row.contains(default),
            "{option}: {default} is not in: {row}"
        );
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Why a bound has no option.
const WITHOUT: [&str; 2] = ["part of the wire", "the HTTP library's own"];

#[test]
fn every_limit_has_an_option_or_says_why_not_and_a_metric() {
    let scrape = Scrape::of(&Relay::start());
    let page = document("docs/operations.md");
    let limits = page.split("\n## Limits\n").nth(1).expect("the limits");
    let rows = limits.lines().skip_while(|line| !line.starts_with("|---"));
    let rows: Vec<&str> = rows
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() >= 45, "{}", rows.len());
    let mut options = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let metrics = cells.get(4).unwrap_or_else(|| panic!("no metric: {row}"));
        let named = quoted(metrics);
        assert!(!named.is_empty(), "{row}");
        for metric in named {
            assert!(scrape.find(metric).is_some(), "{metric} is not told: {row}");
        }
        let (flags, words) = (quoted(cells[2]), cells[2].split('`').next());
        match words.unwrap_or_default().trim() {
            "" | "follows" => assert!(!flags.is_empty(), "no option: {row}"),
            why => assert!(WITHOUT.contains(&why) && flags.is_empty(), "{row}"),
        }
        for flag in flags {
            let limit = format!("clawlink_limit{{option=\"{}\"}}", flag.trim_matches('-'));
            assert!(scrape.find(&limit).is_some(), "{limit} is not told: {row}");
            options.insert(flag.trim_matches('-').to_owned());
        }
    }
    // Nor is an option left out.
    assert_eq!(options, scrape.labels("clawlink_limit", "option"));
}

#[test]
fn every_metric_that_the_documentation_names_is_there() {
    let scrape = Scrape::of(&Relay::start());
    for page in ["docs/operations.md", "docs/protocol.md"] {
        let page = document(page);
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        for word in page.split(|c| !is_part(c)) {
            if word.starts_with("clawlink_") || word.starts_with("process_") {
                assert!(scrape.find(word).is_some(), "{word}");
            }
        }
    }
}

#[test]
fn the_readme_starts_with_its_two_commands() {
    let page = document("README.md");
    let first: Vec<&str> = page.lines().take(25).collect();
    for command in ["cargo run --release", "cargo test --workspace"] {
        assert!(first.contains(&command), "{command}");
    }
}

/// What an agent is told to type, typed.
#[test]
fn the_commands_of_the_skill_work() {
    let relay = Relay::start();
    relay.register("boss");
    let call = json!({"agent_id": "tester", "capabilities": ["test"]});
    assert_eq!(relay.post("/register", &call).status, 200);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let got = relay.get("/poll/tester?wait=50").json();
            let id = &got["messages"][0]["message_id"];
            let call = json!({"from_agent": "tester", "message_id": id, "result": "passed"});
            relay.post("/respond", &call);
        });
        types_what_the_skill_says(&relay);
    });
}

fn types_what_the_skill_says(relay: &Relay) {
    let client = harness::Client::of(relay);
    for file in ["task.md", "answer.md", "build.md"] {
        std::fs::write(client.home().join(file), "text\n").expect("a file");
    }
    let page = document("skills/clawlink/SKILL.md");
    let (mut task, mut typed) = (String::new(), 0);
    for (_, lines) in blocks(&page)
        .iter()
        .filter(|(language, _)| language == "sh")
    {
        for line in lines.lines() {
            if task.is_empty() && line.starts_with("clawlink respond") {
                let sent = relay.delegate("boss", "reviewer", "review it").json();
                task = sent["message_id"].as_str().unwrap_or_default().to_owned();
            }
            let line = line
                .replace(" ID ", &format!(" {task} "))
                .replace("SENDER", "boss");
            let output = shell(
                &client,
                &format!("export CLAWLINK_AGENT=reviewer text=x; {line}"),
            );
            assert!(
                output.status.success(),
                "{line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            typed += 1;
        }
    }
    assert!(typed >= 14, "{typed}");
    assert_eq!(
        relay
            .poll("boss")
            .iter()
            .filter(|m| m["type"] == "task_response")
            .count(),
        3
    );
}

/// Runs a line of a document in the client's home.
fn shell(client: &harness::Client, line: &str) -> std::process::Output {
    let bin = binaries::folder().display();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("PATH={bin}:$PATH; {line}"))
        .current_dir(client.home());
    for (name, value) in client.command(&[]).get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.output().expect("a shell")
}

/// The README's session, typed as it stands there. Ids, times and machine differ.
#[test]
fn the_readmes_session_prints_what_the_readme_shows() {
    let relay = Relay::start();
    let client = harness::Client::of(&relay);
    let page = document("README.md");
    let (mut ids, mut typed) = (BTreeMap::<String, String>::new(), 0);
    for (_, session) in blocks(&page)
        .iter()
        .filter(|(language, _)| language == "console")
    {
        let mut parts = session.split("$ ").skip(1);
        for part in parts.by_ref() {
            let (line, shown) = part.split_once('\n').unwrap_or((part, ""));
            let line = ids.iter().fold(line.to_owned(), |line, (told, real)| {
                line.replace(told, real)
            });
            let output = shell(&client, &line);
            let printed = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
            assert!(output.status.success(), "{line}: {printed}");
            same_but_for_ids(shown, &printed, &mut ids, &line);
            typed += 1;
        }
    }
    assert!(typed >= 9, "{typed}");
}

/// Compares word by word. A word of eight that looks like an id may be another, but always the
/// same other; addresses, times and the machine's name may differ.
fn same_but_for_ids(told: &str, printed: &str, ids: &mut BTreeMap<String, String>, line: &str) {
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (told_words, words) = (words(told), words(printed));
    assert_eq!(
        told_words.len(),
        words.len(),
        "{line}\ntold: {told}\nprinted: {printed}"
    );
    for (told_word, word) in told_words.iter().zip(&words) {
        let trim = |word: &str| word.trim_matches([',', ':', '(', ')']).to_owned();
        let (a, b) = (trim(told_word), trim(word));
        let is_id = |word: &str| {
            word.len() == 8
                && word.bytes().any(|b| b.is_ascii_digit())
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let varies = a.starts_with("http://")
            || a == "forge"
            || a.starts_with("2026-")
            || a.ends_with('Z')
            || a == "0s";
        if is_id(&a) {
            let known = ids.entry(a.clone()).or_insert_with(|| b.clone());
            assert_eq!(*known, b, "{line}: {a}");
        } else if !varies {
            assert_eq!(a, b, "{line}\ntold: {told}\nprinted: {printed}");
        }
    }
}
