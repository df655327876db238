//! Goes around every call: who may ask, the connection's turn, what is counted, and one line in the
//! log for how it went. The calls that agents make all the time are not looked for in the route table.

use super::Shared;
use super::error::ApiError;
use super::frequent::{self, Frequent};
use super::guard::may_come;
use super::link::{Turn, Watch};
use super::traffic::{Connection, OnPath};
use super::turns::Held;
use actix_http::{Request, Response};
use actix_service::{Service, Transform};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse, ResponseError};
use clawlink_protocol::error::ErrorCode;
use futures_util::future::{Either, LocalBoxFuture};
use std::future::{Ready, ready};
use std::mem;
use std::pin::Pin;
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
    /// Once for each worker, so that its requests do not count on what others count on too.
    state: Rc<Shared>,
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
            state: Rc::new(state),
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
    type Future = Answering;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.app.poll_ready(context)
    }

    fn call(&self, request: Request) -> Answering {
        let state = &self.inner.state;
        let taken = Taken::of(&request);
        let step = match may_come(state, &request) {
            Ok(()) => self.begin(request, &taken),
            Err(refused) => Step::Done((None, refused.error_response().into())),
        };
        Answering {
            state: state.clone(),
            taken: Some(taken),
            step,
        }
    }
}

impl<A> Fronted<A>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> + 'static,
    A::Future: 'static,
{
    fn begin(&self, request: Request, taken: &Taken) -> Step {
        let Some(call) = Frequent::of(&request) else {
            let inner = self.inner.clone();
            return Step::Work(Box::pin(async move { inner.find(request).await }));
        };
        let number = self.inner.numbers[call as usize];
        if call != Frequent::Poll {
            return Step::Body(number, call, request);
        }
        let (state, watch) = (Shared::clone(&self.inner.state), taken.watch.clone());
        Step::of(number, frequent::poll(state, request, watch))
    }
}

impl<A> Inner<A>
where
    A: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
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

/// A reply, and the number of its call in the route table.
type Answer = (Option<usize>, Response<BoxBody>);

fn answer(number: Option<usize>, outcome: Result<HttpResponse, ApiError>) -> Answer {
    let response = outcome.unwrap_or_else(|error| error.error_response());
    (number, response.into())
}

/// A request on its way to its reply.
///
/// The layer below keeps it in the connection, so that it is small; what has to wait for something
/// has a box of its own.
pub struct Answering {
    state: Rc<Shared>,
    taken: Option<Taken>,
    step: Step,
}

enum Step {
    /// Its body has not been looked for.
    Body(Option<usize>, Frequent, Request),
    /// The same, and the layer below has come around once.
    Again(Option<usize>, Frequent, Request),
    Work(LocalBoxFuture<'static, Answer>),
    Done(Answer),
    Over,
}

impl Step {
    fn of(
        number: Option<usize>,
        work: impl Future<Output = Result<HttpResponse, ApiError>> + 'static,
    ) -> Step {
        Step::Work(Box::pin(async move { answer(number, work.await) }))
    }
}

impl Future for Answering {
    type Output = Result<Response<Held>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let watch = this.taken.as_ref().and_then(|taken| taken.watch.as_ref());
            match mem::replace(&mut this.step, Step::Over) {
                // One that waited behind others has its body with it. Else the layer below hands a
                // request on as soon as its head is there, and comes around in the same pass, with what
                // has come of its body.
                Step::Body(number, call, mut request) => {
                    let here = frequent::has_body(&mut request);
                    this.step = Step::Again(number, call, request);
                    if here {
                        continue;
                    }
                    match watch {
                        Some(watch) => watch.comes_around(),
                        None => context.waker().wake_by_ref(),
                    }
                    return Poll::Pending;
                }
                Step::Again(number, call, request) => {
                    if let Some(watch) = watch {
                        watch.came_around();
                    }
                    let done = frequent::at_once(call, &this.state, request, watch, context);
                    this.step = match done {
                        Ok(response) => Step::Done(answer(number, Ok(response))),
                        Err(Either::Left(error)) => Step::Done(answer(number, Err(error))),
                        Err(Either::Right(work)) => Step::of(number, work),
                    };
                }
                Step::Work(mut work) => match work.as_mut().poll(context) {
                    Poll::Ready(answer) => this.step = Step::Done(answer),
                    Poll::Pending => {
                        this.step = Step::Work(work);
                        return Poll::Pending;
                    }
                },
                Step::Done(answer) => {
                    let taken = this.taken.take();
                    let reply = taken.map(|taken| taken.reply(&this.state, answer));
                    return reply.map_or(Poll::Pending, |reply| Poll::Ready(Ok(reply)));
                }
                // Asked again after its end.
                Step::Over => return Poll::Pending,
            }
        }
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
        if let Some(connection) = request.conn_data::<Connection>() {
            connection.is_used();
        }
        Taken {
            began: Instant::now(),
            method: request.method().clone(),
            turn: watch.clone().map(Watch::ask),
            watch,
        }
    }

    fn reply(self, state: &Shared, (number, response): Answer) -> Response<Held> {
        let took = self.began.elapsed();
        let code = response.extensions().get::<ErrorCode>().copied();
        let status = response.status();
        state.traffic.count(number, status, code, took);
        log(
            state,
            &self.method,
            number,
            status,
            took,
            self.watch.as_deref(),
        );
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
