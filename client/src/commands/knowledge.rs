//! `knowledge`, `subscribe`.

use super::presence::as_member;
use super::{Done, cannot, json_line, json_lines, mail};
use crate::args::Args;
use crate::failure::usage;
use crate::session::Session;
use crate::{escape, input, json, output, url};
use clawlink_protocol::agents::Subscribe;

/// Broadcasts unless asked otherwise: what is read at one sitting.
const MAX: u64 = 50;

pub(super) fn knowledge(session: &Session, args: &Args) -> Done {
    let mut path = format!("/broadcasts?limit={}", args.max.unwrap_or(MAX));
    let since = args.since.as_deref();
    let ago = since.and_then(seconds_ago);
    let filters = [
        ("&topic=", args.topic.as_deref()),
        ("&tag=", args.tag.as_deref()),
        ("&q=", args.grep.as_deref()),
        ("&since=", ago.as_deref().or(since)),
    ];
    for (name, value) in filters {
        if let Some(value) = value {
            path.push_str(name);
            path.push_str(&url::encode(value));
        }
    }
    let reply = session.get(&path);
    let reply = reply.map_err(|why| cannot(why, "show what was broadcast"))?;
    let reply = reply.fields;
    if reply.raw("broadcasts").is_none() {
        return Err(session.not_a_relay("its list of broadcasts is missing"));
    }
    let mut newest_first = reply.list("broadcasts");
    newest_first.reverse();
    let in_order = newest_first.iter().copied();
    if reply.raw("next_cursor").is_some() {
        output::note("there are older ones: --max N shows more of them");
    }
    if session.json {
        return Ok(json_lines(in_order));
    }
    if newest_first.is_empty() {
        return Ok("No broadcasts.\n".to_owned());
    }
    mail::tidy(session);
    let texts = in_order.map(|raw| mail::render(session, raw, args.full).1);
    Ok(texts.collect())
}

pub(super) fn subscribe(session: &Session, args: &Args) -> Done {
    let choices = [!args.words.is_empty(), args.all, args.none];
    if choices.iter().filter(|chosen| **chosen).count() != 1 {
        let hint = "subscribe TOPIC..., subscribe --all or subscribe --none";
        return Err(usage("topics, --all or --none: one of them", hint));
    }
    let identity = session.identity()?;
    let topics = (!args.all).then(|| args.words.join(","));
    let topics = input::words("TOPIC", topics.as_deref())?;
    let call = json::write(&Subscribe {
        agent_id: identity.id.clone(),
        topics: topics.clone(),
    });
    let (mut identity, reply) = as_member(session, identity, "/subscribe", &call, "subscribed")
        .map_err(|why| cannot(why, "choose topics"))?;
    // Where the relay forgets this agent, it is told again.
    identity.entry.set_or_remove(
        "topics",
        topics.map(|topics| json::write(&topics)).as_deref(),
    );
    session.update(&identity)?;
    if session.json {
        return Ok(json_line(&reply));
    }
    Ok(match reply.fields.raw("topics") {
        None => "you hear every topic\n".to_owned(),
        Some("[]") => "you hear no topic\n".to_owned(),
        Some(_) => {
            let topics = reply.fields.texts("topics").join(", ");
            format!("you hear {}\n", escape::line(&topics))
        }
    })
}

/// The seconds of a stretch of time: `90s`, `30m`, `2h`, `1d`.
fn seconds_ago(text: &str) -> Option<String> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    Some((u64::from(number) * seconds).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_time_becomes_seconds_and_a_time_stays() {
        for (text, seconds) in [
            ("90s", "90"),
            ("30m", "1800"),
            ("2h", "7200"),
            ("1d", "86400"),
        ] {
            assert_eq!(seconds_ago(text).as_deref(), Some(seconds));
        }
        for other in ["", "h", "7", "2026-11-22T12:00:00Z", "1w", "-1h", "1ü"] {
            assert_eq!(seconds_ago(other), None, "{other}");
        }
    }
}
