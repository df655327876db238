//! Delegating to a capability: whoever is there and has least to do gets the task.

use harness::{Client, Relay, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn join(relay: &Relay, agent: &str, capability: &str) {
    let call = json!({"agent_id": agent, "capabilities": [capability]});
    assert_eq!(relay.post("/register", &call).status, 200);
}

fn send(relay: &Relay, capability: &str, task: &str) -> harness::Reply {
    let call = json!({"from_agent": "s", "to_capability": capability, "task": task});
    relay.post("/delegate", &call)
}

fn task(relay: &Relay, id: &Value) -> Value {
    let id = id.as_str().expect("an id");
    relay.get(&format!("/tasks/{id}")).json()["task"].clone()
}

#[test]
fn the_reply_and_the_task_say_who_was_chosen() {
    let relay = Relay::start();
    join(&relay, "a", "rust");
    let sent = send(&relay, "rust", "t").json();
    assert_eq!(sent["to_agent"], "a");
    assert_eq!(sent["recipient"]["status"], "online");
    let task = task(&relay, &sent["message_id"]);
    assert_eq!(
        (&task["to_agent"], &task["to_capability"]),
        (&json!("a"), &json!("rust"))
    );
    assert_eq!(task["history"][0]["to_agent"], "a");
    let got = &relay.poll("a")[0];
    assert_eq!((&got["to_agent"], &got["task"]), (&json!("a"), &json!("t")));
}

#[test]
fn where_nobody_can_or_both_are_named_the_sender_is_told() {
    let relay = Relay::start();
    join(&relay, "a", "rust");
    join(&relay, "s", "rust");
    let refused = send(&relay, "rusty", "t");
    assert_eq!(
        (refused.status, refused.code()),
        (404, "unknown_agent".into())
    );
    assert_eq!(refused.json()["did_you_mean"][0], "rust");
    let call = json!({"agent_id": "a"});
    assert_eq!(relay.post("/deregister", &call).status, 200);
    let refused = send(&relay, "rust", "t");
    assert_eq!(refused.status, 404, "nobody works for itself");
    for call in [
        json!({"from_agent": "s", "task": "t"}),
        json!({"from_agent": "s", "to_agent": "s", "to_capability": "rust", "task": "t"}),
        json!({"from_agent": "s", "to_capability": "", "task": "t"}),
    ] {
        let refused = relay.post("/delegate", &call);
        assert_eq!(
            (refused.status, refused.code()),
            (400, "bad_request".into())
        );
        assert!(refused.text.contains("to_capability"), "{}", refused.text);
    }
}

#[test]
fn the_client_shows_that_a_task_went_to_another() {
    let relay = Relay::start();
    relay.register("s");
    join(&relay, "a", "rust");
    join(&relay, "b", "rust");
    let sent = send(&relay, "rust", "t").json();
    let id = sent["message_id"].as_str().expect("an id");
    let call = json!({"agent_id": "a"});
    assert_eq!(relay.post("/deregister", &call).status, 200);
    let got = relay.get("/poll/b?wait=20").json();
    assert_eq!(got["messages"][0]["to_agent"], "b");
    let shown = Client::joined(&relay, "s").run(&["task", id]).ok().out;
    let line = "went to b: the agent before it was removed";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_socket_delegates_to_a_capability_too() {
    let relay = Relay::start();
    join(&relay, "a", "rust");
    let mut socket = relay.socket("s");
    socket.send(&json!({"type": "delegate", "to_capability": "rust", "task": "t", "ref": 1}));
    assert_eq!(socket.next_of("reply")["to_agent"], "a");
    assert_eq!(relay.poll("a")[0]["task"], "t");
}

#[test]
fn the_client_delegates_to_whoever_can_and_waits_for_the_result() {
    let relay = Relay::start();
    let (boss, worker) = (Client::of(&relay), Client::of(&relay));
    boss.run(&["register", "--name", "boss"]).ok();
    let nobody = boss
        .run(&["delegate", "--to-cap", "rust", "--task", "t"])
        .exits(3);
    assert!(nobody.err.contains("discover"), "{nobody:?}");
    boss.run(&["delegate", "--task", "t"]).exits(2);
    boss.run(&["delegate", "--to", "a", "--to-cap", "rust", "--task", "t"])
        .exits(2);
    worker
        .run(&["register", "--name", "worker", "--caps", "go,rust"])
        .ok();
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let got = worker.run(&["poll", "--wait", "30", "--json"]).ok().json();
            let id = got[0]["message_id"].as_str().expect("an id");
            worker
                .run(&["respond", "--msg-id", id, "--result", "2 + 2 = 4"])
                .ok();
        });
        boss.run(&[
            "delegate", "--to-cap", "rust", "--task", "add", "--wait", "30",
        ])
        .ok()
    });
    assert!(done.out.contains("2 + 2 = 4"), "{done:?}");
    assert!(
        done.err.contains("queued for") || done.err.contains("handed to"),
        "{done:?}"
    );
}

const WORKERS: [&str; 5] = ["w0", "w1", "w2", "w3", "w4"];
const TASKS: usize = 100;
/// Tasks that the one ends which is killed half way.
const BEFORE_ITS_DEATH: usize = 10;

/// Works off what it is given, one by one, until all is done. One dies half way, with a task in hand.
fn works(relay: &Relay, name: &str, dies: bool, ended: &AtomicUsize) {
    let mut done = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while ended.load(Ordering::SeqCst) < TASKS && Instant::now() < deadline {
        let got = relay
            .get(&format!("/poll/{name}?lease=2&max=1&wait=1"))
            .json();
        let Some(task) = got["messages"].get(0) else {
            continue;
        };
        if done == BEFORE_ITS_DEATH && dies {
            return;
        }
        let call = json!({"from_agent": name, "message_id": task["message_id"], "result": name});
        assert_eq!(relay.post("/respond", &call).json()["applied"], true);
        done += 1;
        ended.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_hundred_tasks_over_five_workers_all_end_though_one_is_killed_half_way() {
    let relay = Relay::with(&["--stale-after", "5"]);
    relay.register("s");
    WORKERS
        .iter()
        .for_each(|worker| join(&relay, worker, "work"));
    let ids: Vec<Value> = (0..TASKS)
        .map(|n| send(&relay, "work", &n.to_string()).json()["message_id"].clone())
        .collect();
    let ended = &AtomicUsize::new(0);
    let relay = &relay;
    std::thread::scope(|scope| {
        for worker in WORKERS {
            scope.spawn(move || works(relay, worker, worker == "w0", ended));
        }
    });
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let task = task(relay, id);
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(
            task["result"], task["to_agent"],
            "its assignee has answered"
        );
        let history = task["history"].as_array().expect("its history");
        let passed_on = history.iter().find(|step| step["reason"] == "stale");
        assert_eq!(
            history[0]["to_agent"] != task["to_agent"],
            passed_on.is_some()
        );
        if let Some(step) = passed_on {
            assert_eq!(history[0]["to_agent"], "w0");
            assert_eq!(step["to_agent"], task["to_agent"]);
        }
        let worker = task["to_agent"].as_str().expect("a worker");
        *by.entry(worker.to_owned()).or_default() += 1;
    }
    assert_eq!(by.remove("w0"), Some(BEFORE_ITS_DEATH), "{by:?}");
    let (least, most) = (by.values().min(), by.values().max());
    assert_eq!(by.len(), 4);
    assert!(most.zip(least).is_some_and(|(m, l)| m - l <= 2), "{by:?}");
}
