//! What ClawLink costs, beside what else could be had for it. Starts all that it compares, in one run on
//! loopback, and prints a table. It measures; it does not judge: the exit code tells of what could not be
//! run.

mod agents;
mod broadcast;
mod calls;
mod client;
mod files;
mod goals;
mod growth;
mod http;
mod idle;
mod million;
mod peers;
mod plot;
mod processes;
mod report;
mod rounds;
mod soak;
mod sockets;
mod table;
mod turn;
mod wake;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::{COLUMNS, Row};

/// What was done, or why not.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Rounds of each side.
    rounds: usize,
    /// Requests of a round.
    requests: usize,
    /// Seconds of what is about time.
    seconds: u64,
    /// Agents of what is about their number.
    agents: usize,
    /// How long the soak takes.
    soak: Duration,
    /// Whether what takes minutes to build is left out.
    brief: bool,
    /// Whether `docs/benchmarks.md` is written, with its plots.
    page: bool,
}

const LONG: Scale = Scale {
    rounds: 11,
    requests: 20_000,
    seconds: 10,
    agents: 1_000_000,
    soak: Duration::from_secs(30 * 60),
    brief: false,
    page: false,
};
const SHORT: Scale = Scale {
    rounds: 5,
    requests: 5_000,
    seconds: 3,
    agents: 100_000,
    soak: Duration::from_secs(60),
    brief: true,
    page: false,
};

type Bench = (&'static str, fn(Scale) -> Outcome<Vec<Row>>);

/// All of them, in the order of the table.
const BENCHES: &[Bench] = &[
    ("delegate", calls::delegate),
    ("heartbeat", calls::heartbeat),
    ("poll", calls::poll),
    ("turn", turn::turn),
    ("wake", wake::wake),
    ("broadcast", broadcast::broadcast),
    ("million", million::million),
    ("idle", idle::idle),
    ("files", files::files),
    ("client", client::client),
    ("growth", growth::growth),
    ("soak", soak::soak),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(exit) = serve(&arguments) {
        return exit;
    }
    if cfg!(debug_assertions) {
        return fail(
            "a debug build measures nothing; cargo run --release -p clawlink-bench",
            2,
        );
    }
    let mut scale = LONG;
    let (mut chosen, mut page, mut soak) = (Vec::new(), false, None);
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        let named = BENCHES.iter().find(|(name, _)| name == argument);
        match (&**argument, named) {
            ("--short", _) => scale = SHORT,
            ("--soak", _) => match left.next().and_then(|minutes| minutes.parse::<u64>().ok()) {
                Some(minutes) => soak = Some(Duration::from_secs(60 * minutes)),
                None => return fail(&format!("--soak wants minutes\n{}", usage()), 2),
            },
            ("all", _) => {
                page = true;
                chosen.extend(BENCHES);
            }
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
    let began = Instant::now();
    let soak = soak.unwrap_or(scale.soak);
    let (rows, failed) = run(
        &chosen,
        Scale {
            page,
            soak,
            ..scale
        },
    );
    let seconds = began.elapsed().as_secs();
    println!("{seconds} s");
    if page {
        let command = format!(
            "cargo run --release -p clawlink-bench -- {}",
            arguments.join(" ")
        );
        if let Err(error) = report::write(&rows, &command, seconds) {
            return fail(&format!("docs/benchmarks.md cannot be written: {error}"), 1);
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

/// The hidden commands: the servers that this program starts.
fn serve(arguments: &[String]) -> Option<ExitCode> {
    let (command, rest) = arguments.split_first()?;
    let served = match &**command {
        broadcast::SENDER => broadcast::run_sender(rest),
        _ => return None,
    };
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    })
}

fn usage() -> String {
    let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
    format!(
        "clawlink-bench [--short] [--soak MINUTES] all | NAME...\nNAME is one of {}",
        names.join(", ")
    )
}

fn fail(why: &str, code: u8) -> ExitCode {
    eprintln!("clawlink-bench: {why}");
    ExitCode::from(code)
}

/// The rows of these, and how many could not be run.
fn run(chosen: &[&Bench], scale: Scale) -> (Vec<Row>, usize) {
    println!("{}", table::line(&COLUMNS));
    let (mut all, mut failed) = (Vec::new(), 0);
    for (name, bench) in chosen {
        let rows = bench(scale).unwrap_or_else(|error| {
            failed += 1;
            vec![Row::failed(name, error.to_string())]
        });
        table::print(&rows);
        all.extend(rows);
    }
    (all, failed)
}
