//! A run: a relay, its clients over bad connections, and at the end a calm in which everything
//! that is left is read.

use crate::chaos::{Mood, Proxy};
use crate::clients::poller::Temper;
use crate::clients::{
    Ask, Common, Desk, Features, command, item_of, mortal, mute, plain, poller, sender, stream,
};
use crate::dice::Dice;
use crate::record::{Action, Clock, Died, Event, History, Micros, Name, SECOND, Span, Told};
use crate::wire::Request;
use harness::{Relay, Value};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Dead letters that a relay is asked to keep.
const DEAD_LIMIT: usize = 50_000;
/// Pages of the list of one agent's dead letters.
const PAGES: usize = 50;
/// Agents are read to the end within.
const DRAIN: Duration = Duration::from_secs(60);
/// What a machine that is only busy does not do to a sleeping thread.
const STANDSTILL: u64 = 2 * SECOND;

/// What a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Poller(Temper),
    Plain,
    Stream,
    /// A socket with receipts, where the relay has them; else one without.
    AckStream,
    Mute,
    Command,
    Sender,
    Mortal,
}

/// What is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Messages that are to be accepted.
    pub(crate) messages: usize,
    /// No more is sent after so long.
    pub(crate) time: Duration,
    pub(crate) crew: Vec<Role>,
    pub(crate) mood: Mood,
    pub(crate) inbox_limit: usize,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) history: History,
    /// Connections that were cut, half closed or reset.
    pub(crate) hurt: usize,
    /// From the first message to the last.
    pub(crate) sending: Duration,
}

/// Runs it.
///
/// # Panics
/// When the relay does not start or ends, or a client does.
pub(crate) fn run(plan: &Plan) -> Outcome {
    let relay = relay(plan.inbox_limit);
    run_behind(plan, &relay, relay.address)
}

/// A relay whose inboxes hold so much, and which remembers all its dead if it can.
pub(crate) fn relay(inbox_limit: usize) -> Relay {
    let (inboxes, dead) = (inbox_limit.to_string(), DEAD_LIMIT.to_string());
    let mut options = vec!["--inbox-limit", &inboxes, "--log", "warn"];
    let help = Command::new(harness::binaries::relay())
        .arg("--help")
        .output();
    let help = help.map(|help| String::from_utf8_lossy(&help.stdout).into_owned());
    if help.is_ok_and(|help| help.contains("--dead-letters-limit")) {
        options.extend(["--dead-letters-limit", &dead]);
    }
    Relay::with(&options)
}

/// The same where the clients' way to the relay leads over another address.
///
/// # Panics
/// As [`run`].
pub(crate) fn run_behind(plan: &Plan, relay: &Relay, front: SocketAddr) -> Outcome {
    let names: Vec<Name> = (0..)
        .zip(&plan.crew)
        .map(|(n, role)| name(*role, n))
        .collect();
    let common = common(plan, relay, &names);
    let mut driver = desk(
        &common,
        "driver".into(),
        relay.address,
        Dice::of(plan.seed, 0),
    );
    for name in common.receivers.clone() {
        driver.name = name;
        mortal::register(&mut driver);
    }
    let began = Instant::now();
    let stood_still = watch_the_clock(&common);
    let (proxies, threads) = start(plan, &common, front, &names);
    wait_for_messages(plan, &common);
    let sending = began.elapsed();
    common.sent_all.store(true, Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(1));
    common.over.store(true, Ordering::SeqCst);
    proxies.iter().for_each(Proxy::calm);
    for thread in threads {
        driver
            .events
            .extend(thread.join().expect("a client ends well"));
    }
    let end = Instant::now() + Duration::from_secs(20);
    let settled = proxies.iter().all(|proxy| proxy.settle(end));
    assert!(settled, "connections of clients that have ended stay open");
    drain(&mut driver);
    let dead_limit = common.features.dead_letters.then_some(DEAD_LIMIT);
    let mut history = History::new(plan.inbox_limit, dead_limit);
    history.events = std::mem::take(&mut driver.events);
    history.events.sort_by_key(began_at);
    history.stood_still = stood_still.load(Ordering::SeqCst);
    let hurt = proxies.iter().map(Proxy::hurt).sum();
    Outcome {
        history,
        hurt,
        sending,
    }
}

