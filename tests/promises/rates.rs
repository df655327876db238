//! Nobody asks so often that the others wait, and nobody guesses a token.

use harness::{Relay, two_hosts};

/// What the far host gets, and what the near one does meanwhile. curl is one program each time, so
/// that its requests come at once.
const SCRIPT: &str = r#"
start_relay "" 10.77.0.1 --token right --no-mdns --requests-per-second 5 --wrong-tokens-per-minute 3
url=http://10.77.0.1:9077
count() { tr ' ' '\n' | grep -c "^$1\$" || true; }
answers=$($there curl -s -D "$work/heads" -o "$work/last" -w '%{http_code} ' -H 'Authorization: Bearer right' "$url/?[1-40]")
echo "far: $(count 200 <<<"$answers") of 40, refused $(count 429 <<<"$answers")"
grep -ai -m 1 retry-after "$work/heads"
cat "$work/last"; echo
answers=$(curl -s -o /dev/null -w '%{http_code} ' -H 'Authorization: Bearer right' "http://127.0.0.1:9077/?[1-40]")
echo "here: $(count 200 <<<"$answers") of 40"
sleep 4
answers=$($there curl -s -o /dev/null -w '%{http_code} ' -H 'Authorization: Bearer wrong' "$url/?[1-5]")
echo "wrong: $answers"
echo "right: $($there curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer right' "$url/")"
echo "without: $($there curl -s -o /dev/null -w '%{http_code}' "$url/")"
"#;

#[test]
fn an_address_of_another_machine_asks_no_more_often_than_it_may() {
    let (out, err) = two_hosts::run(SCRIPT);
    let told = |start: &str| {
        let line = out.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start}: {out}{err}"))
            .to_owned()
    };
    let far: Vec<usize> = told("far:")
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [passed, 40, refused] = far[..] else {
        panic!("{out}{err}");
    };
    assert!(
        (10..=30).contains(&passed) && passed + refused == 40,
        "{out}"
    );
    assert!(out.to_ascii_lowercase().contains("retry-after: 1"), "{out}");
    assert!(out.contains("rate_limited"), "{out}");
    assert_eq!(told("here:"), "here: 40 of 40");
    assert_eq!(told("wrong:"), "wrong: 401 401 401 429 429 ");
    assert_eq!(told("right:"), "right: 429", "it is not told");
    assert_eq!(told("without:"), "without: 401");
}

/// A socket's frames from afar: twenty, where ten may come at once and five a second.
const FRAMES: &str = r#"
start_relay "" 10.77.0.1 --insecure --no-mdns --requests-per-second 5
now() { date +%s%N; }
began=$(now)
$there timeout 20 bash -c 'exec 3<>/dev/tcp/10.77.0.1/9077
    printf "GET /ws/far HTTP/1.1\r\nHost: 10.77.0.1:9077\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" >&3
    for n in $(seq 20); do printf "\x81\x9c\0\0\0\0{\"type\":\"heartbeat\",\"ref\":%d}" "$((n % 10))" >&3; done
    printf "\x88\x80\0\0\0\0" >&3
    cat <&3 | grep -a -o "\"type\":\"reply\"" | wc -l' || true
echo "took $((($(now) - began) / 1000000)) ms"
"#;

#[test]
fn frames_of_a_socket_wait_their_turn_and_none_is_lost() {
    let (out, err) = two_hosts::run(FRAMES);
    let took = out
        .split("took ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let took: u64 = took.and_then(|ms| ms.parse().ok()).unwrap_or_default();
    assert!((1_800..15_000).contains(&took), "{took} ms: {out}{err}");
    assert!(out.lines().any(|line| line.trim() == "20"), "{out}{err}");
}

#[test]
fn on_this_machine_wrong_tokens_are_refused_and_the_right_one_still_passes() {
    let relay = Relay::with(&["--token", "right", "--wrong-tokens-per-minute", "3"]);
    let with = |token: &str| {
        let header = format!("Bearer {token}");
        relay.request("GET", "/", &[("Authorization", &header)], b"")
    };
    for _ in 0..3 {
        assert_eq!(with("wrong").status, 401);
    }
    let limited = with("wrong");
    assert_eq!(
        (limited.status, limited.code().as_str()),
        (429, "rate_limited")
    );
    let wait = limited.header("Retry-After").and_then(|s| s.parse().ok());
    assert!(wait.is_some_and(|s: u64| (1..=20).contains(&s)), "{wait:?}");
    assert_eq!(with("right").status, 200);
    assert_eq!(relay.get("/").status, 401, "without one");
    let refused = harness::socket::Socket::try_open(relay.address, "/ws/a?token=wrong");
    assert!(refused.err().is_some_and(|error| error.contains("429")));
}

/// One agent that asks from the far host, and another beside it.
const AGENTS: &str = r#"
start_relay "" 10.77.0.1 --insecure --no-mdns --agent-requests-per-second 5
url=http://10.77.0.1:9077
beats() { for _ in $(seq 40); do printf 'url = "%s/heartbeat"\noutput = "/dev/null"\n' "$url"; done; }
ask() {
    beats | $there curl -s -K - -w '%{http_code}\n' -H 'Content-Type: application/json' -d "{\"agent_id\":\"$1\"}" |
        sort | uniq -c | tr -s ' \n' ' '
}
echo "busy: $(ask busy)"
echo "other: $($there curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"agent_id":"other"}' $url/heartbeat)"
echo "metric: $(curl -s "http://127.0.0.1:9077/metrics" | grep 'what="agent"')"
"#;

#[test]
fn one_agent_asks_no_more_often_than_it_may_and_others_do_not_suffer() {
    let (out, err) = two_hosts::run(AGENTS);
    let busy = out.lines().find(|line| line.starts_with("busy:"));
    let numbers: Vec<usize> = busy
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [passed, 200, refused, 429] = numbers[..] else {
        panic!("{out}{err}");
    };
    assert!(
        (10..=30).contains(&passed) && passed + refused == 40,
        "{out}"
    );
    assert!(out.contains("other: 200"), "{out}{err}");
    let counted = format!("clawlink_rate_limited_total{{what=\"agent\"}} {refused}");
    assert!(out.contains(&counted), "{out}{err}");
}
