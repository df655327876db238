//! What HTTP and sockets call: the whole relay behind one face. Each call is made of a name
//! looked up, a message serialised once, and one handle asked. Receiving stands in
//! [`super::receiving`].

use super::agent::handle::AgentHandle;
use super::board::Board;
use super::clock::{Clock, timestamp};
use super::dead_letters::DeadLettersHandle;
use super::directory::{Directory, Entry, Unresolved};
use super::herald::HeraldHandle;
use super::library::LibraryHandle;
use super::lifeline::Lifeline;
use super::merging::Merges;
use super::refused::Refused;
use super::registry::{NotRegistered, RegistryHandle};
use super::replays::Replays;
use super::reservations::ReservationsHandle;
use super::routing::Router;
use super::speaking::Speaker;
use super::subscribing;
use crate::core::Millis;
use crate::core::budget::Budget;
use crate::core::delegation;
use crate::core::identity::{Brings, SECRET, SecretHash};
use crate::core::ids::Ids;
use crate::core::json;
use crate::core::message::{Envelope, Kind};
use crate::core::metrics::Metrics;
use crate::core::presence::millis;
use bytestring::ByteString;
use clawlink_protocol::agents::{Register, TTL_RANGE};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::messages::{
    Broadcast, BroadcastSent, MESSAGE_TTL, MESSAGE_TTL_RANGE, Outgoing, Priority, TAGS_MAX,
};
use clawlink_protocol::name::{AgentId, MessageId, Word};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes of what an agent says of its machine.
pub const MACHINE_MAX: usize = 256;
/// Bytes of all capabilities of an agent.
pub const CAPABILITIES_MAX: usize = 4096;
/// Bytes of what an agent says of itself.
pub const DESCRIPTION_MAX: usize = 4096;

/// The relay.
pub struct Relay {
    /// Its clock.
    pub clock: Clock,
    /// A random word, new at each start.
    pub epoch: String,
    /// Who exists.
    pub directory: Arc<Directory>,
    /// Who comes and goes.
    pub registry: RegistryHandle,
    /// Broadcasts and notices.
    pub herald: HeraldHandle,
    /// Files.
    pub library: LibraryHandle,
    /// Merges that may run.
    pub merges: Merges,
    /// Mail that died.
    pub dead_letters: DeadLettersHandle,
    /// Tasks.
    pub board: Arc<Board>,
    /// Who does what anybody may do.
    pub router: Arc<Router>,
    /// Who edits what.
    pub reservations: ReservationsHandle,
    /// Idempotency keys.
    pub replays: Arc<Replays>,
    /// Tells calls that wait when the relay ends.
    pub lifeline: Lifeline,
    /// Ids of messages.
    pub ids: Arc<Ids>,
    /// How many agents are online.
    pub online: Arc<AtomicUsize>,
    /// The bound of all inboxes together.
    pub budget: Arc<Budget>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether nobody speaks for an agent without its secret.
    pub strict: bool,
}

/// An agent that has registered.
pub struct Joined {
    /// As it is now.
    pub entry: Arc<Entry>,
    /// The secret that it was given, as it goes over the wire.
    pub secret: Option<String>,
}

/// A body that must be there and be readable.
pub(super) fn given<'a>(field: &str, raw: &'a RawValue) -> Result<&'a RawValue, Refused> {
    match raw.get() {
        "null" => Err(Refused::bad_request(format!("{field} is required"))),
        "\"\"" => Err(Refused::bad_request(format!("{field} is empty"))),
        _ => sound(field, raw),
    }
}

pub(super) fn sound<'a>(field: &str, raw: &'a RawValue) -> Result<&'a RawValue, Refused> {
    match json::check(raw.get()) {
        Ok(()) => Ok(raw),
        Err(error) => Err(Refused::bad_request(format!("{field}: {error}"))),
    }
}

pub(super) fn at_most(field: &str, got: usize, max: usize, unit: &str) -> Result<(), Refused> {
    if got <= max {
        return Ok(());
    }
    Err(Refused::bad_request(format!(
        "{field} may have at most {max} {unit}, not {got}"
    )))
}

pub(super) fn envelope(
    message: &Outgoing<'_>,
    kind: Kind,
    priority: Priority,
    now: String,
    expires: Option<Millis>,
) -> Result<Arc<Envelope>, Refused> {
    let body = written(message)?;
    Ok(Arc::new(Envelope {
        body,
        kind,
        priority,
        accepted_at: now,
        expires,
        task: None,
    }))
}

/// The text of a message.
pub(super) fn written(message: &Outgoing<'_>) -> Result<ByteString, Refused> {
    let text = delegation::message(message);
    text.map_err(|error| Refused::bad_request(error.to_string()))
}

/// When a message dies that is sent now and whose sender gives it so long to be handed over.
pub(super) fn expiry(ttl: Option<u64>, now: Millis) -> Result<Option<Millis>, Refused> {
    let ttl = ttl.unwrap_or(MESSAGE_TTL);
    if !MESSAGE_TTL_RANGE.contains(&ttl) {
        let (from, to) = (MESSAGE_TTL_RANGE.start(), MESSAGE_TTL_RANGE.end());
        let error = format!("ttl must be {from} to {to} seconds, not {ttl}");
        return Err(Refused::bad_request(error));
    }
    Ok(Some(now + millis(Duration::from_secs(ttl))))
}

pub(super) fn constant(json: &'static str) -> &'static RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}

