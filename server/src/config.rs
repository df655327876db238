//! From arguments to a [`Config`]: defaults, validation, and what can go wrong before the relay
//! listens.

use crate::core::dead_letters::LetterLimits;
use crate::core::inbox;
use crate::core::knowledge::LogLimits;
use crate::core::ledger::LedgerLimits;
use crate::core::shelf::ShelfLimits;
use crate::tls::{Certificate, Unusable};
use argh::FromArgs;
use clawlink_protocol::DEFAULT_PORT;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// token that every call must send; CLAWLINK_TOKEN does the same unseen by `ps`
    #[argh(option)]
    pub token: Option<String>,
    /// file whose first line is the token
    #[argh(option)]
    pub token_file: Option<PathBuf>,
    /// listen beyond this machine without a token
    #[argh(switch)]
    pub insecure: bool,
    /// file with the relay's certificate and its chain, PEM; the relay then speaks TLS alone
    #[argh(option)]
    pub tls_cert: Option<PathBuf>,
    /// file with the certificate's private key, PEM; SIGHUP reads both files again
    #[argh(option)]
    pub tls_key: Option<PathBuf>,
    /// do not announce the relay by mDNS
    #[argh(switch)]
    pub no_mdns: bool,
    /// seconds of silence after which an agent is stale (default 120)
    #[argh(option, default = "120")]
    pub stale_after: u64,
    /// seconds of silence after which an agent is removed (default 86400)
    #[argh(option, default = "86400")]
    pub reap_after: u64,
    /// a name by which clients call this relay, beside its addresses; may be repeated
    #[argh(option)]
    pub allow_host: Vec<String>,
    /// an origin whose web pages may ask this relay; may be repeated
    #[argh(option)]
    pub allow_origin: Vec<String>,
    /// bytes of a request's body and of a socket's message (default 1048576)
    #[argh(option, default = "1024 * 1024")]
    pub body_limit: usize,
    /// bytes of one shared file (default 8388608)
    #[argh(option, default = "8 * 1024 * 1024")]
    pub file_limit: usize,
    /// bytes of all shared files (default 268435456)
    #[argh(option, default = "256 * 1024 * 1024")]
    pub files_limit: usize,
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
    /// tasks, open and ended (default 100000)
    #[argh(option, default = "100_000")]
    pub tasks_limit: usize,
    /// bytes of tasks and their results (default 134217728)
    #[argh(option, default = "128 * 1024 * 1024")]
    pub tasks_bytes: usize,
    /// agents (default 1000000)
    #[argh(option, default = "1_000_000")]
    pub agents_limit: usize,
    /// broadcasts in the log (default 1000)
    #[argh(option, default = "1_000")]
    pub broadcasts_limit: usize,
    /// bytes of broadcasts in the log (default 16777216)
    #[argh(option, default = "16 * 1024 * 1024")]
    pub broadcasts_bytes: usize,
    /// reservations of one agent (default 64)
    #[argh(option, default = "64")]
    pub reservations_limit: usize,
    /// polls of one agent that may wait at the same time (default 8)
    #[argh(option, default = "8")]
    pub polls_limit: usize,
    /// connections at one time (default 20000)
    #[argh(option, default = "20_000")]
    pub connections_limit: usize,
    /// seconds that a connection may be idle between two requests (default 5)
    #[argh(option, default = "5")]
    pub keep_alive: u64,
    /// seconds for the head of a request (default 10)
    #[argh(option, default = "10")]
    pub head_deadline: u64,
    /// seconds between two bytes of a body, or of a socket's message (default 10)
    #[argh(option, default = "10")]
    pub body_gap: u64,
    /// seconds for a whole body, a socket's message, and for taking a reply (default 60)
    #[argh(option, default = "60")]
    pub body_deadline: u64,
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
    /// seconds between two pings of a socket (default 15)
    #[argh(option, default = "15")]
    pub ping_every: u64,
    /// seconds after which a peer that acknowledges nothing is given up (default 75)
    #[argh(option, default = "75")]
    pub dead_peer_after: u64,
    /// let nobody speak for an agent without that agent's secret
    #[argh(switch)]
    pub strict_identity: bool,
    /// what is logged: off, error, warn, info, debug or trace (default info)
    #[argh(option, default = "String::from(\"info\")")]
    pub log: String,
    /// text or json (default text)
    #[argh(option, default = "String::from(\"text\")")]
    pub log_format: String,
}

/// The bounds of requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Bytes of a file, decoded.
    pub file: usize,
}

