//! `reserve`, `reserved`, `release`.

use super::presence::as_member;
use super::{Done, cannot, json_line, json_lines, shown, span};
use crate::api::{Again, Answer, Deletion, Request};
use crate::args::Args;
use crate::failure::{Exit, Failure, said, usage};
use crate::json::{self, Object};
use crate::message::time;
use crate::session::Session;
use crate::table::{self, Column};
use crate::{escape, output, url};
use clawlink_protocol::name::FileKey;
use clawlink_protocol::reservations::Reserve;

const COLUMNS: [Column; 6] = [
    Column("PATTERN", true),
    Column("HOLDER", false),
    Column("ID", true),
    Column("KIND", true),
    Column("LEFT", true),
    Column("REASON", false),
];

/// A path as people type it: from here, and with a slash behind a directory.
fn path(text: &str) -> Result<FileKey, Failure> {
    let mut path = text.strip_prefix("./").unwrap_or(text).to_owned();
    if path.ends_with('/') {
        path.push_str("**");
    }
    FileKey::parse(&path).map_err(|why| {
        let hint = "paths begin where the tree does, for example src/main.rs";
        usage(&format!("the path {text} {why}"), hint)
    })
}

pub(super) fn reserve(session: &Session, args: &Args) -> Done {
    if args.words.is_empty() {
        return Err(usage("missing: PATTERN", "for example 'src/**'"));
    }
    let patterns = args.words.iter().map(|pattern| path(pattern));
    let patterns: Vec<FileKey> = patterns.collect::<Result<_, _>>()?;
    let (mut identity, mut text) = (session.identity()?, String::new());
    for pattern in patterns {
        let call = json::write(&Reserve {
            agent_id: identity.id.clone(),
            pattern: pattern.clone(),
            ttl: args.ttl,
            exclusive: args.shared.then_some(false),
            reason: args.reason.clone(),
        });
        let reply = match as_member(session, identity, "/reservations", &call, "reserved") {
            Ok((member, reply)) => {
                identity = member;
                reply
            }
            Err(why) => {
                // Those before are held all the same.
                output::print(&text).or_else(output::excuse)?;
                return Err(unable(why));
            }
        };
        text.push_str(&match session.json {
            true => json_line(&reply),
            false => format!(
                "reserved {} until {} (id {})\n",
                escape::line(pattern.as_str()),
                time(&reply.fields.text("until")),
                shown(&reply.fields, "id")
            ),
        });
    }
    Ok(text)
}

fn unable(failure: Failure) -> Failure {
    cannot(failure, "reserve paths")
}

/// What is reserved: as the relay wrote it, and read.
fn list(session: &Session, query: &str) -> Result<(String, Vec<Object>), Failure> {
    let path = ["/reservations", query].concat();
    let list = session.list(&path, "reservations").map_err(unable)?;
    let raws = list.entries.iter().map(String::as_str);
    let leases = raws.clone().filter_map(Object::of);
    Ok((json_lines(raws), leases.collect()))
}

pub(super) fn reserved(session: &Session, args: &Args) -> Done {
    let Some(wanted) = args.words.first() else {
        return everything(session);
    };
    let path = path(wanted)?;
    let query = ["?path=", &url::encode(path.as_str())].concat();
    let (lines, found) = list(session, &query)?;
    let me = session.known().map_or("", |identity| identity.id.as_str());
    let mut text = if session.json { lines } else { String::new() };
    for lease in found {
        let mine = lease.text("agent_id") == me;
        let left = span(lease.number("seconds").unwrap_or_default());
        if !mine && lease.is_true("exclusive") {
            output::print(&text).or_else(output::excuse)?;
            return Err(taken(wanted, &lease, &left));
        }
        if !session.json {
            let who = if mine {
                "you".to_owned()
            } else {
                holder(&lease)
            };
            text.push_str(&format!(
                "{}: {who}, {left} left\n",
                shown(&lease, "pattern")
            ));
        }
    }
    if text.is_empty() && !session.json {
        text.push_str("free\n");
    }
    Ok(text)
}

fn holder(lease: &Object) -> String {
    format!("{} ({})", shown(lease, "name"), shown(lease, "agent_id"))
}

fn taken(path: &str, lease: &Object, left: &str) -> Failure {
    let reason = match lease.text("reason") {
        reason if reason.is_empty() => reason,
        reason => [": ", &reason].concat(),
    };
    said(
        Exit::Conflict,
        &format!(
            "{path} is reserved by {} until {}{reason}",
            holder(lease),
            time(&lease.text("until"))
        ),
        &format!(
            "by {}, for {left} more unless renewed",
            shown(lease, "pattern")
        ),
    )
}

/// Who holds what.
fn everything(session: &Session) -> Done {
    let (lines, found) = list(session, "")?;
    if session.json {
        return Ok(lines);
    }
    let row = |lease: Object| {
        let kind = if lease.is_true("exclusive") {
            "alone"
        } else {
            "shared"
        };
        vec![
            shown(&lease, "pattern"),
            holder(&lease),
            shown(&lease, "id"),
            kind.to_owned(),
            span(lease.number("seconds").unwrap_or_default()),
            shown(&lease, "reason"),
        ]
    };
    let rows: Vec<Vec<String>> = found.into_iter().map(row).collect();
    if rows.is_empty() {
        return Ok("Nothing is reserved.\n".to_owned());
    }
    let mut lines = table::render(&COLUMNS, &rows);
    lines[0] = output::bold(&lines[0]);
    Ok(lines.join("\n") + "\n")
}

pub(super) fn release(session: &Session, args: &Args) -> Done {
    let id = session.identity()?.id;
    let mut ids = args.words.clone();
    if ids.is_empty() {
        // All of one's own; those of an agent that the relay has forgotten ended with it.
        for lease in list(session, "")?.1 {
            if lease.text("agent_id") == id.as_str() {
                ids.push(lease.text("id"));
            }
        }
    }
    for lease in &ids {
        let request = Request {
            path: &["/reservations/", &url::encode(lease)].concat(),
            body: None,
            again: Again::Twice,
            wait: 0,
        };
        let deletion = Deletion { version: None };
        if let Answer::Refused(refusal) = session.try_delete(&request, deletion)? {
            let old = refusal.code.is_empty();
            let why = session.refused(refusal);
            return Err(if old { unable(why) } else { why });
        }
    }
    let count = ids.len();
    Ok(match session.json {
        true => format!("{{\"released\":{count}}}\n"),
        false => format!("{count} released\n"),
    })
}
