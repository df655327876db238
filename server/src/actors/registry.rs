//! Who exists, who has left, and who must be started again. The only writer of the directory.

use super::agent::Agent;
use super::agent::door::Common;
use super::agent::handle::AgentHandle;
use super::arbiters::Arbiters;
use super::clock::Moment;
use super::directory::{Directory, Entry, Profile};
use crate::core::Millis;
use crate::core::identity::{Brings, NotYours, Spoke};
use crate::core::ids::Ids;
use crate::core::presence::{Presence, millis};
use crate::core::receipt::Salt;
use crate::core::topics::Topics;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use clawlink_protocol::agents::Register;
use clawlink_protocol::name::{AgentId, Word};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info};

/// How long the id of an agent that has left cannot become somebody's name.
const DEPARTED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Departed ids remembered; the oldest is forgotten first.
const DEPARTED_MAX: usize = 100_000;
/// Characters of its id in the name of an agent that gives itself none.
const DEFAULT_NAME: usize = 4;
/// Panics after which an agent is given up: a fault that its own mail triggers would go on.
const PANICS_MAX: u32 = 100;

/// What the registry works with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For every agent.
    pub common: Arc<Common>,
    /// Time to live of an agent that asks for none.
    pub stale_after: Duration,
    /// Agents at most.
    pub agents_limit: usize,
}

/// The actor.
pub struct Registry {
    settings: Settings,
    directory: Arc<Directory>,
    arbiters: Arc<Arbiters>,
    ids: Arc<Ids>,
    departed: HashMap<AgentId, Millis>,
    departures: VecDeque<(Millis, AgentId)>,
    /// Its own address, as agents share it.
    address: Option<Arc<Addr<Registry>>>,
}

/// Why nobody was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRegistered {
    /// The name is the id of another agent, or was one within the last day.
    NameIsAnId,
    /// The id is another's.
    Claimed(AgentId, NotYours),
    /// There are as many agents as there may be.
    TooMany {
        /// Agents.
        limit: usize,
    },
    /// The registry is gone.
    Unavailable,
}

impl Registry {
    /// Starts the registry.
    pub fn start(
        settings: Settings,
        directory: Arc<Directory>,
        arbiters: Arc<Arbiters>,
        ids: Arc<Ids>,
    ) -> RegistryHandle {
        let registry = Registry {
            settings,
            directory,
            arbiters,
            ids,
            departed: HashMap::new(),
            departures: VecDeque::new(),
            address: None,
        };
        RegistryHandle(Actor::start(registry))
    }

    fn start_agent(&mut self, agent: &AgentHandle, ctx: &mut Context<Self>) {
        let address = self.address.get_or_insert_with(|| Arc::new(ctx.address()));
        let actor = Agent::new(agent, address.clone());
        let address = Agent::start_in_arbiter(&self.arbiters.next(), |_| actor);
        agent.connect(address);
    }

    fn forget_departures(&mut self) {
        let now = self.settings.common.clock.now();
        while let Some((left_at, _)) = self.departures.front() {
            let old = now >= left_at.saturating_add(millis(DEPARTED_FOR));
            if !old && self.departures.len() <= DEPARTED_MAX {
                return;
            }
            if let Some((left_at, id)) = self.departures.pop_front()
                && self.departed.get(&id) == Some(&left_at)
            {
                self.departed.remove(&id);
            }
        }
    }

    fn name_is_an_id(&self, name: &str, own: &AgentId) -> bool {
        name != own.as_str()
            && (self.directory.get(name).is_some() || self.departed.contains_key(name))
    }

    /// The name of an agent that gives itself none: of four characters of its id, or of more where
    /// that is another's id.
    fn default_name(&self, id: &AgentId) -> Word {
        let lengths = DEFAULT_NAME..=id.as_str().len().max(DEFAULT_NAME);
        let names = lengths.map(|length| {
            let piece: String = id.as_str().chars().take(length).collect();
            format!("agent-{piece}")
        });
        let free = names.into_iter().find(|name| !self.name_is_an_id(name, id));
        let free = free.and_then(|name| Word::parse(&name).ok());
        // All of them are ids: its own id is the one name that is nobody else's.
        free.unwrap_or_else(|| id.into())
    }

    fn new_id(&self) -> AgentId {
        loop {
            if let Ok(id) = AgentId::parse(&self.ids.next())
                && self.directory.get(id.as_str()).is_none()
            {
                return id;
            }
        }
    }

