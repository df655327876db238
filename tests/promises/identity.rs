//! Who an agent is survives its session, its relay and its neighbours.

use harness::{Client, Original, Relay, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;

fn register(client: &Client, options: &[&str]) -> String {
    let line = [&["register", "--json", "--name", "n"], options].concat();
    let reply = client.run(&line).ok().json();
    reply[0]["agent"]["agent_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn state(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a state file");
    serde_json::from_str(&text).expect("JSON")
}

fn mode(path: &Path) -> u32 {
    let about = std::fs::metadata(path).expect("it is there");
    about.permissions().mode() & 0o777
}

#[test]
fn a_second_register_keeps_the_id_and_what_it_does_not_change() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let first = register(
        &client,
        &["--caps", "a, b", "--description", "d", "--ttl", "60"],
    );
    assert!(
        first.len() == 8
            && first
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );
    let agents = || relay.get("/discover").json()["agents"].clone();
    assert_eq!(agents()[0]["capabilities"], json!(["a", "b"]));
    let again = client.run(&["register", "--name", "other"]).ok();
    assert_eq!(
        again.out,
        format!("registered as other with id {first} at {}\n", relay.url())
    );
    let agents = agents();
    assert_eq!(
        (agents.as_array().map(Vec::len), &agents[0]["name"]),
        (Some(1), &json!("other"))
    );
    assert_eq!(
        (&agents[0]["capabilities"], &agents[0]["description"]),
        (&json!(["a", "b"]), &json!("d"))
    );
    client
        .run(&[
            "register",
            "--name",
            "other",
            "--caps",
            "",
            "--description",
            "",
        ])
        .ok();
    let agent = relay.get("/discover").json()["agents"][0].clone();
    assert_eq!(
        (&agent["capabilities"], &agent["description"]),
        (&json!([]), &json!(""))
    );
}

#[test]
fn sessions_on_one_machine_do_not_overwrite_each_other() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let nameless = register(&client, &[]);
    let first = register(&client, &["--as", "first"]);
    let second = [("CLAWLINK_AGENT", "second")];
    client
        .run_with(&["register", "--name", "2"], "", &second)
        .ok();
    let who = |line: &[&str], environment: &[(&str, &str)]| {
        let info = client.run_with(&[line, &["info", "--json"]].concat(), "", environment);
        info.ok().json()[0]["agent_id"].as_str().map(str::to_owned)
    };
    assert_eq!(who(&[], &[]), Some(nameless.clone()));
    assert_eq!(who(&["--as", "first"], &[]), Some(first.clone()));
    assert_eq!(
        who(&["--as", "first"], &second),
        Some(first.clone()),
        "--as wins"
    );
    let other = who(&[], &second).expect("an id");
    assert_eq!(who(&["--as", "second"], &[]), Some(other.clone()));
    assert!(nameless != first && first != other && other != nameless);
    client
        .run(&["--as", "first", "delegate", "--to", &other, "--task", "t"])
        .ok();
    let mail = client
        .run_with(&["poll", "--json"], "", &second)
        .ok()
        .json();
    assert_eq!(mail[0]["from_agent"], first);
    assert_eq!(client.run(&["poll", "--quiet"]).ok().out, "");
}

#[test]
fn the_state_file_has_the_keys_it_always_had_and_is_private() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let id = register(&client, &[]);
    let file = client.folder().join("agent_state.json");
    let saved = state(&file);
    assert_eq!(
        (
            &saved["relay_url"],
            &saved["agent_id"],
            &saved["agent_name"]
        ),
        (&json!(relay.url()), &json!(id), &json!("n"))
    );
    register(&client, &["--as", "x"]);
    let agents = client.folder().join("agents");
    assert_eq!((mode(&client.folder()), mode(&agents)), (0o700, 0o700));
    assert_eq!((mode(&file), mode(&agents.join("x.json"))), (0o600, 0o600));
    // A Python client that made the directory left it open.
    std::fs::set_permissions(client.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    register(&client, &[]);
    assert_eq!(mode(&client.folder()), 0o700);
}

#[test]
fn clawlink_home_moves_everything_there_and_keeps_its_mode() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let elsewhere = client.home().join("else/where");
    let home = [("CLAWLINK_HOME", elsewhere.to_str().unwrap())];
    client
        .run_with(&["register", "--name", "n"], "", &home)
        .ok();
    assert!(elsewhere.join("agent_state.json").exists() && !client.folder().exists());
    assert_eq!(mode(&elsewhere), 0o700);
    std::fs::set_permissions(&elsewhere, PermissionsExt::from_mode(0o750)).unwrap();
    client
        .run_with(&["register", "--name", "n"], "", &home)
        .ok();
    assert_eq!(
        mode(&elsewhere),
        0o750,
        "a directory the user chose is theirs to judge"
    );
    client.run(&["poll"]).exits(2);
}

