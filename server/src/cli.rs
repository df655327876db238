//! The command line of the relay: its arguments, its log, its first and last words.

use argh::FromArgs;
use clawlink_server::Running;
use clawlink_server::config::{Args, Config, GROUPS, StartupError, authority};
use clawlink_server::tls::Certificate;
use std::fmt::Display;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// The arguments; the exit code where there is nothing to run.
pub(crate) fn arguments() -> Result<Args, ExitCode> {
    let given: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    if given.iter().any(|arg| arg == "--version" || arg == "-V") {
        say(&format!("clawlink-server {}\n", env!("CARGO_PKG_VERSION")));
        return Err(ExitCode::SUCCESS);
    }
    let split = split_equals(&given);
    let split: Vec<&str> = split.iter().map(String::as_str).collect();
    Args::from_args(&["clawlink-server"], &split).map_err(|exit| match exit.status {
        Ok(()) => {
            say(&help(&exit.output));
            ExitCode::SUCCESS
        }
        Err(()) => fail(
            2,
            &format!(
                "{}\nclawlink-server --help lists the options",
                exit.output.trim()
            ),
        ),
    })
}

/// The parser's help, whose first line names every option before the list does; its options in
/// groups.
fn help(parsers: &str) -> String {
    let mut help = "Usage: clawlink-server [OPTIONS]\n".to_owned();
    for line in parsers.trim_end().lines().skip(1) {
        let option = line.split_whitespace().next().unwrap_or_default();
        match GROUPS.iter().find(|(first, _)| *first == option) {
            _ if line == "Options:" => continue,
            Some((_, heading)) if help.ends_with("\n\n") => help += &format!("{heading}:\n"),
            Some((_, heading)) => help += &format!("\n{heading}:\n"),
            None => {}
        }
        help += line;
        help.push('\n');
    }
    help
}

/// `--opt=value` as `--opt value`, which is all that the parser knows; `-h` as `--help`.
fn split_equals(given: &[String]) -> Vec<String> {
    let mut out = Vec::with_capacity(given.len());
    for arg in given {
        match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                out.push(name.to_owned());
                out.push(value.to_owned());
            }
            _ if arg == "-h" => out.push("--help".to_owned()),
            _ => out.push(arg.clone()),
        }
    }
    out
}

/// Says what went wrong and gives the exit code.
pub(crate) fn fail(code: u8, error: &dyn Display) -> ExitCode {
    let text = error.to_string().replace('\n', "\n  ");
    let _ = writeln!(std::io::stderr(), "clawlink-server: {text}");
    ExitCode::from(code)
}

fn say(text: &str) {
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Lines that wait to be written; beyond them lines are dropped.
const LOG_LINES: usize = 8_192;

/// Logs to standard error. A panic is one line there too. Whoever reads it may stop to, or go: lines
/// are dropped then, and the relay goes on. What is left is written when the guard is dropped.
pub(crate) fn start_log(level: &str, format: &str) -> Result<WorkerGuard, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    if !LEVELS.contains(&level) {
        let levels = LEVELS.join(", ");
        return Err(format!("--log takes one of {levels}, not \"{level}\""));
    }
    // Of the libraries below only those that meet the operating system are heard: what the others
    // call an error is what a peer did.
    let below = if level == "off" { "off" } else { "error" };
    let filter = format!("off,clawlink_server={level},actix_server={below},mdns_sd={below}");
    let writer = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES);
    let (writer, guard) = writer.finish(std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(EnvFilter::new(filter))
        .log_internal_errors(false);
    match format {
        "text" => log.with_ansi(false).with_target(false).init(),
        "json" => log.json().with_target(false).init(),
        other => return Err(format!("--log-format takes text or json, not \"{other}\"")),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let text = text
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        error!(place, text, "a panic");
    }));
    Ok(guard)
}

/// Done at the first SIGTERM or SIGINT.
pub(crate) fn signals() -> Result<impl Future<Output = ()>, StartupError> {
    let mut term = signal(SignalKind::terminate()).map_err(StartupError::System)?;
    let mut int = signal(SignalKind::interrupt()).map_err(StartupError::System)?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Reads the certificate again at each SIGHUP, for as long as the relay runs.
pub(crate) fn reload_at_hangup(certificate: Arc<Certificate>) -> Result<(), StartupError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(StartupError::System)?;
    actix_web::rt::spawn(async move {
        while hangup.recv().await.is_some() {
            match certificate.reload() {
                Ok(()) => info!("the certificate was read again"),
                Err(error) => error!(%error, "the old certificate stays in use"),
            }
        }
    });
    Ok(())
}

