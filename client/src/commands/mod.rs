//! The commands: each asks the relay something and says what came of it.

mod completions;
mod discover;
mod files;
mod knowledge;
mod mail;
mod messages;
mod poll;
mod presence;
mod receipts;
mod relay;
mod reservations;
mod running;
mod tasks;
mod watch;

use crate::api::{Refusal, Reply};
use crate::args::Args;
use crate::escape;
use crate::failure::{Failure, unable};
use crate::json::Object;
use crate::session::Session;
use crate::spec::Verb;
use std::mem::ManuallyDrop;

/// What goes to standard output.
pub(crate) type Done = Result<String, Failure>;

/// Runs the command.
pub(crate) fn run(verb: Verb, args: &Args) -> Done {
    // Three need no relay to be named, or no state file to be sound.
    match verb {
        Verb::Completions => return completions::completions(args.word()),
        Verb::Show => return poll::show(args),
        Verb::Scan => return relay::scan(args),
        _ => {}
    }
    // It lasts as long as the process, which ends when the command does.
    let session = ManuallyDrop::new(Session::open(args)?);
    match verb {
        Verb::Register => presence::register(&session, args),
        Verb::Heartbeat => presence::heartbeat(&session),
        Verb::Deregister => presence::deregister(&session),
        Verb::Discover => discover::discover(&session, args),
        Verb::Delegate => messages::delegate(&session, args),
        Verb::Respond => messages::respond(&session, args),
        Verb::Broadcast => messages::broadcast(&session, args),
        Verb::Tasks => tasks::tasks(&session, args),
        Verb::Task => tasks::task(&session, args),
        Verb::Cancel => tasks::cancel(&session, args),
        Verb::Input => tasks::give_input(&session, args),
        Verb::Knowledge => knowledge::knowledge(&session, args),
        Verb::Subscribe => knowledge::subscribe(&session, args),
        Verb::Poll => poll::poll(&session, args),
        Verb::Ack => receipts::ack(&session, args),
        Verb::Nack => receipts::nack(&session, args),
        Verb::Wait => poll::wait(&session, args),
        Verb::Watch => watch::watch(ManuallyDrop::into_inner(session), args),
        Verb::FilePut => files::put(&session, args),
        Verb::FileGet => files::get(&session, args),
        Verb::FileList => files::list(&session),
        Verb::Reserve => reservations::reserve(&session, args),
        Verb::Reserved => reservations::reserved(&session, args),
        Verb::Release => reservations::release(&session, args),
        Verb::FileRm => files::remove(&session, args),
        Verb::FileLog => files::log(&session, args),
        Verb::Info => relay::info(&session),
        Verb::Completions | Verb::Show | Verb::Scan => Ok(String::new()),
    }
}

/// What it means that a call is refused which another relay may not have.
fn cannot(failure: Failure, what: &str) -> Failure {
    // A relay that has the call would have found its path.
    let lacks = |refusal: &Refusal| {
        refusal.status == 405 || (refusal.status == 404 && refusal.code != "unknown_agent")
    };
    match failure.refusal().is_some_and(lacks) {
        true => unable(&["this relay cannot ", what].concat(), ""),
        false => failure,
    }
}

/// A reply for programs.
fn json_line(reply: &Reply) -> String {
    [&escape::json(reply.fields.json()), "\n"].concat()
}

/// The elements of a list for programs, one a line.
fn json_lines<'a>(elements: impl Iterator<Item = &'a str>) -> String {
    elements
        .map(|raw| [&escape::json(raw), "\n"].concat())
        .collect()
}

/// A field of a reply, fit for a line.
fn shown(fields: &Object, field: &str) -> String {
    escape::line(&fields.text(field))
}

/// A stretch of time: `3s`, `5m`, `2h`, `4d`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
