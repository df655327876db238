//! Two hosts that exist for one test alone: two network namespaces and a cable between them. Nothing
//! is sent on a real interface.

use crate::binaries;
use std::process::Command;

/// Makes the hosts. What runs behind `$there` runs on the other one.
const HOSTS: &str = r#"
set -eu
relay=$1 client=$2 work=$3
unshare --net sleep 120 & other=$!
server=
trap 'kill $other $server $(jobs -p) 2>/dev/null || true' EXIT
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
start_relay() { # where, at which address, and options
    where=$1 address=$2
    shift 2
    $where "$relay" --host 0.0.0.0 --port 9077 --log debug "$@" >"$work/out" 2>"$work/log" & server=$!
    for try in $(seq 300); do grep -q afar "$work/out" && break; sleep 0.02; done
    grep -q "$address:9077" "$work/out" || { cat "$work/out" "$work/log"; exit 1; }
}
scan() { # where: until something is found, but not for ever
    for try in $(seq 10); do
        if $1 "$client" --json scan --for 2; then break; fi
    done
}
"#;

/// Runs a script on the two, which may name `$there`, `$work`, `$relay`, `$client`, `start_relay` and
/// `scan`: what it wrote to standard output and to standard error.
///
/// # Panics
/// When it fails, or the hosts cannot be made.
pub fn run(script: &str) -> (String, String) {
    let work = tempfile::TempDir::new().expect("a folder");
    let script = [HOSTS, script].concat();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--kill-child"])
        .args(["bash", "-c", &script, "test"])
        .args([binaries::relay(), binaries::client()])
        .arg(work.path())
        .output()
        .expect("util-linux and iproute2 are installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    (out, err)
}
