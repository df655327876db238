//! Mail that dies: the sender is told, and the letter is kept.

use harness::{Relay, Value, eventually, json};

fn failed(relay: &Relay, sender: &str) -> Value {
    eventually("the sender is told", || {
        relay.poll(sender).into_iter().next()
    })
}

fn dead(relay: &Relay, query: &str) -> Value {
    relay.get(&format!("/dead-letters{query}")).json()
}

#[test]
fn a_message_that_was_not_fetched_in_time_dies_and_can_be_sent_again() {
    let relay = Relay::start();
    relay.register("a");
    relay.register("s");
    let task = json!({"from_agent": "s", "to_agent": "a", "task": "t", "ttl": 1});
    let id = relay.post("/delegate", &task).json()["message_id"].clone();
    let told = failed(&relay, "s");
    assert_eq!(told["type"], "delivery_failed");
    assert_eq!(
        (&told["message_id"], &told["to_agent"], &told["reason"]),
        (&id, &json!("a"), &json!("expired"))
    );
    let list = dead(&relay, "?agent=a");
    assert_eq!(list["count"], 1);
    let letter = &list["dead_letters"][0];
    assert_eq!(
        (&letter["message"]["message_id"], &letter["message"]["task"]),
        (&id, &json!("t"))
    );
    assert_eq!(
        (&letter["reason"], &letter["attempts"]),
        (&json!("expired"), &json!(0))
    );
    assert!(harness::is_rfc3339_utc(&letter["died_at"]));
    let again = relay.post(
        "/dead-letters/redeliver",
        &json!({"message_ids": [id, id, "none"]}),
    );
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["done"], 1);
    assert_eq!(again.json()["failed"][0]["message_id"], "none");
    assert_eq!(again.json()["failed"][0]["code"], "not_found");
    assert_eq!(relay.poll("a")[0]["message_id"], id);
    assert_eq!(dead(&relay, "")["count"], 0);
}

#[test]
fn mail_of_an_agent_that_leaves_dies_with_it_and_is_listed_by_its_id() {
    let relay = Relay::start();
    for agent in ["s", "other"] {
        relay.register(agent);
    }
    let who = json!({"agent_id": "gone", "name": "Gone"});
    relay.post("/register", &who);
    let ids: Vec<Value> = (0..3)
        .map(|n| relay.delegate("s", "gone", &n.to_string()).json()["message_id"].clone())
        .collect();
    assert_eq!(dead(&relay, "?agent=Gone")["count"], 0);
    relay.delegate("s", "other", "not dead");
    relay.post("/deregister", &json!({"agent_id": "gone"}));
    let told = failed(&relay, "s");
    assert_eq!(
        (&told["message_ids"], &told["count"]),
        (&json!(ids), &json!(3))
    );
    assert_eq!(told["reason"], "recipient_removed");
    assert_eq!(dead(&relay, "?agent=gone")["count"], 3);
    assert_eq!(dead(&relay, "?agent=other")["count"], 0);
    assert_eq!(dead(&relay, "?agent=never")["count"], 0);
    let refused = relay.post("/dead-letters/redeliver", &json!({"message_ids": ids}));
    assert_eq!(refused.json()["done"], 0);
    assert_eq!(refused.json()["failed"][2]["code"], "unknown_agent");
    assert_eq!(dead(&relay, "?agent=gone")["count"], 3);
}

#[test]
fn dead_letters_come_in_pages_and_the_oldest_make_room() {
    let relay = Relay::with(&["--dead-letters-limit", "5"]);
    relay.register("a");
    for n in 0..8 {
        relay.delegate("s", "a", &n.to_string());
    }
    relay.post("/deregister", &json!({"agent_id": "a"}));
    let tasks = |list: &Value| {
        let letters = list["dead_letters"].as_array().cloned().unwrap_or_default();
        let tasks = letters
            .iter()
            .map(|l| l["message"]["task"].as_str().unwrap_or_default().to_owned());
        tasks.collect::<String>()
    };
    let first = eventually("they are there", || {
        let list = dead(&relay, "?limit=3");
        (list["count"] == 3).then_some(list)
    });
    assert_eq!(tasks(&first), "345");
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = dead(&relay, &format!("?limit=3&cursor={cursor}"));
    assert_eq!(
        (tasks(&rest).as_str(), &rest["next_cursor"]),
        ("67", &Value::Null)
    );
    for bad in ["?limit=0", "?cursor=zz", "?agent="] {
        assert_eq!(
            relay.get(&format!("/dead-letters{bad}")).status,
            400,
            "{bad}"
        );
    }
    for bad in [
        json!({}),
        json!({"message_ids": []}),
        json!({"message_ids": vec!["x"; 101]}),
    ] {
        assert_eq!(
            relay.post("/dead-letters/redeliver", &bad).status,
            400,
            "{bad}"
        );
    }
}

#[test]
fn a_ttl_is_checked_and_work_under_way_has_all_the_time_it_needs() {
    let relay = Relay::start();
    relay.register("a");
    for ttl in [json!(0), json!(604_801), json!(-1), json!(1.5), json!("60")] {
        let task = json!({"from_agent": "s", "to_agent": "a", "task": "t", "ttl": ttl});
        assert_eq!(relay.post("/delegate", &task).status, 400, "{ttl}");
        let news = json!({"from_agent": "s", "content": "c", "ttl": ttl});
        assert_eq!(relay.post("/broadcast", &news).status, 400, "{ttl}");
    }
    let task = |name: &str| json!({"from_agent": "s", "to_agent": "a", "task": name, "ttl": 1});
    relay.post("/delegate", &task("begun"));
    let begun = relay.get("/poll/a?lease=60").json();
    relay.post("/delegate", &task("not begun"));
    eventually("the other one dies", || {
        (dead(&relay, "?agent=a")["count"] == 1).then_some(())
    });
    let ack = json!({"agent_id": "a", "batch": begun["batch"]});
    assert_eq!(relay.post("/ack", &ack).json()["done"], 1);
    assert_eq!(
        dead(&relay, "?agent=a")["dead_letters"][0]["message"]["task"],
        "not begun"
    );
}

#[test]
fn all_inboxes_together_have_a_bound_of_their_own() {
    let relay = Relay::with(&["--inboxes-bytes", "100000"]);
    let text = "x".repeat(9_000);
    let refused = (0..20).find_map(|n| {
        let agent = format!("a{n}");
        relay.register(&agent);
        Some(relay.delegate("s", &agent, &text)).filter(|reply| reply.status != 200)
    });
    let refused = refused.expect("one too many");
    assert_eq!((refused.status, refused.code()), (507, "relay_full".into()));
    assert!(
        refused.json()["error"]
            .as_str()
            .is_some_and(|e| e.contains("--inboxes-bytes"))
    );
    for _ in 0..2 {
        relay.poll("a0");
    }
    assert_eq!(
        relay.delegate("s", "a1", &text).status,
        200,
        "what was read makes room"
    );
}
