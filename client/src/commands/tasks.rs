//! `tasks`, `task`, `cancel`, `input`, and what `delegate --wait` waits for.

use super::presence::send;
use super::{Done, json_line, json_lines, poll, shown};
use crate::api::{Again, Request, whole_seconds};
use crate::args::Args;
use crate::escape;
use crate::failure::{Exit, Failure, nothing_came, said, unable, usage};
use crate::input;
use crate::json::{self, Object};
use crate::message::time;
use crate::output;
use crate::session::Session;
use crate::state::Identity;
use crate::table::{self, Column};
use crate::url;
use clawlink_protocol::messages::WAIT_MAX;
use clawlink_protocol::tasks::{Cancel, Input};
use std::time::Instant;

const COLUMNS: [Column; 5] = [
    Column("ID", true),
    Column("STATE", true),
    Column("FROM", true),
    Column("TO", true),
    Column("TASK", false),
];
/// Tasks in a table; `--json` prints all.
const SHOWN: u64 = 50;

/// Where the relay is an original, there are no tasks.
pub(super) fn has_tasks(identity: &Identity) -> Result<(), Failure> {
    if !identity.entry.is_true("original") {
        return Ok(());
    }
    Err(unable(
        "this relay cannot tell what became of a task",
        "its answer comes as a message: clawlink poll",
    ))
}

pub(super) fn tasks(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    has_tasks(&identity)?;
    let mut query = Vec::new();
    if args.from_me {
        query.push(["from=", identity.id.as_str()].concat());
    }
    if args.to_me {
        query.push(["to=", identity.id.as_str()].concat());
    }
    if args.open {
        query.push("state=open".to_owned());
    }
    if session.json {
        let path = ["/tasks?", &query.join("&")].concat();
        let list = session.list(path.trim_end_matches('?'), "tasks")?;
        return Ok(json_lines(list.entries.iter().map(String::as_str)));
    }
    query.push(format!("limit={SHOWN}"));
    let reply = session.get(&["/tasks?", &query.join("&")].concat())?;
    let found = reply.fields.objects("tasks");
    if found.is_empty() {
        return Ok("No tasks.\n".to_owned());
    }
    let row = |task: &Object| {
        let words = ["message_id", "state", "from_agent", "to_agent", "task"];
        words.map(|field| line(task, field)).to_vec()
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let mut lines = table::render(&COLUMNS, &rows);
    lines[0] = output::bold(&lines[0]);
    if reply.fields.text_of("next_cursor").is_some() {
        output::note(&format!(
            "the newest {SHOWN}; all of them: {} tasks --json",
            session.program
        ));
    }
    Ok(lines.join("\n") + "\n")
}

/// A field as one line; JSON where it is no text.
fn line(task: &Object, field: &str) -> String {
    let raw = task.raw(field).unwrap_or_default();
    escape::line(&json::text(raw).unwrap_or_else(|| raw.to_owned()))
}

pub(super) fn task(session: &Session, args: &Args) -> Done {
    has_tasks(&session.identity()?)?;
    match args.wait {
        Some(seconds) => wait(session, args.word(), seconds),
        None => {
            let reply = session.get(&path(args.word()))?;
            match session.json {
                true => Ok(json_line(&reply)),
                false => Ok(rendered(&reply.fields.object("task"))),
            }
        }
    }
}

fn path(id: &str) -> String {
    ["/tasks/", &url::encode(id)].concat()
}

/// A task whole: what it is, how it stands, what came of it.
fn rendered(task: &Object) -> String {
    // What is not ours to read has no more than ids and a state.
    let moved = match task.text_of("updated_at") {
        Some(at) => time(&at),
        None => "the rest is for its sender and its assignee".to_owned(),
    };
    let head = format!(
        "[task] {} from {} to {}, {}, {moved}",
        shown(task, "message_id"),
        shown(task, "from_agent"),
        shown(task, "to_agent"),
        shown(task, "state"),
    );
    let mut text = [&output::bold(&head), "\n"].concat();
    for step in task.objects("history") {
        if step.text_of("reason").is_some() {
            let (to, reason) = (shown(&step, "to_agent"), shown(&step, "reason"));
            text.push_str(
                &[
                    "  went to ",
                    &to,
                    ": the agent before it was ",
                    &reason,
                    "\n",
                ]
                .concat(),
            );
        }
    }
    for (label, field) in [("task: ", "task"), ("result: ", "result")] {
        if let Some(raw) = task.raw(field) {
            let body = json::text(raw).unwrap_or_else(|| raw.to_owned());
            for (n, line) in escape::lines(&body).lines().enumerate() {
                // What follows stands further in: none of it can pass for a label.
                let label = if n == 0 { label } else { "  " };
                text.push_str(&["  ", label, line, "\n"].concat());
            }
        }
    }
    text
}

/// Waits for the end of a task, prints its result, and fails where it did.
pub(super) fn wait(session: &Session, id: &str, seconds: u64) -> Done {
    let until = poll::until(seconds);
    let mut rev = 0;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let wait = whole_seconds(left).min(WAIT_MAX);
        let path = format!("{}?wait={wait}&until=changed&rev={rev}", path(id));
        let reply = session.ask(&Request {
            path: &path,
            body: None,
            again: Again::Harmless,
            wait,
        })?;
        let task = reply.fields.object("task");
        rev = task.number("rev").unwrap_or_default();
        let state = task.text("state");
        let open = ["queued", "delivered", "in_progress", "input_required"];
        if !open.contains(&state.as_str()) || state == "input_required" {
            return outcome(session, id, &task, reply.fields.json());
        }
        if wait == 0 {
            output::note(&format!("task {} is {state}", escape::line(id)));
            return Err(nothing_came("end", seconds));
        }
    }
}

