//! Who asks: the headers of an agent, read in one place.

use super::Shared;
use super::error::ApiError;
use super::head::{self, Headers, Name};
use super::link::Watch;
use crate::actors::speaking::Speaker;
use crate::core::identity::{Reader, SecretHash};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use clawlink_protocol::agents::SECRET_HEADER;
use clawlink_protocol::files::AGENT_HEADER;
use clawlink_protocol::name::AgentId;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::rc::Rc;

/// What a request shows of who sent it. What cannot be a secret is refused before the call is read.
pub struct Caller {
    shown: Option<SecretHash>,
    named: Header,
    key: Header,
    peer: Option<IpAddr>,
    watch: Option<Rc<Watch>>,
}

/// A header that may stand there once, kept for as long as the call is worked off.
enum Header {
    Absent,
    /// Empty where it is no text.
    Once(Box<str>),
    Twice,
}

impl Header {
    fn of(headers: &dyn Headers, name: Name) -> Header {
        match headers.header(name) {
            head::Header::Absent => Header::Absent,
            head::Header::Once(text) => Header::Once(text.unwrap_or_default().into()),
            head::Header::More(_) => Header::Twice,
        }
    }

    /// What it says.
    fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self {
            Header::Absent => Ok(None),
            Header::Once(text) => Ok(Some(text)),
            Header::Twice => Err(ApiError::bad_request(format!("there are two {name}"))),
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Caller, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        let peer = request.peer_addr().map(|peer| peer.ip());
        ready(Caller::of(request.headers(), peer, watch))
    }
}

impl Caller {
    /// Reads the headers of a request.
    pub fn of(
        headers: &dyn Headers,
        peer: Option<IpAddr>,
        watch: Option<Rc<Watch>>,
    ) -> Result<Caller, ApiError> {
        let header = |name| Header::of(headers, name);
        let shown = match header(Name::Secret).text(SECRET_HEADER)? {
            None => None,
            Some(text) => Some(SecretHash::of(text).ok_or_else(|| {
                // Not what came: it may be a secret with a slip in it.
                let error = format!("{SECRET_HEADER} must be 32 bytes as 64 hex digits");
                ApiError::bad_request(error)
            })?),
        };
        Ok(Caller {
            shown,
            named: header(Name::Agent),
            key: header(Name::Key),
            peer,
            watch,
        })
    }

    /// The connection it asks on.
    pub fn watch(&self) -> Option<&Rc<Watch>> {
        self.watch.as_ref()
    }

    /// The secret that was shown.
    pub fn shown(&self) -> Option<SecretHash> {
        self.shown
    }

    /// Whether it brings an idempotency key.
    pub fn has_key(&self) -> bool {
        !matches!(self.key, Header::Absent)
    }

    /// The text of the idempotency key, if it brings one.
    pub fn key(&self) -> Result<Option<&str>, ApiError> {
        self.key.text("Idempotency-Key headers")
    }

    /// Notes for the log which agent the request is about.
    pub fn notes(&self, agent: &AgentId) {
        if let Some(watch) = &self.watch {
            watch.note(agent);
        }
    }

    /// Speaks for an agent, if this caller may. Every call in the name of an agent begins with it.
    pub fn speak_for(&self, state: &Shared, agent: &AgentId) -> Result<Speaker, ApiError> {
        self.notes(agent);
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
        self.notes(agent);
        let speaker = match state.relay.may_speak_for(agent, self.shown) {
            Err(_) if state.relay.directory.agent(agent.as_str()).is_none() => None,
            speaker => Some(speaker?),
        };
        self.take_turn(state, agent)?;
        Ok(speaker)
    }

    /// Whoever may not speak for an agent does not use up its turns.
    fn take_turn(&self, state: &Shared, agent: &AgentId) -> Result<(), ApiError> {
        let digest = || state.relay.replays.digest(agent.as_str().as_bytes());
        state.flow.may_speak(self.peer, digest)
    }

    /// Reads what agents have sent each other, in the name of the agent of the header, if there is
    /// one.
    pub fn read(&self, state: &Shared) -> Result<Reader, ApiError> {
        let agent = self.named()?;
        if let Some(agent) = &agent {
            self.notes(agent);
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
        let agent = self.named.text(AGENT_HEADER)?;
        agent
            .map(|text| AgentId::parse(text).map_err(bad))
            .transpose()
    }
}
