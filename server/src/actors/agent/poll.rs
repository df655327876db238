//! What a poll asks, what it gets, and what becomes of it when nobody is there to get it.

use super::door::Door;
use super::handle::Gone;
use crate::core::Millis;
use crate::core::inbox::{Delivery, Inbox, Leased, Portion, Unwritten};
use crate::core::message::Envelope;
use crate::core::metrics::{Way, What};
use crate::core::presence::millis;
use crate::core::receipt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages of a reply, unless asked otherwise.
pub const MAX: usize = 50;
/// Bytes of messages of a reply that was asked for with any parameter; one message at least.
pub const BYTES: usize = 1024 * 1024;

/// What a poll asks.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How much.
    pub portion: Portion,
    /// Whether messages stay until their receipts come back, and how long.
    pub lease: Option<Duration>,
    /// Whether messages are only shown.
    pub peek: bool,
    /// Whether to wait for mail where there is none.
    pub wait: bool,
    /// Whether the agent's secret was shown.
    pub proved: bool,
}

impl Ask {
    /// Everything, for good, now.
    pub const PLAIN: Ask = Ask {
        portion: Portion::ALL,
        lease: None,
        peek: false,
        wait: false,
        proved: false,
    };

    /// At most so many, within [`BYTES`].
    pub fn portion(max: usize) -> Portion {
        Portion {
            count: max,
            bytes: BYTES,
            one_at_least: true,
        }
    }
}

/// One delivery, as its recipient needs it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Acknowledges it.
    pub receipt: String,
    /// 1 for the first.
    pub attempt: u32,
    /// How long it is; as long as the socket is open where there is none.
    pub length: Option<Duration>,
}

/// A message on its way to its recipient.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// With a receipt.
    pub lease: Option<Lease>,
}

impl Handed {
    pub(super) fn plain(envelope: Arc<Envelope>) -> Handed {
        let lease = None;
        Handed { envelope, lease }
    }

    pub(super) fn leased(leased: Leased, length: Option<Duration>, salt: &str) -> Handed {
        Handed {
            envelope: leased.envelope,
            lease: Some(Lease {
                receipt: receipt::receipt(salt, leased.delivery),
                attempt: leased.attempt,
                length,
            }),
        }
    }
}

/// What a poll gets. Dropped without [`Batch::written`], it goes back to its places.
#[derive(Debug, Default)]
pub struct Batch {
    /// Most urgent first.
    pub messages: Vec<Handed>,
    /// Acknowledges all of them.
    pub token: Option<String>,
    /// Notices that gave way since the last poll.
    pub missed: u64,
    /// Messages that wait besides.
    pub remaining: usize,
    guard: Option<Guard>,
}

/// Gives messages back to their door unless it is told that they were written.
#[derive(Debug)]
struct Guard {
    door: Arc<Door>,
    /// The run of the actor that gave them.
    run: u32,
    given: Vec<Unwritten>,
    missed: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.door.give_back(self.run, &self.given, self.missed);
    }
}

impl Batch {
    /// What the inbox gives to this ask at this moment.
    pub(super) fn of(ask: Ask, inbox: &mut Inbox, door: &Arc<Door>, now: Millis) -> Batch {
        let mut batch = Batch::default();
        let mut given = Vec::new();
        match ask.lease {
            _ if ask.peek => {
                let shown = inbox.peek(ask.portion);
                batch.messages = shown.into_iter().map(Handed::plain).collect();
            }
            Some(length) => {
                let until = from_now(now, length);
                let leased = inbox.lease(ask.portion, Some(until));
                given.extend(leased.iter().map(|lease| Unwritten::Leased(lease.delivery)));
                batch.lease(leased, length, door.salt());
            }
            None => {
                for (seq, envelope) in inbox.take(ask.portion) {
                    given.push(Unwritten::Out(seq));
                    batch.messages.push(Handed::plain(envelope));
                }
            }
        }
        if !ask.peek {
            batch.missed = inbox.take_missed();
            let way = ask.lease.map_or(Way::Poll, |_| Way::Lease);
            for handed in &batch.messages {
                let what = What::from(&handed.envelope.kind);
                door.common.metrics.deliveries.of(way, what).inc();
            }
        }
        batch.remaining = inbox.waiting();
        let guard = Guard {
            door: door.clone(),
            run: door.run(),
            given,
            missed: batch.missed,
        };
        let something = !guard.given.is_empty() || guard.missed > 0;
        batch.guard = something.then_some(guard);
        batch
    }

    fn lease(&mut self, leased: Vec<Leased>, length: Duration, salt: &str) {
        let Some(first) = leased.first().map(|lease| lease.delivery) else {
            return;
        };
        self.token = Some(receipt::batch(salt, first, leased.len() as u64));
        let lease = |leased| Handed::leased(leased, Some(length), salt);
        self.messages.extend(leased.into_iter().map(lease));
    }

    /// Whether anything goes back if it is not written.
    pub fn is_at_stake(&self) -> bool {
        self.guard.is_some()
    }

    /// The reply was written: what was not leased has left.
    pub fn written(mut self) {
        let Some(mut guard) = self.guard.take() else {
            return;
        };
        let given = std::mem::take(&mut guard.given);
        guard.missed = 0;
        let read = given.into_iter().filter_map(|message| match message {
            Unwritten::Out(seq) => Some(seq),
            Unwritten::Leased(_) => None,
        });
        let mut read = read.peekable();
        if read.peek().is_some() {
            guard.door.enter().read(guard.run, read);
        }
    }
}

/// What an agent answers to a poll.
pub enum Given {
    /// It is here.
    Now(Batch),
    /// It comes with the mail.
    Later(oneshot::Receiver<Batch>),
    /// The agent is claimed, and the ask does not show its secret.
    NotYours,
}

/// Why there is no mail for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMail {
    /// See [`Gone`].
    Gone,
    /// The agent was claimed while the call was on its way, and it has not shown the secret.
    NotYours,
}

impl From<Gone> for NoMail {
    fn from(_: Gone) -> Self {
        NoMail::Gone
    }
}

/// A poll that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    /// What it wants.
    pub(super) ask: Ask,
    /// Closed when it has gone.
    pub(super) reply: oneshot::Sender<Batch>,
}

/// What is done with deliveries.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// They have been dealt with.
    Ack,
    /// They come again, after a while if one is given.
    Nack(Option<Duration>),
    /// Their leases last so long from now.
    Extend(Duration),
}

/// How that went.
#[derive(Debug, Default)]
pub struct Settlement {
    /// Deliveries it was done to.
    pub done: usize,
    /// Those that were over before.
    pub expired: Vec<Delivery>,
}

/// A moment that is so far from now.
pub(super) fn from_now(now: Millis, time: Duration) -> Millis {
    now.saturating_add(millis(time))
}