fn outcome(session: &Session, id: &str, task: &Object, raw: &str) -> Done {
    let result = task.raw("result").filter(|raw| *raw != "null");
    let text = match result {
        _ if session.json => escape::json(raw),
        Some(raw) => escape::lines(&json::text(raw).unwrap_or_else(|| raw.to_owned())),
        None => String::new(),
    };
    let text = match text.is_empty() || text.ends_with('\n') {
        true => text,
        false => text + "\n",
    };
    let id = escape::shell(id);
    match task.text("state").as_str() {
        "completed" => Ok(text),
        state => {
            output::print(&text).or_else(output::excuse)?;
            let hint = match state {
                "input_required" => format!("{} input {id} --content -", session.program),
                _ => format!("{} task {id}", session.program),
            };
            Err(said(
                Exit::Refused,
                &format!("task {id} is {}", escape::line(state)),
                &hint,
            ))
        }
    }
}

pub(super) fn cancel(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    has_tasks(&identity)?;
    let call = Cancel {
        from_agent: identity.id.clone(),
    };
    let path = [&path(args.word()), "/cancel"].concat();
    let reply = send(session, identity, &path, &call, "canceled")?;
    if session.json {
        return Ok(json_line(&reply));
    }
    Ok(format!("task {} is canceled\n", escape::line(args.word())))
}

pub(super) fn give_input(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    has_tasks(&identity)?;
    if args.word().is_empty() {
        return Err(usage("missing: ID", "it stands in clawlink tasks"));
    }
    let content = input::body(
        "--content",
        args.content.as_deref(),
        args.content_file.as_deref(),
    )?;
    let call = Input {
        from_agent: identity.id.clone(),
        content: &content,
    };
    let path = [&path(args.word()), "/input"].concat();
    let reply = send(session, identity, &path, &call, "input_sent")?;
    if session.json {
        return Ok(json_line(&reply));
    }
    let state = shown(&reply.fields, "task_state");
    Ok(format!(
        "told; task {} is {state}\n",
        escape::line(args.word())
    ))
}
