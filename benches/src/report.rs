//! Writes `docs/benchmarks.md`, and says what was measured where.

use crate::Outcome;
use crate::processes::root;
use crate::table::{COLUMNS, Row};
use std::fmt::Write;
use std::fs::{create_dir_all, read_to_string};
use std::path::PathBuf;
use std::process::Command;

/// Where plots go.
pub(crate) fn plot_file(name: &str) -> Outcome<PathBuf> {
    let folder = root().join("docs/benchmarks");
    create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.svg")))
}

/// The plots, in their order on the page, and what each shows.
const PLOTS: [(&str, &str); 5] = [
    ("growth-agents", "Calls among 1,000 to 1,000,000 agents"),
    ("growth-size", "A turn with messages of 100 bytes to 1 MB"),
    (
        "growth-depth",
        "A turn where 1 to 990 messages wait in each inbox",
    ),
    ("growth-subscribers", "A broadcast to 1 to 10,000 inboxes"),
    ("soak", "The relay's memory under a mixed load"),
];

/// Writes the page.
pub(crate) fn write(rows: &[Row], command: &str, seconds: u64) -> Outcome<()> {
    let mut page = String::from(HEAD);
    let facts = [
        ("commit", commit()),
        ("machine", machine()),
        ("compiler", said("rustc", &["--version"])),
        ("command", format!("`{command}`, {seconds} s")),
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
    ];
    page.push_str("\n| | |\n|---|---|\n");
    for (name, fact) in facts {
        writeln!(page, "| {name} | {fact} |")?;
    }
    writeln!(page, "\n| {} |", COLUMNS.join(" | "))?;
    writeln!(page, "|{}", "---|".repeat(COLUMNS.len()))?;
    for row in rows {
        writeln!(page, "| {} |", row.cells().join(" | "))?;
    }
    page.push_str(READING);
    for row in rows.iter().filter(|row| !row.notes().is_empty()) {
        writeln!(page, "- `{}`: {}", row.name(), row.notes())?;
    }
    page.push_str("\n## As the work grows\n");
    for (name, what) in PLOTS {
        if plot_file(name)?.exists() {
            writeln!(page, "\n![{what}](benchmarks/{name}.svg)")?;
        }
    }
    Ok(std::fs::write(root().join("docs/benchmarks.md"), page)?)
}

const HEAD: &str = "# Benchmarks

This page was written by `cargo run --release -p clawlink-bench -- all`. It starts all that it compares on one
machine, over loopback, in one run. With names instead of `all` it measures those and prints them; `--short` takes
fewer rounds, `--soak` sets the minutes of the last row. A row whose comparison is not on the machine says so.

Sides that are compared take rounds in turn, and a ratio is the median of those of the rounds. *CPU* is what all
threads of the server have used, as the kernel counts it, for each operation: the load generator shares the
processors, so that rates and times are those of a busy machine. The *floor* is a bare actix-web handler that parses the
same JSON and answers the same bytes. The relay runs with its default options, its log in a file. What the rows are
made of, and what those that miss their goal would take, is told in [costs.md](costs.md).
";

const READING: &str = "
A goal holds for the ratio, where there is one, else for ours.

";

/// The commit, and whether anything was changed since.
fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
    // What this program writes is no change of what it measures.
    let changed = [
        "status",
        "--porcelain",
        "--",
        ".",
        ":!docs/benchmarks.md",
        ":!docs/benchmarks",
    ];
    match said("git", &changed).is_empty() {
        true => commit,
        false => format!("{commit}, with changes"),
    }
}

fn machine() -> String {
    let line = |file: &str, name: &str| {
        let text = read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = line("/proc/cpuinfo", "model name");
    let memory = line("/proc/meminfo", "MemTotal");
    let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {} GiB, Linux {}",
        kib >> 20,
        kernel.trim()
    )
}

/// The first line that a command says.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
