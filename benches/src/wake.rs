//! How soon a long poll wakes: from the moment a delegation is sent until the reply is in the waiter's
//! hands.

use crate::agents::{AGENTS, id, relay_with, write_delegation};
use crate::http::{Load, PATIENCE, Spent, write_request};
use crate::processes::Server;
use crate::rounds::{cost, micros, percentile};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Messages a second.
const RATE: u32 = 2_000;
/// Connections of the senders.
const SENDERS: usize = 16;
/// For all polls to wait.
const SETTLE: Duration = Duration::from_millis(500);

/// `wake`
pub(crate) fn wake(scale: Scale) -> Outcome<Vec<Row>> {
    let relay = relay_with(AGENTS, &[])?;
    let count = RATE as usize * scale.seconds as usize;
    let mut waiters = Load::connect(relay.address, AGENTS)?;
    for agent in 0..AGENTS {
        wait(&mut waiters, agent, None)?;
    }
    std::thread::sleep(SETTLE);
    let began = Instant::now();
    let sent: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(0)).collect();
    let mut spent = None;
    let cost = cost(&[&relay.process], count, || {
        let found = std::thread::scope(|scope| {
            let sender = scope.spawn(|| send(&relay, began, &sent));
            let found = receive(&mut waiters, began, &sent);
            sender.join().map_err(|_| "the sender has panicked")??;
            found
        })?;
        spent = Some(found.clone());
        Ok(found)
    })?;
    let spent = spent.ok_or("nothing was measured")?;
    let row = |name, percent, goal| {
        let found = micros(percentile(&spent.latencies, percent));
        let what = format!("long poll: delegate sent -> reply read, {goal}");
        Row::alone(name, what, Figure(found, "us"))
    };
    Ok(vec![
        row("wake/p50", 50.0, "p50"),
        row("wake/p99", 99.0, "p99").noting(format!(
            "{AGENTS} waiters, {RATE} messages a second for {} s; CPU {:.1} us for a message",
            scale.seconds, cost.cpu
        )),
    ])
}

/// Lets an agent wait.
fn wait(waiters: &mut Load, agent: usize, batch: Option<&str>) -> Outcome<()> {
    let acked = batch
        .map(|batch| format!("&ack={batch}"))
        .unwrap_or_default();
    let path = format!("/poll/{}?wait=55&lease=60{acked}", id(agent));
    let connection = waiters.connection(agent);
    write_request(connection.out(), "GET", &path, b"");
    connection.flush()?;
    Ok(())
}

/// Sends at an even pace, whatever becomes of it. The task is the message's number.
fn send(relay: &Server, began: Instant, sent: &[AtomicU64]) -> Outcome<()> {
    let mut senders = Load::connect(relay.address, SENDERS)?;
    for (number, at) in sent.iter().enumerate() {
        let due = Duration::from_secs(1) * number as u32 / RATE;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let connection = senders.connection(number % SENDERS);
        if number >= SENDERS {
            let end = Instant::now() + PATIENCE;
            while !connection.answered()? {
                if Instant::now() > end {
                    return Err("a delegation was not answered".into());
                }
                std::thread::yield_now();
            }
        }
        write_delegation(
            number % AGENTS,
            AGENTS,
            &number.to_string(),
            connection.out(),
        );
        at.store(began.elapsed().as_nanos() as u64, Ordering::Release);
        connection.flush()?;
    }
    Ok(())
}

/// Receives them all; each waiter waits again at once.
fn receive(waiters: &mut Load, began: Instant, sent: &[AtomicU64]) -> Outcome<Spent> {
    let mut latencies = Vec::with_capacity(sent.len());
    let mut events = Vec::new();
    while latencies.len() < sent.len() {
        waiters.wait(&mut events, PATIENCE)?;
        if events.is_empty() {
            return Err("a message did not come".into());
        }
        for agent in events.drain(..) {
            let connection = waiters.connection(agent);
            connection.fill()?;
            let mut batch = None;
            while let Some(reply) = connection.reply()? {
                let now = began.elapsed();
                reply.expect_ok()?;
                for number in numbers(reply.body)? {
                    let at = sent.get(number).ok_or("a message that nobody sent")?;
                    let at = Duration::from_nanos(at.load(Ordering::Acquire));
                    latencies.push(now.saturating_sub(at));
                }
                batch = Some(
                    reply
                        .word("batch")
                        .ok_or("a reply without a batch")?
                        .to_owned(),
                );
            }
            if batch.is_some() {
                wait(waiters, agent, batch.as_deref())?;
            }
        }
    }
    let elapsed = began.elapsed();
    latencies.sort_unstable();
    Ok(Spent { elapsed, latencies })
}

/// The tasks of a reply, which are numbers.
fn numbers(body: &[u8]) -> Outcome<Vec<usize>> {
    let text = std::str::from_utf8(body)?;
    let tasks = text.split("\"task\":\"").skip(1);
    let tasks = tasks.map(|rest| rest.split('"').next().unwrap_or_default());
    tasks.map(|task| Ok(task.parse()?)).collect()
}
