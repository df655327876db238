//! Who this session is: the state file, which a Python client may share.
//!
//! `relay_url`, `agent_id` and `agent_name` stand at the top, as Python clients have them. What
//! is ours stands under `relays`, one entry for each relay URL, so that a session that visits
//! another relay keeps its id for each. A Python client that rewrites the file drops our part;
//! then the top is enough to go on with.

use crate::environment::Environment;
use crate::failure::{Cause, Failure, local};
use crate::json::{self, Object};
use crate::random;
use crate::url;
use clawlink_protocol::name::AgentId;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Identities that an error names at most.
const NAMES_MAX: usize = 5;

/// An agent at one relay: the entry under `relays`.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) id: AgentId,
    pub(crate) entry: Object,
}

impl Identity {
    /// Its name; the id where none is known.
    pub(crate) fn name(&self) -> String {
        self.entry
            .text_of("agent_name")
            .unwrap_or_else(|| self.id.as_str().to_owned())
    }

    /// The secret that claims it, which goes to this relay and to no other.
    pub(crate) fn secret(&self) -> Option<String> {
        let secret = self.entry.text_of(SECRET);
        secret.filter(|text| random::is_secret(text))
    }
}

/// The field of an entry that holds its secret.
pub(crate) const SECRET: &str = "agent_secret";

/// Where the files of one identity are.
pub(crate) struct Store {
    home: PathBuf,
    file: PathBuf,
    /// Whether the directory is our own, rather than one the user chose.
    default_home: bool,
}

impl Store {
    /// The store of this name; without one, that of this user.
    pub(crate) fn open(name: Option<&str>, environment: &Environment) -> Result<Store, Failure> {
        let chosen = environment.value("CLAWLINK_HOME").map(PathBuf::from);
        let default_home = chosen.is_none();
        let users = || {
            let home = std::env::var_os("HOME").filter(|value| !value.is_empty());
            home.map(|home| Path::new(&home).join(".clawlink"))
        };
        let home = chosen.or_else(users);
        let Some(home) = home else {
            return Err(crate::failure::usage(
                "HOME is not set, so there is no place for this agent's identity",
                "CLAWLINK_HOME=DIR names one",
            ));
        };
        Store::at(home, name, default_home)
    }

    /// The store in this directory.
    pub(crate) fn at(
        home: PathBuf,
        name: Option<&str>,
        default_home: bool,
    ) -> Result<Store, Failure> {
        let file = match name {
            None => home.join("agent_state.json"),
            Some(name) if is_file_name(name) => home.join("agents").join([name, ".json"].concat()),
            Some(name) => {
                return Err(crate::failure::usage(
                    &format!("\"{name}\" cannot be the name of an identity"),
                    "1 to 64 of A-Z a-z 0-9 . _ -",
                ));
            }
        };
        Ok(Store {
            home,
            file,
            default_home,
        })
    }

    /// Names under which identities are kept, where this store is not one of them; a few.
    pub(crate) fn names(&self) -> Vec<String> {
        let agents = self.home.join("agents");
        if self.file.starts_with(&agents) {
            return Vec::new();
        }
        let files = fs::read_dir(agents).into_iter().flatten().flatten();
        let name = |file: fs::DirEntry| {
            let name = file.file_name().into_string().ok()?;
            name.strip_suffix(".json")
                .filter(|name| is_file_name(name))
                .map(str::to_owned)
        };
        let mut names: Vec<String> = files.filter_map(name).collect();
        names.sort();
        names.truncate(NAMES_MAX);
        names
    }

    /// The directory of messages that were printed short.
    pub(crate) fn messages(&self) -> PathBuf {
        self.home.join("messages")
    }

