//! HTTP and WebSocket: parse, ask one handle, reply.

pub mod agents;
pub mod body;
pub mod browser;
pub mod caller;
pub mod conditions;
pub mod dead_letters;
pub mod delivery;
pub mod error;
pub mod files;
pub mod frame;
pub mod guard;
pub mod knowledge;
pub mod messages;
pub mod once;
pub mod page;
pub mod poll;
pub mod reservations;
pub mod tasks;
pub mod watch;
pub mod ws;

use crate::actors::relay::Relay;
use crate::config::Limits;
use actix_web::guard::{Any, Get, Head};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
use error::ApiError;
use guard::Gate;
use std::time::Duration;

/// What every handler reads.
pub struct State {
    /// The actors.
    pub relay: Relay,
    /// Who may ask.
    pub gate: Gate,
    /// The bounds of requests.
    pub limits: Limits,
    /// Between two pings of a socket.
    pub ping_every: Duration,
}

/// [`State`] as a handler takes it.
pub type Shared = web::Data<State>;

/// The one route table. The name of a call is its key in the `endpoints` of `GET /`; calls that
/// the original has not are not listed there.
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

/// Puts the calls on their paths.
pub fn routes(config: &mut web::ServiceConfig) {
    let (get, post) = (web::get, web::post);
    config
        .service(on("/", [read().to(watch::info)]))
        .service(on("/health", [read().to(watch::health)]))
        .service(on("/register", [post().to(agents::register)]))
        .service(on("/deregister", [post().to(agents::deregister)]))
        .service(on("/subscribe", [post().to(agents::subscribe)]))
        .service(on("/discover", [read().to(agents::discover)]))
        .service(on("/heartbeat", [post().to(agents::heartbeat)]))
        .service(on("/delegate", [post().to(messages::delegate)]))
        .service(on("/respond", [post().to(messages::respond)]))
        .service(on("/broadcast", [post().to(messages::broadcast)]))
        .service(on("/broadcasts", [read().to(knowledge::list)]))
        .service(on("/poll/{agent_id}", [get().to(poll::poll)]))
        .service(on("/ack", [post().to(poll::ack)]))
        .service(on("/tasks", [read().to(tasks::list)]))
        .service(on("/tasks/{message_id}", [read().to(tasks::one)]))
        .service(on("/tasks/{message_id}/cancel", [post().to(tasks::cancel)]))
        .service(on("/tasks/{message_id}/input", [post().to(tasks::input)]))
        .service(on("/dead-letters", [read().to(dead_letters::list)]))
        .service(on(
            "/dead-letters/redeliver",
            [post().to(dead_letters::redeliver)],
        ))
        .service(on(
            "/files",
            [read().to(files::list), post().to(files::put)],
        ))
        .service(on(
            "/files/{file_key:.*}",
            [read().to(files::get), web::delete().to(files::delete)],
        ))
        .service(on(
            "/reservations",
            [
                read().to(reservations::list),
                post().to(reservations::reserve),
            ],
        ))
        .service(on(
            "/reservations/{id}",
            [web::delete().to(reservations::release)],
        ))
        .service(on("/ws/{agent_id}", [get().to(ws::upgrade)]))
        .default_service(web::to(no_such_path));
}

/// What may be asked for with `HEAD` as well: it takes nothing away.
fn read() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// A path and its methods; another method is told so.
fn on<const N: usize>(path: &str, methods: [Route; N]) -> Resource {
    let resource = web::resource(path).default_service(web::to(no_such_method));
    methods.into_iter().fold(resource, Resource::route)
}

async fn no_such_path(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::no_such_path(request.path()))
}

async fn no_such_method(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::no_such_method(
        request.method().as_str(),
        request.path(),
    ))
}
