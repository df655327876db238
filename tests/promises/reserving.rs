//! Who edits what: reservations of paths, and the commands.

use harness::{Client, Original, Relay, Reply, Value, eventually, is_rfc3339_utc, json};

fn reserve(relay: &Relay, agent: &str, pattern: &str, more: Value) -> Reply {
    let mut call = json!({"agent_id": agent, "pattern": pattern});
    for (field, value) in more.as_object().into_iter().flatten() {
        call[field] = value.clone();
    }
    relay.post("/reservations", &call)
}

/// The id of a reservation that is made.
fn reserved(relay: &Relay, agent: &str, pattern: &str, more: Value) -> String {
    let reply = reserve(relay, agent, pattern, more);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let reply = reply.json();
    assert_eq!(reply["status"], "reserved");
    assert!(is_rfc3339_utc(&reply["until"]));
    reply["id"].as_str().expect("an id").to_owned()
}

fn release(relay: &Relay, id: &str, agent: &str) -> Reply {
    let path = format!("/reservations/{id}");
    relay.request("DELETE", &path, &[("X-Agent-Id", agent)], b"")
}

/// The patterns that are listed.
fn listed(relay: &Relay, query: &str) -> String {
    let list = relay.get(&format!("/reservations{query}")).json();
    let all = list["reservations"].as_array().cloned().unwrap_or_default();
    assert_eq!(list["count"], all.len());
    let patterns = all.iter().filter_map(|lease| lease["pattern"].as_str());
    patterns.collect::<Vec<_>>().join(" ")
}

fn relay_with(agents: &[&str]) -> Relay {
    let relay = Relay::start();
    for agent in agents {
        let name = format!("{agent} the agent");
        relay.post("/register", &json!({"agent_id": agent, "name": name}));
    }
    relay
}

#[test]
fn what_overlaps_anothers_is_refused_with_who_and_until_when() {
    let relay = relay_with(&["a", "b"]);
    let id = reserved(
        &relay,
        "a",
        "src/core/*.rs",
        json!({"ttl": 100, "reason": "splitting"}),
    );
    for overlap in [
        "src/core/inbox.rs",
        "src/**",
        "**/inbox.?s",
        "*/core/i*",
        "**",
    ] {
        for exclusive in [true, false] {
            let refused = reserve(&relay, "b", overlap, json!({"exclusive": exclusive}));
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (409, "reserved"),
                "{overlap}"
            );
            let lease = refused.json()["reservation"].clone();
            assert_eq!(
                (
                    &lease["id"],
                    &lease["agent_id"],
                    &lease["name"],
                    &lease["pattern"]
                ),
                (
                    &json!(id),
                    &json!("a"),
                    &json!("a the agent"),
                    &json!("src/core/*.rs")
                )
            );
            assert_eq!(
                (&lease["exclusive"], &lease["reason"]),
                (&json!(true), &json!("splitting"))
            );
            assert!(is_rfc3339_utc(&lease["until"]));
            assert!(
                lease["seconds"]
                    .as_u64()
                    .is_some_and(|s| (90..=100).contains(&s))
            );
        }
    }
    for beside in ["src/core", "src/core/a/b.rs", "src/core/a.md", "docs/**"] {
        reserved(&relay, "b", beside, json!({}));
    }
    reserved(&relay, "a", "src/core/inbox.rs", json!({}));
    assert_eq!(release(&relay, &id, "a").status, 200);
    let still = reserve(&relay, "b", "src/core/*", json!({}));
    assert_eq!(still.json()["reservation"]["pattern"], "src/core/inbox.rs");
}

#[test]
fn what_is_shared_bears_what_is_shared_and_nothing_else() {
    let relay = relay_with(&["a", "b"]);
    let shared = json!({"exclusive": false});
    reserved(&relay, "a", "docs/**", shared.clone());
    reserved(&relay, "b", "docs/*.md", shared);
    assert_eq!(
        reserve(&relay, "b", "docs/*.md", json!({})).status,
        409,
        "not for itself"
    );
    assert_eq!(reserve(&relay, "a", "docs/**", json!({})).status, 409);
}