    /// Where a file of this process may be for a moment.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.home.join(format!("watch-{}", std::process::id()))
    }

    /// What the file holds; nothing where there is no file.
    pub(crate) fn load(&self) -> Result<Object, Failure> {
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Object::default()),
            Err(error) => return Err(local("cannot read", &self.file, error)),
        };
        let damaged = |why| self.damaged(why);
        let text = String::from_utf8(text).map_err(|_| damaged("it is not UTF-8"))?;
        Object::parse(&text).map_err(|_| damaged("it holds no JSON object"))
    }

    /// Changes the file: reads it anew, so that what another process wrote meanwhile stays, and
    /// keeps others from writing until it is done.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Object)) -> Result<(), Failure> {
        let directory = self.file.parent().unwrap_or(&self.home);
        self.make_directory(directory)
            .map_err(|error| local("cannot write", &self.file, error))?;
        // The file itself is replaced, so the lock is on its directory. It ends with its owner;
        // where there are no locks, as on some network disks, the file is at least never torn.
        let lock = File::open(directory);
        let _ = lock.as_ref().map(File::lock);
        let mut state = self.load()?;
        change(&mut state);
        let text = [state.json(), "\n"].concat();
        self.write(&self.file, text.as_bytes())
    }

    /// Writes a file of the store, whole or not at all.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> Result<(), Failure> {
        let directory = path.parent().unwrap_or(&self.home);
        let written = self
            .make_directory(directory)
            .and_then(|()| write_whole(path, content));
        written.map_err(|error| local("cannot write", path, error))
    }

    fn make_directory(&self, directory: &Path) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        // Python clients leave it open to all; a directory the user chose is theirs to judge.
        let mode = |path: &Path| fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
        if self.default_home && mode(&self.home)? != 0o700 {
            fs::set_permissions(&self.home, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// The agent at this relay.
    pub(crate) fn identity(&self, state: &Object, url: &str) -> Result<Option<Identity>, Failure> {
        let Some((id, entry)) = find(state, url) else {
            return Ok(None);
        };
        match AgentId::parse(&id) {
            Ok(id) => Ok(Some(Identity { id, entry })),
            Err(why) => Err(self.damaged(&format!("its agent_id {why}"))),
        }
    }

    fn damaged(&self, why: &str) -> Failure {
        let (path, why) = (self.file.clone(), why.to_owned());
        Cause::DamagedState { path, why }.into()
    }
}

/// The id and entry at this relay. Where the top of the file and the entry differ, a Python
/// client registered last, and the top is right.
fn find(state: &Object, url: &str) -> Option<(String, Object)> {
    let mut entry = state.object_in("relays", url);
    let saved = entry.text_of("agent_id");
    if is_current(state, url) {
        let top = state.text_of("agent_id")?;
        if saved.as_deref() != Some(&top) {
            entry = Object::default();
            if let Some(name) = state.text_of("agent_name") {
                entry.set_text("agent_name", &name);
            }
        }
        return Some((top, entry));
    }
    Some((saved?, entry))
}

fn is_current(state: &Object, url: &str) -> bool {
    let saved = state.text("relay_url");
    saved == url || url::normalise(&saved).is_ok_and(|saved| saved == url)
}

/// Keeps an identity, and makes its relay the one that is used from now on.
pub(crate) fn remember(state: &mut Object, url: &str, identity: &Identity) {
    state.set_text("relay_url", url);
    state.set_text("agent_id", identity.id.as_str());
    state.set_text("agent_name", &identity.name());
    update(state, url, identity);
}

/// Keeps what was learned of an identity.
pub(crate) fn update(state: &mut Object, url: &str, identity: &Identity) {
    let mut entry = identity.entry.clone();
    entry.set_text("agent_id", identity.id.as_str());
    let mut relays = state.object("relays");
    relays.set(url, entry.json());
    state.set("relays", relays.json());
}

/// Forgets the identity at this relay; which relay is used stays.
pub(crate) fn forget(state: &mut Object, url: &str) {
    let mut relays = state.object("relays");
    relays.remove(url);
    let left = (!relays.is_empty()).then(|| relays.json());
    state.set_or_remove("relays", left);
    if is_current(state, url) {
        state.remove("agent_id");
        state.remove("agent_name");
    }
}

/// Sets a field of an entry from an optional text.
pub(crate) fn set_optional(entry: &mut Object, field: &str, value: Option<&str>) {
    entry.set_or_remove(field, value.map(json::write).as_deref());
}

/// Whether a name, given by the user or by a peer, is safe as the name of a file.
pub(crate) fn is_file_name(name: &str) -> bool {
    AgentId::parse(name).is_ok() && name != "." && name != ".."
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    renamed
}

/// A file that only its owner may read.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const HERE: &str = "http://localhost:9077";
    const THERE: &str = "http://relay:9077";

    fn agent(id: &str, name: &str) -> Identity {
        let mut entry = Object::default();
        entry.set_text("agent_name", name);
        Identity {
            id: AgentId::parse(id).unwrap(),
            entry,
        }
    }

    fn id_at(store: &Store, url: &str) -> Option<String> {
        let state = store.load().unwrap();
        let identity = store.identity(&state, url).unwrap();
        identity.map(|i| i.id.as_str().to_owned())
    }

    #[test]
    fn each_relay_keeps_its_id_and_the_last_one_stands_at_the_top() {
        let scratch = Scratch::new("relays");
        let store = scratch.store(None);
        store
            .edit(|s| remember(s, HERE, &agent("one", "n")))
            .unwrap();
        store
            .edit(|s| remember(s, THERE, &agent("two", "n")))
            .unwrap();
        assert_eq!(id_at(&store, HERE).as_deref(), Some("one"));
        assert_eq!(id_at(&store, THERE).as_deref(), Some("two"));
        let state = store.load().unwrap();
        assert_eq!(state.text("relay_url"), THERE);
        assert_eq!(state.text("agent_id"), "two");
        store.edit(|s| forget(s, THERE)).unwrap();
        assert_eq!(id_at(&store, THERE), None);
        assert_eq!(id_at(&store, HERE).as_deref(), Some("one"));
    }

    #[test]
    fn what_a_python_client_wrote_last_is_right() {
        let scratch = Scratch::new("python");
        let store = scratch.store(None);
        store
            .edit(|s| remember(s, HERE, &agent("ours", "n")))
            .unwrap();
        let theirs = r#"{"relay_url": "http://LOCALHOST:9077/", "agent_id": "theirs", "agent_name": "py", "x": 1}"#;
        fs::write(&store.file, theirs).unwrap();
        assert_eq!(id_at(&store, HERE).as_deref(), Some("theirs"));
        store
            .edit(|s| update(s, HERE, &agent("theirs", "py")))
            .unwrap();
        assert_eq!(
            store.load().unwrap().raw("x"),
            Some("1"),
            "their fields stay"
        );
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let scratch = Scratch::new("parallel");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let store = scratch.store(None);
                scope.spawn(move || {
                    let url = format!("http://relay{n}");
                    let change = |s: &mut Object| remember(s, &url, &agent("id", "n"));
                    store.edit(change).unwrap();
                });
            }
        });
        let store = scratch.store(None);
        for n in 0..8 {
            assert!(id_at(&store, &format!("http://relay{n}")).is_some(), "{n}");
        }
    }

    #[test]
    fn files_are_private() {
        let scratch = Scratch::new("modes");
        let store = scratch.store(Some("second"));
        store.edit(|s| remember(s, HERE, &agent("a", "n"))).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&scratch.0), 0o700);
        assert_eq!(mode(&scratch.0.join("agents")), 0o700);
        assert_eq!(mode(&scratch.0.join("agents/second.json")), 0o600);
        assert_eq!(
            fs::read_dir(scratch.0.join("agents")).unwrap().count(),
            1,
            "no file is left over"
        );
    }

    #[test]
    fn a_damaged_file_is_named_and_never_overwritten() {
        let scratch = Scratch::new("damaged");
        let store = scratch.store(None);
        store.edit(|s| remember(s, HERE, &agent("a", "n"))).unwrap();
        for damage in ["", "{\"agent_id\": \"a", "[]", "\u{0}"] {
            fs::write(&store.file, damage).unwrap();
            let failure = store.edit(|s| forget(s, HERE)).unwrap_err();
            assert!(failure.report().contains("agent_state.json"), "{damage:?}");
            assert_eq!(fs::read_to_string(&store.file).unwrap(), damage);
        }
    }

    #[test]
    fn an_identity_cannot_be_named_out_of_its_directory() {
        for bad in ["", ".", "..", "a/b", "../x", "a\0", &"x".repeat(65)] {
            assert!(
                Store::at(PathBuf::new(), Some(bad), false).is_err(),
                "{bad:?}"
            );
        }
        assert!(Store::at(PathBuf::new(), Some("a.b_c-1"), false).is_ok());
    }
}
