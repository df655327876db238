//! A session's agent is its own: the client claims it, and keeps what proves it to itself.

use harness::relay::free_address;
use harness::{Answer, Client, Original, Relay, Stub, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The state file of a client without `--as`.
fn file(client: &Client) -> PathBuf {
    client.folder().join("agent_state.json")
}

fn state(client: &Client) -> Value {
    let text = std::fs::read_to_string(file(client)).expect("a state file");
    serde_json::from_str(&text).expect("JSON")
}

/// Id and secret at a relay, as the state file has them.
fn identity(client: &Client, url: &str) -> (String, String) {
    let entry = state(client)["relays"][url].clone();
    let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    (text("agent_id"), text("agent_secret"))
}

fn join(client: &Client, name: &str, options: &[&str]) -> String {
    let joined = client.run(&[&["register", "--name", name], options].concat());
    joined.ok().out
}

#[test]
fn a_registered_session_is_spoken_for_by_nobody_else() {
    let relay = Relay::start();
    let (alice, bob) = (Client::of(&relay), Client::of(&relay));
    join(&alice, "alice", &[]);
    join(&bob, "bob", &[]);
    let (id, secret) = identity(&alice, &relay.url());
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(relay.get(&format!("/poll/{id}")).code(), "forbidden");
    assert_eq!(relay.delegate(&id, "bob", "forged").code(), "forbidden");
    let deregister = relay.post("/deregister", &json!({"agent_id": id}));
    assert_eq!(deregister.code(), "forbidden");
    // All that a session does goes with it.
    let sent = alice
        .run(&["delegate", "--to", "bob", "--task", "t", "--json"])
        .ok()
        .json();
    let task = sent[0]["message_id"].as_str().expect("an id");
    let mail = bob.run(&["poll"]).ok().out;
    assert!(
        mail.contains("from alice (") && !mail.contains("unverified"),
        "{mail}"
    );
    bob.run(&["respond", "--msg-id", task, "--result", "done"])
        .ok();
    let told = alice.run(&["task", task]).ok().out;
    assert!(told.contains("done"), "{told}");
    let stranger = Client::of(&relay);
    join(&stranger, "eve", &[]);
    let told = stranger.run(&["task", task]).ok().out;
    assert!(
        told.ends_with(", completed, the rest is for its sender and its assignee\n"),
        "{told}"
    );
    for line in [
        ["broadcast", "--content", "c"].as_slice(),
        &["tasks", "--from-me"],
        &["subscribe", "build"],
        &["reserve", "src/**"],
        &["release"],
        &["file-put", "--key", "k", "--file", "/dev/null"],
        &["file-rm", "--key", "k"],
        &["poll", "--quiet"],
        &["heartbeat"],
        &["register", "--name", "alice"],
    ] {
        let outcome = alice.run(line).ok();
        assert!(!outcome.out.contains(&secret) && !outcome.err.contains(&secret));
    }
    assert_eq!(
        identity(&alice, &relay.url()),
        (id, secret.clone()),
        "the same for good"
    );
    assert!(!relay.log().contains(&secret));
    alice.run(&["deregister"]).ok();
    assert!(
        !state(&alice).to_string().contains(&secret),
        "it is forgotten with its agent"
    );
}

#[test]
fn the_secret_stands_in_the_private_part_of_a_private_file() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    let out = client.run(&["register", "--name", "n", "--json"]).ok().out;
    let (id, secret) = identity(&client, &relay.url());
    assert!(out.contains(&id) && !out.contains("secret"), "{out}");
    let mode = |path: PathBuf| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(file(&client)), mode(client.folder())), (0o600, 0o700));
    let state = state(&client);
    let top = ["relay_url", "agent_id", "agent_name"].map(|key| state[key].to_string());
    assert!(top.iter().all(|value| !value.contains(&secret)));
    let left = std::fs::read_dir(client.folder())
        .expect("a folder")
        .count();
    assert_eq!(left, 1, "no temporary file is left");
}

