//! `file-put`, `file-get`, `file-list`, `file-rm`, `file-log`.

use super::mail;
use super::presence::{KEY_LENGTH, send_json};
use super::{Done, json_line, json_lines, shown};
use crate::api::{Again, Answer, Deletion, Reply, Request};
use crate::args::Args;
use crate::escape;
use crate::failure::{self, Exit, Failure, local, said, usage};
use crate::input;
use crate::json::{self, Object};
use crate::message::time;
use crate::output;
use crate::random;
use crate::seen::Seen;
use crate::session::Session;
use crate::state::Identity;
use crate::table::{self, Column};
use crate::url;
use clawlink_protocol::base64;
use clawlink_protocol::files::{BASE64, PutFile};
use clawlink_protocol::name::FileKey;

const COLUMNS: [Column; 5] = [
    Column("KEY", true),
    Column("VERSION", true),
    Column("TYPE", false),
    Column("EDITOR", false),
    Column("UPDATED", true),
];

const VERSIONS: [Column; 4] = [
    Column("VERSION", true),
    Column("SIZE", true),
    Column("EDITOR", false),
    Column("UPDATED", true),
];

fn key(text: &str) -> Result<FileKey, Failure> {
    FileKey::parse(text)
        .map_err(|why| usage(&format!("--key {why}"), "for example --key docs/plan.md"))
}

pub(super) fn put(session: &Session, args: &Args) -> Done {
    let identity = session.identity()?;
    let file_key = key(&args.key)?;
    let file_type = args
        .kind
        .as_deref()
        .map(|kind| input::word("--type", kind))
        .transpose()?;
    if args.force && (args.base.is_some() || args.merge) {
        return Err(usage(
            "--force overwrites, whatever is there",
            "give it alone, without --base and --merge",
        ));
    }
    let (content, encoding) = content_of(input::bytes(&args.file)?);
    let identity = match args.force && encoding.is_none() {
        true => identity,
        false => look_first(session, identity)?,
    };
    let original = identity.entry.is_true("original");
    if original && (args.base.is_some() || args.merge || encoding.is_some()) {
        return Err(unable(match encoding {
            Some(_) => "this relay cannot keep anything but UTF-8 text",
            None => "this relay cannot compare versions: the last writer wins",
        }));
    }
    let seen = session.seen(file_key.as_str());
    let base_version = match args.base {
        Some(base) => Some(base),
        None if args.force || original => None,
        None => Some(seen.as_ref().map_or(0, |seen| seen.version)),
    };
    let base_epoch = match args.base {
        None => seen.as_ref().map(|seen| seen.epoch.clone()),
        Some(_) => None,
    };
    let call = PutFile {
        file_key,
        content,
        agent_id: identity.id.clone(),
        file_type,
        encoding,
        base_version,
        merge: args.merge.then_some(true),
        base_epoch,
    };
    let body = json::write(&call);
    // It may be long, and stands in the body.
    drop(call);
    let reply = send_json(session, identity, "/files", &body, "saved|merged")
        .map_err(|failure| conflict(session, failure, args, seen))?;
    written(session, &args.key, &reply)
}

/// Says which version a file has now, and takes note of it.
fn written(session: &Session, key: &str, reply: &Reply) -> Done {
    let version = reply.fields.number("version");
    // Nobody here has seen a merged text: what is written next is not made from it.
    let merged = reply.fields.text("status") == "merged";
    if !merged {
        session.note_seen(key, &reply.fields, version);
    }
    if session.json {
        return Ok(json_line(reply));
    }
    let option = escape::shell_option("--key", key);
    let next = match merged {
        true => format!(
            ", merged with what others have changed\n  read it before you go on: {} file-get{option}",
            session.program
        ),
        false => String::new(),
    };
    Ok(format!(
        "{} is now version {}{next}\n",
        escape::line(key),
        version.unwrap_or_default()
    ))
}

/// Bytes as text, and the encoding of what is none.
fn content_of(bytes: Vec<u8>) -> (String, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(bytes) => (base64::encode(bytes.as_bytes()), Some(BASE64.to_owned())),
    }
}

