//! The typed handle of an agent.

use super::claiming::Claimed;
use super::door::{Common, Door, OUTSIDE_MAX, Standing};
use super::poll::{Action, NoMail, Settlement};
use super::{Agent, Attach, Leave, SessionId};
use crate::actors::socket::SocketHandle;
use crate::core::Millis;
use crate::core::identity::{Owner, Registered};
use crate::core::inbox::{Arrivals, Delivery, NotAdmitted, Seq};
use crate::core::message::Envelope;
use crate::core::presence::{Presence, millis};
use crate::core::receipt::Salt;
use crate::core::task::Task;
use crate::core::window::Mark;
use actix::Addr;
use clawlink_protocol::name::AgentId;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a call waits for an agent that is being started again after a panic.
const RESTART_PATIENCE: Duration = Duration::from_secs(1);

/// Where a delivered message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// It is in flight to the agent's open socket.
    Websocket,
    /// It waits in the inbox.
    Queued,
}

impl Route {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Route::Websocket => "websocket",
            Route::Queued => "queued",
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
    /// whatever happens to the actor or to this seat. Where nothing hangs on it the actor sees it when
    /// it next has something to do.
    pub fn confirm(&self, mark: Mark) {
        let door = &self.agent.0;
        door.note_confirmed(self.id, mark);
        if door.eager.load(Ordering::SeqCst) {
            door.look(|_| ());
        }
    }

    /// The same for a peer that reads no further, and is handed nothing more.
    pub fn confirm_last(self, mark: Mark) {
        self.agent.0.note_confirmed(self.id, mark);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.agent.heard();
        self.agent.0.ended.fetch_max(self.id, Ordering::SeqCst);
        self.agent.0.nudge();
    }
}

/// A message that an inbox has taken.
#[derive(Debug)]
pub struct Admitted {
    door: Arc<Door>,
    seq: Seq,
    expires: Option<Millis>,
}

impl Admitted {
    /// Its place.
    pub fn place(&self) -> Seq {
        self.seq
    }

    /// Whose inbox that is.
    pub fn owner(&self) -> Owner {
        self.door.identity.owner().clone()
    }

    /// Sees to it that whoever is there gets it at once; says where it went.
    pub fn route(self) -> Route {
        if !self.door.is_present() {
            return Route::Queued;
        }
        // What is given to a poll that waits has left the inbox, and is no socket's.
        match self.door.look(|inside| inside.is_in_flight(self.seq)) {
            Some(true) => Route::Websocket,
            _ => Route::Queued,
        }
    }
}

/// Sees to it that the actor looks at its door, however a call ends: who drops this may hold the task,
/// and does not come in.
impl Drop for Admitted {
    fn drop(&mut self) {
        let door = &self.door;
        let concerned = door.sleeps_past(self.expires) || door.is_present();
        if concerned && door.arrivals.lock().outside() > 0 {
            door.nudge();
        }
    }
}

/// The earlier of two times, where there is one.
fn earlier(one: Option<Millis>, other: Option<Millis>) -> Option<Millis> {
    one.into_iter().chain(other).min()
}

/// What callers hold of an agent.
#[derive(Debug, Clone)]
pub struct AgentHandle(pub(super) Arc<Door>);

