//! `register`, `heartbeat`, `deregister`.

use super::{Done, json_line};
use crate::api::{Again, Answer, Reply, Request, Trouble};
use crate::args::Args;
use crate::escape;
use crate::failure::{Cause, Failure, unable, usage};
use crate::input;
use crate::json::{self, Object};
use crate::output;
use crate::random;
use crate::session::{Session, registration};
use crate::state::{Identity, SECRET, set_optional};
use clawlink_protocol::agents::{AboutAgent, TTL_RANGE};
use clawlink_protocol::name::AgentId;

const ID_LENGTH: usize = 8;
pub(super) const KEY_LENGTH: usize = 16;

pub(super) fn register(session: &Session, args: &Args) -> Done {
    let name = input::word("--name", &args.name)?;
    let capabilities = input::words("--caps", args.caps.as_deref())?;
    input::within("--ttl", args.ttl, TTL_RANGE, "seconds")?;
    // What was said at an earlier registration and is not said anew still holds.
    let known = session.known();
    let (id, mut entry) = match known {
        Some(identity) => (Some(identity.id.clone()), identity.entry.clone()),
        // The id is our own from the first request on: one whose reply was lost is sent again,
        // and must not leave a second agent behind.
        None => (new_id(), Object::default()),
    };
    let fresh = secret_for(session, &entry, args.shared)?;
    if let Some(secret) = &fresh {
        entry.set_text(SECRET, secret);
        // Others know this agent: the secret that claims it must not get lost with this process.
        if let (Some(_), Some(id)) = (known, &id) {
            let (id, entry) = (id.clone(), entry.clone());
            session.update(&Identity { id, entry })?;
        }
    }
    entry.set_text("agent_name", name.as_str());
    if let Some(capabilities) = capabilities {
        entry.set("capabilities", &json::write(&capabilities));
    }
    if let Some(description) = &args.description {
        entry.set_text("description", description);
    }
    if let Some(ttl) = args.ttl {
        entry.set("ttl", &json::write(&ttl));
    }
    let topics = input::words("--topics", args.topics.as_deref())?;
    if let Some(topics) = &topics {
        entry.set("topics", &json::write(topics));
    }
    let enrolled = enroll(session, id.clone(), entry.clone());
    if let (Err(failure), Some(id)) = (&enrolled, id)
        && let Cause::NoReply { trouble, .. } = &**failure
        && matches!(trouble, Trouble::Timeout(_) | Trouble::Lost(_))
    {
        // It may have been taken: the next try is to be the same agent.
        session.update(&Identity { id, entry })?;
    }
    let (mut identity, mut reply) = enrolled?;
    // Only whoever takes it may show it, and then it is needed from there on.
    let given = reply.fields.text_of(SECRET).filter(|_| !args.shared);
    if let Some(given) = given.filter(|_| identity.secret().is_none()) {
        identity.entry.set_text(SECRET, &given);
    }
    if reply.fields.raw(SECRET).is_some() {
        reply.fields.remove(SECRET);
    }
    session.remember(&identity)?;
    if topics.is_some() && identity.entry.is_true("original") {
        output::note("this relay cannot choose topics: every broadcast reaches you");
    }
    if session.json {
        return Ok(json_line(&reply));
    }
    Ok(format!(
        "registered as {} with id {} at {}\n",
        escape::line(&identity.name()),
        identity.id,
        session.relay()
    ))
}

/// A new secret, for an agent that has none and is not to be shared.
fn secret_for(session: &Session, entry: &Object, shared: bool) -> Result<Option<String>, Failure> {
    match (entry.raw(SECRET).is_some(), shared) {
        (false, false) => Ok(random::secret()),
        (false, true) | (true, false) => Ok(None),
        (true, true) => Err(usage(
            "this agent has a secret already, and others cannot share it any more",
            &format!(
                "{0} deregister, and {0} register --shared --name NAME; or share another: --as NAME",
                session.program
            ),
        )),
    }
}

