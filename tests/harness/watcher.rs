//! A client that watches, in the background.

use crate::{Client, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};

/// A client that watches. It is ended when it is dropped.
pub struct Watcher {
    child: Child,
    said: PathBuf,
}

impl Watcher {
    /// Starts one; its outputs go to the files `printed` and `said` in the client's home.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(client: &Client, options: &[&str]) -> Watcher {
        let said = client.home().join("said");
        let file = |name: &str| {
            let path = client.home().join(name);
            File::create(path).expect("a file")
        };
        let mut command = client.command(&[&["watch"], options].concat());
        command.stdout(file("printed")).stderr(file("said"));
        let child = command.spawn().expect("the client runs");
        Watcher { child, said }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is not there.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("a signal is sent");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub fn end(&mut self) -> ExitStatus {
        eventually("it ends", || self.child.try_wait().expect("its status"))
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Waits until it has said this on standard error: all that it said.
    ///
    /// # Panics
    /// When it does not say it.
    pub fn says(&self, words: &str) -> String {
        eventually(words, || {
            let said = fs::read_to_string(&self.said).expect("a file");
            said.contains(words).then_some(said)
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = fs::read_to_string(&self.said).unwrap_or_default();
            eprintln!("--- it said:\n{said}");
        }
    }
}
