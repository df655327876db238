//! The messages that wait for one agent: order, bounds, and what is in hand.
//!
//! A message is *waiting* or *in hand* (given to somebody who has not confirmed it). Put back,
//! it takes its old place. Mail (delegations and responses) is bounded at the door, by
//! [`Arrivals`], and refused there; notices (broadcasts, changed files) have half as much room
//! and are never refused: beyond it the oldest of them gives way.

use super::message::{Envelope, Kind};
use clawlink_protocol::messages::Priority;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The place of a message in the order of arrival at one inbox.
pub type Seq = u64;

/// How much one inbox holds, waiting and in hand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Delegations and responses.
    pub places: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Limits {
    fn notices(self) -> Limits {
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
    outside: Vec<(Seq, Arc<Envelope>)>,
    closed: bool,
}

impl Arrivals {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Arrivals {
            limits,
            places: 0,
            bytes: 0,
            next: 0,
            outside: Vec::new(),
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
        self.outside.push((seq, envelope));
        Ok(seq)
    }

    /// Gives up what came since the last call, in the order in which it came.
    pub fn take(&mut self) -> Vec<(Seq, Arc<Envelope>)> {
        std::mem::take(&mut self.outside)
    }

    /// Nothing is admitted from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How many wait outside.
    pub fn outside(&self) -> usize {
        self.outside.len()
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

/// How much may be taken at once.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    /// Messages.
    pub count: usize,
    /// Bytes.
    pub bytes: usize,
    /// Whether the first may exceed `bytes`, so that a long message is not stuck for ever.
    pub one_at_least: bool,
}

impl Portion {
    /// Everything.
    pub const ALL: Portion = Portion {
        count: usize::MAX,
        bytes: usize::MAX,
        one_at_least: true,
    };
}

/// The inbox itself.
#[derive(Debug)]
pub struct Inbox {
    limits: Limits,
    mail: BTreeMap<(Priority, Seq), Arc<Envelope>>,
    notices: BTreeMap<Seq, Arc<Envelope>>,
    in_hand: BTreeMap<Seq, Arc<Envelope>>,
    notice_count: usize,
    notice_bytes: usize,
    missed: u64,
}

impl Inbox {
    /// An empty one; `limits` are those of its mail, notices have half of each.
    pub fn new(limits: Limits) -> Self {
        Inbox {
            limits,
            mail: BTreeMap::new(),
            notices: BTreeMap::new(),
            in_hand: BTreeMap::new(),
            notice_count: 0,
            notice_bytes: 0,
            missed: 0,
        }
    }

    /// Takes in a message that [`Arrivals`] admitted. Notices beyond their room give way.
    pub fn accept(&mut self, seq: Seq, envelope: Arc<Envelope>) {
        if envelope.is_mail() {
            self.mail.insert((envelope.priority, seq), envelope);
            return;
        }
        self.notice_count += 1;
        self.notice_bytes += envelope.size();
        let kind = envelope.kind.clone();
        self.notices.insert(seq, envelope);
        self.make_room(&kind);
    }

    /// Lets notices go until they fit: an older one of the same file first, then the oldest.
    /// The newest stays, however long it is.
    fn make_room(&mut self, newest: &Kind) {
        let room = self.limits.notices();
        while self.notice_count > room.places.max(1) || self.notice_bytes > room.bytes {
            if self.notices.len() < 2 {
                return;
            }
            let same_file = matches!(newest, Kind::FileUpdated(_))
                .then(|| self.notices.iter().find(|(_, other)| other.kind == *newest))
                .flatten()
                .map(|(&seq, _)| seq)
                .filter(|seq| Some(seq) != self.notices.keys().next_back());
            let Some(seq) = same_file.or_else(|| self.notices.keys().next().copied()) else {
                return;
            };
            if let Some(gone) = self.notices.remove(&seq) {
                self.forget_notice(&gone);
                self.missed += 1;
            }
        }
    }

    fn forget_notice(&mut self, envelope: &Envelope) {
        self.notice_count -= 1;
        self.notice_bytes -= envelope.size();
    }

    /// Takes the next messages in hand: urgent, high, normal, low; inside one priority in the
    /// order of arrival. Notices are normal.
    pub fn take(&mut self, portion: Portion) -> Vec<(Seq, Arc<Envelope>)> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < portion.count {
            let Some((seq, size, is_mail, key)) = self.peek() else {
                break;
            };
            let first = taken.is_empty() && portion.one_at_least;
            if !first && bytes + size > portion.bytes {
                break;
            }
            bytes += size;
            let envelope = if is_mail {
                self.mail.remove(&key)
            } else {
                self.notices.remove(&seq)
            };
            let Some(envelope) = envelope else { break };
            self.in_hand.insert(seq, envelope.clone());
            taken.push((seq, envelope));
        }
        taken
    }

    /// The next message: its number, size, whether it is mail, and its key.
    fn peek(&self) -> Option<(Seq, usize, bool, (Priority, Seq))> {
        let mail = self
            .mail
            .first_key_value()
            .map(|(&key, e)| (key, e.size(), true));
        let notice = self
            .notices
            .first_key_value()
            .map(|(&seq, e)| ((Priority::Normal, seq), e.size(), false));
        let (key, size, is_mail) = match (mail, notice) {
            (Some(mail), Some(notice)) => {
                if mail.0 < notice.0 {
                    mail
                } else {
                    notice
                }
            }
            (mail, notice) => mail.or(notice)?,
        };
        Some((key.1, size, is_mail, key))
    }

    /// A message in hand is confirmed and leaves for good. `None` if it is not in hand.
    pub fn confirm(&mut self, seq: Seq) -> Option<Arc<Envelope>> {
        let envelope = self.in_hand.remove(&seq)?;
        if !envelope.is_mail() {
            self.forget_notice(&envelope);
        }
        Some(envelope)
    }

    /// A message in hand was not confirmed and takes its old place again.
    pub fn put_back(&mut self, seq: Seq) {
        let Some(envelope) = self.in_hand.remove(&seq) else {
            return;
        };
        if envelope.is_mail() {
            self.mail.insert((envelope.priority, seq), envelope);
        } else {
            self.notices.insert(seq, envelope);
        }
    }

    /// Puts everything in hand back, but what somebody is known to hold.
    pub fn put_back_unless(&mut self, held: impl Fn(Seq) -> bool) {
        let lost = self.in_hand.keys().copied().filter(|&seq| !held(seq));
        for seq in lost.collect::<Vec<_>>() {
            self.put_back(seq);
        }
    }

    /// Notices that gave way since the last call.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.mail.len() + self.notices.len()
    }

    /// Messages that wait or are in hand.
    pub fn len(&self) -> usize {
        self.waiting() + self.in_hand.len()
    }

    /// Whether nothing waits and nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
