//! Announces the relay on the local network as `_clawlink._tcp.local.`.

use clawlink_protocol::MDNS_SERVICE;
use mdns_sd::{ServiceDaemon, ServiceInfo};
use std::net::IpAddr;
use std::time::Duration;
use tracing::{info, warn};

/// How long the goodbye may take.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// A running announcement.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

/// What is announced.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where the relay listens.
    pub host: IpAddr,
    /// On which port.
    pub port: u16,
    /// This machine's name.
    pub machine: &'a str,
    /// Whether every call needs a token.
    pub auth: bool,
    /// Whether the relay speaks TLS, and nothing else.
    pub tls: bool,
}

impl Announcement {
    /// Announces a relay. A network that does not carry it costs a line in the log, not the relay.
    pub fn start(facts: Facts<'_>) -> Option<Announcement> {
        match announce(facts) {
            Ok(announcement) => {
                info!(name = %announcement.name, "announced by mDNS");
                Some(announcement)
            }
            Err(error) => {
                warn!(%error, "mDNS does not work here; clients need --relay URL");
                None
            }
        }
    }

    /// Takes the announcement back.
    pub fn stop(self) {
        if let Ok(done) = self.daemon.unregister(&self.name) {
            let _ = done.recv_timeout(GOODBYE_PATIENCE);
        }
        if let Ok(done) = self.daemon.shutdown() {
            let _ = done.recv_timeout(GOODBYE_PATIENCE);
        }
    }
}

fn announce(facts: Facts<'_>) -> Result<Announcement, mdns_sd::Error> {
    let Facts {
        host,
        port,
        machine,
        auth,
        tls,
    } = facts;
    let flag = |set: bool| if set { "true" } else { "false" };
    let daemon = ServiceDaemon::new()?;
    let short = machine.strip_suffix(".local").unwrap_or(machine);
    let properties = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("hostname", short),
        ("auth", flag(auth)),
        ("tls", flag(tls)),
    ];
    let instance = format!("ClawLink Relay ({short})");
    let target = format!("{short}.local.");
    let info = if host.is_unspecified() {
        ServiceInfo::new(MDNS_SERVICE, &instance, &target, "", port, &properties[..])?
            .enable_addr_auto()
    } else {
        ServiceInfo::new(
            MDNS_SERVICE,
            &instance,
            &target,
            host,
            port,
            &properties[..],
        )?
    };
    let name = info.get_fullname().to_owned();
    daemon.register(info)?;
    Ok(Announcement { daemon, name })
}
