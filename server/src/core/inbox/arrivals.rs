//! The door of an inbox: what a sender needs of it, and no more.

use super::super::budget::{Budget, Charge, For};
use super::super::message::{Envelope, Kind};
use super::{Delivery, Seq};
use std::collections::VecDeque;
use std::sync::Arc;

/// Places beyond the limit for those messages that tell a sender of its dead mail.
pub const FAILURES_RESERVE: usize = 64;

/// How much one inbox holds, waiting and in hand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Delegations and responses.
    pub places: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Limits {
    /// Those of the notices: half of each.
    pub(super) fn notices(self) -> Limits {
        Limits {
            places: self.places / 2,
            bytes: self.bytes / 2,
        }
    }
}

/// Why a message was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The inbox holds as much mail as it may.
    Full,
    /// All inboxes together hold as much as they may.
    NoRoom,
    /// Its agent is gone.
    Closed,
}

/// The door of an inbox: counts the mail inside, numbers what comes, and holds it until the
/// inbox's owner takes it in. Kept apart from [`Inbox`], so that a sender needs only this.
#[derive(Debug, Default)]
pub struct Arrivals {
    places: usize,
    bytes: usize,
    next: Seq,
    /// Made when something comes: most doors have nothing before them most of the time.
    waiting: Option<Box<Waiting>>,
    closed: bool,
}

/// A message in an inbox, and what it costs.
#[derive(Debug)]
pub struct Held {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Given back with it.
    pub charge: Charge,
}

/// A message of a reply that could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritten {
    /// It was given for good.
    Out(Seq),
    /// It was leased.
    Leased(Delivery),
}

/// What waits at the door for the inbox's owner.
#[derive(Debug, Default)]
pub struct Waiting {
    /// Messages that came, in the order in which they came.
    pub come: VecDeque<(Seq, Held)>,
    /// Messages of replies that could not be written.
    pub returned: VecDeque<Unwritten>,
    /// Notices that are to be counted as missed.
    pub missed: u64,
}

impl Waiting {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        let Waiting {
            come,
            returned,
            missed,
        } = self;
        come.is_empty() && returned.is_empty() && *missed == 0
    }

    /// Takes over what came later.
    pub fn merge(&mut self, later: Waiting) {
        self.come.extend(later.come);
        self.returned.extend(later.returned);
        self.missed += later.missed;
    }
}

impl Arrivals {
    /// Takes a message, or says why not: these are the inbox's limits. One message always fits into an empty
    /// inbox, however long it is. A notice that the budget has no room for is missed.
    pub fn admit(
        &mut self,
        envelope: Arc<Envelope>,
        limits: Limits,
        budget: &Arc<Budget>,
    ) -> Result<Seq, NotAdmitted> {
        if self.closed {
            return Err(NotAdmitted::Closed);
        }
        if envelope.is_mail() && !self.fits(&envelope, limits) {
            return Err(NotAdmitted::Full);
        }
        let what = match envelope.is_mail() {
            true => For::Mail,
            false => For::Notice,
        };
        let charge = match envelope.kind {
            Kind::Failure => Some(budget.overdraw(envelope.cost(), what)),
            _ => budget.charge(envelope.cost(), what),
        };
        let Some(charge) = charge else {
            self.give_back_missed(u64::from(!envelope.is_mail()));
            return Err(NotAdmitted::NoRoom);
        };
        if envelope.is_mail() {
            self.places += 1;
            self.bytes += envelope.size();
        }
        let seq = self.next;
        self.next += 1;
        let held = Held { envelope, charge };
        self.waiting().come.push_back((seq, held));
        Ok(seq)
    }

    fn fits(&self, envelope: &Envelope, Limits { places, bytes }: Limits) -> bool {
        if envelope.kind == Kind::Failure {
            return self.places < places.saturating_add(FAILURES_RESERVE);
        }
        self.places < places && (self.places == 0 || self.bytes + envelope.size() <= bytes)
    }

    /// A message could not be written out: the owner will put it back.
    pub fn give_back(&mut self, message: Unwritten) {
        self.waiting().returned.push_back(message);
    }

    /// A reply that told of missed notices could not be written out.
    pub fn give_back_missed(&mut self, missed: u64) {
        if missed > 0 {
            self.waiting().missed += missed;
        }
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.waiting.get_or_insert_default()
    }

    /// Gives up what waits since the last call; `None` where nothing does.
    pub fn take(&mut self) -> Option<Box<Waiting>> {
        self.waiting.take()
    }

    /// Nothing is admitted from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many messages wait outside.
    pub fn outside(&self) -> usize {
        (self.waiting.as_ref()).map_or(0, |waiting| waiting.come.len())
    }

    /// A message has left the inbox for good: its place is free.
    pub fn release(&mut self, envelope: &Envelope) {
        if envelope.is_mail() {
            self.places -= 1;
            self.bytes -= envelope.size();
        }
    }

    /// Mail inside: waiting, in hand and outside together.
    pub fn mail(&self) -> usize {
        self.places
    }
}
