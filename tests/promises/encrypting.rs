//! TLS: whoever reads the wire learns nothing, and what holds without it holds with it.

use harness::relay::refused;
use harness::socket::Socket;
use harness::tls::Authority;
use harness::{Client, PATIENCE, Relay, eventually, http, json, two_hosts};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// A relay that the authority has certified, started with these options besides.
fn relay_of(authority: &Authority, options: &[&str]) -> Relay {
    let own = authority.options();
    let own = own.iter().map(String::as_str);
    Relay::with(&own.chain(options.iter().copied()).collect::<Vec<_>>())
}

/// Sends JSON.
fn post(authority: &Authority, relay: &Relay, path: &str, body: &harness::Value) -> http::Reply {
    let kind = [("Content-Type", "application/json")];
    let body = body.to_string();
    let reply = authority.request(relay.address, "POST", path, &kind, body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply
}

fn register(authority: &Authority, relay: &Relay, id: &str) {
    post(
        authority,
        relay,
        "/register",
        &json!({"agent_id": id, "name": id}),
    );
}

fn delegate(authority: &Authority, relay: &Relay, to: &str, task: &str) -> harness::Value {
    let call = json!({"from_agent": "b", "to_agent": to, "task": task});
    post(authority, relay, "/delegate", &call).json()
}

fn poll(authority: &Authority, relay: &Relay, id: &str) -> Vec<harness::Value> {
    let path = format!("/poll/{id}");
    let reply = authority
        .request(relay.address, "GET", &path, &[], b"")
        .json();
    reply["messages"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_relay_with_a_certificate_speaks_tls_and_nothing_else() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &[]);
    let reply = authority.request(relay.address, "GET", "/", &[], b"");
    assert_eq!(reply.json()["service"], "ClawLink Relay");
    let port = relay.address.port();
    assert_eq!(relay.url(), format!("https://127.0.0.1:{port}"));
    let join = format!("clawlink --relay https://localhost:{port} register --name NAME");
    assert!(relay.greeting.contains(&join), "{}", relay.greeting);
    assert!(!relay.greeting.contains("http://"), "{}", relay.greeting);
    let mut plain = http::connect(relay.address);
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", relay.address);
    plain.write_all(request.as_bytes()).unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(
        !said.starts_with(b"HTTP"),
        "{}",
        String::from_utf8_lossy(&said)
    );
}

#[test]
fn http_1_1_is_the_only_protocol_that_is_agreed_on() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &[]);
    let agreed = |offered: &[&[u8]]| {
        let tcp = http::connect(relay.address);
        let mut stream = authority.over(tcp, relay.address, offered);
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        assert_eq!(http::read_reply(&mut stream).status, 200);
        std::io::Result::Ok(stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(agreed(&[]).unwrap(), None);
    let both = agreed(&[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(both.as_deref(), Some(&b"http/1.1"[..]));
    assert!(agreed(&[b"h2"]).is_err());
}

#[test]
fn files_that_are_of_no_use_are_told_at_the_start_with_what_to_do() {
    let authority = Authority::new();
    let [certificate, key] = authority.issue("a", &["localhost"]);
    let [_, other] = authority.issue("b", &["localhost"]);
    let broken = authority.file().with_file_name("broken");
    let text = std::fs::read_to_string(&certificate).unwrap();
    std::fs::write(&broken, &text[..text.len() / 2]).unwrap();
    let broken = broken.to_str().unwrap();
    let odd = authority.file().with_file_name("odd");
    let armour = |word| format!("-----BEGIN {word}-----\nAAAA\n-----END {word}-----\n");
    std::fs::write(&odd, armour("CERTIFICATE") + &armour("PRIVATE KEY")).unwrap();
    let odd = odd.to_str().unwrap();
    for (certificate, key, told) in [
        (
            "/nonexistent/a",
            &*key,
            "--tls-cert /nonexistent/a: No such file",
        ),
        (
            &*certificate,
            "/nonexistent/k",
            "--tls-key /nonexistent/k: No such file",
        ),
        (
            "/dev/null",
            &key,
            "--tls-cert /dev/null holds no certificate in PEM format",
        ),
        (
            &certificate,
            "/dev/null",
            "--tls-key /dev/null holds no private key",
        ),
        (&certificate, &certificate, "holds no private key"),
        (&key, &key, "holds no certificate"),
        (broken, &key, "is damaged"),
        (odd, &key, "the first certificate cannot be used"),
        (&certificate, odd, "the key cannot be used"),
        (&certificate, &other, "is not the key of the certificate in"),
    ] {
        let (code, said) = refused(&["--tls-cert", certificate, "--tls-key", key]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(told), "{told}: {said}");
        let cure = said.contains("\n  openssl req -x509") || said.contains("\n  give the key");
        assert!(cure, "{said}");
    }
    for half in [["--tls-cert", &*certificate], ["--tls-key", &*key]] {
        let (code, said) = refused(&half);
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("--tls-cert and --tls-key go together"),
            "{said}"
        );
    }
}

/// Who got the certificate that a relay sends just now.
fn shown(authority: &Authority, relay: &Relay) -> Vec<u8> {
    let mut stream = authority.connect(relay.address);
    stream
        .conn
        .complete_io(&mut stream.sock)
        .expect("a handshake");
    let own = stream.conn.peer_certificates().expect("a certificate");
    own[0].to_vec()
}

#[test]
fn sighup_changes_the_certificate_of_new_connections_and_bad_files_change_nothing() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &[]);
    let first = shown(&authority, &relay);
    let mut open = authority.connect(relay.address);
    open.conn.complete_io(&mut open.sock).unwrap();
    let [certificate, _] = authority.issue("relay", &["127.0.0.1"]);
    assert_eq!(shown(&authority, &relay), first, "not before it is told to");
    relay.signal(Signal::SIGHUP);
    let second = eventually("the new certificate is in use", || {
        Some(shown(&authority, &relay)).filter(|now| *now != first)
    });
    std::fs::write(&certificate, "nothing").unwrap();
    relay.signal(Signal::SIGHUP);
    eventually("it complains", || {
        relay
            .log()
            .contains("the old certificate stays in use")
            .then_some(())
    });
    assert_eq!(shown(&authority, &relay), second);
    let reply = http::exchange(&mut open, relay.address, "GET", "/health", &[], b"");
    assert_eq!(reply.status, 200, "what was open stays open");
}

