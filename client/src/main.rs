//! `clawlink`: joins an agent to a ClawLink relay, from a shell.
//!
//! `arrange` puts the command line in order, `args` makes types of it, `session` settles which
//! relay and which identity are meant, `commands` do the work with `api`, and `failure` turns
//! what went wrong into a sentence, a hint and an exit code.

mod api;
mod args;
mod arrange;
mod commands;
mod environment;
mod escape;
mod explain;
mod failure;
mod help;
mod input;
mod json;
mod kept;
mod mdns;
mod meant;
mod message;
mod output;
mod random;
#[cfg(test)]
mod scratch;
mod seen;
mod session;
mod spec;
mod state;
mod table;
mod unix;
mod url;

use arrange::Arranged;
use failure::{Cause, Exit, Failure};
use std::process::ExitCode;

#[global_allocator]
static MEMORY: unix::Memory = unix::Memory::new();

fn main() -> ExitCode {
    #[cfg(feature = "tls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    let printed = run().and_then(|text| output::print(&text).or_else(output::excuse));
    let exit = match printed {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output::note(&failure.report());
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

/// Does what the command line says; what it returns is printed.
fn run() -> Result<String, Failure> {
    match arrange::arrange(&input::arguments()?)? {
        Arranged::Help(command) => Ok(help::help(command)),
        Arranged::Nothing => Err(Cause::Nothing.into()),
        Arranged::Version => Ok(concat!("clawlink ", env!("CARGO_PKG_VERSION"), "\n").to_owned()),
        Arranged::Run(command, line) => commands::run(command.verb, &*args::parse(command, &line)?),
    }
}
