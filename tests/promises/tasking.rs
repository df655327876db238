//! Tasks: where a delegation is, from its sending to its end.

use harness::{Relay, Value, eventually, json};

fn task(relay: &Relay, id: &Value) -> Value {
    let id = id.as_str().expect("an id");
    relay.get(&format!("/tasks/{id}")).json()["task"].clone()
}

fn states(task: &Value) -> String {
    let steps = task["history"].as_array().cloned().unwrap_or_default();
    let states = steps.iter().filter_map(|step| step["state"].as_str());
    states.collect::<Vec<_>>().join(" ")
}

fn respond(relay: &Relay, from: &str, id: &Value, status: &str, result: &str) -> Value {
    let call = json!({"from_agent": from, "message_id": id, "status": status, "result": result});
    let reply = relay.post("/respond", &call);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

fn two() -> Relay {
    let relay = Relay::start();
    relay.register("s");
    relay.register("a");
    relay
}

fn send(relay: &Relay, text: &str) -> Value {
    relay.delegate("s", "a", text).json()["message_id"].clone()
}

#[test]
fn a_task_goes_from_queued_to_its_end_and_tells_each_step() {
    let relay = two();
    let sent = relay.delegate("s", "a", "count the files").json();
    assert_eq!(sent["task_state"], "queued");
    let id = &sent["message_id"];
    let shown = task(&relay, id);
    assert_eq!(
        (&shown["state"], &shown["rev"]),
        (&json!("queued"), &json!(1))
    );
    assert_eq!(
        (&shown["task"], &shown["context"]),
        (&json!("count the files"), &json!({}))
    );
    assert_eq!(
        (&shown["from_agent"], &shown["to_agent"]),
        (&json!("s"), &json!("a"))
    );
    let leased = relay.get("/poll/a?lease=60").json();
    assert_eq!(task(&relay, id)["state"], "delivered");
    let begun = respond(&relay, "a", id, "in_progress", "on it");
    assert_eq!(
        (&begun["applied"], &begun["task_state"]),
        (&json!(true), &json!("in_progress"))
    );
    assert_eq!(
        begun["to_agent"], "s",
        "its addressee is found from the task"
    );
    respond(&relay, "a", id, "input_required", "which folder?");
    let told = json!({"from_agent": "s", "content": "src"});
    let input = relay.post(&format!("/tasks/{}/input", id.as_str().unwrap()), &told);
    assert_eq!(
        input.json(),
        json!({"status": "input_sent", "task_state": "in_progress"})
    );
    let got = relay.poll("a");
    assert_eq!(
        got.len(),
        1,
        "the delegation was acknowledged by the answer"
    );
    assert_eq!(
        (&got[0]["type"], &got[0]["content"]),
        (&json!("task_input"), &json!("src"))
    );
    assert_eq!(got[0]["message_id"], *id);
    let ack = json!({"agent_id": "a", "batch": leased["batch"]});
    assert_eq!(
        relay.post("/ack", &ack).json()["done"],
        1,
        "and so was its receipt"
    );
    respond(&relay, "a", id, "completed", "42");
    let ended = task(&relay, id);
    assert_eq!(
        (&ended["state"], &ended["result"]),
        (&json!("completed"), &json!("42"))
    );
    assert_eq!(
        states(&ended),
        "queued delivered in_progress input_required in_progress completed"
    );
    assert!(harness::is_rfc3339_utc(&ended["history"][0]["at"]));
    assert_eq!(relay.poll("s").len(), 3);
}

#[test]
fn an_answer_after_the_end_by_another_or_of_an_unknown_word_is_passed_on_and_moves_nothing() {
    let relay = two();
    relay.register("x");
    let id = send(&relay, "t");
    for (from, status) in [("x", "completed"), ("a", "nearly")] {
        let reply = respond(&relay, from, &id, status, "r");
        assert_eq!(
            (&reply["applied"], &reply["task_state"]),
            (&json!(false), &json!("queued"))
        );
    }
    respond(&relay, "a", &id, "failed", "no");
    let late = respond(&relay, "a", &id, "completed", "yes");
    assert_eq!(
        (&late["applied"], &late["task_state"]),
        (&json!(false), &json!("failed"))
    );
    let got = relay.poll("s");
    let applied: Vec<&Value> = got.iter().map(|message| &message["applied"]).collect();
    assert_eq!(
        applied,
        [&json!(false), &json!(false), &Value::Null, &json!(false)]
    );
    assert_eq!(got[3]["task_state"], "failed");
    assert_eq!(task(&relay, &id)["result"], "no");
    let unknown = json!({"from_agent": "a", "to_agent": "s", "message_id": "m"});
    assert_eq!(
        relay.post("/respond", &unknown).json()["applied"],
        Value::Null
    );
    let nobody = json!({"from_agent": "a", "message_id": "m"});
    assert_eq!(relay.post("/respond", &nobody).status, 400);
    let unfit = relay.get("/tasks/nosuch");
    assert_eq!((unfit.status, unfit.code()), (404, "not_found".into()));
}

#[test]
fn a_task_that_was_answered_is_not_handed_over_again() {
    let relay = two();
    let id = send(&relay, "t");
    relay.get("/poll/a?lease=1");
    respond(&relay, "a", &id, "completed", "r");
    eventually("its lease is over", || {
        let leased = relay.get("/poll/a?lease=1&wait=2").json();
        (leased["count"] == 0).then_some(())
    });
    // Answered before it was fetched at all, and while it is in flight.
    let id = send(&relay, "t");
    respond(&relay, "a", &id, "rejected", "r");
    assert!(relay.poll("a").is_empty());
    let mut socket = relay.socket("a");
    let sent = relay.delegate("s", "a", "t").json();
    assert_eq!(
        (&sent["delivery"], &sent["task_state"]),
        (&json!("websocket"), &json!("delivered"))
    );
    socket.next_of("task_delegation");
    socket
        .send(&json!({"type": "respond", "ref": 1, "message_id": sent["message_id"], "result": 1}));
    assert_eq!(socket.next_of("reply")["task_state"], "completed");
    drop(socket);
    eventually("the socket is gone", || {
        let peeked = relay.get("/poll/a?peek=1&wait=1").json();
        (peeked["count"] == 0).then_some(())
    });
}

#[test]
fn what_comes_back_is_queued_again_and_what_dies_says_how() {
    let relay = two();
    let id = send(&relay, "t");
    let leased = relay.get("/poll/a?lease=60").json();
    let nack = json!({"agent_id": "a", "batch": leased["batch"], "action": "nack"});
    relay.post("/ack", &nack);
    assert_eq!(states(&task(&relay, &id)), "queued delivered queued");
    let call = json!({"from_agent": "s", "to_agent": "a", "task": "t", "ttl": 1});
    let short = relay.post("/delegate", &call).json()["message_id"].clone();
    eventually("one expires", || {
        (task(&relay, &short)["state"] == "expired").then_some(())
    });
    relay.post("/deregister", &json!({"agent_id": "a"}));
    eventually("the other cannot be delivered", || {
        (task(&relay, &id)["state"] == "undeliverable").then_some(())
    });
    relay.register("a");
    let again = relay.post(
        "/dead-letters/redeliver",
        &json!({"message_ids": [id, short]}),
    );
    assert_eq!(again.json()["done"], 2);
    assert_eq!(task(&relay, &id)["state"], "queued");
    assert_eq!(relay.poll("a").len(), 2);
    assert_eq!(
        respond(&relay, "a", &short, "completed", "r")["applied"],
        true
    );
}

#[test]
fn a_sender_calls_its_task_off_and_the_assignee_learns_of_it_if_it_has_seen_it() {
    let relay = two();
    let cancel = |id: &Value, from: &str| {
        let path = format!("/tasks/{}/cancel", id.as_str().unwrap());
        relay.post(&path, &json!({"from_agent": from}))
    };
    let unseen = send(&relay, "t");
    let refused = cancel(&unseen, "a");
    assert_eq!((refused.status, refused.code()), (403, "forbidden".into()));
    let done = cancel(&unseen, "s").json();
    assert_eq!(
        done,
        json!({"status": "canceled", "task_state": "canceled"})
    );
    assert!(relay.poll("a").is_empty());
    let seen = send(&relay, "t");
    relay.get("/poll/a?lease=60");
    assert_eq!(cancel(&seen, "s").status, 200);
    let told = relay.poll("a");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["type"], &told[0]["message_id"]),
        (&json!("task_canceled"), &seen)
    );
    for reply in [
        cancel(&seen, "s"),
        relay.post(
            &format!("/tasks/{}/input", seen.as_str().unwrap()),
            &json!({"from_agent": "s", "content": "c"}),
        ),
    ] {
        assert_eq!((reply.status, reply.code()), (409, "task_ended".into()));
    }
    assert_eq!(
        respond(&relay, "a", &seen, "completed", "r")["applied"],
        false
    );
}