/// Registers what the entry says.
fn enroll(
    session: &Session,
    id: Option<AgentId>,
    mut entry: Object,
) -> Result<(Identity, Reply), Failure> {
    let body = registration(id.clone(), &entry);
    if let Some(id) = id {
        session.speak_as(&Identity {
            id,
            entry: entry.clone(),
        });
    }
    let reply = session.ask(&Request {
        path: "/register",
        body: Some(&body),
        again: Again::Harmless,
        wait: 0,
    })?;
    let agent = reply.fields.object("agent");
    let Ok(id) = AgentId::parse(&agent.text("agent_id")) else {
        return Err(session.not_a_relay("its reply to register names no agent"));
    };
    note_epoch(&mut entry, &reply.fields);
    Ok((Identity { id, entry }, reply))
}

/// Registers again under the same id, at a relay that forgot it.
pub(super) fn enroll_again(session: &Session, identity: Identity) -> Result<Identity, Failure> {
    let epoch = identity.entry.text("epoch");
    let (identity, _) = enroll(session, Some(identity.id), identity.entry)?;
    session.update(&identity)?;
    let restarted = !epoch.is_empty() && epoch != identity.entry.text("epoch");
    output::note(&format!(
        "{}registered again as {} ({})",
        if restarted {
            RESTARTED
        } else {
            "the relay did not know this agent; "
        },
        escape::line(&identity.name()),
        identity.id
    ));
    Ok(identity)
}

/// Sends what this agent has to say. At a relay that has been restarted since the agent registered,
/// it registers again: answers would not find the way back.
///
/// A reply that was lost is asked for again under the same key. Only a relay that is known to be
/// like ours is: the original has no keys, and would do it twice.
pub(super) fn send<T: serde::Serialize>(
    session: &Session,
    identity: Identity,
    path: &str,
    body: &T,
    status: &str,
) -> Result<Reply, Failure> {
    send_json(session, identity, path, &json::write(body), status)
}

/// The same for all types of bodies: there is one of it in the program.
pub(super) fn send_json(
    session: &Session,
    identity: Identity,
    path: &str,
    body: &str,
    status: &str,
) -> Result<Reply, Failure> {
    let entry = &identity.entry;
    let keyed = !entry.text("epoch").is_empty() && !entry.is_true("original");
    let key = keyed.then(|| random::word(KEY_LENGTH)).flatten();
    let again = key.as_deref().map_or(Again::Twice, Again::Under);
    let reply = session.post(path, body, again, status)?;
    let before = identity.entry.text_of("epoch");
    let now = reply.fields.text_of("epoch");
    if before.is_some() && now.is_some() && before != now {
        enroll_again(session, identity)?;
    }
    Ok(reply)
}

/// A call that only a registered agent can make, and may make twice: one that the relay has forgotten
/// registers again first.
pub(super) fn as_member(
    session: &Session,
    identity: Identity,
    path: &str,
    body: &str,
    status: &str,
) -> Result<(Identity, Reply), Failure> {
    match session.post(path, body, Again::Harmless, status) {
        Err(no) if no.refusal().is_some_and(|no| no.code == "unknown_agent") => {
            let identity = enroll_again(session, identity)?;
            let reply = session.post(path, body, Again::Harmless, status)?;
            Ok((identity, reply))
        }
        done => Ok((identity, done?)),
    }
}

/// What a new epoch means.
pub(super) const RESTARTED: &str = "the relay restarted; mail that waited there is gone; ";

/// What a reply's epoch has told of the relay.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    /// Something that the entry did not say.
    pub(super) news: bool,
    /// That it was restarted.
    pub(super) restarted: bool,
}

/// Takes over the epoch that a reply carries. The original carries none, which is how it is known.
pub(super) fn note_epoch(entry: &mut Object, reply: &Object) -> Told {
    let now = reply.raw("epoch").filter(|raw| raw.starts_with('"'));
    if now.is_some() && now == entry.raw("epoch") && !entry.is_true("original") {
        return Told::default();
    }
    let before = entry.text_of("epoch");
    let now = reply.text_of("epoch");
    if before != now {
        set_optional(entry, "epoch", now.as_deref());
    }
    let other_kind = entry.is_true("original") != now.is_none();
    if other_kind {
        entry.set_or_remove("original", now.is_none().then_some("true"));
    }
    Told {
        news: other_kind || before != now,
        restarted: before.is_some() && now.is_some() && before != now,
    }
}