/// The bounds of connections and of what comes and goes on them.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// Connections at one time.
    pub connections: usize,
    /// Idleness between two requests of a connection.
    pub keep_alive: Duration,
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
    /// Bounds of the files.
    pub shelf: ShelfLimits,
    /// Bounds of the log of broadcasts.
    pub log: LogLimits,
    /// Agents at most.
    pub agents_limit: usize,
    /// Reservations of one agent at most.
    pub reservations_limit: usize,
    /// Polls of one agent that may wait at the same time.
    pub polls_limit: usize,
    /// Bounds of connections.
    pub flow: FlowLimits,
    /// `TCP_USER_TIMEOUT` of each connection.
    pub dead_peer_after: Duration,
}

/// Why a relay does not start.
#[derive(Debug)]
pub enum StartupError {
    /// An option is out of its range.
    BadOption(String),
    /// The address is not of this machine, or cannot be found.
    BadHost(String),
    /// The token file cannot be read, or holds no usable token.
    BadToken(String),
    /// The certificate or its key cannot be read, or they do not belong together.
    BadCertificate(Unusable),
    /// Beyond loopback without a token.
    Open(IpAddr),
    /// The port is taken, or may not be bound. Who has it, by name and process id.
    Bind(IpAddr, u16, std::io::Error, Option<(String, u32)>),
    /// The operating system gives no random numbers, no signals.
    System(std::io::Error),
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartupError::BadOption(what) => {
                write!(f, "{what}\nclawlink-server --help lists the options")
            }
            StartupError::BadHost(host) => {
                write!(
                    f,
                    "--host {host}: no such address here\ntry --host 127.0.0.1, or 0.0.0.0 for all interfaces"
                )
            }
            StartupError::BadToken(why) => write!(f, "{why}"),
            StartupError::BadCertificate(why) => write!(f, "{why}"),
            StartupError::Open(host) => write!(
                f,
                "refusing to listen on {host} without a token: whoever reaches the port could give your agents orders\n\
                 set one:        head -c 24 /dev/urandom | base64 > relay.token && chmod 600 relay.token\n\
                 \u{20}               clawlink-server --host {host} --token-file relay.token\n\
                 or say so:      clawlink-server --host {host} --insecure"
            ),
            StartupError::Bind(host, port, error, owner)
                if error.kind() == std::io::ErrorKind::AddrInUse =>
            {
                let who = match owner {
                    Some((name, pid)) => format!("{name} (process {pid}) listens there already"),
                    None => "another program listens there, perhaps a relay".to_owned(),
                };
                write!(
                    f,
                    "{}: {who}\n\
                 ask it:         clawlink --relay http://localhost:{port} info\n\
                 or take another: clawlink-server --port 0",
                    authority(*host, *port)
                )
            }
            StartupError::Bind(host, port, error, _) => write!(
                f,
                "cannot listen on {}: {error}\ntry another --host or --port",
                authority(*host, *port)
            ),
            StartupError::System(error) => write!(f, "the operating system does not help: {error}"),
        }
    }
}

impl std::error::Error for StartupError {}

