//! The hooks of the documentation, run as they stand there.

use harness::{Client, Relay, json};

/// The id of a reservation that is made.
fn reserved(relay: &Relay, agent: &str, pattern: &str, reason: &str) -> String {
    let call = json!({"agent_id": agent, "pattern": pattern, "reason": reason});
    let reply = relay.post("/reservations", &call);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// A script of the documentation: the block that begins so.
fn script(beginning: &str) -> String {
    let page = format!("{}/../docs/agents.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(page).expect("the page");
    let mut blocks = page.split("```").skip(1).step_by(2);
    let block = blocks.find_map(|block| {
        block
            .strip_prefix("sh\n")
            .filter(|b| b.starts_with(beginning))
    });
    block
        .unwrap_or_else(|| panic!("no block begins with {beginning}"))
        .to_owned()
}

fn executable(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("a script");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
}

/// Runs a line in the client's home: exit code, and everything it said.
fn typed(client: &Client, line: &str) -> (i32, String) {
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin",
        harness::binaries::folder().display()
    );
    let output = client
        .shell(line)
        .env("PATH", path)
        .output()
        .expect("a shell");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn the_commit_hook_of_the_documentation_keeps_back_what_another_has_reserved() {
    let relay = Relay::start();
    relay.post(
        "/register",
        &json!({"agent_id": "b", "name": "b the agent"}),
    );
    let client = Client::joined(&relay, "a");
    let git = |line: &str| {
        typed(
            &client,
            &format!("git -c user.name=a -c user.email=a@example {line}"),
        )
    };
    assert_eq!(git("init -q .").0, 0);
    executable(
        &client.home().join(".git/hooks/pre-commit"),
        &script("#!/bin/sh\n# pre-commit"),
    );
    std::fs::create_dir(client.home().join("src")).expect("a folder");
    for name in ["src/b\u{fc}.rs", "src/-a b.rs", "notes"] {
        std::fs::write(client.home().join(name), "1\n").expect("a file");
    }
    let id = reserved(&relay, "b", "src/b*.rs", "a new parser");
    reserved(&relay, "a", "notes", "");
    assert_eq!(git("add src notes").0, 0);
    let (code, said) = git("commit -qm one");
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("src/b\u{fc}.rs is reserved by b the agent (b) until "),
        "{said}"
    );
    assert!(
        said.contains(": a new parser") && said.matches("is reserved").count() == 1,
        "{said}"
    );
    assert_eq!(
        git("rev-parse -q --verify HEAD").0,
        1,
        "nothing was committed"
    );
    let path = format!("/reservations/{id}");
    let released = relay.request("DELETE", &path, &[("X-Agent-Id", "b")], b"");
    assert_eq!(released.status, 200);
    assert_eq!(git("commit -qm one"), (0, String::new()));
    assert_eq!(git("rm -q notes").0, 0);
    relay.end();
    let (code, said) = git("commit -qm two");
    assert_eq!(code, 0, "without a relay work goes on: {said}");
    assert!(said.contains("no relay is listening"), "{said}");
}

#[test]
fn the_edit_hook_of_the_documentation_reserves_what_is_edited_or_stops_it() {
    let relay = Relay::start();
    relay.post(
        "/register",
        &json!({"agent_id": "b", "name": "b the agent"}),
    );
    let client = Client::joined(&relay, "a");
    executable(
        &client.home().join("before-edit"),
        &script("#!/bin/sh\n# before-edit"),
    );
    let edit = |path: &str| {
        let call = json!({"tool_input": {"file_path": path}, "cwd": client.home()});
        typed(&client, &format!("printf '%s' '{call}' | ./before-edit"))
    };
    let inside = client.home().join("src/a.rs").display().to_string();
    assert_eq!(edit(&inside), (0, String::new()));
    let own = relay.get("/reservations?agent=a").json();
    assert_eq!(own["reservations"][0]["pattern"], "src/a.rs");
    reserved(&relay, "b", "docs/**", "");
    let (code, said) = edit("docs/x.md");
    assert!(
        code == 2 && said.contains("is reserved by b the agent (b)"),
        "{code} {said}"
    );
    assert_eq!(edit("/elsewhere/x"), (0, String::new()), "outside the tree");
    relay.end();
    assert_eq!(edit("docs/x.md").0, 0, "without a relay work goes on");
}
