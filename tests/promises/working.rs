//! Tasks from the command line: waiting for a result, looking, calling off, asking back.

use harness::{Client, Original, Relay, eventually, json};

/// Two machines: one that gives tasks, one that does them.
fn two(relay: &Relay) -> (Client, Client) {
    let (boss, worker) = (Client::of(relay), Client::of(relay));
    boss.run(&["register", "--name", "boss"]).ok();
    worker.run(&["register", "--name", "worker"]).ok();
    (boss, worker)
}

fn take(worker: &Client) -> String {
    let mail = worker.run(&["poll", "--json", "--wait", "20"]).ok().json();
    mail[0]["message_id"].as_str().expect("a task").to_owned()
}

#[test]
fn delegate_waits_prints_the_result_and_exits_by_the_outcome() {
    let relay = Relay::start();
    let (boss, worker) = two(&relay);
    for (status, code) in [
        ("completed", 0),
        ("failed", 1),
        ("rejected", 1),
        ("input_required", 1),
    ] {
        let asked = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                boss.run(&[
                    "delegate", "--to", "worker", "--task", "count", "--wait", "60",
                ])
            });
            let id = take(&worker);
            let answer = [
                "respond", "--msg-id", &id, "--status", status, "--result", "42",
            ];
            let told = worker.run(&answer).ok();
            assert!(
                told.out.starts_with(&format!("answer to {id}: queued for")),
                "{told:?}"
            );
            asked.join().expect("it ends")
        });
        assert_eq!(
            (asked.code, asked.out.as_str()),
            (code, "42\n"),
            "{status}: {asked:?}"
        );
        assert!(asked.err.contains("queued for worker"), "{asked:?}");
        if code == 1 {
            assert!(asked.err.contains(&format!("is {status}")), "{asked:?}");
        }
    }
    let late = boss.run(&["delegate", "--to", "worker", "--task", "t", "--wait", "1"]);
    assert!(late.exits(4).err.contains("is queued"));
}

#[test]
fn tasks_are_listed_shown_called_off_and_asked_back() {
    let relay = Relay::start();
    let (boss, worker) = two(&relay);
    assert_eq!(
        worker.run(&["tasks", "--open", "--to-me"]).ok().out,
        "No tasks.\n"
    );
    let send = |task: &str| {
        let line = [
            "delegate", "--to", "worker", "--task", task, "--thread", "talk", "--json",
        ];
        let sent = boss.run(&line).ok().json();
        sent[0]["message_id"].as_str().expect("an id").to_owned()
    };
    let (first, second) = (send("review\nthe diff"), send("build"));
    let table = worker.run(&["tasks", "--open", "--to-me"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[1].starts_with(&second) && lines[1].contains("queued"),
        "{table}"
    );
    assert!(lines[2].contains("review\\nthe diff"), "{table}");
    assert_eq!(worker.run(&["tasks", "--from-me"]).ok().out, "No tasks.\n");
    take(&worker);
    let ask = [
        "respond",
        "--msg-id",
        &first,
        "--status",
        "input_required",
        "--result",
        "which?",
    ];
    worker.run(&ask).ok();
    let shown = boss.run(&["task", &first]).ok().out;
    assert!(
        shown.contains("input_required") && shown.contains("result: which?"),
        "{shown}"
    );
    let told = boss
        .pipe(&["input", &first, "--content", "-"], "the last one")
        .ok();
    assert_eq!(told.out, format!("told; task {first} is in_progress\n"));
    let got = worker.run(&["poll"]).ok().out;
    assert!(
        got.contains("[input] for task") && got.contains("the last one"),
        "{got}"
    );
    assert_eq!(
        boss.run(&["cancel", &second]).ok().out,
        format!("task {second} is canceled\n")
    );
    let got = worker.run(&["poll"]).ok().out;
    assert!(got.contains(&format!("[canceled] task {second}")), "{got}");
    boss.run(&["cancel", &second]).exits(5);
    worker.run(&["cancel", &first]).exits(7);
    boss.run(&["task", "nosuch"]).exits(3);
    let all = boss.run(&["tasks", "--json"]).ok().json();
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[0]["state"], &all[1]["thread_id"]),
        (&json!("canceled"), &json!("talk"))
    );
    let late = ["respond", "--msg-id", &second, "--result", "done"];
    let late = worker.run(&late).ok();
    assert!(
        late.err.contains("moved nothing: the task is canceled"),
        "{late:?}"
    );
}

#[test]
fn an_agent_that_starts_again_finds_what_it_had_not_answered() {
    let relay = Relay::start();
    let (boss, worker) = two(&relay);
    boss.run(&["delegate", "--to", "worker", "--task", "begun"])
        .ok();
    let id = take(&worker);
    // Its mail is acknowledged, and the program ends. The task is still open.
    let open = worker
        .run(&["tasks", "--open", "--to-me", "--json"])
        .ok()
        .json();
    assert_eq!((open.len(), &open[0]["state"]), (1, &json!("delivered")));
    worker
        .run(&["respond", "--msg-id", &id, "--result", "r"])
        .ok();
    assert!(
        worker
            .run(&["tasks", "--open", "--to-me", "--json"])
            .ok()
            .json()
            .is_empty()
    );
    let waited = eventually("its result", || {
        Some(boss.run(&["task", &id, "--wait", "5"])).filter(|waited| waited.code == 0)
    });
    assert_eq!(waited.out, "r\n");
}

#[test]
fn an_original_knows_no_tasks_and_that_is_said_before_anything_is_sent() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "a"]).ok();
    for line in [
        &["tasks"][..],
        &["task", "x"],
        &["cancel", "x"],
        &["input", "x", "--content", "c"],
        &["delegate", "--to", "a", "--task", "t", "--wait", "1"],
    ] {
        let refused = client.run(line).exits(1);
        assert!(
            refused.err.contains("cannot tell what became of a task"),
            "{refused:?}"
        );
    }
    assert_eq!(client.run(&["poll"]).ok().out, "No messages.\n");
    let bare = client.run(&["respond", "--msg-id", "m", "--result", "r"]);
    assert!(bare.exits(2).err.contains("--to"));
}
