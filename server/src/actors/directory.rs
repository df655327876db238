//! Who exists: ids and names to agents. Written by the registry alone, read by everyone, without
//! an actor in between.

use super::agent::handle::AgentHandle;
use super::clock::Clock;
use crate::core::similar;
use crate::core::topics::Topics;
use clawlink_protocol::agents::AgentRecord;
use clawlink_protocol::error::Candidate;
use clawlink_protocol::name::{AgentId, Word};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Several agents may bear one.
    pub name: Word,
    /// What it is good at.
    pub capabilities: Vec<Word>,
    /// Where it runs.
    pub machine: String,
    /// For people and models.
    pub description: String,
    /// RFC 3339, UTC; kept when it registers again.
    pub registered_at: String,
    /// Which broadcasts it hears; kept when it registers again and does not say.
    pub topics: Topics,
}

impl Profile {
    /// Bytes of text in it.
    pub fn size(&self) -> usize {
        let capabilities: usize = self
            .capabilities
            .iter()
            .map(|word| word.as_str().len())
            .sum();
        let topics = self.topics.chosen().unwrap_or_default();
        let topics: usize = topics.iter().map(|word| word.as_str().len()).sum();
        self.name.as_str().len()
            + capabilities
            + topics
            + self.machine.len()
            + self.description.len()
    }
}

/// A registered agent.
#[derive(Debug)]
pub struct Entry {
    /// The way to its actor.
    pub agent: AgentHandle,
    /// What it says of itself.
    pub profile: Profile,
}

impl Entry {
    /// What the agent is called.
    pub fn name(&self) -> &str {
        self.profile.name.as_str()
    }

    /// The agent as the wire shows it.
    pub fn record(&self, clock: &Clock) -> AgentRecord {
        let profile = &self.profile;
        AgentRecord {
            agent_id: self.agent.id().to_string(),
            name: profile.name.to_string(),
            capabilities: profile
                .capabilities
                .iter()
                .map(ToString::to_string)
                .collect(),
            machine: profile.machine.clone(),
            description: profile.description.clone(),
            registered_at: profile.registered_at.clone(),
            topics: profile
                .topics
                .chosen()
                .map(|words| words.iter().map(ToString::to_string).collect()),
            last_heartbeat: clock.unix(self.agent.last_heard()),
            status: self.agent.presence().as_str().to_owned(),
        }
    }
}

/// Which agents somebody looks for: those that meet all of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Stale ones too.
    pub stale: bool,
    /// One of its capabilities.
    pub capability: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Where it runs.
    pub machine: Option<String>,
    /// Stands somewhere in what it says of itself; in lower case.
    pub text: Option<String>,
}

impl Wanted {
    /// Whether this agent is one of them.
    pub fn meets(&self, entry: &Entry) -> bool {
        let Profile {
            name,
            capabilities,
            machine,
            description,
            ..
        } = &entry.profile;
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| w == text);
        let able = |wanted: &String| capabilities.iter().any(|own| own.as_str() == wanted);
        let says = |wanted: &String| {
            let own = [
                entry.agent.id().as_str(),
                name.as_str(),
                machine,
                description,
            ];
            let words = capabilities.iter().map(Word::as_str);
            let mut all = own.into_iter().chain(words);
            all.any(|text| text.to_lowercase().contains(wanted.as_str()))
        };
        (self.stale || entry.agent.presence().is_online())
            && is(&self.name, name.as_str())
            && is(&self.machine, machine)
            && self.capability.as_ref().is_none_or(able)
            && self.text.as_ref().is_none_or(says)
    }
}

/// Why a word names no agent.
#[derive(Debug, PartialEq)]
pub enum Unresolved {
    /// Nobody bears it.
    Unknown {
        /// Ids and names that look alike.
        did_you_mean: Vec<String>,
    },
    /// Several bear it, and none of them stands out.
    Ambiguous {
        /// At most [`CANDIDATES_MAX`] of them.
        candidates: Vec<Candidate>,
        /// How many there are.
        count: usize,
    },
}

/// Candidates in one reply.
pub const CANDIDATES_MAX: usize = 100;
/// Names looked at for a suggestion: nobody walks a million agents for a typing error.
const SUGGESTION_SCAN: usize = 512;

/// The agents online that can do something.
#[derive(Debug, Default)]
struct Able {
    ids: BTreeSet<AgentId>,
    /// Who was chosen last: where they are many, the next ones have their turn.
    last: Mutex<Option<AgentId>>,
}