#[test]
fn the_list_shows_what_means_a_path_and_what_an_agent_holds() {
    let relay = relay_with(&["a", "b"]);
    for (agent, pattern) in [("a", "src/**"), ("b", "docs/a.md"), ("a", "docs/b.md")] {
        reserved(&relay, agent, pattern, json!({}));
    }
    for (query, patterns) in [
        ("", "src/** docs/a.md docs/b.md"),
        ("?path=src/x/y.rs", "src/**"),
        ("?path=docs/*", "docs/a.md docs/b.md"),
        ("?path=docs", ""),
        ("?agent=a", "src/** docs/b.md"),
        ("?agent=b%20the%20agent&path=docs/b.md", ""),
        ("?limit=2", "src/** docs/a.md"),
    ] {
        assert_eq!(listed(&relay, query), patterns, "{query}");
    }
    let first = relay.get("/reservations?limit=2").json();
    let cursor = first["next_cursor"].as_str().expect("there is more");
    assert_eq!(listed(&relay, &format!("?cursor={cursor}")), "docs/b.md");
    for bad in [
        "?path=",
        "?path=/src",
        "?path=a/../b",
        "?limit=0",
        "?cursor=zz",
        "?agent=",
    ] {
        assert_eq!(
            relay.get(&format!("/reservations{bad}")).status,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        relay.get("/reservations?agent=nobody").code(),
        "unknown_agent"
    );
}

#[test]
fn it_ends_with_its_time_its_release_or_its_agent() {
    let relay = relay_with(&["a", "b"]);
    let id = reserved(&relay, "a", "x", json!({"ttl": 1}));
    assert_eq!(reserve(&relay, "b", "x", json!({})).status, 409);
    eventually("its time is over", || {
        (reserve(&relay, "b", "x", json!({})).status == 200).then_some(())
    });
    assert_eq!(release(&relay, &id, "a").code(), "not_found", "it is over");
    let id = reserved(&relay, "a", "y", json!({}));
    let refused = release(&relay, &id, "b");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "forbidden")
    );
    assert_eq!(
        relay
            .request("DELETE", &format!("/reservations/{id}"), &[], b"")
            .status,
        400
    );
    assert_eq!(release(&relay, &id, "a").text, r#"{"status":"released"}"#);
    assert_eq!(release(&relay, &id, "a").status, 404);
    reserved(&relay, "a", "z", json!({}));
    relay.register("a");
    assert_eq!(listed(&relay, ""), "x z", "registering again keeps them");
    relay.post("/deregister", &json!({"agent_id": "a"}));
    assert_eq!(listed(&relay, ""), "x");
    relay.register("a");
    assert_eq!(listed(&relay, "?agent=a"), "", "who comes anew has none");
}

#[test]
fn those_of_an_agent_that_is_reaped_end() {
    let relay = Relay::with(&["--stale-after", "1", "--reap-after", "1"]);
    relay.register("a");
    reserved(&relay, "a", "x", json!({}));
    eventually("it is gone", || {
        (listed(&relay, "").is_empty()).then_some(())
    });
    assert_eq!(relay.get("/poll/a").json()["status"], "unknown_agent");
}

#[test]
fn no_lease_outlives_an_agent_that_leaves_while_it_reserves() {
    let relay = Relay::start();
    std::thread::scope(|scope| {
        for agent in ["a", "b"] {
            let relay = &relay;
            scope.spawn(move || {
                for n in 0..100 {
                    relay.register(agent);
                    std::thread::scope(|both| {
                        both.spawn(|| reserve(relay, agent, &format!("{agent}/{n}"), json!({})));
                        relay.post("/deregister", &json!({"agent_id": agent}));
                    });
                }
            });
        }
    });
    assert_eq!(listed(&relay, ""), "");
}

#[test]
fn the_same_again_renews_and_keeps_its_id() {
    let relay = relay_with(&["a", "b"]);
    let id = reserved(&relay, "a", "src/**", json!({"ttl": 1, "reason": "one"}));
    let again = json!({"ttl": 500, "exclusive": false, "reason": "two"});
    assert_eq!(reserved(&relay, "a", "src/**", again), id);
    let lease = relay.get("/reservations").json()["reservations"][0].clone();
    assert_eq!(
        (&lease["exclusive"], &lease["reason"]),
        (&json!(false), &json!("two"))
    );
    assert!(
        lease["seconds"]
            .as_u64()
            .is_some_and(|seconds| seconds > 400)
    );
}

#[test]
fn reservations_are_bounded() {
    let relay = Relay::with(&["--reservations-limit", "3"]);
    let nobody = reserve(&relay, "a", "x", json!({}));
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (404, "unknown_agent")
    );
    relay.register("a");
    for n in 0..3 {
        reserved(
            &relay,
            "a",
            &n.to_string(),
            json!({"ttl": 86400, "reason": "r".repeat(256)}),
        );
    }
    let refused = reserve(&relay, "a", "x", json!({}));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "relay_full")
    );
    assert!(
        refused.text.contains("--reservations-limit"),
        "{}",
        refused.text
    );
    reserved(&relay, "a", "0", json!({}));
    for bad in [
        json!({"ttl": 0}),
        json!({"ttl": 86401}),
        json!({"ttl": 1.5}),
        json!({"reason": "r".repeat(257)}),
        json!({"exclusive": "yes"}),
        json!({"pattern": "/etc/passwd"}),
        json!({"pattern": "src/"}),
        json!({"pattern": "../x"}),
        json!({"pattern": "a\nb"}),
        json!({"pattern": "x".repeat(257)}),
        json!({"pattern": null}),
        json!({"agent_id": null}),
    ] {
        assert_eq!(reserve(&relay, "a", "0", bad.clone()).status, 400, "{bad}");
    }
}