#[test]
fn waiting_for_a_task_ends_with_it_or_with_its_next_step_or_with_the_time() {
    let relay = two();
    let id = send(&relay, "t");
    let path = format!("/tasks/{}", id.as_str().unwrap());
    let began = std::time::Instant::now();
    let (ended, changed) = std::thread::scope(|scope| {
        let ended = scope.spawn(|| relay.get(&format!("{path}?wait=30")).json());
        let changed = scope.spawn(|| {
            relay
                .get(&format!("{path}?wait=30&until=changed&rev=1"))
                .json()
        });
        relay.get("/poll/a?lease=60");
        let changed = changed.join().expect("a reply");
        respond(&relay, "a", &id, "completed", "r");
        (ended.join().expect("a reply"), changed)
    });
    assert_eq!(changed["task"]["state"], "delivered");
    assert_eq!(ended["task"]["result"], "r");
    let moved = relay
        .get(&format!("{path}?wait=30&until=changed&rev=1"))
        .json();
    assert_eq!(moved["task"]["rev"], 3, "at once");
    let open = send(&relay, "t");
    let open = relay
        .get(&format!("/tasks/{}?wait=1", open.as_str().unwrap()))
        .json();
    assert_eq!(open["task"]["state"], "queued");
    assert!(began.elapsed().as_secs() < 15);
    for bad in [
        "wait=56",
        "until=soon",
        "until=changed",
        "until=changed&rev=x",
    ] {
        assert_eq!(relay.get(&format!("{path}?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn tasks_are_listed_newest_first_by_whose_they_are_and_how_they_stand() {
    let relay = two();
    relay.register("b");
    let ids: Vec<Value> = (0..4).map(|n| send(&relay, &n.to_string())).collect();
    relay.delegate("a", "b", "other");
    relay.get("/poll/a?lease=60&max=2");
    respond(&relay, "a", &ids[0], "completed", "r");
    let list = |query: &str| relay.get(&format!("/tasks?{query}")).json();
    let tasks = |list: &Value| {
        let tasks = list["tasks"].as_array().cloned().unwrap_or_default();
        let texts = tasks
            .iter()
            .filter_map(|t| t["task"].as_str().map(str::to_owned));
        texts.collect::<Vec<_>>().join(" ")
    };
    for (query, expected) in [
        ("", "other 3 2 1 0"),
        ("to=a", "3 2 1 0"),
        ("from=a", "other"),
        ("to=a&state=open", "3 2 1"),
        ("state=ended", "0"),
        ("to=a&state=delivered", "1"),
        ("from=s&to=b", ""),
        ("to=nobody", ""),
    ] {
        let found = list(query);
        assert_eq!(tasks(&found), expected, "{query}");
        assert_eq!(
            found["count"],
            expected.split_whitespace().count(),
            "{query}"
        );
    }
    let shown = &list("to=a")["tasks"][3];
    assert_eq!(
        (&shown["state"], &shown["result"]),
        (&json!("completed"), &Value::Null)
    );
    let first = list("to=a&limit=3");
    let cursor = first["next_cursor"].as_str().expect("there is more");
    send(&relay, "newer");
    let rest = list(&format!("to=a&limit=3&cursor={cursor}"));
    assert_eq!(
        (tasks(&rest).as_str(), &rest["next_cursor"]),
        ("0", &Value::Null)
    );
    for bad in ["state=done", "limit=0", "cursor=x", "from="] {
        assert_eq!(relay.get(&format!("/tasks?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn two_agents_that_delegate_to_each_other_stop_at_the_eighth_task() {
    let relay = two();
    let mut parent = Value::Null;
    for depth in 1..=9 {
        let (from, to) = if depth % 2 == 1 {
            ("s", "a")
        } else {
            ("a", "s")
        };
        let call = json!({"from_agent": from, "to_agent": to, "task": depth,
            "parent_id": parent, "thread_id": "talk"});
        let reply = relay.post("/delegate", &call);
        if depth == 9 {
            assert_eq!((reply.status, reply.code()), (409, "too_deep".into()));
        } else {
            parent = reply.json()["message_id"].clone();
            let shown = task(&relay, &parent);
            assert_eq!(shown["thread_id"], "talk", "{depth}");
        }
    }
    let last = relay.poll("s").pop().expect("a task");
    assert_eq!(last["thread_id"], "talk");
    assert!(last["parent_id"].is_string());
}

#[test]
fn tasks_are_bounded_and_those_that_ended_make_room() {
    let relay = Relay::with(&["--tasks-limit", "3"]);
    relay.register("a");
    let ids: Vec<Value> = (0..3).map(|n| send(&relay, &n.to_string())).collect();
    let full = relay.delegate("s", "a", "one too many");
    assert_eq!((full.status, full.code()), (507, "relay_full".into()));
    assert_eq!(relay.poll("a").len(), 3);
    relay.register("s");
    respond(&relay, "a", &ids[1], "completed", "r");
    assert_eq!(relay.delegate("s", "a", "room").status, 200);
    assert_eq!(
        relay
            .get(&format!("/tasks/{}", ids[1].as_str().unwrap()))
            .status,
        404
    );
    assert_eq!(task(&relay, &ids[0])["state"], "delivered");
}
