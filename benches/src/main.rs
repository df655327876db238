//! What ClawLink costs, beside what else could be had for it. Starts all that it compares, in one run on
//! loopback, and prints a table. It measures; it does not judge: the exit code tells of what could not be
//! run.
#![expect(dead_code, reason = "rows to come use it")]

mod agents;
mod calls;
mod floor;
mod goals;
mod http;
mod processes;
mod rounds;
mod table;

use std::process::ExitCode;
use std::time::Instant;
use table::{COLUMNS, Row};

/// What was done, or why not.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Rounds of each side.
    rounds: usize,
    /// Requests of a round.
    requests: usize,
}

const LONG: Scale = Scale {
    rounds: 11,
    requests: 20_000,
};
const SHORT: Scale = Scale {
    rounds: 5,
    requests: 5_000,
};

type Bench = (&'static str, fn(Scale) -> Outcome<Vec<Row>>);

/// All of them, in the order of the table.
const BENCHES: &[Bench] = &[
    ("delegate", calls::delegate),
    ("heartbeat", calls::heartbeat),
    ("poll", calls::poll),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((floor::COMMAND, rest)) = arguments.split_first().map(|(a, rest)| (&**a, rest)) {
        return match floor::run(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string(), 1),
        };
    }
    if cfg!(debug_assertions) {
        return fail(
            "a debug build measures nothing; cargo run --release -p clawlink-bench",
            2,
        );
    }
    let mut scale = LONG;
    let mut chosen = Vec::new();
    for argument in &arguments {
        let named = BENCHES.iter().find(|(name, _)| name == argument);
        match (&**argument, named) {
            ("--short", _) => scale = SHORT,
            ("all", _) => chosen.extend(BENCHES),
            (_, Some(bench)) => chosen.push(bench),
            ("--help" | "-h", _) => {
                println!("{}", usage());
                return ExitCode::SUCCESS;
            }
            _ => return fail(&format!("there is no \"{argument}\"\n{}", usage()), 2),
        }
    }
    if chosen.is_empty() {
        return fail(&usage(), 2);
    }
    run(&chosen, scale)
}

fn usage() -> String {
    let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    format!(
        "clawlink-bench [--short] all | NAME...\nNAME is one of {}",
        names.join(", ")
    )
}

fn fail(why: &str, code: u8) -> ExitCode {
    eprintln!("clawlink-bench: {why}");
    ExitCode::from(code)
}

fn run(chosen: &[&Bench], scale: Scale) -> ExitCode {
    let began = Instant::now();
    println!("{}", table::line(&COLUMNS));
    let mut failed = 0;
    for (name, bench) in chosen {
        match bench(scale) {
            Ok(rows) => table::print(&rows),
            Err(error) => {
                failed += 1;
                println!("{name:<18} FAILED: {error}");
            }
        }
    }
    println!("{} s", began.elapsed().as_secs());
    ExitCode::from(u8::from(failed > 0))
}
