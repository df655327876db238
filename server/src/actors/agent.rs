//! One actor for each registered agent. It owns the agent's inbox, its heartbeat timer and its
//! socket; [`handle::AgentHandle`] is what everybody else holds.

pub mod door;
pub mod handle;
pub mod poll;
mod receiving;

use super::registry::AgentStopped;
use super::socket::{Deliver, Dismiss, SocketHandle};
use crate::core::Millis;
use crate::core::inbox::{Inbox, Seq, Unwritten, Waiting};
use crate::core::presence::Presence;
use crate::core::window::Window;
use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use door::Door;
use handle::{AgentHandle, Session};
use poll::Waiter;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Numbers the sockets of one agent.
pub type SessionId = u64;

/// What outlives one run of the actor: a panic ends the run, not the agent.
#[derive(Debug)]
pub struct Belongings {
    inbox: Inbox,
    /// Taken from the door, not yet worked on: owned first, so that a panic on the way loses
    /// nothing of it.
    pending: Waiting,
    seat: Option<Seat>,
    sessions: SessionId,
    /// Runs that ended in a panic.
    pub panics: u32,
}

impl Belongings {
    /// Those of an agent that has just registered.
    pub fn new(door: &Door) -> Self {
        Belongings {
            inbox: Inbox::new(door.limits()),
            pending: Waiting::default(),
            seat: None,
            sessions: 0,
            panics: 0,
        }
    }

    /// Works off what was taken from the door.
    fn take_in(&mut self) {
        while let Some(seq) = self.pending.read.pop_front() {
            self.inbox.confirm(seq);
        }
        while let Some(message) = self.pending.returned.pop_front() {
            match message {
                Unwritten::Out(seq) => self.inbox.put_back(seq),
                Unwritten::Leased(delivery) => self.inbox.unlease(delivery),
            }
        }
        while let Some((seq, envelope)) = self.pending.come.pop_front() {
            self.inbox.accept(seq, envelope);
        }
    }

    /// Messages that nobody has confirmed.
    pub fn unread(&self) -> usize {
        self.inbox.len() + self.pending.come.len()
    }

    /// The agent is gone for good: its socket closes, nothing is admitted any more.
    pub fn discard(mut self, door: &Door) -> usize {
        let late = door.close();
        if let Some(seat) = self.seat.take() {
            seat.socket.dismiss.do_send(Dismiss::Removed);
        }
        self.unread() + late
    }
}

/// The open socket of an agent.
#[derive(Debug)]
struct Seat {
    session: SessionId,
    socket: SocketHandle,
    window: Window,
}

/// The actor.
pub struct Agent {
    door: Arc<Door>,
    /// `None` only after they were handed back.
    own: Option<Belongings>,
    registry: Recipient<AgentStopped>,
    reap: Recipient<super::registry::Reap>,
    timer: Option<SpawnHandle>,
    /// The timer of leases and delays, and for when it is set.
    due: Option<(Millis, SpawnHandle)>,
    waiters: VecDeque<Waiter>,
    left: bool,
}

impl Agent {
    /// An actor that takes over these belongings.
    pub fn new(
        handle: &AgentHandle,
        own: Belongings,
        registry: Recipient<AgentStopped>,
        reap: Recipient<super::registry::Reap>,
    ) -> Self {
        let door = handle.door().clone();
        Agent {
            door,
            own: Some(own),
            registry,
            reap,
            timer: None,
            due: None,
            waiters: VecDeque::new(),
            left: false,
        }
    }

    /// What the run before had taken out and lost in a panic goes back to its places. What is in
    /// flight to the socket stays there; a reply that is still being written may come twice.
    fn recover(&mut self) {
        let arrived = self.door.next_run();
        let own = self.own();
        own.pending.merge(arrived);
        own.take_in();
        let Belongings { inbox, seat, .. } = own;
        inbox.put_back_unless(|seq| seat.as_ref().is_some_and(|seat| seat.window.holds(seq)));
    }

    fn own(&mut self) -> &mut Belongings {
        self.own.get_or_insert_with(|| Belongings::new(&self.door))
    }