#[test]
fn the_file_of_a_python_client_is_understood_and_its_fields_stay() {
    let relay = Relay::start();
    let client = Client::at(None);
    relay.register("1a2b3c4d");
    std::fs::create_dir(client.folder()).unwrap();
    let file = client.folder().join("agent_state.json");
    let theirs = json!({"relay_url": format!("{}/", relay.url()), "agent_id": "1a2b3c4d", "agent_name": "py", "x": [1]});
    std::fs::write(&file, theirs.to_string()).unwrap();
    relay.delegate("a", "1a2b3c4d", "for both");
    let mail = client.run(&["poll", "--json"]).ok().json();
    assert_eq!(mail[0]["task"], "for both");
    let info = client.run(&["info", "--json"]).ok().json();
    assert_eq!(
        (&info[0]["agent_id"], &info[0]["agent_name"]),
        (&json!("1a2b3c4d"), &json!("py"))
    );
    assert_eq!(register(&client, &[]), "1a2b3c4d");
    let saved = state(&file);
    assert_eq!(
        (&saved["agent_id"], &saved["x"]),
        (&json!("1a2b3c4d"), &json!([1]))
    );
    // The other way round: the Python client registers anew, and is right from then on.
    relay.register("99999999");
    let mut theirs = saved;
    theirs["agent_id"] = json!("99999999");
    std::fs::write(&file, theirs.to_string()).unwrap();
    assert_eq!(
        client.run(&["info", "--json"]).ok().json()[0]["agent_id"],
        "99999999"
    );
}

#[test]
fn a_damaged_state_file_is_named_and_never_overwritten() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let id = register(&client, &[]);
    let file = client.folder().join("agent_state.json");
    let sound = std::fs::read_to_string(&file).unwrap();
    let bad_id = sound.replace(&id, "../x");
    for damage in ["", "{\"agent_id\": \"a", "[]", "\0\0\0", &bad_id] {
        std::fs::write(&file, damage).unwrap();
        for line in [
            ["register", "--name", "n"].as_slice(),
            &["poll"],
            &["deregister"],
        ] {
            let outcome = client.run(line).exits(1);
            assert!(
                outcome.err.contains("agent_state.json is damaged"),
                "{outcome:?}"
            );
            assert!(outcome.err.contains("mv "), "what to type: {outcome:?}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), damage);
    }
    client.run(&["--as", "x", "register", "--name", "n"]).ok();
    std::fs::write(&file, sound).unwrap();
    assert_eq!(register(&client, &[]), id);
}

#[test]
fn each_relay_keeps_its_own_id_and_the_last_one_registered_at_is_used() {
    let (one, two) = (Relay::start(), Relay::start());
    let client = Client::at(None);
    let (at_one, at_two) = (
        ["--relay", &one.url()].map(str::to_owned),
        ["--relay", &two.url()].map(str::to_owned),
    );
    let (at_one, at_two) = (
        at_one.each_ref().map(String::as_str),
        at_two.each_ref().map(String::as_str),
    );
    let first = register(&client, &at_one);
    let second = register(&client, &at_two);
    assert_ne!(first, second);
    let here = || client.run(&["info", "--json"]).ok().json()[0]["relay_url"].clone();
    assert_eq!(here(), two.url());
    one.delegate("x", &first, "at one");
    two.delegate("x", &second, "at two");
    let mail = client
        .run(&[&["poll", "--json"], &at_one[..]].concat())
        .ok()
        .json();
    assert_eq!(mail[0]["task"], "at one");
    assert_eq!(here(), two.url(), "a visit changes nothing");
    assert_eq!(
        client.run(&["poll", "--json"]).ok().json()[0]["task"],
        "at two"
    );
    assert_eq!(register(&client, &at_one), first);
    assert_eq!(here(), one.url());
    client.run(&["deregister"]).ok();
    client.run(&["poll"]).exits(2);
    assert_eq!(register(&client, &at_two), second);
}

#[test]
fn without_an_identity_the_command_that_makes_one_is_shown() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    for line in [
        ["poll"].as_slice(),
        &["heartbeat"],
        &["deregister"],
        &["delegate", "--to", "a", "--task", "t"],
        &["respond", "--to", "a", "--msg-id", "m", "--result", "r"],
        &["broadcast", "--content", "c"],
        &["file-put", "--key", "k", "--file", "/dev/null"],
    ] {
        let outcome = client.run(&[&["--as", "x"], line].concat()).exits(2);
        let advice = "\n  clawlink --as x register --name NAME\n";
        assert!(outcome.err.ends_with(advice), "{outcome:?}");
        assert_eq!(outcome.out, "");
    }
    let away = Client::at(None);
    let outcome = away.run(&["poll", "--relay", &relay.url()]).exits(2);
    let advice = format!("clawlink --relay {} register --name NAME\n", relay.url());
    assert!(outcome.err.ends_with(&advice), "{outcome:?}");
    for line in [["discover"], ["info"], ["file-list"]] {
        client.run(&line).ok();
    }
}

