//! Who asks: the two headers of an agent, read in one place.

use super::Shared;
use super::error::ApiError;
use super::guard::speaks_for;
use crate::actors::speaking::Speaker;
use crate::core::identity::{Reader, SecretHash};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use clawlink_protocol::agents::SECRET_HEADER;
use clawlink_protocol::files::AGENT_HEADER;
use clawlink_protocol::name::AgentId;
use std::future::{Ready, ready};

/// What a request shows of who sent it. What cannot be a secret is refused before the call is read.
pub struct Caller {
    request: HttpRequest,
    shown: Option<SecretHash>,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Caller, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shown = shown(request);
        ready(shown.map(|shown| Caller {
            request: request.clone(),
            shown,
        }))
    }
}

fn shown(request: &HttpRequest) -> Result<Option<SecretHash>, ApiError> {
    let error = || {
        // Not what came: it may be a secret with a slip in it.
        let error = format!("{SECRET_HEADER} must be 32 bytes as 64 hex digits");
        ApiError::bad_request(error)
    };
    let Some(value) = header(request, SECRET_HEADER)? else {
        return Ok(None);
    };
    SecretHash::of(value).map(Some).ok_or_else(error)
}

/// The value of a header that may stand there once.
fn header<'a>(request: &'a HttpRequest, name: &str) -> Result<Option<&'a str>, ApiError> {
    let mut values = request.headers().get_all(name);
    let value = values.next();
    if values.next().is_some() {
        return Err(ApiError::bad_request(format!("there are two {name}")));
    }
    Ok(value.map(|value| value.to_str().unwrap_or_default()))
}

impl Caller {
    /// The secret that was shown.
    pub fn shown(&self) -> Option<SecretHash> {
        self.shown
    }

    /// Speaks for an agent, if this caller may. Every call in the name of an agent begins with it.
    pub fn speak_for(&self, state: &Shared, agent: &AgentId) -> Result<Speaker, ApiError> {
        speaks_for(&self.request, agent);
        let speaker = state.relay.may_speak_for(agent, self.shown)?;
        self.take_turn(state, agent)?;
        Ok(speaker)
    }

    /// The same for a call that tells an agent which is not registered that it has to, also on a
    /// strict relay.
    pub fn speak_for_known(
        &self,
        state: &Shared,
        agent: &AgentId,
    ) -> Result<Option<Speaker>, ApiError> {
        speaks_for(&self.request, agent);
        let speaker = match state.relay.may_speak_for(agent, self.shown) {
            Err(_) if state.relay.directory.get(agent.as_str()).is_none() => None,
            speaker => Some(speaker?),
        };
        self.take_turn(state, agent)?;
        Ok(speaker)
    }

    /// Whoever may not speak for an agent does not use up its turns.
    fn take_turn(&self, state: &Shared, agent: &AgentId) -> Result<(), ApiError> {
        let peer = self.request.peer_addr().map(|peer| peer.ip());
        let digest = state.relay.replays.digest(agent.as_str().as_bytes());
        state.flow.may_speak(peer, digest)
    }

    /// Reads what agents have sent each other, in the name of the agent of the header, if there is
    /// one.
    pub fn read(&self, state: &Shared) -> Result<Reader, ApiError> {
        let agent = self.named()?;
        if let Some(agent) = &agent {
            speaks_for(&self.request, agent);
        }
        Ok(state.relay.reader(agent, self.shown)?)
    }

    /// The agent of the header that names the one of a call without a body. `what` it does.
    pub fn agent(&self, what: &str) -> Result<AgentId, ApiError> {
        self.named()?.ok_or_else(|| {
            let error = format!("{AGENT_HEADER} is required: the id of the agent that {what}");
            ApiError::bad_request(error)
        })
    }

    fn named(&self) -> Result<Option<AgentId>, ApiError> {
        let bad = |why| ApiError::bad_request(format!("{AGENT_HEADER}: {why}"));
        let agent = header(&self.request, AGENT_HEADER)?;
        agent
            .map(|text| AgentId::parse(text).map_err(bad))
            .transpose()
    }
}
