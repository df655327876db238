//! Who speaks: each call in the name of an agent is made by a [`Speaker`], and one question decides
//! who is one: asked for a call, and anew for each frame of a socket.

use super::agent::handle::AgentHandle;
use super::refused::Refused;
use super::relay::Relay;
use crate::core::identity::{Brings, NotYours, Owner, Reader, SecretHash, Spoke};
use clawlink_protocol::agents::Register;
use clawlink_protocol::name::{AgentId, Word};

/// Somebody who may speak for an agent.
#[derive(Debug, Clone)]
pub struct Speaker {
    id: AgentId,
    /// The agent, if it is registered.
    agent: Option<AgentHandle>,
    /// The secret that was shown: the agent's own, if it is registered.
    proof: Option<SecretHash>,
    verified: bool,
}

impl Speaker {
    /// For whom.
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// Whether the agent is registered and its secret was shown.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// What it has shown.
    pub fn proof(&self) -> Option<SecretHash> {
        self.proof
    }

    /// The agent, if it is registered.
    pub fn agent(&self) -> Option<&AgentHandle> {
        self.agent.as_ref()
    }

    /// Whose what it sends is: of the registration that is there now; of whoever has the secret it
    /// shows, where there is none, as after a restart of the relay.
    pub(super) fn owner(&self) -> Option<Owner> {
        match self.agent() {
            Some(agent) => Some(agent.owner().clone()),
            None => self.proof.map(Owner::claimed),
        }
    }

    /// Whether it may touch what belongs to this owner.
    pub(super) fn may_touch(&self, owner: Option<&Owner>) -> bool {
        owner.is_none_or(|owner| owner.admits(self.proof.as_ref()))
    }
}

impl Relay {
    /// Whether a call that shows this may speak for an agent. One that nobody has registered is
    /// anybody's, unless the relay is strict.
    pub fn may_speak_for(
        &self,
        agent: &AgentId,
        shown: Option<SecretHash>,
    ) -> Result<Speaker, Refused> {
        self.may_speak_as(agent, self.directory.agent(agent.as_str()), shown)
    }

    /// The same question anew, of who could before: the agent may have been claimed since, or have left.
    pub fn may_speak_on(&self, speaker: &Speaker) -> Result<Speaker, Refused> {
        let there = speaker.agent().filter(|agent| !agent.is_gone());
        match there {
            Some(agent) => self.may_speak_as(speaker.id(), Some(agent.clone()), speaker.proof()),
            // Another one may have come under its id.
            None => self.may_speak_for(speaker.id(), speaker.proof()),
        }
    }

    fn may_speak_as(
        &self,
        agent: &AgentId,
        known: Option<AgentHandle>,
        shown: Option<SecretHash>,
    ) -> Result<Speaker, Refused> {
        let spoke = match &known {
            Some(known) => known.identity().speak(shown.as_ref()),
            None => Ok(Spoke::Unproved),
        };
        let spoke = spoke.map_err(|why| Refused::not_yours(agent, why, known.as_ref()))?;
        if self.strict && spoke == Spoke::Unproved {
            return Err(Refused::unproved(agent, known.is_some()));
        }
        if let Some(known) = known.as_ref().filter(|_| spoke == Spoke::Claims) {
            self.directory.note_claimed(known);
            known.claimed();
        }
        Ok(Speaker {
            id: agent.clone(),
            agent: known,
            proof: shown,
            verified: spoke != Spoke::Unproved,
        })
    }

    /// The name under which a speaker is registered.
    pub(super) fn name_of(&self, speaker: &Speaker) -> Option<Word> {
        self.directory.name_of(speaker.agent()?)
    }

    /// Who wants to receive by a socket: an agent that nobody has registered is registered with
    /// default fields, and claimed by the secret that is shown.
    pub async fn receiver(
        &self,
        id: &AgentId,
        peer: String,
        shown: Option<SecretHash>,
    ) -> Result<Speaker, Refused> {
        if self.directory.get(id.as_str()).is_none() && (shown.is_some() || !self.strict) {
            let register = Register {
                agent_id: Some(id.clone()),
                ..Register::default()
            };
            let brings = shown.map_or(Brings::Nothing, Brings::Own);
            match self.join(register, peer, brings).await {
                // Somebody was faster: told like anybody who comes second.
                Err(refused) if refused.is_claimed() => {}
                joined => drop(joined?),
            }
        }
        self.may_speak_for(id, shown)
    }

    /// Who looks at what agents have sent each other. Whoever names an agent must be able to speak
    /// for it; one that is not registered may be named, and opens nothing that is claimed.
    pub fn reader(
        &self,
        agent: Option<AgentId>,
        shown: Option<SecretHash>,
    ) -> Result<Reader, Refused> {
        if let Some(agent) = &agent
            && self.directory.get(agent.as_str()).is_some()
        {
            self.may_speak_for(agent, shown)?;
        }
        Ok(Reader {
            agent,
            proof: shown,
            strict: self.strict,
        })
    }
}

impl Refused {
    /// A call may not speak for this agent.
    fn not_yours(agent: &AgentId, why: NotYours, known: Option<&AgentHandle>) -> Self {
        let claimed = known.is_some_and(|known| known.identity().is_claimed());
        let (error, reason) = match why {
            NotYours::NoSecret => (
                format!("agent \"{agent}\" is claimed; send its secret in X-Agent-Secret"),
                SECRET_REQUIRED,
            ),
            NotYours::WrongSecret if claimed => (
                format!("the secret is not that of agent \"{agent}\", which is claimed"),
                SECRET_WRONG,
            ),
            NotYours::WrongSecret => (
                format!(
                    "the secret is not that of agent \"{agent}\"; POST /register with X-Agent-Secret claims it"
                ),
                SECRET_WRONG,
            ),
        };
        Refused::forbidden(error, reason)
    }

    /// A strict relay asks everyone for a secret.
    fn unproved(agent: &AgentId, registered: bool) -> Self {
        let what = match registered {
            true => "has shown no secret",
            false => "is not registered",
        };
        let error = format!(
            "agent \"{agent}\" {what}, and this relay asks it of everyone (--strict-identity); \
             send X-Agent-Secret, the one that POST /register took or gave in agent_secret"
        );
        Refused::forbidden(error, SECRET_REQUIRED)
    }
}

impl Refused {
    /// A dead letter of claimed agents.
    pub(super) fn not_readable() -> Self {
        let error = "this message is another's; name its sender or recipient in X-Agent-Id, and send X-Agent-Secret";
        Refused::forbidden(error, SECRET_REQUIRED)
    }
}

/// The `reason` where a secret is missing.
const SECRET_REQUIRED: &str = "secret_required";
/// The `reason` where a secret is not the agent's.
const SECRET_WRONG: &str = "secret_wrong";
