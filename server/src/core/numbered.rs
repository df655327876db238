//! A map for what is numbered as it comes, and mostly leaves in that order.
//!
//! It lies in a ring with a place for each number since the oldest in it, so that a number is found without a
//! search. What outstays most of those that came after it moves to a tree, a few at a time: so the ring has
//! never many more places than there are entries, however long something stays.

use std::collections::{BTreeMap, VecDeque};

/// Places that the ring may have in any case, and room that is kept for what comes next.
const FEW: usize = 64;

/// The map. Its numbers are given out once.
#[derive(Debug)]
pub struct Numbered<V> {
    /// The number of the first place.
    first: u64,
    ring: VecDeque<Option<V>>,
    /// How many of the places are taken.
    taken: usize,
    /// What has outstayed.
    old: BTreeMap<u64, V>,
}

impl<V> Numbered<V> {
    /// An empty one, whose first number is this.
    pub fn from(first: u64) -> Self {
        Numbered {
            first,
            ring: VecDeque::new(),
            taken: 0,
            old: BTreeMap::new(),
        }
    }

    /// The number of what comes next.
    pub fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Puts a value behind all others, under the next number.
    pub fn push(&mut self, value: V) {
        self.ring.push_back(Some(value));
        self.taken += 1;
    }

    fn place(&self, number: u64) -> Option<usize> {
        let place = number.checked_sub(self.first)?;
        Some(usize::try_from(place).unwrap_or(usize::MAX))
    }

    /// What has this number.
    pub fn get(&self, number: u64) -> Option<&V> {
        match self.place(number) {
            Some(place) => self.ring.get(place)?.as_ref(),
            None => self.old.get(&number),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        match self.place(number) {
            Some(place) => self.ring.get_mut(place)?.as_mut(),
            None => self.old.get_mut(&number),
        }
    }

    /// Takes out what has this number.
    pub fn remove(&mut self, number: u64) -> Option<V> {
        let value = match self.place(number) {
            Some(place) => {
                let value = self.ring.get_mut(place)?.take()?;
                self.taken -= 1;
                value
            }
            None => self.old.remove(&number)?,
        };
        self.trim();
        Some(value)
    }

    /// Something has left: the ring begins with what is there, and has places for twice as many as there are
    /// in all. Each that leaves lowers that bound by two, so two move at most.
    fn trim(&mut self) {
        while let Some(front) = self.ring.front() {
            if front.is_some() && self.ring.len() <= FEW.max(2 * self.len()) {
                break;
            }
            if let Some(Some(value)) = self.ring.pop_front() {
                self.taken -= 1;
                self.old.insert(self.first, value);
            }
            self.first += 1;
        }
        if self.ring.capacity() > FEW.max(8 * self.ring.len()) {
            self.ring.shrink_to(FEW.max(2 * self.ring.len()));
        }
    }

    /// The values before a number, or all, the last first.
    pub fn before(&self, number: Option<u64>) -> impl Iterator<Item = &V> {
        let places = match number {
            None => self.ring.len(),
            Some(number) => self.place(number).unwrap_or(0).min(self.ring.len()),
        };
        let ring = self.ring.range(..places).rev().flatten();
        let old = self.old.range(..number.unwrap_or(self.first)).rev();
        ring.chain(old.map(|(_, value)| value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.taken + self.old.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Do {
        Push,
        PushMany,
        Remove(usize),
        RemoveFirst,
        /// All but the first so many.
        Leave(usize),
    }

    fn call() -> impl Strategy<Value = Do> {
        prop_oneof![
            4 => Just(Do::Push),
            1 => Just(Do::PushMany),
            4 => any::<usize>().prop_map(Do::Remove),
            4 => Just(Do::RemoveFirst),
            1 => (0..4_usize).prop_map(Do::Leave),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds(calls in prop::collection::vec(call(), 1..60)) {
            let (mut numbered, mut tree) = (Numbered::from(1), BTreeMap::new());
            let mut next = 1;
            for call in calls {
                let known: Vec<u64> = tree.keys().copied().collect();
                let (pushed, removed) = match call {
                    Do::Push => (1, vec![]),
                    Do::PushMany => (3 * FEW, vec![]),
                    Do::Remove(n) if known.is_empty() => (0, vec![n as u64]),
                    Do::Remove(n) => (0, vec![known[n % known.len()]]),
                    Do::RemoveFirst => (0, known.into_iter().take(1).collect()),
                    Do::Leave(first) => (0, known.into_iter().skip(first).collect()),
                };
                for _ in 0..pushed {
                    prop_assert_eq!(numbered.next(), next);
                    numbered.push(next * 7);
                    tree.insert(next, next * 7);
                    next += 1;
                }
                for number in removed {
                    prop_assert_eq!(numbered.remove(number), tree.remove(&number));
                    prop_assert_eq!(numbered.remove(number), None);
                }
                prop_assert_eq!((numbered.len(), numbered.next()), (tree.len(), next));
                prop_assert_eq!(numbered.is_empty(), tree.is_empty());
                prop_assert!(numbered.ring.len() <= FEW.max(2 * numbered.len()) + pushed);
                for number in 0..=next {
                    prop_assert_eq!(numbered.get(number), tree.get(&number));
                    prop_assert_eq!(numbered.get_mut(number), tree.get_mut(&number));
                }
                for number in [None, Some(0), Some(next / 2), Some(next), Some(u64::MAX)] {
                    let before: Vec<_> = numbered.before(number).collect();
                    let range = tree.range(..number.unwrap_or(u64::MAX)).rev();
                    prop_assert_eq!(before, range.map(|(_, value)| value).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn what_outstays_many_moves_a_few_at_a_time() {
        let (mut numbered, stay) = (Numbered::from(1), 10_000);
        for number in 1..=2 * stay {
            numbered.push(number);
        }
        for number in 2 * stay + 1..10 * stay {
            let before = numbered.old.len();
            numbered.push(number);
            assert_eq!(numbered.remove(number - stay), Some(number - stay));
            assert!(numbered.old.len() <= before + 2);
        }
        assert_eq!(
            (numbered.old.len(), numbered.len() as u64),
            (stay as usize, 2 * stay)
        );
        assert!(numbered.ring.len() <= 2 * numbered.len());
        for number in 1..=stay {
            let before = numbered.old.len();
            assert_eq!(numbered.remove(number), Some(number));
            assert!(numbered.old.len() <= before + 1);
            assert!(numbered.ring.len() <= 2 * numbered.len());
        }
    }

    #[test]
    fn one_that_stays_does_not_keep_the_places_of_those_that_came_after_it() {
        let mut numbered = Numbered::from(1);
        numbered.push(0);
        for number in 2..100_000 {
            numbered.push(number);
            assert_eq!(numbered.remove(number), Some(number));
        }
        assert_eq!((numbered.len(), numbered.get(1)), (1, Some(&0)));
        assert!(numbered.ring.capacity() <= 4 * FEW);
    }
}
