//! Stands before every call: who may ask.

use super::Shared;
use super::browser::{Allowed, Facts, Foreign};
use super::error::ApiError;
use super::flow::count;
use super::head::{Head, Header, Name};
use clawlink_protocol::error::ErrorCode;
use subtle::ConstantTimeEq;

/// Who may ask.
pub struct Gate {
    /// Hosts and origins.
    pub allowed: Allowed,
    /// The relay's token, if it has one.
    pub token: Option<String>,
}

impl Gate {
    fn admit(&self, head: &Head<'_>, tls: bool) -> Result<(), ApiError> {
        let token = self.token_state(head);
        let facts = facts(head, token == Token::Right, tls);
        self.allowed.judge(facts).map_err(foreign)?;
        match token {
            Token::NotNeeded | Token::Right => Ok(()),
            _ if head.path == "/health" => Ok(()),
            Token::Missing => Err(ApiError::new(
                ErrorCode::Unauthorized,
                "this relay needs its token; send Authorization: Bearer TOKEN",
            )),
            Token::Wrong => Err(ApiError::new(
                ErrorCode::Unauthorized,
                "the token is wrong; ask whoever started the relay",
            )),
        }
    }

    fn token_state(&self, head: &Head<'_>) -> Token {
        let Some(wanted) = &self.token else {
            return Token::NotNeeded;
        };
        let right = |given: &str| bool::from(given.as_bytes().ct_eq(wanted.as_bytes()));
        let header = head.headers.header(Name::Authorization).first();
        let bearer = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then(|| token.trim().to_owned())
        });
        // Only the upgrade may carry it in the query: a WebSocket client may have no other place.
        let asks = || head.headers.header(Name::SocketKey).is_there();
        let upgrade = head.path.starts_with("/ws/") && asks();
        let in_query = || upgrade.then(|| query_token(head.query)).flatten();
        match bearer.or_else(in_query) {
            Some(given) if right(&given) => Token::Right,
            Some(_) => Token::Wrong,
            None if header.is_some() => Token::Wrong,
            None => Token::Missing,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    NotNeeded,
    Right,
    Wrong,
    Missing,
}

fn query_token(query: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Given {
        token: Option<String>,
    }
    actix_web::web::Query::<Given>::from_query(query)
        .ok()?
        .into_inner()
        .token
}

fn facts<'a>(head: &Head<'a>, token: bool, tls: bool) -> Facts<'a> {
    // What is no text, or stands there more than once, is nobody's.
    let text = |name| match head.headers.header(name) {
        Header::Absent => None,
        Header::Once(text) => Some(text.unwrap_or("?")),
        Header::More(_) => Some("?"),
    };
    Facts {
        host: head.authority.or_else(|| text(Name::Host)),
        origin: text(Name::Origin),
        fetch_site: text(Name::FetchSite),
        token,
        tls,
    }
}

#[cold]
fn foreign(why: Foreign) -> ApiError {
    let error = match why {
        Foreign::Host(host) => format!(
            "\"{host}\" is not a name of this relay; use its address, or start it with --allow-host"
        ),
        Foreign::Origin(origin) => {
            format!("a web page of \"{origin}\" may not ask this relay; --allow-origin lets it")
        }
        Foreign::Site => "a web page of another site may not ask this relay".to_owned(),
    };
    ApiError::new(ErrorCode::Forbidden, error)
}

/// Judges a request by what has come before it, and then by itself.
pub fn may_come(state: &Shared, head: &Head<'_>) -> Result<(), ApiError> {
    has_place(state, head)?;
    state.flow.may_ask(head.peer)?;
    let tries = state.gate.token.is_some() && brings_token(head);
    if tries {
        state.flow.may_try(head.peer)?;
    }
    state.gate.admit(head, state.tls).map_err(|refused| {
        let wrong = tries && refused.code() == ErrorCode::Unauthorized;
        let limited = wrong.then(|| state.flow.tried(head.peer).err()).flatten();
        limited.unwrap_or(refused)
    })
}

fn brings_token(head: &Head<'_>) -> bool {
    head.headers.header(Name::Authorization).is_there()
        || head.path.starts_with("/ws/") && head.query.contains("token=")
}

/// Whether the connection is one of those that the relay may have.
fn has_place(state: &Shared, head: &Head<'_>) -> Result<(), ApiError> {
    if head.watch.is_none_or(|watch| watch.has_place()) {
        return Ok(());
    }
    count(&state.flow.counts.connections_refused);
    let limit = state.flow.limits.connections;
    let error = format!(
        "the relay has its {limit} connections (--connections-limit); try again when one has ended"
    );
    Err(ApiError::new(ErrorCode::RelayFull, error).closing())
}