#[test]
fn a_secret_goes_to_the_relay_it_was_made_with_and_to_no_other() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    join(&client, "n", &[]);
    let (_, secret) = identity(&client, &relay.url());
    let other = Stub::saying(Answer::ok(json!({
        "service": "ClawLink Relay", "agents": [], "files": [], "epoch": "e", "status": "registered",
        "agent": {"agent_id": "other"},
    })));
    for line in [
        ["info"].as_slice(),
        &["discover"],
        &["poll"],
        &["file-list"],
        &["register", "--name", "n"],
    ] {
        client.run(&[&["--relay", &other.url()], line].concat());
    }
    let sent = other.requests();
    assert!(sent.len() >= 4, "{}", sent.len());
    assert!(sent.iter().all(|request| !request.head.contains(&secret)));
    let (_, theirs) = identity(&client, &other.url());
    assert!(theirs.len() == 64 && theirs != secret);
    // A name of the same relay is another relay: nobody knows who answers there.
    let named = relay.url().replace("127.0.0.1", "localhost");
    let info = client.run(&["--relay", &named, "info"]).ok().out;
    assert!(info.contains("not registered here"), "{info}");
}

#[test]
fn another_session_with_the_same_id_is_told_whose_it_is_and_what_to_do() {
    let relay = Relay::start();
    let owner = Client::of(&relay);
    join(&owner, "n", &[]);
    let (id, _) = identity(&owner, &relay.url());
    let thief = Client::member(&relay.url(), &id, "n");
    for line in [
        ["poll"].as_slice(),
        &["delegate", "--to", "n", "--task", "t"],
        &["deregister"],
        &["heartbeat"],
    ] {
        let outcome = thief.run(line).exits(7);
        let told = format!("agent \"{id}\" is claimed\n");
        assert!(outcome.err.contains(&told), "{outcome:?}");
        assert!(outcome.err.contains("register --name NAME"), "{outcome:?}");
    }
    let outcome = thief.run(&["register", "--name", "n"]).exits(7);
    assert!(
        outcome.err.contains("is claimed by a secret\n"),
        "{outcome:?}"
    );
    assert!(
        outcome
            .err
            .ends_with("clawlink --as NAME register --name NAME\n"),
        "{outcome:?}"
    );
    let outcome = thief.run(&["poll"]).exits(7);
    assert!(
        outcome.err.contains("is claimed by a secret"),
        "{outcome:?}"
    );
    join(&thief, "m", &["--as", "m"]);
    owner.run(&["poll", "--quiet"]).ok();
}

#[test]
fn a_shared_identity_takes_no_secret_and_says_that_it_proves_nothing() {
    let relay = Relay::start();
    let (client, other) = (Client::of(&relay), Client::of(&relay));
    let out = client
        .run(&["register", "--name", "n", "--shared", "--json"])
        .ok()
        .out;
    assert!(!out.contains("secret"), "{out}");
    join(&other, "other", &[]);
    let (id, secret) = identity(&client, &relay.url());
    assert_eq!(secret, "");
    relay.delegate("script", &id, "for both");
    assert_eq!(relay.poll(&id).len(), 1, "a script polls it");
    client.run(&["broadcast", "--content", "c"]).ok();
    client
        .run(&["delegate", "--to", "other", "--task", "t"])
        .ok();
    let mail = other.run(&["poll"]).ok().out;
    assert!(
        mail.contains(&format!("from n ({id}, unverified), ")),
        "{mail}"
    );
    // It can be taken for one's own later; back there is no way but out.
    join(&client, "n", &[]);
    assert_eq!(relay.get(&format!("/poll/{id}")).status, 403);
    let outcome = client
        .run(&["register", "--name", "n", "--shared"])
        .exits(2);
    assert!(outcome.err.contains("clawlink deregister"), "{outcome:?}");
    client.run(&["deregister"]).ok();
    join(&client, "n", &["--shared"]);
}

#[test]
fn a_lost_reply_to_register_changes_nothing() {
    let mut tries = 0;
    let stub = Stub::start(move |_| {
        tries += 1;
        match tries {
            1 | 2 => Answer::broken(),
            _ => Answer::ok(
                json!({"status": "registered", "agent": {"agent_id": "kept"}, "epoch": "e"}),
            ),
        }
    });
    let client = Client::at(Some(stub.url()));
    join(&client, "n", &[]);
    let asked = stub.requests();
    let secrets: Vec<_> = asked
        .iter()
        .map(|request| request.header("X-Agent-Secret"))
        .collect();
    assert!(secrets.len() == 3 && secrets[0].is_some(), "{secrets:?}");
    assert!(
        secrets.iter().all(|secret| *secret == secrets[0]),
        "{secrets:?}"
    );
    assert_eq!(
        identity(&client, &stub.url()).1,
        secrets[0].unwrap_or_default()
    );
    // Also where nobody answered at all, by the next command.
    let silent = Stub::start(|_| Answer::Silence(Vec::new()));
    let client = Client::at(Some(silent.url()));
    for _ in 0..2 {
        client
            .run(&["--timeout", "1", "register", "--name", "n"])
            .exits(6);
    }
    let asked = silent.requests();
    let secret = |n: usize| asked[n].header("X-Agent-Secret").map(str::to_owned);
    assert!(secret(0).is_some() && secret(0) == secret(1));
}