impl Config {
    /// What the relay's URLs begin with.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// An address and a port as they stand in a URL.
pub fn authority(host: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(host, port).to_string()
}

/// The shortest time that an option of seconds may give.
const SECONDS_MIN: u64 = 1;
/// The longest: a year.
const SECONDS_MAX: u64 = 365 * 24 * 3600;
/// The highest rate that is told apart from none.
const RATE_MAX: u32 = 1_000_000;
/// The smallest bound of bytes that leaves room for a message at all.
const BYTES_MIN: usize = 1024;

impl Config {
    /// Validates arguments. `env_token` is what `CLAWLINK_TOKEN` holds.
    pub fn new(args: &Args, env_token: Option<String>) -> Result<Config, StartupError> {
        let host = host(&args.host)?;
        let token = token(args, env_token)?;
        if !host.is_loopback() && token.is_none() && !args.insecure {
            return Err(StartupError::Open(host));
        }
        for (name, value) in [
            ("--body-limit", args.body_limit),
            ("--file-limit", args.file_limit),
            ("--files-limit", args.files_limit),
            ("--inbox-bytes", args.inbox_bytes),
            ("--inboxes-bytes", args.inboxes_bytes),
            ("--dead-letters-bytes", args.dead_letters_bytes),
            ("--idempotency-bytes", args.idempotency_bytes),
            ("--tasks-bytes", args.tasks_bytes),
            ("--broadcasts-bytes", args.broadcasts_bytes),
            ("--in-flight-bytes", args.in_flight_bytes),
        ] {
            at_least(name, value, BYTES_MIN, "bytes")?;
        }
        at_least("--inbox-limit", args.inbox_limit, 2, "messages")?;
        at_least("--agents-limit", args.agents_limit, 1, "agent")?;
        at_least("--polls-limit", args.polls_limit, 1, "poll")?;
        Ok(Config {
            host,
            port: args.port,
            token,
            strict_identity: args.strict_identity,
            tls: certificate(args)?,
            mdns: !args.no_mdns && !host.is_loopback(),
            stale_after: seconds("--stale-after", args.stale_after)?,
            reap_after: seconds("--reap-after", args.reap_after)?,
            allow_host: each("--allow-host", &args.allow_host, is_name, "relay.example")?,
            allow_origin: each(
                "--allow-origin",
                &args.allow_origin,
                is_origin,
                "https://board.example",
            )?,
            limits: Limits {
                body: args.body_limit,
                file: args.file_limit,
            },
            inbox: inbox::Limits {
                places: args.inbox_limit,
                bytes: args.inbox_bytes,
            },
            inboxes_bytes: args.inboxes_bytes,
            idempotency_bytes: args.idempotency_bytes,
            ping_every: seconds("--ping-every", args.ping_every)?,
            tasks: LedgerLimits {
                count: args.tasks_limit,
                bytes: args.tasks_bytes,
            },
            dead_letters: LetterLimits {
                count: args.dead_letters_limit,
                bytes: args.dead_letters_bytes,
            },
            shelf: ShelfLimits {
                file: args.file_limit,
                total: args.files_limit,
            },
            log: LogLimits {
                count: args.broadcasts_limit,
                bytes: args.broadcasts_bytes,
            },
            agents_limit: args.agents_limit,
            reservations_limit: args.reservations_limit,
            polls_limit: args.polls_limit,
            flow: flow(args)?,
            dead_peer_after: seconds("--dead-peer-after", args.dead_peer_after)?,
        })
    }
}

impl Config {
    /// The bounds that have a flag: its name, and what it says. Times are in seconds.
    pub fn bounds(&self) -> Vec<(&'static str, u64)> {
        let flow = &self.flow;
        let seconds = |time: Duration| time.as_secs() as usize;
        let bounds = [
            ("body-limit", self.limits.body),
            ("file-limit", self.limits.file),
            ("files-limit", self.shelf.total),
            ("inbox-limit", self.inbox.places),
            ("inbox-bytes", self.inbox.bytes),
            ("inboxes-bytes", self.inboxes_bytes),
            ("dead-letters-limit", self.dead_letters.count),
            ("dead-letters-bytes", self.dead_letters.bytes),
            ("idempotency-bytes", self.idempotency_bytes),
            ("tasks-limit", self.tasks.count),
            ("tasks-bytes", self.tasks.bytes),
            ("agents-limit", self.agents_limit),
            ("broadcasts-limit", self.log.count),
            ("broadcasts-bytes", self.log.bytes),
            ("reservations-limit", self.reservations_limit),
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
            ("keep-alive", seconds(flow.keep_alive)),
            ("head-deadline", seconds(flow.head)),
            ("body-gap", seconds(flow.body_gap)),
            ("body-deadline", seconds(flow.body_total)),
        ];
        bounds.map(|(flag, value)| (flag, value as u64)).into()
    }
}

fn flow(args: &Args) -> Result<FlowLimits, StartupError> {
    let connections = args.connections_limit;
    at_least("--connections-limit", connections, 1, "connection")?;
    Ok(FlowLimits {
        connections,
        keep_alive: seconds("--keep-alive", args.keep_alive)?,
        head: seconds("--head-deadline", args.head_deadline)?,
        body_gap: seconds("--body-gap", args.body_gap)?,
        body_total: seconds("--body-deadline", args.body_deadline)?,
        in_flight: args.in_flight_bytes,
        requests_per_second: rate("--requests-per-second", args.requests_per_second)?,
        agent_requests_per_second: rate(
            "--agent-requests-per-second",
            args.agent_requests_per_second,
        )?,
        wrong_tokens_per_minute: rate("--wrong-tokens-per-minute", args.wrong_tokens_per_minute)?,
    })
}

fn seconds(name: &str, value: u64) -> Result<Duration, StartupError> {
    if (SECONDS_MIN..=SECONDS_MAX).contains(&value) {
        return Ok(Duration::from_secs(value));
    }
    Err(StartupError::BadOption(format!(
        "{name} takes {SECONDS_MIN} to {SECONDS_MAX} seconds, not {value}"
    )))
}

fn rate(name: &str, value: u32) -> Result<u32, StartupError> {
    if (1..=RATE_MAX).contains(&value) {
        return Ok(value);
    }
    Err(StartupError::BadOption(format!(
        "{name} takes 1 to {RATE_MAX}, not {value}"
    )))
}

fn at_least(name: &str, value: usize, least: usize, unit: &str) -> Result<(), StartupError> {
    if value >= least {
        return Ok(());
    }
    Err(StartupError::BadOption(format!(
        "{name} takes at least {least} {unit}, not {value}"
    )))
}

/// The values of an option that may be repeated, if all of them can do something.
fn each(
    option: &str,
    values: &[String],
    usable: fn(&str) -> bool,
    example: &str,
) -> Result<Vec<String>, StartupError> {
    match values.iter().find(|value| !usable(value)) {
        None => Ok(values.to_vec()),
        Some(odd) => Err(StartupError::BadOption(format!(
            "{option} takes the like of {example}, with nothing behind it, not \"{odd}\""
        ))),
    }
}

/// A host name as it stands in a URL, and no port.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.ends_with('.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A scheme, a host and perhaps a port, as a browser writes them.
fn is_origin(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, authority)| {
        let plain = |text: &str, more: &[u8]| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || more.contains(&b);
            !text.is_empty() && text.bytes().all(fits)
        };
        plain(scheme, b"+.-") && plain(authority, b"._-:[]")
    })
}

