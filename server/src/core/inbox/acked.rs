//! Deliveries that were acknowledged lately: to say it twice does no harm.

use super::super::Millis;
use super::Delivery;
use super::sorted::Sorted;
use std::collections::VecDeque;

/// How long one is remembered.
pub(super) const ACKED_FOR: Millis = 10 * 60 * 1000;
/// How many are remembered; the oldest is forgotten first.
pub(super) const ACKED_MAX: usize = 10_000;

/// The deliveries, and until when each is remembered.
#[derive(Debug)]
pub(super) struct Acked {
    known: Sorted<Delivery, ()>,
    order: VecDeque<(Millis, Delivery)>,
}

impl Acked {
    /// None.
    pub(super) const fn new() -> Self {
        Acked {
            known: Sorted::new(),
            order: VecDeque::new(),
        }
    }

    /// This one was acknowledged just now.
    pub(super) fn note(&mut self, delivery: Delivery, now: Millis) {
        self.forget(now);
        if self.order.len() == ACKED_MAX {
            self.forget_oldest();
        }
        self.known.insert(delivery, ());
        self.order
            .push_back((now.saturating_add(ACKED_FOR), delivery));
    }

    /// Whether this one was.
    pub(super) fn holds(&mut self, delivery: Delivery, now: Millis) -> bool {
        self.forget(now);
        self.known.get(delivery).is_some()
    }

    fn forget(&mut self, now: Millis) {
        while self.order.front().is_some_and(|&(until, _)| until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, delivery)) = self.order.pop_front() {
            self.known.remove(delivery);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_remembered_for_ten_minutes_and_not_longer() {
        let mut acked = Acked::new();
        acked.note(7, 1_000);
        assert_eq!(ACKED_FOR, 600_000);
        assert!(acked.holds(7, 1_000 + ACKED_FOR - 1));
        assert!(!acked.holds(8, 1_000));
        assert!(!acked.holds(7, 1_000 + ACKED_FOR));
    }

    #[test]
    fn the_oldest_is_forgotten_when_they_are_too_many() {
        let mut acked = Acked::new();
        for delivery in 0..=ACKED_MAX as Delivery {
            acked.note(delivery, 0);
        }
        assert!(!acked.holds(0, 0));
        assert!(acked.holds(1, 0) && acked.holds(ACKED_MAX as Delivery, 0));
        assert_eq!(acked.order.len(), ACKED_MAX);
    }

    #[test]
    fn one_that_is_late_is_not_forgotten_before_those_that_were_early() {
        let mut acked = Acked::new();
        for delivery in 2..=ACKED_MAX as Delivery + 1 {
            acked.note(delivery, 0);
        }
        acked.note(1, 5);
        acked.note(ACKED_MAX as Delivery + 2, 6);
        assert!(acked.holds(1, 6) && !acked.holds(3, 6));
    }
}
