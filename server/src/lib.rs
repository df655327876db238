//! The ClawLink relay.
//!
//! `main` makes a [`config::Config`] of the arguments and runs a [`Server`]. Below it
//! [`http`] parses and replies, [`actors`] own what there is, and [`mod@core`] holds the rules, free
//! of actors, clocks and I/O. Arrows point down only.

pub mod actors;
pub mod config;
pub mod core;
pub mod http;
pub mod machine;
pub mod mdns;
pub mod tls;

use crate::core::budget::Budget;
use crate::core::ids::Ids;
use crate::core::metrics::Metrics;
use actix_service::apply;
use actix_web::dev::ServerHandle;
use actix_web::{App, web};
use actors::agent::door::Common;
use actors::arbiters::Arbiters;
use actors::board::Board;
use actors::clock::Clock;
use actors::dead_letters::DeadLetterOffice;
use actors::directory::Directory;
use actors::herald::Herald;
use actors::library::Library;
use actors::lifeline::Lifeline;
use actors::merging::Merges;
use actors::registry::{Registry, Settings};
use actors::relay::Relay;
use actors::replays::Replays;
use actors::reservations::ReservationsHandle;
use actors::routing::Router;
use config::{Config, StartupError};
use http::browser::Allowed;
use http::flow::Flow;
use http::front::Front;
use http::guard::Gate;
use http::process::Process;
use http::traffic::Traffic;
use http::{Shared, State, listener};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tls::Certificate;
use tracing::{info, warn};

/// The relay, ready to listen.
pub struct Server {
    config: Config,
    machine: String,
    state: Shared,
    arbiters: Arc<Arbiters>,
    lifeline: Lifeline,
}

/// Why a relay has ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// A hub actor is gone: the process must be started again.
    HubGone(&'static str),
    /// The HTTP server has ended by itself.
    ServerFailed(String),
}

impl End {
    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            End::Asked => 0,
            End::HubGone(_) | End::ServerFailed(_) => 70,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Asked => f.write_str("ended"),
            End::HubGone(hub) => write!(f, "{hub} has stopped; the relay cannot go on"),
            End::ServerFailed(why) => write!(f, "the HTTP server has stopped: {why}"),
        }
    }
}

impl Server {
    /// Starts the actors. Needs a running actix system.
    pub fn new(mut config: Config) -> Result<Server, StartupError> {
        let connections = machine::connections();
        let asked = &mut config.flow.connections;
        if *asked > connections {
            warn!(
                asked,
                connections,
                "too few files may be open for --connections-limit; raise ulimit -n or LimitNOFILE"
            );
            *asked = connections;
        }
        let machine = gethostname::gethostname().to_string_lossy().into_owned();
        let lifeline = Lifeline::default();
        let arbiters = Arc::new(Arbiters::default());
        let relay = start_actors(&config, &arbiters, &lifeline)?;
        let (hosts, origins) = (config.allow_host.clone(), config.allow_origin.clone());
        let gate = Gate {
            allowed: Allowed::new(&machine, hosts, origins),
            token: config.token.clone(),
        };
        let flow = Flow::new(config.flow, relay.clock.clone());
        let limits = config.limits;
        let state = web::Data::new(State {
            relay,
            gate,
            flow,
            limits,
            tls: config.tls.is_some(),
            ping_every: config.ping_every,
            traffic: Traffic::new(&http::calls()),
            process: Process::started(),
            bounds: config.bounds(),
        });
        Ok(Server {
            config,
            machine,
            state,
            arbiters,
            lifeline,
        })
    }