#[test]
fn a_restarted_relay_is_given_the_same_secret_again() {
    for options in [[].as_slice(), &["--strict-identity"]] {
        let address = free_address();
        let relay = Relay::at(address, options);
        let (alice, bob) = (Client::of(&relay), Client::of(&relay));
        for (client, name) in [(&alice, "alice"), (&bob, "bob")] {
            join(client, name, &[]);
        }
        let before = identity(&alice, &relay.url());
        relay.end();
        let relay = Relay::at(address, options);
        bob.run(&["heartbeat"]).ok();
        // Who sends before it has heard of the restart is heard all the same.
        alice.run(&["delegate", "--to", "bob", "--task", "t"]).ok();
        assert_eq!(identity(&alice, &relay.url()), before);
        assert_eq!(
            relay.get(&format!("/poll/{}", before.0)).code(),
            "forbidden"
        );
        assert_eq!(bob.run(&["poll", "--json"]).ok().json()[0]["task"], "t");
        alice.run(&["poll", "--quiet"]).ok();
    }
}

#[test]
fn whoever_sits_on_an_unclaimed_id_is_turned_out_by_its_owner() {
    let address = free_address();
    let relay = Relay::at(address, &[]);
    let client = Client::of(&relay);
    join(&client, "n", &[]);
    let (id, _) = identity(&client, &relay.url());
    relay.end();
    let relay = Relay::at(address, &[]);
    relay.register(&id);
    let mut squatter = relay.socket(&id);
    client.run(&["poll", "--quiet"]).ok();
    assert_eq!(squatter.close_code(), Some(4003));
    assert_eq!(relay.get(&format!("/poll/{id}")).status, 403);
}

#[test]
fn an_agent_that_was_anybodys_before_is_claimed_by_the_next_register() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a1b2c3d4");
    relay.delegate("x", "a1b2c3d4", "waits");
    client.run(&["broadcast", "--content", "c"]).ok();
    assert_eq!(
        relay.get("/poll/a1b2c3d4?peek=1").json()["count"],
        1,
        "as before"
    );
    join(&client, "a1b2c3d4", &[]);
    assert_eq!(relay.get("/poll/a1b2c3d4").status, 403);
    assert_eq!(
        client.run(&["poll", "--json"]).ok().json()[0]["task"],
        "waits"
    );
}

#[test]
fn an_original_is_not_troubled_by_it() {
    let relay = Original::start();
    let client = Client::at(Some(relay.url()));
    join(&client, "n", &[]);
    for line in [
        ["heartbeat"].as_slice(),
        &["poll", "--quiet"],
        &["broadcast", "--content", "c"],
        &["discover"],
    ] {
        client.run(line).ok();
    }
}

#[test]
fn what_is_no_secret_is_not_sent() {
    let stub = Stub::saying(Answer::ok(
        json!({"messages": [], "count": 0, "epoch": "e"}),
    ));
    let client = Client::at(Some(stub.url()));
    std::fs::create_dir(client.folder()).expect("a folder");
    let url = stub.url();
    let entry = json!({"agent_id": "a", "epoch": "e", "agent_secret": "x\r\nX-Injected: 1"});
    let state = json!({"relay_url": url, "agent_id": "a", "agent_name": "a", "relays": {url.clone(): entry}});
    std::fs::write(file(&client), state.to_string()).expect("a state file");
    client.run(&["poll"]).ok();
    let sent = stub.requests();
    assert!(
        sent.iter()
            .all(|request| request.header("X-Agent-Id") == Some("a"))
    );
    assert!(
        sent.iter().all(|request| !request.head.contains("Injected")
            && !request.head.contains("X-Agent-Secret"))
    );
}