pub(super) fn heartbeat(session: &Session) -> Done {
    let identity = session.identity()?;
    let (reply, known) = beat(session, &identity)?;
    let identity = if known {
        identity
    } else {
        enroll_again(session, identity)?
    };
    if session.json {
        return Ok(json_line(&reply));
    }
    Ok(format!(
        "online as {} with id {} at {}\n",
        escape::line(&identity.name()),
        identity.id,
        session.relay()
    ))
}

/// A heartbeat, and whether the relay knows the agent.
pub(super) fn beat(session: &Session, identity: &Identity) -> Result<(Reply, bool), Failure> {
    let body = json::write(&AboutAgent {
        agent_id: identity.id.clone(),
    });
    let reply = session.ask(&Request {
        path: "/heartbeat",
        body: Some(&body),
        again: Again::Harmless,
        wait: 0,
    })?;
    match reply.fields.text("status").as_str() {
        "ok" => Ok((reply, true)),
        "unknown_agent" => Ok((reply, false)),
        _ => Err(session.not_a_relay("its reply to a heartbeat says neither yes nor no")),
    }
}

pub(super) fn deregister(session: &Session) -> Done {
    let identity = session.identity()?;
    let body = json::write(&AboutAgent {
        agent_id: identity.id.clone(),
    });
    let request = Request {
        path: "/deregister",
        body: Some(&body),
        again: Again::Twice,
        wait: 0,
    };
    let text = match session.try_ask(&request)? {
        Answer::Done(reply) if session.json => json_line(&reply),
        Answer::Done(_) => format!(
            "left {}; the id {} is forgotten\n",
            session.relay(),
            identity.id
        ),
        Answer::Refused(refusal) if refusal.code == "unknown_agent" => {
            output::note("the relay did not know this agent any more");
            String::new()
        }
        // A relay that had the call would have a code of its own for what it did not find.
        Answer::Refused(refusal)
            if refusal.status == 405
                || (refusal.status == 404 && refusal.code != "unknown_agent") =>
        {
            return Err(unable(
                "this relay cannot remove an agent",
                "it counts as stale 120 s after its last call, and others no longer see it",
            ));
        }
        Answer::Refused(refusal) => return Err(session.refused(refusal)),
    };
    session.forget()?;
    Ok(text)
}

/// A new id. Where the system draws none the relay makes it.
fn new_id() -> Option<AgentId> {
    AgentId::parse(&random::word(ID_LENGTH)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_news_once_and_another_one_is_a_restart() {
        let object = |text: &str| Object::parse(text).unwrap();
        let ours = |epoch: &str| object(&format!(r#"{{"epoch":"{epoch}"}}"#));
        let original = object(r#"{"status":"ok"}"#);
        let mut entry = Object::default();
        let mut told = |reply: &Object| {
            let Told { news, restarted } = note_epoch(&mut entry, reply);
            (news, restarted, entry.json().to_owned())
        };
        let first = r#"{"epoch":"e1"}"#;
        assert_eq!(told(&ours("e1")), (true, false, first.to_owned()));
        assert_eq!(told(&ours("e1")), (false, false, first.to_owned()));
        let escaped = told(&ours("\\u0065\\u0031"));
        assert_eq!(escaped, (false, false, first.to_owned()), "the same word");
        let second = r#"{"epoch":"e2"}"#;
        assert_eq!(told(&ours("e2")), (true, true, second.to_owned()));
        let none = r#"{"original":true}"#;
        assert_eq!(told(&original), (true, false, none.to_owned()));
        assert_eq!(told(&original), (false, false, none.to_owned()));
        assert_eq!(
            told(&ours("e3")),
            (true, false, r#"{"epoch":"e3"}"#.to_owned())
        );
    }
}