#[derive(Debug, Default)]
struct Tables {
    by_id: HashMap<AgentId, Arc<Entry>>,
    sorted: BTreeSet<AgentId>,
    by_name: BTreeMap<Word, BTreeSet<AgentId>>,
    /// Those of them that are claimed: among a thousand namesakes they are found at once.
    claimed: BTreeMap<Word, BTreeSet<AgentId>>,
    by_capability: BTreeMap<Word, Able>,
}

/// The directory itself. No lock of it is held across an await.
#[derive(Debug, Default)]
pub struct Directory {
    tables: RwLock<Tables>,
}

impl Directory {
    /// The agent with this id.
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.tables.read().by_id.get(id).cloned()
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.tables.read().by_id.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `limit` agents whose ids come after `after`, in the order of their ids.
    fn page(&self, after: Option<&AgentId>, limit: usize) -> Vec<Arc<Entry>> {
        let tables = self.tables.read();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        tables
            .sorted
            .range::<AgentId, _>((start, Bound::Unbounded))
            .take(limit)
            .filter_map(|id| tables.by_id.get(id).cloned())
            .collect()
    }

    /// Every agent after `after`, in the order of their ids, until one is enough. Between two steps
    /// of so many agents the directory is free.
    pub fn walk(
        &self,
        mut after: Option<AgentId>,
        step: usize,
        visit: &mut impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let entries = self.page(after.as_ref(), step);
            entries.iter().try_for_each(|entry| visit(entry))?;
            match entries.last() {
                Some(last) if entries.len() == step => after = Some(last.agent.id().clone()),
                _ => return ControlFlow::Continue(()),
            }
        }
    }

    /// The agent that an address means: an id wins over a name; among several bearers of a name
    /// the only claimed one that is online, else the only one that is online, else the only one.
    pub fn resolve(&self, address: &Word) -> Result<Arc<Entry>, Unresolved> {
        let tables = self.tables.read();
        if let Some(entry) = tables.by_id.get(address.as_str()) {
            return Ok(entry.clone());
        }
        let Some(bearers) = tables.by_name.get(address) else {
            return Err(Unresolved::Unknown {
                did_you_mean: tables.similar(address.as_str()),
            });
        };
        let claimed = tables.claimed.get(address);
        let mut claimed = claimed.into_iter().flat_map(|ids| tables.online(ids));
        if let (Some(only), None) = (claimed.next(), claimed.next()) {
            return Ok(only.clone());
        }
        let mut online = tables.online(bearers);
        match (online.next(), online.next()) {
            (Some(only), None) => return Ok(only.clone()),
            (None, _) if bearers.len() == 1 => {}
            _ => return Err(tables.ambiguous(bearers)),
        }
        let only = bearers.first().and_then(|id| tables.by_id.get(id).cloned());
        only.ok_or(Unresolved::Unknown {
            did_you_mean: Vec::new(),
        })
    }

    /// Up to `limit` agents online that have this capability, those first whose ids come after that
    /// of who was chosen last.
    pub fn able(&self, capability: &Word, limit: usize) -> Vec<Arc<Entry>> {
        let tables = self.tables.read();
        let Some(Able { ids, last }) = tables.by_capability.get(capability) else {
            return Vec::new();
        };
        let last = last.lock().clone();
        let start = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let later = ids.range::<AgentId, _>((start, Bound::Unbounded));
        let earlier = last.as_ref().map(|id| ids.range::<AgentId, _>(..=id));
        let around = later.chain(earlier.into_iter().flatten());
        let there = around
            .filter_map(|id| tables.by_id.get(id))
            // Its silence may not have been noticed yet.
            .filter(|entry| entry.agent.presence().is_online());
        there.take(limit).cloned().collect()
    }

    /// This agent was chosen for what it can do.
    pub(super) fn chosen(&self, capability: &Word, id: &AgentId) {
        if let Some(able) = self.tables.read().by_capability.get(capability) {
            *able.last.lock() = Some(id.clone());
        }
    }

    /// Capabilities of agents online that look like this one.
    pub fn similar_capabilities(&self, wanted: &str) -> Vec<String> {
        let tables = self.tables.read();
        let words = tables.by_capability.keys().take(SUGGESTION_SCAN);
        let words = words.map(Word::as_str).filter(|word| *word != wanted);
        similar::nearest(wanted, words)
    }

    /// An agent has come, or fallen silent: what it can do is known of those who are there.
    pub(super) fn note_presence(&self, id: &AgentId) {
        let mut tables = self.tables.write();
        if let Some(entry) = tables.by_id.get(id).cloned() {
            // Looked at under the lock, so that whoever is last to note it notes what holds.
            match entry.agent.presence().is_online() {
                true => tables.enable(&entry),
                false => tables.disable(&entry),
            }
        }
    }

    pub(super) fn insert(&self, entry: Arc<Entry>) {
        let mut tables = self.tables.write();
        let id = entry.agent.id().clone();
        tables.unlist(&id);
        let name = &entry.profile.name;
        let bearers = tables.by_name.entry(name.clone());
        bearers.or_default().insert(id.clone());
        if entry.agent.owner().is_claimed() {
            tables.note_claimed(name, &id);
        }
        if entry.agent.presence().is_online() {
            tables.enable(&entry);
        }
        tables.sorted.insert(id.clone());
        tables.by_id.insert(id, entry);
    }

    /// An agent has been claimed by a call, and not by registering.
    pub(super) fn note_claimed(&self, entry: &Entry) {
        let mut tables = self.tables.write();
        let id = entry.agent.id();
        // It may have left meanwhile, or have taken another name.
        let now = tables.by_id.get(id.as_str()).cloned();
        if let Some(now) = now.filter(|now| now.agent.is(&entry.agent)) {
            tables.note_claimed(&now.profile.name, id);
        }
    }

    pub(super) fn remove(&self, id: &AgentId) -> Option<Arc<Entry>> {
        let mut tables = self.tables.write();
        tables.unlist(id);
        tables.sorted.remove(id);
        tables.by_id.remove(id)
    }
}

