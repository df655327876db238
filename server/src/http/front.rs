//! Goes around every call of the route table: who may ask, the connection's turn, what is counted, and
//! one line in the log for how it went.

use super::Shared;
use super::guard::may_come;
use super::head::Head;
use super::link::{Turn, Watch};
use super::traffic::OnPath;
use super::turns::Held;
use actix_http::{Request, Response};
use actix_service::{Service, Transform};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, ResponseError};
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
    app: A,
    /// Once for each worker, so that its requests do not count on what others count on too.
    state: Rc<Shared>,
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
        let state = Rc::new(self.0.clone());
        ready(Ok(Fronted { app, state }))
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
        self.app.poll_ready(context)
    }

    fn call(&self, request: Request) -> Self::Future {
        let state = self.state.clone();
        let taken = Taken::of(&request);
        if let Err(refused) = may_come(&state, &Head::of(&request)) {
            let reply = taken.reply(&state, None, refused.error_response().into());
            return Box::pin(ready(Ok(reply)));
        }
        let answer = self.app.call(request);
        Box::pin(async move {
            let (number, response) = match answer.await {
                Ok(response) => {
                    let (request, response) = response.into_parts();
                    let here = request.app_data::<OnPath>();
                    let number = here.and_then(|here| here.call(request.method()));
                    (number, response.into())
                }
                Err(error) => (None, error.error_response().into()),
            };
            Ok(taken.reply(&state, number, response))
        })
    }
}

/// What goes with a request until its reply has gone.
struct Taken {
    began: Instant,
    method: Method,
    watch: Option<Rc<Watch>>,
    turn: Option<Turn>,
}

impl Taken {
    fn of(request: &Request) -> Taken {
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        Taken {
            began: Instant::now(),
            method: request.method().clone(),
            turn: watch.clone().map(Watch::ask),
            watch,
        }
    }

    fn reply(
        self,
        state: &Shared,
        number: Option<usize>,
        response: Response<BoxBody>,
    ) -> Response<Held> {
        Told {
            method: self.method.as_str(),
            number,
            status: response.status(),
            code: response.extensions().get::<ErrorCode>().copied(),
            took: self.began.elapsed(),
            watch: self.watch.as_deref(),
        }
        .tell(state);
        let asked = self.method == Method::GET;
        let mut held = Held::around(response, asked, &state.flow, self.turn);
        never_stored(held.headers_mut());
        held
    }
}

/// Nothing of it is kept on the way, unless the call says so.
fn never_stored(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// How a request went.
pub struct Told<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its call in the route table.
    pub number: Option<usize>,
    /// The status of its reply.
    pub status: StatusCode,
    /// Why it was refused.
    pub code: Option<ErrorCode>,
    /// From the head of the request to the head of the reply.
    pub took: Duration,
    /// Knows the agent that it was about.
    pub watch: Option<&'a Watch>,
}

impl Told<'_> {
    /// Counts it, and writes it into the log.
    pub fn tell(self, state: &Shared) {
        state
            .traffic
            .count(self.number, self.status, self.code, self.took);
        let went_well = !self.status.is_client_error() && !self.status.is_server_error();
        if !went_well || tracing::enabled!(tracing::Level::DEBUG) {
            self.log(state);
        }
    }

    /// Method, route pattern, status, duration, agent. Never a path, query, header or body: they may
    /// hold a token, and they hold other people's text.
    #[cold]
    fn log(self, state: &Shared) {
        let route = state.traffic.pattern(self.number);
        let method = self.method;
        let micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        let agent = self.watch.and_then(Watch::noted);
        let agent = agent.as_ref().map_or("-", |agent| agent.as_str());
        let status = self.status.as_u16();
        match status {
            500.. => warn!(method, route, status, micros, agent, "failed"),
            400.. => info!(method, route, status, micros, agent, "refused"),
            _ => debug!(method, route, status, micros, agent, "served"),
        }
    }
}
