//! `clawlink discover`: who is there, who was, and who can do what.

use harness::{Answer, Client, Original, Relay, Stub, eventually, json};

/// The ids of a list.
fn found(client: &Client, line: &[&str]) -> Vec<String> {
    let listed = client.run(&[line, &["--json"]].concat()).ok().json();
    let id = |agent: &harness::Value| agent["agent_id"].as_str().expect("an id").to_owned();
    listed.iter().map(id).collect()
}

#[test]
fn all_that_are_registered_are_listed_where_it_is_asked_for() {
    let relay = Relay::with(&["--stale-after", "1"]);
    let join = |id: &str, capabilities: &[&str], ttl: u64| {
        let call = json!({"agent_id": id, "capabilities": capabilities, "ttl": ttl});
        assert_eq!(relay.post("/register", &call).status, 200);
    };
    join("a1", &["rust", "a & b=c"], 60);
    join("b1", &["rust"], 60);
    relay.register("gone");
    let client = Client::of(&relay);
    eventually("one of them is stale", || {
        (found(&client, &["discover"]) == ["a1", "b1"]).then_some(())
    });
    assert_eq!(found(&client, &["discover", "--all"]), ["a1", "b1", "gone"]);
    let table = client.run(&["discover", "--all"]).ok().out;
    let row = table.lines().last().unwrap_or_default();
    assert!(row.starts_with("gone") && row.contains("stale"), "{table}");
    let able = found(&client, &["discover", "--all", "--cap", "rust,a & b=c"]);
    assert_eq!(able, ["a1"]);
    assert!(
        relay.log().contains("/discover") && !relay.log().contains("status=400"),
        "{}",
        relay.log()
    );
    let none = client.run(&["discover", "--all", "--cap", "x"]).ok().out;
    assert_eq!(
        none,
        "No agent with x is registered. All that are: clawlink discover --all\n"
    );
}

#[test]
fn the_relay_filters_what_it_can_and_the_client_the_rest() {
    let agent = |id: &str, capabilities: &[&str]| json!({"agent_id": id, "capabilities": capabilities, "status": "online"});
    let agents = [
        agent("a", &["x", "y"]),
        agent("b", &["x"]),
        agent("c", &["y"]),
    ];
    // One that takes no notice of what is asked.
    let stub = Stub::saying(Answer::ok(
        json!({"agents": agents, "features": ["discover_filters"]}),
    ));
    let client = Client::at(Some(stub.url()));
    assert_eq!(found(&client, &["discover", "--cap", "x, y"]), ["a"]);
    assert_eq!(
        found(&client, &["discover", "--all", "--cap", "y"]),
        ["a", "c"]
    );
    assert_eq!(
        stub.lines(),
        [
            "GET /discover?capability=x",
            "GET /",
            "GET /discover?all=1&capability=y"
        ]
    );
}

#[test]
fn an_original_says_that_it_shows_only_who_is_online() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "n", "--caps", "x"]).ok();
    let refused = client.run(&["discover", "--all"]).exits(1);
    assert_eq!(
        (refused.out.as_str(), refused.err.as_str()),
        (
            "",
            "clawlink: this relay shows only who is online\n  without --all: clawlink discover\n"
        )
    );
    assert_eq!(found(&client, &["discover", "--cap", "x"]).len(), 1);
    assert!(found(&client, &["discover", "--cap", "y"]).is_empty());
}
