//! A bound that has an option is where the option says, and what meets it is counted.

use harness::http::{self, Reply};
use harness::tls::Authority;
use harness::{Relay, Scrape, dice, eventually, json};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What a relay answers and counts where a call, or a frame, has too many levels.
#[test]
fn a_call_or_frame_of_more_levels_than_it_may_have_is_refused() {
    let relay = Relay::with(&["--json-depth", "3"]);
    relay.register("a");
    let metric = r#"clawlink_refusals_total{code="bad_request"}"#;
    let refused = || Scrape::of(&relay).value(metric);
    let call = |fields: &str| {
        let body = format!(r#"{{"from_agent":"b","to_agent":"a",{fields}}}"#);
        relay.post_text("/delegate", &body)
    };
    assert_eq!(call(r#""task":[["[[[[ \" [["]]"#).status, 200);
    let before = refused();
    for fields in [r#""task":[[[1]]]"#, r#""task":1,"unknown":[[{"a":1}]]"#] {
        let reply = call(fields);
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
        assert!(reply.text.contains("--json-depth"), "{}", reply.text);
    }
    assert_eq!(refused() - before, 2.0);
    let mut socket = relay.socket("b");
    socket.send(&json!({"type": "delegate", "to_agent": "a", "task": [[[1]]]}));
    let answer = socket.next_of("error");
    assert_eq!(answer["code"], "bad_request");
    assert!(
        answer["error"]
            .as_str()
            .is_some_and(|error| error.contains("--json-depth"))
    );
    assert_eq!(refused() - before, 3.0);
    socket.send(&json!({"type": "delegate", "to_agent": "a", "task": [[1]], "ref": 1}));
    assert_eq!(socket.next_of("reply")["status"], "delegated");
    let tasks: Vec<_> = relay
        .poll("a")
        .into_iter()
        .map(|m| m["task"].clone())
        .collect();
    assert_eq!(tasks, [json!([["[[[[ \" [["]]), json!([[1]])]);
}

/// Writes a file, perhaps merged with what is there.
fn put(relay: &Relay, base: Option<u64>, content: &str) -> Reply {
    let mut call = json!({"file_key": "k", "agent_id": "a", "content": content});
    if let Some(base) = base {
        call["merge"] = json!(true);
        call["base_version"] = json!(base);
    }
    relay.post("/files", &call)
}

#[test]
fn a_text_with_more_bytes_or_lines_than_a_merge_may_have_is_refused() {
    let relay = Relay::with(&["--merge-lines", "3", "--merge-bytes", "1024"]);
    let refused = r#"clawlink_merges_total{result="refused"}"#;
    put(&relay, None, "1\n2\n3\n");
    put(&relay, None, "1\n2\nthree\n");
    assert_eq!(
        put(&relay, Some(1), "one\n2\n3\n").json()["status"],
        "merged"
    );
    for (n, long) in (1..).zip(["1\n2\n3\n4\n", &"x".repeat(1025)]) {
        let reply = put(&relay, Some(1), long);
        assert_eq!((reply.status, reply.code().as_str()), (413, "too_large"));
        assert!(reply.text.contains("--merge-lines"), "{}", reply.text);
        assert_eq!(Scrape::of(&relay).value(refused), f64::from(n));
    }
}

#[test]
fn merges_wait_for_each_other() {
    let relay = Relay::with(&["--merges-limit", "1", "--merge-deadline", "1"]);
    put(&relay, None, &dice(1));
    put(&relay, None, &dice(2));
    let running = || Scrape::of(&relay).value("clawlink_merges_running");
    std::thread::scope(|scope| {
        let relay = &relay;
        let merge =
            |seed| scope.spawn(move || (put(relay, Some(1), &dice(seed)).status, Instant::now()));
        let both = [merge(3), merge(4)];
        let mut most = 0.0_f64;
        while !both.iter().all(|merge| merge.is_finished()) {
            most = most.max(running());
        }
        assert_eq!(most, 1.0);
        let [one, other] = both.map(|merge| merge.join().expect("a reply"));
        assert_eq!((one.0, other.0), (409, 409));
        let apart = one.1.max(other.1) - one.1.min(other.1);
        assert!(apart.as_millis() > 500, "in turn, a second each: {apart:?}");
    });
    assert_eq!(running(), 0.0);
}

/// Left alone, this one takes minutes.
#[test]
fn a_merge_ends_in_its_time() {
    let took = |seconds: &str| {
        let relay = Relay::with(&["--merge-deadline", seconds]);
        put(&relay, None, &dice(1));
        put(&relay, None, &dice(2));
        let began = Instant::now();
        assert_eq!(put(&relay, Some(1), &dice(3)).status, 409);
        began.elapsed()
    };
    let (short, long) = (took("1"), took("4"));
    assert!(
        long > short + Duration::from_millis(1500),
        "{short:?} {long:?}"
    );
}

#[test]
fn a_merge_gives_up_after_its_tries() {
    let relay = Relay::with(&["--merges-limit", "20", "--merge-tries", "1"]);
    let base: String = (0..500).map(|n| format!("{n}\n")).collect();
    put(&relay, None, &base);
    put(&relay, None, &format!("{base}end\n"));
    eventually("somebody wrote during the only try", || {
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (relay, base) = (&relay, &base);
                let changed = base.replacen(&format!("{n}7\n"), &format!("{n}7 again\n"), 1);
                scope.spawn(move || put(relay, Some(1), &changed));
            }
        });
        let gave_up = r#"clawlink_merges_total{result="gave_up"}"#;
        (Scrape::of(&relay).value(gave_up) > 0.0).then_some(())
    });
}

