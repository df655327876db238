//! Keeps foreign web pages out. A page on any site can make its reader's browser ask a relay on
//! loopback; what such a request looks like is judged here. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a request says about where it comes from.
#[derive(Debug, Default, Clone, Copy)]
pub struct Facts<'a> {
    /// The authority of an absolute-form target, else the `Host` header.
    pub host: Option<&'a str>,
    /// The `Origin` header.
    pub origin: Option<&'a str>,
    /// The `Sec-Fetch-Site` header.
    pub fetch_site: Option<&'a str>,
    /// Whether the relay's token came with it. A page cannot know it.
    pub token: bool,
    /// Whether the connection is encrypted: the relay's own pages then are `https`.
    pub tls: bool,
}

/// Whom the relay answers.
#[derive(Debug, Default, Clone)]
pub struct Allowed {
    /// Names of the relay, beside IP literals and `localhost`.
    pub hosts: Vec<String>,
    /// Origins of pages, as `https://page.example`.
    pub origins: Vec<String>,
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Its `Host` is not a name of this relay: the page's own name, pointed at this address.
    Host(String),
    /// Its `Origin` is another page's.
    Origin(String),
    /// The browser says that another site's page asks.
    Site,
}

impl Allowed {
    /// The relay's own names: this machine's, with and without `.local`, and the given ones.
    pub fn new(machine: &str, hosts: Vec<String>, origins: Vec<String>) -> Self {
        let short = machine.strip_suffix(".local").unwrap_or(machine);
        let own = [
            "localhost".to_owned(),
            short.to_owned(),
            format!("{short}.local"),
        ];
        Allowed {
            hosts: own.into_iter().chain(hosts).collect(),
            origins,
        }
    }

    /// Judges one request.
    pub fn judge(&self, facts: Facts<'_>) -> Result<(), Foreign> {
        if let Some(host) = facts.host
            && !facts.token
            && !self.is_own_name(host)
        {
            return Err(Foreign::Host(split(host).0.to_owned()));
        }
        if let Some(origin) = facts.origin {
            let own = |host| same_authority(origin, host, facts.tls);
            if !facts.host.is_some_and(own) && !self.knows_origin(facts.origin) {
                return Err(Foreign::Origin(origin.to_owned()));
            }
        }
        match facts.fetch_site {
            None | Some("none" | "same-origin") => Ok(()),
            Some(_) if self.knows_origin(facts.origin) => Ok(()),
            Some(_) => Err(Foreign::Site),
        }
    }

    fn knows_origin(&self, origin: Option<&str>) -> bool {
        origin.is_some_and(|origin| {
            self.origins
                .iter()
                .any(|known| known.eq_ignore_ascii_case(origin))
        })
    }

    fn is_own_name(&self, authority: &str) -> bool {
        let (host, _) = split(authority);
        let is_own = |own: &String| !own.is_empty() && own.eq_ignore_ascii_case(host);
        self.hosts.iter().any(is_own) || is_address(host)
    }
}

/// Whether this is an address as it stands in a URL.
fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Host and port; the host without the dot that ends a full name. What follows a colon and is no
/// number belongs to the host, which then is nobody's: `localhost:80@evil.example`.
fn split(authority: &str) -> (&str, Option<&str>) {
    let colon = authority.bytes().rposition(|byte| byte == b':');
    let parts = colon.map(|at| (&authority[..at], &authority[at + 1..]));
    let (host, port) = match parts {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    (host.strip_suffix('.').unwrap_or(host), port)
}

fn same_authority(origin: &str, host: &str, tls: bool) -> bool {
    let (authority, default_port) = match origin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") && !tls => (rest, "80"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, "443"),
        _ => return false,
    };
    let ((a, a_port), (b, b_port)) = (split(authority), split(host));
    a.eq_ignore_ascii_case(b) && a_port.unwrap_or(default_port) == b_port.unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Allowed {
        Allowed::new(
            "forge",
            vec!["relay.example".into()],
            vec!["https://board.example".into()],
        )
    }

    fn judge(host: &str, origin: Option<&str>, fetch_site: Option<&str>) -> Result<(), Foreign> {
        allowed().judge(Facts {
            host: Some(host),
            origin,
            fetch_site,
            token: false,
            tls: false,
        })
    }

    #[test]
    fn the_relays_own_names_pass() {
        for host in [
            "localhost",
            "LOCALHOST:9077",
            "127.0.0.1:9077",
            "[::1]:9077",
            "192.168.1.7",
            "forge",
            "forge.local:9077",
            "relay.example",
            "localhost.:9077",
        ] {
            assert_eq!(judge(host, None, None), Ok(()), "{host}");
        }
        assert_eq!(
            allowed().judge(Facts::default()),
            Ok(()),
            "no Host is no browser"
        );
    }

    #[test]
    fn a_foreign_host_is_refused_unless_the_token_is_there() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example:9077",
            "[::1",
        ] {
            let refused = judge(host, None, None);
            assert!(
                matches!(refused, Err(Foreign::Host(_))),
                "{host}: {refused:?}"
            );
        }
        let facts = Facts {
            host: Some("evil.example"),
            token: true,
            ..Facts::default()
        };
        assert_eq!(allowed().judge(facts), Ok(()));
    }

    #[test]
    fn an_origin_must_be_the_hosts_own_or_given() {
        let host = "127.0.0.1:9077";
        for origin in ["http://127.0.0.1:9077", "https://board.example"] {
            assert_eq!(judge(host, Some(origin), None), Ok(()), "{origin}");
        }
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:9078",
            "",
        ] {
            assert_eq!(
                judge(host, Some(origin), None),
                Err(Foreign::Origin(origin.into()))
            );
        }
        assert_eq!(
            judge("relay.example", Some("https://relay.example"), None),
            Ok(())
        );
        assert_eq!(
            judge("relay.example:80", Some("http://relay.example"), None),
            Ok(())
        );
    }

    #[test]
    fn what_the_browser_says_of_the_site_counts() {
        for (site, passes) in [
            ("none", true),
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            assert_eq!(
                judge("localhost", None, Some(site)).is_ok(),
                passes,
                "{site}"
            );
        }
        let given = judge(
            "localhost",
            Some("https://board.example"),
            Some("cross-site"),
        );
        assert_eq!(
            given,
            Ok(()),
            "an origin that was given may ask from its own site"
        );
    }
}
