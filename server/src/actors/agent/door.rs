//! The door of an agent: what it shares with its callers.
//!
//! A message for an agent that has no socket open is left at the door: counted, numbered, and
//! taken in when the agent next has something to do. That costs no wake-up, survives a panic of
//! the actor, and is bounded all the same.

use super::{Agent, Belongings, Nudge, SessionId};
use crate::actors::board::Board;
use crate::actors::clock::Clock;
use crate::actors::dead_letters::DeadLettersHandle;
use crate::actors::herald::HeraldHandle;
use crate::actors::lifeline::Lifeline;
use crate::actors::reservations::ReservationsHandle;
use crate::actors::routing::Router;
use crate::core::Millis;
use crate::core::budget::Budget;
use crate::core::identity::Registered;
use crate::core::inbox::{Arrivals, Dead, Delivery, Limits, NotAdmitted, Seq, Unwritten, Waiting};
use crate::core::message::Envelope;
use crate::core::metrics::{Metrics, Missed};
use crate::core::presence::Presence;
use crate::core::receipt::Salt;
use crate::core::window::Mark;
use actix::Addr;
use clawlink_protocol::name::AgentId;
use parking_lot::{Mutex, RwLock};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Left at the door at most, before the actor is woken to take them in. Mail is bounded by the
/// inbox; this is for notices, whose bound the inbox keeps.
pub(super) const OUTSIDE_MAX: usize = 64;

/// What all agents have in common.
#[derive(Debug)]
pub struct Common {
    /// The relay's clock.
    pub clock: Clock,
    /// The bounds of one inbox.
    pub inbox: Limits,
    /// The bound of all of them.
    pub budget: Arc<Budget>,
    /// Silence after which an agent is removed.
    pub reap_after: Duration,
    /// Polls of one agent that may wait at the same time.
    pub polls_limit: usize,
    /// How many are online.
    pub online: Arc<AtomicUsize>,
    /// Tells polls that wait when the relay ends.
    pub lifeline: Lifeline,
    /// Tells sockets who comes and goes.
    pub herald: HeraldHandle,
    /// Where mail goes that died.
    pub dead_letters: DeadLettersHandle,
    /// Tasks.
    pub board: Arc<Board>,
    /// Finds others for what anybody may do.
    pub router: Arc<Router>,
    /// What ends with its agent.
    pub reservations: ReservationsHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// How the agent was last counted. [`Presence`] says how it is; this makes each change count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Standing {
    Online,
    Stale,
    Gone,
}

/// What an agent and its callers share. In this order: among a million agents no cache holds any of it, and
/// what every call reads lies together.
#[derive(Debug)]
#[repr(C)]
pub struct Door {
    pub(super) id: AgentId,
    /// Whose it is.
    pub(super) identity: Registered,
    pub(super) heard: AtomicU64,
    pub(super) ttl: AtomicU64,
    pub(super) standing: AtomicU8,
    pub(super) nudged: AtomicBool,
    /// Whether the actor wants to know at once how far its socket's peer has read.
    pub(super) eager: AtomicBool,
    /// The newest session that has sat down, and the newest that has ended.
    pub(super) session: AtomicU32,
    pub(super) ended: AtomicU32,
    /// Polls that wait.
    pub(super) polls: AtomicU32,
    pub(super) common: Arc<Common>,
    /// What lies behind it: see [`Door::enter`]. `None` while there is nothing of it.
    pub(super) own: Mutex<Option<Box<Belongings>>>,
    /// When the actor looks at its door unasked.
    pub(super) wakes_at: AtomicU64,
    pub(super) arrivals: Mutex<Arrivals>,
    pub(super) salt: Salt,
    /// Runs of the actor so far.
    pub(super) run: AtomicU32,
    pub(super) address: RwLock<Option<Addr<Agent>>>,
    /// How far the newest session that has confirmed anything has read.
    pub(super) confirmed: Mutex<(SessionId, Mark)>,
}

impl Door {
    pub(super) fn id(&self) -> &AgentId {
        &self.id
    }

    pub(super) fn limits(&self) -> Limits {
        self.common.inbox
    }

    pub(super) fn now(&self) -> Millis {
        self.common.clock.now()
    }

    /// Tells the receipts of this inbox from those of others.
    pub(super) fn salt(&self) -> Salt {
        self.salt
    }

    /// Which run of the actor this is.
    pub(super) fn run(&self) -> u32 {
        self.run.load(Ordering::SeqCst)
    }

    /// A new run begins: what replies of the run before still hold is not theirs any more. Gives
    /// what waits.
    pub(super) fn next_run(&self) -> Option<Box<Waiting>> {
        let mut arrivals = self.arrivals.lock();
        self.run.fetch_add(1, Ordering::SeqCst);
        arrivals.take()
    }

    /// Messages could not be written out. Those that were out in an earlier run are back already.
    pub(super) fn give_back(&self, run: u32, out: &[Seq], leased: Range<Delivery>, missed: u64) {
        let mut arrivals = self.arrivals.lock();
        arrivals.give_back_missed(missed);
        if run == self.run() {
            out.iter()
                .for_each(|&seq| arrivals.give_back(Unwritten::Out(seq)));
        }
        leased.for_each(|delivery| arrivals.give_back(Unwritten::Leased(delivery)));
        drop(arrivals);
        self.nudge();
    }

