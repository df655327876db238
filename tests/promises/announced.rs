//! mDNS, between two hosts that exist for this test alone.

use harness::two_hosts;

/// Runs the relay on one host and `scan` on the other, both ways round.
const SCRIPT: &str = r#"
run() { # where the relay runs, where the client runs, the relay's address
    start_relay "$1" "$3" --token t
    scan "$2"
    kill -TERM $server
    wait $server || { echo "the relay ended badly"; cat "$work/log"; exit 1; }
}
run "" "$there" 10.77.0.1
run "$there" "" 10.77.0.2
"#;

#[test]
fn a_scan_finds_a_relay_on_another_host_both_ways_round() {
    let (out, err) = two_hosts::run(SCRIPT);
    let found: Vec<harness::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}{err}")))
        .collect();
    let urls: Vec<&str> = found
        .iter()
        .filter_map(|relay| relay["url"].as_str())
        .collect();
    assert_eq!(
        urls,
        ["http://10.77.0.1:9077", "http://10.77.0.2:9077"],
        "{out}{err}"
    );
    for relay in &found {
        assert!(
            relay["version"].is_string() && relay["hostname"].is_string(),
            "{relay}"
        );
        assert_eq!(relay["auth_required"], true, "{relay}");
    }
}
