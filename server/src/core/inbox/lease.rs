//! What a lease is, and what becomes of one.

use super::super::Millis;
use super::super::message::Envelope;
use super::{Held, Seq};
use std::sync::Arc;

/// One leased delivery of one message. Counted anew for each delivery, so that what was said of an
/// earlier one is told from the present.
pub type Delivery = u64;

/// Leased deliveries after which a message is a dead letter.
pub const ATTEMPTS_MAX: u32 = 5;

/// A message inside.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) held: Held,
    /// Leased deliveries so far.
    pub(super) attempts: u32,
    /// Whether somebody may have read it without a lease.
    pub(super) shown: bool,
}

impl Item {
    pub(super) fn envelope(&self) -> &Arc<Envelope> {
        &self.held.envelope
    }

    /// When it dies of waiting: never, once it was handed over.
    pub(super) fn expires(&self) -> Option<Millis> {
        let new = self.attempts == 0 && !self.shown;
        self.envelope().expires.filter(|_| new)
    }
}

/// Who has a message that is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A socket, or a reply that is being written.
    Out,
    /// Whoever has the receipt, until then; or as long as its socket is open.
    Lease {
        delivery: Delivery,
        until: Option<Millis>,
    },
    /// Nobody, until then.
    Delay { until: Millis },
}

impl Holder {
    /// When that ends by itself.
    pub(super) fn until(self) -> Option<Millis> {
        match self {
            Holder::Out => None,
            Holder::Lease { until, .. } => until,
            Holder::Delay { until } => Some(until),
        }
    }

    /// Whether it ends only by a confirmation or with a connection.
    pub(super) fn is_connection(self) -> bool {
        matches!(self, Holder::Out | Holder::Lease { until: None, .. })
    }
}

/// A message that was leased.
#[derive(Debug, Clone)]
pub struct Leased {
    /// This delivery of it.
    pub delivery: Delivery,
    /// Its place.
    pub seq: Seq,
    /// 1 for the first.
    pub attempt: u32,
    /// The message.
    pub envelope: Arc<Envelope>,
}

/// What became of a receipt.
#[derive(Debug)]
pub enum Settled {
    /// The message has left its place for good.
    Left(Seq, Arc<Envelope>),
    /// It had left before, by this same receipt.
    Before,
    /// The receipt is of a delivery that is over; nothing has changed.
    Expired,
}

/// What became of a delivery that was given back.
#[derive(Debug)]
pub enum Returned {
    /// Its message waits, now or from a later moment on.
    Waits,
    /// This was its last attempt.
    Died(Dead),
    /// The delivery was over before; nothing has changed.
    Expired,
}

/// Why a message died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was not handed over in its time.
    Expired,
    /// It was given out in vain as often as it may be.
    AttemptsUsedUp,
    /// Its recipient is gone.
    RecipientRemoved,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::AttemptsUsedUp => "attempts_used_up",
            Reason::RecipientRemoved => "recipient_removed",
        }
    }
}

/// A message that has died.
#[derive(Debug)]
pub struct Dead {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Of what.
    pub reason: Reason,
    /// Leased deliveries.
    pub attempts: u32,
}
