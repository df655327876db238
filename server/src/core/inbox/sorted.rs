//! A map for what comes numbered and mostly leaves as it came.
//!
//! It lies in a ring, sorted by its keys: at the ends that takes a comparison, where a tree takes a search,
//! and a node made and freed for each message that is alone in it. What comes or leaves in between moves the
//! shorter side by a place. Where that is more than a few it becomes a tree, until it holds few again: so it
//! never costs much more than one, however large an inbox may be.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

/// Entries of a ring among which places are moved.
const FEW: usize = 512;
/// Room that is kept for what comes next, in entries.
const KEPT: usize = 8;

/// The map.
#[derive(Debug)]
pub(super) enum Sorted<K, V> {
    Ring(VecDeque<(K, V)>),
    Tree(BTreeMap<K, V>),
}

impl<K: Ord + Copy, V> Sorted<K, V> {
    /// An empty one, which takes no memory yet.
    pub(super) const fn new() -> Self {
        Sorted::Ring(VecDeque::new())
    }

    /// Puts a value in the place of its key; what had the key before is gone.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self {
            Sorted::Ring(ring) if ring.back().is_none_or(|(last, _)| *last < key) => {
                ring.push_back((key, value));
            }
            Sorted::Ring(ring) if ring.len() < FEW => match search(ring, key) {
                Ok(place) => ring[place].1 = value,
                Err(place) => ring.insert(place, (key, value)),
            },
            _ => drop(self.tree().insert(key, value)),
        }
    }

    /// Takes out what has this key.
    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let value = match self {
            Sorted::Ring(ring) if ring.front().is_some_and(|(first, _)| *first == key) => {
                ring.pop_front()?.1
            }
            Sorted::Ring(ring) => {
                // It is looked for before: what is not there is no reason to become a tree.
                let place = search(ring, key).ok()?;
                match ring.len() < FEW {
                    true => ring.remove(place)?.1,
                    false => self.tree().remove(&key)?,
                }
            }
            Sorted::Tree(tree) => tree.remove(&key)?,
        };
        self.tidy();
        Some(value)
    }

    /// Takes out what has the least key.
    pub(super) fn pop_first(&mut self) -> Option<(K, V)> {
        let first = match self {
            Sorted::Ring(ring) => ring.pop_front(),
            Sorted::Tree(tree) => tree.pop_first(),
        };
        self.tidy();
        first
    }

    /// What has this key.
    pub(super) fn get(&self, key: K) -> Option<&V> {
        match self {
            Sorted::Ring(ring) => Some(&ring[place(ring, key)?].1),
            Sorted::Tree(tree) => tree.get(&key),
        }
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        match self {
            Sorted::Ring(ring) => {
                let place = place(ring, key)?;
                Some(&mut ring[place].1)
            }
            Sorted::Tree(tree) => tree.get_mut(&key),
        }
    }

    /// What has the least key.
    pub(super) fn first(&self) -> Option<(K, &V)> {
        match self {
            Sorted::Ring(ring) => ring.front().map(|(key, value)| (*key, value)),
            Sorted::Tree(tree) => tree.first_key_value().map(|(key, value)| (*key, value)),
        }
    }

    /// The least key.
    pub(super) fn first_key(&self) -> Option<K> {
        self.first().map(|(key, _)| key)
    }

    /// The greatest key.
    pub(super) fn last_key(&self) -> Option<K> {
        match self {
            Sorted::Ring(ring) => ring.back().map(|(key, _)| *key),
            Sorted::Tree(tree) => tree.last_key_value().map(|(key, _)| *key),
        }
    }

    /// All, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        let (ring, tree) = match self {
            Sorted::Ring(ring) => (Some(ring), None),
            Sorted::Tree(tree) => (None, Some(tree)),
        };
        let ring = ring.into_iter().flatten();
        let ring = ring.map(|(key, value)| (*key, value));
        ring.chain(tree.into_iter().flatten().map(|(key, value)| (*key, value)))
    }

    /// The values, in that order.
    pub(super) fn into_values(self) -> impl Iterator<Item = V> {
        let (ring, tree) = match self {
            Sorted::Ring(ring) => (ring, BTreeMap::new()),
            Sorted::Tree(tree) => (VecDeque::new(), tree),
        };
        let ring = ring.into_iter().map(|(_, value)| value);
        ring.chain(tree.into_values())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Sorted::Ring(ring) => ring.len(),
            Sorted::Tree(tree) => tree.len(),
        }
    }

    /// As a tree from here on.
    #[cold]
    fn tree(&mut self) -> &mut BTreeMap<K, V> {
        if let Sorted::Ring(ring) = self {
            *self = Sorted::Tree(mem::take(ring).into_iter().collect());
        }
        match self {
            Sorted::Tree(tree) => tree,
            Sorted::Ring(_) => unreachable!("it has just become one"),
        }
    }

    /// Gives back memory that was needed for many more, and is a ring again where few are left.
    fn tidy(&mut self) {
        let (len, room) = match self {
            Sorted::Ring(ring) => (ring.len(), ring.capacity()),
            Sorted::Tree(tree) => (tree.len(), FEW),
        };
        if room > KEPT && len < room / 8 {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        let mut smaller = VecDeque::with_capacity(KEPT.max(2 * self.len()));
        match self {
            // A ring that shrinks in its place stays where it was, in the page of a larger one.
            Sorted::Ring(ring) => smaller.append(ring),
            Sorted::Tree(tree) => smaller.extend(mem::take(tree)),
        }
        *self = Sorted::Ring(smaller);
    }
}