fn common(plan: &Plan, relay: &Relay, names: &[Name]) -> Arc<Common> {
    let stays = |(_, role): &(&Name, &Role)| **role != Role::Mortal;
    let receivers = names.iter().zip(&plan.crew).filter(stays);
    Arc::new(Common {
        clock: Clock::start(),
        features: Features::of(&relay.get("/").json()),
        relay: relay.address,
        sent_all: AtomicBool::new(false),
        over: AtomicBool::new(false),
        gap: gap(plan),
        accepted: AtomicUsize::new(0),
        receivers: receivers.map(|(name, _)| name.clone()).collect(),
        mortal: AtomicUsize::new(0),
    })
}

/// The time between two messages of one sender with which all come to be sent in half
/// of the time there is: more happens between them than when all are sent at once.
fn gap(plan: &Plan) -> u64 {
    let senders = plan
        .crew
        .iter()
        .filter(|role| **role == Role::Sender)
        .count();
    let time = plan.time.as_micros() as u64 / 2;
    time * senders as u64 / plan.messages.max(1) as u64
}

fn name(role: Role, n: usize) -> Name {
    let kind = match role {
        Role::Poller(Temper::Steady) => "poller",
        Role::Poller(Temper::Late) => "late",
        Role::Poller(Temper::Hopeless) => "hopeless",
        Role::Plain => "plain",
        Role::Stream => "stream",
        Role::AckStream => "ackstream",
        Role::Mute => "mute",
        Role::Command => "command",
        Role::Sender => "sender",
        Role::Mortal => "mortals",
    };
    format!("{kind}-{n}").into()
}

fn desk(common: &Arc<Common>, name: Name, address: SocketAddr, dice: Dice) -> Desk {
    Desk {
        name,
        address,
        dice,
        common: Arc::clone(common),
        events: Vec::new(),
    }
}

type Thread = std::thread::JoinHandle<Vec<Event>>;

/// Every fourth client has a good connection, so that some histories have no gaps.
fn start(
    plan: &Plan,
    common: &Arc<Common>,
    front: SocketAddr,
    names: &[Name],
) -> (Vec<Proxy>, Vec<Thread>) {
    let (mut proxies, mut threads) = (Vec::new(), Vec::new());
    for (n, (&role, name)) in plan.crew.iter().zip(names).enumerate() {
        let mood = if n % 4 == 3 { Mood::HONEST } else { plan.mood };
        let change = (role == Role::Command).then_some(command::SHORTER);
        let proxy = Proxy::start(front, (plan.seed, n as u64), mood, change);
        let dice = Dice::of(plan.seed, 1_000 + n as u64);
        let desk = desk(common, name.clone(), proxy.address, dice);
        let acks = common.features.ack_socket;
        proxies.push(proxy);
        threads.push(std::thread::spawn(move || match role {
            Role::Poller(temper) => poller::run(desk, temper),
            Role::Plain => plain::run(desk),
            Role::Stream => stream::run(desk, false),
            Role::AckStream => stream::run(desk, acks),
            Role::Mute => mute::run(desk),
            Role::Command => command::run(desk),
            Role::Sender => sender::run(desk, n as u32 + 1),
            Role::Mortal => mortal::run(desk),
        }));
    }
    (proxies, threads)
}

