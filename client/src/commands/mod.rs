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

use crate::api::Reply;
use crate::args::{Command, Top};
use crate::escape;
use crate::failure::Failure;
use crate::json::Object;
use crate::session::Session;

/// What goes to standard output.
pub(crate) type Done = Result<String, Failure>;

/// Runs the command.
pub(crate) fn run(top: Top) -> Done {
    // Three need no relay to be named, or no state file to be sound.
    match &top.command {
        Command::Completions(args) => return completions::completions(&args.shell),
        Command::Show(args) => return poll::show(&top, args),
        Command::Scan(args) => return relay::scan(&top, args),
        _ => {}
    }
    let session = Session::open(&top)?;
    match top.command {
        Command::Register(args) => presence::register(&session, args),
        Command::Heartbeat(_) => presence::heartbeat(&session),
        Command::Deregister(_) => presence::deregister(&session),
        Command::Discover(args) => discover::discover(&session, &args),
        Command::Delegate(args) => messages::delegate(&session, args),
        Command::Respond(args) => messages::respond(&session, args),
        Command::Broadcast(args) => messages::broadcast(&session, args),
        Command::Tasks(args) => tasks::tasks(&session, &args),
        Command::Task(args) => tasks::task(&session, &args),
        Command::Cancel(args) => tasks::cancel(&session, &args),
        Command::Input(args) => tasks::give_input(&session, args),
        Command::Knowledge(args) => knowledge::knowledge(&session, args),
        Command::Subscribe(args) => knowledge::subscribe(&session, args),
        Command::Poll(args) => poll::poll(&session, &args),
        Command::Ack(args) => receipts::ack(&session, args),
        Command::Nack(args) => receipts::nack(&session, args),
        Command::Wait(args) => poll::wait(&session, &args),
        Command::Watch(args) => watch::watch(session, args),
        Command::FilePut(args) => files::put(&session, args),
        Command::FileGet(args) => files::get(&session, args),
        Command::FileList(_) => files::list(&session),
        Command::Reserve(args) => reservations::reserve(&session, args),
        Command::Reserved(args) => reservations::reserved(&session, args),
        Command::Release(args) => reservations::release(&session, args),
        Command::FileRm(args) => files::remove(&session, args),
        Command::FileLog(args) => files::log(&session, args),
        Command::Info(_) => relay::info(&session),
        Command::Completions(_) | Command::Show(_) | Command::Scan(_) => Ok(String::new()),
    }
}

/// What it means that a call is refused which another relay may not have.
fn cannot(failure: Failure, what: &str) -> Failure {
    match failure {
        // A relay that has the call would have found its path.
        Failure::Refused(no)
            if no.refusal.status == 405
                || (no.refusal.status == 404 && no.refusal.code != "unknown_agent") =>
        {
            Failure::Unable {
                what: ["this relay cannot ", what].concat(),
                hint: String::new(),
            }
        }
        other => other,
    }
}

/// A reply for programs.
fn json_line(reply: &Reply) -> String {
    [&escape::json(reply.text.trim()), "\n"].concat()
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
