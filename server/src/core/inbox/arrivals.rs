//! The door of an inbox: what a sender needs of it, and no more.

use super::super::message::Envelope;
use super::{Delivery, Seq};
use std::collections::VecDeque;
use std::sync::Arc;

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
    /// Its agent is gone.
    Closed,
}

/// The door of an inbox: counts the mail inside, numbers what comes, and holds it until the
/// inbox's owner takes it in. Kept apart from [`Inbox`], so that a sender needs only this.
#[derive(Debug)]
pub struct Arrivals {
    limits: Limits,
    places: usize,
    bytes: usize,
    next: Seq,
    waiting: Waiting,
    closed: bool,
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
    pub come: VecDeque<(Seq, Arc<Envelope>)>,
    /// Messages that were out and have been read; their places are free already.
    pub read: VecDeque<Seq>,
    /// Messages of replies that could not be written.
    pub returned: VecDeque<Unwritten>,
}

impl Waiting {
    /// Takes over what came later.
    pub fn merge(&mut self, later: Waiting) {
        self.come.extend(later.come);
        self.read.extend(later.read);
        self.returned.extend(later.returned);
    }
}

impl Arrivals {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Arrivals {
            limits,
            places: 0,
            bytes: 0,
            next: 0,
            waiting: Waiting::default(),
            closed: false,
        }
    }

    /// Takes a message, or says why not. One message always fits into an empty
    /// inbox, however long it is.
    pub fn admit(&mut self, envelope: Arc<Envelope>) -> Result<Seq, NotAdmitted> {
        if self.closed {
            return Err(NotAdmitted::Closed);
        }
        if envelope.is_mail() {
            let bytes = self.bytes + envelope.size();
            if self.places >= self.limits.places || (self.places > 0 && bytes > self.limits.bytes) {
                return Err(NotAdmitted::Full);
            }
            self.places += 1;
            self.bytes = bytes;
        }
        let seq = self.next;
        self.next += 1;
        self.waiting.come.push_back((seq, envelope));
        Ok(seq)
    }

    /// A message that was out has been read: its place is free, and the owner will forget it.
    pub fn read(&mut self, seq: Seq, envelope: &Envelope) {
        self.release(envelope);
        self.waiting.read.push_back(seq);
    }

    /// A message could not be written out: the owner will put it back.
    pub fn give_back(&mut self, message: Unwritten) {
        self.waiting.returned.push_back(message);
    }

    /// Gives up what waits since the last call.
    pub fn take(&mut self) -> Waiting {
        std::mem::take(&mut self.waiting)
    }

    /// Nothing is admitted from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many messages wait outside.
    pub fn outside(&self) -> usize {
        self.waiting.come.len()
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
