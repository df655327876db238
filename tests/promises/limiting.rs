//! A bound that has an option is where the option says, and what meets it is counted.

use harness::{Relay, Scrape, json};

/// What a relay answers and counts where a call, or a frame, has too many levels.
#[test]
fn a_call_or_frame_of_more_levels_than_it_may_have_is_refused() {
    let relay = Relay::with(&["--json-depth", "3"]);
    relay.register("a");
    let metric = r#"clawlink_refusals_total{code="bad_request"}"#;
    let refused = || Scrape::of(&relay).value(metric);
    let call = |fields: &str| {
        let body = format!(r#"{{"from_agent":"b","to_agent":"a",{fields}}}"#);
        relay.post_text("/delegate", &body)
    };
    assert_eq!(call(r#""task":[["[[[[ \" [["]]"#).status, 200);
    let before = refused();
    for fields in [r#""task":[[[1]]]"#, r#""task":1,"unknown":[[{"a":1}]]"#] {
        let reply = call(fields);
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
        assert!(reply.text.contains("--json-depth"), "{}", reply.text);
    }
    assert_eq!(refused() - before, 2.0);
    let mut socket = relay.socket("b");
    socket.send(&json!({"type": "delegate", "to_agent": "a", "task": [[[1]]]}));
    let answer = socket.next_of("error");
    assert_eq!(answer["code"], "bad_request");
    assert!(
        answer["error"]
            .as_str()
            .is_some_and(|error| error.contains("--json-depth"))
    );
    assert_eq!(refused() - before, 3.0);
    socket.send(&json!({"type": "delegate", "to_agent": "a", "task": [[1]], "ref": 1}));
    assert_eq!(socket.next_of("reply")["status"], "delegated");
    let tasks: Vec<_> = relay
        .poll("a")
        .into_iter()
        .map(|m| m["task"].clone())
        .collect();
    assert_eq!(tasks, [json!([["[[[[ \" [["]]), json!([[1]])]);
}
