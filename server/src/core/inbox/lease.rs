//! What a lease is, and what becomes of one.

use super::super::Millis;
use super::super::message::Envelope;
use super::Seq;
use std::sync::Arc;

/// One leased delivery of one message. Counted anew for each delivery, so that what was said of an
/// earlier one is told from the present.
pub type Delivery = u64;

/// Leased deliveries after which a message is a dead letter.
pub const ATTEMPTS_MAX: u32 = 5;
/// A message inside.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) envelope: Arc<Envelope>,
    /// Leased deliveries so far.
    pub(super) attempts: u32,
}

/// Who has a message that is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A socket, or a reply that is being written.
    Out,
    /// Whoever has the receipt, until then.
    Lease { delivery: Delivery, until: Millis },
    /// Nobody, until then.
    Delay { until: Millis },
}

impl Holder {
    /// When that ends by itself.
    pub(super) fn until(self) -> Option<Millis> {
        match self {
            Holder::Out => None,
            Holder::Lease { until, .. } | Holder::Delay { until } => Some(until),
        }
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
    /// The message has left for good.
    Left(Arc<Envelope>),
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

/// A message that has been given out in vain as often as it may be.
#[derive(Debug)]
pub struct Dead {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Leased deliveries.
    pub attempts: u32,
}
