//! The messages that wait for one agent: order, bounds, and what is in hand.
//!
//! A message is *waiting* or *in hand* (given to somebody who has not confirmed it). In hand it is
//! *out*, written to a socket or a reply; or *leased*, given together with a receipt for a time,
//! or for as long as a socket is open; or *delayed*, given back for later. Put back, it takes its
//! old place. One that waits for its first hand-over dies when its time is over.
//!
//! Mail (delegations and responses) is bounded at the door, by [`Arrivals`], and refused there;
//! notices (broadcasts, changed files) have half as much room and are never refused: beyond it the
//! oldest of them gives way.

mod acked;
mod arrivals;
mod lease;
mod leasing;
mod sorted;

pub use arrivals::{Arrivals, FAILURES_RESERVE, Held, Limits, NotAdmitted, Unwritten, Waiting};
pub use lease::{ATTEMPTS_MAX, Dead, Delivery, Leased, Reason, Returned, Settled};
use lease::{Holder, Item};

use super::Millis;
use super::message::{Envelope, Kind};
use super::metrics::{Metrics, Missed};
use super::task::{Step, Task};
use acked::Acked;
use clawlink_protocol::messages::Priority;
use smallvec::SmallVec;
use sorted::Sorted;
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

    /// Whether there is room in it for one more, which it then has less.
    fn admits(&mut self, item: &Item) -> bool {
        let size = item.envelope().size();
        let first = std::mem::take(&mut self.one_at_least);
        if self.count == 0 || self.bytes < size && !first {
            return false;
        }
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        true
    }
}

/// What became of tasks: mostly of one.
pub type Moved = SmallVec<[(Arc<Task>, Step); 1]>;

/// Where a message waits.
type Place = (Priority, Seq);

/// The place of a notice among mail.
fn notice((seq, item): (Seq, &Item)) -> (Place, &Item) {
    ((Priority::Normal, seq), item)
}

fn is_before((place, _): &(Place, &Item), other: &Option<(Place, &Item)>) -> bool {
    other.is_none_or(|(other, _)| *place < other)
}

/// The inbox itself.
#[derive(Debug)]
pub struct Inbox {
    limits: Limits,
    mail: Sorted<Place, Item>,
    notices: Sorted<Seq, Item>,
    in_hand: Sorted<Seq, (Item, Holder)>,
    leased: Sorted<Delivery, Seq>,
    /// When a lease or a delay ends, or the wait for the first hand-over.
    due: Sorted<(Millis, Seq), ()>,
    next_delivery: Delivery,
    acked: Acked,
    notice_count: usize,
    notice_bytes: usize,
    missed: u64,
    /// Tasks whose messages were handed over or came back.
    moved: Moved,
    metrics: Arc<Metrics>,
}