    /// Binds the port and serves until [`Running::shutdown`].
    pub fn listen(self) -> Result<Running, StartupError> {
        let Server {
            config,
            machine,
            state,
            arbiters,
            lifeline,
        } = self;
        let (host, port) = (config.host, config.port);
        let failed = |error| {
            let owner = machine::listener(SocketAddr::new(host, port));
            StartupError::Bind(host, port, error, owner)
        };
        let listener = listener::bind(SocketAddr::new(host, port)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = state.clone();
        let tls = config.tls.clone().map(Certificate::settings).transpose();
        let tls = tls.map_err(StartupError::BadCertificate)?;
        let app = move || {
            arbiters.join(actix::Arbiter::current());
            let app = App::new().app_data(shared.clone());
            apply(Front(shared.clone()), app.configure(http::routes))
        };
        let connections = listener::Connections {
            state: state.clone(),
            tls: tls.map(|settings| Arc::new(settings).into()),
            dead_peer_after: config.dead_peer_after,
        };
        let server = listener::serve(listener, connections, app).map_err(failed)?;
        let handle = server.handle();
        let announcement = config
            .mdns
            .then(|| {
                mdns::Announcement::start(mdns::Facts {
                    host,
                    port: address.port(),
                    machine: &machine,
                    auth: config.token.is_some(),
                    tls: config.tls.is_some(),
                })
            })
            .flatten();
        let server = actix_web::rt::spawn(server);
        Ok(Running {
            address,
            machine,
            handle,
            server,
            announcement,
            state,
            lifeline,
        })
    }
}

/// Starts the hubs, each with what it works with.
fn start_actors(
    config: &Config,
    arbiters: &Arc<Arbiters>,
    lifeline: &Lifeline,
) -> Result<Relay, StartupError> {
    let mut random = [0u64; 3];
    for word in &mut random {
        *word = getrandom::u64()
            .map_err(|error| StartupError::System(std::io::Error::other(error.to_string())))?;
    }
    let ids = Arc::new(Ids::new([random[0], random[1]]));
    let epoch = Ids::new([random[2], random[0]]).next();
    let clock = Clock::start();
    actix_web::rt::spawn(clock.clone().tick());
    let metrics = Metrics::new();
    let online = Arc::new(AtomicUsize::new(0));
    let directory = Arc::new(Directory::default());
    let herald = Herald::start(
        directory.clone(),
        clock.clone(),
        config.log,
        lifeline.clone(),
        metrics.clone(),
    );
    let board = Board::new(
        config.tasks,
        config.task_steps,
        clock.clone(),
        metrics.clone(),
    );
    let dead_letters = DeadLetterOffice::start(
        config.dead_letters,
        directory.clone(),
        board.clone(),
        clock.clone(),
        lifeline.clone(),
        metrics.clone(),
    );
    let library = Library::start(
        config.shelf,
        herald.clone(),
        lifeline.clone(),
        metrics.clone(),
    );
    let replays = Replays::new(config.idempotency_bytes, clock.clone());
    let reservations = ReservationsHandle::new(
        config.reservations,
        directory.clone(),
        clock.clone(),
        ids.clone(),
    );
    let router = Router::new(
        config.candidates,
        directory.clone(),
        board.clone(),
        metrics.clone(),
    );
    let budget = Budget::new(config.inboxes_bytes);
    let common = Common {
        clock: clock.clone(),
        inbox: config.inbox,
        polls_limit: config.polls_limit,
        budget: budget.clone(),
        reap_after: config.reap_after,
        online: online.clone(),
        lifeline: lifeline.clone(),
        herald: herald.clone(),
        dead_letters: dead_letters.clone(),
        board: board.clone(),
        router: router.clone(),
        reservations: reservations.clone(),
        metrics: metrics.clone(),
    };
    let settings = Settings {
        common: Arc::new(common),
        stale_after: config.stale_after,
        agents_limit: config.agents_limit,
    };
    let registry = Registry::start(settings, directory.clone(), arbiters.clone(), ids.clone());
    Ok(Relay {
        clock,
        epoch,
        directory,
        registry,
        herald,
        library,
        merges: Merges::new(config.merges),
        dead_letters,
        board,
        router,
        reservations,
        replays,
        lifeline: lifeline.clone(),
        ids,
        online,
        budget,
        metrics,
        strict: config.strict_identity,
    })
}

/// A relay that listens.
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    /// This machine's name.
    pub machine: String,
    handle: ServerHandle,
    server: actix_web::rt::task::JoinHandle<std::io::Result<()>>,
    announcement: Option<mdns::Announcement>,
    state: Shared,
    lifeline: Lifeline,
}

impl Running {
    /// Waits until `ask` is done, or until the relay cannot go on; then ends it: no new
    /// connections, sockets closed with 1001, requests under way answered.
    pub async fn until(mut self, ask: impl Future<Output = ()>) -> End {
        let end = tokio::select! {
            () = ask => End::Asked,
            hub = self.lifeline.cut() => End::HubGone(hub),
            ended = &mut self.server => End::ServerFailed(match ended {
                Ok(Ok(())) => "it was stopped".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            }),
        };
        info!("ending");
        self.lifeline.end();
        // Nobody should still find a relay that takes no more connections.
        if let Some(announcement) = self.announcement {
            announcement.stop();
        }
        self.state.relay.herald.dismiss_all().await;
        self.handle.stop(end == End::Asked).await;
        end
    }
}