    fn register(
        &mut self,
        msg: Join,
        ctx: &mut Context<Self>,
    ) -> Result<Arc<Entry>, NotRegistered> {
        self.forget_departures();
        let Join {
            register,
            peer,
            brings,
        } = msg;
        let id = register.agent_id.clone();
        let id = id.unwrap_or_else(|| self.new_id());
        let known = self.directory.get(id.as_str());
        if let Some(known) = &known {
            let may = known.agent.identity().may_register(brings);
            may.map_err(|why| NotRegistered::Claimed(id.clone(), why))?;
        }
        let name = match register.name.clone() {
            Some(name) if self.name_is_an_id(name.as_str(), &id) => {
                return Err(NotRegistered::NameIsAnId);
            }
            Some(name) => name,
            None => self.default_name(&id),
        };
        let limit = self.settings.agents_limit;
        if known.is_none() && self.directory.len() >= limit {
            return Err(NotRegistered::TooMany { limit });
        }
        let ttl = register.ttl;
        let profile = self.profile(register, name, peer, known.as_deref());
        let ttl = ttl.map_or(self.settings.stale_after, Duration::from_secs);
        let is_able =
            (known.as_ref()).is_some_and(|e| e.profile.capabilities == profile.capabilities);
        let entry = match known {
            Some(before) => {
                let agent = before.agent.clone();
                // Its first call may have claimed it just now.
                let spoke = agent.identity().register(brings);
                let spoke = spoke.map_err(|why| NotRegistered::Claimed(id, why))?;
                agent.set_ttl(ttl);
                agent.heard();
                if spoke == Spoke::Claims {
                    agent.claimed();
                }
                Arc::new(Entry { agent, profile })
            }
            None => {
                let salt = Salt::of(&self.ids.next());
                let agent = AgentHandle::new(id, ttl, salt, self.settings.common.clone());
                // Nobody else has seen it yet.
                let _ = agent.identity().register(brings);
                self.start_agent(&agent, ctx);
                Arc::new(Entry { agent, profile })
            }
        };
        self.directory.insert(entry.clone());
        if !is_able {
            self.settings.common.router.offer(entry.agent.id());
        }
        self.settings.common.herald.joined(&entry);
        Ok(entry)
    }

    /// What an agent says of itself now, and what it keeps of what it said `before`.
    fn profile(
        &self,
        register: Register,
        name: Word,
        peer: String,
        before: Option<&Entry>,
    ) -> Profile {
        let capabilities = register.capabilities.unwrap_or_default();
        let machine = register.machine.unwrap_or(peer);
        let (capabilities, machine) = self.directory.known(capabilities, machine);
        Profile {
            name,
            capabilities,
            machine,
            description: register.description.unwrap_or_default().into(),
            registered_at: before.map_or_else(Moment::now, |e| e.profile.registered_at),
            topics: match (register.topics, before) {
                (None, Some(before)) => before.profile.topics.clone(),
                (topics, _) => Topics::of(topics),
            },
        }
    }

    /// Changes what an agent hears, and nothing else; `None` where there is no such agent.
    fn subscribe(&self, Hear { id, topics }: Hear) -> Option<Arc<Entry>> {
        let before = self.directory.get(id.as_str())?;
        let entry = Arc::new(Entry {
            agent: before.agent.clone(),
            profile: Profile {
                topics,
                ..before.profile.clone()
            },
        });
        self.directory.insert(entry.clone());
        Some(entry)
    }

    /// Takes an agent out of the directory; its actor ends after what it has begun.
    fn remove(&mut self, id: &AgentId) -> bool {
        let Some(entry) = self.directory.remove(id) else {
            return false;
        };
        let now = self.settings.common.clock.now();
        self.departed.insert(id.clone(), now);
        self.departures.push_back((now, id.clone()));
        self.forget_departures();
        entry.agent.leave();
        self.settings.common.reservations.end(id);
        self.settings.common.herald.left(&entry);
        true
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.settings.common.lifeline.hub_stopped("the registry");
    }
}

#[derive(Message)]
#[rtype(result = "Result<Arc<Entry>, NotRegistered>")]
struct Join {
    register: Register,
    peer: String,
    brings: Brings,
}

