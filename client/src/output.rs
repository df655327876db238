//! Standard output and standard error.
//!
//! Data goes to standard output in one write, everything else to standard error. A pipe whose
//! reader has gone is the end of the work, not an error, and no failing write ever panics.

use crate::failure::{Cause, Failure};
use std::io::{self, IsTerminal, Write};

/// Writes to standard output. An error means that some of the text is lost.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// The same for what need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// What a failed `print` means: nothing where the reader went away, for it has what it wanted.
pub(crate) fn excuse(error: io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    let doing = "cannot write to standard output".to_owned();
    Err(Cause::Local { doing, error }.into())
}

/// A line to standard error, after the program's name.
pub(crate) fn note(text: &str) {
    // Nothing can be said about a standard error that does not work.
    let _ = io::stderr().write_all(["clawlink: ", text, "\n"].concat().as_bytes());
}

/// Whether standard output is a terminal.
pub(crate) fn to_terminal() -> bool {
    io::stdout().is_terminal()
}

/// The text in bold where that is wanted.
pub(crate) fn bold(text: &str) -> String {
    if colour() {
        ["\u{1b}[1m", text, "\u{1b}[0m"].concat()
    } else {
        text.to_owned()
    }
}

fn colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    to_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
