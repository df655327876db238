//! The calls of every turn, each beside the floor: `delegate`, `heartbeat`, `poll`.

use crate::agents::{
    AGENTS, CONNECTIONS, Sent, TASK, cancel, drain, id, leased_poll, measured, recipient,
    relay_with, write_delegation,
};
use crate::http::{Each, Load, Reply, write_request};
use crate::processes::{self, Server};
use crate::rounds::{Cost, Side, beside, cost};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale};

/// A relay with its agents, and the floor that answers as it does.
pub(crate) struct Pair {
    pub(crate) relay: Server,
    pub(crate) floor: Server,
}

impl Pair {
    /// Starts both.
    pub(crate) fn start() -> Outcome<Pair> {
        let relay = relay_with(AGENTS, &[])?;
        let mut sent = Vec::new();
        let delegate = answer(
            &relay,
            |out| write_delegation(0, AGENTS, TASK, out),
            |reply| {
                sent.push(Sent::of(reply, AGENTS)?);
                Ok(())
            },
        )?;
        cancel(&relay, &sent)?;
        let heartbeat = answer(&relay, |out| write_heartbeat(0, out), |_| Ok(()))?;
        let poll = answer(&relay, |out| write_poll(0, out), |_| Ok(()))?;
        let leased = leased(&relay)?;
        let floor = processes::floor([&delegate, &heartbeat, &poll, &leased])?;
        Ok(Pair { relay, floor })
    }
}

/// What a relay answers to a leased poll that hands over one delegation and acknowledges another.
fn leased(relay: &Server) -> Outcome<String> {
    let mut sent = Vec::new();
    let mut batch = None::<String>;
    let mut said = String::new();
    for _ in 0..2 {
        answer(relay, write_one_to_first, |reply| {
            sent.push(Sent::of(reply, AGENTS)?);
            Ok(())
        })?;
        let path = leased_poll(0, batch.as_deref());
        said = answer(
            relay,
            |out| write_request(out, "GET", &path, b""),
            |reply| {
                let token = reply.word("batch").ok_or("a lease without a batch")?;
                batch = Some(token.to_owned());
                Ok(())
            },
        )?;
    }
    let path = leased_poll(0, batch.as_deref());
    answer(
        relay,
        |out| write_request(out, "GET", &path, b""),
        |_| Ok(()),
    )?;
    cancel(relay, &sent)?;
    drain(relay, 0..1)?;
    Ok(said)
}

fn write_one_to_first(out: &mut Vec<u8>) {
    write_delegation(0, AGENTS, TASK, out);
}

/// What a server answers to one request.
fn answer(
    server: &Server,
    write: impl Fn(&mut Vec<u8>),
    mut hear: impl FnMut(&Reply<'_>) -> Outcome<()>,
) -> Outcome<String> {
    let mut said = String::new();
    let mut script = Each {
        numbers: 0..1,
        write: |_, out: &mut Vec<u8>| write(out),
        hear: |reply: &Reply<'_>| {
            said = String::from_utf8(reply.body.to_vec())?;
            hear(reply)
        },
    };
    Load::connect(server.address, 1)?.run(&mut script, 1)?;
    Ok(said)
}

fn write_heartbeat(number: usize, out: &mut Vec<u8>) {
    let body = format!(r#"{{"agent_id":"{}"}}"#, id(number % AGENTS));
    write_request(out, "POST", "/heartbeat", body.as_bytes());
}

fn write_poll(number: usize, out: &mut Vec<u8>) {
    write_request(out, "GET", &format!("/poll/{}", id(number % AGENTS)), b"");
}

/// `POST /delegate`
pub(crate) fn delegate(scale: Scale) -> Outcome<Vec<Row>> {
    let pair = Pair::start()?;
    let (floor, relay) = beside(
        scale.rounds,
        &mut || round(&pair.floor, scale.requests, write_one),
        &mut || delegations(&pair.relay, scale.requests),
    )?;
    Ok(vec![row("delegate", "POST /delegate", &floor, &relay)])
}

fn write_one(number: usize, out: &mut Vec<u8>) {
    write_delegation(recipient(number, AGENTS), AGENTS, TASK, out);
}

/// A round of delegations to a relay, which are called off again; that is not counted.
fn delegations(relay: &Server, count: usize) -> Outcome<Cost> {
    let mut sent = Vec::with_capacity(count);
    let cost = cost(&[&relay.process], count, || {
        measured(relay, count, write_one, |reply| {
            sent.push(Sent::of(reply, AGENTS)?);
            Ok(())
        })
    })?;
    cancel(relay, &sent)?;
    Ok(cost)
}

/// `POST /heartbeat`
pub(crate) fn heartbeat(scale: Scale) -> Outcome<Vec<Row>> {
    both(scale, "heartbeat", "POST /heartbeat", write_heartbeat)
}

/// `GET /poll/{agent_id}` of an empty inbox
pub(crate) fn poll(scale: Scale) -> Outcome<Vec<Row>> {
    both(scale, "poll", "GET /poll of an empty inbox", write_poll)
}

fn both(
    scale: Scale,
    name: &'static str,
    what: &str,
    write: fn(usize, &mut Vec<u8>),
) -> Outcome<Vec<Row>> {
    let pair = Pair::start()?;
    let (floor, relay) = beside(
        scale.rounds,
        &mut || round(&pair.floor, scale.requests, write),
        &mut || round(&pair.relay, scale.requests, write),
    )?;
    Ok(vec![row(name, what, &floor, &relay)])
}

/// A round of requests that leave nothing behind.
fn round(server: &Server, count: usize, write: fn(usize, &mut Vec<u8>)) -> Outcome<Cost> {
    cost(&[&server.process], count, || {
        measured(server, count, write, |_| Ok(()))
    })
}

fn row(name: &'static str, call: &str, floor: &Side, relay: &Side) -> Row {
    let what = format!("{call}, CPU for a request");
    let ours = Figure(relay.cpu(), "us");
    let other = ("floor", Figure(floor.cpu(), "us"));
    Row::against(name, what, ours, other, relay.ratio(floor)).noting(format!(
        "{CONNECTIONS} connections, {AGENTS} agents; {}; floor {}",
        relay.pace(),
        floor.pace()
    ))
}
