//! Presence in real time, on the real relay. Its borders are tried in the relay's own tests, under
//! a paused clock.

use harness::{Relay, eventually, json};

#[test]
fn an_unheard_agent_leaves_the_list_keeps_its_inbox_and_comes_back() {
    let relay = Relay::with(&["--stale-after", "1"]);
    relay.register("a");
    relay.delegate("b", "a", "kept");
    eventually("a is stale", || {
        (relay.get("/discover").json()["count"] == 0).then_some(())
    });
    // The list looks at the clock, the count waits for the agent's timer.
    eventually("it is counted as such", || {
        (relay.get("/").json()["agents_online"] == 0).then_some(())
    });
    let sent = relay.delegate("b", "a", "also kept").json();
    assert_eq!(sent["recipient"]["status"], "stale");
    assert!(sent["recipient"]["last_seen_seconds"].as_u64() >= Some(1));
    assert_eq!(relay.poll("a").len(), 2);
    assert_eq!(relay.get("/discover").json()["count"], 1);
}

#[test]
fn an_agent_is_removed_when_it_was_unheard_for_long_enough() {
    let relay = Relay::with(&["--stale-after", "1", "--reap-after", "2"]);
    relay.register("a");
    relay.delegate("b", "a", "gone with it");
    eventually("a is reaped", || {
        (relay.get("/").json()["agents_online"] == 0).then_some(())
    });
    eventually("it is unknown", || {
        (relay.delegate("b", "a", "x").status == 404).then_some(())
    });
    let heartbeat = relay.post("/heartbeat", &json!({"agent_id": "a"}));
    assert_eq!(heartbeat.json()["status"], "unknown_agent");
    eventually("the log tells", || {
        relay.log().contains("reaped").then_some(())
    });
}

#[test]
fn an_open_socket_is_heard_without_a_word() {
    let relay = Relay::with(&["--stale-after", "1"]);
    relay.register("quiet");
    let socket = relay.socket("listener");
    eventually("quiet is stale", || {
        (relay.get("/discover").json()["count"] == 1).then_some(())
    });
    assert_eq!(
        relay.get("/discover").json()["agents"][0]["agent_id"],
        "listener"
    );
    drop(socket);
    eventually("so is the listener", || {
        (relay.get("/discover").json()["count"] == 0).then_some(())
    });
}

#[test]
fn a_ttl_outlasts_the_default() {
    let relay = Relay::with(&["--stale-after", "1"]);
    relay.post("/register", &json!({"agent_id": "cron", "ttl": 86400}));
    relay.register("short");
    eventually("short is stale", || {
        (relay.get("/discover").json()["count"] == 1).then_some(())
    });
    assert_eq!(
        relay.get("/discover").json()["agents"][0]["agent_id"],
        "cron"
    );
    for ttl in [
        json!(29),
        json!(86_401),
        json!(-1),
        json!("60"),
        json!(60.5),
    ] {
        assert_eq!(
            relay.post("/register", &json!({"ttl": ttl})).status,
            400,
            "{ttl}"
        );
    }
}

/// A laptop that slept: nobody could be heard, and nobody is blamed for it.
#[test]
fn time_in_which_the_relay_stood_still_does_not_count() {
    use nix::sys::signal::Signal;
    let relay = Relay::with(&["--stale-after", "3", "--reap-after", "4"]);
    relay.register("a");
    relay.delegate("b", "a", "kept");
    let leased = relay.get("/poll/a?lease=5").json();
    relay.signal(Signal::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_secs(8));
    relay.signal(Signal::SIGCONT);
    assert_eq!(relay.get("/discover").json()["count"], 1, "{}", relay.log());
    let ack = json!({"agent_id": "a", "batch": leased["batch"]});
    assert_eq!(
        relay.post("/ack", &ack).json()["done"],
        1,
        "its lease goes on"
    );
    eventually("after that time runs as ever", || {
        (relay.get("/discover").json()["count"] == 0).then_some(())
    });
}
