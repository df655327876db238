//! A relay of the test's own.

use crate::http::{self, Reply};
use crate::socket::Socket;
use crate::{PATIENCE, binaries, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// A running relay; it ends with this value.
pub struct Relay {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its URL as it printed it.
    url: String,
    /// What it printed when it had started.
    pub greeting: String,
    log: NamedTempFile,
}

impl Relay {
    /// One with default options.
    pub fn start() -> Relay {
        Relay::with(&[])
    }

    /// One with these options, on a free port of 127.0.0.1, whose log tells of every call.
    ///
    /// # Panics
    /// When it does not start.
    pub fn with(options: &[&str]) -> Relay {
        Relay::launch(&[&["--port", "0"], options].concat())
    }

    /// One at this address; see [`free_address`].
    pub fn at(address: SocketAddr, options: &[&str]) -> Relay {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        Relay::launch(&[&["--host", &host, "--port", &port], options].concat())
    }

    /// One whose log goes elsewhere.
    pub fn logging_to(log: impl Into<Stdio>) -> Relay {
        Relay::launch_with(
            &["--port", "0"],
            log.into(),
            NamedTempFile::new().expect("a file"),
        )
    }

    fn launch(options: &[&str]) -> Relay {
        let log = NamedTempFile::new().expect("a file for the log");
        let file = log.reopen().expect("the file for the log");
        Relay::launch_with(options, file.into(), log)
    }

    fn launch_with(options: &[&str], stderr: Stdio, log: NamedTempFile) -> Relay {
        let mut child = Command::new(binaries::relay())
            .args(if options.contains(&"--log") {
                &[][..]
            } else {
                &["--log", "debug"]
            })
            .args(options)
            .env_remove("CLAWLINK_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the relay starts");
        let mut words = BufReader::new(child.stdout.take().expect("its standard output"));
        let mut greeting = String::new();
        while !greeting.contains("afar:") {
            if words.read_line(&mut greeting).unwrap_or(0) == 0 {
                let _ = child.wait();
                panic!(
                    "the relay did not start: {}",
                    std::fs::read_to_string(log.path()).unwrap_or_default()
                );
            }
        }
        let url = greeting
            .split("listens on ")
            .nth(1)
            .and_then(|rest| rest.split([',', '\n']).next())
            .expect("its URL in its first line")
            .to_owned();
        let address = url.split_once("://");
        let address = address
            .and_then(|(_, text)| text.parse().ok())
            .expect("its address in its URL");
        Relay {
            child,
            address,
            url,
            greeting,
            log,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Reply {
        http::request(self.address, "GET", path, &[], b"")
    }

    /// Sends JSON to a path.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, &body.to_string())
    }

    /// Sends text that claims to be JSON to a path.
    pub fn post_text(&self, path: &str, body: &str) -> Reply {
        http::request(
            self.address,
            "POST",
            path,
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        )
    }

    /// Sends a request with these headers.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        http::request(self.address, method, path, headers, body)
    }

    /// Registers an agent under this id, and name.
    ///
    /// # Panics
    /// When the relay refuses.
    pub fn register(&self, agent_id: &str) {
        let reply = self.post(
            "/register",
            &serde_json::json!({"agent_id": agent_id, "name": agent_id}),
        );
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// What waits for an agent.
    pub fn poll(&self, agent_id: &str) -> Vec<Value> {
        let reply = self.get(&format!("/poll/{agent_id}"));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["messages"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Sends a task and gives the reply.
    pub fn delegate(&self, from: &str, to: &str, task: &str) -> Reply {
        let call = serde_json::json!({"from_agent": from, "to_agent": to, "task": task});
        self.post("/delegate", &call)
    }

    /// Opens an agent's socket.
    pub fn socket(&self, agent_id: &str) -> Socket {
        Socket::open(self.address, agent_id)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Its resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory it has had, in KiB, since it began or [`Relay::forget_peak`].
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    /// Lets the peak begin anew from what it holds now.
    ///
    /// # Panics
    /// When the system does not know how.
    pub fn forget_peak(&self) {
        let file = format!("/proc/{}/clear_refs", self.pid());
        std::fs::write(file, "5").expect("its peak is forgotten");
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("its memory");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse().ok())
            .expect("a number")
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// When that cannot be read.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        open.expect("its descriptors").count()
    }

    /// How many connections it has that it has not closed.
    ///
    /// # Panics
    /// When that cannot be read.
    pub fn connections(&self) -> usize {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
        let own = format!(":{:04X}", self.address.port());
        let open = table.lines().filter(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = words.get(1).is_some_and(|local| local.ends_with(&own));
            // Established, or closed by its peer alone.
            local
                && words
                    .get(3)
                    .is_some_and(|state| ["01", "08"].contains(state))
        });
        open.count()
    }

    /// The processor time it has used so far.
    pub fn cpu(&self) -> Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("its statistics");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Stops it where it stands: it takes connections and does nothing any more.
    ///
    /// # Panics
    /// When it goes on all the same.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let threads = format!("/proc/{}/task", self.pid());
        let stopped = |thread: std::io::Result<std::fs::DirEntry>| {
            let stat =
                thread.and_then(|thread| std::fs::read_to_string(thread.path().join("stat")));
            stat.is_ok_and(|stat| stat.contains(") T "))
        };
        eventually("every thread of the relay has stopped", || {
            let threads = std::fs::read_dir(&threads).expect("its threads");
            threads.into_iter().all(stopped).then_some(())
        });
    }

    /// Ends it at once, as a crash would.
    pub fn end(self) {
        drop(self);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("a signal is sent");
    }

    /// Waits for its end, and says how it ended and how long that took.
    pub fn wait(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let status = eventually("the relay ends", || {
            self.child.try_wait().expect("its status")
        });
        (status, began.elapsed())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the relay's log:\n{}", self.log());
        }
    }
}

/// A loopback address of the test's own, on which nobody listens: what comes and goes there
/// meets no other test.
///
/// # Panics
/// When a run has used up its thousands of them.
pub fn free_address() -> SocketAddr {
    static USED: AtomicU16 = AtomicU16::new(1);
    let used = USED.fetch_add(1, Ordering::SeqCst);
    let [high, low] = used.to_be_bytes();
    assert!(high < 100, "there are no more");
    // Runs at the same time differ in their process ids.
    let run = (std::process::id() % 150) as u8 + 100;
    SocketAddr::from(([127, run, high, low], 9077))
}

/// Runs the relay with options that should keep it from starting: its exit code, and what it says.
///
/// # Panics
/// When it starts all the same.
pub fn refused(options: &[&str]) -> (i32, String) {
    let mut child = Command::new(binaries::relay())
        .args(options)
        .env_remove("CLAWLINK_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the relay runs");
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the relay started with {options:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut said = String::new();
    child
        .stdout
        .take()
        .expect("output")
        .read_to_string(&mut said)
        .expect("text");
    child
        .stderr
        .take()
        .expect("errors")
        .read_to_string(&mut said)
        .expect("text");
    (status.code().unwrap_or(-1), said)
}