impl Handler<Join> for Registry {
    type Result = Result<Arc<Entry>, NotRegistered>;
    fn handle(&mut self, msg: Join, ctx: &mut Self::Context) -> Self::Result {
        self.register(msg, ctx)
    }
}

#[derive(Message)]
#[rtype(result = "Option<Arc<Entry>>")]
struct Hear {
    id: AgentId,
    topics: Topics,
}

impl Handler<Hear> for Registry {
    type Result = Option<Arc<Entry>>;
    fn handle(&mut self, msg: Hear, _: &mut Self::Context) -> Self::Result {
        self.subscribe(msg)
    }
}

#[derive(Message)]
#[rtype(result = "bool")]
struct Part(AgentHandle);

impl Handler<Part> for Registry {
    type Result = bool;
    fn handle(&mut self, Part(agent): Part, _: &mut Self::Context) -> bool {
        // Not a later one of the same id, for which nobody has spoken.
        let here = self.directory.get(agent.id().as_str());
        here.is_some_and(|entry| entry.agent.is(&agent)) && self.remove(agent.id())
    }
}

/// An agent has been unheard for so long that it is to be removed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reap(pub AgentId);

impl Handler<Reap> for Registry {
    type Result = ();
    fn handle(&mut self, Reap(id): Reap, _: &mut Self::Context) {
        let Some(entry) = self.directory.get(id.as_str()) else {
            return;
        };
        // It may have been heard since it asked.
        if entry.agent.presence() == Presence::Gone {
            self.remove(&id);
            info!(agent = %id, "reaped: unheard for too long");
        } else {
            entry.agent.door().nudge();
        }
    }
}

/// A run of an agent's actor has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AgentStopped {
    /// Whose.
    pub id: AgentId,
    /// Whether it was asked to end.
    pub left: bool,
    /// Its door, by which a successor is told from a namesake.
    pub agent: AgentHandle,
}

impl Handler<AgentStopped> for Registry {
    type Result = ();
    fn handle(&mut self, msg: AgentStopped, ctx: &mut Self::Context) {
        if self.settings.common.lifeline.is_ending() {
            return;
        }
        let AgentStopped { id, left, agent } = msg;
        let registered = self.directory.get(id.as_str());
        let still_here = registered.is_some_and(|entry| entry.agent.is(&agent));
        let panics = agent.door().note_panic();
        self.settings
            .common
            .metrics
            .agent_panics
            .add(u64::from(still_here));
        if still_here && panics <= PANICS_MAX {
            error!(agent = %id, "an agent's actor panicked; started again with its inbox");
            self.start_agent(&agent, ctx);
            return;
        }
        if still_here {
            error!(agent = %id, "an agent's actor panicked too often; removed");
            self.remove(&id);
        }
        let dead = agent.door().clear();
        let dead = self.settings.common.router.pass_on_all(&id, dead);
        if !dead.is_empty() {
            info!(agent = %id, unread = dead.len(), left, "an agent is gone and so is the mail that waited for it");
            let office = &self.settings.common.dead_letters;
            office.died(&id, agent.owner(), dead);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ping;

impl Handler<Ping> for Registry {
    type Result = ();
    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

/// The typed handle of the registry.
#[derive(Debug, Clone)]
pub struct RegistryHandle(Addr<Registry>);

impl RegistryHandle {
    /// Registers an agent, or changes what one says of itself. `peer` stands for a machine that
    /// was not given.
    pub async fn register(
        &self,
        register: Register,
        peer: String,
        brings: Brings,
    ) -> Result<Arc<Entry>, NotRegistered> {
        let join = Join {
            register,
            peer,
            brings,
        };
        self.0
            .send(join)
            .await
            .unwrap_or(Err(NotRegistered::Unavailable))
    }

    /// Changes what an agent hears; `None` where there is no such agent.
    pub async fn subscribe(&self, id: AgentId, topics: Topics) -> Option<Arc<Entry>> {
        self.0.send(Hear { id, topics }).await.ok().flatten()
    }

    /// Removes an agent; says whether there was one.
    pub async fn deregister(&self, agent: AgentHandle) -> bool {
        self.0.send(Part(agent)).await.unwrap_or(false)
    }

    /// A round trip through the registry's channel.
    pub async fn ping(&self) -> bool {
        self.0.send(Ping).await.is_ok()
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<Registry> {
        self.0.clone()
    }
}
