//! The messages that wait for one agent: order, bounds, and what is in hand.
//!
//! A message is *waiting* or *in hand* (given to somebody who has not confirmed it). In hand it is
//! either *out*, written to a socket or a reply, or *leased*, given for a time together with a
//! receipt, or *delayed*, given back for later. Put back, it takes its old place. Mail (delegations and responses) is bounded at the door, by
//! [`Arrivals`], and refused there; notices (broadcasts, changed files) have half as much room
//! and are never refused: beyond it the oldest of them gives way.

mod acked;
mod arrivals;
mod lease;

pub use arrivals::{Arrivals, Limits, NotAdmitted, Unwritten, Waiting};
pub use lease::{ATTEMPTS_MAX, Dead, Delivery, Leased, Returned, Settled};
use lease::{Holder, Item};

use super::Millis;
use super::message::{Envelope, Kind};
use acked::Acked;
use clawlink_protocol::messages::Priority;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The place of a message in the order of arrival at one inbox.
pub type Seq = u64;

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
    mail: BTreeMap<(Priority, Seq), Item>,
    notices: BTreeMap<Seq, Item>,
    in_hand: BTreeMap<Seq, (Item, Holder)>,
    leased: BTreeMap<Delivery, Seq>,
    /// When a lease or a delay ends.
    due: BTreeSet<(Millis, Seq)>,
    next_delivery: Delivery,
    acked: Acked,
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
            leased: BTreeMap::new(),
            due: BTreeSet::new(),
            next_delivery: 1,
            acked: Acked::default(),
            notice_count: 0,
            notice_bytes: 0,
            missed: 0,
        }
    }

    /// Takes in a message that [`Arrivals`] admitted. Notices beyond their room give way.
    pub fn accept(&mut self, seq: Seq, envelope: Arc<Envelope>) {
        let kind = envelope.kind.clone();
        if kind != Kind::Mail {
            self.notice_count += 1;
            self.notice_bytes += envelope.size();
        }
        self.wait(
            seq,
            Item {
                envelope,
                attempts: 0,
            },
        );
        if kind != Kind::Mail {
            self.make_room(&kind);
        }
    }

    /// Puts a message in its place among those that wait.
    fn wait(&mut self, seq: Seq, item: Item) {
        if item.envelope.is_mail() {
            self.mail.insert((item.envelope.priority, seq), item);
        } else {
            self.notices.insert(seq, item);
        }
    }

    /// Lets notices go until they fit: an older one of the same file first, then the oldest.
    /// The newest stays, however long it is.
    fn make_room(&mut self, newest: &Kind) {
        let room = self.limits.notices();
        while self.notice_count > room.places.max(1) || self.notice_bytes > room.bytes {
            if self.notices.len() < 2 {
                return;
            }
            let newest_seq = self.notices.keys().next_back().copied();
            let same_file = matches!(newest, Kind::FileUpdated(_))
                .then(|| {
                    self.notices
                        .iter()
                        .find(|(_, other)| other.envelope.kind == *newest)
                })
                .flatten()
                .map(|(&seq, _)| seq)
                .filter(|&seq| Some(seq) != newest_seq);
            let Some(seq) = same_file.or_else(|| self.notices.keys().next().copied()) else {
                return;
            };
            if let Some(gone) = self.notices.remove(&seq) {
                self.forget(&gone.envelope);
                self.missed += 1;
            }
        }
    }

    /// A message has left: its room among the notices is free. That of mail is [`Arrivals`]'.
    fn forget(&mut self, envelope: &Envelope) {
        if !envelope.is_mail() {
            self.notice_count -= 1;
            self.notice_bytes -= envelope.size();
        }
    }

    /// The keys of the next messages, as many as the portion holds: urgent, high, normal, low;
    /// inside one priority in the order of arrival. Notices are normal.
    fn next(&self, portion: Portion) -> Vec<(Priority, Seq)> {
        let mut mail = self
            .mail
            .iter()
            .map(|(&key, item)| (key, item.envelope.size()))
            .peekable();
        let notices = self.notices.iter();
        let mut notices = notices
            .map(|(&seq, item)| ((Priority::Normal, seq), item.envelope.size()))
            .peekable();
        let (mut keys, mut bytes) = (Vec::new(), 0usize);
        while keys.len() < portion.count {
            let notice_first = match (mail.peek(), notices.peek()) {
                (Some(mail), Some(notice)) => notice.0 < mail.0,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            let next = if notice_first {
                notices.next()
            } else {
                mail.next()
            };
            let Some((key, size)) = next else { break };
            bytes += size;
            let first = keys.is_empty() && portion.one_at_least;
            if bytes > portion.bytes && !first {
                break;
            }
            keys.push(key);
        }
        keys
    }

    fn remove_waiting(&mut self, key: (Priority, Seq)) -> Option<Item> {
        self.mail
            .remove(&key)
            .or_else(|| self.notices.remove(&key.1))
    }

    /// The next messages, which stay where they are.
    pub fn peek(&self, portion: Portion) -> Vec<Arc<Envelope>> {
        let item = |key: &(Priority, Seq)| self.mail.get(key).or_else(|| self.notices.get(&key.1));
        let keys = self.next(portion);
        keys.iter()
            .filter_map(item)
            .map(|item| item.envelope.clone())
            .collect()
    }

    /// Takes the next messages out, until they are confirmed or put back.
    pub fn take(&mut self, portion: Portion) -> Vec<(Seq, Arc<Envelope>)> {
        let mut taken = Vec::new();
        for key in self.next(portion) {
            let Some(item) = self.remove_waiting(key) else {
                continue;
            };
            taken.push((key.1, item.envelope.clone()));
            self.in_hand.insert(key.1, (item, Holder::Out));
        }
        taken
    }

    /// Leases the next messages until a moment. Their deliveries are numbered one after the other.
    pub fn lease(&mut self, portion: Portion, until: Millis) -> Vec<Leased> {
        let mut leases = Vec::new();
        for key in self.next(portion) {
            let Some(mut item) = self.remove_waiting(key) else {
                continue;
            };
            let (seq, delivery) = (key.1, self.next_delivery);
            self.next_delivery += 1;
            item.attempts += 1;
            let (attempt, envelope) = (item.attempts, item.envelope.clone());
            leases.push(Leased {
                delivery,
                seq,
                attempt,
                envelope,
            });
            self.leased.insert(delivery, seq);
            self.due.insert((until, seq));
            self.in_hand
                .insert(seq, (item, Holder::Lease { delivery, until }));
        }
        leases
    }

    /// Ends what held a message, and gives it.
    fn release(&mut self, seq: Seq) -> Option<Item> {
        let (item, holder) = self.in_hand.remove(&seq)?;
        if let Some(until) = holder.until() {
            self.due.remove(&(until, seq));
        }
        if let Holder::Lease { delivery, .. } = holder {
            self.leased.remove(&delivery);
        }
        Some(item)
    }

    /// A message that is out is confirmed and leaves for good. `None` if it is not in hand.
    pub fn confirm(&mut self, seq: Seq) -> Option<Arc<Envelope>> {
        let item = self.release(seq)?;
        self.forget(&item.envelope);
        Some(item.envelope)
    }

    /// A message that is out takes its old place. What is not out stays where it is.
    pub fn put_back(&mut self, seq: Seq) {
        if !matches!(self.in_hand.get(&seq), Some((_, Holder::Out))) {
            return;
        }
        if let Some(item) = self.release(seq) {
            self.wait(seq, item);
        }
    }

    /// A delivery was leased by a reply that nobody got: it was no attempt. Nothing changes where the
    /// lease is over.
    pub fn unlease(&mut self, delivery: Delivery) {
        let seq = self.leased.get(&delivery).copied();
        if let Some((seq, mut item)) = seq.and_then(|seq| Some((seq, self.release(seq)?))) {
            item.attempts -= 1;
            self.wait(seq, item);
        }
    }

    /// Puts everything that is out back, but what somebody is known to hold.
    pub fn put_back_unless(&mut self, held: impl Fn(Seq) -> bool) {
        let out = self
            .in_hand
            .iter()
            .filter(|(_, (_, holder))| *holder == Holder::Out);
        let lost = out.map(|(&seq, _)| seq).filter(|&seq| !held(seq));
        for seq in lost.collect::<Vec<_>>() {
            self.put_back(seq);
        }
    }

    /// A delivery is acknowledged: its message leaves for good.
    pub fn ack(&mut self, delivery: Delivery, now: Millis) -> Settled {
        let Some(seq) = self.leased.get(&delivery).copied() else {
            return match self.acked.holds(delivery, now) {
                true => Settled::Before,
                false => Settled::Expired,
            };
        };
        self.acked.note(delivery, now);
        self.confirm(seq).map_or(Settled::Expired, Settled::Left)
    }

    /// A delivery is given back: its message waits again, at once or at a later moment, or dies if
    /// this was its last attempt.
    pub fn nack(&mut self, delivery: Delivery, later: Option<Millis>) -> Returned {
        let seq = self.leased.get(&delivery).copied();
        let Some((seq, item)) = seq.and_then(|seq| Some((seq, self.release(seq)?))) else {
            return Returned::Expired;
        };
        if item.attempts >= ATTEMPTS_MAX {
            return Returned::Died(self.bury(item));
        }
        match later {
            None => self.wait(seq, item),
            Some(until) => {
                self.due.insert((until, seq));
                self.in_hand.insert(seq, (item, Holder::Delay { until }));
            }
        }
        Returned::Waits
    }

    /// A lease ends at another moment. Says whether there was one.
    pub fn extend(&mut self, delivery: Delivery, until: Millis) -> bool {
        let Some(&seq) = self.leased.get(&delivery) else {
            return false;
        };
        let Some((_, holder)) = self.in_hand.get_mut(&seq) else {
            return false;
        };
        if let Some(before) = holder.until() {
            self.due.remove(&(before, seq));
        }
        *holder = Holder::Lease { delivery, until };
        self.due.insert((until, seq));
        true
    }

    /// Ends the leases and delays whose time has come. Gives the messages that this kills.
    pub fn expire(&mut self, now: Millis) -> Vec<Dead> {
        let mut dead = Vec::new();
        while let Some(&(until, seq)) = self.due.first() {
            if now < until {
                break;
            }
            let Some(item) = self.release(seq) else { break };
            if item.attempts >= ATTEMPTS_MAX {
                dead.push(self.bury(item));
            } else {
                self.wait(seq, item);
            }
        }
        dead
    }

    fn bury(&mut self, item: Item) -> Dead {
        self.forget(&item.envelope);
        Dead {
            envelope: item.envelope,
            attempts: item.attempts,
        }
    }

    /// When the next lease or delay ends.
    pub fn next_due(&self) -> Option<Millis> {
        self.due.first().map(|&(until, _)| until)
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
mod tests;
