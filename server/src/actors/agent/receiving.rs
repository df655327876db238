//! Polls and leases: how an agent gives out its mail, and what it does with the receipts.

use super::door::Door;
use super::poll::{Action, Ask, Batch, Given, Settlement, Waiter, from_now};
use super::{Agent, Belongings};
use crate::core::Millis;
use crate::core::inbox::{Dead, Delivery, Returned, Seq, Settled};
use crate::core::metrics::{self, Settling};
use crate::core::task::Task;
use actix::{Handler, Message};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Agent {
    /// Gives polls that wait what has come. One that has gone meanwhile is passed over.
    pub(super) fn serve(&mut self) {
        let Some(Belongings { inbox, waiters, .. }) = self.own.as_deref_mut() else {
            return;
        };
        waiters.retain(|waiter| !waiter.reply.is_closed());
        while inbox.waiting() > 0 {
            let Some(waiter) = waiters.pop_front() else {
                break;
            };
            let batch = Batch::of(waiter.ask, inbox, &self.door);
            // One that has gone just now drops its batch, which then comes back by the door.
            let _ = waiter.reply.send(batch);
        }
    }

    /// Acknowledges what was noted at the door.
    pub(super) fn take_acks(&mut self, now: Millis) {
        let acked = std::mem::take(&mut self.own().pending.acked);
        if acked.is_empty() {
            return;
        }
        let (mut done, all) = (0, acked.len());
        for delivery in acked {
            done += usize::from(self.ack(delivery, now));
        }
        let settled = &self.door.common.metrics.settled;
        settled
            .of(Settling::Ack, metrics::Settled::Done)
            .add(done as u64);
        let expired = settled.of(Settling::Ack, metrics::Settled::Expired);
        expired.add((all - done) as u64);
        self.tidy_window();
    }

    /// Says whether it was there to be acknowledged, or was before.
    fn ack(&mut self, delivery: Delivery, now: Millis) -> bool {
        match self.own().inbox.ack(delivery, now) {
            Settled::Left(envelope) => {
                self.door.release(&envelope);
                true
            }
            Settled::Before => true,
            Settled::Expired => false,
        }
    }

    /// What has left by a receipt is not in flight any more.
    fn tidy_window(&mut self) {
        if let Some(Belongings { inbox, seat, .. }) = self.own.as_deref_mut()
            && let Some(seat) = seat
        {
            seat.window.keep(|seq| inbox.is_on_connection(seq));
        }
    }

    /// Tells the board what was handed over and what came back.
    pub(super) fn note_moved(&mut self) {
        let moved = self.own.as_mut().map(|own| own.inbox.take_moved());
        for (task, step) in moved.into_iter().flatten() {
            self.door.common.board.step(&task, step);
        }
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
            id, common, owner, ..
        } = &*self.door;
        common.dead_letters.died(id, owner, dead);
    }
}

/// What waits, or what will; before that, deliveries that are acknowledged.
#[derive(Message)]
#[rtype(result = "Given")]
pub(super) struct Poll {
    pub(super) acked: Vec<Delivery>,
    pub(super) ask: Ask,
}

impl Handler<Poll> for Agent {
    type Result = actix::MessageResult<Poll>;
    fn handle(&mut self, Poll { acked, ask }: Poll, ctx: &mut Self::Context) -> Self::Result {
        self.settle();
        let given = self.give(acked, ask);
        self.rearm(ctx);
        actix::MessageResult(given)
    }
}

impl Agent {
    fn give(&mut self, acked: Vec<Delivery>, ask: Ask) -> Given {
        let door = self.door.clone();
        if !ask.proved && door.owner.is_claimed() {
            return Given::NotYours;
        }
        let settlement = match acked.is_empty() {
            true => Settlement::default(),
            false => self.deal(acked, Action::Ack),
        };
        if ask.wait && !self.has_mail() {
            let (reply, later) = oneshot::channel();
            let waiters = &mut self.own().waiters;
            if waiters.len() >= door.common.polls_limit {
                // The oldest makes room: it is the likeliest to have been forgotten.
                waiters.pop_front();
                door.common.metrics.polls_replaced.inc();
            }
            waiters.push_back(Waiter { ask, reply });
            return Given::Later(settlement, later);
        }
        let batch = match &mut self.own {
            Some(own) => Batch::of(ask, &mut own.inbox, &door),
            None => Batch::default(),
        };
        self.note_moved();
        Given::Now(settlement, batch)
    }
}

/// A delegation leaves, wherever it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Withdraw {
    pub(super) place: Seq,
    pub(super) task: Arc<Task>,
}

impl Handler<Withdraw> for Agent {
    type Result = ();
    fn handle(&mut self, Withdraw { place, task }: Withdraw, ctx: &mut Self::Context) {
        // It may still be outside.
        self.settle();
        let now = self.door.now();
        if let Some(envelope) = self.own().inbox.withdraw(place, &task, now) {
            self.door.release(&envelope);
        }
        self.tidy_window();
        self.settle();
        self.rearm(ctx);
    }
}

/// Deliveries are acknowledged, given back or prolonged.
#[derive(Message)]
#[rtype(result = "Settlement")]
pub(super) struct Settle {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) action: Action,
}

impl Handler<Settle> for Agent {
    type Result = actix::MessageResult<Settle>;
    fn handle(&mut self, msg: Settle, ctx: &mut Self::Context) -> Self::Result {
        self.settle();
        let settlement = self.deal(msg.deliveries, msg.action);
        self.rearm(ctx);
        actix::MessageResult(settlement)
    }
}

impl Agent {
    fn deal(&mut self, deliveries: Vec<Delivery>, action: Action) -> Settlement {
        let now = self.door.now();
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
        self.tidy_window();
        self.settle();
        settlement
    }
}
