//! How a relay starts, and how it says that it does not.

use harness::relay::refused;
use harness::{Relay, binaries};
use std::process::Command;

#[test]
fn the_first_words_say_what_to_type_next_here_and_elsewhere() {
    let relay = Relay::start();
    let port = relay.address.port();
    assert!(
        relay
            .greeting
            .contains(&format!("listens on http://127.0.0.1:{port}")),
        "{}",
        relay.greeting
    );
    let here = format!("clawlink --relay http://localhost:{port} register --name NAME");
    assert!(relay.greeting.contains(&here), "{}", relay.greeting);
    assert!(
        relay.greeting.contains("--host 0.0.0.0"),
        "{}",
        relay.greeting
    );
}

#[test]
fn beyond_loopback_a_token_is_needed_or_the_risk_accepted() {
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let (code, said) = refused(&["--host", host, "--port", "0"]);
        assert_eq!(code, 2, "{said}");
        for part in ["without a token", "--token-file", "--insecure"] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[test]
fn a_second_relay_on_the_same_port_says_who_has_it() {
    let relay = Relay::start();
    let port = relay.address.port().to_string();
    let (code, said) = refused(&["--port", &port]);
    assert_eq!(code, 1);
    assert!(
        said.contains(&format!(
            "clawlink-server (process {}) listens there already",
            relay.pid()
        )) && said.contains("clawlink --relay"),
        "{said}"
    );
}

#[test]
fn wrong_options_exit_2_and_point_to_the_help() {
    for options in [
        &["--prot", "1"][..],
        &["--port", "x"],
        &["--port", "99999"],
        &["--log", "loud"],
        &["--log-format", "xml"],
        &["--stale-after", "0"],
        &["--host", "no such host"],
        &["--token-file", "/nonexistent/token"],
        &["extra"],
    ] {
        let (code, said) = refused(options);
        assert_eq!(code, 2, "{options:?}: {said}");
        assert!(
            said.starts_with("clawlink-server: ") && said.trim().lines().count() >= 1,
            "{options:?}: {said}"
        );
    }
}

#[test]
fn help_and_version_go_to_standard_output_and_succeed() {
    let run = |args: &[&str]| Command::new(binaries::relay()).args(args).output().unwrap();
    for flag in ["--help", "-h"] {
        let help = run(&[flag]);
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success());
        for part in [
            "--host",
            "--inbox-limit",
            "--token-file",
            "clawlink-server --host 0.0.0.0",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
    let version = run(&["--version"]);
    assert!(
        String::from_utf8(version.stdout)
            .unwrap()
            .starts_with("clawlink-server ")
    );
}

#[test]
fn an_option_takes_its_value_behind_an_equals_sign_too() {
    let relay = Relay::with(&["--stale-after=600", "--token=t"]);
    assert_eq!(relay.get("/").status, 401);
}
