//! Who has an agent's inbox in hand: its actor, or for a moment a call.
//!
//! The inbox is the agent's own: its actor makes it, watches over its leases and hands it on to
//! the run after a panic. It lies behind the door, though, where a call can do at once what it came
//! for: to wake the actor, which sits on another thread as often as not, costs more than all else
//! that a poll does. The actor is woken where time is concerned: when something ends before it would
//! look by itself.
//!
//! Whoever is inside may lock a task, the directory, arrivals and outlets, in this order. So nobody
//! comes in who holds one of them.

use super::door::Door;
use super::handle::Gone;
use super::poll::Handed;
use super::{Belongings, Fault};
use crate::actors::socket::SocketHandle;
use crate::core::Millis;
use crate::core::inbox::{Dead, Seq, Waiting};
use crate::core::metrics::{Way, What};
use parking_lot::MutexGuard;
use smallvec::SmallVec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an agent has, for as long as this is held.
pub(super) struct Inside<'a> {
    pub(super) door: &'a Arc<Door>,
    pub(super) own: MutexGuard<'a, Option<Box<Belongings>>>,
}

impl Door {
    /// Waits for whoever is inside. For the agent's own actor, and for who clears up after it.
    pub(super) fn enter(self: &Arc<Self>) -> Inside<'_> {
        let own = self.own.lock();
        let door = self;
        Inside { door, own }
    }

    /// The same for a call, which has no business with an agent that is gone. What waits at the door has
    /// been taken in, and handed on to who is there for it.
    pub(super) fn visit(self: &Arc<Self>) -> Result<Inside<'_>, Gone> {
        let mut inside = self.step_in()?;
        inside.hand_on();
        Ok(inside)
    }

    /// The same for a call that [hands on](Inside::hand_on) when it has done what it came for.
    pub(super) fn step_in(self: &Arc<Self>) -> Result<Inside<'_>, Gone> {
        let mut inside = self.enter();
        if self.is_gone() {
            return Err(Gone);
        }
        inside.settle();
        Ok(inside)
    }

    /// Sees to what has come, for who is there; then tells `of` it, unless the agent is gone. A fault that
    /// its mail triggers is the agent's, and not that of whoever looks.
    pub(super) fn look<T>(self: &Arc<Self>, of: impl FnOnce(&Inside<'_>) -> T) -> Option<T> {
        let look = || self.visit().ok().map(|inside| of(&inside));
        catch_unwind(AssertUnwindSafe(look)).ok().flatten()
    }
}

impl Inside<'_> {
    pub(super) fn now(&self) -> Millis {
        self.door.now()
    }

    pub(super) fn own(&mut self) -> &mut Belongings {
        let door = self.door;
        (self.own).get_or_insert_with(|| Box::new(Belongings::new(door)))
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

    /// What the run before had taken out and lost in a panic goes back to its places. What is in
    /// flight to the socket stays there; a reply that is still being written may come twice.
    pub(super) fn recover(&mut self) {
        let arrived = self.door.next_run();
        let Some(Belongings { inbox, seat, .. }) = self.take_in(arrived) else {
            return;
        };
        inbox.put_back_unless(|seq| seat.as_ref().is_some_and(|seat| seat.window.holds(seq)));
        self.tidy_window();
    }

    /// Takes in what waits at the door, ends leases whose time has come, and forgets a socket that has
    /// ended. What waits then is not handed on yet.
    pub(super) fn settle(&mut self) {
        let door = self.door;
        // Before what has come: what a socket acknowledged before it ended counts.
        let ended = door.ended_session();
        let (arrived, now) = (door.take_arrivals(), self.now());
        let Some(own) = self.take_in(arrived) else {
            return;
        };
        let dead = own.inbox.expire(now);
        self.note_read();
        let seat = self.own.as_ref().and_then(|own| own.seat.as_ref());
        if seat.is_some_and(|seat| seat.session <= ended) {
            self.vacate();
        }
        self.bury(dead);
    }

    /// What waits goes to whoever is there for it, and the board is told.
    pub(super) fn hand_on(&mut self) {
        self.turn_out();
        self.pump();
        self.serve();
        self.note_moved();
    }

    /// What the socket's peer has read leaves for good.
    fn note_read(&mut self) {
        let door = self.door;
        let seat = self.own.as_mut().and_then(|own| own.seat.as_mut());
        let Some(seat) = seat else {
            return;
        };
        for seq in seat.read(door) {
            if let Some(envelope) = self.own().inbox.confirm(seq) {
                door.release(&envelope);
            }
        }
    }

    /// The socket has ended: what it never confirmed goes back to its places.
    pub(super) fn vacate(&mut self) -> Option<SocketHandle> {
        self.note_read();
        let Belongings { inbox, seat, .. } = self.own.as_deref_mut()?;
        let seat = seat.take()?;
        let lost = seat.window.abandon(self.door.confirmed(seat.session));
        let dead = lost.filter_map(|(seq, read)| inbox.lose(seq, read));
        let dead = dead.collect();
        self.bury(dead);
        Some(seat.socket)
    }

    /// Hands the socket what its window has room for.
    fn pump(&mut self) {
        let door = self.door;
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
        let (mut messages, mut mail) = (SmallVec::<[Handed; 1]>::new(), false);
        let mut hand = |seq, handed: Handed| {
            seat.window.sent(seq, handed.envelope.size());
            mail |= handed.envelope.is_mail();
            let what = What::from(&handed.envelope.kind);
            metrics.deliveries.of(way, what).inc();
            messages.push(handed);
        };
        if seat.acks {
            for leased in inbox.leases(room, None) {
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

    /// Whether this message is in flight to the socket.
    pub(super) fn is_in_flight(&self, seq: Seq) -> bool {
        let seat = self.own.as_ref().and_then(|own| own.seat.as_ref());
        seat.is_some_and(|seat| seat.window.holds(seq))
    }

    /// Messages that have died leave their places, and are told of elsewhere.
    pub(super) fn bury(&mut self, dead: Vec<Dead>) {
        if dead.is_empty() {
            return;
        }
        for dead in &dead {
            self.door.release(&dead.envelope);
        }
        let Door {
            id,
            common,
            identity,
            ..
        } = &**self.door;
        common.dead_letters.died(id, identity.owner(), dead);
    }

    /// When something next ends.
    pub(super) fn next_due(&self) -> Option<Millis> {
        self.own.as_ref().and_then(|own| own.inbox.next_due())
    }
}

impl Drop for Inside<'_> {
    /// Where there is nothing of the belongings any more, nothing is kept; and the actor is to know of
    /// what ends before it looks.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What was under way here is half done: a new run puts it in order.
            if let Some(address) = &*self.door.address.read() {
                address.do_send(Fault);
            }
            return;
        }
        if self.own.as_ref().is_some_and(|own| own.are_nothing()) {
            *self.own = None;
        }
        if self.door.sleeps_past(self.next_due()) {
            self.door.nudge();
        }
    }
}