/// An original would take no notice of a base, and overwrite.
fn look_first(session: &Session, identity: Identity) -> Result<Identity, Failure> {
    match identity.entry.text("epoch").is_empty() {
        true => mail::look(session, identity),
        false => Ok(identity),
    }
}

fn unable(what: &str) -> Failure {
    failure::unable(what, "")
}

/// What is said of a file that somebody else has changed: whose version would have been lost, and
/// the ways on.
fn conflict(session: &Session, failure: Failure, args: &Args, seen: Option<Seen>) -> Failure {
    let Some(refusal) = failure.refusal() else {
        return failure;
    };
    if refusal.code != "version_conflict" {
        return failure;
    }
    let body = &refusal.body;
    let version = body.number("current_version").unwrap_or_default();
    let of = if body.is_true("deleted") {
        "deleted"
    } else {
        "written"
    };
    let known = match (args.base, seen) {
        (Some(_), _) => String::new(),
        (None, Some(seen)) => format!("; you last saw version {}", seen.version),
        (None, None) => "; you have not read it".to_owned(),
    };
    let what = match version {
        0 => format!("there is no {}", args.key),
        _ => format!(
            "{} is at version {version}, {of} by {}{known}",
            args.key,
            body.text("last_editor")
        ),
    };
    let program = &session.program;
    let key = escape::shell_option("--key", &args.key);
    let file = escape::shell_option("--file", &args.file);
    let put = [program, " file-put", &key, &file].concat();
    let hint = match body.text_of("merged_content") {
        Some(text) => {
            // Whoever reads it has lost nothing where this fails: nothing was written.
            let _ = output::print(&match (session.json, output::to_terminal()) {
                (true, _) => [&escape::json(body.json()), "\n"].concat(),
                (false, true) => escape::lines(&text),
                (false, false) => text,
            });
            format!("settle what stands between the markers, then: {put} --base {version}")
        }
        None => format!(
            "see it: {program} file-get{key}, and what was before: {program} file-log{key}\n  \
             merge yours with it: {put} --merge\n  overwrite it: {put} --force"
        ),
    };
    said(
        Exit::Conflict,
        &[&what, ". Nothing was written"].concat(),
        &hint,
    )
}

pub(super) fn get(session: &Session, args: &Args) -> Done {
    let key = key(&args.key)?;
    let mut path = ["/files/", &url::encode(key.as_str())].concat();
    if let Some(version) = args.version {
        path.push_str(&format!("?version={version}"));
    }
    let reply = session.get(&path)?;
    let Some(raw) = reply.fields.raw("content") else {
        return Err(session.not_a_relay("the file it sent has no content"));
    };
    let version = reply.fields.number("version");
    if args.version.is_some() && args.version != version {
        return Err(unable("this relay cannot give an earlier version"));
    }
    // Content that is no string was written by a program, for a program: as JSON.
    let text = json::text(raw).unwrap_or_else(|| raw.to_owned());
    let mut bytes = text.into_bytes();
    if reply.fields.text("encoding") == BASE64 {
        base64::decode(&mut bytes).map_err(|_| session.not_a_relay("its base64 is none"))?;
    }
    let output = args.output.as_deref().filter(|path| *path != "-");
    if let Some(path) = output {
        let path = std::path::Path::new(path);
        std::fs::write(path, &bytes).map_err(|error| local("cannot write", path, error))?;
        output::note(&format!(
            "{} version {} by {} written to {}",
            escape::line(key.as_str()),
            version.unwrap_or_default(),
            shown(&reply.fields, "last_editor"),
            escape::line(&path.to_string_lossy())
        ));
    } else if session.json {
        output::print(&json_line(&reply)).or_else(output::excuse)?;
    } else if !output::to_terminal() {
        output::print_bytes(&bytes).or_else(output::excuse)?;
    } else {
        let text = String::from_utf8(bytes).map_err(|_| {
            let option = "--output F writes it to a file";
            usage(&format!("{} is not text", key.as_str()), option)
        })?;
        output::print(&escape::lines(&text)).or_else(output::excuse)?;
    }
    // An earlier version is looked at, not worked on: what is written next is not made from it.
    if args.version.is_none() {
        session.note_seen(key.as_str(), &reply.fields, version);
    }
    Ok(String::new())
}

