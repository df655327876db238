//! From arguments to a [`Config`].

use super::{Args, Config, FlowLimits, Limits, StartupError};
use crate::core::dead_letters::LetterLimits;
use crate::core::inbox;
use crate::core::json::PARSER_DEPTH;
use crate::core::knowledge::LogLimits;
use crate::core::ledger::LedgerLimits;
use crate::core::merge::MergeLimits;
use crate::core::reservation::LeaseLimits;
use crate::core::shelf::ShelfLimits;
use crate::tls::Certificate;
use std::net::{IpAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The shortest time that an option of seconds may give.
const SECONDS_MIN: u64 = 1;
/// The longest: a year.
const SECONDS_MAX: u64 = 365 * 24 * 3600;
/// The highest rate that is told apart from none.
const RATE_MAX: u32 = 1_000_000;
/// Threads that the runtime has for work that takes long.
const THREADS_MAX: usize = 512;
/// Tries of one call that still make sense.
const TRIES_MAX: usize = 1_000_000;
/// Steps that a task, counted with 1 KiB, may have.
const STEPS_MAX: usize = 1_000;
/// Agents that may be looked at.
const AGENTS_MAX: usize = 1_000_000;
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
            ("--merge-bytes", args.merge_bytes),
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
                depth: depth(args.json_depth)?,
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
            task_steps: within("--task-steps", args.task_steps, 2..=STEPS_MAX)?,
            candidates: within("--candidates-limit", args.candidates_limit, 1..=AGENTS_MAX)?,
            dead_letters: LetterLimits {
                count: args.dead_letters_limit,
                bytes: args.dead_letters_bytes,
            },
            shelf: ShelfLimits {
                file: args.file_limit,
                total: args.files_limit,
                earlier: args.file_versions,
            },
            merges: merges(args)?,
            log: LogLimits {
                count: args.broadcasts_limit,
                bytes: args.broadcasts_bytes,
            },
            agents_limit: args.agents_limit,
            reservations: LeaseLimits {
                each: args.reservations_limit,
                all: args.reservations_total,
            },
            polls_limit: args.polls_limit,
            flow: flow(args)?,
            dead_peer_after: seconds("--dead-peer-after", args.dead_peer_after)?,
        })
    }
}

fn merges(args: &Args) -> Result<MergeLimits, StartupError> {
    Ok(MergeLimits {
        at_once: within("--merges-limit", args.merges_limit, 1..=THREADS_MAX)?,
        time: seconds("--merge-deadline", args.merge_deadline)?,
        tries: within("--merge-tries", args.merge_tries, 1..=TRIES_MAX)?,
        bytes: args.merge_bytes,
        lines: args.merge_lines,
    })
}

fn flow(args: &Args) -> Result<FlowLimits, StartupError> {
    let connections = args.connections_limit;
    at_least("--connections-limit", connections, 1, "connection")?;
    at_least("--peers-limit", args.peers_limit, 1, "address")?;
    at_least("--frames-ahead", args.frames_ahead as usize, 1, "frame")?;
    Ok(FlowLimits {
        connections,
        keep_alive: seconds("--keep-alive", args.keep_alive)?,
        handshake: seconds("--handshake-deadline", args.handshake_deadline)?,
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
        peers: args.peers_limit,
        frames_ahead: args.frames_ahead,
        shutdown: seconds("--shutdown-deadline", args.shutdown_deadline)?,
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

/// What is looked at before the parser is asked: nothing, where it sees to the bound by itself.
fn depth(levels: usize) -> Result<Option<usize>, StartupError> {
    match levels {
        PARSER_DEPTH => Ok(None),
        1..PARSER_DEPTH => Ok(Some(levels)),
        _ => Err(StartupError::BadOption(format!(
            "--json-depth takes 1 to {PARSER_DEPTH} levels, not {levels}"
        ))),
    }
}

fn within(name: &str, value: usize, range: RangeInclusive<usize>) -> Result<usize, StartupError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (from, to) = range.into_inner();
    Err(StartupError::BadOption(format!(
        "{name} takes {from} to {to}, not {value}"
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
    use argh::FromArgs;

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
            (vec!["--json-depth", "0"], "--json-depth"),
            (vec!["--json-depth", "129"], "--json-depth"),
            (vec!["--merges-limit", "513"], "--merges-limit"),
            (vec!["--merge-deadline", "0"], "--merge-deadline"),
            (vec!["--merge-tries", "0"], "--merge-tries"),
            (vec!["--merge-bytes", "1"], "--merge-bytes"),
            (vec!["--task-steps", "1"], "--task-steps"),
            (vec!["--candidates-limit", "0"], "--candidates-limit"),
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
            (vec!["--handshake-deadline", "0"], "--handshake-deadline"),
            (vec!["--shutdown-deadline", "0"], "--shutdown-deadline"),
            (vec!["--frames-ahead", "0"], "--frames-ahead"),
            (vec!["--peers-limit", "0"], "--peers-limit"),
            (vec!["--requests-per-second", "0"], "--requests-per-second"),
            (vec!["--host", "no such host"], "no such host"),
        ] {
            let error = config(&args, None).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
