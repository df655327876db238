//! One actor for each registered agent. It owns the agent's inbox, its heartbeat timer and its
//! socket; [`handle::AgentHandle`] is what everybody else holds. For a moment a call may have the inbox
//! in hand: see [`inside`].

mod claiming;
pub mod door;
pub mod handle;
mod inside;
pub mod poll;
mod receiving;
pub mod turn;

use super::registry::{AgentStopped, Reap, Registry};
use super::socket::{Dismiss, SocketHandle};
use crate::core::Millis;
use crate::core::inbox::{Dead, Inbox, Seq, Unwritten, Waiting};
use crate::core::presence::Presence;
use crate::core::window::Window;
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message,
    SpawnHandle, WrapFuture,
};
use door::Door;
use handle::{AgentHandle, Session};
use poll::Waiter;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Numbers the sockets of one agent.
pub type SessionId = u32;

/// What outlives one run of the actor: a panic ends the run, not the agent. Made when there is
/// something of it, and dropped when there is nothing: an agent that has no mail and no socket has
/// its door and its timer.
#[derive(Debug)]
pub struct Belongings {
    inbox: Inbox,
    /// Taken from the door, not yet worked on: owned first, so that a panic on the way loses
    /// nothing of it.
    pending: Waiting,
    seat: Option<Seat>,
    waiters: VecDeque<Waiter>,
    /// Runs that ended in a panic.
    pub panics: u32,
}

impl Belongings {
    /// Those of an agent that has just registered: nothing.
    pub fn new(door: &Door) -> Self {
        Belongings {
            inbox: Inbox::new(door.limits(), door.common.metrics.clone()),
            pending: Waiting::default(),
            seat: None,
            waiters: VecDeque::new(),
            panics: 0,
        }
    }

    /// Whether nothing would be lost with them.
    fn are_nothing(&self) -> bool {
        let nobody = self.seat.is_none() && self.waiters.is_empty();
        nobody && self.panics == 0 && self.pending.is_empty() && self.inbox.is_new()
    }

    /// Works off what was taken from the door.
    fn take_in(&mut self) {
        while let Some(message) = self.pending.returned.pop_front() {
            match message {
                Unwritten::Out(seq) => self.inbox.put_back(seq),
                Unwritten::Leased(delivery) => self.inbox.unlease(delivery),
            }
        }
        while let Some((seq, held)) = self.pending.come.pop_front() {
            self.inbox.accept(seq, held);
        }
        self.inbox
            .add_missed(std::mem::take(&mut self.pending.missed));
    }

    /// The agent is gone for good: its socket closes, nothing is admitted any more. Gives what it
    /// never confirmed.
    pub fn discard(mut self, door: &Door) -> Vec<Dead> {
        if let Some(arrived) = door.close() {
            self.pending.merge(*arrived);
        }
        self.take_in();
        if let Some(mut seat) = self.seat.take() {
            for seq in seat.read(door) {
                self.inbox.confirm(seq);
            }
            seat.socket.dismiss.do_send(Dismiss::Removed);
        }
        self.inbox.bury_all().collect()
    }
}

/// The open socket of an agent.
#[derive(Debug)]
struct Seat {
    session: SessionId,
    socket: SocketHandle,
    window: Window,
    /// Whether its peer confirms by receipts, and not by answering pings.
    acks: bool,
    /// Whether its peer has shown the agent's secret.
    proved: bool,
    /// Whether mail is in flight to it: its places become free when it is confirmed.
    mail: bool,
}

impl Seat {
    /// What its peer has confirmed by reading on.
    fn read(&mut self, door: &Door) -> Vec<Seq> {
        match self.acks {
            true => Vec::new(),
            false => {
                let read = self.window.confirm(door.confirmed(self.session));
                self.mail &= !self.window.is_empty();
                read
            }
        }
    }
}

/// The actor.
pub struct Agent {
    door: Arc<Door>,
    /// Whether another run was there before.
    follows: bool,
    handed_back: bool,
    /// Shared by all agents: an address of one's own costs a hundred bytes.
    registry: Arc<Addr<Registry>>,
    /// The heartbeat timer, which also ends leases and waits; and for when it is set.
    timer: Option<(Millis, SpawnHandle)>,
    left: bool,
}

impl Agent {
    /// An actor that takes over what lies behind this door.
    pub fn new(handle: &AgentHandle, registry: Arc<Addr<Registry>>) -> Self {
        let door = handle.door().clone();
        let follows = door.address.read().is_some();
        Agent {
            door,
            follows,
            handed_back: false,
            registry,
            timer: None,
            left: false,
        }
    }

