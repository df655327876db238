//! The bound of all inboxes together, and how many messages they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that all inboxes may take, and how many they do.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    mail: AtomicUsize,
    notices: AtomicUsize,
}

/// What is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// A piece of mail.
    Mail,
    /// A notice.
    Notice,
}

impl Budget {
    /// An untouched one.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Budget {
            limit,
            used: AtomicUsize::new(0),
            mail: AtomicUsize::new(0),
            notices: AtomicUsize::new(0),
        })
    }

    /// So many bytes, for as long as the charge lives; `None` where there are not as many left.
    pub fn charge(self: &Arc<Self>, bytes: usize, what: For) -> Option<Charge> {
        let cost = u32::try_from(bytes).ok()?;
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.used.fetch_update(set, fetch, more).ok()?;
        Some(self.charged(cost, what))
    }

    /// The same, also where they are not left: for what must not be refused and is bounded
    /// elsewhere.
    pub fn overdraw(self: &Arc<Self>, bytes: usize, what: For) -> Charge {
        let cost = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.used.fetch_add(cost as usize, Ordering::Relaxed);
        self.charged(cost, what)
    }

    fn charged(self: &Arc<Self>, bytes: u32, what: For) -> Charge {
        self.held(what).fetch_add(1, Ordering::Relaxed);
        let budget = self.clone();
        Charge {
            budget,
            bytes,
            what,
        }
    }

    fn held(&self, what: For) -> &AtomicUsize {
        match what {
            For::Mail => &self.mail,
            For::Notice => &self.notices,
        }
    }

    /// Messages that are charged for now.
    pub fn messages(&self, what: For) -> usize {
        self.held(what).load(Ordering::Relaxed)
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// One message and its bytes. Dropped, however that comes about, they are free.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    // There is one for each message: a word is saved.
    bytes: u32,
    what: For,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let bytes = self.bytes as usize;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.held(self.what).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_counted_until_it_is_dropped() {
        let budget = Budget::new(100);
        let held = || (budget.messages(For::Mail), budget.messages(For::Notice));
        let first = budget.charge(60, For::Mail).unwrap();
        assert!(budget.charge(41, For::Mail).is_none());
        assert!(budget.charge(usize::MAX, For::Notice).is_none());
        let rest = budget.charge(40, For::Notice).unwrap();
        assert_eq!((budget.used(), held()), (100, (1, 1)));
        let beyond = budget.overdraw(7, For::Mail);
        assert_eq!(held(), (2, 1));
        drop(first);
        assert_eq!((budget.used(), held()), (47, (1, 1)));
        drop((rest, beyond));
        assert_eq!((budget.used(), held()), (0, (0, 0)));
    }
}
