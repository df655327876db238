//! What is known of a connection: where in its conversation it is, and what is too late in it.

use super::super::flow::Flow;
use crate::actors::agent::poll::Batch;
use crate::core::Millis;
use crate::core::presence::millis;
use clawlink_protocol::name::AgentId;
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A read that gives less is a drop.
pub(super) const DROP: usize = 512;
/// Drops of one head, or of one body, that are read as they come. Those after them are left to
/// gather: of many peers that send theirs at the same moment nobody else takes notice then, as each
/// waits for a time of its own.
pub(super) const DROPS: u32 = 2;
/// Milliseconds for which drops gather at first, and at most; once more as much is spread.
pub(super) const GATHER: (u64, u64) = (32, 128);

/// Where in its conversation a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request is worked off. Its head may come.
    Between,
    /// A request is worked off, and nothing more of it comes. What the peer sends now is the next
    /// one's and stays in the kernel; only the end of the connection is listened for.
    Asked,
    /// Its body is read, with deadlines of its own.
    Body,
}

/// What is known of a connection. The connection's thread alone has it.
pub struct Watch {
    /// What all connections have in common.
    pub flow: Arc<Flow>,
    pub(super) phase: Cell<Phase>,
    /// Requests that have come.
    pub(super) asked: Cell<u64>,
    /// Since when no request is worked off.
    since: Cell<Millis>,
    /// When the first byte after that came.
    pub(super) begun: Cell<Option<Millis>>,
    /// Since when the peer has not taken all of what was written.
    pub(super) stuck: Cell<Option<Millis>>,
    /// Reads of this head or body that gave little.
    pub(super) drops: Cell<u32>,
    /// The agent that the request under way is about, for the log.
    agent: RefCell<Option<AgentId>>,
    /// Who wants to read what stays in the kernel.
    pub(super) reader: Cell<Option<Waker>>,
    /// What was given for good when all that was written has gone.
    pub(super) given: RefCell<Vec<Batch>>,
    /// Whether it has one of the places that there are.
    seated: Cell<bool>,
    /// As what it goes on when HTTP has ended on it.
    next: Cell<Option<LocalBoxFuture<'static, ()>>>,
}

impl Watch {
    /// Of a connection that was just accepted.
    pub fn new(flow: Arc<Flow>) -> Rc<Watch> {
        Rc::new(Watch {
            phase: Cell::new(Phase::Between),
            asked: Cell::new(0),
            since: Cell::new(flow.clock.now()),
            begun: Cell::new(None),
            stuck: Cell::new(None),
            drops: Cell::new(0),
            agent: RefCell::new(None),
            reader: Cell::new(None),
            given: RefCell::new(Vec::new()),
            seated: Cell::new(flow.sit_down()),
            next: Cell::new(None),
            flow,
        })
    }

    /// Whether there is a place for this connection; one that came too early may ask again.
    pub fn has_place(&self) -> bool {
        if !self.seated.get() {
            self.seated.set(self.flow.sit_down());
        }
        self.seated.get()
    }

    /// A request is worked off from now on, until what is returned is dropped.
    pub fn ask(self: Rc<Watch>) -> Turn {
        self.asked.update(|asked| asked + 1);
        self.stuck.set(None);
        self.agent.take();
        self.flow.begin();
        self.enter(Phase::Asked);
        Turn(self)
    }

    /// The request under way is about this agent.
    pub fn note(&self, agent: &AgentId) {
        self.agent.replace(Some(agent.clone()));
    }

    /// The agent that was noted last.
    pub fn noted(&self) -> Option<AgentId> {
        self.agent.borrow().clone()
    }

    /// These messages were given when all that was written before has gone. If it does not go, they return.
    pub fn gives(&self, batch: Batch) {
        self.given.borrow_mut().push(batch);
    }

    /// Its body is read from now on.
    pub fn body_begins(&self) {
        self.enter(Phase::Body);
    }

    /// Its body has been read.
    pub fn body_ends(&self) {
        self.enter(Phase::Asked);
    }

    /// Whether its body is read.
    pub fn reads_body(&self) -> bool {
        self.phase.get() == Phase::Body
    }

    /// When HTTP has ended on the connection, it goes on as this: at once, as what goes on holds this
    /// record itself.
    pub fn go_on(&self, next: LocalBoxFuture<'static, ()>) {
        self.next.set(Some(next));
    }

    /// As what it goes on, if it does.
    pub fn goes_on(&self) -> Option<LocalBoxFuture<'static, ()>> {
        self.next.take()
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.drops.set(0);
        // While a request is worked off nothing is read.
        let reads = phase != Phase::Asked;
        if let Some(reader) = reads.then(|| self.reader.take()).flatten() {
            reader.wake();
        }
    }

    /// Whether no request has come yet: its head is awaited from the beginning.
    pub fn is_new(&self) -> bool {
        self.asked.get() == 0
    }

    /// When the connection ends if nothing of a request comes.
    pub fn idle_until(&self) -> Millis {
        let limits = &self.flow.limits;
        let time = match self.is_new() {
            true => limits.head,
            false => limits.keep_alive,
        };
        self.since.get() + millis(time)
    }

    /// How long to wait until the next read after one of so many bytes, if at all.
    pub(super) fn gather(&self, read: usize) -> Option<Duration> {
        if read == 0 || read >= DROP {
            return None;
        }
        let drops = self.drops.get().saturating_add(1);
        self.drops.set(drops);
        let (least, most) = GATHER;
        let doubled = drops.checked_sub(DROPS + 1)?.min(u64::BITS / 2);
        let time = (least << doubled).min(most);
        Some(Duration::from_millis(time + self.flow.spread(time)))
    }

    /// When the connection is to end, as far as it is now known, and for what.
    pub(super) fn deadline(&self) -> Option<(Millis, Late)> {
        let limits = &self.flow.limits;
        let head = match self.phase.get() {
            Phase::Between if self.is_new() => Some((self.idle_until(), Late::Head)),
            Phase::Between => {
                // Which of the bytes that came during the last request began the next one is not
                // known here. An idle connection is ended before this by the layer above.
                let since = self.idle_until();
                let begun = self.begun.get().unwrap_or(since);
                Some((begun.min(since) + millis(limits.head), Late::Head))
            }
            _ => None,
        };
        let reply = self.stuck.get().map(|since| {
            let deadline = since + millis(limits.body_total);
            (deadline, Late::Reply)
        });
        head.into_iter().chain(reply).min_by_key(|(at, _)| *at)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.seated.get() {
            self.flow.stand_up();
        }
    }
}

/// A request that is worked off.
pub struct Turn(Rc<Watch>);

impl Turn {
    /// On which connection.
    pub fn watch(&self) -> &Watch {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let watch = &self.0;
        watch.flow.end();
        watch.since.set(watch.flow.clock.now());
        watch.begun.set(None);
        watch.enter(Phase::Between);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Head,
    Reply,
}
