//! A web page of another origin gets nothing, and takes nothing away.

use harness::relay::refused;
use harness::tls::Authority;
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

/// Every way to write a foreign name as if it were the relay's, and some that no browser has.
#[test]
fn no_spelling_makes_a_foreign_name_or_page_the_relays_own() {
    let relay = Relay::with(&["--allow-host", "relay.example"]);
    relay.register("a");
    relay.delegate("b", "a", "kept");
    let port = relay.address.port();
    let own = format!("http://127.0.0.1:{port}");
    let foreign_hosts = [
        "evil.test",
        "EVIL.TEST.",
        "evil.test:80",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "relay.example.evil.test",
        "xrelay.example",
        "localhost@evil.test",
        "localhost:80@evil.test",
        "127.0.0.1:80@evil.test:80",
        "evil.test@localhost",
        "localhost, evil.test",
        "localhost evil.test",
        "localhost:x",
        "localhost:80:80",
        "localhost..",
        "[::1",
        "::1",
        "1::2:80",
        "[127.0.0.1]",
        "::1]",
        "[::1]evil.test",
        "[localhost]",
        "[::1]@evil.test",
        "2130706433",
        "0x7f.1",
        "127.1",
        "%6cocalhost",
        "",
    ];
    for host in foreign_hosts {
        let status = relay
            .request("GET", "/poll/a", &[("Host", host)], b"")
            .status;
        assert!(matches!(status, 400 | 403), "Host {host:?}: {status}");
        let target = format!("http://{host}/poll/a");
        let status = relay.request("GET", &target, &[], b"").status;
        assert!(matches!(status, 400 | 403), "{target}: {status}");
    }
    let host = relay.address.to_string();
    for hosts in [
        [&*host, "evil.test"],
        ["evil.test", &*host],
        [&*host, &*host],
    ] {
        let headers = hosts.map(|host| ("Host", host));
        let status = relay.request("GET", "/poll/a", &headers, b"").status;
        assert!(matches!(status, 400 | 403), "{hosts:?}: {status}");
    }
    let origins: [&[&str]; 14] = [
        &[""],
        &["null"],
        &["NULL"],
        &["*"],
        &["http://evil.test"],
        &["http://127.0.0.1"],
        &[&format!("{own}.evil.test")],
        &[&format!("{own}@evil.test")],
        &[&format!("{own} http://evil.test")],
        &[&format!("{own}, http://evil.test")],
        &[&format!("ws://127.0.0.1:{port}")],
        &["file://"],
        &[&own, "http://evil.test"],
        &["http://evil.test", &own],
    ];
    for several in origins {
        let headers: Vec<_> = several.iter().map(|origin| ("Origin", *origin)).collect();
        let reply = relay.request("GET", "/poll/a", &headers, b"");
        assert_eq!(
            (reply.status, &*reply.code()),
            (403, "forbidden"),
            "{several:?}"
        );
    }
    for sites in [
        &["cross-site"][..],
        &["Cross-Site"],
        &["same-site"],
        &["Same-Origin"],
        &["NONE"],
        &[""],
        &["none, cross-site"],
        &["none", "cross-site"],
        &["same-origin", "cross-site"],
    ] {
        let headers: Vec<_> = sites.iter().map(|site| ("Sec-Fetch-Site", *site)).collect();
        let reply = relay.request("GET", "/poll/a", &headers, b"");
        assert_eq!(
            (reply.status, &*reply.code()),
            (403, "forbidden"),
            "{sites:?}"
        );
    }
    for host in [
        "LocalHost.:80",
        "127.0.0.1.",
        "[::1]:9077",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]:1",
        "RELAY.example.",
    ] {
        let status = relay
            .request("GET", "/discover", &[("Host", host)], b"")
            .status;
        assert_eq!(status, 200, "{host}");
    }
    assert_eq!(relay.poll("a").len(), 1, "the mail is still there");
}

/// Whoever sits on the wire can serve a page without TLS under the relay's own name and port.
#[test]
fn a_relay_with_tls_takes_no_page_without_for_its_own() {
    let authority = Authority::new();
    let options = authority.options();
    let relay = Relay::with(&options.each_ref().map(String::as_str));
    let call = |scheme: &str| {
        let origin = format!("{scheme}://{}", relay.address);
        let headers = [("Origin", origin.as_str())];
        authority
            .request(relay.address, "GET", "/discover", &headers, b"")
            .status
    };
    assert_eq!((call("https"), call("http")), (200, 403));
}

#[test]
fn an_origin_or_a_host_that_could_never_match_is_refused_at_the_start() {
    for (option, value) in [
        ("--allow-origin", "https://board.example/"),
        ("--allow-origin", "board.example"),
        ("--allow-origin", "*"),
        ("--allow-origin", "null"),
        ("--allow-origin", ""),
        ("--allow-origin", "https://"),
        ("--allow-origin", "https://a b"),
        ("--allow-host", "https://relay.example"),
        ("--allow-host", "relay.example:9077"),
        ("--allow-host", "relay.example/x"),
        ("--allow-host", ""),
        ("--allow-host", "*"),
    ] {
        let (code, said) = refused(&[option, value]);
        assert_eq!(code, 2, "{option} {value}: {said}");
        assert!(said.contains(option) && said.contains("example"), "{said}");
    }
}
