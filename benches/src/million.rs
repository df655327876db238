//! A million agents: what each holds, whether calls cost more among them, and whether anything happens
//! while nothing happens.

use crate::agents::{
    AGENTS, Sent, TASK, cancel, id, measured, own_strings, recipient, register, relay_with, skill,
    write_delegation,
};
use crate::http::{Load, write_request};
use crate::processes::{Server, relay};
use crate::rounds::{Cost, Side, beside, cost, median, micros};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale};
use std::time::{Duration, Instant};

/// For what registering has left behind to be done.
const SETTLE: Duration = Duration::from_secs(2);
/// Pages that are asked for.
const PAGES: usize = 20;

/// `million`
pub(crate) fn million(scale: Scale) -> Outcome<Vec<Row>> {
    let agents = scale.agents;
    let few = relay_with(AGENTS, &[])?;
    let many = relay(&[])?;
    let before = many.process.rss()?;
    let began = Instant::now();
    register(&many, 0..agents)?;
    let took = began.elapsed();
    std::thread::sleep(SETTLE);
    let held = (many.process.rss()? - before) as f64 / agents as f64;
    let beyond = held - own_strings() as f64;
    let memory = Row::alone(
        "million/memory",
        format!("RSS of each of {agents} agents, beyond its strings"),
        Figure(beyond, "B"),
    );
    let notes = format!(
        "{} B with them; registered in {:.1} s",
        held as u64,
        took.as_secs_f64()
    );
    let mut rows = vec![memory.noting(notes)];
    let (fewer, more) = beside(
        scale.rounds,
        &mut || delegate(&few, AGENTS, scale.requests),
        &mut || delegate(&many, agents, scale.requests),
    )?;
    rows.push(row(
        "million/delegate",
        "POST /delegate",
        agents,
        &fewer,
        &more,
    ));
    let (fewer, more) = beside(
        scale.rounds,
        &mut || poll(&few, AGENTS, scale.requests),
        &mut || poll(&many, agents, scale.requests),
    )?;
    rows.push(row("million/poll", "GET /poll", agents, &fewer, &more));
    rows.push(discover(&many, agents)?);
    rows.push(idle(&many, agents, scale)?);
    Ok(rows)
}

fn row(name: &'static str, call: &str, agents: usize, few: &Side, many: &Side) -> Row {
    let what = format!("{call} among {agents} agents, CPU");
    let other = ("1,000 agents", Figure(few.cpu(), "us"));
    Row::against(name, what, Figure(many.cpu(), "us"), other, many.ratio(few)).noting(many.pace())
}

/// A round of delegations to agents all over; they are called off again.
pub(crate) fn delegate(relay: &Server, agents: usize, count: usize) -> Outcome<Cost> {
    let mut sent = Vec::with_capacity(count);
    let write = |number, out: &mut Vec<u8>| {
        write_delegation(recipient(number, agents), agents, TASK, out);
    };
    let cost = cost(&[&relay.process], count, || {
        measured(relay, count, write, |reply| {
            sent.push(Sent::of(reply, agents)?);
            Ok(())
        })
    })?;
    cancel(relay, &sent)?;
    Ok(cost)
}

/// A round of polls of empty inboxes all over.
pub(crate) fn poll(relay: &Server, agents: usize, count: usize) -> Outcome<Cost> {
    let write = |number, out: &mut Vec<u8>| {
        let path = format!("/poll/{}", id(recipient(number, agents)));
        write_request(out, "GET", &path, b"");
    };
    cost(&[&relay.process], count, || {
        measured(relay, count, write, |_| Ok(()))
    })
}

/// The first page of what one agent in a thousand can do.
fn discover(relay: &Server, agents: usize) -> Outcome<Row> {
    let mut found = Vec::new();
    let mut load = Load::connect(relay.address, 1)?;
    for page in 0..PAGES {
        let path = format!("/discover?limit=100&capability={}", skill(page * 37));
        let connection = load.connection(0);
        write_request(connection.out(), "GET", &path, b"");
        let began = Instant::now();
        load.answers(1)?;
        found.push(micros(began.elapsed()));
    }
    let what = format!("first page of a filtered discover among {agents} agents");
    Ok(Row::alone(
        "million/discover",
        what,
        Figure(median(found) / 1000.0, "ms"),
    )
    .noting("100 agents of those that have one capability of 1,000"))
}

/// What is used while nobody asks.
fn idle(relay: &Server, agents: usize, scale: Scale) -> Outcome<Row> {
    std::thread::sleep(SETTLE);
    let (began, before) = (Instant::now(), relay.process.cpu()?);
    std::thread::sleep(Duration::from_secs(scale.seconds));
    let used = relay.process.cpu()? - before;
    let share = used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let what = format!("CPU of {agents} agents that do nothing");
    Ok(Row::alone("million/idle", what, Figure(share, "%")))
}