impl AgentHandle {
    /// A door without an actor behind it yet. Counted as online from the start.
    pub fn new(id: AgentId, ttl: Duration, salt: Salt, common: Arc<Common>) -> Self {
        common.online.fetch_add(1, Ordering::Relaxed);
        let now = common.clock.now();
        AgentHandle(Arc::new(Door {
            arrivals: Mutex::new(Arrivals::default()),
            own: Mutex::new(None),
            id,
            common,
            identity: Registered::default(),
            salt,
            run: AtomicU32::new(0),
            address: RwLock::new(None),
            nudged: AtomicBool::new(false),
            wakes_at: AtomicU64::new(0),
            heard: AtomicU64::new(now),
            ttl: AtomicU64::new(millis(ttl)),
            standing: AtomicU8::new(Standing::Online as u8),
            session: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            confirmed: Mutex::new((0, 0)),
            eager: AtomicBool::new(false),
            polls: AtomicU32::new(0),
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

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        self.0.identity.owner()
    }

    /// The same, for who speaks for it or registers it.
    pub fn identity(&self) -> &Registered {
        &self.0.identity
    }

    /// A secret has claimed it: who is here without it is sent away. An actor that is only being
    /// started sees to it by itself.
    pub(in crate::actors) fn claimed(&self) {
        if let Some(address) = &*self.0.address.read() {
            address.do_send(Claimed);
        }
    }

    /// The agent was heard just now. One store, unless it was stale.
    pub fn heard(&self) {
        let now = self.0.now();
        let was_online = self.0.presence(now).is_online();
        self.0.heard.store(now, Ordering::SeqCst);
        if self.0.is_stale() && self.0.note_online() {
            self.0.nudge();
        } else if !was_online {
            // It was silent for so long that others may have taken it for stale, though it was not
            // noted yet.
            self.0.common.router.came(self.id());
        }
    }

    /// It was chosen because it was there: where that is over by now, its actor sees what came.
    pub(in crate::actors) fn look_if_away(&self) {
        if !self.presence().is_online() {
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
        self.presence_at(self.0.now())
    }

    /// How it is at a moment that is now.
    pub fn presence_at(&self, now: Millis) -> Presence {
        self.0.presence(now)
    }

    /// When it was last heard.
    pub fn last_heard(&self) -> Millis {
        if self.0.is_present() {
            self.0.now()
        } else {
            self.0.heard.load(Ordering::Relaxed)
        }
    }

    /// Gives the agent a message. It is in the inbox, or refused, when this returns.
    pub fn admit(&self, envelope: Arc<Envelope>) -> Result<Admitted, NotAdmitted> {
        let expires = envelope.expires;
        let (seq, _) = self.0.admit(envelope)?;
        Ok(Admitted {
            door: self.0.clone(),
            seq,
            expires,
        })
    }

    /// The delegation of a task that has come to an end, or is worked on, leaves the inbox.
    pub fn withdraw(&self, place: Seq, task: &Arc<Task>) -> Result<(), Gone> {
        self.0.step_in()?.withdraw(place, task);
        Ok(())
    }

    /// Gives the agent a notice. Does not wait.
    pub fn notify(&self, envelope: Arc<Envelope>) -> Result<(), NotAdmitted> {
        let expires = envelope.expires;
        let (_, outside) = self.0.admit(envelope)?;
        self.look_after(outside, expires);
        Ok(())
    }

    /// Takes in what has come, where somebody is there for it or so much of it waits; wakes the actor if
    /// it would sleep past its end.
    fn look_after(&self, outside: usize, expires: Option<Millis>) {
        if outside >= OUTSIDE_MAX || self.0.is_present() {
            self.0.look(|_| ());
        } else if self.0.sleeps_past(expires) {
            self.0.nudge();
        }
    }

    /// Gives the agent notices, in this order, and tells `each` how it went with the next. Does not
    /// wait.
    pub fn notify_all<'a>(
        &self,
        notices: impl Iterator<Item = &'a Arc<Envelope>>,
        mut each: impl FnMut(Result<(), NotAdmitted>),
    ) {
        let mut expires = None;
        let notices = notices.inspect(|notice| expires = earlier(expires, notice.expires));
        let outside = self
            .0
            .admit_notices(notices, |admitted| each(admitted.map(|_| ())));
        if outside > 0 {
            self.look_after(outside, expires);
        }
    }

    /// Acknowledges, gives back or prolongs deliveries.
    pub fn settle(
        &self,
        deliveries: impl IntoIterator<Item = Delivery>,
        action: Action,
    ) -> Result<Settlement, Gone> {
        self.heard();
        Ok(self.0.step_in()?.deal(deliveries, action))
    }

    /// The salt of its receipts.
    pub fn salt(&self) -> Salt {
        self.0.salt()
    }

    /// Whether it was removed.
    pub fn is_gone(&self) -> bool {
        self.0.is_gone()
    }

    /// Sits a socket down, whose peer may confirm by receipts, and may have shown the agent's
    /// secret; the one before it is told that it was replaced.
    pub async fn attach(
        &self,
        socket: SocketHandle,
        acks: bool,
        proved: bool,
    ) -> Result<Session, NoMail> {
        self.heard();
        let session = self.ask(|| Attach {
            socket: socket.clone(),
            acks,
            proved,
        });
        session.await?.ok_or(NoMail::NotYours)
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
        let deadline = Instant::now() + RESTART_PATIENCE;
        loop {
            if self.is_gone() {
                return Err(Gone);
            }
            let address = self.0.address.read().clone().ok_or(Gone)?;
            match address.send(message()).await {
                Ok(answer) => return Ok(answer),
                Err(_) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(_) => return Err(Gone),
            }
        }
    }

    /// A call that panics with the inbox in hand.
    #[cfg(test)]
    pub(in crate::actors) fn look_and_panic(&self) {
        self.0.look(|_| panic!("injected by a test"));
    }

    /// Another agent, of which no run has begun.
    #[cfg(test)]
    pub(in crate::actors) fn unstarted(&self, id: &str) -> AgentHandle {
        let (id, common) = (AgentId::parse(id).unwrap(), self.0.common.clone());
        AgentHandle::new(id, Duration::from_secs(60), Salt::of("salt"), common)
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<Agent> {
        self.0.address.read().clone().unwrap()
    }
}
