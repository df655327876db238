//! What can go wrong before the relay listens.

use super::authority;
use crate::tls::Unusable;
use std::fmt;
use std::net::IpAddr;

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