fn place<K: Ord, V>(ring: &VecDeque<(K, V)>, key: K) -> Option<usize> {
    match ring.front()?.0 == key {
        true => Some(0),
        false => search(ring, key).ok(),
    }
}

#[cold]
fn search<K: Ord, V>(ring: &VecDeque<(K, V)>, key: K) -> Result<usize, usize> {
    ring.binary_search_by(|(other, _)| other.cmp(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Do {
        Insert(u16),
        InsertSome(u16, u16),
        Remove(u16),
        RemoveSome(u16, u16),
        Change(u16),
        PopFirst,
    }

    fn step() -> impl Strategy<Value = Do> {
        let key = || 0..2_000_u16;
        prop_oneof![
            8 => key().prop_map(Do::Insert),
            1 => (key(), 0..900_u16).prop_map(|(key, count)| Do::InsertSome(key, count)),
            8 => key().prop_map(Do::Remove),
            1 => (key(), 0..900_u16).prop_map(|(key, count)| Do::RemoveSome(key, count)),
            4 => key().prop_map(Do::Change),
            4 => Just(Do::PopFirst),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would(steps in prop::collection::vec(step(), 0..60)) {
            let (mut sorted, mut tree) = (Sorted::new(), BTreeMap::new());
            for (n, step) in steps.into_iter().enumerate() {
                let (insert, remove) = match step {
                    Do::Insert(key) => (key..key + 1, 0..0),
                    Do::InsertSome(key, count) => (key..key + count, 0..0),
                    Do::Remove(key) => (0..0, key..key + 1),
                    Do::RemoveSome(key, count) => (0..0, key..key + count),
                    Do::Change(_) | Do::PopFirst => (0..0, 0..0),
                };
                // Backwards, so that each comes before those that are there.
                for key in insert.rev() {
                    sorted.insert(key, n);
                    tree.insert(key, n);
                }
                for key in remove.rev() {
                    prop_assert_eq!(sorted.remove(key), tree.remove(&key));
                }
                match step {
                    Do::Change(key) => {
                        prop_assert_eq!(sorted.get(key), tree.get(&key));
                        let found = (sorted.get_mut(key), tree.get_mut(&key));
                        if let (Some(one), Some(other)) = found {
                            (*one, *other) = (n, n);
                        }
                    }
                    Do::PopFirst => prop_assert_eq!(sorted.pop_first(), tree.pop_first()),
                    _ => {}
                }
                prop_assert_eq!(sorted.first(), tree.first_key_value().map(|(key, value)| (*key, value)));
                prop_assert_eq!(sorted.last_key(), tree.keys().next_back().copied());
                prop_assert_eq!(sorted.len(), tree.len());
                prop_assert!(sorted.iter().eq(tree.iter().map(|(key, value)| (*key, value))));
            }
            prop_assert!(sorted.into_values().eq(tree.into_values()));
        }
    }

    #[test]
    fn room_for_many_is_given_back_when_they_have_left() {
        let mut sorted = Sorted::new();
        for key in 0..10_000 {
            sorted.insert(key, ());
        }
        assert!(matches!(&sorted, Sorted::Ring(_)), "they came in order");
        for key in (10..10_000).rev() {
            sorted.remove(key);
        }
        let room = |sorted: &Sorted<_, _>| match sorted {
            Sorted::Ring(ring) => ring.capacity(),
            Sorted::Tree(_) => usize::MAX,
        };
        assert!(room(&sorted) <= 8 * 10 + KEPT, "{}", room(&sorted));
        while sorted.pop_first().is_some() {}
        assert!(room(&sorted) <= KEPT);
    }

    #[test]
    fn many_that_come_in_disorder_are_a_tree() {
        let mut sorted = Sorted::new();
        for key in (0..FEW).rev() {
            sorted.insert(key, ());
        }
        assert!(matches!(&sorted, Sorted::Ring(_)));
        sorted.insert(FEW, ());
        assert_eq!(sorted.remove(2 * FEW), None);
        assert!(
            matches!(&sorted, Sorted::Ring(_)),
            "nothing was to be moved"
        );
        sorted.remove(7);
        assert!(matches!(&sorted, Sorted::Tree(_)));
    }
}
