//! What may stand behind `clawlink-server`.

use argh::FromArgs;
use clawlink_protocol::DEFAULT_PORT;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Where the help begins a group: the first option of it, and its heading.
pub const GROUPS: [(&str, &str); 9] = [
    ("--host", "Where it listens"),
    ("--token", "Who may ask"),
    ("--agents-limit", "Agents"),
    ("--body-limit", "Calls"),
    ("--connections-limit", "Connections"),
    ("--inbox-limit", "Messages"),
    ("--tasks-limit", "Tasks"),
    ("--file-limit", "Files"),
    ("--log", "Log"),
];

/// The ClawLink relay: joins coding agents on one machine or on many. Keeps everything in memory
/// and writes nothing to disk.
#[derive(FromArgs, Debug, Clone)]
#[argh(
    example = "On this machine only:\n  clawlink-server",
    example = "For a network, with a token that agents must send:\n  clawlink-server --host 0.0.0.0 --token-file /etc/clawlink/token",
    example = "Behind a reverse proxy that serves relay.example:\n  clawlink-server --allow-host relay.example"
)]
pub struct Args {
    /// address to listen on (default 127.0.0.1)
    #[argh(option, default = "Ipv4Addr::LOCALHOST.to_string()")]
    pub host: String,
    /// port to listen on; 0 takes a free one (default 9077)
    #[argh(option, default = "DEFAULT_PORT")]
    pub port: u16,
    /// file with the relay's certificate and its chain, PEM; the relay then speaks TLS alone
    #[argh(option)]
    pub tls_cert: Option<PathBuf>,
    /// file with the certificate's private key, PEM; SIGHUP reads both files again
    #[argh(option)]
    pub tls_key: Option<PathBuf>,
    /// do not announce the relay by mDNS
    #[argh(switch)]
    pub no_mdns: bool,
    /// token that every call must send; CLAWLINK_TOKEN does the same unseen by `ps`
    #[argh(option)]
    pub token: Option<String>,
    /// file whose first line is the token
    #[argh(option)]
    pub token_file: Option<PathBuf>,
    /// listen beyond this machine without a token
    #[argh(switch)]
    pub insecure: bool,
    /// let nobody speak for an agent without that agent's secret
    #[argh(switch)]
    pub strict_identity: bool,
    /// a name by which clients call this relay, beside its addresses; may be repeated
    #[argh(option)]
    pub allow_host: Vec<String>,
    /// an origin whose web pages may ask this relay; may be repeated
    #[argh(option)]
    pub allow_origin: Vec<String>,
    /// agents (default 1000000)
    #[argh(option, default = "1_000_000")]
    pub agents_limit: usize,
    /// seconds of silence after which an agent is stale (default 120)
    #[argh(option, default = "120")]
    pub stale_after: u64,
    /// seconds of silence after which an agent is removed (default 86400)
    #[argh(option, default = "86400")]
    pub reap_after: u64,
    /// bytes of a request's body and of a socket's message (default 1048576)
    #[argh(option, default = "1024 * 1024")]
    pub body_limit: usize,
    /// levels of arrays and objects in a call or frame, itself counted; 1 to 128 (default 128)
    #[argh(option, default = "128")]
    pub json_depth: usize,
    /// bytes of all bodies, replies and messages that are on their way (default 268435456)
    #[argh(option, default = "256 * 1024 * 1024")]
    pub in_flight_bytes: usize,
    /// requests and socket frames a second of one address that is not of this machine; twice as
    /// many at once (default 200)
    #[argh(option, default = "200")]
    pub requests_per_second: u32,
    /// requests a second in the name of one agent from other machines; twice as many at once (default 200)
    #[argh(option, default = "200")]
    pub agent_requests_per_second: u32,
    /// wrong tokens a minute from one address (default 30)
    #[argh(option, default = "30")]
    pub wrong_tokens_per_minute: u32,
    /// addresses, and agents, whose rates are told apart (default 65536)
    #[argh(option, default = "65_536")]
    pub peers_limit: usize,
    /// polls of one agent that may wait at the same time (default 8)
    #[argh(option, default = "8")]
    pub polls_limit: usize,
    /// connections at one time (default 20000)
    #[argh(option, default = "20_000")]
    pub connections_limit: usize,
    /// seconds that a connection may be idle between two requests (default 5)
    #[argh(option, default = "5")]
    pub keep_alive: u64,
    /// seconds for a TLS handshake (default 10)
    #[argh(option, default = "10")]
    pub handshake_deadline: u64,
    /// seconds for the head of a request (default 10)
    #[argh(option, default = "10")]
    pub head_deadline: u64,
    /// seconds between two bytes of a body, or of a socket's message (default 10)
    #[argh(option, default = "10")]
    pub body_gap: u64,
    /// seconds for a whole body, a socket's message, and for taking a reply (default 60)
    #[argh(option, default = "60")]
    pub body_deadline: u64,
    /// seconds for requests under way after the order to end (default 8)
    #[argh(option, default = "8")]
    pub shutdown_deadline: u64,
    /// frames of a socket taken in before they are worked off (default 16)
    #[argh(option, default = "16")]
    pub frames_ahead: u64,
    /// seconds between two pings of a socket (default 15)
    #[argh(option, default = "15")]
    pub ping_every: u64,
    /// seconds after which a peer that acknowledges nothing is given up (default 75)
    #[argh(option, default = "75")]
    pub dead_peer_after: u64,
    /// delegations and responses in one inbox; half as many broadcasts (default 1000)
    #[argh(option, default = "1000")]
    pub inbox_limit: usize,
    /// bytes of delegations and responses in one inbox (default 8388608)
    #[argh(option, default = "8 * 1024 * 1024")]
    pub inbox_bytes: usize,
    /// bytes of all inboxes together (default 536870912)
    #[argh(option, default = "512 * 1024 * 1024")]
    pub inboxes_bytes: usize,
    /// dead letters that are kept (default 1000)
    #[argh(option, default = "1_000")]
    pub dead_letters_limit: usize,
    /// bytes of dead letters that are kept (default 16777216)
    #[argh(option, default = "16 * 1024 * 1024")]
    pub dead_letters_bytes: usize,
    /// bytes of idempotency keys and their replies (default 67108864)
    #[argh(option, default = "64 * 1024 * 1024")]
    pub idempotency_bytes: usize,
    /// broadcasts in the log (default 1000)
    #[argh(option, default = "1_000")]
    pub broadcasts_limit: usize,
    /// bytes of broadcasts in the log (default 16777216)
    #[argh(option, default = "16 * 1024 * 1024")]
    pub broadcasts_bytes: usize,
    /// tasks, open and ended (default 100000)
    #[argh(option, default = "100_000")]
    pub tasks_limit: usize,
    /// bytes of tasks and their results (default 134217728)
    #[argh(option, default = "128 * 1024 * 1024")]
    pub tasks_bytes: usize,
    /// steps kept of a task's history (default 100)
    #[argh(option, default = "100")]
    pub task_steps: usize,
    /// agents compared for a task sent to a capability (default 1024)
    #[argh(option, default = "1_024")]
    pub candidates_limit: usize,
    /// bytes of one shared file (default 8388608)
    #[argh(option, default = "8 * 1024 * 1024")]
    pub file_limit: usize,
    /// bytes of all shared files (default 268435456)
    #[argh(option, default = "256 * 1024 * 1024")]
    pub files_limit: usize,
    /// versions kept of a file beside the current one (default 20)
    #[argh(option, default = "20")]
    pub file_versions: usize,
    /// merges that run at a time (default 2)
    #[argh(option, default = "2")]
    pub merges_limit: usize,
    /// seconds for a merge with all its tries (default 2)
    #[argh(option, default = "2")]
    pub merge_deadline: u64,
    /// tries of a merge while others write (default 32)
    #[argh(option, default = "32")]
    pub merge_tries: usize,
    /// bytes of each text of a merge (default 1048576)
    #[argh(option, default = "1024 * 1024")]
    pub merge_bytes: usize,
    /// lines of each text of a merge (default 20000)
    #[argh(option, default = "20_000")]
    pub merge_lines: usize,
    /// reservations of one agent (default 64)
    #[argh(option, default = "64")]
    pub reservations_limit: usize,
    /// reservations of all agents (default 10000)
    #[argh(option, default = "10_000")]
    pub reservations_total: usize,
    /// what is logged: off, error, warn, info, debug or trace (default info)
    #[argh(option, default = "String::from(\"info\")")]
    pub log: String,
    /// text or json (default text)
    #[argh(option, default = "String::from(\"text\")")]
    pub log_format: String,
}
