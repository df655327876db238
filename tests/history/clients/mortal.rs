//! Agents that come, get mail, and are removed with it.

use super::{Ask, Desk};
use crate::record::{Event, Name, Told};
use crate::wire::Request;
use harness::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a call that must succeed is made.
const CALLS: usize = 10;

/// The n-th of them.
pub(crate) fn name(n: usize) -> Name {
    format!("mortal-{n}").into()
}

/// Comes and goes, over a connection of its own to the relay, until the run is over.
pub(crate) fn run(mut desk: Desk) -> Vec<Event> {
    for n in 0.. {
        desk.name = name(n);
        register(&mut desk);
        desk.common.mortal.store(n, Ordering::SeqCst);
        desk.pause(800, 3_000);
        if desk.dice.percent(50) {
            let ask = Ask {
                lease: Some(1),
                wait: 0,
                max: Some(10),
            };
            desk.poll(ask, None);
        }
        if desk.is_over() {
            break;
        }
        leave(&mut desk);
    }
    desk.events
}

/// Registers under the desk's name; notes when.
///
/// # Panics
/// When the relay does not take it.
pub(crate) fn register(desk: &mut Desk) {
    let from = desk.now();
    let request = Request::post("/register", &json!({"agent_id": &*desk.name}));
    insist(desk, &request);
    let span = desk.common.clock.since(from);
    let agent = desk.name.clone();
    desk.events.push(Event::Joined { agent, span });
}

fn leave(desk: &mut Desk) {
    let from = desk.now();
    let request = Request::post("/deregister", &json!({"agent_id": &*desk.name}));
    insist(desk, &request);
    let span = desk.common.clock.since(from);
    let agent = desk.name.clone();
    desk.events.push(Event::Left { agent, span });
}

/// Asks the relay itself until it answers. To leave twice is refused, and done.
fn insist(desk: &Desk, request: &Request) {
    for _ in 0..CALLS {
        let told = crate::wire::call(desk.common.relay, request, Duration::from_secs(10));
        if !matches!(told, Told::Unknown) {
            return;
        }
    }
    panic!("the relay does not answer: {request:?}");
}
