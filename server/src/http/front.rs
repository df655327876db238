//! Goes around every call: who may ask, the connection's turn, what is counted, and one line in the
//! log for how it went.
//!
//! The calls that agents make all the time are answered here, by the handlers that the route table
//! names: to find a route and to call a handler by it costs as much again as such a call.

use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::guard::may_come;
use super::link::Watch;
use super::traffic::{Connection, OnPath};
use super::turns::Held;
use super::{Shared, agents, messages, poll};
use actix_http::{Request, Response};
use actix_service::{Service, Transform};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse, ResponseError};
use clawlink_protocol::error::ErrorCode;
use futures_util::future::LocalBoxFuture;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Puts the front before the app of each worker.
pub struct Front(pub Shared);

/// The front, with the app behind it.
pub struct Fronted<A> {
    inner: Rc<Inner<A>>,
}

struct Inner<A> {
    app: A,
    state: Shared,
    /// The numbers of the calls that are answered here.
    numbers: [Option<usize>; Frequent::ALL.len()],
}

impl<A> Transform<A, Request> for Front
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    A::Future: 'static,
{
    type Response = Response<Held>;
    type Error = Error;
    type Transform = Fronted<A>;
    type InitError = ();
    type Future = Ready<Result<Fronted<A>, ()>>;

    fn new_transform(&self, app: A) -> Self::Future {
        let state = self.0.clone();
        let numbers = Frequent::ALL.map(|call| {
            let (method, pattern) = call.entry();
            state.traffic.number(method, pattern)
        });
        let inner = Rc::new(Inner {
            app,
            state,
            numbers,
        });
        ready(Ok(Fronted { inner }))
    }
}

impl<A> Service<Request> for Fronted<A>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    A::Future: 'static,
{
    type Response = Response<Held>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Response<Held>, Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.app.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        Box::pin(async move { Ok(inner.serve(request).await) })
    }
}

/// The calls that are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequent {
    Delegate,
    Heartbeat,
    Poll,
}

impl Frequent {
    /// In the order in which they are declared.
    const ALL: [Frequent; 3] = [Frequent::Delegate, Frequent::Heartbeat, Frequent::Poll];

    /// Which of them a request is. What is written in an unusual way is the route table's.
    fn of(request: &Request) -> Option<Frequent> {
        match (request.method(), request.path()) {
            (&Method::POST, "/delegate") => Some(Frequent::Delegate),
            (&Method::POST, "/heartbeat") => Some(Frequent::Heartbeat),
            (&Method::GET, path) => polled(path).map(|_| Frequent::Poll),
            _ => None,
        }
    }

    /// Its entry in the route table.
    fn entry(self) -> (&'static str, &'static str) {
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

/// A reply, and the number of its call in the route table.
type Answer = (Option<usize>, Response<BoxBody>);

impl<A> Inner<A>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    async fn serve(&self, request: Request) -> Response<Held> {
        let began = Instant::now();
        let state = &self.state;
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        if let Some(connection) = request.conn_data::<Connection>() {
            connection.is_used();
        }
        let turn = watch.clone().map(Watch::ask);
        let under_way = state.flow.begin();
        let method = request.method().clone();
        let (number, response) = match may_come(state, &request) {
            Ok(()) => self.answer(request, watch.clone()).await,
            Err(refused) => (None, refused.error_response().into()),
        };
        let took = began.elapsed();
        let code = response.extensions().get::<ErrorCode>().copied();
        let status = response.status();
        state.traffic.count(number, status, code, took);
        log(state, &method, number, status, took, watch.as_deref());
        let asked = method == Method::GET;
        let mut held = Held::around(response, asked, &state.flow, under_way, turn);
        never_stored(held.headers_mut());
        held
    }

    async fn answer(&self, request: Request, watch: Option<Rc<Watch>>) -> Answer {
        let Some(call) = Frequent::of(&request) else {
            return self.find(request).await;
        };
        let answered = self.at_once(call, request, watch).await;
        let response = answered.unwrap_or_else(|error| error.error_response());
        (self.numbers[call as usize], response.into())
    }

    async fn at_once(
        &self,
        call: Frequent,
        request: Request,
        watch: Option<Rc<Watch>>,
    ) -> Result<HttpResponse, ApiError> {
        let state = self.state.clone();
        let (head, payload) = request.into_parts();
        let caller = Caller::of(&head.headers, head.peer_addr, watch.clone())?;
        if call == Frequent::Poll {
            let id = polled(head.uri.path()).unwrap_or_default();
            let query = head.uri.query().unwrap_or_default();
            return poll::poll(state, caller, id, query).await;
        }
        let body = Body::of(&head, payload, watch, &state).await?;
        match call {
            Frequent::Heartbeat => agents::heartbeat(state, caller, body).await,
            _ => messages::delegate(state, caller, body).await,
        }
    }

    /// Has the route table find the call.
    async fn find(&self, request: Request) -> Answer {
        match self.app.call(request).await {
            Ok(response) => {
                let (request, response) = response.into_parts();
                let here = request.app_data::<OnPath>();
                let number = here.and_then(|here| here.call(request.method()));
                (number, response.into())
            }
            Err(error) => (None, error.error_response().into()),
        }
    }
}

/// Nothing of it is kept on the way, unless the call says so.
fn never_stored(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Method, route pattern, status, duration, agent. Never a path, query, header or body: they may
/// hold a token, and they hold other people's text.
fn log(
    state: &Shared,
    method: &Method,
    number: Option<usize>,
    status: StatusCode,
    took: Duration,
    watch: Option<&Watch>,
) {
    let went_well = !status.is_client_error() && !status.is_server_error();
    if went_well && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let route = state.traffic.pattern(number);
    let method = method.as_str();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let agent = watch.and_then(Watch::noted);
    let agent = agent.as_ref().map_or("-", |agent| agent.as_str());
    let status = status.as_u16();
    match status {
        500.. => warn!(method, route, status, micros, agent, "failed"),
        400.. => info!(method, route, status, micros, agent, "refused"),
        _ => debug!(method, route, status, micros, agent, "served"),
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
