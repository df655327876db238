//! The client: its size as `client/build-static` makes it, and what one poll takes, beside curl and beside a
//! program of the same target and profile that connects, writes and reads.

use crate::agents::relay_with;
use crate::http::PATIENCE;
use crate::processes::{Server, program, root, target};
use crate::rounds::{median, micros};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale};
use std::fs::{create_dir_all, read_to_string, write};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ways to build it, the names of their rows, and how each is called.
const WAYS: [(&str, &str, &str); 3] = [
    ("debian", "client/size", "musl, std rebuilt for size"),
    ("musl", "client/size-musl", "musl, rustup's std"),
    ("glibc", "client/size-glibc", "static glibc"),
];
/// What a pipe holds before its writer waits.
const PIPE: usize = 64 * 1024;
/// Connects, writes and reads.
const EXCHANGE: &str = r#"use std::io::{Read, Write};
fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(address) = arguments.next().and_then(|text| text.parse::<std::net::SocketAddr>().ok()) else { return };
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return };
    let _ = stream.write_all(b"GET /poll/agent-0000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut reply = [0; 4096];
    let read = stream.read(&mut reply).unwrap_or(0);
    let _ = std::io::stdout().write_all(&reply[..read]);
}
"#;
/// Does nothing: what is left is the start of the libc.
const EMPTY: &str = "fn main() {}\n";

/// `client`
pub(crate) fn client(scale: Scale) -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    let mut best = None;
    for (way, name, what) in WAYS {
        let what = format!("size of the static client, {what}");
        match build(root(), way, &folder.path().join(format!("clawlink-{way}"))) {
            Ok(built) => {
                let size = std::fs::metadata(&built)?.len();
                rows.push(Row::alone(name, what, Figure(size as f64, "B")));
                best.get_or_insert((way, built));
                if scale.brief {
                    break;
                }
            }
            Err(why) => rows.push(Row::skipped(name, format!("{what}: {why}"))),
        }
    }
    let Some((way, client)) = best else {
        return Ok(rows);
    };
    // The best one is what stays where its users look for it.
    std::fs::copy(&client, root().join("dist/clawlink"))?;
    let user = User::new(relay_with(1, &[])?, client)?;
    rows.extend(user.instructions(way)?);
    rows.push(user.memory()?);
    rows.push(user.against_curl(scale.rounds * 20)?);
    Ok(rows)
}

/// Builds the package called clawlink of this tree, and puts a copy there.
fn build(tree: &Path, way: &str, copy: &Path) -> Outcome<PathBuf> {
    let built = tree.join("dist/clawlink");
    let _ = std::fs::remove_file(&built);
    let mut script = Command::new(tree.join("client/build-static"));
    script.arg(format!("--{way}"));
    script.env("CARGO_TARGET_DIR", target()?.join("bench-client"));
    let output = script.stdin(Stdio::null()).output()?;
    // It also tries what it has built, as the client that another program is not.
    if std::fs::copy(&built, copy).is_err() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        return Err(last.to_owned().into());
    }
    Ok(copy.to_owned())
}

/// Builds a program as the client is built: same script, same profile, same name.
fn build_like_the_client(way: &str, source: &str, copy: &Path) -> Outcome<PathBuf> {
    let tree = tempfile::tempdir()?;
    let client = tree.path().join("client");
    create_dir_all(client.join("src"))?;
    std::fs::copy(
        root().join("client/build-static"),
        client.join("build-static"),
    )?;
    write(client.join("src/main.rs"), source)?;
    let package = "[package]\nname = \"clawlink\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    write(client.join("Cargo.toml"), package)?;
    let workspace = read_to_string(root().join("Cargo.toml"))?;
    let profiles = workspace.find("\n[profile.").ok_or("no profiles")?;
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"client\"]\n{}",
        &workspace[profiles..]
    );
    write(tree.path().join("Cargo.toml"), workspace)?;
    build(tree.path(), way, copy)
}

/// Somebody who has the client, and a relay.
struct User {
    relay: Server,
    client: PathBuf,
    home: TempDir,
}

impl User {
    /// Has registered, and has asked once: what a client asks only once is behind it.
    fn new(relay: Server, client: PathBuf) -> Outcome<User> {
        let home = tempfile::tempdir()?;
        let user = User {
            relay,
            client,
            home,
        };
        for command in [&["register", "--name", "reader"][..], &["poll"]] {
            user.run(user.command().args(command))?;
        }
        Ok(user)
    }

    fn url(&self) -> String {
        format!("http://{}", self.relay.address)
    }

    fn command(&self) -> Command {
        self.prepared(Command::new(&self.client))
    }

