//! `file-put`, `file-get`, `file-list`.

use super::presence::send;
use super::{Done, json_line, json_lines, shown};
use crate::args;
use crate::escape;
use crate::failure::{Failure, local, usage};
use crate::input;
use crate::json::{self, Object};
use crate::message::time;
use crate::output;
use crate::session::Session;
use crate::table::{self, Column};
use crate::url;
use clawlink_protocol::files::PutFile;
use clawlink_protocol::name::FileKey;

const COLUMNS: [Column; 5] = [
    Column("KEY", true),
    Column("VERSION", true),
    Column("TYPE", false),
    Column("EDITOR", false),
    Column("UPDATED", true),
];

fn key(text: &str) -> Result<FileKey, Failure> {
    FileKey::parse(text)
        .map_err(|why| usage(format!("--key {why}"), "for example --key docs/plan.md"))
}

pub(super) fn put(session: &Session, args: args::FilePut) -> Done {
    let identity = session.identity()?;
    let file_key = key(&args.key)?;
    let file_type = args
        .kind
        .as_deref()
        .map(|kind| input::word("--type", kind))
        .transpose()?;
    let content = json::write_text(&input::read(&args.file)?);
    let call = PutFile {
        file_key,
        content: &content,
        agent_id: identity.id.clone(),
        file_type,
        encoding: None,
        base_version: None,
        base_epoch: None,
    };
    let reply = send(session, identity, "/files", &call, "saved")?;
    if session.json {
        return Ok(json_line(&reply));
    }
    let version = reply.fields.number("version").unwrap_or_default();
    Ok(format!(
        "{} is now version {version}\n",
        escape::line(&args.key)
    ))
}

pub(super) fn get(session: &Session, args: args::FileGet) -> Done {
    let key = key(&args.key)?;
    let reply = session.get(&["/files/", &url::encode(key.as_str())].concat())?;
    let Some(raw) = reply.fields.raw("content") else {
        return Err(session.not_a_relay("the file it sent has no content"));
    };
    // Content that is no string was written by a program, for a program: as JSON.
    let content = json::text(raw).unwrap_or_else(|| raw.to_owned());
    if let Some(path) = args.output.filter(|path| path != "-") {
        let path = std::path::Path::new(&path);
        std::fs::write(path, &content).map_err(|error| local("cannot write", path, error))?;
        let version = reply.fields.number("version").unwrap_or_default();
        output::note(&format!(
            "{} version {version} by {} written to {}",
            escape::line(key.as_str()),
            shown(&reply.fields, "last_editor"),
            escape::line(&path.to_string_lossy())
        ));
        return Ok(String::new());
    }
    if session.json {
        return Ok(json_line(&reply));
    }
    Ok(if output::to_terminal() {
        escape::lines(&content)
    } else {
        content
    })
}

pub(super) fn list(session: &Session) -> Done {
    let files = session.list("/files", "files")?.entries;
    if session.json {
        return Ok(json_lines(files.iter().map(|raw| raw.get())));
    }
    let files = files.iter().filter_map(|raw| Object::parse(raw.get()).ok());
    let rows: Vec<Vec<String>> = files.map(|file| row(&file)).collect();
    if rows.is_empty() {
        return Ok("No files.\n".to_owned());
    }
    let mut lines = table::render(&COLUMNS, &rows);
    lines[0] = output::bold(&lines[0]);
    Ok(lines.join("\n") + "\n")
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
