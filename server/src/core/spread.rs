//! Something that every request writes, once for each of some threads: where all write to one place, the
//! processors take it from each other with every request.

use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Copies at most: more threads than that share them.
const MOST: usize = 16;

thread_local! {
    /// Which copy is this thread's.
    static PLACE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// One for each processor, [`MOST`] at most.
#[derive(Debug)]
pub struct Spread<T>(Box<[CachePadded<T>]>);

impl<T> Spread<T> {
    /// Copies that `make` makes.
    pub fn new(make: impl Fn() -> T) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let copies = (0..workers.min(MOST)).map(|_| CachePadded::new(make()));
        Spread(copies.collect())
    }

    /// The one of this thread. Another may use it too: it must be one that many can.
    pub fn here(&self) -> &T {
        &self.0[PLACE.with(|place| *place) % self.0.len()]
    }

    /// All of them, to be added up.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|copy| &**copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn what_any_thread_writes_is_among_all() {
        let spread = Spread::new(AtomicU64::default);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| spread.here().fetch_add(1, Ordering::Relaxed));
            }
        });
        let sum: u64 = spread.all().map(|copy| copy.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 40);
    }
}
