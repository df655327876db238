//! mDNS, between two hosts that exist for this test alone: two network namespaces and a cable
//! between them. Nothing is sent on a real interface.

use harness::binaries;
use std::process::Command;

/// Makes the two hosts, runs the relay on one and `scan` on the other, both ways round.
const SCRIPT: &str = r#"
set -eu
relay=$1 client=$2 work=$3
unshare --net sleep 60 & other=$!
trap 'kill $other $server 2>/dev/null || true' EXIT
server=
for try in $(seq 200); do
    [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.02
done
ip link set lo up
ip link add left type veth peer name right netns $other
ip address add 10.77.0.1/24 dev left
ip link set left up
ip route add default dev left
there="nsenter --target $other --net"
$there ip link set lo up
$there ip address add 10.77.0.2/24 dev right
$there ip link set right up
$there ip route add default dev right
export HOME=$work CLAWLINK_HOME=$work
run() { # where the relay runs, where the client runs, the relay's address
    $1 "$relay" --host 0.0.0.0 --port 9077 --token t --log debug >"$work/out" 2>"$work/log" & server=$!
    for try in $(seq 300); do grep -q afar "$work/out" && break; sleep 0.02; done
    grep -q "$3:9077" "$work/out" || { cat "$work/out" "$work/log"; exit 1; }
    found=
    for try in 1 2 3; do
        if found=$($2 "$client" --json scan --for 2); then break; fi
    done
    echo "$found"
    kill -TERM $server
    wait $server || { echo "the relay ended badly"; cat "$work/log"; exit 1; }
}
run "" "$there" 10.77.0.1
run "$there" "" 10.77.0.2
"#;

#[test]
fn a_scan_finds_a_relay_on_another_host_both_ways_round() {
    let work = tempfile::TempDir::new().unwrap();
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--kill-child",
            "bash",
            "-c",
            SCRIPT,
            "test",
        ])
        .args([binaries::relay(), binaries::client()])
        .arg(work.path())
        .output()
        .expect("util-linux and iproute2 are installed");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
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
