//! `info` and `scan`.

use super::{Done, json_lines, shown};
use crate::api::{Again, Answer, Api, Request};
use crate::args::Args;
use crate::escape;
use crate::failure::{Exit, said, usage};
use crate::json::Object;
use crate::mdns::{self, Found};
use crate::output;
use crate::session::{Session, default_relay};
use crate::table::{self, Column};
use clawlink_protocol::SERVICE;
use std::cell::RefCell;
use std::time::Duration;

/// Seconds a scan collects answers unless `--for` says otherwise.
const SCAN: u64 = 3;
const SCAN_MAX: u64 = 3600;

const COLUMNS: [Column; 5] = [
    Column("URL", true),
    Column("NAME", false),
    Column("HOST", false),
    Column("VERSION", false),
    Column("TOKEN", true),
];

pub(super) fn info(session: &Session) -> Done {
    let reply = session.get("/")?;
    let fields = &reply.fields;
    if fields.text("service") != SERVICE {
        return Err(session.not_a_relay("it names itself otherwise"));
    }
    let identity = session.known();
    if session.json {
        let mut whole = fields.clone();
        whole.set_text("relay_url", session.relay());
        if let Some(identity) = identity {
            whole.set_text("agent_id", identity.id.as_str());
            whole.set_text("agent_name", &identity.name());
        }
        return Ok(json_lines(std::iter::once(whole.json())));
    }
    let count = |field: &str| fields.number(field).unwrap_or_default();
    let protocol = match fields.number("protocol") {
        Some(number) => format!("protocol {number}"),
        None => "the original protocol".to_owned(),
    };
    let you = match identity {
        Some(identity) => format!("{} with id {}", escape::line(&identity.name()), identity.id),
        None => format!(
            "not registered here: {} register --name NAME",
            session.program
        ),
    };
    Ok(format!(
        "relay:   {}, version {}, {protocol}\ntoken:   {}\nagents:  {} online\nfiles:   {}\nyou are: {you}\n",
        session.relay(),
        shown(fields, "version"),
        if fields.is_true("auth_required") {
            "needed"
        } else {
            "not needed"
        },
        count("agents_online"),
        count("shared_files"),
    ))
}

pub(super) fn scan(args: &Args) -> Done {
    let seconds = args.seconds.unwrap_or(SCAN);
    if !(1..=SCAN_MAX).contains(&seconds) {
        return Err(usage(
            &format!("--for cannot be {seconds}"),
            "it takes 1 to 3600 seconds",
        ));
    }
    let mut found: Vec<Found> = local_relay().into_iter().collect();
    found.extend(mdns::search(Duration::from_secs(seconds)));
    if found.is_empty() {
        return Err(said(
            Exit::NotFound,
            &format!("no relay found in {seconds} s"),
            "mDNS finds nothing in WSL2 and in most containers; a URL always works:\n  \
                clawlink --relay http://HOST:9077 register --name NAME",
        ));
    }
    if args.json {
        let lines: Vec<String> = found.iter().map(found_json).collect();
        return Ok(json_lines(lines.iter().map(String::as_str)));
    }
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let mut lines = table::render(&COLUMNS, &rows);
    lines[0] = output::bold(&lines[0]);
    let url = &found[0].url;
    output::note(&format!(
        "to join one: clawlink --relay {url} register --name NAME"
    ));
    Ok(lines.join("\n") + "\n")
}

/// The relay on this machine, which answers where mDNS does not. Neither token nor secret is sent.
fn local_relay() -> Option<Found> {
    let url = default_relay();
    let api = Api {
        url: url.clone(),
        token: None,
        timeout: 1,
        patient: false,
        speaker: RefCell::default(),
    };
    let request = Request {
        path: "/",
        body: None,
        again: Again::Harmless,
        wait: 0,
    };
    let Ok(Answer::Done(reply)) = api.send(&request) else {
        return None;
    };
    let fields = reply.fields;
    (fields.text("service") == SERVICE).then(|| Found {
        url,
        name: "this machine".to_owned(),
        version: fields.text("version"),
        auth: fields.raw("auth_required").unwrap_or_default().to_owned(),
        hostname: "localhost".to_owned(),
    })
}

fn row(relay: &Found) -> Vec<String> {
    let auth = match relay.auth.to_ascii_lowercase().as_str() {
        "true" => "needed",
        "false" => "no",
        _ => "",
    };
    vec![
        relay.url.clone(),
        escape::line(&relay.name),
        escape::line(&relay.hostname),
        escape::line(&relay.version),
        auth.to_owned(),
    ]
}

fn found_json(relay: &Found) -> String {
    let mut object = Object::default();
    object.set_text("url", &relay.url);
    object.set_text("name", &relay.name);
    object.set_text("version", &relay.version);
    object.set_text("hostname", &relay.hostname);
    let auth = match relay.auth.to_ascii_lowercase().as_str() {
        "true" => Some("true"),
        "false" => Some("false"),
        _ => None,
    };
    object.set_or_remove("auth_required", auth);
    object.json().to_owned()
}