    pub(super) fn take_arrivals(&self) -> Option<Box<Waiting>> {
        self.arrivals.lock().take()
    }

    pub(super) fn release(&self, envelope: &Envelope) {
        self.arrivals.lock().release(envelope);
    }

    /// Takes notices in front of the door, in this order; tells `each` how it went, and says how many
    /// messages are there.
    pub(super) fn admit_notices<'a>(
        &self,
        notices: impl Iterator<Item = &'a Arc<Envelope>>,
        mut each: impl FnMut(Result<Seq, NotAdmitted>),
    ) -> usize {
        let mut arrivals = self.arrivals.lock();
        for notice in notices {
            let admitted = arrivals.admit(notice.clone(), self.limits(), &self.common.budget);
            if admitted == Err(NotAdmitted::NoRoom) {
                self.common.metrics.missed.of(Missed::Relay).inc();
            }
            each(admitted);
        }
        arrivals.outside()
    }

    /// Takes a message in front of the door; says how many are there, and under which number.
    pub(super) fn admit(&self, envelope: Arc<Envelope>) -> Result<(Seq, usize), NotAdmitted> {
        let (mail, metrics) = (envelope.is_mail(), &self.common.metrics);
        let mut arrivals = self.arrivals.lock();
        let admitted = arrivals.admit(envelope, self.limits(), &self.common.budget);
        match admitted {
            Ok(_) if mail => metrics.depth.observe(arrivals.mail() as u64),
            Err(NotAdmitted::NoRoom) if !mail => metrics.missed.of(Missed::Relay).inc(),
            _ => {}
        }
        Ok((admitted?, arrivals.outside()))
    }

    /// Whether the agent was removed.
    pub(super) fn is_gone(&self) -> bool {
        self.standing.load(Ordering::SeqCst) == Standing::Gone as u8
    }

    /// A run of the actor has panicked; says how many have.
    pub(in crate::actors) fn note_panic(self: &Arc<Self>) -> u32 {
        let mut inside = self.enter();
        inside.own().panics += 1;
        inside.own().panics
    }

    /// The agent is gone for good: its socket closes, nothing is admitted any more. Gives what was never
    /// confirmed.
    pub(in crate::actors) fn clear(&self) -> Vec<Dead> {
        let own = self.own.lock().take();
        let own = own.unwrap_or_else(|| Box::new(Belongings::new(self)));
        own.discard(self)
    }

    /// Nothing is admitted any more; gives what was left outside.
    pub(super) fn close(&self) -> Option<Box<Waiting>> {
        let mut arrivals = self.arrivals.lock();
        arrivals.close();
        arrivals.take()
    }

    /// Whether a message that dies then would die unseen.
    pub(super) fn sleeps_past(&self, expires: Option<Millis>) -> bool {
        expires.is_some_and(|expires| expires < self.wakes_at.load(Ordering::Relaxed))
    }

    pub(super) fn nudge_taken(&self) {
        self.nudged.store(false, Ordering::SeqCst);
    }

    /// A socket sits down. Gives the number of its session.
    pub(super) fn attended(&self) -> SessionId {
        self.session.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn note_confirmed(&self, session: SessionId, mark: Mark) {
        let mut confirmed = self.confirmed.lock();
        *confirmed = (*confirmed).max((session, mark));
    }

    /// How far this session has read.
    pub(super) fn confirmed(&self, session: SessionId) -> Mark {
        let (newest, mark) = *self.confirmed.lock();
        if newest == session { mark } else { 0 }
    }

    pub(super) fn ended_session(&self) -> SessionId {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether a socket is open.
    pub(super) fn is_attended(&self) -> bool {
        self.session.load(Ordering::SeqCst) > self.ended.load(Ordering::SeqCst)
    }

    /// Whether somebody is there this very moment: a socket, or a poll that waits.
    pub(super) fn is_present(&self) -> bool {
        self.is_attended() || self.polls.load(Ordering::SeqCst) > 0
    }

    pub(super) fn presence(&self, now: Millis) -> Presence {
        let ttl = Duration::from_millis(self.ttl.load(Ordering::Relaxed));
        let heard = if self.is_present() {
            now
        } else {
            self.heard.load(Ordering::Relaxed)
        };
        Presence::at(now, heard, ttl, self.common.reap_after)
    }

    /// Gives whether it was online before.
    pub(super) fn note_stale(&self) -> bool {
        let was_online = self.turn(Standing::Online, Standing::Stale);
        if was_online {
            self.common.online.fetch_sub(1, Ordering::Relaxed);
            self.common.router.went(&self.id);
        }
        was_online
    }

    /// Whether it was noticed that the agent is stale.
    pub(super) fn is_stale(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == Standing::Stale as u8
    }

    /// Gives whether it was stale before.
    pub(super) fn note_online(&self) -> bool {
        let was_stale = self.turn(Standing::Stale, Standing::Online);
        if was_stale {
            self.common.online.fetch_add(1, Ordering::Relaxed);
            self.common.router.came(&self.id);
        }
        was_stale
    }

    fn turn(&self, from: Standing, to: Standing) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.standing
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    pub(in crate::actors) fn nudge(&self) {
        if !self.nudged.swap(true, Ordering::SeqCst)
            && let Some(address) = &*self.address.read()
        {
            address.do_send(Nudge);
        }
    }
}
