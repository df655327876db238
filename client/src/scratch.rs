//! For tests: a state directory of their own.

use crate::state::Store;
use std::fs;
use std::path::PathBuf;

/// A directory that is gone after the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// One of its own for each test.
    pub(crate) fn new(name: &str) -> Scratch {
        let unique = format!("clawlink-{name}-{}", std::process::id());
        Scratch(std::env::temp_dir().join(unique))
    }

    /// The store of this name in it.
    pub(crate) fn store(&self, name: Option<&str>) -> Store {
        Store::at(self.0.clone(), name, true).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