pub(super) fn remove(session: &Session, args: &Args) -> Done {
    session.identity()?;
    let file_key = key(&args.key)?;
    let path = ["/files/", &url::encode(file_key.as_str())].concat();
    let key = random::word(KEY_LENGTH);
    let request = Request {
        path: &path,
        body: None,
        again: key.as_deref().map_or(Again::Twice, Again::Under),
        wait: 0,
    };
    let deletion = Deletion {
        version: session.seen(file_key.as_str()).map(|seen| seen.version),
    };
    let reply = match session.try_delete(&request, deletion)? {
        Answer::Done(reply) => reply,
        Answer::Refused(refusal)
            if refusal.status == 405 || (refusal.status == 404 && refusal.code.is_empty()) =>
        {
            return Err(unable("this relay cannot delete a file"));
        }
        Answer::Refused(refusal) if refusal.code == "version_conflict" => {
            let program = &session.program;
            let option = escape::shell_option("--key", &args.key);
            return Err(said(
                Exit::Conflict,
                &format!(
                    "{} is at version {} by {}, which you have not read. Nothing was deleted",
                    args.key,
                    refusal.body.number("current_version").unwrap_or_default(),
                    refusal.body.text("last_editor")
                ),
                &format!("read it, then delete it: {program} file-get{option}"),
            ));
        }
        Answer::Refused(refusal) => return Err(session.refused(refusal)),
    };
    session.note_seen(&args.key, &reply.fields, None);
    if session.json {
        return Ok(json_line(&reply));
    }
    let version = reply.fields.number("version").unwrap_or_default();
    Ok(format!(
        "{} is deleted; version {} can still be read: {} file-get{} --version {1}\n",
        escape::line(&args.key),
        version.saturating_sub(1),
        session.program,
        escape::shell_option("--key", &args.key)
    ))
}

pub(super) fn log(session: &Session, args: &Args) -> Done {
    let key = key(&args.key)?;
    let path = ["/files/", &url::encode(key.as_str()), "?history=1"].concat();
    let reply = session.get(&path)?;
    if reply.fields.raw("versions").is_none() {
        return Err(unable(
            "this relay cannot list versions: it keeps the last one",
        ));
    }
    if session.json {
        return Ok(json_line(&reply));
    }
    let versions = reply.fields.objects("versions");
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| {
            let size = match version.is_true("deleted") {
                true => "deleted".to_owned(),
                false => version.number("size").unwrap_or_default().to_string(),
            };
            vec![
                version.number("version").unwrap_or_default().to_string(),
                size,
                shown(version, "last_editor"),
                time(&version.text("updated_at")),
            ]
        })
        .collect();
    Ok(lines(&VERSIONS, &rows))
}

pub(super) fn list(session: &Session) -> Done {
    let files = session.list("/files", "files")?.entries;
    if session.json {
        return Ok(json_lines(files.iter().map(String::as_str)));
    }
    let files = files.iter().filter_map(|raw| Object::of(raw));
    let rows: Vec<Vec<String>> = files.map(|file| row(&file)).collect();
    if rows.is_empty() {
        return Ok("No files.\n".to_owned());
    }
    Ok(lines(&COLUMNS, &rows))
}

/// A table with its headings in bold.
fn lines(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut lines = table::render(columns, rows);
    lines[0] = output::bold(&lines[0]);
    lines.join("\n") + "\n"
}

fn row(file: &Object) -> Vec<String> {
    vec![
        shown(file, "file_key"),
        file.number("version").unwrap_or_default().to_string(),
        shown(file, "file_type"),
        shown(file, "last_editor"),
        time(&file.text("updated_at")),
    ]
}
