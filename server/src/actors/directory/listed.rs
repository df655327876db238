//! Lists of agents, in order. An entry of a list is a pointer to the agent, whose own words are
//! compared: among a million agents a copied word for each list would cost as much as the agent.

use super::{AgentHandle, Entry};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::Arc;

/// What a list is ordered by, before the ids of those who say the same.
pub(super) trait By {
    /// What this agent says there.
    fn word(entry: &Entry) -> &str;
}

/// By id alone.
#[derive(Debug)]
pub(super) struct Id;

impl By for Id {
    fn word(_: &Entry) -> &str {
        ""
    }
}

/// By name.
#[derive(Debug)]
pub(super) struct Name;

impl By for Name {
    fn word(entry: &Entry) -> &str {
        entry.name()
    }
}

/// By machine.
#[derive(Debug)]
pub(super) struct Machine;

impl By for Machine {
    fn word(entry: &Entry) -> &str {
        &entry.profile.machine
    }
}

/// Stands in a list, or where something could: the word, then the id.
trait Placed {
    fn place(&self) -> (&str, &str);
}

impl Placed for (&str, &str) {
    fn place(&self) -> (&str, &str) {
        *self
    }
}

impl<B: By> Placed for Listed<B> {
    fn place(&self) -> (&str, &str) {
        (B::word(&self.0), self.0.agent.id().as_str())
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for dyn Placed + '_ {}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// An agent in a list.
#[derive(Debug)]
struct Listed<B>(Arc<Entry>, PhantomData<B>);

impl<'a, B: By + 'a> Borrow<dyn Placed + 'a> for Listed<B> {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl<B: By> PartialEq for Listed<B> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<B: By> Eq for Listed<B> {}

impl<B: By> PartialOrd for Listed<B> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<B: By> Ord for Listed<B> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// Sorts after every id.
const LAST: &str = "\u{7f}";

/// Agents in the order of what they say, then of their ids.
#[derive(Debug)]
pub(super) struct List<B>(BTreeSet<Listed<B>>);

impl<B: By> Default for List<B> {
    fn default() -> Self {
        List(BTreeSet::new())
    }
}

impl<B: By> List<B> {
    pub(super) fn insert(&mut self, entry: &Arc<Entry>) {
        self.0.insert(Listed(entry.clone(), PhantomData));
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        let place = (B::word(entry), entry.agent.id().as_str());
        self.0.remove(&place as &dyn Placed);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn range(&self, from: Bound<(&str, &str)>, to: Bound<(&str, &str)>) -> Entries<'_, B> {
        let as_placed = |place| place as &dyn Placed;
        let (from, to) = (from.as_ref().map(as_placed), to.as_ref().map(as_placed));
        Entries(self.0.range::<dyn Placed, _>((from, to)))
    }

    /// Those who say this, whose ids come after `after`; `""` comes before all of them.
    pub(super) fn of(&self, word: &str, after: &str) -> Entries<'_, B> {
        let (from, to) = ((word, after), (word, LAST));
        if from >= to {
            return Entries::default();
        }
        self.range(Bound::Excluded(from), Bound::Excluded(to))
    }

    /// Those who say this or something that sorts after it.
    pub(super) fn from(&self, word: &str, id: &str) -> Entries<'_, B> {
        self.range(Bound::Included((word, id)), Bound::Unbounded)
    }

    /// Those who say something that sorts before it.
    pub(super) fn before(&self, word: &str, id: &str) -> Entries<'_, B> {
        self.range(Bound::Unbounded, Bound::Excluded((word, id)))
    }

    /// Those who say something that sorts before it, and this one.
    pub(super) fn up_to(&self, word: &str, id: &str) -> Entries<'_, B> {
        self.range(Bound::Unbounded, Bound::Included((word, id)))
    }

    /// Somebody who says what sorts next after this word.
    pub(super) fn next_word(&self, word: &str) -> Option<&Arc<Entry>> {
        let after = Bound::Excluded((word, LAST));
        self.range(after, Bound::Unbounded).next()
    }
}

/// A part of a list.
pub(super) struct Entries<'a, B>(std::collections::btree_set::Range<'a, Listed<B>>);

impl<B> Default for Entries<'_, B> {
    fn default() -> Self {
        Entries(Default::default())
    }
}

impl<'a, B> Iterator for Entries<'a, B> {
    type Item = &'a Arc<Entry>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|Listed(entry, _)| entry)
    }
}

impl<B> DoubleEndedIterator for Entries<'_, B> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|Listed(entry, _)| entry)
    }
}

/// An agent, found by its id.
#[derive(Debug)]
pub(super) struct ById {
    /// That of the entry: among a million agents neither is in any cache, and through the entry the id would
    /// be waited for twice.
    pub(super) agent: AgentHandle,
    pub(super) entry: Arc<Entry>,
}

impl From<Arc<Entry>> for ById {
    fn from(entry: Arc<Entry>) -> Self {
        let agent = entry.agent.clone();
        ById { agent, entry }
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.agent.id().as_str()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.agent.id() == other.agent.id()
    }
}

impl Eq for ById {}
