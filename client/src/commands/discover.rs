//! `discover`.

use super::{Done, json_lines, shown, span};
use crate::args::Args;
use crate::escape;
use crate::failure::{Failure, unable};
use crate::input;
use crate::json::Object;
use crate::output;
use crate::session::Session;
use crate::table::{self, Column};
use crate::url;
use clawlink_protocol::name::Word;

const COLUMNS: [Column; 6] = [
    Column("NAME", false),
    Column("ID", true),
    Column("CAPABILITIES", false),
    Column("MACHINE", false),
    Column("STATUS", true),
    Column("SEEN", true),
];

/// The agents that are online.
pub(super) fn online(session: &Session) -> Result<Vec<Object>, Failure> {
    let raws = session.list("/discover", "agents")?.entries;
    let agents = raws.iter().filter_map(|raw| Object::of(raw));
    Ok(agents.collect())
}

pub(super) fn discover(session: &Session, args: &Args) -> Done {
    let wanted = input::words("--cap", args.cap.as_deref())?.unwrap_or_default();
    if args.all {
        shows_all(session)?;
    }
    let list = session.list(&path(args.all, wanted.first()), "agents")?;
    // A relay looks for one capability, an original for none.
    let wanted = |agent: &Object| {
        let able = agent.texts("capabilities");
        wanted
            .iter()
            .all(|word| able.iter().any(|own| own == word.as_str()))
    };
    let mut raws = list.entries;
    raws.retain(|raw| Object::of(raw).is_some_and(|agent| wanted(&agent)));
    if session.json {
        return Ok(json_lines(raws.iter().map(String::as_str)));
    }
    if raws.is_empty() {
        return Ok(nobody(args));
    }
    let now = unix_seconds(&list.server_time);
    let rows: Vec<Vec<String>> = raws
        .iter()
        .filter_map(|raw| Object::of(raw))
        .map(|agent| row(&agent, now))
        .collect();
    let mut lines = table::render(&COLUMNS, &rows);
    lines[0] = output::bold(&lines[0]);
    Ok(lines.join("\n") + "\n")
}

/// Where the relay is asked, so that it sends no more than is wanted.
fn path(all: bool, capability: Option<&Word>) -> String {
    let all = all.then(|| "all=1".to_owned());
    let capability = capability.map(|word| ["capability=", &url::encode(word.as_str())].concat());
    let filters: Vec<String> = all.into_iter().chain(capability).collect();
    match filters.is_empty() {
        true => "/discover".to_owned(),
        false => ["/discover?", &filters.join("&")].concat(),
    }
}

/// An original would take no notice of the wish, and its list would pass for that of all.
fn shows_all(session: &Session) -> Result<(), Failure> {
    let features = session.get("/")?.fields.texts("features");
    if features.iter().any(|feature| feature == "discover_filters") {
        return Ok(());
    }
    Err(unable(
        "this relay shows only who is online",
        &format!("without --all: {} discover", session.program),
    ))
}

fn nobody(args: &Args) -> String {
    let (there, option) = match args.all {
        true => ("registered", " --all"),
        false => ("online", ""),
    };
    match &args.cap {
        Some(capability) => format!(
            "No agent with {} is {there}. All that are: clawlink discover{option}\n",
            escape::line(capability)
        ),
        None => format!("No agent is {there}.\n"),
    }
}

fn row(agent: &Object, now: Option<u64>) -> Vec<String> {
    let seen = match (now, agent.number("last_heartbeat")) {
        (Some(now), Some(heard)) => span(now.saturating_sub(heard)),
        _ => String::new(),
    };
    vec![
        shown(agent, "name"),
        shown(agent, "agent_id"),
        escape::line(&agent.texts("capabilities").join(" ")),
        shown(agent, "machine"),
        shown(agent, "status"),
        seen,
    ]
}

/// Seconds since 1970 of an RFC 3339 time in UTC.
fn unix_seconds(time: &str) -> Option<u64> {
    if !(time.ends_with('Z') || time.ends_with("+00:00")) {
        return None;
    }
    let part = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970, counted in years that begin in March, so that the leap day is the last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_seconds() {
        assert_eq!(unix_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            unix_seconds("2024-02-29T23:59:59.9+00:00"),
            Some(1_709_251_199)
        );
        assert_eq!(unix_seconds("2026-11-22T12:31:07Z"), Some(1_795_350_667));
        for bad in [
            "",
            "now",
            "2026-11-22T12:31:07+02:00",
            "2026-13-01T00:00:00Z",
            "2026-00-00T00:00:00Z",
        ] {
            assert_eq!(unix_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_agent_of_the_original_fills_a_row() {
        let agent = Object::parse(
            r#"{"agent_id":"1a2b3c4d","name":"n","capabilities":["a","b\u001b"],"machine":"m","status":"online","last_heartbeat":1795350600.25,"description":null}"#,
        )
        .unwrap();
        let row = row(&agent, Some(1_795_350_667));
        assert_eq!(row, ["n", "1a2b3c4d", "a b\\u{1b}", "m", "online", "1m"]);
    }
}
