//! Which version of each shared file this session has read or written last. A write says it to the
//! relay, which then refuses to overwrite what somebody else has written since.
//!
//! Kept in the state file under `files`, one entry for each relay URL, with the epoch in which the
//! versions count: after a restart of the relay the same number may be that of another text.

use crate::json::{self, Object};

/// Files that are remembered at one relay; of more, those touched longest ago are forgotten, and
/// count as never seen.
const KEYS_MAX: usize = 200;

/// A version that was seen.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) version: u64,
    pub(crate) epoch: String,
}

/// What was seen of a file.
pub(crate) fn of(state: &Object, url: &str, key: &str) -> Option<Seen> {
    let here = state.object("files").object(url);
    let version = here.object("versions").number(key)?;
    let epoch = here.text_of("epoch")?;
    Some(Seen { version, epoch })
}

/// Takes note of a version; of none where the file is gone.
pub(crate) fn note(state: &mut Object, url: &str, key: &str, epoch: &str, version: Option<u64>) {
    let mut files = state.object("files");
    let mut here = files.object(url);
    let mut versions = match here.text("epoch") == epoch {
        true => here.object("versions"),
        false => Object::default(),
    };
    versions.remove(key);
    if let Some(version) = version {
        versions.set(key, &json::write(&version));
    }
    versions.keep_last(KEYS_MAX);
    here.set_text("epoch", epoch);
    here.set("versions", versions.json());
    files.set(url, here.json());
    state.set("files", files.json());
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://localhost:9077";

    fn version(state: &Object, key: &str) -> Option<u64> {
        of(state, HERE, key).map(|seen| seen.version)
    }

    #[test]
    fn each_relay_has_its_versions_and_a_new_epoch_none_of_the_old() {
        let mut state = Object::default();
        note(&mut state, HERE, "k", "e1", Some(3));
        note(&mut state, "http://there:1", "k", "e9", Some(8));
        assert_eq!(
            (version(&state, "k"), version(&state, "j")),
            (Some(3), None)
        );
        note(&mut state, HERE, "j", "e2", Some(1));
        assert_eq!(
            (version(&state, "k"), version(&state, "j")),
            (None, Some(1))
        );
        assert_eq!(of(&state, HERE, "j").unwrap().epoch, "e2");
        note(&mut state, HERE, "j", "e2", None);
        assert_eq!(version(&state, "j"), None);
        assert_eq!(of(&state, "http://there:1", "k").unwrap().version, 8);
    }

    #[test]
    fn those_touched_longest_ago_are_forgotten() {
        let mut state = Object::default();
        for n in 0..KEYS_MAX {
            note(&mut state, HERE, &n.to_string(), "e", Some(1));
        }
        note(&mut state, HERE, "0", "e", Some(2));
        note(&mut state, HERE, "one more", "e", Some(1));
        assert_eq!(
            (version(&state, "0"), version(&state, "1")),
            (Some(2), None)
        );
        assert_eq!(version(&state, "one more"), Some(1));
    }
}
