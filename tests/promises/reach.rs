//! The relay is away, slow, somebody else, or not what it seems: the client says so and does no harm.

use harness::relay::free_address;
use harness::{Answer, Client, Original, PATIENCE, Relay, Stub, json, stub};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A client that uses this stub and has an identity there.
fn member(stub: &Stub) -> Client {
    Client::member(&stub.url(), "me", "me")
}

#[test]
fn where_nobody_listens_it_says_how_to_start_a_relay() {
    let address = free_address();
    let client = Client::at(Some(format!("http://{address}")));
    let began = Instant::now();
    let outcome = client
        .run(&["register", "--name", "n", "--timeout", "1"])
        .exits(6);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "it was tried for as long as was said"
    );
    let expected = format!(
        "clawlink: no relay is listening at http://{address}\n  start one: clawlink-server --host {} --port 9077\n  \
         or name another: clawlink --relay URL COMMAND\n",
        address.ip()
    );
    assert_eq!((outcome.err, outcome.out), (expected, String::new()));
    assert!(!client.folder().exists(), "nothing was kept of it");
}

#[test]
fn a_relay_that_comes_up_meanwhile_is_found() {
    let address = free_address();
    let client = Client::at(Some(format!("http://{address}")));
    // On a terminal it says that it waits.
    let mut waiting = client.terminal("clawlink register --name n --timeout 60");
    let mut waiting = waiting.stdout(Stdio::piped()).spawn().expect("script runs");
    let mut words = BufReader::new(waiting.stdout.take().expect("its output"));
    let mut said = String::new();
    words.read_line(&mut said).expect("text");
    assert!(
        said.contains("is not answering, trying again for up to 60 s"),
        "{said}"
    );
    let relay = Relay::at(address, &[]);
    words.read_to_string(&mut said).expect("text");
    assert!(waiting.wait().expect("it ends").success(), "{said}");
    assert!(said.contains("registered as n with id "), "{said}");
    assert_eq!(relay.get("/discover").json()["count"], 1);
}

#[test]
fn a_silent_server_is_given_up_after_the_time_out() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"service\":".to_vec();
    std::thread::scope(|scope| {
        for begun in [Vec::new(), b"HTTP/1.1 200 OK\r\n".to_vec(), half] {
            scope.spawn(|| {
                let stub = Stub::saying(Answer::Silence(begun));
                let began = Instant::now();
                let outcome = member(&stub).run(&["info", "--timeout", "1"]).exits(6);
                let took = began.elapsed();
                assert!(
                    took >= Duration::from_secs(1) && took < PATIENCE,
                    "{took:?}"
                );
                let told = format!("no answer from {} within 1 s", stub.url());
                assert!(outcome.err.contains(&told), "{outcome:?}");
                assert_eq!(stub.lines().len(), 1);
            });
        }
    });
}

#[test]
fn a_reply_without_end_is_cut_off() {
    let endless = |head: &str| Answer::Endless(head.as_bytes().to_vec());
    std::thread::scope(|scope| {
        for answer in [
            endless("HTTP/1.1 200 OK\r\n\r\n"),
            endless("HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"),
            endless("HTTP/1.1 200 OK\r\nX-Long: "),
            endless("HTTP/1.1 200 "),
        ] {
            scope.spawn(move || {
                let stub = Stub::saying(answer);
                let outcome = member(&stub).run(&["info"]).exits(6);
                assert!(outcome.err.contains("too large"), "{outcome:?}");
            });
        }
    });
}

#[test]
fn what_is_no_relay_is_called_that() {
    let raw = |text: &str| Answer::Raw(text.as_bytes().to_vec());
    for answer in [
        Answer::ok(json!({"service": "another"})),
        Answer::ok(json!([1])),
        Answer::ok(json!({})),
        Answer::Raw(stub::reply(200, "<html>")),
        Answer::Raw(stub::reply(204, "")),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\u{fffd}"),
        raw("220 mail.example ESMTP\r\nX: y\r\n\r\n"),
    ] {
        let stub = Stub::saying(answer.clone());
        let client = member(&stub);
        for line in [
            ["info"].as_slice(),
            &["poll"],
            &["discover"],
            &["delegate", "--to=a", "--task=t"],
        ] {
            let outcome = client.run(&[line, &["--timeout", "1"]].concat()).exits(6);
            assert!(
                outcome.err.contains("is no ClawLink relay"),
                "{answer:?} {line:?}: {outcome:?}"
            );
            assert!(outcome.err.contains("--relay URL") && outcome.out.is_empty());
        }
    }
}

#[test]
fn an_error_of_somebody_else_still_has_an_exit_code() {
    for (status, code) in [
        (400, 1),
        (401, 7),
        (403, 7),
        (404, 3),
        (409, 5),
        (500, 1),
        (502, 6),
        (503, 6),
    ] {
        let stub = Stub::saying(Answer::Raw(stub::reply(status, "<html>no</html>")));
        let outcome = member(&stub)
            .run(&["delegate", "--to=a", "--task=t"])
            .exits(code);
        assert!(
            outcome.err.contains(&format!("status {status}")),
            "{outcome:?}"
        );
        assert_eq!(stub.lines().len(), 1, "a refusal is not tried again");
    }
}

