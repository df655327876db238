//! The calls that agents make all the time, answered without the route table: to find a route and to
//! call a handler by it costs as much again as such a call. Where nothing has to be waited for they
//! are done where they are looked at, without a future of their own.

use super::body::{Body, Part, There};
use super::caller::Caller;
use super::error::ApiError;
use super::link::Watch;
use super::{Shared, agents, messages, poll as polls};
use actix_http::{Payload, Request};
use actix_web::HttpResponse;
use actix_web::http::Method;
use futures_util::Stream;
use futures_util::future::Either::{self, Left, Right};
use futures_util::future::LocalBoxFuture;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequent {
    /// `POST /delegate`
    Delegate,
    /// `POST /heartbeat`
    Heartbeat,
    /// `GET /poll/{agent_id}`
    Poll,
}

impl Frequent {
    /// In the order in which they are declared.
    pub const ALL: [Frequent; 3] = [Frequent::Delegate, Frequent::Heartbeat, Frequent::Poll];

    /// Which of them a request is. What is written in an unusual way is the route table's.
    pub fn of(request: &Request) -> Option<Frequent> {
        match (request.method(), request.path()) {
            (&Method::POST, "/delegate") => Some(Frequent::Delegate),
            (&Method::POST, "/heartbeat") => Some(Frequent::Heartbeat),
            (&Method::GET, path) => polled(path).map(|_| Frequent::Poll),
            _ => None,
        }
    }

    /// Its entry in the route table.
    pub fn entry(self) -> (&'static str, &'static str) {
        match self {
            Frequent::Delegate => ("POST", "/delegate"),
            Frequent::Heartbeat => ("POST", "/heartbeat"),
            Frequent::Poll => ("GET", "/poll/{agent_id}"),
        }
    }
}

/// The id in the path of a poll, if it stands there as it is.
fn polled(path: &str) -> Option<&str> {
    let id = path.strip_prefix("/poll/")?;
    (!id.is_empty() && !id.contains(['/', '%'])).then_some(id)
}

/// A poll.
pub async fn poll(
    state: Shared,
    request: Request,
    watch: Option<Rc<Watch>>,
) -> Result<HttpResponse, ApiError> {
    let head = request.head();
    let caller = Caller::of(&head.headers, head.peer_addr, watch)?;
    let id = polled(head.uri.path()).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    polls::poll(state, caller, id, query).await
}

/// Whether there is something to be read of a request's body. Leaves no waker.
pub fn has_body(request: &mut Request) -> bool {
    let Payload::H1 { payload } = request.payload() else {
        return true;
    };
    let mut nobody = Context::from_waker(Waker::noop());
    match Pin::new(&mut *payload).poll_next(&mut nobody) {
        Poll::Ready(Some(Ok(bytes))) => payload.unread_data(bytes),
        Poll::Ready(_) => {}
        Poll::Pending => return false,
    }
    true
}

/// What is to be done for a call.
pub type Work = LocalBoxFuture<'static, Result<HttpResponse, ApiError>>;

/// Answers a call that brings a body, if all of that is there and there is nothing to wait for; else gives
/// what is to be done.
pub fn at_once(
    call: Frequent,
    state: &Shared,
    mut request: Request,
    watch: Option<&Rc<Watch>>,
    context: &mut Context<'_>,
) -> Result<HttpResponse, Either<ApiError, Work>> {
    let payload = request.take_payload();
    let head = request.head();
    let caller = Caller::of(&head.headers, head.peer_addr, watch.cloned()).map_err(Left)?;
    match Body::at_once(head, payload, state, context).map_err(Left)? {
        There::All(body) if call == Frequent::Heartbeat => agents::beat(state, &caller, &body),
        There::All(body) if !caller.has_key() => messages::delegate_keyless(state, &caller, &body),
        There::All(body) => {
            let work = messages::delegate(state.clone(), caller, body);
            return Err(Right(Box::pin(work)));
        }
        There::Part(part) => {
            let work = later(call, state.clone(), caller, watch.cloned(), part);
            return Err(Right(Box::pin(work)));
        }
    }
    .map_err(Left)
}

async fn later(
    call: Frequent,
    state: Shared,
    caller: Caller,
    watch: Option<Rc<Watch>>,
    part: Part,
) -> Result<HttpResponse, ApiError> {
    let body = part.whole(watch, &state).await?;
    match call {
        Frequent::Delegate => messages::delegate(state, caller, body).await,
        _ => agents::heartbeat(state, caller, body).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn what_is_answered_here_stands_in_the_route_table_too() {
        let calls = http::calls();
        for (place, call) in Frequent::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, place);
            let (method, pattern) = call.entry();
            let listed = |other: &http::Call| other.method == method && other.pattern() == pattern;
            assert_eq!(calls.iter().filter(|call| listed(call)).count(), 1);
        }
    }

    #[test]
    fn an_unusual_path_is_left_to_the_route_table() {
        assert_eq!(polled("/poll/a-1"), Some("a-1"));
        for path in ["/poll/", "/poll", "/poll/a/b", "/poll/a%2Db", "/pollx/a"] {
            assert_eq!(polled(path), None, "{path}");
        }
    }
}
