//! One actor for each registered agent. It owns the agent's inbox, its heartbeat timer and its
//! socket; [`handle::AgentHandle`] is what everybody else holds.

mod claiming;
pub mod door;
pub mod handle;
pub mod poll;
mod receiving;

use super::registry::{AgentStopped, Reap, Registry};
use super::socket::{Dismiss, SocketHandle};
use crate::core::Millis;
use crate::core::inbox::{Dead, Inbox, Seq, Unwritten, Waiting};
use crate::core::metrics::{Way, What};
use crate::core::presence::Presence;
use crate::core::window::Window;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use door::Door;
use handle::{AgentHandle, Session};
use poll::{Handed, Waiter};
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
        while let Some(seq) = self.pending.read.pop_front() {
            self.inbox.confirm(seq);
        }
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
        for delivery in std::mem::take(&mut self.pending.acked) {
            self.inbox.ack(delivery, door.now());
        }
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
    /// `None` while there is nothing of them, and after they were handed back.
    own: Option<Box<Belongings>>,
    handed_back: bool,
    /// Shared by all agents: an address of one's own costs a hundred bytes.
    registry: Arc<Addr<Registry>>,
    /// The heartbeat timer, which also ends leases and waits; and for when it is set.
    timer: Option<(Millis, SpawnHandle)>,
    left: bool,
}

impl Agent {
    /// An actor that takes over these belongings.
    pub fn new(
        handle: &AgentHandle,
        own: Option<Box<Belongings>>,
        registry: Arc<Addr<Registry>>,
    ) -> Self {
        let door = handle.door().clone();
        Agent {
            door,
            own,
            handed_back: false,
            registry,
            timer: None,
            left: false,
        }
    }

    /// What the run before had taken out and lost in a panic goes back to its places. What is in
    /// flight to the socket stays there; a reply that is still being written may come twice.
    fn recover(&mut self) {
        let arrived = self.door.next_run();
        let Some(Belongings { inbox, seat, .. }) = self.take_in(arrived) else {
            return;
        };
        inbox.put_back_unless(|seq| seat.as_ref().is_some_and(|seat| seat.window.holds(seq)));
    }

    fn own(&mut self) -> &mut Belongings {
        (self.own).get_or_insert_with(|| Box::new(Belongings::new(&self.door)))
    }

    /// Whether anything waits in the inbox.
    fn has_mail(&self) -> bool {
        (self.own.as_ref()).is_some_and(|own| own.inbox.waiting() > 0)
    }

    /// Takes in what waited at the door. `None` where there is nothing there either.
    fn take_in(&mut self, arrived: Option<Box<Waiting>>) -> Option<&mut Belongings> {
        if let Some(arrived) = arrived {
            self.own().pending.merge(*arrived);
        }
        let own = self.own.as_deref_mut()?;
        own.take_in();
        Some(own)
    }

    /// Where there is nothing of them any more, nothing is kept.
    fn tidy(&mut self) {
        if self.own.as_ref().is_some_and(|own| own.are_nothing()) {
            self.own = None;
        }
    }

    /// Takes in what waits at the door, ends leases whose time has come, forgets a socket that has
    /// ended, and serves whoever waits for mail.
    fn settle(&mut self) {
        // Before what has come: what a socket acknowledged before it ended counts.
        let ended = self.door.ended_session();
        let arrived = self.door.take_arrivals();
        let now = self.door.now();
        if self.take_in(arrived).is_none() {
            return;
        }
        self.take_acks(now);
        let dead = self.own().inbox.expire(now);
        self.note_read();
        let seat = self.own.as_ref().and_then(|own| own.seat.as_ref());
        if seat.is_some_and(|seat| seat.session <= ended) {
            self.vacate();
        }
        self.bury(dead);
        self.pump();
        self.serve();
        self.note_moved();
    }

    /// What a poll that finds nothing is told without asking the actor.
    fn note_inside(&mut self) {
        let own = self.own.as_ref();
        let empty = own.is_none_or(|own| own.inbox.has_nothing());
        self.door.note_inside(empty);
    }

    /// What the socket's peer has read leaves for good.
    fn note_read(&mut self) {
        let door = self.door.clone();
        let seat = self.own.as_mut().and_then(|own| own.seat.as_mut());
        let Some(seat) = seat else {
            return;
        };
        let read = seat.read(&door);
        self.confirm(read);
    }