#[test]
fn as_many_versions_of_a_file_are_kept_as_the_option_says() {
    let relay = Relay::with(&["--file-versions", "2"]);
    for n in 0..5 {
        put(&relay, None, &n.to_string());
    }
    assert_eq!(relay.get("/files/k?history=1").json()["count"], 3);
    let gone = r#"clawlink_file_versions_gone_total{why="count"}"#;
    assert_eq!(Scrape::of(&relay).value(gone), 2.0);
}

#[test]
fn a_task_keeps_its_first_step_and_the_latest() {
    let relay = Relay::with(&["--task-steps", "3"]);
    relay.register("a");
    relay.register("b");
    let task = relay.delegate("b", "a", "t").json()["message_id"].clone();
    assert_eq!(relay.poll("a").len(), 1);
    for status in ["in_progress", "input_required", "in_progress", "completed"] {
        let call = json!({"from_agent": "a", "message_id": task, "result": 1, "status": status});
        assert_eq!(relay.post("/respond", &call).status, 200);
    }
    let id = task.as_str().expect("an id");
    let shown = relay.get(&format!("/tasks/{id}")).json();
    let steps = shown["task"]["history"].as_array().expect("steps");
    let states: Vec<_> = steps.iter().map(|step| step["state"].clone()).collect();
    assert_eq!(states, ["queued", "in_progress", "completed"]);
    let dropped = "clawlink_task_steps_dropped_total";
    assert_eq!(Scrape::of(&relay).value(dropped), 3.0);
}

#[test]
fn of_more_agents_than_are_compared_all_have_their_turn() {
    let relay = Relay::with(&["--candidates-limit", "1"]);
    for agent in ["a", "b"] {
        let call = json!({"agent_id": agent, "capabilities": ["rust"]});
        assert_eq!(relay.post("/register", &call).status, 200);
    }
    for _ in 0..2 {
        let call = json!({"from_agent": "c", "to_capability": "rust", "task": 1});
        assert_eq!(relay.post("/delegate", &call).status, 200);
    }
    assert_eq!((relay.poll("a").len(), relay.poll("b").len()), (1, 1));
    let partial = Scrape::of(&relay).value("clawlink_partial_picks_total");
    assert_eq!(partial, 2.0);
}

