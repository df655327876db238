//! The token, and every byte of a request, go where the user said and nowhere else.

use harness::{Answer, Client, Relay, Stub, json};

const TOKEN: &str = "s3cr3t-T0ken";

#[test]
fn a_token_is_taken_from_each_place_and_the_nearest_wins() {
    let relay = Relay::with(&["--token", TOKEN]);
    let client = Client::of(&relay);
    let file = client.home().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (in_file, in_variable) = (
        ("CLAWLINK_TOKEN_FILE", file.to_str().unwrap()),
        ("CLAWLINK_TOKEN", TOKEN),
    );
    let wrong = ("CLAWLINK_TOKEN", "wrong");
    let info = |line: &[&str], environment: &[(&str, &str)]| {
        client
            .run_with(&[line, &["info"]].concat(), "", environment)
            .code
    };
    assert_eq!(info(&["--token", TOKEN], &[]), 0);
    assert_eq!(info(&[], &[in_variable]), 0);
    assert_eq!(info(&[], &[in_file]), 0);
    assert_eq!(info(&["--token", TOKEN], &[wrong]), 0);
    assert_eq!(info(&[], &[wrong, in_file]), 7);
    assert_eq!(info(&["--token", "wrong"], &[in_variable, in_file]), 7);
    let none = ("CLAWLINK_TOKEN_FILE", "none");
    assert_eq!(info(&[], &[none]), 3);
}

#[test]
fn a_missing_and_a_wrong_token_are_told_apart_and_never_shown() {
    let relay = Relay::with(&["--token", TOKEN]);
    let client = Client::of(&relay);
    let missing = client.run(&["register", "--name", "n"]).exits(7);
    assert!(
        missing
            .err
            .contains("this relay needs a token: set CLAWLINK_TOKEN=T"),
        "{missing:?}"
    );
    let wrong = client
        .run(&["register", "--name", "n", "--token", "wr0ng"])
        .exits(7);
    assert!(wrong.err.contains("the token sent is wrong"), "{wrong:?}");
    assert!(!wrong.err.contains("wr0ng") && !client.folder().exists());
    client
        .run(&["register", "--name", "n", "--token", TOKEN])
        .ok();
    let state = std::fs::read_to_string(client.folder().join("agent_state.json")).unwrap();
    assert!(!state.contains(TOKEN), "a token is not kept");
    assert!(!relay.log().contains(TOKEN));
}

#[test]
fn what_could_change_a_request_is_refused_before_it_is_made() {
    let stub = Stub::saying(Answer::ok(json!({"service": "ClawLink Relay"})));
    let client = Client::at(None);
    for token in ["a\r\nX-Injected: 1", "a\nb", "", "a b", "ä", "\u{7f}"] {
        let line = ["--relay", &stub.url(), &format!("--token={token}"), "info"];
        let outcome = client.run(&line).exits(2);
        assert!(
            outcome.err.contains("--token, CLAWLINK_TOKEN or"),
            "{outcome:?}"
        );
    }
    for tail in ["/\r\nX: 1", "\r\nX: 1", "/path", "?q", "#f", " x", ":1"] {
        let url = format!("{}{tail}", stub.url());
        let outcome = client.run(&["info", "--relay", &url]).exits(2);
        assert!(
            outcome.err.contains("URL") && !outcome.err.contains('\r'),
            "{outcome:?}"
        );
    }
    for (url, word) in [
        ("https://localhost:9077", "no TLS"),
        ("http://u:p@localhost:9077", "user name or password"),
        ("http://[::1]:9077", "IPv6"),
        ("localhost:9077", "begin with http://"),
    ] {
        let outcome = client
            .run_with(&["info"], "", &[("CLAWLINK_RELAY", url)])
            .exits(2);
        assert!(outcome.err.contains(word), "{outcome:?}");
    }
    assert_eq!(stub.lines(), [""; 0], "nothing was sent");
}

#[test]
fn a_redirect_is_told_never_followed_and_takes_no_token_along() {
    let other = Stub::saying(Answer::ok(json!({"service": "ClawLink Relay"})));
    for status in [301, 302, 303, 307, 308] {
        let head = format!(
            "HTTP/1.1 {status} X\r\nLocation: {}/\r\nContent-Length: 0\r\n\r\n",
            other.url()
        );
        let stub = Stub::saying(Answer::Raw(head.into_bytes()));
        let client = Client::member(&stub.url(), "me", "me");
        for line in [
            ["info"].as_slice(),
            &["delegate", "--to", "a", "--task", "t"],
        ] {
            let outcome = client
                .run_with(line, "", &[("CLAWLINK_TOKEN", TOKEN)])
                .exits(6);
            let told = format!(
                "answers with a redirect to {}/, which is never followed",
                other.url()
            );
            assert!(outcome.err.contains(&told), "{outcome:?}");
        }
        let bearer = format!("Bearer {TOKEN}");
        let sent: Vec<_> = stub.requests();
        assert_eq!(sent.len(), 2, "and not repeated");
        assert!(
            sent.iter()
                .all(|r| r.header("Authorization") == Some(&bearer))
        );
    }
    assert_eq!(other.lines(), [""; 0]);
}
