//! Who exists: ids and names to agents. Written by the registry alone, read by everyone, without
//! an actor in between.

mod listed;
mod tables;

use super::agent::handle::AgentHandle;
use super::clock::{Clock, Moment};
use crate::core::text::says;
use crate::core::topics::Topics;
use clawlink_protocol::agents::AgentRecord;
use clawlink_protocol::error::Candidate;
use clawlink_protocol::name::{AgentId, Word};
use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};
use tables::Tables;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Several agents may bear one.
    pub name: Word,
    /// What it is good at.
    pub capabilities: Box<[Word]>,
    /// Where it runs.
    pub machine: Arc<str>,
    /// For people and models.
    pub description: Box<str>,
    /// Kept when it registers again.
    pub registered_at: Moment,
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
            machine: profile.machine.to_string(),
            description: profile.description.to_string(),
            registered_at: profile.registered_at.to_string(),
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
        let tells = |wanted: &String| {
            let own = [
                entry.agent.id().as_str(),
                name.as_str(),
                machine,
                description,
            ];
            let words = capabilities.iter().map(Word::as_str);
            let mut all = own.into_iter().chain(words);
            all.any(|text| says(text, wanted))
        };
        (self.stale || entry.agent.presence().is_online())
            && is(&self.name, name.as_str())
            && is(&self.machine, machine)
            && self.capability.as_ref().is_none_or(able)
            && self.text.as_ref().is_none_or(tells)
    }

    /// Whether more is wanted than everybody who is there.
    pub fn is_narrow(&self) -> bool {
        let said = [&self.capability, &self.name, &self.machine, &self.text];
        said.into_iter().any(Option::is_some)
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

/// What bounds a search.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Agents found.
    pub count: usize,
    /// Bytes of what they say of themselves, after which it ends.
    pub bytes: usize,
    /// Agents looked at.
    pub looks: usize,
    /// Those of them that are looked at in one hold of the directory.
    pub step: usize,
}

/// What a search has found.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their ids.
    pub entries: Vec<Arc<Entry>>,
    /// After whom to go on, where it has ended before the last of all.
    pub next: Option<AgentId>,
}

/// Candidates in one reply.
pub const CANDIDATES_MAX: usize = 100;

/// The directory itself. No lock of it is held across an await.
#[derive(Debug, Default)]
pub struct Directory {
    /// Read for every message, by all workers; they do not meet at it.
    tables: ShardedLock<Tables>,
}

impl Directory {
    // A panic of who had it is not passed on: what it can have left behind is one agent's.
    fn read(&self) -> ShardedLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> ShardedLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to the agent with this id. Where what it says of itself is not asked, it is not looked at.
    pub fn agent(&self, id: &str) -> Option<AgentHandle> {
        self.read().agent(id).cloned()
    }

    /// The agent with this id.
    pub fn get(&self, id: &str) -> Option<Arc<Entry>> {
        self.read().get(id).cloned()
    }