#[test]
fn all_agents_together_have_so_many_reservations_and_no_more() {
    let relay = Relay::with(&["--reservations-total", "2"]);
    let reserve = |agent: &str| {
        relay.register(agent);
        relay.post(
            "/reservations",
            &json!({"agent_id": agent, "pattern": agent}),
        )
    };
    assert_eq!((reserve("a").status, reserve("b").status), (200, 200));
    let full = reserve("c");
    assert_eq!((full.status, full.code().as_str()), (507, "relay_full"));
    assert!(full.text.contains("--reservations-total"), "{}", full.text);
    assert_eq!(Scrape::of(&relay).value("clawlink_reservations"), 2.0);
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up_and_counted() {
    let authority = Authority::new();
    let own = authority.options();
    let mut options: Vec<&str> = own.iter().map(String::as_str).collect();
    options.extend(["--handshake-deadline", "1"]);
    let relay = Relay::with(&options);
    let mut stalled = http::connect(relay.address);
    let began = Instant::now();
    assert_eq!(stalled.read(&mut [0; 9]).unwrap_or(0), 0);
    let took = began.elapsed();
    assert!(took.as_millis() > 900 && took.as_secs() < 9, "{took:?}");
    let page = authority.request(relay.address, "GET", "/metrics", &[], b"");
    let late = r#"clawlink_deadlines_total{what="handshake"}"#;
    assert_eq!(Scrape::read(&page.text).value(late), 1.0);
}

#[test]
fn a_socket_is_not_read_on_while_too_many_of_its_frames_wait() {
    let relay = Relay::with(&["--frames-ahead", "1"]);
    let mut socket = relay.socket("a");
    // A broadcast is waited for, and what comes after it waits with it.
    for n in 0..50 {
        socket.send(&json!({"type": "broadcast", "content": "c", "ref": n}));
    }
    for n in 0..50 {
        assert_eq!(socket.next_of("reply")["ref"], n);
    }
    let paused = Scrape::of(&relay).value("clawlink_socket_reads_paused_total");
    assert!(paused >= 1.0, "{paused}");
}

#[test]
fn requests_under_way_are_counted_and_cut_off_when_their_time_is_over() {
    let mut relay = Relay::with(&["--shutdown-deadline", "1", "--body-gap", "60"]);
    relay.register("a");
    // That of the scrape itself.
    let others = |relay: &Relay| Scrape::of(relay).value("clawlink_requests_under_way") - 1.0;
    eventually("none is under way", || {
        (others(&relay) == 0.0).then_some(())
    });
    let socket = relay.socket("a");
    let mut half = http::connect(relay.address);
    let head = "POST /delegate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";
    half.write_all(head.as_bytes()).expect("it is taken");
    eventually("both are under way", || {
        (others(&relay) == 2.0).then_some(())
    });
    socket.close();
    eventually("one is", || (others(&relay) == 1.0).then_some(()));
    relay.signal(Signal::SIGTERM);
    let (status, took) = relay.wait();
    assert_eq!(status.code(), Some(0));
    assert!(took.as_secs() < 6, "{took:?}");
}

/// Brings a wrong token from an address of this machine.
fn wrong_token(relay: &Relay, from: [u8; 4]) -> u16 {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::from((from, 0));
    socket
        .bind(&own.into())
        .expect("an address of this machine");
    socket
        .connect(&relay.address.into())
        .expect("the relay accepts");
    let mut stream = TcpStream::from(socket);
    let token = [("Authorization", "Bearer wrong")];
    http::exchange(&mut stream, relay.address, "GET", "/", &token, b"").status
}

#[test]
fn addresses_beyond_those_that_are_told_apart_share_one_rate() {
    let rate = ["--wrong-tokens-per-minute", "1", "--token", "right"];
    for (limit, last) in [("1", 429), ("9", 401)] {
        let relay = Relay::with(&[&rate[..], &["--peers-limit", limit]].concat());
        let got = [2, 2, 3, 4].map(|host| wrong_token(&relay, [127, 0, 0, host]));
        assert_eq!(got, [401, 429, 401, last], "{limit}");
    }
}
