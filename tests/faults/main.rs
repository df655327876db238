//! Faults by the thousand against the real relay, and what came of each. docs/testing.md tells how to
//! run it.

mod hostile;
mod slow;
mod standing;

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Slow peers at one time.
    peers: usize,
    /// Idle connections.
    idle: usize,
    /// Connections that are opened and closed again.
    storm: usize,
    /// How long the relay stands still.
    standstill: Duration,
}

const LONG: Scale = Scale {
    peers: 2_000,
    idle: 10_000,
    storm: 50_000,
    standstill: Duration::from_secs(300),
};
const SHORT: Scale = Scale {
    peers: 200,
    idle: 1_000,
    storm: 2_000,
    standstill: Duration::from_secs(8),
};

/// What came of a fault.
enum Verdict {
    Held,
    Bad,
    /// It could not be made here.
    Skipped,
}

/// What happened, in a few words.
struct Outcome {
    happened: String,
    verdict: Verdict,
}

fn outcome(good: bool, happened: impl Into<String>) -> Outcome {
    Outcome {
        happened: happened.into(),
        verdict: if good { Verdict::Held } else { Verdict::Bad },
    }
}

type Fault = (&'static str, fn(Scale) -> Outcome);

const FAULTS: [Fault; 19] = [
    ("slow heads", slow::heads),
    ("slow second heads", slow::second_heads),
    ("slow bodies", slow::bodies),
    ("slow WebSocket handshakes", slow::handshakes),
    ("unfinished frames", slow::frames),
    ("requests sent far ahead", slow::ahead),
    ("frame of 1 GiB", hostile::giant_frame),
    ("endless fragments", hostile::endless_fragments),
    ("unmasked frame", hostile::unmasked_frame),
    ("flood of pings", hostile::pings),
    ("100 MB body with its length", hostile::long_body),
    ("100 MB body without a length", hostile::endless_body),
    ("JSON that is none, or hardly", hostile::odd_json),
    ("bodies that all wait for their end", hostile::held_bodies),
    ("idle connections, opens and closes", standing::connections),
    ("descriptors used up", standing::descriptors),
    ("the relay stands still", standing::standstill),
    ("the wall clock jumps by a day", standing::wall_clock),
    ("a second relay on the port", standing::second_relay),
];

fn main() -> ExitCode {
    let mut scale = LONG;
    let mut only = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--short" => scale = SHORT,
            "--help" | "-h" => {
                println!("faults [--short] [PART OF A FAULT'S NAME]");
                return ExitCode::SUCCESS;
            }
            part => only = Some(part.to_owned()),
        }
    }
    harness::binaries::folder();
    let began = Instant::now();
    let mut bad = 0;
    println!("{:<36} {:<8} what happened", "fault", "verdict");
    for (name, fault) in FAULTS {
        if only.as_ref().is_some_and(|part| !name.contains(part)) {
            continue;
        }
        let outcome = std::panic::catch_unwind(|| fault(scale)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            outcome(false, text.unwrap_or_default().replace('\n', " "))
        });
        let verdict = match outcome.verdict {
            Verdict::Held => "held",
            Verdict::Skipped => "skipped",
            Verdict::Bad => {
                bad += 1;
                "BAD"
            }
        };
        println!("{name:<36} {verdict:<8} {}", outcome.happened);
    }
    println!("{bad} bad, {} s", began.elapsed().as_secs());
    ExitCode::from(u8::from(bad > 0))
}
