//! Shared files and long lists.

use harness::{Relay, Value, is_rfc3339_utc, json};

#[test]
fn discover_and_files_come_in_pages_that_neither_repeat_nor_skip() {
    let relay = Relay::start();
    for n in 0..25 {
        relay.register(&format!("a{n:02}"));
        relay.post(
            "/files",
            &json!({"file_key": format!("f{n:02}"), "content": "x", "agent_id": "a"}),
        );
    }
    for (path, list, key) in [
        ("/discover", "agents", "agent_id"),
        ("/files", "files", "file_key"),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = relay.get(&format!("{path}?limit=10{cursor}")).json();
            let entries = page[list].as_array().unwrap().clone();
            assert_eq!(page["count"], entries.len());
            seen.extend(
                entries
                    .iter()
                    .map(|entry| entry[key].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let expected: Vec<String> = (0..25).map(|n| format!("{}{n:02}", &list[..1])).collect();
        assert_eq!(seen, expected);
        assert_eq!(relay.get(&format!("{path}?cursor=dead")).status, 400);
        assert_eq!(relay.get(&format!("{path}?limit=0")).status, 400);
    }
}

#[test]
fn a_file_counts_its_versions_and_everybody_else_hears_of_it() {
    let relay = Relay::start();
    relay.register("a");
    relay.register("b");
    for version in 1..=3 {
        let call =
            json!({"file_key": "docs/r.md", "content": format!("v{version}\n"), "agent_id": "a"});
        let reply = relay.post("/files", &call).json();
        assert_eq!(
            (&reply["status"], &reply["version"]),
            (&json!("saved"), &json!(version))
        );
    }
    let file = relay.get("/files/docs/r.md").json();
    assert_eq!(
        (&file["file_key"], &file["content"]),
        (&json!("docs/r.md"), &json!("v3\n"))
    );
    assert_eq!(
        (&file["file_type"], &file["last_editor"]),
        (&json!("text"), &json!("a"))
    );
    assert_eq!(file["version"], 3);
    assert!(is_rfc3339_utc(&file["updated_at"]));
    assert_eq!(relay.get("/files/docs%2Fr.md").json()["version"], 3);
    let list = relay.get("/files").json();
    assert_eq!(list["count"], 1);
    assert!(list["files"][0].get("content").is_none());
    assert_eq!(list["files"][0]["file_key"], "docs/r.md");
    assert!(relay.poll("a").is_empty());
    let heard = relay.poll("b");
    let versions: Vec<&Value> = heard.iter().map(|notice| &notice["version"]).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(
        (&heard[0]["type"], &heard[0]["last_editor"]),
        (&json!("file_updated"), &json!("a"))
    );
}

#[test]
fn a_file_may_be_empty_or_odd_but_not_missing() {
    let relay = Relay::start();
    let put = |key: &str, content: Value| {
        relay
            .post(
                "/files",
                &json!({"file_key": key, "content": content, "agent_id": "a"}),
            )
            .status
    };
    assert_eq!(put("empty", json!("")), 200);
    assert_eq!(relay.get("/files/empty").json()["content"], "");
    for (key, content) in [
        ("käse & co #1?.md", json!("x")),
        ("nul", json!("a\u{0}b\u{7f}\r\n")),
        ("value", json!({"any": ["json", 1]})),
    ] {
        assert_eq!(put(key, content.clone()), 200, "{key}");
        let path: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(
            relay.get(&format!("/files/{path}")).json()["content"],
            content,
            "{key}"
        );
    }
    assert_eq!(relay.get("/files/none").code(), "not_found");
    for key in ["", "/a", "a//b", "a/../b", ".", "a\nb", &"k".repeat(257)] {
        assert_eq!(put(key, json!("x")), 400, "{key:?}");
    }
    for body in [
        json!({"content": "x", "agent_id": "a"}),
        json!({"file_key": "k", "agent_id": "a"}),
        json!({"file_key": "k", "content": null, "agent_id": "a"}),
        json!({"file_key": "k", "content": "x"}),
    ] {
        assert_eq!(relay.post("/files", &body).status, 400, "{body}");
    }
}

#[test]
fn bytes_come_back_exact_and_count_decoded() {
    let relay = Relay::with(&["--file-limit", "4096"]);
    let put = |content: &str, encoding: Option<&str>| {
        let call =
            json!({"file_key": "b", "agent_id": "a", "content": content, "encoding": encoding});
        relay.post("/files", &call)
    };
    let base64 = Some("base64");
    let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let text = foreign_base64(&all);
    assert_eq!(put(&text, base64).status, 200);
    let read = relay.get("/files/b").json();
    assert_eq!(
        (&read["content"], &read["encoding"]),
        (&json!(text), &json!("base64"))
    );
    let history = relay.get("/files/b?history=1").json();
    assert_eq!(history["versions"][0]["size"], 4096);
    let long = foreign_base64(&[0; 4097]);
    assert_eq!(put(&long, base64).code(), "too_large");
    for bad in ["Zg", "Zh==", "a b=", "Zg==\n"] {
        let refused = put(bad, base64);
        assert_eq!(refused.status, 400, "{bad:?}");
        assert!(refused.text.contains("base64"), "{}", refused.text);
    }
    assert_eq!(put("x", Some("gzip")).status, 400);
    for odd in ["a\r\nb\r", "\u{feff}\u{0}e\u{301}\n\n", ""] {
        put(odd, None);
        let read = relay.get("/files/b").json();
        assert_eq!(
            (&read["content"], read.get("encoding")),
            (&json!(odd), None)
        );
    }
}

/// Base64 by other hands than the relay's.
fn foreign_base64(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child = std::process::Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64 runs");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(bytes).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("its output");
    String::from_utf8(output.stdout).expect("text")
}
