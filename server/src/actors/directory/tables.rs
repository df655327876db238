//! The tables of the directory, under its lock.

use super::listed::{ById, Id, List, Machine, Name};
use super::{AgentHandle, CANDIDATES_MAX, Entry, Unresolved, Wanted};
use crate::core::similar;
use ahash::RandomState;
use clawlink_protocol::error::Candidate;
use clawlink_protocol::name::{AgentId, Word};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Names looked at for a suggestion: nobody walks a million agents for a typing error.
const SUGGESTION_SCAN: usize = 512;

/// Those who can do something.
#[derive(Debug, Default)]
struct Able {
    online: List<Id>,
    away: List<Id>,
    /// Who was chosen last: where they are many, the next ones have their turn.
    last: Mutex<Option<AgentId>>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    by_id: HashSet<ById, RandomState>,
    sorted: List<Id>,
    by_name: List<Name>,
    by_machine: List<Machine>,
    /// Those of `by_name` that are claimed: among a thousand namesakes they are found at once.
    claimed: List<Name>,
    by_capability: BTreeMap<Word, Able>,
}

impl Tables {
    pub(super) fn agent(&self, id: &str) -> Option<&AgentHandle> {
        self.by_id.get(id).map(|by_id| &by_id.agent)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Entry>> {
        self.by_id.get(id).map(|by_id| &by_id.entry)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Puts an agent in its places; the entry of the same id before it leaves them.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        self.remove(entry.agent.id());
        self.by_name.insert(&entry);
        self.by_machine.insert(&entry);
        if entry.agent.identity().is_claimed() {
            self.claimed.insert(&entry);
        }
        self.note_able(&entry);
        self.sorted.insert(&entry);
        self.by_id.insert(entry.into());
    }

    pub(super) fn remove(&mut self, id: &AgentId) -> Option<Arc<Entry>> {
        let ById { entry, .. } = self.by_id.take(id.as_str())?;
        self.sorted.remove(&entry);
        self.by_name.remove(&entry);
        self.by_machine.remove(&entry);
        self.claimed.remove(&entry);
        for capability in &entry.profile.capabilities {
            if let Some(able) = self.by_capability.get_mut(capability) {
                able.online.remove(&entry);
                able.away.remove(&entry);
                if able.online.is_empty() && able.away.is_empty() {
                    self.by_capability.remove(capability);
                }
            }
        }
        Some(entry)
    }

    /// Puts an agent among those who are there, or those who are not, for all that it can do.
    pub(super) fn note_able(&mut self, entry: &Arc<Entry>) {
        let online = entry.agent.presence().is_online();
        for capability in &entry.profile.capabilities {
            // Most say what others have said: their word is shared.
            if !self.by_capability.contains_key(capability) {
                let able = Able::default();
                self.by_capability.insert(capability.clone(), able);
            }
            if let Some(able) = self.by_capability.get_mut(capability) {
                let (here, there) = match online {
                    true => (&mut able.online, &mut able.away),
                    false => (&mut able.away, &mut able.online),
                };
                there.remove(entry);
                here.insert(entry);
            }
        }
    }

    pub(super) fn note_claimed(&mut self, entry: &Arc<Entry>) {
        self.claimed.insert(entry);
    }

    /// The word itself, or an equal one that is here already: kept once, it is paid for once.
    pub(super) fn known_capability(&self, word: Word) -> Word {
        let known = self.by_capability.get_key_value(&word);
        known.map_or(word, |(known, _)| known.clone())
    }

    /// The same for a machine.
    pub(super) fn known_machine(&self, machine: String) -> Arc<str> {
        let known = self.by_machine.of(&machine, "").next();
        known.map_or_else(|| machine.into(), |entry| entry.profile.machine.clone())
    }

    /// Up to `limit` agents after `after`, in the order of their ids, among which are the next of
    /// those that are wanted: the shortest list is taken that has them all.
    pub(super) fn candidates(
        &self,
        wanted: &Wanted,
        after: Option<&AgentId>,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        let after = after.map_or("", AgentId::as_str);
        if let Some(name) = &wanted.name {
            return self.by_name.of(name, after).take(limit).cloned().collect();
        }
        let able = wanted.capability.as_ref();
        let able = able.map(|capability| self.by_capability.get(capability.as_str()));
        let few = |able: &Able| able.online.len() + able.away.len() <= limit;
        if let Some(machine) = &wanted.machine
            && !able.is_some_and(|able| able.is_none_or(few))
        {
            let there = self.by_machine.of(machine, after);
            return there.take(limit).cloned().collect();
        }
        match able {
            None => self.sorted.of("", after).take(limit).cloned().collect(),
            Some(None) => Vec::new(),
            Some(Some(able)) => able.page(wanted.stale, after, limit),
        }
    }

    /// Those who bear this name.
    pub(super) fn bearers(&self, name: &str) -> impl Iterator<Item = &Arc<Entry>> {
        self.by_name.of(name, "")
    }

    /// Those of them that are claimed.
    pub(super) fn claimed(&self, name: &str) -> impl Iterator<Item = &Arc<Entry>> {
        self.claimed.of(name, "")
    }

    /// Those who can do this and were noted as online, from the one after who was chosen last, and
    /// around.
    pub(super) fn able(&self, capability: &Word) -> impl Iterator<Item = &Arc<Entry>> {
        let able = self.by_capability.get(capability);
        able.into_iter().flat_map(|Able { online, last, .. }| {
            let last = last.lock().clone();
            let last = last.as_ref().map_or("", AgentId::as_str);
            online.of("", last).chain(online.up_to("", last))
        })
    }

    pub(super) fn chosen(&self, capability: &Word, id: &AgentId) {
        if let Some(able) = self.by_capability.get(capability) {
            *able.last.lock() = Some(id.clone());
        }
    }

    /// Capabilities of agents online that look like this one.
    pub(super) fn similar_capabilities(&self, wanted: &str) -> Vec<String> {
        let words = self.by_capability.iter().take(SUGGESTION_SCAN);
        let words = words.filter(|(_, able)| !able.online.is_empty());
        let words = words.map(|(word, _)| word.as_str());
        similar::nearest(wanted, words.filter(|word| *word != wanted))
    }

    /// Looks at everybody while they are few, else at those who sort beside the word.
    pub(super) fn similar(&self, wanted: &str) -> Vec<String> {
        let half = match self.sorted.len() <= SUGGESTION_SCAN {
            true => SUGGESTION_SCAN,
            false => SUGGESTION_SCAN / 2,
        };
        let ids = self.sorted.from("", wanted).take(half);
        let ids = ids.chain(self.sorted.before("", wanted).rev().take(half));
        let ids = ids.map(|entry| entry.agent.id().as_str());
        // Each name once, however many bear it.
        let next = |entry: &&Arc<Entry>| self.by_name.next_word(entry.name());
        let later = std::iter::successors(self.by_name.from(wanted, "").next(), next);
        let previous = |entry: &&Arc<Entry>| self.by_name.before(entry.name(), "").next_back();
        let earlier = self.by_name.before(wanted, "").next_back();
        let earlier = std::iter::successors(earlier, previous);
        let names = later.take(half).chain(earlier.take(half));
        similar::nearest(wanted, names.map(|entry| entry.name()).chain(ids))
    }

    pub(super) fn ambiguous(&self, name: &str) -> Unresolved {
        let candidates = self.bearers(name).take(CANDIDATES_MAX);
        let candidates = candidates.map(|entry| Candidate {
            agent_id: entry.agent.id().to_string(),
            status: entry.agent.presence().as_str().to_owned(),
            machine: entry.profile.machine.to_string(),
        });
        Unresolved::Ambiguous {
            candidates: candidates.collect(),
            count: self.bearers(name).count(),
        }
    }
}

impl Able {
    /// Up to `limit` of them after `after`; with those who are away or without, in the order of their
    /// ids.
    fn page(&self, stale: bool, after: &str, limit: usize) -> Vec<Arc<Entry>> {
        let online = self.online.of("", after).take(limit);
        if !stale {
            return online.cloned().collect();
        }
        let away = self.away.of("", after).take(limit);
        let mut all: Vec<&Arc<Entry>> = online.chain(away).collect();
        all.sort_unstable_by_key(|entry| entry.agent.id());
        all.truncate(limit);
        all.into_iter().cloned().collect()
    }
}