#[test]
fn the_joining_command_names_the_relay_as_its_certificate_does() {
    let authority = Authority::new();
    let [certificate, key] = authority.issue("named", &["relay.example"]);
    let pair = ["--tls-cert", &*certificate, "--tls-key", &*key];
    let relay = Relay::with(&[&pair[..], &["--allow-host", "relay.example"]].concat());
    let url = format!("--relay https://relay.example:{} ", relay.address.port());
    assert!(relay.greeting.contains(&url), "{}", relay.greeting);
    let relay = Relay::with(&pair);
    let told = "the certificate does not have this name; clients take none but its own";
    eventually("it is told where there is no such name", || {
        relay.log().contains(told).then_some(())
    });
}

/// By default nobody is let in while 256 handshakes of a worker stall.
#[test]
fn handshakes_that_stall_by_the_hundred_keep_nobody_out_and_end() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &[]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let mut stalled: Vec<_> = (0..300 * workers)
        .map(|n| {
            let mut stream = http::connect(relay.address);
            // Half of them say that a long greeting follows.
            if n % 2 == 0 {
                stream.write_all(&[22, 3, 1, 1, 0, 1]).unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        let asked = Instant::now();
        let reply = authority.request(relay.address, "GET", "/health", &[], b"");
        assert_eq!(reply.status, 200);
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "they still stall"
    );
    for stream in &mut stalled {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < PATIENCE, "{took:?}");
}

#[test]
fn a_socket_with_receipts_works_encrypted() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &["--token", "t0ken"]);
    let open = || {
        let stream = authority.connect(relay.address);
        Socket::over(stream, relay.address, "/ws/a?ack=1&token=t0ken").expect("a socket")
    };
    let mut socket = open();
    assert_eq!(socket.frame()["type"], "welcome");
    let send = |socket: &mut Socket<_>, task: &str| {
        socket.send(&json!({"type": "delegate", "to_agent": "a", "task": task, "ref": task}));
        let frames = [socket.frame(), socket.frame()];
        let message = frames
            .iter()
            .find(|frame| frame["type"] == "task_delegation");
        message.cloned().unwrap_or_else(|| panic!("{frames:?}"))
    };
    let kept = send(&mut socket, "kept");
    let done = send(&mut socket, "done");
    socket.send(&json!({"type": "ack", "receipts": [done["delivery"]["receipt"]], "ref": 1}));
    assert_eq!(socket.next_of("reply")["done"], 1);
    drop(socket);
    let mut again = open();
    let message = again.next_of("task_delegation");
    assert_eq!(message["task"], "kept");
    assert_ne!(message["delivery"]["receipt"], kept["delivery"]["receipt"]);
}