impl Tables {
    fn unlist(&mut self, id: &AgentId) {
        let Some(entry) = self.by_id.get(id).cloned() else {
            return;
        };
        self.disable(&entry);
        for names in [&mut self.by_name, &mut self.claimed] {
            if let Some(bearers) = names.get_mut(&entry.profile.name) {
                bearers.remove(id);
                if bearers.is_empty() {
                    names.remove(&entry.profile.name);
                }
            }
        }
    }

    fn enable(&mut self, entry: &Entry) {
        for capability in &entry.profile.capabilities {
            let able = self.by_capability.entry(capability.clone()).or_default();
            able.ids.insert(entry.agent.id().clone());
        }
    }

    fn disable(&mut self, entry: &Entry) {
        for capability in &entry.profile.capabilities {
            if let Some(able) = self.by_capability.get_mut(capability) {
                able.ids.remove(entry.agent.id());
                if able.ids.is_empty() {
                    self.by_capability.remove(capability);
                }
            }
        }
    }

    fn note_claimed(&mut self, name: &Word, id: &AgentId) {
        let named = self.claimed.entry(name.clone()).or_default();
        named.insert(id.clone());
    }

    /// Those of them that are online.
    fn online<'a>(&'a self, ids: &'a BTreeSet<AgentId>) -> impl Iterator<Item = &'a Arc<Entry>> {
        let entries = ids.iter().filter_map(|id| self.by_id.get(id));
        entries.filter(|entry| entry.agent.presence().is_online())
    }

    /// Looks at everybody while they are few, else at those who sort beside the word.
    fn similar(&self, wanted: &str) -> Vec<String> {
        let half = SUGGESTION_SCAN / 2;
        let names = self.by_name.keys().map(Word::as_str);
        let ids = self.sorted.iter().map(AgentId::as_str);
        if self.sorted.len() <= SUGGESTION_SCAN {
            return similar::nearest(wanted, names.chain(ids));
        }
        let from = (Bound::Included(wanted), Bound::Unbounded);
        let to = (Bound::Unbounded, Bound::Excluded(wanted));
        let near_ids = self.sorted.range::<str, _>(from).take(half);
        let near_ids = near_ids.chain(self.sorted.range::<str, _>(to).rev().take(half));
        let near_names = self.by_name.range::<str, _>(from).take(half);
        let near_names = near_names.chain(self.by_name.range::<str, _>(to).rev().take(half));
        let near_names = near_names.map(|(name, _)| name.as_str());
        similar::nearest(wanted, near_names.chain(near_ids.map(AgentId::as_str)))
    }

    fn ambiguous(&self, bearers: &BTreeSet<AgentId>) -> Unresolved {
        let entries = bearers.iter().filter_map(|id| self.by_id.get(id));
        let candidates = entries.take(CANDIDATES_MAX).map(|entry| Candidate {
            agent_id: entry.agent.id().to_string(),
            status: entry.agent.presence().as_str().to_owned(),
            machine: entry.profile.machine.clone(),
        });
        Unresolved::Ambiguous {
            candidates: candidates.collect(),
            count: bearers.len(),
        }
    }
}
