//! Giving messages out with receipts, and what comes of it.

use super::super::Millis;
use super::super::message::Envelope;
use super::super::task::Task;
use super::{
    ATTEMPTS_MAX, Dead, Delivery, Holder, Inbox, Item, Leased, Portion, Reason, Returned, Seq,
    Settled,
};
use clawlink_protocol::messages::Priority;
use std::iter;
use std::sync::Arc;

impl Inbox {
    /// Leases the next messages, each as it is asked for, until a moment, or for as long as a socket is
    /// open. Their deliveries are numbered one after the other.
    pub fn leases(
        &mut self,
        mut portion: Portion,
        until: Option<Millis>,
    ) -> impl Iterator<Item = Leased> {
        iter::from_fn(move || {
            let (seq, mut item) = self.take_next(&mut portion)?;
            let delivery = self.next_delivery;
            self.next_delivery += 1;
            item.attempts += 1;
            let leased = Leased {
                delivery,
                seq,
                attempt: item.attempts,
                envelope: item.envelope().clone(),
            };
            self.leased.insert(delivery, seq);
            self.hand(seq, item, Holder::Lease { delivery, until });
            Some(leased)
        })
    }

    /// A delivery was leased by a reply that nobody got: it was no attempt. Nothing changes where the
    /// lease is over.
    pub fn unlease(&mut self, delivery: Delivery) {
        if let Some(&seq) = self.leased.get(delivery) {
            self.take_back(seq);
        }
    }

    fn take_back(&mut self, seq: Seq) {
        if let Some(mut item) = self.release(seq) {
            item.attempts -= 1;
            self.come_back(seq, item);
        }
    }

    /// The connection on which somebody had a message is gone: it takes its old place. With a receipt
    /// that was an attempt if the message is known to have been read, and may have been the last.
    pub fn lose(&mut self, seq: Seq, read: bool) -> Option<Dead> {
        match self.in_hand.get_mut(seq) {
            Some((item, Holder::Out)) => {
                item.shown = true;
                self.put_back(seq);
            }
            Some((_, Holder::Lease { until: None, .. })) if read => {
                let item = self.release(seq)?;
                return self.again_or_never(seq, item);
            }
            Some((item, Holder::Lease { until: None, .. })) => {
                item.shown = true;
                self.take_back(seq);
            }
            _ => {}
        }
        None
    }

    /// An attempt has failed: the message waits again, or was given out often enough.
    fn again_or_never(&mut self, seq: Seq, item: Item) -> Option<Dead> {
        if item.attempts >= ATTEMPTS_MAX {
            return Some(self.bury(item, Reason::AttemptsUsedUp));
        }
        self.come_back(seq, item);
        None
    }

    /// Whether somebody has it on a connection.
    pub fn is_on_connection(&self, seq: Seq) -> bool {
        let held = self.in_hand.get(seq);
        held.is_some_and(|(_, holder)| holder.is_connection())
    }

    /// A delivery is acknowledged: its message leaves for good.
    pub fn ack(&mut self, delivery: Delivery, now: Millis) -> Settled {
        let Some(seq) = self.leased.get(delivery).copied() else {
            return match self.acked.holds(delivery, now) {
                true => Settled::Before,
                false => Settled::Expired,
            };
        };
        self.acked.note(delivery, now);
        let left = self.confirm(seq);
        left.map_or(Settled::Expired, |envelope| Settled::Left(seq, envelope))
    }

    /// A delivery is given back: its message waits again, at once or at a later moment, or dies if
    /// this was its last attempt.
    pub fn nack(&mut self, delivery: Delivery, later: Option<Millis>) -> Returned {
        let seq = self.leased.get(delivery).copied();
        let Some((seq, item)) = seq.and_then(|seq| Some((seq, self.release(seq)?))) else {
            return Returned::Expired;
        };
        match later {
            Some(until) if item.attempts < ATTEMPTS_MAX => {
                self.hand(seq, item, Holder::Delay { until });
                Returned::Waits
            }
            _ => self
                .again_or_never(seq, item)
                .map_or(Returned::Waits, Returned::Died),
        }
    }

    /// A lease ends at another moment; one that lasts as long as a socket is left alone. Says whether
    /// there was one.
    pub fn extend(&mut self, delivery: Delivery, until: Millis) -> bool {
        let Some(&seq) = self.leased.get(delivery) else {
            return false;
        };
        if let Some((_, holder)) = self.in_hand.get_mut(seq)
            && let Some(before) = holder.until()
        {
            let later = Some(until);
            *holder = Holder::Lease {
                delivery,
                until: later,
            };
            self.due.remove((before, seq));
            self.due.insert((until, seq), ());
        }
        true
    }

    /// Ends the leases, delays and waits whose time has come. Gives the messages that this kills.
    pub fn expire(&mut self, now: Millis) -> Vec<Dead> {
        let mut dead = Vec::new();
        while let Some((until, seq)) = self.due.first_key() {
            if now < until {
                break;
            }
            if let Some((_, Holder::Lease { .. })) = self.in_hand.get(seq) {
                self.metrics.leases_expired.inc();
            }
            match self.release(seq) {
                Some(item) => dead.extend(self.again_or_never(seq, item)),
                None => {
                    self.due.pop_first();
                    let waited = self.remove_waiting_by_place(seq);
                    dead.extend(waited.map(|item| self.bury(item, Reason::Expired)));
                }
            }
        }
        dead
    }

    /// The delegation of a task that was answered or called off leaves for good, wherever it is. A
    /// receipt of it counts as acknowledged.
    pub fn withdraw(&mut self, seq: Seq, task: &Arc<Task>, now: Millis) -> Option<Arc<Envelope>> {
        let is_it = |item: &Item| {
            let own = item.envelope().task.as_ref();
            own.is_some_and(|own| Arc::ptr_eq(own, task))
        };
        if let Some((item, holder)) = self.in_hand.get(seq) {
            if !is_it(item) {
                return None;
            }
            if let Holder::Lease { delivery, .. } = *holder {
                self.acked.note(delivery, now);
            }
            return self.confirm(seq);
        }
        let key = (Priority::ALL.into_iter().map(|priority| (priority, seq)))
            .find(|key| self.mail.get(*key).is_some_and(is_it))?;
        let item = self.remove_waiting(key)?;
        Some(item.held.envelope)
    }

    fn remove_waiting_by_place(&mut self, seq: Seq) -> Option<Item> {
        let mut keys = Priority::ALL.into_iter().map(|priority| (priority, seq));
        keys.find_map(|key| self.remove_waiting(key))
    }
}