#[test]
fn processes_at_the_same_time_neither_tear_the_file_nor_undo_each_other() {
    let client = &Client::at(None);
    let relays: Vec<Original> = (0..8).map(|_| Original::start()).collect();
    for name in ["a", "b", "c"] {
        let session = ["--as", name];
        let start = &Barrier::new(relays.len());
        let at = |relay: &Original, line: &[&str]| {
            let url = relay.url();
            client
                .run(&[&session, line, &["--relay", &url]].concat())
                .ok()
        };
        std::thread::scope(|scope| {
            for relay in &relays {
                scope.spawn(move || {
                    start.wait();
                    at(relay, &["register", "--name", "n"]);
                    at(relay, &["heartbeat"]);
                });
            }
        });
        for relay in &relays {
            let info = at(relay, &["info", "--json"]).json();
            let id = info[0]["agent_id"].as_str().map(str::to_owned);
            assert!(
                id.is_some_and(|id| relay.agents().contains(&id)),
                "{info:?}"
            );
        }
    }
    let left = std::fs::read_dir(client.folder().join("agents")).unwrap();
    assert_eq!(left.count(), 3, "no temporary file is left");
}

#[test]
fn a_home_that_cannot_be_written_is_told_by_name() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    std::fs::write(client.folder(), "a file where the folder should be").unwrap();
    let outcome = client.run(&["register", "--name", "n"]).exits(1);
    assert!(outcome.err.contains(".clawlink"), "{outcome:?}");
    let nowhere = [("HOME", "")];
    let outcome = client.run_with(&["info"], "", &nowhere).exits(2);
    assert!(outcome.err.contains("CLAWLINK_HOME=DIR"), "{outcome:?}");
}

/// Another relay is visited, not moved to.
#[test]
fn a_poll_at_another_relay_leaves_the_saved_one_as_it_is() {
    let (home, other) = (Relay::start(), Relay::start());
    let client = Client::at(None);
    let at = |relay: &Relay, line: &[&str]| {
        let url = relay.url();
        client.run(&[&["--relay", &url], line].concat()).ok()
    };
    at(&other, &["register", "--name", "n", "--shared"]);
    at(&home, &["register", "--name", "n"]);
    let saved = || state(&client.folder().join("agent_state.json"))["relay_url"].clone();
    let id = other.get("/discover").json()["agents"][0]["agent_id"].clone();
    other.post("/deregister", &json!({"agent_id": id}));
    let polled = at(&other, &["poll"]);
    assert!(polled.err.contains("registered again"), "{polled:?}");
    assert_eq!(saved(), home.url());
    at(&other, &["heartbeat"]);
    assert_eq!(saved(), home.url());
}

#[test]
fn the_token_is_the_first_line_of_its_file_for_both_sides() {
    let client = Client::at(None);
    let file = client.home().join("token");
    std::fs::write(&file, "s3cret\n# for the relay\n").expect("a file");
    let file = file.to_str().expect("a path");
    let relay = Relay::with(&["--token-file", file]);
    let environment = [("CLAWLINK_TOKEN_FILE", file)];
    client
        .run_with(&["--relay", &relay.url(), "info"], "", &environment)
        .ok();
}

#[test]
fn a_register_that_nobody_answers_keeps_its_id_for_the_next_try() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    let client = Client::at(Some(url.clone()));
    client
        .run(&["--timeout", "1", "register", "--name", "n"])
        .exits(6);
    let kept = state(&client.folder().join("agent_state.json"));
    let id = kept["relays"][&url]["agent_id"].clone();
    assert_eq!(id.as_str().map(str::len), Some(8), "{kept}");
    assert!(
        kept.get("relay_url").is_none(),
        "it is nobody's relay yet: {kept}"
    );
}
