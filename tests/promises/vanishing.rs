//! A working program that is silent keeps its socket; a machine that has vanished loses it.

use harness::two_hosts;

/// The far host opens a socket, reads nothing and answers no ping. Then its cable is pulled.
const SCRIPT: &str = r#"
start_relay "" 10.77.0.1 --insecure --no-mdns --ping-every 1 --dead-peer-after 4
ask() { curl -s -m 5 "http://10.77.0.1:9077/$1" "${@:2}"; }
$there bash -c 'exec 3<>/dev/tcp/10.77.0.1/9077
    printf "GET /ws/far HTTP/1.1\r\nHost: 10.77.0.1:9077\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" >&3
    read -r line <&3; echo "$line"; sleep 60' &
until_says() { # a path, and what its reply is to hold
    for try in $(seq 150); do
        if ask "$1" | grep -q "$2"; then return; fi
        sleep 0.1
    done
    echo "never: $1 $2"; cat "$work/log"; exit 1
}
until_says discover '"agent_id":"far"'
task() { ask delegate -d '{"from_agent":"s","to_agent":"far","task":"'"$1"'"}' -H 'Content-Type: application/json'; echo; }
task first
sleep 8 # twice the time after which a dead peer is given up
task second
until_says 'poll/far?peek=1' '"count":0'
$there ip link set right down
task third
SECONDS=0
until_says 'poll/far?peek=1' '"count":3'
[ $SECONDS -le 12 ] || { echo "given up after $SECONDS s"; exit 1; }
"#;

#[test]
fn a_silent_peer_keeps_its_socket_and_one_that_vanished_gives_its_mail_back() {
    let (out, err) = two_hosts::run(SCRIPT);
    assert!(out.contains("101 Switching"), "{out}{err}");
    assert_eq!(
        out.matches(r#""delivery":"websocket""#).count(),
        3,
        "{out}{err}"
    );
}
