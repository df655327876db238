//! A turn of a working loop: a delegation, and the poll that takes it and acknowledges the one before.
//! Beside two requests to the floor, and beside what Redis Streams and NATS JetStream do for it.

use crate::agents::{
    AGENTS, CONNECTIONS, MORE, Sent, TASK, cancel, drain, id, leased_poll, quickly,
    write_delegation,
};
use crate::calls::Pair;
use crate::http::{Load, PATIENCE, Reply, Script, Spent, word, write_request};
use crate::processes::Server;
use crate::rounds::{Cost, Side, cost, interleaved};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale, peers, sockets};
use std::time::Instant;

/// Turns of a round where one loop is alone, out of so many where all are busy.
const ALONE: usize = 8;

/// Rows: their names, what they are about, which side is ours, and which the other.
const COMPARED: [(&str, &str, &str, &str); 6] = [
    (
        "turn",
        "delegate, leased poll that acks",
        "polls",
        "2 floor",
    ),
    ("turn/redis", "the same", "polls", "redis"),
    ("turn/nats", "the same", "polls", "nats"),
    ("turn/alone", "one loop alone", "polls alone", "redis alone"),
    (
        "turn/sockets",
        "sockets, ack=1, delegates answered",
        "answered",
        "redis",
    ),
    (
        "turn/mute",
        "sockets, ack=1, nothing answered",
        "mute",
        "redis",
    ),
];

type Named<'a> = (&'static str, Box<dyn FnMut() -> Outcome<Cost> + 'a>);

/// `turn`
pub(crate) fn turn(scale: Scale) -> Outcome<Vec<Row>> {
    let Pair { relay, floor } = &Pair::start()?;
    let (redis, nats) = (peers::redis()?, peers::nats()?);
    let count = scale.requests / 2;
    let few = count / ALONE;
    let mut rows = Vec::new();
    let mut runs: Vec<Named<'_>> = vec![
        ("2 floor", Box::new(|| two_requests(floor, count))),
        ("polls", Box::new(|| polls(relay, count, CONNECTIONS))),
        ("answered", Box::new(|| through_sockets(relay, count, true))),
        ("mute", Box::new(|| through_sockets(relay, count, false))),
        ("polls alone", Box::new(|| polls(relay, few, 1))),
    ];
    match &redis {
        Some(redis) => {
            runs.push(("redis", Box::new(|| redis.turns(count, CONNECTIONS))));
            runs.push(("redis alone", Box::new(|| redis.turns(few, 1))));
        }
        None => rows.push(Row::skipped("turn/redis", "redis-server is not here")),
    }
    match &nats {
        Some(nats) => runs.push(("nats", Box::new(|| nats.turns(count, CONNECTIONS)))),
        None => rows.push(Row::skipped("turn/nats", "nats-server is not here")),
    }
    let names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    let mut runs: Vec<_> = runs.iter_mut().map(|(_, run)| &mut **run as _).collect();
    let sides = interleaved(scale.rounds, &mut runs)?;
    let of = |name: &str| names.iter().position(|n| *n == name).map(|n| &sides[n]);
    for (name, what, ours, other) in COMPARED {
        if let (Some(ours), Some(theirs)) = (of(ours), of(other)) {
            rows.push(row(name, what, ours, (other, theirs)));
        }
    }
    Ok(rows)
}

fn row(name: &'static str, what: &str, ours: &Side, (who, other): (&'static str, &Side)) -> Row {
    let figures = (Figure(ours.cpu(), "us"), Figure(other.cpu(), "us"));
    let what = format!("{what}, CPU for a turn");
    let notes = format!("{}; {who} {}", ours.pace(), other.pace());
    Row::against(name, what, figures.0, (who, figures.1), ours.ratio(other)).noting(notes)
}

/// What a connection is about.
#[derive(Debug, Clone, Copy)]
struct Loop {
    /// The agent whose turn it is; the connection has every so many of them for itself.
    agent: usize,
    polls: bool,
    left: usize,
}

/// Turns of all connections.
pub(crate) struct Turns {
    loops: Vec<Loop>,
    task: String,
    /// Messages that a poll takes at most, where that is said.
    max: Option<usize>,
    /// What each agent has taken and not acknowledged.
    batches: Vec<Option<String>>,
    /// What was delegated.
    pub(crate) sent: Vec<Sent>,
    /// Whether the other side has inboxes at all.
    real: bool,
}

impl Turns {
    /// So many turns among so many agents, in as many loops at most, each on a connection of its own.
    pub(crate) fn new(count: usize, agents: usize, loops: usize) -> Turns {
        let turns = |connection| Loop {
            agent: connection,
            polls: false,
            left: count / loops,
        };
        Turns {
            loops: (0..loops).map(turns).collect(),
            task: TASK.to_owned(),
            max: None,
            batches: vec![None; agents],
            sent: Vec::new(),
            real: true,
        }
    }

    /// With another task.
    pub(crate) fn carrying(self, task: String) -> Turns {
        Turns { task, ..self }
    }

    /// With polls that take so many messages at most.
    pub(crate) fn taking(self, max: usize) -> Turns {
        let max = Some(max);
        Turns { max, ..self }
    }

    /// Runs them; each connection has as many. The cost of one.
    pub(crate) fn run(&mut self, server: &Server) -> Outcome<Cost> {
        let count = self.loops.iter().map(|turn| turn.left).sum();
        cost(&[&server.process], count, || {
            Load::connect(server.address, self.loops.len())?.run(self, 1)
        })
    }