fn host(text: &str) -> Result<IpAddr, StartupError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    let found = (bare, 0)
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next());
    found
        .map(|address| address.ip())
        .ok_or_else(|| StartupError::BadHost(text.to_owned()))
}

fn certificate(args: &Args) -> Result<Option<Arc<Certificate>>, StartupError> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => match Certificate::read(chain, key) {
            Ok(certificate) => Ok(Some(Arc::new(certificate))),
            Err(why) => Err(StartupError::BadCertificate(why)),
        },
        (None, None) => Ok(None),
        _ => Err(StartupError::BadOption(
            "--tls-cert and --tls-key go together: a certificate is of no use without its key"
                .into(),
        )),
    }
}

fn token(args: &Args, env_token: Option<String>) -> Result<Option<String>, StartupError> {
    let token = match (&args.token, &args.token_file) {
        (Some(_), Some(_)) => {
            return Err(StartupError::BadOption(
                "--token and --token-file are two answers to one question".into(),
            ));
        }
        (Some(token), None) => Some(token.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                StartupError::BadToken(format!(
                    "--token-file {}: {error}\nthe file must hold the token on its first line",
                    path.display()
                ))
            })?;
            Some(text.lines().next().unwrap_or_default().trim().to_owned())
        }
        (None, None) => env_token.filter(|token| !token.is_empty()),
    };
    match token {
        Some(token) if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) => {
            Err(StartupError::BadToken(
                "the token must be one or more visible ASCII characters, as it travels in a header"
                    .into(),
            ))
        }
        token => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str], env: Option<&str>) -> Result<Config, StartupError> {
        let args = Args::from_args(&["clawlink-server"], args).unwrap();
        Config::new(&args, env.map(str::to_owned))
    }

    #[test]
    fn the_defaults_are_loopback_without_a_token_and_without_mdns() {
        let config = config(&[], None).unwrap();
        assert!(config.host.is_loopback() && config.token.is_none() && !config.mdns);
        assert_eq!(config.port, 9077);
    }

    #[test]
    fn beyond_loopback_a_token_is_needed_or_the_risk_named() {
        assert!(matches!(
            config(&["--host", "0.0.0.0"], None),
            Err(StartupError::Open(_))
        ));
        assert!(matches!(
            config(&["--host", "::"], None),
            Err(StartupError::Open(_))
        ));
        assert!(
            config(&["--host", "0.0.0.0", "--insecure"], None)
                .unwrap()
                .mdns
        );
        assert!(config(&["--host", "0.0.0.0", "--token", "t"], None).is_ok());
        assert!(config(&["--host", "0.0.0.0"], Some("t")).is_ok());
        assert!(config(&["--host", "::1"], None).is_ok());
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (args, named) in [
            (vec!["--stale-after", "0"], "--stale-after"),
            (vec!["--reap-after", "99999999999"], "--reap-after"),
            (vec!["--body-limit", "10"], "--body-limit"),
            (vec!["--inbox-limit", "1"], "--inbox-limit"),
            (vec!["--token", "a", "--token-file", "b"], "--token-file"),
            (
                vec!["--token-file", "/nonexistent/token"],
                "/nonexistent/token",
            ),
            (vec!["--tls-cert", "a"], "--tls-key"),
            (vec!["--tls-key", "a"], "--tls-cert"),
            (vec!["--token", "a\nb"], "token"),
            (vec!["--token", ""], "token"),
            (vec!["--head-deadline", "0"], "--head-deadline"),
            (vec!["--requests-per-second", "0"], "--requests-per-second"),
            (vec!["--host", "no such host"], "no such host"),
        ] {
            let error = config(&args, None).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
