//! Stands before every call: who may ask.

use super::Shared;
use super::browser::{Allowed, Facts, Foreign};
use super::error::ApiError;
use super::flow::count;
use super::link::Watch;
use actix_http::{HttpMessage, Request};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY};
use clawlink_protocol::error::ErrorCode;
use std::rc::Rc;
use subtle::ConstantTimeEq;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may ask.
pub struct Gate {
    /// Hosts and origins.
    pub allowed: Allowed,
    /// The relay's token, if it has one.
    pub token: Option<String>,
}

impl Gate {
    fn admit(&self, request: &Request, tls: bool) -> Result<(), ApiError> {
        let token = self.token_state(request);
        let facts = facts(request, token == Token::Right, tls);
        self.allowed.judge(facts).map_err(foreign)?;
        match token {
            Token::NotNeeded | Token::Right => Ok(()),
            _ if request.path() == "/health" => Ok(()),
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

    fn token_state(&self, request: &Request) -> Token {
        let Some(wanted) = &self.token else {
            return Token::NotNeeded;
        };
        let right = |given: &str| bool::from(given.as_bytes().ct_eq(wanted.as_bytes()));
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let bearer = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme
                .eq_ignore_ascii_case("bearer")
                .then(|| token.trim().to_owned())
        });
        // Only the upgrade may carry it in the query: a WebSocket client may have no other place.
        let upgrade =
            request.path().starts_with("/ws/") && request.headers().contains_key(SEC_WEBSOCKET_KEY);
        let in_query = || upgrade.then(|| query_token(query(request))).flatten();
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

fn facts(request: &Request, token: bool, tls: bool) -> Facts<'_> {
    let text = |name: HeaderName| {
        let mut values = request.headers().get_all(name);
        let value = values.next()?;
        // What is no text, or stands there more than once, is nobody's.
        let one = values.next().is_none();
        Some(value.to_str().ok().filter(|_| one).unwrap_or("?"))
    };
    let target = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    Facts {
        host: target.or_else(|| text(HOST)),
        origin: text(ORIGIN),
        fetch_site: text(SEC_FETCH_SITE),
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
pub fn may_come(state: &Shared, request: &Request) -> Result<(), ApiError> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    has_place(state, request)?;
    state.flow.may_ask(peer)?;
    let tries = state.gate.token.is_some() && brings_token(request);
    if tries {
        state.flow.may_try(peer)?;
    }
    state.gate.admit(request, state.tls).map_err(|refused| {
        let wrong = tries && refused.code() == ErrorCode::Unauthorized;
        let limited = wrong.then(|| state.flow.tried(peer).err()).flatten();
        limited.unwrap_or(refused)
    })
}

fn query(request: &Request) -> &str {
    request.uri().query().unwrap_or_default()
}

fn brings_token(request: &Request) -> bool {
    let in_query = || query(request).contains("token=");
    request.headers().contains_key(AUTHORIZATION)
        || request.path().starts_with("/ws/") && in_query()
}

/// Whether the connection is one of those that the relay may have.
fn has_place(state: &Shared, request: &Request) -> Result<(), ApiError> {
    let watch = request.conn_data::<Rc<Watch>>();
    if watch.is_none_or(|watch| watch.has_place()) {
        return Ok(());
    }
    count(&state.flow.counts.connections_refused);
    let limit = state.flow.limits.connections;
    let error = format!(
        "the relay has its {limit} connections (--connections-limit); try again when one has ended"
    );
    Err(ApiError::new(ErrorCode::RelayFull, error).closing())
}
