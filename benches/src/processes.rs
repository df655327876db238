//! Starts what is compared, reads from Linux what it costs, and ends it.

use crate::Outcome;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::{read_dir, read_to_string};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

/// A child process; it ends with this value.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts it. What it says to its standard error goes to `log`.
    pub(crate) fn start(command: &mut Command, log: impl Into<Stdio>) -> Outcome<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stderr(log.into()).spawn();
        let child = child.map_err(|error| format!("{name} does not start: {error}"))?;
        Ok(Process { child, name })
    }

    fn said(&mut self) -> Option<BufReader<ChildStdout>> {
        self.child.stdout.take().map(BufReader::new)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join(name)
    }

    /// The processor time that its threads have used, which Linux counts in nanoseconds. A thread
    /// that has ended is not in it.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut nanos = 0;
        for thread in read_dir(self.file("task"))? {
            // One may end between the two.
            let Ok(text) = read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            let first = text.split_whitespace().next().unwrap_or_default();
            nanos += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// Bytes that are resident.
    pub(crate) fn rss(&self) -> Outcome<u64> {
        self.memory("VmRSS:")
    }

    /// The most bytes that were resident, since [`Process::forget_peak`].
    pub(crate) fn peak(&self) -> Outcome<u64> {
        self.memory("VmHWM:")
    }

    /// Lets the peak begin anew from what is resident now.
    pub(crate) fn forget_peak(&self) -> Outcome<()> {
        Ok(std::fs::write(self.file("clear_refs"), "5")?)
    }

    fn memory(&self, name: &str) -> Outcome<u64> {
        let status = read_to_string(self.file("status"))?;
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        let kib = kib.ok_or_else(|| format!("{} has no {name}", self.name))?;
        Ok(kib.parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that listens on a port of 127.0.0.1.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A relay from its release binary on a free port, with default options besides these. Its log, at the
/// default level, goes to a file, which is deleted already.
pub(crate) fn relay(options: &[&str]) -> Outcome<Server> {
    let mut command = Command::new(binary("clawlink-server")?);
    command.args(["--port", "0", "--no-mdns"]).args(options);
    command.env_remove("CLAWLINK_TOKEN").stdout(Stdio::piped());
    let mut process = Process::start(&mut command, tempfile::tempfile()?)?;
    let mut words = process.said().ok_or("the relay has no output")?;
    let mut greeting = String::new();
    while !greeting.contains("afar:") {
        if words.read_line(&mut greeting)? == 0 {
            return Err(format!("the relay did not start with {options:?}: {greeting}").into());
        }
    }
    let url = greeting.split("listens on http://").nth(1);
    let address = url.and_then(|rest| rest.split([',', '\n']).next());
    let address = address.ok_or("the relay does not say where it listens")?;
    Ok(Server {
        process,
        address: address.trim().parse()?,
    })
}

/// The hidden command of this program that runs one of its servers; its first line is its address.
pub(crate) fn own(arguments: &[&str]) -> Outcome<Server> {
    announced(Command::new(std::env::current_exe()?).args(arguments))
}

/// The floor, with the bodies of its answers: to a delegate, a heartbeat, an empty and a leased poll.
pub(crate) fn floor(answers: [&str; 4]) -> Outcome<Server> {
    announced(Command::new(binary("clawlink-floor")?).args(answers))
}

/// A server whose first line is its address.
fn announced(command: &mut Command) -> Outcome<Server> {
    let mut process = Process::start(command.stdout(Stdio::piped()), Stdio::inherit())?;
    let mut words = process.said().ok_or("it has no output")?;
    let mut address = String::new();
    words.read_line(&mut address)?;
    Ok(Server {
        process,
        address: address.trim().parse()?,
    })
}

/// A server that wants to be told its port, which it gets by `command`, once it takes connections.
pub(crate) fn other(command: impl Fn(u16) -> Command) -> Outcome<Server> {
    let address = free_address()?;
    let mut command = command(address.port());
    let mut process = Process::start(command.stdout(Stdio::null()), Stdio::null())?;
    let end = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.child.try_wait()? {
            return Err(format!("{} ended with {status}", process.name).into());
        }
        if Instant::now() > end {
            return Err(format!("{} takes no connections", process.name).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(Server { process, address })
}

/// A port on which nobody listens now.
fn free_address() -> Outcome<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Where a program is, if it is on this machine.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's servers are where a user's PATH does not lead.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut places = folders.map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// Lets this program and those that it starts open as many files as the system allows; how many.
pub(crate) fn raise_files() -> Outcome<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(limit.maximum.map_or(usize::MAX, |files| files as usize))
}

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The release binary of the relay, or of the floor. They are built together, with the features that they
/// have without the rest of the workspace. `CLAWLINK_BIN_DIR` names a folder with others to measure.
fn binary(name: &str) -> Outcome<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let named = std::env::var_os("CLAWLINK_BIN_DIR").map(|folder| Path::new(&folder).join(name));
    if let Some(named) = named.filter(|named| named.is_file()) {
        return Ok(named);
    }
    let built = BUILT.get_or_init(|| build().map_err(|error| error.to_string()));
    Ok(built.clone()?.join(name))
}

/// The folder of what this program was built into.
pub(crate) fn target() -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent);
    Ok(target
        .ok_or("this program is in no target folder")?
        .to_owned())
}

fn build() -> Outcome<PathBuf> {
    let target = target()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(root());
    // What cargo has set for this program is not for another cargo: it would build anew.
    let set = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(set) {
            build.env_remove(name);
        }
    }
    build
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(&target);
    build.args(["-p", "clawlink-server", "-p", "clawlink-floor"]);
    if !build.status()?.success() {
        return Err("the relay and the floor do not build".into());
    }
    Ok(target.join("release"))
}