/// The first words: where the relay listens, and what to type next, here and elsewhere.
pub(crate) fn greet(config: &Config, token_file: Option<&Path>, running: &Running) {
    let port = running.address.port();
    let scheme = config.scheme();
    let token = match (&config.token, token_file) {
        (None, _) => String::new(),
        (Some(_), Some(file)) => format!("CLAWLINK_TOKEN_FILE={} ", file.display()),
        (Some(_), None) => "CLAWLINK_TOKEN=TOKEN ".to_owned(),
    };
    let here = match config.host {
        host if host.is_unspecified() || host == IpAddr::V4(Ipv4Addr::LOCALHOST) => {
            format!("localhost:{port}")
        }
        host => authority(host, port),
    };
    let here = certified(config, running, here);
    let elsewhere = match config.host.is_loopback() {
        true => {
            "not reachable; clawlink-server --host 0.0.0.0 --token-file FILE opens it".to_owned()
        }
        false => {
            let host = reachable(config.host).map(|host| authority(host, port));
            let host = host.unwrap_or_else(|| format!("{}:{port}", running.machine));
            let host = certified(config, running, host);
            format!("{token}clawlink --relay {scheme}://{host} register --name NAME")
        }
    };
    say(&format!(
        "clawlink-server {} listens on {scheme}://{}{}\n\
         join from here:   {token}clawlink --relay {scheme}://{here} register --name NAME\n\
         join from afar:   {elsewhere}\n",
        env!("CARGO_PKG_VERSION"),
        running.address,
        if config.token.is_some() {
            ", with a token"
        } else {
            ""
        },
    ));
}

/// The same place by a name that the relay's certificate has, where there is a certificate.
fn certified(config: &Config, running: &Running, place: String) -> String {
    let Some(certificate) = &config.tls else {
        return place;
    };
    let host = place
        .rsplit_once(':')
        .map_or(place.as_str(), |(host, _)| host);
    if certificate.is_for(host) {
        return place;
    }
    let machine = &running.machine;
    let short = machine.strip_suffix(".local").unwrap_or(machine);
    let names = [format!("{short}.local"), short.to_owned()];
    let names = config.allow_host.iter().chain(&names);
    match names.into_iter().find(|name| certificate.is_for(name)) {
        Some(name) => format!("{name}:{}", running.address.port()),
        None => {
            warn!(
                host,
                "the certificate does not have this name; clients take none but its own"
            );
            place
        }
    }
}

/// The address under which other machines find this one.
fn reachable(host: IpAddr) -> Option<IpAddr> {
    if !host.is_unspecified() {
        return Some(host);
    }
    // Connecting a datagram socket sends nothing; it asks the routing table. The addresses are of
    // the blocks kept for documentation.
    let (own, other): (IpAddr, IpAddr) = match host {
        IpAddr::V4(_) => (
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ),
        IpAddr::V6(_) => (
            Ipv6Addr::UNSPECIFIED.into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ),
    };
    let socket = UdpSocket::bind((own, 0)).ok()?;
    socket.connect((other, 9)).ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_tells_every_option_once_in_its_group() {
        let parsers = Args::from_args(&["clawlink-server"], &["--help"]).unwrap_err();
        let help = help(&parsers.output);
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}"));
        let places = GROUPS.map(|(first, heading)| at(&format!("\n\n{heading}:\n  {first}")));
        assert!(places.is_sorted(), "{places:?}");
        let options = |text: &str| text.lines().filter(|l| l.starts_with("  --")).count();
        assert_eq!(options(&help), options(&parsers.output));
        assert!(
            !help.contains("\n\n\n") && !help.contains("Options:"),
            "{help}"
        );
    }

    #[test]
    fn an_option_may_carry_its_value_behind_an_equals_sign() {
        let given = ["--port=0", "--host", "a=b", "-h", "--token=x=y"].map(str::to_owned);
        assert_eq!(
            split_equals(&given),
            ["--port", "0", "--host", "a=b", "--help", "--token", "x=y"]
        );
    }
}