    /// When silence changes something next; tells of what it has changed.
    fn judge(&mut self, now: Millis) -> Option<Millis> {
        let presence = self.door.presence(now);
        if presence.is_online() {
            self.door.note_online();
        } else if self.door.note_stale() {
            // It may have been heard between the look and the note.
            if self.door.presence(now).is_online() {
                self.door.note_online();
                return self.judge(now);
            }
            self.door.common.herald.stale(self.door.id());
        }
        match presence {
            Presence::Online { .. } if self.door.is_present() => None,
            Presence::Online { until } | Presence::Stale { until } => Some(until),
            Presence::Gone => {
                self.registry.do_send(Reap(self.door.id().clone()));
                None
            }
        }
    }

    /// Sees to what has come and what has ended.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let mut inside = self.door.enter();
        inside.settle();
        inside.hand_on();
        drop(inside);
        self.rearm(ctx);
    }

    /// What ends whatever the actor has done. Sets the heartbeat timer for the next moment at which
    /// silence or a lease that ends changes something. A heartbeat does not touch it; it reads when it
    /// fires, and where it is set too early it is set anew then.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let door = self.door.clone();
        let now = door.now();
        let silence = self.judge(now);
        let mut inside = door.enter();
        if door.is_stale() {
            inside.pass_on(now);
        }
        let next = silence.into_iter().chain(inside.next_due()).min();
        let next = next.unwrap_or(Millis::MAX);
        if self.timer.is_some_and(|(at, _)| at <= next) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        door.wakes_at.store(next, Ordering::Relaxed);
        drop(inside);
        // What came meanwhile was left by somebody who read the time before.
        if self.door.arrivals.lock().outside() > 0 {
            self.door.nudge();
        }
        if next == Millis::MAX {
            return;
        }
        let wait = Duration::from_millis(next.saturating_sub(now).max(1));
        // What `run_later` does, without a box for the function: a million agents have one of these.
        let timer = sleep(wait).into_actor(self).map(|(), agent, ctx| {
            agent.timer = None;
            agent.look(ctx);
        });
        let timer = ctx.spawn(timer);
        self.timer = Some((next, timer));
    }
}

impl Actor for Agent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The first run may begin when somebody has been here already: what was given then is theirs.
        if self.follows {
            self.door.enter().recover();
        }
        self.look(ctx);
    }

    /// Runs after a panic too.
    fn stopped(&mut self, _: &mut Self::Context) {
        // Polls that wait are told by their silence.
        if let Some(own) = &mut *self.door.own.lock() {
            own.waiters.clear();
        }
        if !std::mem::replace(&mut self.handed_back, true) {
            let left = self.left;
            let agent = AgentHandle::of(self.door.clone());
            self.registry.do_send(AgentStopped {
                id: agent.id().clone(),
                left,
                agent,
            });
        }
    }
}

/// Something waits at the door, or has changed there.
#[derive(Message)]
#[rtype(result = "()")]
struct Nudge;

impl Handler<Nudge> for Agent {
    type Result = ();
    fn handle(&mut self, _: Nudge, ctx: &mut Self::Context) {
        self.door.nudge_taken();
        self.look(ctx);
    }
}

/// A socket has opened; the one before it is replaced. Nothing comes of one that has not shown the
/// secret of an agent that was claimed meanwhile.
#[derive(Message)]
#[rtype(result = "Option<Session>")]
struct Attach {
    socket: SocketHandle,
    acks: bool,
    proved: bool,
}

impl Handler<Attach> for Agent {
    type Result = actix::MessageResult<Attach>;
    fn handle(&mut self, msg: Attach, ctx: &mut Self::Context) -> Self::Result {
        let Attach {
            socket,
            acks,
            proved,
        } = msg;
        if !proved && self.door.identity.is_claimed() {
            return actix::MessageResult(None);
        }
        let door = self.door.clone();
        let mut inside = door.enter();
        if let Some(replaced) = inside.vacate() {
            replaced.dismiss.do_send(Dismiss::Replaced);
        }
        let id = door.attended();
        inside.own().seat = Some(Seat {
            session: id,
            socket,
            window: Window::default(),
            acks,
            proved,
            mail: false,
        });
        // Made before anything can go wrong: if nobody waits for it any more, it frees the seat.
        let session = Session {
            agent: AgentHandle::of(self.door.clone()),
            id,
        };
        drop(inside);
        self.look(ctx);
        actix::MessageResult(Some(session))
    }
}

/// A call panicked with the inbox in its hands: this run ends, and the next one puts it in order.
#[derive(Message)]
#[rtype(result = "()")]
struct Fault;

impl Handler<Fault> for Agent {
    type Result = ();
    fn handle(&mut self, _: Fault, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// The agent was deregistered or reaped.
#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

impl Handler<Leave> for Agent {
    type Result = ();
    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        self.left = true;
        ctx.stop();
    }
}
