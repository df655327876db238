//! The typed handle of an agent, and the door behind it.
//!
//! A message for an agent that has no socket open is left at the door: counted, numbered, and
//! taken in when the agent next has something to do. That costs no wake-up, survives a panic of
//! the actor, and is bounded all the same.

use super::{Agent, Attach, Batch, Leave, Nudge, Poll, SessionId, TakeIn};
use crate::actors::clock::Clock;
use crate::actors::socket::SocketHandle;
use crate::core::Millis;
use crate::core::inbox::{Arrivals, Limits, NotAdmitted, Seq};
use crate::core::message::Envelope;
use crate::core::presence::{Presence, millis};
use crate::core::window::Mark;
use actix::Addr;
use clawlink_protocol::name::AgentId;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Left at the door at most, before the actor is woken to take them in. Mail is bounded by the
/// inbox; this is for notices, whose bound the inbox keeps.
const OUTSIDE_MAX: usize = 64;
/// How long a call waits for an agent that is being started again after a panic.
const RESTART_PATIENCE: Duration = Duration::from_secs(1);

/// What all agents have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The relay's clock.
    pub clock: Clock,
    /// The bounds of one inbox.
    pub inbox: Limits,
    /// Silence after which an agent is removed.
    pub reap_after: Duration,
    /// How many are online.
    pub online: Arc<AtomicUsize>,
}

/// How the agent was last counted. [`Presence`] says how it is; this makes each change count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Standing {
    Online,
    Stale,
    Gone,
}

/// What an agent and its callers share.
#[derive(Debug)]
pub struct Door {
    id: AgentId,
    common: Common,
    arrivals: Mutex<Arrivals>,
    address: RwLock<Option<Addr<Agent>>>,
    nudged: AtomicBool,
    heard: AtomicU64,
    ttl: AtomicU64,
    standing: AtomicU8,
    /// The newest session that has sat down, and the newest that has ended.
    session: AtomicU64,
    ended: AtomicU64,
    /// How far the newest session that has confirmed anything has read.
    confirmed: Mutex<(SessionId, Mark)>,
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

    pub(super) fn take_arrivals(&self) -> Vec<(Seq, Arc<Envelope>)> {
        self.arrivals.lock().take()
    }

    pub(super) fn release(&self, envelope: &Envelope) {
        self.arrivals.lock().release(envelope);
    }

    /// Nothing is admitted any more; gives how many messages were left outside.
    pub(super) fn close(&self) -> usize {
        let mut arrivals = self.arrivals.lock();
        arrivals.close();
        arrivals.take().len()
    }

    pub(super) fn nudge_taken(&self) {
        self.nudged.store(false, Ordering::SeqCst);
    }

    pub(super) fn attended(&self, session: SessionId) {
        self.session.fetch_max(session, Ordering::SeqCst);
    }

    fn note_confirmed(&self, session: SessionId, mark: Mark) {
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

    pub(super) fn presence(&self, now: Millis) -> Presence {
        let ttl = Duration::from_millis(self.ttl.load(Ordering::Relaxed));
        let heard = if self.is_attended() {
            now
        } else {
            self.heard.load(Ordering::Relaxed)
        };
        Presence::at(now, heard, ttl, self.common.reap_after)
    }

    pub(super) fn note_stale(&self) {
        if self.turn(Standing::Online, Standing::Stale) {
            self.common.online.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives whether it was stale before.
    pub(super) fn note_online(&self) -> bool {
        let was_stale = self.turn(Standing::Stale, Standing::Online);
        if was_stale {
            self.common.online.fetch_add(1, Ordering::Relaxed);
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

/// Where a delivered message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is in flight to the agent's open socket.
    Websocket,
    /// It waits in the inbox.
    Queued,
}

impl Delivery {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Delivery::Websocket => "websocket",
            Delivery::Queued => "queued",
        }
    }
}

/// The agent is no longer registered, or could not be started again in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// A socket's seat at its agent. Dropped, however that comes about, it is given up: what the
/// socket never confirmed waits in the inbox again.
#[derive(Debug)]
pub struct Session {
    pub(super) agent: AgentHandle,
    pub(super) id: SessionId,
}

impl Session {
    /// The peer has read everything before this mark. Noted at the door, so that it counts
    /// whatever happens to the actor or to this seat.
    pub fn confirm(&self, mark: Mark) {
        self.agent.0.note_confirmed(self.id, mark);
        self.agent.0.nudge();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.agent.heard();
        self.agent.0.ended.fetch_max(self.id, Ordering::SeqCst);
        self.agent.0.nudge();
    }
}

/// Sees to it that the actor looks at its door, however a call ends.
struct NudgeAtEnd<'a>(&'a Door);

impl Drop for NudgeAtEnd<'_> {
    fn drop(&mut self) {
        if self.0.arrivals.lock().outside() > 0 {
            self.0.nudge();
        }
    }
}

/// What callers hold of an agent.
#[derive(Debug, Clone)]
pub struct AgentHandle(Arc<Door>);

impl AgentHandle {
    /// A door without an actor behind it yet. Counted as online from the start.
    pub fn new(id: AgentId, ttl: Duration, common: Common) -> Self {
        common.online.fetch_add(1, Ordering::Relaxed);
        let now = common.clock.now();
        AgentHandle(Arc::new(Door {
            arrivals: Mutex::new(Arrivals::new(common.inbox)),
            id,
            common,
            address: RwLock::new(None),
            nudged: AtomicBool::new(false),
            heard: AtomicU64::new(now),
            ttl: AtomicU64::new(millis(ttl)),
            standing: AtomicU8::new(Standing::Online as u8),
            session: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            confirmed: Mutex::new((0, 0)),
        }))
    }

