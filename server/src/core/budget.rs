//! The bound of all inboxes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that all inboxes may take, and how many they do.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// An untouched one.
    pub fn new(limit: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Budget { limit, used })
    }

    /// So many bytes, for as long as the charge lives; `None` where there are not as many left.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.used.fetch_update(set, fetch, more).ok()?;
        let budget = self.clone();
        Some(Charge { budget, bytes })
    }

    /// The same, also where they are not left: for what must not be refused and is bounded
    /// elsewhere.
    pub fn overdraw(self: &Arc<Self>, bytes: usize) -> Charge {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        let budget = self.clone();
        Charge { budget, bytes }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Bytes in use. Dropped, however that comes about, they are free.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_counted_until_it_is_dropped() {
        let budget = Budget::new(100);
        let first = budget.charge(60).unwrap();
        assert!(budget.charge(41).is_none());
        assert!(budget.charge(usize::MAX).is_none());
        let rest = budget.charge(40).unwrap();
        assert_eq!(budget.used(), 100);
        let beyond = budget.overdraw(7);
        drop(first);
        assert_eq!(budget.used(), 47);
        drop((rest, beyond));
        assert_eq!(budget.used(), 0);
    }
}