fn wait_for_messages(plan: &Plan, common: &Common) {
    let end = Instant::now() + plan.time;
    while Instant::now() < end && common.accepted.load(Ordering::SeqCst) < plan.messages {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the machine stood still: then the relay's deadlines may have moved.
fn watch_the_clock(common: &Arc<Common>) -> Arc<AtomicBool> {
    let still = Arc::new(AtomicBool::new(false));
    let (told, common) = (Arc::clone(&still), Arc::clone(common));
    std::thread::spawn(move || {
        while !common.over.load(Ordering::SeqCst) {
            let before = common.clock.now();
            std::thread::sleep(Duration::from_millis(100));
            if common.clock.now() > before + STANDSTILL {
                told.store(true, Ordering::SeqCst);
            }
        }
    });
    still
}

/// Reads everything that waits, until every lease is over and all inboxes are empty.
fn drain(driver: &mut Desk) {
    let agents: Vec<Name> = remaining(&driver.events);
    let over = leases_end(&driver.events) + SECOND / 2;
    let end = Instant::now() + DRAIN;
    loop {
        let late = driver.now() > over;
        let mut empty = true;
        for agent in &agents {
            driver.name = agent.clone();
            let ask = Ask {
                lease: Some(2),
                wait: 0,
                max: Some(200),
            };
            if let Some(leased) = driver.poll(ask, None) {
                empty = false;
                driver.settle(&leased, Action::Ack, true);
            }
        }
        if (late && empty) || Instant::now() > end {
            break;
        }
        if empty {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    for agent in &agents {
        let request = Request::get(format!("/poll/{agent}?peek=1&max=500"));
        let (_, told) = driver.call(&request, 0);
        for message in told
            .done()
            .and_then(|reply| reply["messages"].as_array())
            .into_iter()
            .flatten()
        {
            if let Some(item) = item_of(message) {
                let (agent, mark) = (agent.clone(), item.mark);
                driver.events.push(Event::Waits { agent, mark });
            }
        }
    }
    if driver.common.features.dead_letters {
        list_the_dead(driver);
    }
}

/// When the last lease, and the last delay, of these is over.
fn leases_end(events: &[Event]) -> Micros {
    let ends = events.iter().map(|event| match event {
        Event::Polled(polled) => polled.span.to + polled.lease.unwrap_or(0),
        Event::Settled(settled) => match settled.action {
            Action::Nack(time) | Action::Extend(time) => settled.span.to + time,
            Action::Ack => 0,
        },
        _ => 0,
    });
    ends.max().unwrap_or(0)
}

/// Everybody who joined and did not leave.
fn remaining(events: &[Event]) -> Vec<Name> {
    let left = |name: &Name| {
        let mut leaves = events.iter();
        leaves.any(|event| matches!(event, Event::Left { agent, .. } if agent == name))
    };
    let joined = events.iter().filter_map(|event| match event {
        Event::Joined { agent, .. } => Some(agent.clone()),
        _ => None,
    });
    joined.filter(|name| !left(name)).collect()
}

fn list_the_dead(driver: &mut Desk) {
    let joined = driver.events.iter().filter_map(|event| match event {
        Event::Joined { agent, .. } => Some(agent.clone()),
        _ => None,
    });
    for agent in joined.collect::<Vec<_>>() {
        let mut path = format!("/dead-letters?agent={agent}&limit=1000");
        for _ in 0..PAGES {
            let (span, told) = driver.call(&Request::get(path.clone()), 0);
            let Told::Done(reply) = told else { break };
            bury(driver, &agent, span, &reply);
            let Some(next) = reply["next_cursor"].as_str() else {
                break;
            };
            path = format!("/dead-letters?agent={agent}&limit=1000&cursor={next}");
        }
    }
}

fn bury(driver: &mut Desk, agent: &Name, span: Span, reply: &Value) {
    for letter in reply["dead_letters"].as_array().into_iter().flatten() {
        let Some(item) = item_of(&letter["message"]) else {
            continue;
        };
        driver.events.push(Event::Died(Died {
            agent: agent.clone(),
            mark: item.mark,
            reason: text(&letter["reason"]),
            attempts: letter["attempts"].as_u64().unwrap_or(0) as u32,
            span,
        }));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn began_at(event: &Event) -> u64 {
    match event {
        Event::Joined { span, .. } | Event::Left { span, .. } => span.from,
        Event::Sent(sent) => sent.span.from,
        Event::Polled(polled) => polled.span.from,
        Event::Settled(settled) => settled.span.from,
        Event::Stream(stream) => stream.span.from,
        Event::Died(died) => died.span.from,
        Event::Failed(failed) => failed.at,
        Event::Waits { .. } => u64::MAX,
    }
}
