//! Connections that only stand there, and a relay that does.

use crate::{Outcome, Scale, Verdict, outcome};
use harness::http::connect;
use harness::relay::refused;
use harness::{Relay, binaries, eventually, json};
use nix::sys::signal::Signal;
use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

fn open_files(relay: &Relay) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", relay.pid()));
    open.map_or(0, Iterator::count)
}

/// Many that say nothing, and many more that come and go.
pub(crate) fn connections(scale: Scale) -> Outcome {
    let relay = Relay::with(&["--log", "warn", "--head-deadline", "30"]);
    relay.get("/health");
    let before = open_files(&relay);
    let held: Vec<TcpStream> = (0..scale.idle).map(|_| connect(relay.address)).collect();
    let began = Instant::now();
    let served = relay.get("/health").status;
    let took = began.elapsed();
    let most = eventually("all of them are accepted", || {
        let open = open_files(&relay);
        (open >= before + scale.idle).then_some(open)
    });
    drop(held);
    for _ in 0..scale.storm {
        drop(connect(relay.address));
    }
    let after = eventually("the descriptors are free again", || {
        let open = open_files(&relay);
        (open <= before).then_some(open)
    });
    outcome(
        served == 200 && took < Duration::from_secs(1),
        format!(
            "{} idle, a call beside them {:.1} ms; {} opened and closed; descriptors {before} -> {most} -> {after}",
            scale.idle,
            took.as_secs_f32() * 1e3,
            scale.storm
        ),
    )
}

/// A relay that may open 100 files, and 300 connections.
pub(crate) fn descriptors(_: Scale) -> Outcome {
    let relay = Relay::within_files(100);
    let mut held: Vec<TcpStream> = (0..300).map(|_| connect(relay.address)).collect();
    std::thread::sleep(Duration::from_millis(500));
    let before = relay.cpu();
    std::thread::sleep(Duration::from_secs(1));
    let used = relay.cpu() - before;
    for stream in &mut held {
        let _ = stream.set_nonblocking(true);
        let _ = stream.read(&mut [0; 16]);
    }
    drop(held);
    let served = relay.get("/health").status;
    let lines = relay.log().lines().count();
    let good = served == 200 && used < Duration::from_millis(100) && lines < 20;
    outcome(
        good,
        format!("{used:?} of processor time a second, {lines} lines of log, then {served}"),
    )
}

/// What must be as it was when time has passed in which the relay could hear nobody.
fn unharmed(relay: &Relay, meanwhile: impl FnOnce()) -> Outcome {
    relay.register("old");
    relay.register("new");
    relay.register("b");
    let mut old = relay.socket("old");
    let mut new =
        harness::socket::Socket::try_open(relay.address, "/ws/new?ack=1").expect("a socket");
    relay.delegate("b", "b", "leased");
    let leased = relay.get("/poll/b?lease=5").json();
    meanwhile();
    let agents = relay.get("/discover").json()["count"].clone();
    let batch = json!({"agent_id": "b", "batch": leased["batch"]});
    let kept = relay.post("/ack", &batch).json()["done"] == 1;
    let mut heard = 0;
    for (id, socket) in [("old", &mut old), ("new", &mut new)] {
        relay.delegate("b", id, "after");
        heard += i32::from(socket.next_of("task_delegation")["task"] == "after");
    }
    let good = agents == 3 && kept && heard == 2;
    outcome(
        good,
        format!("{agents} of 3 agents online, lease kept: {kept}, {heard} of 2 sockets alive"),
    )
}

/// SIGSTOP, and SIGCONT after a while.
pub(crate) fn standstill(scale: Scale) -> Outcome {
    let relay = Relay::with(&[
        "--log",
        "warn",
        "--stale-after",
        "4",
        "--reap-after",
        "6",
        "--ping-every",
        "2",
    ]);
    let mut outcome = unharmed(&relay, || {
        relay.signal(Signal::SIGSTOP);
        std::thread::sleep(scale.standstill);
        relay.signal(Signal::SIGCONT);
    });
    outcome.happened = format!("{} s: {}", scale.standstill.as_secs(), outcome.happened);
    outcome
}

/// libfaketime, where it is installed.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    paths.into_iter().find(|path| path.exists())
}

/// A day on, and a day back; the monotonic clock goes its way.
pub(crate) fn wall_clock(_: Scale) -> Outcome {
    let Some(library) = libfaketime() else {
        return Outcome {
            happened: "libfaketime is not installed".to_owned(),
            verdict: Verdict::Skipped,
        };
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    let set = |offset: &str| std::fs::write(file.path(), offset).expect("a file");
    set("+0");
    let mut program = Command::new(binaries::relay());
    program
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", file.path())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let relay = Relay::run_by(program, &["--port", "0", "--log", "warn"]);
    let day = |relay: &Relay| {
        relay.get("/").json()["server_time"]
            .as_str()
            .map(|t| t[..10].to_owned())
    };
    let today = day(&relay);
    let mut jumped = false;
    let mut outcome = unharmed(&relay, || {
        set("+1d");
        std::thread::sleep(Duration::from_millis(1_500));
        jumped = day(&relay) != today;
        set("-1d");
        std::thread::sleep(Duration::from_millis(1_500));
        set("+0");
    });
    if !jumped {
        outcome.verdict = Verdict::Bad;
        outcome.happened.push_str("; the clock did not jump");
    }
    outcome
}

/// One starts where another one listens.
pub(crate) fn second_relay(_: Scale) -> Outcome {
    let relay = Relay::with(&[]);
    let (code, said) = refused(&["--port", &relay.address.port().to_string()]);
    let named = said.contains(&format!("(process {})", relay.pid()));
    let first = said
        .lines()
        .find(|line| line.starts_with("clawlink-server:"));
    let first = first.unwrap_or_default();
    outcome(code == 1 && named, format!("exit {code}: {first}"))
}