    pub(super) fn of(door: Arc<Door>) -> Self {
        AgentHandle(door)
    }

    pub(in crate::actors) fn door(&self) -> &Arc<Door> {
        &self.0
    }

    /// A run of the actor has begun. What came while there was none is taken in as it starts.
    pub(in crate::actors) fn connect(&self, address: Addr<Agent>) {
        *self.0.address.write() = Some(address);
        self.0.nudged.store(false, Ordering::SeqCst);
        self.0.nudge();
    }

    /// Whether this is the same registration, and not a later one under the same id.
    pub(in crate::actors) fn is(&self, other: &AgentHandle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Its id.
    pub fn id(&self) -> &AgentId {
        &self.0.id
    }

    /// The agent was heard just now. One store, unless it was stale.
    pub fn heard(&self) {
        self.0.heard.store(self.0.now(), Ordering::Relaxed);
        let standing = self.0.standing.load(Ordering::Relaxed);
        if standing == Standing::Stale as u8 && self.0.note_online() {
            self.0.nudge();
        }
    }

    /// Changes the time to live. A timer that is set for later than the new one asks is set anew.
    pub(in crate::actors) fn set_ttl(&self, ttl: Duration) {
        if self.0.ttl.swap(millis(ttl), Ordering::Relaxed) != millis(ttl) {
            self.0.nudge();
        }
    }

    /// How the agent is now.
    pub fn presence(&self) -> Presence {
        self.0.presence(self.0.now())
    }

    /// When it was last heard.
    pub fn last_heard(&self) -> Millis {
        if self.0.is_attended() {
            self.0.now()
        } else {
            self.0.heard.load(Ordering::Relaxed)
        }
    }

    /// Gives the agent a message. It is in the inbox, or refused, when this returns.
    pub async fn deliver(&self, envelope: Arc<Envelope>) -> Result<Delivery, NotAdmitted> {
        let seq = self.0.arrivals.lock().admit(envelope)?;
        if !self.0.is_attended() {
            return Ok(Delivery::Queued);
        }
        let Some(address) = self.0.address.read().clone() else {
            return Ok(Delivery::Queued);
        };
        // A caller that hangs up takes the question back, not the message: then a nudge asks for it.
        // An actor that panics meanwhile leaves the message where its successor finds it.
        let _taken_in = NudgeAtEnd(&self.0);
        match address.send(TakeIn(seq)).await {
            Ok(true) => Ok(Delivery::Websocket),
            Ok(false) | Err(_) => Ok(Delivery::Queued),
        }
    }

    /// Gives the agent a notice, which is never refused. Does not wait.
    pub fn notify(&self, envelope: Arc<Envelope>) {
        let outside = {
            let mut arrivals = self.0.arrivals.lock();
            if arrivals.admit(envelope).is_err() {
                return;
            }
            arrivals.outside()
        };
        if outside >= OUTSIDE_MAX || self.0.is_attended() {
            self.0.nudge();
        }
    }

    /// Takes everything that waits. Counts as heard.
    pub async fn poll(&self) -> Result<Batch, Gone> {
        self.heard();
        self.ask(|| Poll).await
    }

    /// Sits a socket down; the one before it is told that it was replaced.
    pub async fn attach(&self, socket: SocketHandle) -> Result<Session, Gone> {
        self.ask(|| Attach(socket.clone())).await
    }

    /// The agent has been taken out of the directory: its actor ends.
    pub(in crate::actors) fn leave(&self) {
        // From here on senders are told; what was admitted before is still accounted for.
        self.0.arrivals.lock().close();
        let before = self.0.standing.swap(Standing::Gone as u8, Ordering::SeqCst);
        if before == Standing::Online as u8 {
            self.0.common.online.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(address) = &*self.0.address.read() {
            address.do_send(Leave);
        }
    }

    /// Asks the actor. If it panics, its successor is asked.
    async fn ask<M>(&self, message: impl Fn() -> M) -> Result<M::Result, Gone>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Agent: actix::Handler<M>,
    {
        let deadline = tokio::time::Instant::now() + RESTART_PATIENCE;
        loop {
            if self.0.standing.load(Ordering::SeqCst) == Standing::Gone as u8 {
                return Err(Gone);
            }
            let address = self.0.address.read().clone().ok_or(Gone)?;
            match address.send(message()).await {
                Ok(answer) => return Ok(answer),
                Err(_) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<Agent> {
        self.0.address.read().clone().unwrap()
    }
}