    /// Takes in what waits at the door, ends leases whose time has come, forgets a socket that has
    /// ended, and serves whoever waits for mail.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        let arrived = self.door.take_arrivals();
        let ended = self.door.ended_session();
        let now = self.door.now();
        let own = self.own();
        own.pending.merge(arrived);
        own.take_in();
        let dead = own.inbox.expire(now);
        self.note_read();
        if self
            .own()
            .seat
            .as_ref()
            .is_some_and(|seat| seat.session <= ended)
        {
            self.vacate();
        }
        self.bury(dead);
        self.pump();
        self.serve();
        self.rearm_due(ctx);
    }

    /// What the socket's peer has read leaves for good.
    fn note_read(&mut self) {
        let door = self.door.clone();
        let Some(seat) = &mut self.own().seat else {
            return;
        };
        let read = seat.window.confirm(door.confirmed(seat.session));
        self.confirm(read);
    }

    /// The socket has ended: what it never confirmed goes back to its places.
    fn vacate(&mut self) -> Option<SocketHandle> {
        self.note_read();
        let own = self.own();
        let seat = own.seat.take()?;
        for seq in seat.window.abandon() {
            own.inbox.put_back(seq);
        }
        Some(seat.socket)
    }

    fn pump(&mut self) {
        let own = self.own();
        let Some(seat) = &mut own.seat else { return };
        let taken = own.inbox.take(seat.window.room());
        if taken.is_empty() {
            return;
        }
        for (seq, envelope) in &taken {
            seat.window.sent(*seq, envelope.size());
        }
        let messages = taken.into_iter().map(|(_, envelope)| envelope).collect();
        seat.socket.deliver.do_send(Deliver {
            messages,
            mark: seat.window.mark(),
        });
    }

    fn confirm(&mut self, seqs: impl IntoIterator<Item = Seq>) {
        for seq in seqs {
            if let Some(envelope) = self.own().inbox.confirm(seq) {
                self.door.release(&envelope);
            }
        }
    }

    /// The heartbeat timer: set for the next moment at which silence changes something, and not
    /// set while a socket is open. A heartbeat does not touch it; it reads when it fires.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let now = self.door.now();
        let until = match self.door.presence(now) {
            Presence::Online { until } => {
                self.door.note_online();
                if self.door.is_present() {
                    return;
                }
                until
            }
            Presence::Stale { until } => {
                self.door.note_stale();
                until
            }
            Presence::Gone => {
                self.door.note_stale();
                self.reap
                    .do_send(super::registry::Reap(self.door.id().clone()));
                return;
            }
        };
        let wait = Duration::from_millis(until.saturating_sub(now).max(1));
        self.timer = Some(ctx.run_later(wait, |agent, ctx| {
            agent.timer = None;
            agent.rearm(ctx);
        }));
    }
}

impl Actor for Agent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.recover();
        self.settle(ctx);
        self.rearm(ctx);
    }

    /// Runs after a panic too.
    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(own) = self.own.take() {
            let left = self.left;
            let agent = AgentHandle::of(self.door.clone());
            self.registry.do_send(AgentStopped {
                id: agent.id().clone(),
                own,
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
        self.settle(ctx);
        self.rearm(ctx);
    }
}

/// Takes in what waits at the door; says whether this message is now in flight to the socket.
#[derive(Message)]
#[rtype(result = "bool")]
struct TakeIn(Seq);

impl Handler<TakeIn> for Agent {
    type Result = bool;
    fn handle(&mut self, TakeIn(seq): TakeIn, ctx: &mut Self::Context) -> bool {
        self.settle(ctx);
        self.own()
            .seat
            .as_ref()
            .is_some_and(|seat| seat.window.holds(seq))
    }
}

/// A socket has opened; the one before it is replaced.
#[derive(Message)]
#[rtype(result = "Session")]
struct Attach(SocketHandle);

impl Handler<Attach> for Agent {
    type Result = actix::MessageResult<Attach>;
    fn handle(&mut self, Attach(socket): Attach, ctx: &mut Self::Context) -> Self::Result {
        if let Some(replaced) = self.vacate() {
            replaced.dismiss.do_send(Dismiss::Replaced);
        }
        let own = self.own();
        own.sessions += 1;
        let id = own.sessions;
        own.seat = Some(Seat {
            session: id,
            socket,
            window: Window::default(),
        });
        self.door.attended(id);
        // Made before anything can go wrong: if nobody waits for it any more, it frees the seat.
        let session = Session {
            agent: AgentHandle::of(self.door.clone()),
            id,
        };
        self.settle(ctx);
        self.rearm(ctx);
        actix::MessageResult(session)
    }
}

/// The agent was deregistered or reaped.
#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

impl Handler<Leave> for Agent {
    type Result = ();
    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        use actix::ActorContext;
        self.left = true;
        ctx.stop();
    }
}
