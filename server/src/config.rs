//! What a relay is told at its start: its arguments, its defaults and bounds, and what can go wrong
//! before it listens.

mod arguments;
mod startup;
mod validation;

pub use arguments::{Args, GROUPS};
pub use startup::StartupError;

use crate::core::dead_letters::LetterLimits;
use crate::core::inbox;
use crate::core::json::PARSER_DEPTH;
use crate::core::knowledge::LogLimits;
use crate::core::ledger::LedgerLimits;
use crate::core::merge::MergeLimits;
use crate::core::reservation::LeaseLimits;
use crate::core::shelf::ShelfLimits;
use crate::tls::Certificate;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The bounds of requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Bytes of a file, decoded.
    pub file: usize,
    /// Levels of JSON in a call or a frame, where that is fewer than its parser takes anyway.
    pub depth: Option<usize>,
}

/// The bounds of connections and of what comes and goes on them.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Connections at one time.
    pub connections: usize,
    /// Idleness between two requests of a connection.
    pub keep_alive: Duration,
    /// A TLS handshake.
    pub handshake: Duration,
    /// The head of a request.
    pub head: Duration,
    /// Silence within a body, or within a socket's message.
    pub body_gap: Duration,
    /// A whole body or socket's message; also the taking of a reply.
    pub body_total: Duration,
    /// Bytes of all bodies, replies and messages on their way.
    pub in_flight: usize,
    /// Requests of a peer that is not of this machine.
    pub requests_per_second: u32,
    /// Requests a second in the name of one agent from other machines; twice as many at once.
    pub agent_requests_per_second: u32,
    /// Of one peer.
    pub wrong_tokens_per_minute: u32,
    /// Peers, and agents, that are told apart by how often they ask.
    pub peers: usize,
    /// Whole frames of a socket that may wait to be worked off before more are read. One read may
    /// bring more.
    pub frames_ahead: u64,
    /// Requests under way after the order to end. Whole seconds.
    pub shutdown: Duration,
}

/// A relay's configuration, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub host: IpAddr,
    /// 0 takes a free one.
    pub port: u16,
    /// Asked of every call.
    pub token: Option<String>,
    /// Whether nobody speaks for an agent without its secret.
    pub strict_identity: bool,
    /// What makes the relay speak TLS, if it does.
    pub tls: Option<Arc<Certificate>>,
    /// Whether to announce the relay.
    pub mdns: bool,
    /// Time to live of an agent that asks for none.
    pub stale_after: Duration,
    /// Silence after which an agent is removed.
    pub reap_after: Duration,
    /// Names of the relay beside its addresses.
    pub allow_host: Vec<String>,
    /// Origins whose pages may ask.
    pub allow_origin: Vec<String>,
    /// Bounds of requests.
    pub limits: Limits,
    /// Bounds of one inbox.
    pub inbox: inbox::Limits,
    /// Bytes of all inboxes together.
    pub inboxes_bytes: usize,
    /// Bytes of idempotency keys and their replies.
    pub idempotency_bytes: usize,
    /// Pings of a socket that is idle.
    pub ping_every: Duration,
    /// Bounds of the tasks.
    pub tasks: LedgerLimits,
    /// Bounds of the dead letters.
    pub dead_letters: LetterLimits,
    /// Steps kept of a task's history.
    pub task_steps: usize,
    /// Agents compared for one delegation to a capability.
    pub candidates: usize,
    /// Bounds of the files.
    pub shelf: ShelfLimits,
    /// Bounds of merges.
    pub merges: MergeLimits,
    /// Bounds of the log of broadcasts.
    pub log: LogLimits,
    /// Agents at most.
    pub agents_limit: usize,
    /// Bounds of the reservations.
    pub reservations: LeaseLimits,
    /// Polls of one agent that may wait at the same time.
    pub polls_limit: usize,
    /// Bounds of connections.
    pub flow: FlowLimits,
    /// `TCP_USER_TIMEOUT` of each connection.
    pub dead_peer_after: Duration,
}

impl Config {
    /// What the relay's URLs begin with.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The bounds that have a flag: its name, and what it says. Times are in seconds.
    pub fn bounds(&self) -> Vec<(&'static str, u64)> {
        let flow = &self.flow;
        let seconds = |time: Duration| time.as_secs() as usize;
        let bounds = [
            ("body-limit", self.limits.body),
            ("json-depth", self.limits.depth.unwrap_or(PARSER_DEPTH)),
            ("file-limit", self.limits.file),
            ("files-limit", self.shelf.total),
            ("file-versions", self.shelf.earlier),
            ("merges-limit", self.merges.at_once),
            ("merge-deadline", seconds(self.merges.time)),
            ("merge-tries", self.merges.tries),
            ("merge-bytes", self.merges.bytes),
            ("merge-lines", self.merges.lines),
            ("inbox-limit", self.inbox.places),
            ("inbox-bytes", self.inbox.bytes),
            ("inboxes-bytes", self.inboxes_bytes),
            ("dead-letters-limit", self.dead_letters.count),
            ("dead-letters-bytes", self.dead_letters.bytes),
            ("idempotency-bytes", self.idempotency_bytes),
            ("tasks-limit", self.tasks.count),
            ("tasks-bytes", self.tasks.bytes),
            ("task-steps", self.task_steps),
            ("candidates-limit", self.candidates),
            ("agents-limit", self.agents_limit),
            ("broadcasts-limit", self.log.count),
            ("broadcasts-bytes", self.log.bytes),
            ("reservations-limit", self.reservations.each),
            ("reservations-total", self.reservations.all),
            ("polls-limit", self.polls_limit),
            ("connections-limit", flow.connections),
            ("in-flight-bytes", flow.in_flight),
            ("requests-per-second", flow.requests_per_second as usize),
            (
                "agent-requests-per-second",
                flow.agent_requests_per_second as usize,
            ),
            (
                "wrong-tokens-per-minute",
                flow.wrong_tokens_per_minute as usize,
            ),
            ("peers-limit", flow.peers),
            ("frames-ahead", flow.frames_ahead as usize),
            ("keep-alive", seconds(flow.keep_alive)),
            ("handshake-deadline", seconds(flow.handshake)),
            ("head-deadline", seconds(flow.head)),
            ("body-gap", seconds(flow.body_gap)),
            ("body-deadline", seconds(flow.body_total)),
            ("shutdown-deadline", seconds(flow.shutdown)),
        ];
        bounds.map(|(flag, value)| (flag, value as u64)).into()
    }
}

/// An address and a port as they stand in a URL.
pub fn authority(host: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(host, port).to_string()
}