impl Relay {
    /// Registers an agent, or changes what one says of itself. It is claimed by the secret that is
    /// shown; where there is none it is given one, which claims it when it is used.
    pub async fn register(
        &self,
        call: Register,
        peer: String,
        shown: Option<SecretHash>,
    ) -> Result<Joined, Refused> {
        if let Some(own) = shown {
            let entry = self.join(call, peer, Brings::Own(own)).await?;
            let secret = None;
            return Ok(Joined { entry, secret });
        }
        let mut random = [0; SECRET];
        getrandom::fill(&mut random).map_err(|_| Refused::unavailable("the random numbers"))?;
        let (secret, hash) = SecretHash::made_of(random);
        let entry = self.join(call, peer, Brings::Asks(hash)).await?;
        let secret = Some(secret);
        Ok(Joined { entry, secret })
    }

    /// Has the registry register an agent.
    pub(super) async fn join(
        &self,
        call: Register,
        peer: String,
        brings: Brings,
    ) -> Result<Arc<Entry>, Refused> {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let capabilities = call.capabilities.as_deref().unwrap_or_default();
        let all: usize = capabilities.iter().map(|word| word.as_str().len()).sum();
        at_most("machine", length(&call.machine), MACHINE_MAX, "bytes")?;
        at_most(
            "description",
            length(&call.description),
            DESCRIPTION_MAX,
            "bytes",
        )?;
        at_most("capabilities", capabilities.len(), TAGS_MAX, "entries")?;
        at_most("capabilities", all, CAPABILITIES_MAX, "bytes")?;
        subscribing::fit(call.topics.as_deref())?;
        if let Some(ttl) = call.ttl.filter(|ttl| !TTL_RANGE.contains(ttl)) {
            let (from, to) = (TTL_RANGE.start(), TTL_RANGE.end());
            let error = format!("ttl must be {from} to {to} seconds, not {ttl}");
            return Err(Refused::bad_request(error));
        }
        let name = call
            .name
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.registry.register(call, peer, brings).await.map_err(|why| match why {
            NotRegistered::Claimed(id, _) => Refused::claimed(&id),
            NotRegistered::NameIsAnId => Refused::bad_request(format!(
                "the name \"{name}\" is the id of another agent, or was within a day; take another name"
            )),
            NotRegistered::TooMany { limit } => Refused::new(
                ErrorCode::RelayFull,
                format!("this relay holds its limit of {limit} agents (--agents-limit)"),
            ),
            NotRegistered::Unavailable => Refused::unavailable("the registry"),
        })
    }

    /// Removes an agent.
    pub async fn deregister(&self, speaker: &Speaker) -> Result<(), Refused> {
        if let Some(agent) = speaker.agent()
            && self.registry.deregister(agent.clone()).await
        {
            return Ok(());
        }
        Err(Refused::unknown(speaker.id().as_str(), Vec::new()))
    }

    /// The agent was heard; says whether there is one.
    pub fn heartbeat(&self, speaker: &Speaker) -> bool {
        speaker.agent().map(AgentHandle::heard).is_some()
    }

    /// Agents online now.
    pub fn online(&self) -> usize {
        self.online.load(Ordering::Relaxed)
    }

    /// The agent that an id or a name means.
    pub fn resolve(&self, address: &Word) -> Result<AgentHandle, Refused> {
        self.directory
            .resolve(address)
            .map_err(|why| Refused::unresolved(address.as_str(), why))
    }

    /// Which agent is meant: one that is there by id or name, or the id of one that has left.
    pub fn agent_meant(&self, address: &str) -> Result<AgentId, Refused> {
        let bad = |why| Refused::bad_request(format!("agent: {why}"));
        let word = Word::parse(address).map_err(bad)?;
        match self.directory.resolve(&word) {
            Ok(agent) => Ok(agent.id().clone()),
            Err(Unresolved::Unknown { .. }) => AgentId::parse(address).map_err(bad),
            Err(why) => Err(Refused::unresolved(address, why)),
        }
    }

    /// Sends a finding to every other agent that hears its topic.
    pub async fn broadcast(
        &self,
        call: &Broadcast<'_>,
        message_id: Option<MessageId>,
        speaker: &Speaker,
    ) -> Result<BroadcastSent, Refused> {
        let content = given("content", call.content)?;
        let tags = call.tags.as_deref().unwrap_or_default();
        at_most("tags", tags.len(), TAGS_MAX, "entries")?;
        let expires = expiry(call.ttl, self.clock.now())?;
        let message_id = message_id.map_or_else(|| self.ids.next(), |id| id.to_string());
        let (name, now) = (self.name_of(speaker), timestamp());
        let topic = call.topic.as_ref().map_or("general", Word::as_str);
        let message = Outgoing::KnowledgeBroadcast {
            message_id: &message_id,
            from_agent: &call.from_agent,
            from_name: name.as_ref().map(Word::as_str),
            sender_verified: speaker.is_verified(),
            content,
            topic,
            tags,
            timestamp: &now,
        };
        let normal = Priority::Normal;
        let envelope = envelope(&message, Kind::Broadcast, normal, now.clone(), expires)?;
        let told = self
            .herald
            .broadcast(envelope, call.from_agent.clone(), topic);
        let recipients = told
            .await
            .ok_or_else(|| Refused::unavailable("the herald"))?;
        Ok(BroadcastSent {
            status: "broadcast_sent".to_owned(),
            message_id,
            recipients,
            epoch: Some(self.epoch.clone()),
        })
    }
}
