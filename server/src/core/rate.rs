//! How often somebody may: the generic cell rate algorithm, for many at a time.
//!
//! One number is kept for each: the time at which its bucket would be full again. Who has not been
//! there for as long as a full bucket takes is forgotten without a loss.

use super::Millis;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Microseconds, so that rates above a thousand a second are told apart.
type Micros = u64;

/// The least time between two looks for entries that are to leave.
const SWEEP: Micros = 1_000_000;

/// Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, of which a single machine
/// has all addresses for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address.
    V4(u32),
    /// A network.
    V6(u64),
}

impl Peer {
    /// The one to which an address belongs.
    pub fn of(address: IpAddr) -> Peer {
        match address.to_canonical() {
            IpAddr::V4(address) => Peer::V4(address.to_bits()),
            IpAddr::V6(address) => Peer::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// How often each may.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Between two that may go on for ever.
    every: Micros,
    /// How far ahead of that somebody may be.
    ahead: Micros,
}

impl Rate {
    /// So many in a time, and so many at once. All of them at least 1.
    pub fn new(count: u32, time: Millis, burst: u32) -> Rate {
        let every = (time * 1_000 / u64::from(count.max(1))).max(1);
        Rate {
            every,
            ahead: every * u64::from(burst.max(1) - 1),
        }
    }
}

/// Counts for each `K` how often it did.
#[derive(Debug)]
pub struct Meter<K> {
    rate: Rate,
    /// When each would have done what it did, had it kept to its rate.
    entries: HashMap<K, Micros>,
    entries_max: usize,
    /// The same for all for whom there is no entry.
    others: Micros,
    swept: Micros,
}

impl<K: Eq + Hash + Copy> Meter<K> {
    /// At most `entries_max` are told apart; who comes beyond that shares one entry.
    pub fn new(rate: Rate, entries_max: usize) -> Self {
        Meter {
            rate,
            entries: HashMap::new(),
            entries_max,
            others: 0,
            swept: 0,
        }
    }

    /// How long somebody has to wait until it may. Changes nothing.
    pub fn wait(&self, key: K, now: Millis) -> Millis {
        let due = self.entries.get(&key).copied();
        let due = due.unwrap_or(if self.is_full() { self.others } else { 0 });
        let wait = due.saturating_sub(now * 1_000 + self.rate.ahead);
        wait.div_ceil(1_000)
    }

    /// Counts one if it may; how long it has to wait if not, and then it does not count.
    pub fn take(&mut self, key: K, now: Millis) -> Result<(), Millis> {
        self.make_room(key, now * 1_000);
        match self.wait(key, now) {
            0 => {
                self.book(key, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// Counts one in any case; how long it has to wait for its turn.
    pub fn book(&mut self, key: K, now: Millis) -> Millis {
        self.make_room(key, now * 1_000);
        let wait = self.wait(key, now);
        let now = now * 1_000;
        let due = match self.is_full() {
            true => self.entries.get_mut(&key).unwrap_or(&mut self.others),
            false => self.entries.entry(key).or_insert(0),
        };
        *due = (*due).max(now) + self.rate.every;
        wait
    }

    /// Lets those leave who may do all they like again.
    fn make_room(&mut self, key: K, now: Micros) {
        if self.is_full() && now >= self.swept + SWEEP && !self.entries.contains_key(&key) {
            self.swept = now;
            self.entries.retain(|_, due| *due > now);
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.entries_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_goes_through_and_then_the_rate_holds() {
        let mut meter = Meter::new(Rate::new(200, 1_000, 400), 10);
        for _ in 0..400 {
            assert_eq!(meter.take("a", 0), Ok(()));
        }
        assert_eq!(meter.take("a", 0), Err(5));
        assert_eq!(meter.take("b", 0), Ok(()), "another one's bucket is full");
        assert_eq!(meter.take("a", 5), Ok(()));
        assert_eq!(meter.take("a", 5), Err(5));
        assert_eq!(meter.wait("a", 1_000), 0);
    }

    #[test]
    fn what_is_booked_waits_its_turn() {
        let mut meter = Meter::new(Rate::new(10, 1_000, 1), 10);
        let waits: Vec<_> = (0..4).map(|_| meter.book("a", 7)).collect();
        assert_eq!(waits, [0, 100, 200, 300]);
    }

    #[test]
    fn the_table_is_bounded_and_those_who_find_no_place_share_one() {
        let mut meter = Meter::new(Rate::new(1, 1_000, 2), 3);
        for key in 0..3 {
            assert_eq!(meter.take(key, 1_000), Ok(()));
        }
        assert_eq!(meter.take(3, 1_000), Ok(()));
        assert_eq!(meter.take(4, 1_000), Ok(()));
        assert!(meter.take(5, 1_000).is_err(), "they share");
        assert_eq!(meter.take(0, 1_000), Ok(()), "who has an entry keeps it");
        assert_eq!(meter.entries.len(), 3);
        assert_eq!(meter.take(5, 10_000), Ok(()));
        assert_eq!(meter.entries.len(), 1, "the others had left");
    }

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        let of = |text: &str| Peer::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }

    proptest! {
        /// Against a bucket that is filled drop by drop.
        #[test]
        fn it_lets_through_what_a_bucket_would(
            steps in prop::collection::vec(0u64..40, 1..200),
            burst in 1u32..20,
        ) {
            let mut meter = Meter::new(Rate::new(100, 1_000, burst), 10);
            let (mut now, mut level, mut last) = (0, f64::from(burst), 0);
            for step in steps {
                now += step;
                level = (level + (now - last) as f64 / 10.0).min(f64::from(burst));
                last = now;
                let fits = level > 0.999;
                prop_assert_eq!(meter.take((), now).is_ok(), fits);
                if fits {
                    level -= 1.0;
                }
            }
        }
    }
}
