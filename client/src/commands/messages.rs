//! `delegate`, `respond`, `broadcast`.

use super::presence::{send, send_json};
use super::{Done, discover, json_line, shown, span, tasks};
use crate::args::Args;
use crate::failure::{Exit, Failure, said, usage};
use crate::input;
use crate::json::{self, Object};
use crate::session::Session;
use crate::state::Identity;
use crate::{escape, output};
use clawlink_protocol::messages::{Broadcast, Delegate, Respond};
use clawlink_protocol::name::{MessageId, Word};

pub(super) fn delegate(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    let (to_agent, to_capability) = match (&args.to, &args.to_cap) {
        (Some(to), _) => (Some(addressee(session, &identity, to)?), None),
        (None, capability) => {
            let capability = capability.as_deref();
            let word = capability.map(|word| input::word("--to-cap", word));
            (None, word.transpose()?)
        }
    };
    let context = context(args)?;
    let task = input::body("--task", args.task.as_deref(), args.task_file.as_deref())?;
    let (thread_id, parent_id) = (id("--thread", &args.thread)?, id("--parent", &args.parent)?);
    if args.wait.is_some() || to_capability.is_some() || thread_id.is_some() || parent_id.is_some()
    {
        tasks::has_tasks(&identity)?;
    }
    let call = Delegate {
        from_agent: identity.id.clone(),
        to_agent,
        to_capability,
        task: &task,
        context: None,
        priority: args.priority.as_deref().map(Into::into),
        ttl: None,
        thread_id,
        parent_id,
    };
    let mut body = json::write(&call);
    if let Some(context) = context {
        body = json::with(&body, "context", &context);
    }
    let reply = send_json(session, identity, "/delegate", &body, "delegated")?;
    let fields = &reply.fields;
    let said = format!(
        "task {}: {} {}{}",
        shown(fields, "message_id"),
        delivery(fields),
        recipient(fields, args.to.as_deref()),
        presence(fields)
    );
    match args.wait {
        Some(seconds) => {
            output::note(&said);
            tasks::wait(session, &fields.text("message_id"), seconds)
        }
        None if session.json => Ok(json_line(&reply)),
        None => Ok(said + "\n"),
    }
}

/// An id of a message that an option gives.
fn id(option: &str, text: &Option<String>) -> Result<Option<MessageId>, Failure> {
    let parse = |text: &String| MessageId::parse(text);
    let bad = |why| usage(&format!("{option} {why}"), "it is the id of a task");
    text.as_ref().map(parse).transpose().map_err(bad)
}

/// Who is meant. The original knows no names: there this program looks the name up itself, and
/// says so where it finds nobody, because that relay keeps mail for whatever id it is given.
fn addressee(session: &Session, identity: &Identity, to: &str) -> Result<Word, Failure> {
    let given = input::word("--to", to)?;
    if !identity.entry.is_true("original") {
        return Ok(given);
    }
    let agents = discover::online(session)?;
    if agents.iter().any(|agent| agent.text("agent_id") == to) {
        return Ok(given);
    }
    let bearers: Vec<String> = agents
        .iter()
        .filter(|agent| agent.text("name") == to)
        .map(|agent| agent.text("agent_id"))
        .collect();
    match &bearers[..] {
        [] => {
            output::note(&format!(
                "nobody who is online has the id or name {}; this relay does not say whether the id exists",
                escape::line(to)
            ));
            Ok(given)
        }
        [id] => input::word("--to", id),
        several => Err(said(
            Exit::Conflict,
            &format!("{} agents bear the name \"{to}\"", several.len()),
            &format!("use one of these ids instead: {}", several.join(" ")),
        )),
    }
}

/// What helps to do the task: JSON.
fn context(args: &Args) -> Result<Option<String>, Failure> {
    let (value, file) = (args.context.as_deref(), args.context_file.as_deref());
    let text = input::text("--context", value, file)?;
    if let Some(text) = &text {
        input::check_json("--context", text)?;
    }
    Ok(text)
}

/// The id that the relay resolved, where it tells.
fn recipient(fields: &Object, given: Option<&str>) -> String {
    let id = fields.text_of("to_agent");
    escape::line(&match (given, id) {
        (Some(given), Some(id)) if id != given => format!("{given} ({id})"),
        (Some(given), _) => given.to_owned(),
        (None, id) => id.unwrap_or_default(),
    })
}

/// What the relay did with a message.
fn delivery(fields: &Object) -> &'static str {
    match fields.text("delivery").as_str() {
        "websocket" => "handed to",
        _ => "queued for",
    }
}

/// How the recipient was, where the relay tells and it is not plainly there.
fn presence(fields: &Object) -> String {
    let recipient = fields.object("recipient");
    match recipient.number("last_seen_seconds") {
        Some(seconds) if recipient.text("status") != "online" => {
            format!(
                ", which is {} (last seen {} ago)",
                shown(&recipient, "status"),
                span(seconds)
            )
        }
        _ => String::new(),
    }
}

pub(super) fn respond(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    let to_agent = match &args.to {
        Some(to) => Some(addressee(session, &identity, to)?),
        None if identity.entry.is_true("original") => {
            return Err(usage(
                "missing: --to",
                "this relay does not know who gave the task; it stands in the task's first line",
            ));
        }
        None => None,
    };
    let message_id = MessageId::parse(&args.msg_id).map_err(|why| {
        usage(
            &format!("--msg-id {why}"),
            "it stands in the task's first line",
        )
    })?;
    let result = input::body(
        "--result",
        args.result.as_deref(),
        args.result_file.as_deref(),
    )?;
    let call = Respond {
        from_agent: identity.id.clone(),
        to_agent,
        message_id,
        result: Some(&result),
        status: args.status.clone(),
    };
    let reply = send(session, identity, "/respond", &call, "response_sent")?;
    if session.json {
        return Ok(json_line(&reply));
    }
    let fields = &reply.fields;
    let to = args.to.clone();
    let to = to.unwrap_or_else(|| fields.text("to_agent"));
    if fields.raw("applied") == Some("false") {
        output::note(&format!(
            "the answer was passed on and moved nothing: the task is {}",
            shown(fields, "task_state")
        ));
    }
    Ok(format!(
        "answer to {}: {} {}\n",
        args.msg_id,
        delivery(fields),
        recipient(fields, Some(&to))
    ))
}

pub(super) fn broadcast(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    let topic = args
        .topic
        .as_deref()
        .map(|topic| input::word("--topic", topic))
        .transpose()?;
    let tags = input::words("--tags", args.tags.as_deref())?;
    let content = input::body(
        "--content",
        args.content.as_deref(),
        args.content_file.as_deref(),
    )?;
    let call = Broadcast {
        from_agent: identity.id.clone(),
        content: &content,
        topic,
        tags,
        ttl: None,
    };
    let reply = send(session, identity, "/broadcast", &call, "broadcast_sent")?;
    if session.json {
        return Ok(json_line(&reply));
    }
    let recipients = reply.fields.number("recipients").unwrap_or_default();
    let agents = if recipients == 1 { "agent" } else { "agents" };
    let id = shown(&reply.fields, "message_id");
    Ok(format!("broadcast {id}: for {recipients} other {agents}\n"))
}
