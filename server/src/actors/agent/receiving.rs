//! Polls and leases: how an agent gives out its mail, and what it does with the receipts.

use super::Agent;
use super::poll::{Action, Ask, Batch, Given, Settlement, Waiter, from_now};
use crate::core::inbox::{Dead, Delivery, Returned, Settled};
use actix::{AsyncContext, Context, Handler, Message};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::info;

/// Polls of one agent that wait at the same time.
pub(super) const WAITERS_MAX: usize = 8;

impl Agent {
    /// Gives polls that wait what has come. One that has gone meanwhile is passed over.
    pub(super) fn serve(&mut self) {
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        while self.own().inbox.waiting() > 0 {
            let Some(waiter) = self.waiters.pop_front() else {
                break;
            };
            let door = self.door.clone();
            let batch = Batch::of(waiter.ask, &mut self.own().inbox, &door);
            // One that has gone just now drops its batch, which then comes back by the door.
            let _ = waiter.reply.send(batch);
        }
    }

    /// Messages that were given out in vain too often.
    pub(super) fn bury(&mut self, dead: impl IntoIterator<Item = Dead>) {
        for dead in dead {
            self.door.release(&dead.envelope);
            info!(agent = %self.door.id(), attempts = dead.attempts, "a message was given up: nobody acknowledged it");
        }
    }

    /// The timer of leases and delays: set for the first that ends.
    pub(super) fn rearm_due(&mut self, ctx: &mut Context<Self>) {
        let next = self.own().inbox.next_due();
        if self.due.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, timer)) = self.due.take() {
            ctx.cancel_future(timer);
        }
        let Some(at) = next else { return };
        let wait = Duration::from_millis(at.saturating_sub(self.door.now()).max(1));
        let timer = ctx.run_later(wait, |agent, ctx| {
            agent.due = None;
            agent.settle(ctx);
        });
        self.due = Some((at, timer));
    }
}

/// What waits, or what will.
#[derive(Message)]
#[rtype(result = "Given")]
pub(super) struct Poll(pub(super) Ask);

impl Handler<Poll> for Agent {
    type Result = actix::MessageResult<Poll>;
    fn handle(&mut self, Poll(ask): Poll, ctx: &mut Self::Context) -> Self::Result {
        self.settle(ctx);
        let door = self.door.clone();
        if ask.wait && self.own().inbox.waiting() == 0 {
            let (reply, later) = oneshot::channel();
            if self.waiters.len() >= WAITERS_MAX {
                // The oldest makes room: it is the likeliest to have been forgotten.
                self.waiters.pop_front();
            }
            self.waiters.push_back(Waiter { ask, reply });
            return actix::MessageResult(Given::Later(later));
        }
        let batch = Batch::of(ask, &mut self.own().inbox, &door);
        self.rearm_due(ctx);
        actix::MessageResult(Given::Now(batch))
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
        self.settle(ctx);
        let now = self.door.now();
        let (mut settlement, mut dead) = (Settlement::default(), Vec::new());
        for delivery in msg.deliveries {
            let inbox = &mut self.own().inbox;
            let done = match msg.action {
                Action::Ack => match inbox.ack(delivery, now) {
                    Settled::Left(envelope) => {
                        self.door.release(&envelope);
                        true
                    }
                    Settled::Before => true,
                    Settled::Expired => false,
                },
                Action::Nack(later) => {
                    match inbox.nack(delivery, later.map(|time| from_now(now, time))) {
                        Returned::Waits => true,
                        Returned::Died(message) => {
                            dead.push(message);
                            true
                        }
                        Returned::Expired => false,
                    }
                }
                Action::Extend(lease) => inbox.extend(delivery, from_now(now, lease)),
            };
            match done {
                true => settlement.done += 1,
                false => settlement.expired.push(delivery),
            }
        }
        self.bury(dead);
        self.settle(ctx);
        actix::MessageResult(settlement)
    }
}
