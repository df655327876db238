//! Messages that were taken off the relay but not printed whole: one file each in `messages/`.

use crate::failure::{Exit, Failure, local, said};
use crate::json::Object;
use crate::state::{Store, is_file_name};
use std::fs;
use std::path::{Path, PathBuf};

/// So many are kept.
const KEPT_MAX: usize = 200;
/// Messages of one id; peers choose ids, so they can collide.
const TWINS_MAX: usize = 9;

/// Keeps a message, and returns the id that `show` finds it by: its own, or with a number
/// where another message has that one. An id that cannot name a file is refused.
pub(crate) fn keep(store: &Store, id: &str, json: &str) -> Option<String> {
    if !is_file_name(id) {
        return None;
    }
    let json = &lasting(json);
    for twin in 1..=TWINS_MAX {
        let name = if twin == 1 {
            id.to_owned()
        } else {
            format!("{id}-{twin}")
        };
        let path = file(store, &name);
        match fs::read_to_string(&path) {
            Ok(there) if there == *json => return Some(name),
            Ok(_) => {}
            Err(_) => {
                let written = store.write(&path, json.as_bytes());
                return written.ok().map(|()| name);
            }
        }
    }
    None
}

/// A message without what belongs to one delivery of it: it is the same when it comes again.
fn lasting(json: &str) -> String {
    match Object::parse(json) {
        Ok(mut message) => {
            message.remove("delivery");
            message.json().to_owned()
        }
        // Whatever it is, it has no delivery.
        Err(_) => json.to_owned(),
    }
}

/// The message of that id.
pub(crate) fn find(store: &Store, id: &str) -> Result<String, Failure> {
    let nothing = || {
        said(
            Exit::NotFound,
            &format!("no message {id} is kept here"),
            "only messages that poll printed short are, the last 200 of them",
        )
    };
    if !is_file_name(id) {
        return Err(nothing());
    }
    let path = file(store, id);
    fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => nothing(),
        _ => local("cannot read", &path, error),
    })
}

/// Lets the oldest go. To be called before a poll keeps its messages, so that however many come
/// at once, none of them goes before it could be read. What cannot be removed stays for the next time.
pub(crate) fn tidy(store: &Store) {
    let Ok(entries) = fs::read_dir(store.messages()) else {
        return;
    };
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    let surplus = files.len().saturating_sub(KEPT_MAX);
    for (_, path) in &files[..surplus] {
        let _ = fs::remove_file(path);
    }
}

fn file(store: &Store, name: &str) -> PathBuf {
    Path::new(&store.messages()).join([name, ".json"].concat())
}

/// The command that prints a kept message. An id may begin with a dash: its sender chose it.
pub(crate) fn command(id: &str) -> String {
    let dash = if id.starts_with('-') { "-- " } else { "" };
    ["clawlink show ", dash, id].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_kept_message_is_found_again_whole() {
        let scratch = Scratch::new("kept");
        let store = scratch.store(None);
        let id = keep(&store, "k3v9x2ab", "{\"a\":1}").unwrap();
        assert_eq!(find(&store, &id).unwrap(), "{\"a\":1}");
        assert_eq!(
            keep(&store, "k3v9x2ab", "{\"a\":1}"),
            Some(id),
            "once is enough"
        );
        assert!(find(&store, "other").is_err());
    }

    #[test]
    fn a_peer_cannot_overwrite_a_message_by_giving_another_its_id() {
        let scratch = Scratch::new("twins");
        let store = scratch.store(None);
        assert_eq!(keep(&store, "m", "first").as_deref(), Some("m"));
        assert_eq!(keep(&store, "m", "second").as_deref(), Some("m-2"));
        assert_eq!(find(&store, "m").unwrap(), "first");
        for bad in ["", "..", "../agent_state", "a/b", "a\0"] {
            assert_eq!(keep(&store, bad, "x"), None, "{bad:?}");
            assert!(find(&store, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_message_that_comes_again_is_kept_once() {
        let scratch = Scratch::new("again");
        let store = scratch.store(None);
        let delivered = |receipt: &str| {
            let json =
                format!(r#"{{"message_id":"m","n":1.50,"delivery":{{"receipt":"{receipt}"}}}}"#);
            keep(&store, "m", &json)
        };
        assert_eq!(delivered("r1").as_deref(), Some("m"));
        assert_eq!(delivered("r2").as_deref(), Some("m"));
        assert_eq!(find(&store, "m").unwrap(), r#"{"message_id":"m","n":1.50}"#);
    }

    #[test]
    fn the_last_200_are_kept() {
        let scratch = Scratch::new("tidy");
        let store = scratch.store(None);
        for n in 0..KEPT_MAX + 3 {
            keep(&store, &format!("m{n}"), "x").unwrap();
        }
        tidy(&store);
        assert_eq!(fs::read_dir(store.messages()).unwrap().count(), KEPT_MAX);
        assert!(find(&store, &format!("m{}", KEPT_MAX + 2)).is_ok());
    }

    #[test]
    fn an_id_that_begins_with_a_dash_can_still_be_shown() {
        assert_eq!(command("k3v9"), "clawlink show k3v9");
        assert_eq!(command("-abc"), "clawlink show -- -abc");
    }
}