#[test]
fn the_command_reserves_looks_and_releases() {
    let relay = relay_with(&["b"]);
    let client = Client::joined(&relay, "a");
    assert_eq!(client.run(&["reserved"]).ok().out, "Nothing is reserved.\n");
    let made = client
        .run(&[
            "reserve",
            "./src/",
            "docs/a.md",
            "--reason",
            "\u{1b}big",
            "--ttl",
            "7000",
        ])
        .ok();
    let lines: Vec<&str> = made.out.lines().collect();
    assert!(lines[0].starts_with("reserved src/** until 20") && lines[0].contains("Z (id "));
    assert!(lines[1].starts_with("reserved docs/a.md until 20"));
    let other = Client::member(&relay.url(), "b", "b");
    other.run(&["reserve", "--shared", "tests/**"]).ok();
    let table = client.run(&["reserved"]).ok().out;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["PATTERN", "HOLDER", "ID", "KIND", "LEFT", "REASON"]
    );
    assert_eq!(
        (rows[1][0], rows[3][0], rows.len()),
        ("src/**", "tests/**", 4)
    );
    assert!(
        table.contains("\\u{1b}big") && table.contains(" alone ") && table.contains(" shared ")
    );
    assert_eq!(
        client.run(&["reserved", "src/main.rs"]).ok().out,
        "src/**: you, 1h left\n"
    );
    assert_eq!(client.run(&["reserved", "./lib/x"]).ok().out, "free\n");
    let shared = client.run(&["reserved", "tests/a"]).ok().out;
    assert!(
        shared.starts_with("tests/**: b the agent (b), "),
        "{shared}"
    );
    let taken = other.run(&["reserved", "src/main.rs"]).exits(5).err;
    assert!(
        taken.starts_with("clawlink: src/main.rs is reserved by a (a) until 20"),
        "{taken}"
    );
    assert!(
        taken.contains("Z: \\u{1b}big\n  by src/**, for 1h more unless renewed"),
        "{taken}"
    );
    let refused = other.run(&["reserve", "lib/b", "src/main.rs"]).exits(5);
    assert!(
        refused.out.starts_with("reserved lib/b until "),
        "{refused:?}"
    );
    assert!(
        refused
            .err
            .contains("\"src/main.rs\" overlaps \"src/**\", which is reserved by a (a)")
    );
    let lease = other.run(&["reserved", "src/x", "--json"]).exits(5).json();
    assert_eq!((lease.len(), &lease[0]["agent_id"]), (1, &json!("a")));
    let id = lease[0]["id"].as_str().unwrap_or_default();
    let said = other.run(&["release", id]).exits(7).err;
    assert!(
        said.contains("only its holder") && said.contains("clawlink reserved"),
        "{said}"
    );
    client.run(&["release", "none"]).exits(3);
    assert_eq!(client.run(&["release", id]).ok().out, "1 released\n");
    assert_eq!(other.run(&["release"]).ok().out, "2 released\n");
    assert_eq!(client.run(&["reserved", "--json"]).ok().json().len(), 1);
    assert_eq!(
        client.run(&["release", "--json"]).ok().out,
        "{\"released\":1}\n"
    );
    for bad in [
        &["reserve"][..],
        &["reserve", "/abs"],
        &["reserve", "a/../b"],
        &["reserved", ""],
    ] {
        client.run(bad).exits(2);
    }
    client.run(&["reserve", "x", "--ttl", "0"]).exits(1);
}

#[test]
fn who_was_forgotten_by_a_new_relay_registers_before_it_reserves() {
    let relay = Relay::start();
    let address = relay.address;
    let client = Client::of(&relay);
    client.run(&["register", "--name", "anna"]).ok();
    relay.end();
    let relay = Relay::at(address, &[]);
    let said = client.run(&["reserve", "a", "b"]).ok();
    assert_eq!(
        said.err.matches("registered again as anna").count(),
        1,
        "{said:?}"
    );
    assert_eq!(listed(&relay, ""), "a b");
}

#[test]
fn an_original_reserves_nothing_and_is_said_to() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "anna"]).ok();
    for line in [
        &["reserve", "x"][..],
        &["reserved"],
        &["reserved", "x"],
        &["release"],
        &["release", "x"],
    ] {
        let said = client.run(line).exits(1).err;
        assert_eq!(
            said, "clawlink: this relay cannot reserve paths\n",
            "{line:?}"
        );
    }
}