    /// The name under which an agent is registered; none where another one has its id by now.
    pub fn name_of(&self, agent: &AgentHandle) -> Option<Word> {
        let tables = self.read();
        let entry = tables.get(agent.id().as_str())?;
        entry.agent.is(agent).then(|| entry.profile.name.clone())
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The agents that are wanted and whose ids come after `after`, within bounds. Between two steps
    /// the directory is free, and the thread does what else there is to do.
    pub async fn search(
        &self,
        wanted: &Wanted,
        mut after: Option<AgentId>,
        bounds: Bounds,
    ) -> Found {
        let (mut found, mut bytes, mut looks) = (Found::default(), 0, 0);
        loop {
            let step = self.candidates(wanted, after.as_ref(), bounds.step);
            for entry in &step {
                let full = found.entries.len() == bounds.count || bytes >= bounds.bytes;
                let meets = looks < bounds.looks && wanted.meets(entry);
                if looks == bounds.looks || meets && full {
                    found.next = after;
                    return found;
                }
                looks += 1;
                if meets {
                    bytes += entry.profile.size();
                    found.entries.push(entry.clone());
                }
                after = Some(entry.agent.id().clone());
            }
            if step.len() < bounds.step {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Up to `limit` agents whose ids come after `after`, in the order of their ids, among which are
    /// the next of those that are wanted, with others that are not: [`Wanted::meets`] tells. Fewer
    /// than `limit` are the last.
    fn candidates(
        &self,
        wanted: &Wanted,
        after: Option<&AgentId>,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        self.read().candidates(wanted, after, limit)
    }

    /// Every agent after `after`, in the order of their ids, until one is enough. Between two steps
    /// of so many agents the directory is free.
    pub fn walk(
        &self,
        mut after: Option<AgentId>,
        step: usize,
        visit: &mut impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let everybody = Wanted::default();
        loop {
            let entries = self.candidates(&everybody, after.as_ref(), step);
            entries.iter().try_for_each(|entry| visit(entry))?;
            match entries.last() {
                Some(last) if entries.len() == step => after = Some(last.agent.id().clone()),
                _ => return ControlFlow::Continue(()),
            }
        }
    }

    /// The agent that an address means: an id wins over a name; among several bearers of a name
    /// the only claimed one that is online, else the only one that is online, else the only one.
    pub fn resolve(&self, address: &Word) -> Result<AgentHandle, Unresolved> {
        let tables = self.read();
        let address = address.as_str();
        if let Some(agent) = tables.agent(address) {
            return Ok(agent.clone());
        }
        let is_online = |entry: &&Arc<Entry>| entry.agent.presence().is_online();
        let mut claimed = tables.claimed(address).filter(is_online);
        if let (Some(only), None) = (claimed.next(), claimed.next()) {
            return Ok(only.agent.clone());
        }
        let mut online = tables.bearers(address).filter(is_online);
        if let (Some(only), None) = (online.next(), online.next()) {
            return Ok(only.agent.clone());
        }
        let mut bearers = tables.bearers(address);
        match (bearers.next(), bearers.next()) {
            (Some(only), None) => Ok(only.agent.clone()),
            (Some(_), Some(_)) => Err(tables.ambiguous(address)),
            (None, _) => Err(Unresolved::Unknown {
                did_you_mean: tables.similar(address),
            }),
        }
    }

    /// Up to `limit` agents online that have this capability, those first whose ids come after that
    /// of who was chosen last.
    pub fn able(&self, capability: &Word, limit: usize) -> Vec<Arc<Entry>> {
        let tables = self.read();
        let able = tables.able(capability);
        // Its silence may not have been noticed yet.
        let there = able.filter(|entry| entry.agent.presence().is_online());
        there.take(limit).cloned().collect()
    }

    /// This agent was chosen for what it can do.
    pub(super) fn chosen(&self, capability: &Word, id: &AgentId) {
        self.read().chosen(capability, id);
    }

    /// Capabilities of agents online that look like this one.
    pub fn similar_capabilities(&self, wanted: &str) -> Vec<String> {
        self.read().similar_capabilities(wanted)
    }

    /// What an agent can do and where it runs, in words that others have used already where there
    /// are such: kept once, they are paid for once.
    pub(super) fn known(
        &self,
        capabilities: Vec<Word>,
        machine: String,
    ) -> (Box<[Word]>, Arc<str>) {
        let tables = self.read();
        let words = capabilities.into_iter();
        let words = words.map(|word| tables.known_capability(word)).collect();
        (words, tables.known_machine(machine))
    }

    /// An agent has come, or fallen silent: what it can do is known of those who are there.
    pub(super) fn note_presence(&self, id: &AgentId) {
        let mut tables = self.write();
        // Looked at under the lock, so that whoever is last to note it notes what holds.
        if let Some(entry) = tables.get(id.as_str()).cloned() {
            tables.note_able(&entry);
        }
    }

    pub(super) fn insert(&self, entry: Arc<Entry>) {
        self.write().insert(entry);
    }

    /// An agent has been claimed by a call, and not by registering.
    pub(super) fn note_claimed(&self, agent: &AgentHandle) {
        let mut tables = self.write();
        // It may have left meanwhile.
        let now = tables.get(agent.id().as_str()).cloned();
        if let Some(now) = now.filter(|now| now.agent.is(agent)) {
            tables.note_claimed(&now);
        }
    }

    pub(super) fn remove(&self, id: &AgentId) -> Option<Arc<Entry>> {
        self.write().remove(id)
    }
}
