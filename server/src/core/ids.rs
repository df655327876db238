//! Ids that a model copies right: eight of `[a-z0-9]`, no two alike between two starts of the
//! relay, and far apart, so that a slip of one character names nobody else's message.

use std::sync::atomic::{AtomicU64, Ordering};

/// The digits of what is written in base 36.
pub(super) const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Characters in an id.
pub const LENGTH: usize = 8;
const SPACE: u64 = 36u64.pow(LENGTH as u32);

/// Makes ids. A counter, multiplied by a number that shares no factor with the size of the
/// space and shifted, visits every id once before it repeats one.
#[derive(Debug)]
pub struct Ids {
    step: u64,
    offset: u64,
    next: AtomicU64,
}

impl Ids {
    /// Two relays with different seeds give different ids.
    pub fn new(seed: [u64; 2]) -> Self {
        let mut step = seed[0] % SPACE;
        while step.is_multiple_of(2) || step.is_multiple_of(3) {
            step += 1;
        }
        Ids {
            step,
            offset: seed[1] % SPACE,
            next: AtomicU64::new(1),
        }
    }

    /// The next id.
    pub fn next(&self) -> String {
        self.next_word().map(char::from).iter().collect()
    }

    /// The same as bytes, for who makes something else of it.
    pub fn next_word(&self) -> [u8; LENGTH] {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let spread = u128::from(n) * u128::from(self.step) + u128::from(self.offset);
        word((spread % u128::from(SPACE)) as u64)
    }
}

fn word(mut n: u64) -> [u8; LENGTH] {
    let mut digits = [0u8; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(n % 36) as usize];
        n /= 36;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_short_unlike_and_of_their_alphabet() {
        for seed in [[0, 0], [6, u64::MAX], [u64::MAX, 5]] {
            let ids = Ids::new(seed);
            let made: HashSet<String> = (0..10_000).map(|_| ids.next()).collect();
            assert_eq!(made.len(), 10_000);
            for id in made {
                assert_eq!(id.len(), LENGTH);
                assert!(id.bytes().all(|b| ALPHABET.contains(&b)), "{id}");
            }
        }
    }
}
