//! Relays restart and agents leave; an agent that comes back is who it was.

use harness::pair::Pair;
use harness::relay::free_address;
use harness::{Relay, Value, json};

/// Two agents, and a relay that has forgotten them.
fn restarted() -> Pair {
    let address = free_address();
    let Pair { relay, client } = Pair::on(Relay::at(address, &[]));
    relay.end();
    let relay = Relay::at(address, &[]);
    Pair { relay, client }
}

#[test]
fn a_relay_that_restarted_is_joined_again_under_the_same_id_and_that_is_said() {
    let address = free_address();
    let pair = Pair::on(Relay::at(address, &[]));
    let (anna, bernd) = (pair.id("anna"), pair.id("bernd"));
    pair.anna(&["register", "--name", "anna", "--caps", "x", "--ttl", "600"])
        .ok();
    let Pair { relay, client } = pair;
    relay.end();
    let relay = Relay::at(address, &[]);
    let pair = Pair { relay, client };
    let poll = pair.anna(&["poll"]).ok();
    let note = format!(
        "clawlink: the relay restarted; mail that waited there is gone; registered again as anna ({anna})\n"
    );
    assert_eq!((poll.out.as_str(), poll.err), ("No messages.\n", note));
    let beat = pair.bernd(&["heartbeat"]).ok();
    assert!(
        beat.err
            .contains(&format!("registered again as bernd ({bernd})")),
        "{beat:?}"
    );
    let agents = pair.relay.get("/discover").json()["agents"].clone();
    let agents = agents.as_array().unwrap();
    let mine = agents
        .iter()
        .find(|agent| agent["agent_id"] == anna.as_str());
    assert_eq!(
        mine.unwrap()["capabilities"],
        json!(["x"]),
        "as it was registered before"
    );
    assert_eq!(agents.len(), 2);
    assert_eq!(pair.anna(&["poll"]).ok().err, "", "told once");
    pair.anna(&["delegate", "--to", &bernd, "--task", "t"]).ok();
    assert_eq!(
        pair.bernd(&["poll", "--json"]).ok().json()[0]["from_agent"],
        anna
    );
}

#[test]
fn a_restart_that_somebody_else_met_first_is_told_to_us_too() {
    let pair = restarted();
    let id = pair.id("anna");
    // A script of the same agent has registered it already.
    pair.relay.register(&id);
    pair.relay.delegate("x", &id, "t");
    let poll = pair.anna(&["poll", "--json"]).ok();
    assert_eq!(poll.json()[0]["task"], "t");
    assert!(poll.err.contains("the relay restarted"), "{poll:?}");
    assert_eq!(pair.anna(&["poll"]).ok().err, "");
}

#[test]
fn who_leaves_is_gone_and_its_id_forgotten() {
    let pair = Pair::on(Relay::start());
    let id = pair.id("bernd");
    let left = pair.bernd(&["deregister"]).ok().out;
    assert_eq!(
        left,
        format!("left {}; the id {id} is forgotten\n", pair.relay.url())
    );
    pair.anna(&["delegate", "--to", &id, "--task", "t"])
        .exits(3);
    pair.bernd(&["poll"]).exits(2);
    let again = pair
        .bernd(&["register", "--name", "bernd", "--json"])
        .ok()
        .json();
    assert_ne!(again[0]["agent"]["agent_id"], Value::from(id));
}

/// An answer would not find the way back to an agent that the relay does not know.
#[test]
fn a_sender_that_meets_a_restarted_relay_is_known_again_afterwards() {
    let pair = restarted();
    let anna = pair.id("anna");
    pair.bernd(&["heartbeat"]).ok();
    let sent = pair
        .anna(&["delegate", "--to", "bernd", "--task", "t"])
        .ok();
    assert!(
        sent.err
            .contains(&format!("registered again as anna ({anna})")),
        "{sent:?}"
    );
    let task = pair.bernd(&["poll", "--json"]).ok().json()[0]["message_id"].clone();
    let task = task.as_str().unwrap();
    let line = ["respond", "--to", "anna", "--msg-id", task, "--result", "r"];
    pair.bernd(&line).ok();
    assert_eq!(pair.anna(&["poll", "--json"]).ok().json()[0]["result"], "r");
}
