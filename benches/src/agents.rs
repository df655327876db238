//! Agents, and what they ask of a relay.

use crate::Outcome;
use crate::http::{Each, Load, Reply, Spent, write_request};
use crate::processes::{Server, relay};

/// Kept-alive connections of a measured load.
pub(crate) const CONNECTIONS: usize = 64;
/// The other fields of a delegation.
pub(crate) const MORE: &str =
    r#""context":{"repository":"clawlink","branch":"main"},"priority":"normal""#;
/// Agents, unless a row is about their number.
pub(crate) const AGENTS: usize = 1_000;
/// Requests under way on each connection where nothing is measured.
const DEPTH: usize = 16;

/// A prime, so that it reaches all agents of any number of them that it does not divide.
const STRIDE: usize = 48_271;
/// Capabilities, of which each agent has one.
const SKILLS: usize = 1_000;
/// What ids begin with.
const PREFIX: &str = "agent-";

/// The id of an agent.
pub(crate) fn id(number: usize) -> String {
    format!("{PREFIX}{number:07}")
}

/// What an agent can do.
pub(crate) fn skill(number: usize) -> String {
    format!("skill-{:03}", number % SKILLS)
}

/// Bytes of what a registered agent says of itself: id, name, capability, and the address that stands for
/// its machine.
pub(crate) fn own_strings() -> usize {
    2 * id(0).len() + skill(0).len() + "127.0.0.1".len()
}

/// A relay with so many agents, none of which becomes stale while it is measured.
pub(crate) fn relay_with(agents: usize, options: &[&str]) -> Outcome<Server> {
    let relay = relay(options)?;
    register(&relay, 0..agents)?;
    Ok(relay)
}

/// Registers agents.
pub(crate) fn register(relay: &Server, numbers: std::ops::Range<usize>) -> Outcome<()> {
    quickly(relay, numbers, |number, out| {
        let (id, skill) = (id(number), skill(number));
        let body = format!(
            r#"{{"agent_id":"{id}","name":"{id}","capabilities":["{skill}"],"ttl":86400}}"#
        );
        write_request(out, "POST", "/register", body.as_bytes());
    })
}

/// Makes requests whose cost nobody measures, many at a time.
pub(crate) fn quickly(
    relay: &Server,
    numbers: std::ops::Range<usize>,
    write: impl FnMut(usize, &mut Vec<u8>),
) -> Outcome<()> {
    quickly_hearing(relay, numbers, write, |_| Ok(()))
}

/// The same, and hears what is said.
pub(crate) fn quickly_hearing(
    relay: &Server,
    numbers: std::ops::Range<usize>,
    write: impl FnMut(usize, &mut Vec<u8>),
    hear: impl FnMut(&Reply<'_>) -> Outcome<()>,
) -> Outcome<()> {
    let mut script = Each {
        numbers,
        write,
        hear,
    };
    Load::connect(relay.address, CONNECTIONS)?.run(&mut script, DEPTH)?;
    Ok(())
}

/// Makes so many requests over the connections of a measured load, one at a time on each.
pub(crate) fn measured(
    server: &Server,
    count: usize,
    write: impl FnMut(usize, &mut Vec<u8>),
    hear: impl FnMut(&Reply<'_>) -> Outcome<()>,
) -> Outcome<Spent> {
    let mut script = Each {
        numbers: 0..count,
        write,
        hear,
    };
    Load::connect(server.address, CONNECTIONS)?.run(&mut script, 1)
}

/// A task as a person would put it.
pub(crate) const TASK: &str =
    "List what changed in the parser since Monday, and who should look at it";

/// Who gets the delegation of this number, among so many agents: all of them in turn, neighbours far apart.
pub(crate) fn recipient(number: usize, agents: usize) -> usize {
    number * STRIDE % agents
}

/// Who sends to an agent.
fn sender(to: usize, agents: usize) -> usize {
    (to + 1) % agents
}

/// Writes a delegation to one of so many agents.
pub(crate) fn write_delegation(to: usize, agents: usize, task: &str, out: &mut Vec<u8>) {
    let (from, to) = (id(sender(to, agents)), id(to));
    let body = format!(r#"{{"from_agent":"{from}","to_agent":"{to}","task":"{task}",{MORE}}}"#);
    write_request(out, "POST", "/delegate", body.as_bytes());
}

/// The path of a leased poll by this agent, which acknowledges a batch.
pub(crate) fn leased_poll(agent: usize, batch: Option<&str>) -> String {
    let path = format!("/poll/{}?lease=60", id(agent));
    match batch {
        Some(batch) => format!("{path}&ack={batch}"),
        None => path,
    }
}

/// A delegation that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Its id.
    pub(crate) message: String,
    /// Who sent it.
    pub(crate) from: usize,
}

impl Sent {
    /// As the reply to one of [`write_delegation`] says, among so many agents.
    pub(crate) fn of(reply: &Reply<'_>, agents: usize) -> Outcome<Sent> {
        let message = reply
            .word("message_id")
            .ok_or("a delegation without an id")?;
        let to = reply
            .word("to_agent")
            .and_then(|to| to.strip_prefix(PREFIX));
        let to: usize = to.ok_or("a delegation to nobody")?.parse()?;
        Ok(Sent {
            message: message.to_owned(),
            from: sender(to, agents),
        })
    }

    /// Who was given it, if it was [`write_delegation`], among so many agents.
    pub(crate) fn to(&self, agents: usize) -> usize {
        (self.from + agents - 1) % agents
    }
}

/// Calls off delegations. Those that nobody has taken leave their inboxes; the tasks have ended: where
/// nobody took any, the relay is as it was.
pub(crate) fn cancel(relay: &Server, sent: &[Sent]) -> Outcome<()> {
    quickly(relay, 0..sent.len(), |number, out| {
        let Sent { message, from } = &sent[number];
        let body = format!(r#"{{"from_agent":"{}"}}"#, id(*from));
        let path = format!("/tasks/{message}/cancel");
        write_request(out, "POST", &path, body.as_bytes());
    })
}

/// Takes all that waits for the agents.
pub(crate) fn drain(relay: &Server, numbers: std::ops::Range<usize>) -> Outcome<()> {
    quickly(relay, numbers, |number, out| {
        write_request(out, "GET", &format!("/poll/{}", id(number)), b"");
    })
}
