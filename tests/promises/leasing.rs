//! The client and leases: what was printed is acknowledged, what was not comes again.

use harness::{Client, Original, Relay, eventually, json};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn what_was_printed_is_acknowledged_and_does_not_come_again() {
    let relay = Relay::with(&["--inbox-limit", "2"]);
    let client = Client::joined(&relay, "a");
    relay.delegate("b", "a", "one");
    relay.delegate("b", "a", "two");
    assert_eq!(client.run(&["poll", "--json"]).ok().json().len(), 2);
    for _ in 0..2 {
        let sent = relay.delegate("b", "a", "room");
        assert_eq!(sent.status, 200, "their places are free: {}", sent.text);
    }
}

#[test]
fn mail_that_a_closed_pipe_did_not_take_comes_again_at_once() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    for n in 0..20 {
        relay.delegate("b", "a", &format!("{n} {}", "x".repeat(20_000)));
    }
    let mut command = client.command(&["poll", "--full"]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    let mut pipe = child.stdout.take().expect("its output");
    pipe.read_exact(&mut [0; 10]).expect("it begins");
    drop(pipe);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let mut command = client.command(&["poll", "--full", "--keep"]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("come again"),
        "{output:?}"
    );
    let again = client.run(&["poll", "--json"]).ok().json();
    assert_eq!(again.len(), 20);
    assert_eq!(again[0]["delivery"]["attempt"], 3);
}

#[test]
fn a_client_that_is_killed_before_it_printed_loses_nothing() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let mut child = client
        .command(&["poll", "--wait", "50"])
        .spawn()
        .expect("the client runs");
    // Killed while it waits: it has taken nothing. Mail comes when the relay knows that it is gone;
    // what comes before that may be leased to it, and comes again when the lease is over.
    eventually("it asks", || {
        let asks = relay.connections() > 0;
        (asks && relay.log().contains("/register")).then_some(())
    });
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    eventually("its connection ends", || {
        (relay.connections() == 0).then_some(())
    });
    relay.delegate("b", "a", "t");
    assert_eq!(client.run(&["poll", "--json"]).ok().json()[0]["task"], "t");
}

#[test]
fn kept_mail_waits_for_its_receipt() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    relay.delegate("b", "a", "one");
    relay.delegate("b", "a", "two");
    let kept = client.run(&["poll", "--keep", "--max", "1"]).ok();
    assert!(kept.err.contains("1 more wait"), "{kept:?}");
    let line = kept.out.lines().last().unwrap_or_default().trim();
    let receipt = line
        .strip_prefix("done: clawlink ack ")
        .expect("the command that acknowledges it");
    assert_eq!(client.run(&["ack", receipt]).ok().out, "1 acknowledged\n");
    assert_eq!(
        client.run(&["ack", receipt]).ok().out,
        "1 acknowledged\n",
        "said twice"
    );
    let kept = client.run(&["poll", "--keep", "--json"]).ok().json();
    assert_eq!((kept.len(), &kept[0]["task"]), (1, &json!("two")));
    let receipt = kept[0]["delivery"]["receipt"].as_str().expect("a receipt");
    assert_eq!(
        client.run(&["poll", "--quiet"]).ok().out,
        "",
        "it is leased"
    );
    assert_eq!(client.run(&["nack", receipt]).ok().out, "1 given back\n");
    assert_eq!(
        client.run(&["poll", "--json"]).ok().json()[0]["delivery"]["attempt"],
        2
    );
    let late = client.run(&["ack", receipt]).exits(5);
    assert!(
        late.err.contains(receipt) && late.err.contains("its lease was over"),
        "{late:?}"
    );
    client.run(&["ack"]).exits(2);
    client.run(&["nack", "x", "--delay", "3601"]).exits(2);
}

#[test]
fn a_peek_and_a_wait_take_nothing() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let none = client.run(&["wait", "--for", "1"]).exits(4);
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("", "clawlink: no mail within 1 s\n")
    );
    relay.delegate("b", "a", "one");
    assert_eq!(
        client.run(&["wait", "--for", "9"]).ok().out,
        "1 message waits: clawlink poll\n"
    );
    relay.delegate("b", "a", "two");
    assert_eq!(
        client.run(&["wait"]).ok().out,
        "2 messages wait: clawlink poll\n"
    );
    assert_eq!(
        client.run(&["poll", "--peek", "--json"]).ok().json().len(),
        2
    );
    assert_eq!(client.run(&["poll", "--json"]).ok().json().len(), 2);
}

#[test]
fn a_poll_waits_for_mail_as_long_as_it_is_told() {
    let relay = Relay::start();
    let client = Client::joined(&relay, "a");
    let began = Instant::now();
    assert_eq!(
        client.run(&["poll", "--wait", "1"]).ok().out,
        "No messages.\n"
    );
    assert!(began.elapsed() >= Duration::from_secs(1));
    let child = client
        .command(&["poll", "--wait", "60", "--json", "--timeout", "1"])
        .spawn();
    let child = child.expect("the client runs");
    std::thread::sleep(Duration::from_millis(1_500));
    relay.delegate("b", "a", "t");
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "--timeout does not bound the wait: {output:?}"
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"task\":\"t\""));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_original_is_not_asked_what_it_would_misread() {
    let original = Original::start();
    let client = Client::at(Some(original.url()));
    client.run(&["register", "--name", "n"]).ok();
    for line in [
        &["poll", "--peek"][..],
        &["poll", "--keep"],
        &["poll", "--wait", "1"],
        &["wait", "--for", "1"],
    ] {
        let refused = client.run(line).exits(1);
        assert!(refused.err.contains("this relay cannot"), "{refused:?}");
    }
    assert_eq!(client.run(&["poll"]).ok().out, "No messages.\n");
}