impl Inbox {
    /// An empty one; `limits` are those of its mail, notices have half of each. `metrics` is told of
    /// what comes again, runs out or gives way.
    pub fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Inbox {
            limits,
            mail: Sorted::new(),
            notices: Sorted::new(),
            in_hand: Sorted::new(),
            leased: Sorted::new(),
            due: Sorted::new(),
            next_delivery: 1,
            acked: Acked::new(),
            notice_count: 0,
            notice_bytes: 0,
            missed: 0,
            moved: Moved::new(),
            metrics,
        }
    }

    /// Takes in a message that [`Arrivals`] admitted. Notices beyond their room give way.
    pub fn accept(&mut self, seq: Seq, held: Held) {
        let envelope = held.envelope.clone();
        let item = Item {
            held,
            attempts: 0,
            shown: false,
        };
        self.wait(seq, item);
        if !envelope.is_mail() {
            self.notice_count += 1;
            self.notice_bytes += envelope.size();
            self.make_room(&envelope.kind);
        }
    }

    /// Puts a message in its place among those that wait.
    fn wait(&mut self, seq: Seq, item: Item) {
        if let Some(expires) = item.expires() {
            self.due.insert((expires, seq), ());
        }
        let (mail, priority) = (item.envelope().is_mail(), item.envelope().priority);
        match mail {
            true => self.mail.insert((priority, seq), item),
            false => self.notices.insert(seq, item),
        };
    }

    /// Lets notices go until they fit: an older one of the same file first, then the oldest.
    /// The newest stays, however long it is.
    fn make_room(&mut self, newest: &Kind) {
        let room = self.limits.notices();
        while self.notice_count > room.places.max(1) || self.notice_bytes > room.bytes {
            if self.notices.len() < 2 {
                return;
            }
            let newest_seq = self.notices.last_key();
            let same_file = matches!(newest, Kind::FileUpdated(_))
                .then(|| {
                    self.notices
                        .iter()
                        .find(|(_, other)| other.envelope().kind == *newest)
                })
                .flatten()
                .map(|(seq, _)| seq)
                .filter(|&seq| Some(seq) != newest_seq);
            let Some(seq) = same_file.or_else(|| self.notices.first_key()) else {
                return;
            };
            if let Some(gone) = self.remove_waiting((Priority::Normal, seq)) {
                self.forget(gone.envelope());
                self.missed += 1;
                self.metrics.missed.of(Missed::Inbox).inc();
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

    /// The message that is next: urgent, high, normal, low; inside one priority in the order of arrival.
    /// Notices are normal.
    fn next(&self) -> Option<(Place, &Item)> {
        let mail = self.mail.first();
        let notice = self.notices.first().map(notice);
        notice.filter(|notice| is_before(notice, &mail)).or(mail)
    }

    /// Takes out the message that is next, if the portion has room for it.
    fn take_next(&mut self, portion: &mut Portion) -> Option<(Seq, Item)> {
        let (place, item) = self.next()?;
        portion.admits(item).then_some(())?;
        let item = self.remove_waiting(place)?;
        self.note_again(&item);
        Some((place.1, item))
    }

    fn remove_waiting(&mut self, key: Place) -> Option<Item> {
        let mail = self.mail.remove(key);
        let item = mail.or_else(|| self.notices.remove(key.1))?;
        if let Some(expires) = item.expires() {
            self.due.remove((expires, key.1));
        }
        Some(item)
    }

    /// The next messages, which stay where they are.
    pub fn peek(&self, mut portion: Portion) -> Vec<Arc<Envelope>> {
        let mut mail = self.mail.iter().peekable();
        let mut notices = self.notices.iter().map(notice).peekable();
        let next = std::iter::from_fn(|| {
            let notice = notices.next_if(|notice| is_before(notice, &mail.peek().copied()));
            notice.or_else(|| mail.next())
        });
        let shown = next.map(|(_, item)| item);
        let shown = shown.take_while(|item| portion.admits(item));
        shown.map(|item| item.envelope().clone()).collect()
    }

    /// Takes the next messages out, until they are confirmed or put back.
    pub fn take(&mut self, mut portion: Portion) -> Vec<(Seq, Arc<Envelope>)> {
        let mut taken = Vec::new();
        while let Some((seq, item)) = self.take_next(&mut portion) {
            taken.push((seq, item.envelope().clone()));
            self.hand(seq, item, Holder::Out);
        }
        taken
    }

    /// A message is handed over that somebody may have seen before.
    fn note_again(&self, item: &Item) {
        if item.attempts > 0 || item.shown {
            self.metrics.redeliveries.inc();
        }
    }

    /// A message is in somebody's hand from here on, or set aside for later.
    fn hand(&mut self, seq: Seq, item: Item, holder: Holder) {
        let step = match holder {
            Holder::Delay { .. } => Step::CameBack,
            Holder::Out | Holder::Lease { .. } => Step::HandedOver,
        };
        self.moved
            .extend(item.envelope().task.clone().map(|task| (task, step)));
        if let Some(until) = holder.until() {
            self.due.insert((until, seq), ());
        }
        self.in_hand.insert(seq, (item, holder));
    }

    /// A message takes its old place.
    fn come_back(&mut self, seq: Seq, item: Item) {
        let task = item.envelope().task.clone();
        self.moved.extend(task.map(|task| (task, Step::CameBack)));
        self.wait(seq, item);
    }

    /// What became of tasks since the last call.
    pub fn take_moved(&mut self) -> Moved {
        std::mem::take(&mut self.moved)
    }

    /// Ends what held a message, and gives it.
    fn release(&mut self, seq: Seq) -> Option<Item> {
        let (item, holder) = self.in_hand.remove(seq)?;
        if let Some(until) = holder.until() {
            self.due.remove((until, seq));
        }
        if let Holder::Lease { delivery, .. } = holder {
            self.leased.remove(delivery);
        }
        Some(item)
    }

    /// A message that is out is confirmed and leaves for good. `None` if it is not in hand.
    pub fn confirm(&mut self, seq: Seq) -> Option<Arc<Envelope>> {
        let item = self.release(seq)?;
        self.forget(item.envelope());
        Some(item.held.envelope)
    }

    /// A message that is out was given to nobody and takes its old place. What is not out stays
    /// where it is.
    pub fn put_back(&mut self, seq: Seq) {
        if !matches!(self.in_hand.get(seq), Some((_, Holder::Out))) {
            return;
        }
        if let Some(item) = self.release(seq) {
            self.come_back(seq, item);
        }
    }

    /// What somebody had on a connection is back, unless that is known to be still there. It may
    /// have been read.
    pub fn put_back_unless(&mut self, held: impl Fn(Seq) -> bool) {
        let there = self.in_hand.iter();
        let there = there.filter(|(_, (_, holder))| holder.is_connection());
        let lost = there.map(|(seq, _)| seq).filter(|&seq| !held(seq));
        for seq in lost.collect::<Vec<_>>() {
            self.lose(seq, false);
        }
    }

    fn bury(&mut self, item: Item, reason: Reason) -> Dead {
        self.forget(item.envelope());
        Dead {
            envelope: item.envelope().clone(),
            reason,
            attempts: item.attempts,
        }
    }

    /// The agent is gone, and everything that was there dies.
    pub fn bury_all(self) -> impl Iterator<Item = Dead> {
        let waiting = self.mail.into_values().chain(self.notices.into_values());
        let in_hand = self.in_hand.into_values().map(|(item, _)| item);
        waiting.chain(in_hand).map(|item| Dead {
            envelope: item.envelope().clone(),
            reason: Reason::RecipientRemoved,
            attempts: item.attempts,
        })
    }

    /// The delegations that wait and that another agent might have.
    pub fn for_anyone(&self) -> Vec<(Seq, Arc<Envelope>)> {
        let waiting = self.mail.iter();
        let waiting = waiting.map(|((_, seq), item)| (seq, item.envelope()));
        let open = waiting.filter(|(_, envelope)| {
            let task = envelope.task.as_ref();
            task.is_some_and(|task| task.for_anyone().is_some())
        });
        open.map(|(seq, envelope)| (seq, envelope.clone()))
            .collect()
    }

    /// When the next lease, delay or wait ends.
    pub fn next_due(&self) -> Option<Millis> {
        self.due.first_key().map(|(until, _)| until)
    }

    /// Notices that gave way since the last call.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// So many more notices have not been told of.
    pub fn add_missed(&mut self, missed: u64) {
        self.missed += missed;
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.mail.len() + self.notices.len()
    }

    /// Messages that wait or are in hand.
    pub fn len(&self) -> usize {
        self.waiting() + self.in_hand.len()
    }

    /// Whether it is as an inbox is that was just made: nothing would be lost with it.
    pub fn is_new(&self) -> bool {
        let nothing_given = self.next_delivery == 1 && self.moved.is_empty();
        self.is_empty() && self.missed == 0 && nothing_given
    }

    /// Whether nothing waits and nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