    fn prepared(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CLAWLINK_") {
                command.env_remove(name);
            }
        }
        command.env("CLAWLINK_HOME", self.home.path());
        command.env("CLAWLINK_RELAY", self.url());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs a command to its end; what it said to its standard error.
    fn run(&self, command: &mut Command) -> Outcome<String> {
        let output = command.stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("{command:?} ended with {}: {said}", output.status).into());
        }
        Ok(said)
    }

    /// Instructions of a poll, beyond the start of the libc.
    fn instructions(&self, way: &str) -> Outcome<Vec<Row>> {
        let name = "client/instructions";
        let Some(valgrind) = program("valgrind") else {
            return Ok(vec![Row::skipped(name, "valgrind is not on this machine")]);
        };
        let folder = self.home.path();
        let exchange = build_like_the_client(way, EXCHANGE, &folder.join("exchange"))?;
        let empty = build_like_the_client(way, EMPTY, &folder.join("empty"))?;
        let count = |program: &Path, arguments: &[&str]| -> Outcome<f64> {
            let mut command = self.prepared(Command::new(&valgrind));
            command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
            let said = self.run(command.arg(program).args(arguments))?;
            let collected = said.split("Collected : ").nth(1);
            let collected = collected.and_then(|rest| rest.split_whitespace().next());
            Ok(collected.ok_or("callgrind has counted nothing")?.parse()?)
        };
        let start = count(&empty, &[])?;
        let poll = count(&self.client, &["poll"])?;
        let bare = count(&exchange, &[&self.relay.address.to_string()])?;
        let (poll, bare) = (poll - start, bare - start);
        let what = "instructions of one poll, beyond the libc's start";
        let notes = format!("callgrind; built by build-static --{way}; the start takes {start:.0}");
        let alone = Row::alone(name, what, Figure(poll, "")).noting(notes);
        let what = "the same, beside connect, write, read";
        let other = ("exchange", Figure(bare, ""));
        let ratio = Row::against(
            "client/exchange",
            what,
            Figure(poll, ""),
            other,
            poll / bare,
        );
        Ok(vec![alone, ratio])
    }

    /// The most memory that a poll has, at the moment at which it prints what it was handed.
    fn memory(&self) -> Outcome<Row> {
        let mut delegate = self.command();
        delegate.args(["delegate", "--to", "reader", "--task", "Look at the parser"]);
        self.run(&mut delegate)?;
        let (reader, mut full) = std::io::pipe()?;
        full.write_all(&vec![b' '; PIPE])?;
        let mut poll = self.command();
        let mut child = Ended(
            poll.arg("poll")
                .stdout(full)
                .stderr(Stdio::null())
                .spawn()?,
        );
        let peak = stays(&mut child.0);
        drop(reader);
        let what = "RSS of one poll that prints a message";
        Ok(Row::alone(
            "client/memory",
            what,
            Figure(peak? as f64, "KiB"),
        ))
    }

    /// From start to end, beside curl, in turn.
    fn against_curl(&self, rounds: usize) -> Outcome<Row> {
        let Some(curl) = program("curl") else {
            return Ok(Row::skipped("client/curl", "curl is not on this machine"));
        };
        self.run(self.command().arg("poll"))?;
        let url = format!("{}/poll/agent-0000000", self.url());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(timed(Command::new(&curl).args([
                "-s",
                "-o",
                "/dev/null",
                &url,
            ]))?);
            ours.push(timed(self.command().arg("poll"))?);
        }
        let pairs = theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours);
        let ratio = median(pairs.collect());
        let (ours, theirs) = (Figure(median(ours), "us"), Figure(median(theirs), "us"));
        let what = "one poll from start to end: times as fast as curl";
        Ok(Row::against(
            "client/curl",
            what,
            ours,
            ("curl", theirs),
            ratio,
        ))
    }
}

/// From start to end, in microseconds.
fn timed(command: &mut Command) -> Outcome<f64> {
    let began = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let took = began.elapsed();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(micros(took))
}

/// Ended when it is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The peak of a process in KiB, once it grows no more.
fn stays(child: &mut Child) -> Outcome<u64> {
    const QUIET: u32 = 10;
    let file = format!("/proc/{}/status", child.id());
    let (mut last, mut quiet) = (0, 0);
    let end = Instant::now() + PATIENCE;
    while quiet < QUIET {
        std::thread::sleep(Duration::from_millis(20));
        if let Some(status) = child.try_wait()? {
            return Err(format!("the client did not wait with its output: {status}").into());
        }
        let status = read_to_string(&file)?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let peak = line.and_then(|line| line.split_whitespace().nth(1));
        let peak = peak.ok_or("no peak")?.parse()?;
        quiet = if peak == last { quiet + 1 } else { 0 };
        last = peak;
        if Instant::now() > end {
            return Err("the client does not come to rest".into());
        }
    }
    Ok(last)
}