#[test]
fn a_message_whose_reply_is_lost_is_sent_once_and_called_unknown() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"status\":\"deleg".to_vec();
    for answer in [
        Answer::broken(),
        Answer::Raw(half),
        Answer::Silence(Vec::new()),
    ] {
        let stub = Stub::saying(answer);
        let client = member(&stub);
        for line in [
            ["delegate", "--to=a", "--task=t"].as_slice(),
            &["respond", "--to=a", "--msg-id=m", "--result=r"],
            &["broadcast", "--content=c"],
            &["file-put", "--key=k", "--file=/dev/null", "--force"],
        ] {
            let before = stub.lines().len();
            let outcome = client.run(&[line, &["--timeout", "1"]].concat()).exits(6);
            let told = "; whether the relay took the request is unknown\n";
            assert!(outcome.err.contains(told), "{line:?}: {outcome:?}");
            assert_eq!(stub.lines().len() - before, 1, "{line:?}");
        }
    }
}

#[test]
fn a_poll_whose_reply_is_lost_is_not_repeated_in_silence() {
    let stub = Stub::saying(Answer::broken());
    let outcome = member(&stub).run(&["poll"]).exits(6);
    assert!(
        outcome.err.contains("unknown"),
        "mail may have been lost: {outcome:?}"
    );
    assert_eq!(stub.lines(), ["GET /poll/me?lease=60"]);
}

#[test]
fn what_may_be_repeated_is_repeated_until_it_succeeds() {
    let mut left = 2;
    let stub = Stub::start(move |_| {
        left -= 1;
        if left >= 0 {
            Answer::broken()
        } else {
            Answer::ok(json!({"status": "ok"}))
        }
    });
    member(&stub).run(&["heartbeat"]).ok();
    assert_eq!(stub.lines(), ["POST /heartbeat"; 3]);
}

#[test]
fn a_first_register_whose_reply_is_lost_leaves_one_agent_behind() {
    let original = Original::start();
    let behind = original.url();
    let mut lost = 2;
    // Passes every request on, and loses the first replies on the way back.
    let stub = Stub::start(move |request| {
        let address = behind
            .trim_start_matches("http://")
            .parse()
            .expect("an address");
        let kind = [("Content-Type", "application/json")];
        let (method, path) = request.line.split_once(' ').expect("a request line");
        let reply = harness::http::request(address, method, path, &kind, request.body.as_bytes());
        lost -= 1;
        if lost >= 0 {
            Answer::broken()
        } else {
            Answer::Json(reply.status, reply.json())
        }
    });
    let client = Client::at(Some(stub.url()));
    let reply = client
        .run(&["register", "--name", "n", "--json"])
        .ok()
        .json();
    assert_eq!(original.sent("/register").len(), 3);
    assert_eq!(
        original.agents(),
        [reply[0]["agent"]["agent_id"].as_str().unwrap()]
    );
}

#[test]
fn a_key_with_odd_characters_arrives_as_it_is() {
    let relay = Relay::start();
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    for key in [
        "a b/c?d#e%2F.rs",
        "ä/\u{1F99E}",
        "100%",
        "..a/b..",
        "+&=;'\"\\",
        "-x",
        "{*}",
    ] {
        let named = format!("--key={key}");
        client.pipe(&["file-put", &named, "--file", "-"], key).ok();
        assert_eq!(client.run(&["file-get", &named]).ok().out, key);
    }
    for key in ["", "/a", "a//b", "../a", "a/.", "a\r\nX: y", "a\0b"] {
        if !key.contains('\0') {
            let outcome = client.run(&["file-get", &format!("--key={key}")]).exits(2);
            assert!(outcome.err.contains("--key must be"), "{outcome:?}");
        }
    }
    let listed = client.run(&["file-list", "--json"]).ok().json();
    assert_eq!(listed.len(), 7);
}

#[test]
fn a_file_arrives_whole_or_the_old_one_stays() {
    let content = "line\n".repeat(200_000);
    let relay = Relay::start();
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    client
        .pipe(&["file-put", "--key", "k", "--file", "-"], &content)
        .ok();
    let got = client
        .run(&["file-get", "--key", "k", "--output", "copy"])
        .ok();
    assert_eq!(
        (got.out.as_str(), got.err.contains("version 1")),
        ("", true),
        "{:?}",
        got.err
    );
    let copy = client.home().join("copy");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), content);
    client
        .run(&["file-get", "--key", "none", "--output", "copy"])
        .exits(3);
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"content\":\"half of".to_vec();
    let stub = Stub::saying(Answer::Raw(cut));
    let line = [
        "file-get",
        "--key=k",
        "--output=copy",
        "--timeout=1",
        "--relay",
        &stub.url(),
    ];
    client.run(&line).exits(6);
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), content);
    assert!(!stub.lines().is_empty());
}

#[test]
fn a_relay_that_stops_answering_or_ends_is_out_of_reach() {
    let relay = Relay::at(free_address(), &[]);
    let client = Client::of(&relay);
    client.run(&["register", "--name", "n"]).ok();
    relay.freeze();
    let outcome = client.run(&["poll", "--timeout", "1"]).exits(6);
    assert!(outcome.err.contains("within 1 s"), "{outcome:?}");
    relay.end();
    let outcome = client.run(&["poll", "--timeout", "1"]).exits(6);
    assert!(outcome.err.contains("no relay is listening"), "{outcome:?}");
}
