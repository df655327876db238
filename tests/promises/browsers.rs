//! A web page of another origin gets nothing, and takes nothing away.

use harness::{Relay, json};

#[test]
fn a_foreign_page_is_refused_and_the_mail_is_still_there() {
    let relay = Relay::start();
    relay.register("a");
    relay.delegate("b", "a", "kept");
    let host = relay.address.to_string();
    for headers in [
        vec![("Host", "evil.example")],
        vec![("Origin", "http://evil.example")],
        vec![("Origin", "null")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Host", host.as_str()), ("Host", "evil.example")],
    ] {
        let reply = relay.request("GET", "/poll/a", &headers, b"");
        assert!(
            matches!(reply.status, 400 | 403),
            "{headers:?}: {}",
            reply.text
        );
        assert!(reply.header("Access-Control-Allow-Origin").is_none());
    }
    let absolute = relay.request("GET", "http://evil.example/poll/a", &[], b"");
    assert_eq!(
        (absolute.status, absolute.code().as_str()),
        (403, "forbidden")
    );
    assert_eq!(relay.poll("a").len(), 1);
}

#[test]
fn a_foreign_page_opens_no_socket() {
    let relay = Relay::start();
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://evil.example"),
    ];
    assert_eq!(relay.request("GET", "/ws/a", &upgrade, b"").status, 403);
    assert_eq!(
        relay.get("/discover").json()["count"],
        0,
        "nobody was registered for it"
    );
}

#[test]
fn the_relays_own_names_pass_and_others_can_be_given() {
    let relay = Relay::with(&[
        "--allow-host",
        "relay.example",
        "--allow-origin",
        "https://board.example",
    ]);
    let own = format!("http://{}", relay.address);
    for headers in [
        vec![("Host", "localhost")],
        vec![("Host", "relay.example")],
        vec![("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")],
        vec![
            ("Origin", "https://board.example"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        vec![("Sec-Fetch-Site", "none")],
    ] {
        let status = relay.request("GET", "/discover", &headers, b"").status;
        assert_eq!(status, 200, "{headers:?}");
    }
    assert_eq!(
        relay
            .request("GET", &format!("{own}/discover"), &[], b"")
            .status,
        200
    );
}

#[test]
fn whoever_has_the_token_may_call_the_relay_what_it_likes() {
    let relay = Relay::with(&["--token", "secret"]);
    let call = |headers: &[(&str, &str)]| relay.request("GET", "/discover", headers, b"").status;
    assert_eq!(
        call(&[
            ("Host", "other.example"),
            ("Authorization", "Bearer secret")
        ]),
        200
    );
    assert_eq!(
        call(&[("Host", "other.example"), ("Authorization", "Bearer wrong")]),
        403
    );
    let page = [
        ("Origin", "http://evil.example"),
        ("Authorization", "Bearer secret"),
    ];
    assert_eq!(call(&page), 403);
    let form = relay.request(
        "POST",
        "/register",
        &[("Content-Type", "text/plain")],
        &json!({}).to_string().into_bytes(),
    );
    assert_eq!(form.status, 401);
}
