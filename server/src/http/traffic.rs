//! How requests went: how many of each call, how they ended, and how long they took. To count one
//! is three additions; nothing is locked, allocated or looked up by a path.

use super::link::Watch;
use super::{Call, Shared};
use crate::core::metrics::{Counter, Gauge, Histogram};
use crate::core::spread::Spread;
use actix_web::http::{Method, StatusCode};
use clawlink_protocol::error::ErrorCode;
use std::rc::Rc;
use std::time::Duration;

/// The bounds of the durations, in microseconds.
pub const DURATIONS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];
/// How a reply may end.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// How a call is shown that is not in the route table.
const NO_CALL: &str = "-";

/// The numbers of the calls of one path, by their methods. Its resource carries it, so that a
/// finished request tells which call it was.
#[derive(Debug, Default)]
pub struct OnPath {
    /// The methods, as the header `Allow` tells them.
    pub allow: String,
    get: Option<usize>,
    post: Option<usize>,
    delete: Option<usize>,
}

impl OnPath {
    /// A call of this path.
    pub fn put(&mut self, call: &Call, number: usize) {
        if !self.allow.is_empty() {
            self.allow.push_str(", ");
        }
        self.allow.push_str(call.allow);
        match call.method {
            "POST" => self.post = Some(number),
            "DELETE" => self.delete = Some(number),
            _ => self.get = Some(number),
        }
    }

    /// The call of this path that a method means.
    pub fn call(&self, method: &Method) -> Option<usize> {
        match *method {
            Method::GET | Method::HEAD => self.get,
            Method::POST => self.post,
            Method::DELETE => self.delete,
            _ => None,
        }
    }
}

/// How one call went. On cache lines of its own, so that two workers at two calls do not meet.
#[derive(Debug)]
#[repr(align(64))]
pub struct Route {
    /// Its method.
    pub method: &'static str,
    /// Its path, with the names of what stands in it.
    pub pattern: String,
    /// Replies, by [`CLASSES`].
    pub replies: [Counter; 5],
    /// From the head of a request to the head of its reply, in microseconds.
    pub took: Histogram<14>,
}

impl Route {
    fn new(method: &'static str, pattern: String) -> Self {
        Route {
            method,
            pattern,
            replies: Default::default(),
            took: Histogram::new(&DURATIONS),
        }
    }

    fn add(&self, other: &Route) {
        for (sum, more) in self.replies.iter().zip(&other.replies) {
            sum.add(more.get());
        }
        self.took.add(&other.took);
    }
}

/// An open connection, as it is counted.
pub struct Connection {
    state: Rc<Shared>,
    watch: Rc<Watch>,
}

impl Connection {
    /// It has opened.
    pub fn opened(state: Rc<Shared>, watch: Rc<Watch>) -> Self {
        state.traffic.connections.add(1);
        Connection { state, watch }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let traffic = &self.state.traffic;
        traffic.connections.sub(1);
        traffic.unused.add(u64::from(self.watch.is_new()));
    }
}

/// All of it.
#[derive(Debug)]
pub struct Traffic {
    routes: Spread<Box<[Route]>>,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that ended without a request.
    pub unused: Counter,
    refusals: [Counter; ErrorCode::ALL.len()],
}

impl Traffic {
    /// Nothing yet.
    pub fn new(calls: &[Call]) -> Self {
        let routes = || {
            let routes = calls
                .iter()
                .map(|call| Route::new(call.method, call.pattern()));
            let routes = routes.chain([Route::new(NO_CALL, NO_CALL.to_owned())]);
            routes.collect()
        };
        Traffic {
            routes: Spread::new(routes),
            connections: Gauge::default(),
            unused: Counter::default(),
            refusals: Default::default(),
        }
    }

    /// The number of a call of the route table.
    pub fn number(&self, method: &str, pattern: &str) -> Option<usize> {
        let is = |route: &Route| route.method == method && route.pattern == pattern;
        self.routes.here().iter().position(is)
    }

    fn route(&self, number: Option<usize>) -> &Route {
        let routes = self.routes.here();
        &routes[number.unwrap_or(routes.len() - 1)]
    }

    /// How each call went so far, by the numbers of the route table; the last is for what is no call.
    pub fn routes(&self) -> Vec<Route> {
        let mut copies = self.routes.all();
        let first = copies.next().into_iter().flatten();
        let empty = |route: &Route| Route::new(route.method, route.pattern.clone());
        let sums: Vec<_> = first.map(empty).collect();
        for copy in self.routes.all() {
            sums.iter()
                .zip(copy)
                .for_each(|(sum, route)| sum.add(route));
        }
        sums
    }

    /// The pattern of a call's path.
    pub fn pattern(&self, number: Option<usize>) -> &str {
        &self.route(number).pattern
    }

    /// A request has its reply.
    pub fn count(
        &self,
        number: Option<usize>,
        status: StatusCode,
        code: Option<ErrorCode>,
        took: Duration,
    ) {
        let route = self.route(number);
        let class = usize::from(status.as_u16() / 100);
        if let Some(replies) = class.checked_sub(1).and_then(|n| route.replies.get(n)) {
            replies.inc();
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        route.took.observe(micros);
        if status.is_client_error() || status.is_server_error() {
            self.refused(code.unwrap_or(ErrorCode::Other));
        }
    }

    /// A request or a frame was refused with this code.
    pub fn refused(&self, code: ErrorCode) {
        let place = ErrorCode::ALL.iter().position(|other| *other == code);
        if let Some(counter) = place.and_then(|place| self.refusals.get(place)) {
            counter.inc();
        }
    }

    /// How often each code was the answer.
    pub fn refusals(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        let counts = self.refusals.iter().map(Counter::get);
        ErrorCode::ALL.into_iter().zip(counts)
    }
}