    /// The socket has ended: what it never confirmed goes back to its places.
    fn vacate(&mut self) -> Option<SocketHandle> {
        self.note_read();
        let door = self.door.clone();
        let Belongings { inbox, seat, .. } = self.own.as_deref_mut()?;
        let seat = seat.take()?;
        let lost = seat.window.abandon(door.confirmed(seat.session));
        let dead = lost.filter_map(|(seq, read)| inbox.lose(seq, read));
        let dead = dead.collect();
        self.bury(dead);
        Some(seat.socket)
    }

    fn pump(&mut self) {
        let door = self.door.clone();
        let Some(Belongings { inbox, seat, .. }) = self.own.as_deref_mut() else {
            return;
        };
        let Some(seat) = seat else { return };
        let room = seat.window.room();
        let metrics = &door.common.metrics;
        let way = match seat.acks {
            true => Way::WebsocketAck,
            false => Way::Websocket,
        };
        let (mut messages, mut mail) = (Vec::new(), false);
        let mut hand = |seq, handed: Handed| {
            seat.window.sent(seq, handed.envelope.size());
            mail |= handed.envelope.is_mail();
            let what = What::from(&handed.envelope.kind);
            metrics.deliveries.of(way, what).inc();
            messages.push(handed);
        };
        if seat.acks {
            for leased in inbox.lease(room, None) {
                hand(leased.seq, Handed::leased(leased, None, door.salt()));
            }
        } else {
            for (seq, envelope) in inbox.take(room) {
                hand(seq, Handed::plain(envelope));
            }
        }
        let waits = inbox.waiting() > 0;
        seat.mail |= mail;
        door.eager.store(
            !seat.acks && (waits || seat.mail || seat.window.is_half_full()),
            Ordering::SeqCst,
        );
        // It may have been confirmed before that was known.
        if waits && !seat.acks && seat.window.is_news(door.confirmed(seat.session)) {
            door.nudge();
        }
        if messages.is_empty() {
            return;
        }
        if waits {
            metrics.windows_full.inc();
        }
        seat.socket.outlet.deliver(messages);
    }

    fn confirm(&mut self, seqs: impl IntoIterator<Item = Seq>) {
        for seq in seqs {
            if let Some(envelope) = self.own().inbox.confirm(seq) {
                self.door.release(&envelope);
            }
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

    /// Away, it gives what anybody may do to those who are there.
    fn pass_on(&mut self, now: Millis) {
        let door = self.door.clone();
        let mut inbox = self.own.as_mut().map(|own| &mut own.inbox);
        let waiting = inbox.as_ref().map(|inbox| inbox.for_anyone());
        let waiting = waiting.unwrap_or_default();
        for (seq, envelope) in door.common.router.pass_on(door.id(), waiting) {
            if let (Some(task), Some(inbox)) = (&envelope.task, &mut inbox) {
                inbox.withdraw(seq, task, now);
                door.release(&envelope);
            }
        }
    }

    /// What ends whatever the actor has done. Sets the heartbeat timer for the next moment at which
    /// silence or a lease that ends changes something. A heartbeat does not touch it; it reads when it
    /// fires, and where it is set too early it is set anew then.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let now = self.door.now();
        let silence = self.judge(now);
        if self.door.is_stale() {
            self.pass_on(now);
        }
        self.tidy();
        self.note_inside();
        let due = (self.own.as_ref()).and_then(|own| own.inbox.next_due());
        let next = silence.into_iter().chain(due).min();
        let next = next.unwrap_or(Millis::MAX);
        if self.timer.is_some_and(|(at, _)| at <= next) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.door.wakes_at.store(next, Ordering::Relaxed);
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
            agent.settle();
            agent.rearm(ctx);
        });
        let timer = ctx.spawn(timer);
        self.timer = Some((next, timer));
    }
}

impl Actor for Agent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.recover();
        self.turn_out();
        self.settle();
        self.rearm(ctx);
    }

    /// Runs after a panic too.
    fn stopped(&mut self, _: &mut Self::Context) {
        // Polls that wait are told by their silence.
        if let Some(own) = &mut self.own {
            own.waiters.clear();
        }
        if !std::mem::replace(&mut self.handed_back, true) {
            let own = self.own.take();
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
        self.settle();
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
        self.settle();
        self.rearm(ctx);
        let seat = self.own.as_ref().and_then(|own| own.seat.as_ref());
        seat.is_some_and(|seat| seat.window.holds(seq))
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
        if !proved && self.door.owner.is_claimed() {
            return actix::MessageResult(None);
        }
        if let Some(replaced) = self.vacate() {
            replaced.dismiss.do_send(Dismiss::Replaced);
        }
        let id = self.door.attended();
        self.own().seat = Some(Seat {
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
        self.settle();
        self.rearm(ctx);
        actix::MessageResult(Some(session))
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