    /// Clears away what they left: leases, tasks, and the news of their end.
    pub(crate) fn clear(&self, relay: &Server) -> Outcome<()> {
        self.acknowledge(relay)?;
        cancel(relay, &self.sent)?;
        drain(relay, 0..self.batches.len())
    }

    /// Acknowledges what was taken last.
    fn acknowledge(&self, relay: &Server) -> Outcome<()> {
        quickly(relay, 0..self.batches.len(), |agent, out| {
            let path = leased_poll(agent, self.batches[agent].as_deref());
            write_request(out, "GET", &path, b"");
        })
    }
}

impl Script for Turns {
    fn ask(&mut self, connection: usize, out: &mut Vec<u8>) -> bool {
        let Loop { agent, polls, left } = self.loops[connection];
        match (left, polls) {
            (0, _) => return false,
            (_, false) => write_delegation(agent, self.batches.len(), &self.task, out),
            (_, true) => {
                let mut path = leased_poll(agent, self.batches[agent].as_deref());
                if let Some(max) = self.max {
                    path.push_str(&format!("&max={max}"));
                }
                write_request(out, "GET", &path, b"");
            }
        }
        true
    }

    fn hear(&mut self, connection: usize, reply: &Reply<'_>) -> Outcome<()> {
        let (agents, loops) = (self.batches.len(), self.loops.len());
        let turn = &mut self.loops[connection];
        turn.polls = !turn.polls;
        if turn.polls {
            if self.real {
                self.sent.push(Sent::of(reply, agents)?);
            }
            return Ok(());
        }
        // The floor has the token of a relay, which is as long as any.
        let batch = reply.word("batch").ok_or("a poll took nothing")?;
        self.batches[turn.agent] = Some(batch.to_owned());
        turn.left -= 1;
        turn.agent += loops;
        if turn.agent >= agents {
            turn.agent = connection;
        }
        Ok(())
    }
}

/// A round against the floor: two requests a turn.
fn two_requests(floor: &Server, count: usize) -> Outcome<Cost> {
    let mut turns = Turns::new(count, AGENTS, CONNECTIONS);
    turns.real = false;
    turns.run(floor)
}

/// A round against a relay. What it leaves is cleared away, which is not counted.
fn polls(relay: &Server, count: usize, loops: usize) -> Outcome<Cost> {
    let mut turns = Turns::new(count, AGENTS, loops);
    let cost = turns.run(relay)?;
    turns.clear(relay)?;
    Ok(cost)
}

/// A round over sockets: as many delegations as there are sockets go around from one agent to the next,
/// which acknowledges each and sends on.
fn through_sockets(relay: &Server, count: usize, answered: bool) -> Outcome<Cost> {
    let mut load = sockets::open(relay.address, (0..CONNECTIONS).map(id), "?ack=1")?;
    let mut sent = Vec::with_capacity(count);
    let cost = cost(&[&relay.process], count, || {
        go_around(&mut load, count, answered, &mut sent)
    })?;
    sockets::close(load)?;
    cancel(relay, &sent)?;
    drain(relay, 0..CONNECTIONS)?;
    Ok(cost)
}

/// The next one in the circle.
fn next(agent: usize) -> usize {
    (agent + 1) % CONNECTIONS
}

fn go_around(
    load: &mut Load,
    count: usize,
    answered: bool,
    sent: &mut Vec<Sent>,
) -> Outcome<Spent> {
    let began = Instant::now();
    let mut asked = vec![began; CONNECTIONS];
    let mut latencies = Vec::with_capacity(count);
    let (mut launched, mut replies) = (0, 0);
    let refers = if answered { r#""ref":"r","# } else { "" };
    let delegate = |from: usize| {
        let to = id(next(from));
        format!(r#"{{"type":"delegate",{refers}"to_agent":"{to}","task":"{TASK}",{MORE}}}"#)
    };
    let frames: Vec<String> = (0..CONNECTIONS).map(delegate).collect();
    for (agent, frame) in frames.iter().enumerate().take(count) {
        sockets::write_text(load.connection(agent).out(), frame.as_bytes());
        load.connection(agent).flush()?;
        launched += 1;
    }
    let mut events = Vec::new();
    while latencies.len() < count || (answered && replies < count) {
        load.wait(&mut events, PATIENCE)?;
        if events.is_empty() {
            return Err("a message did not come over its socket".into());
        }
        for agent in events.drain(..) {
            let connection = load.connection(agent);
            let mut receipts = Vec::new();
            sockets::hear(connection, |text| {
                match word(text, "type") {
                    Some("task_delegation") => {
                        let message = word(text, "message_id").ok_or("no id")?.to_owned();
                        let from = (agent + CONNECTIONS - 1) % CONNECTIONS;
                        sent.push(Sent { message, from });
                        receipts.push(word(text, "receipt").ok_or("no receipt")?.to_owned());
                    }
                    Some("reply") if word(text, "status") == Some("delegated") => replies += 1,
                    Some("welcome" | "agent_joined" | "agent_left" | "agent_stale") => {}
                    _ => return Err(String::from_utf8_lossy(text).into_owned().into()),
                }
                Ok(())
            })?;
            for receipt in receipts {
                latencies.push(asked[agent].elapsed());
                let ack = format!(r#"{{"type":"ack","receipts":["{receipt}"]}}"#);
                sockets::write_text(connection.out(), ack.as_bytes());
                if launched < count {
                    launched += 1;
                    asked[next(agent)] = Instant::now();
                    sockets::write_text(connection.out(), frames[agent].as_bytes());
                }
            }
            connection.flush()?;
        }
    }
    let elapsed = began.elapsed();
    latencies.sort_unstable();
    Ok(Spent { elapsed, latencies })
}
