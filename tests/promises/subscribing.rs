//! An agent hears the broadcasts of the topics it chose: in its inbox, on its socket, by the command.

use harness::{Client, Original, Relay, Value, json};
use std::time::Duration;

fn tell(relay: &Relay, topic: &str) -> u64 {
    let call = json!({"from_agent": "teller", "topic": topic, "content": topic});
    relay.post("/broadcast", &call).json()["recipients"]
        .as_u64()
        .expect("a number")
}

fn subscribe(relay: &Relay, agent_id: &str, topics: &Value) -> Value {
    let call = json!({"agent_id": agent_id, "topics": topics});
    let reply = relay.post("/subscribe", &call);
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json()["status"], "subscribed");
    reply.json()["topics"].clone()
}

fn topics(messages: &[Value]) -> Vec<&str> {
    let topics = messages
        .iter()
        .filter_map(|message| message["topic"].as_str());
    topics.collect()
}

#[test]
fn a_broadcast_goes_to_those_who_hear_its_topic_and_counts_them() {
    let relay = Relay::start();
    for agent in ["all", "some", "none", "teller"] {
        relay.register(agent);
    }
    assert_eq!(
        subscribe(&relay, "some", &json!(["ci", "build", "ci"])),
        json!(["build", "ci"])
    );
    assert_eq!(subscribe(&relay, "none", &json!([])), json!([]));
    let told = ["build", "Build", "ci", "general"].map(|topic| tell(&relay, topic));
    assert_eq!(told, [2, 1, 2, 1]);
    assert_eq!(
        topics(&relay.poll("all")),
        ["build", "Build", "ci", "general"]
    );
    assert_eq!(topics(&relay.poll("some")), ["build", "ci"]);
    assert_eq!(topics(&relay.poll("none")), [""; 0]);
    assert_eq!(subscribe(&relay, "some", &Value::Null), Value::Null);
    assert_eq!(tell(&relay, "other"), 2);
    assert_eq!(topics(&relay.poll("some")), ["other"]);
    assert_eq!(
        relay.get("/broadcasts?limit=1").json()["count"],
        1,
        "the log has it for all"
    );
}

#[test]
fn a_socket_hears_the_same_and_what_is_no_broadcast_still_comes() {
    let relay = Relay::start();
    relay.register("a");
    let mut socket = relay.socket("a");
    subscribe(&relay, "a", &json!(["build"]));
    let told = ["other", "build"].map(|topic| tell(&relay, topic));
    assert_eq!(told, [0, 1]);
    assert_eq!(socket.next_of("knowledge_broadcast")["topic"], "build");
    subscribe(&relay, "a", &json!([]));
    assert_eq!(tell(&relay, "build"), 0);
    relay.delegate("b", "a", "t");
    relay.post(
        "/files",
        &json!({"file_key": "k", "content": "", "agent_id": "b"}),
    );
    relay.register("b");
    let came = socket.drain(Duration::from_millis(300));
    let kinds: Vec<&str> = came
        .iter()
        .filter_map(|frame| frame["type"].as_str())
        .collect();
    assert_eq!(kinds, ["task_delegation", "file_updated", "agent_joined"]);
}

#[test]
fn registering_says_the_topics_and_registering_again_keeps_them() {
    let relay = Relay::start();
    let register = |body: Value| relay.post("/register", &body).json()["agent"]["topics"].clone();
    assert_eq!(register(json!({"agent_id": "a"})), Value::Null);
    assert_eq!(
        register(json!({"agent_id": "a", "topics": ["x", "b"]})),
        json!(["b", "x"])
    );
    assert_eq!(
        register(json!({"agent_id": "a", "topics": null})),
        json!(["b", "x"])
    );
    assert_eq!(
        relay.get("/discover").json()["agents"][0]["topics"],
        json!(["b", "x"])
    );
    assert_eq!(register(json!({"agent_id": "a", "topics": []})), json!([]));
    assert_eq!(tell(&relay, "x"), 0);
    subscribe(&relay, "a", &Value::Null);
    relay.post("/deregister", &json!({"agent_id": "a"}));
    assert_eq!(
        register(json!({"agent_id": "a"})),
        Value::Null,
        "who comes anew hears all"
    );
}

#[test]
fn topics_are_bounded_words_of_a_registered_agent() {
    let relay = Relay::start();
    let nobody = relay.post("/subscribe", &json!({"agent_id": "a", "topics": []}));
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (404, "unknown_agent")
    );
    relay.register("a");
    let long = "x".repeat(128);
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for bad in [
        json!({"topics": []}),
        json!({"agent_id": "a", "topics": "build"}),
        json!({"agent_id": "a", "topics": [""]}),
        json!({"agent_id": "a", "topics": [format!("{long}x")]}),
        json!({"agent_id": "a", "topics": many}),
        json!({"agent_id": "a", "topics": vec![long; 33]}),
    ] {
        assert_eq!(relay.post("/subscribe", &bad).status, 400, "{bad}");
        if bad.get("agent_id").is_some() {
            assert_eq!(relay.post("/register", &bad).status, 400, "{bad}");
        }
    }
    subscribe(&relay, "a", &json!(many[..100]));
    assert_eq!((tell(&relay, "99"), tell(&relay, "100")), (1, 0));
}

#[test]
fn the_command_chooses_topics_and_says_them_again_where_they_were_forgotten() {
    let relay = Relay::start();
    let address = relay.address;
    let client = Client::of(&relay);
    client
        .run(&["register", "--name", "anna", "--topics", "build, ci"])
        .ok();
    let heard = |relay: &Relay| ["build", "news"].map(|topic| tell(relay, topic));
    assert_eq!(heard(&relay), [1, 0]);
    assert_eq!(
        client.run(&["subscribe", "news", "a b"]).ok().out,
        "you hear a b, news\n"
    );
    assert_eq!(heard(&relay), [0, 1]);
    assert_eq!(
        client.run(&["subscribe", "--none"]).ok().out,
        "you hear no topic\n"
    );
    assert_eq!(
        client.run(&["subscribe", "--all"]).ok().out,
        "you hear every topic\n"
    );
    assert_eq!(heard(&relay), [1, 1]);
    let json = client.run(&["subscribe", "news", "--json"]).ok().json();
    assert_eq!(json, [json!({"status": "subscribed", "topics": ["news"]})]);
    relay.end();
    let relay = Relay::at(address, &[]);
    client.run(&["poll", "--quiet"]).ok();
    assert_eq!(heard(&relay), [0, 1], "the new relay was told");
    relay.end();
    let relay = Relay::at(address, &[]);
    let said = client.run(&["subscribe", "build"]).ok();
    assert!(said.err.contains("registered again as anna"), "{said:?}");
    assert_eq!(heard(&relay), [1, 0]);
    for bad in [
        &["subscribe"][..],
        &["subscribe", "x", "--all"],
        &["subscribe", "--all", "--none"],
        &["subscribe", "\u{1b}"],
    ] {
        client.run(bad).exits(2);
    }
}

#[test]
fn an_original_knows_no_topics_and_is_said_to() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    let said = client
        .run(&["register", "--name", "anna", "--topics", "build"])
        .ok()
        .err;
    assert_eq!(
        said,
        "clawlink: this relay cannot choose topics: every broadcast reaches you\n"
    );
    let said = client.run(&["subscribe", "build"]).exits(1).err;
    assert_eq!(said, "clawlink: this relay cannot choose topics\n");
}
