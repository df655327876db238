//! HTTP and WebSocket: parse, ask one handle, reply.

pub mod agents;
pub mod alarm;
pub mod body;
pub mod browser;
pub mod caller;
pub mod came;
pub mod conditions;
pub mod connection;
pub mod dead_letters;
pub mod delivery;
pub mod desk;
pub mod error;
pub mod exposition;
pub mod feed;
pub mod files;
pub mod flow;
pub mod frame;
pub mod frequent;
pub mod front;
pub mod guard;
pub mod head;
pub mod incoming;
pub mod knowledge;
pub mod line;
pub mod link;
pub mod listener;
pub mod messages;
pub mod metrics;
pub mod once;
pub mod openapi;
pub mod outgoing;
pub mod page;
pub mod poll;
pub mod process;
pub mod reply;
pub mod request;
pub mod reservations;
pub mod tasks;
pub mod traffic;
pub mod turns;
pub mod upgrade;
pub mod watch;
pub mod whole;
pub mod wire;
pub mod ws;

use crate::actors::relay::Relay;
use crate::config::Limits;
use actix_web::guard::{Any, Delete, Get, Head, Post};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, Route, web};
use error::ApiError;
use flow::Flow;
use guard::Gate;
use process::Process;
use std::sync::Arc;
use std::time::Duration;
use traffic::{OnPath, Traffic};

/// What every handler reads.
pub struct State {
    /// The actors.
    pub relay: Relay,
    /// Who may ask.
    pub gate: Gate,
    /// What all connections have in common.
    pub flow: Arc<Flow>,
    /// The bounds of requests.
    pub limits: Limits,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Between two pings of a socket.
    pub ping_every: Duration,
    /// How requests went.
    pub traffic: Traffic,
    /// Since when.
    pub process: Process,
    /// The bounds that have a flag: its name and what it says.
    pub bounds: Vec<(&'static str, u64)>,
}

/// [`State`] as a handler takes it.
pub type Shared = web::Data<State>;

/// The `endpoints` of `GET /`: the calls that the original has, by its names for them.
pub const ENDPOINTS: [(&str, &str); 11] = [
    ("register", "POST /register"),
    ("discover", "GET /discover"),
    ("heartbeat", "POST /heartbeat"),
    ("delegate", "POST /delegate"),
    ("broadcast", "POST /broadcast"),
    ("respond", "POST /respond"),
    ("poll", "GET /poll/{agent_id}"),
    ("files_put", "POST /files"),
    ("files_get", "GET /files/{file_key}"),
    ("files_list", "GET /files"),
    ("websocket", "GET /ws/{agent_id}"),
];

/// A call: a method on a path.
pub struct Call {
    /// `GET` also stands for `HEAD`, where that takes nothing away.
    pub method: &'static str,
    /// The methods that it answers.
    allow: &'static str,
    path: &'static str,
    route: Route,
}

impl Call {
    /// Its path, with the names of what stands in it.
    pub fn pattern(&self) -> String {
        self.path.replace(ANYTHING, "}")
    }
}

/// A part of a path that may have slashes.
const ANYTHING: &str = ":.*}";

/// The one route table. The calls of one path stand together.
pub fn calls() -> Vec<Call> {
    vec![
        read("/", web::to(watch::info)),
        read("/health", web::to(watch::health)),
        read("/metrics", web::to(metrics::metrics)),
        read("/openapi.json", web::to(openapi::openapi)),
        post("/register", web::to(agents::register)),
        post("/deregister", web::to(agents::deregister)),
        post("/subscribe", web::to(agents::subscribe)),
        read("/discover", web::to(agents::discover)),
        post("/heartbeat", web::to(agents::heartbeat)),
        post("/delegate", web::to(messages::delegate)),
        post("/respond", web::to(messages::respond)),
        post("/broadcast", web::to(messages::broadcast)),
        read("/broadcasts", web::to(knowledge::list)),
        get("/poll/{agent_id}", web::to(poll::poll)),
        post("/ack", web::to(poll::ack)),
        read("/tasks", web::to(tasks::list)),
        read("/tasks/{message_id}", web::to(tasks::one)),
        post("/tasks/{message_id}/cancel", web::to(tasks::cancel)),
        post("/tasks/{message_id}/input", web::to(tasks::input)),
        read("/dead-letters", web::to(dead_letters::list)),
        post("/dead-letters/redeliver", web::to(dead_letters::redeliver)),
        read("/files", web::to(files::list)),
        post("/files", web::to(files::put)),
        read("/files/{file_key:.*}", web::to(files::get)),
        delete("/files/{file_key:.*}", web::to(files::delete)),
        read("/reservations", web::to(reservations::list)),
        post("/reservations", web::to(reservations::reserve)),
        delete("/reservations/{id}", web::to(reservations::release)),
        get("/ws/{agent_id}", web::to(ws::upgrade)),
    ]
}

/// A call that takes nothing away, and may be asked with `HEAD` as well.
fn read(path: &'static str, route: Route) -> Call {
    Call {
        allow: "GET, HEAD",
        ..call("GET", path, route.guard(Any(Get()).or(Head())))
    }
}

fn get(path: &'static str, route: Route) -> Call {
    call("GET", path, route.guard(Get()))
}

fn post(path: &'static str, route: Route) -> Call {
    call("POST", path, route.guard(Post()))
}

fn delete(path: &'static str, route: Route) -> Call {
    call("DELETE", path, route.guard(Delete()))
}

fn call(method: &'static str, path: &'static str, route: Route) -> Call {
    Call {
        method,
        allow: method,
        path,
        route,
    }
}

/// Puts the calls on their paths. Another method than a path takes is told so.
pub fn routes(config: &mut web::ServiceConfig) {
    #[cfg(test)]
    config.route("/panic", web::to(panics));
    let mut calls = calls().into_iter().enumerate().peekable();
    while let Some((_, Call { path, .. })) = calls.peek() {
        let path = *path;
        let mut here = OnPath::default();
        let mut resource = web::resource(path).default_service(web::to(no_such_method));
        while let Some((number, call)) = calls.next_if(|(_, call)| call.path == path) {
            here.put(&call, number);
            resource = resource.route(call.route);
        }
        config.service(resource.app_data(here));
    }
    config.default_service(web::to(no_such_path));
}

async fn no_such_path(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::no_such_path(request.path()))
}

async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let error = ApiError::no_such_method(request.method().as_str(), request.path());
    let mut response = error.error_response();
    let allow = request.app_data::<OnPath>();
    let allow = allow.and_then(|here| HeaderValue::from_str(&here.allow).ok());
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// A call that a test makes.
#[cfg(test)]
async fn panics() -> HttpResponse {
    panic!("injected by a test")
}
