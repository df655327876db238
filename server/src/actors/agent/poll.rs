//! What a poll asks, what it gets, and what becomes of it when nobody is there to get it.

use super::door::Door;
use super::handle::Gone;
use crate::core::Millis;
use crate::core::inbox::{Delivery, Inbox, Leased, Portion, Seq};
use crate::core::message::Envelope;
use crate::core::metrics::{Way, What};
use crate::core::presence::millis;
use crate::core::receipt::{Receipt, Salt, Token};
use std::ops::Range;
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
    pub receipt: Receipt,
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

    pub(super) fn leased(leased: Leased, length: Option<Duration>, salt: Salt) -> Handed {
        let Leased {
            delivery,
            attempt,
            envelope,
            ..
        } = leased;
        let receipt = Receipt { salt, delivery };
        Handed {
            envelope,
            lease: Some(Lease {
                receipt,
                attempt,
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
    pub token: Option<Token>,
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
    /// Those that were given for good.
    out: Vec<Seq>,
    leased: Range<Delivery>,
    missed: u64,
}

impl Guard {
    fn has_any(&self) -> bool {
        !self.out.is_empty() || !self.leased.is_empty() || self.missed > 0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.has_any() {
            let leased = self.leased.clone();
            self.door
                .give_back(self.run, &self.out, leased, self.missed);
        }
    }
}

impl Batch {
    /// What the inbox gives to this ask at this moment.
    pub(super) fn of(ask: Ask, inbox: &mut Inbox, door: &Arc<Door>, now: Millis) -> Batch {
        if ask.peek {
            let shown = inbox.peek(ask.portion).into_iter();
            return Batch {
                messages: shown.map(Handed::plain).collect(),
                remaining: inbox.waiting(),
                ..Batch::default()
            };
        }
        let missed = inbox.take_missed();
        let (mut out, mut leased) = (Vec::new(), 0..0);
        let messages: Vec<Handed> = match ask.lease {
            Some(length) => {
                let leases = inbox.leases(ask.portion, Some(from_now(now, length)));
                let handed = leases.map(|lease| {
                    let first = if leased.is_empty() {
                        lease.delivery
                    } else {
                        leased.start
                    };
                    leased = first..lease.delivery + 1;
                    Handed::leased(lease, Some(length), door.salt())
                });
                handed.collect()
            }
            None => {
                let taken = inbox.take(ask.portion);
                out.extend(taken.iter().map(|(seq, _)| *seq));
                let taken = taken.into_iter();
                taken.map(|(_, envelope)| Handed::plain(envelope)).collect()
            }
        };
        let way = ask.lease.map_or(Way::Poll, |_| Way::Lease);
        for handed in &messages {
            let what = What::from(&handed.envelope.kind);
            door.common.metrics.deliveries.of(way, what).inc();
        }
        let token = Token {
            salt: door.salt(),
            deliveries: leased.clone(),
        };
        let something = !messages.is_empty() || missed > 0;
        let guard = || Guard {
            door: door.clone(),
            run: door.run(),
            out,
            leased,
            missed,
        };
        Batch {
            messages,
            token: (!token.deliveries.is_empty()).then_some(token),
            missed,
            remaining: inbox.waiting(),
            guard: something.then(guard),
        }
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
        let out = std::mem::take(&mut guard.out);
        (guard.leased, guard.missed) = (0..0, 0);
        if !out.is_empty() {
            guard.door.enter().read(guard.run, out.into_iter());
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
