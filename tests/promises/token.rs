//! The relay's token: asked for everywhere, told to nobody.

use harness::socket::Socket;
use harness::{Relay, json};
use std::io::Write;

const TOKEN: &str = "s3cr3t-T0ken-value";

#[test]
fn every_call_but_health_needs_it() {
    let relay = Relay::with(&["--token", TOKEN, "--wrong-tokens-per-minute", "1000"]);
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/register"),
        ("GET", "/discover"),
        ("POST", "/heartbeat"),
        ("POST", "/delegate"),
        ("POST", "/respond"),
        ("POST", "/broadcast"),
        ("GET", "/poll/a"),
        ("POST", "/files"),
        ("GET", "/files"),
        ("GET", "/files/k"),
        ("POST", "/deregister"),
        ("GET", "/ws/a"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
    ] {
        for headers in [
            vec![],
            vec![("Authorization", "Bearer wrong")],
            vec![("Authorization", "Basic eDp5")],
        ] {
            let reply = relay.request(method, path, &headers, b"");
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (401, "unauthorized"),
                "{method} {path}"
            );
            assert_eq!(reply.header("WWW-Authenticate"), Some("Bearer"));
        }
        let reply = relay.request(method, path, &[("Authorization", &bearer)], b"");
        assert_ne!(reply.status, 401, "{method} {path}");
        let query = relay.request(method, &format!("{path}?token={TOKEN}"), &[], b"");
        assert_eq!(
            query.status, 401,
            "a token in a query is for the upgrade alone"
        );
    }
    let not_an_upgrade = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")];
    let path = format!("/discover?token={TOKEN}");
    assert_eq!(
        relay.request("GET", &path, &not_an_upgrade, b"").status,
        401
    );
    assert_eq!(relay.get("/health").status, 200);
    let info = relay
        .request("GET", "/", &[("Authorization", &bearer)], b"")
        .json();
    assert_eq!(info["auth_required"], true);
    let scheme = format!("bearer {TOKEN}");
    assert_eq!(
        relay
            .request("GET", "/", &[("Authorization", &scheme)], b"")
            .status,
        200
    );
}

#[test]
fn a_socket_may_bring_it_in_the_query() {
    let relay = Relay::with(&["--token", TOKEN]);
    assert!(Socket::try_open(relay.address, "/ws/a").is_err());
    assert!(Socket::try_open(relay.address, "/ws/a?token=wrong").is_err());
    assert!(Socket::try_open(relay.address, &format!("/ws/a?token={TOKEN}")).is_ok());
}

#[test]
fn it_comes_from_a_file_or_the_environment_as_well() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{TOKEN}\nnot this").unwrap();
    let relay = Relay::with(&["--token-file", file.path().to_str().unwrap()]);
    assert_eq!(
        relay
            .request(
                "GET",
                "/",
                &[("Authorization", &format!("Bearer {TOKEN}"))],
                b""
            )
            .status,
        200
    );
    assert_eq!(relay.get("/").status, 401);
    assert!(relay.greeting.contains("CLAWLINK_TOKEN_FILE=/") && !relay.greeting.contains(TOKEN));
}

#[test]
fn the_log_tells_calls_and_no_secrets() {
    let relay = Relay::with(&["--token", TOKEN, "--log", "trace"]);
    let bearer = format!("Bearer {TOKEN}");
    let body = json!({"from_agent": "a-sender", "to_agent": "nobody", "task": "private-words"})
        .to_string();
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    relay.request(
        "POST",
        "/delegate?q=private-query",
        &headers,
        body.as_bytes(),
    );
    relay.request("GET", "/files/private-key", &headers, b"");
    let _ = Socket::try_open(relay.address, &format!("/ws/a?token={TOKEN}"));
    relay.request("GET", "/", &[("Authorization", "Bearer wr0ng-token")], b"");
    let log = harness::eventually("the calls are logged", || {
        let log = relay.log();
        (log.matches("status=401").count() == 1).then_some(log)
    });
    assert!(
        log.contains(r#"method="POST" route="/delegate" status=404"#) && log.contains("a-sender"),
        "{log}"
    );
    assert!(log.contains(r#"route="/files/{file_key}""#), "{log}");
    for secret in [
        TOKEN,
        "private-words",
        "private-query",
        "private-key",
        "wr0ng-token",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[test]
fn what_succeeds_is_logged_at_debug_only() {
    let relay = Relay::with(&["--log", "info", "--log-format", "json"]);
    relay.register("a");
    relay.get("/nothing");
    let log = harness::eventually("the refusal is logged", || {
        Some(relay.log()).filter(|log| log.contains("refused"))
    });
    assert!(!log.contains("served"), "{log}");
    for line in log.lines() {
        assert!(
            serde_json::from_str::<harness::Value>(line).is_ok(),
            "{line}"
        );
    }
}
