//! Polls and leases: how an agent gives out its mail, and what it does with the receipts.

use super::Belongings;
use super::inside::Inside;
use super::poll::{Action, Ask, Batch, Given, Settlement, Waiter, from_now};
use crate::core::Millis;
use crate::core::inbox::{Delivery, Returned, Seq, Settled};
use crate::core::message::Envelope;
use crate::core::task::Task;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Inside<'_> {
    /// Gives polls that wait what has come. One that has gone meanwhile is passed over.
    pub(super) fn serve(&mut self) {
        let now = self.now();
        let Some(Belongings { inbox, waiters, .. }) = self.own.as_deref_mut() else {
            return;
        };
        if waiters.is_empty() {
            return;
        }
        waiters.retain(|waiter| !waiter.reply.is_closed());
        while inbox.waiting() > 0 {
            let Some(waiter) = waiters.pop_front() else {
                break;
            };
            let batch = Batch::of(waiter.ask, inbox, self.door, now);
            // One that has gone just now drops its batch, which then comes back by the door.
            let _ = waiter.reply.send(batch);
        }
    }

    /// Tells the board what was handed over and what came back.
    pub(super) fn note_moved(&mut self) {
        let Some(own) = self.own.as_deref_mut() else {
            return;
        };
        for (task, step) in own.inbox.take_moved() {
            self.door.common.board.step(&task, step);
        }
    }

    /// What waits, or what will.
    pub(super) fn give(&mut self, ask: Ask) -> Given {
        let door = self.door;
        if !ask.proved && door.identity.is_claimed() {
            return Given::NotYours;
        }
        let waits = self.own.as_ref().is_some_and(|own| own.inbox.waiting() > 0);
        if ask.wait && !waits {
            let (reply, later) = oneshot::channel();
            let waiters = &mut self.own().waiters;
            if waiters.len() >= door.common.polls_limit {
                // The oldest makes room: it is the likeliest to have been forgotten.
                waiters.pop_front();
                door.common.metrics.polls_replaced.inc();
            }
            waiters.push_back(Waiter { ask, reply });
            return Given::Later(later);
        }
        let now = self.now();
        let batch = match self.own.as_deref_mut() {
            Some(own) => Batch::of(ask, &mut own.inbox, door, now),
            None => Batch::default(),
        };
        self.note_moved();
        Given::Now(batch)
    }

    /// Deliveries are acknowledged, given back or prolonged; what makes room, or waits again, is seen to.
    pub(super) fn deal(
        &mut self,
        deliveries: impl IntoIterator<Item = Delivery>,
        action: Action,
    ) -> Settlement {
        let now = self.now();
        let (mut settlement, mut dead) = (Settlement::default(), Vec::new());
        for delivery in deliveries {
            let done = match action {
                Action::Ack => self.ack(delivery, now),
                Action::Nack(later) => {
                    let inbox = &mut self.own().inbox;
                    match inbox.nack(delivery, later.map(|time| from_now(now, time))) {
                        Returned::Waits => true,
                        Returned::Died(message) => {
                            dead.push(message);
                            true
                        }
                        Returned::Expired => false,
                    }
                }
                Action::Extend(lease) => {
                    let until = from_now(now, lease);
                    self.own().inbox.extend(delivery, until)
                }
            };
            match done {
                true => settlement.done += 1,
                false => settlement.expired.push(delivery),
            }
        }
        self.bury(dead);
        if let Action::Nack(_) = action {
            self.tidy_window();
        }
        self.hand_on();
        settlement
    }

    /// Says whether it was there to be acknowledged, or was before.
    fn ack(&mut self, delivery: Delivery, now: Millis) -> bool {
        match self.own().inbox.ack(delivery, now) {
            Settled::Left(seq, envelope) => {
                self.left(seq, &envelope);
                true
            }
            Settled::Before => true,
            Settled::Expired => false,
        }
    }

    /// A message has left its place for good.
    fn left(&mut self, seq: Seq, envelope: &Envelope) {
        self.door.release(envelope);
        if let Some(seat) = self.own().seat.as_mut() {
            seat.window.leave(seq);
        }
    }

    /// What is not in somebody's hand is not in flight any more: it was given back by its receipt, or lost
    /// in a panic.
    pub(super) fn tidy_window(&mut self) {
        if let Some(Belongings { inbox, seat, .. }) = self.own.as_deref_mut()
            && let Some(seat) = seat
        {
            seat.window.keep(|seq| inbox.is_on_connection(seq));
        }
    }

    /// Messages that were out have been read, and leave for good. Of what was out in an earlier run, all is
    /// back in its places.
    pub(super) fn read(&mut self, run: u32, read: impl Iterator<Item = Seq>) {
        let door = self.door;
        let Some(own) = self.own.as_deref_mut().filter(|_| run == door.run()) else {
            return;
        };
        for envelope in read.filter_map(|seq| own.inbox.confirm(seq)) {
            door.release(&envelope);
        }
    }

    /// A delegation leaves, wherever it is.
    pub(super) fn withdraw(&mut self, place: Seq, task: &Arc<Task>) {
        let now = self.now();
        let withdrawn = self.own().inbox.withdraw(place, task, now);
        if let Some(envelope) = withdrawn {
            self.left(place, &envelope);
        }
        self.hand_on();
    }

    /// Away, it gives what anybody may do to those who are there.
    pub(super) fn pass_on(&mut self, now: Millis) {
        let door = self.door;
        let mut inbox = self.own.as_deref_mut().map(|own| &mut own.inbox);
        let waiting = inbox.as_ref().map(|inbox| inbox.for_anyone());
        let waiting = waiting.unwrap_or_default();
        for (seq, envelope) in door.common.router.pass_on(door.id(), waiting) {
            if let (Some(task), Some(inbox)) = (&envelope.task, &mut inbox) {
                inbox.withdraw(seq, task, now);
                door.release(&envelope);
            }
        }
    }
}