/// What is set on each connection finds the TCP beneath the TLS.
#[test]
fn an_encrypted_peer_that_stops_reading_is_given_up() {
    let authority = Authority::new();
    let limits = ["--dead-peer-after", "2", "--inbox-bytes", "67108864"];
    let relay = relay_of(&authority, &limits);
    let stream = authority.connect(relay.address);
    let narrow = socket2::SockRef::from(stream.get_ref()).set_recv_buffer_size(4096);
    narrow.expect("a small buffer");
    let socket = Socket::over(stream, relay.address, "/ws/deaf").expect("a socket");
    let big = "x".repeat(900 * 1024);
    for _ in 0..10 {
        delegate(&authority, &relay, "deaf", &big);
    }
    let polled = poll(&authority, &relay, "deaf").len();
    assert!((9..=10).contains(&polled), "{polled}");
    let back = eventually("the socket is given up", || {
        Some(poll(&authority, &relay, "deaf")).filter(|back| !back.is_empty())
    });
    assert_eq!(back[0]["task"], big);
    assert_eq!(
        delegate(&authority, &relay, "deaf", "after")["delivery"],
        "queued"
    );
    drop(socket);
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_nothing_with_it() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &["--stale-after", "1"]);
    register(&authority, &relay, "a");
    let online = |count: usize| {
        eventually("a is as it should be", || {
            let reply = authority.request(relay.address, "GET", "/discover", &[], b"");
            (reply.json()["count"] == count).then_some(())
        });
    };
    online(0);
    let mut waiting = authority.connect(relay.address);
    let request = format!(
        "GET /poll/a?wait=50 HTTP/1.1\r\nHost: {}\r\n\r\n",
        relay.address
    );
    waiting.write_all(request.as_bytes()).unwrap();
    online(1);
    drop(waiting);
    online(0);
    delegate(&authority, &relay, "a", "t");
    assert_eq!(poll(&authority, &relay, "a").len(), 1);
}

#[test]
fn the_client_does_all_its_work_encrypted() {
    let authority = Authority::new();
    let relay = relay_of(&authority, &["--token", "t0ken"]);
    let client = Client::of(&relay)
        .with_tls(Some(&authority))
        .options(&["--token", "t0ken"]);
    client.run(&["register", "--name", "n"]).ok();
    let long = "word ".repeat(100_000);
    client
        .pipe(&["delegate", "--to", "n", "--task", "-"], &long)
        .ok();
    let mail = client
        .run(&["poll", "--json", "--full", "--wait", "5"])
        .ok()
        .json();
    assert_eq!(mail[0]["task"], long);
    client
        .pipe(&["file-put", "--key", "k", "--file", "-"], &long)
        .ok();
    assert_eq!(client.run(&["file-get", "--key", "k"]).ok().out, long);
    client.run(&["poll", "--wait", "1"]).ok();
    let named = format!("https://LOCALHOST:{}/", relay.address.port());
    client.run(&["--relay", &named, "discover"]).ok();
}

#[test]
fn the_client_says_whom_it_does_not_trust_and_why_and_what_helps() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let relay = relay_of(&authority, &[]);
    let client = |trusted| Client::of(&relay).with_tls(Some(trusted));
    let stranger = client(&stranger);
    let began = Instant::now();
    let refused = stranger.run(&["info", "--timeout", "3600"]).exits(6);
    assert!(began.elapsed() < PATIENCE, "it is not tried again");
    for part in [
        "no trust in what answers at https://",
        "SSL_CERT_FILE=CA.pem",
    ] {
        assert!(refused.err.contains(part), "{refused:?}");
    }
    // A certificate of the authority, but for another name.
    let [certificate, key] = authority.issue("other", &["other.example"]);
    let other = Relay::with(&["--tls-cert", &certificate, "--tls-key", &key]);
    let named = Client::of(&other)
        .with_tls(Some(&authority))
        .run(&["info"])
        .exits(6);
    assert!(
        named
            .err
            .contains("must use a name that the certificate has"),
        "{named:?}"
    );
    // What does not speak TLS at all.
    let plain = Relay::start();
    let url = format!("https://{}", plain.address);
    let told = client(&authority).run(&["--relay", &url, "info"]).exits(6);
    let cure = format!("without TLS: clawlink --relay http://{} ", plain.address);
    assert!(
        told.err.contains("does not speak TLS") && told.err.contains(&cure),
        "{told:?}"
    );
    assert!(plain.log().lines().all(|line| !line.contains("Bearer")));
}

#[test]
fn a_client_without_tls_says_what_to_build_and_connects_to_nobody() {
    let client = Client::at(Some("https://127.0.0.1:1".to_owned()));
    let refused = client.run(&["info"]).exits(2);
    assert!(refused.err.contains("this build has no TLS"), "{refused:?}");
    for way in [
        "client/build-static --tls",
        "cargo install --path client --features tls",
    ] {
        assert!(refused.err.contains(way), "{refused:?}");
    }
}

/// A URL that does not begin with `https` would lead every client astray.
#[test]
fn a_relay_with_tls_is_announced_as_one() {
    let authority = Authority::new();
    let [certificate, key] = authority.issue("far", &["10.77.0.1"]);
    let script = format!(
        r#"
start_relay "" 10.77.0.1 --token t --tls-cert {certificate} --tls-key {key}
scan "$there"
cat "$work/out" >&2
"#
    );
    let (out, said) = two_hosts::run(&script);
    let found: harness::Value = serde_json::from_str(out.lines().next().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {out}{said}"));
    assert_eq!(found["url"], "https://10.77.0.1:9077");
    let join = "clawlink --relay https://10.77.0.1:9077 register --name NAME";
    assert!(said.contains(join), "{said}");
}
