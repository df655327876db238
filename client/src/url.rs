//! The relay's URL: parsed by ourselves, so that nothing else ever reaches a request line.

/// Why a text is no relay URL. Reads as a sentence; the second part is what to do.
pub(crate) type UrlError = (&'static str, &'static str);

const EXAMPLE: &str = "a relay's URL looks like http://localhost:9077";

/// The URL in its one form: `http://host` or `http://host:port`, the host in lower case, no
/// slash at the end. As everywhere, no port means port 80, and 443 for `https`.
pub(crate) fn normalise(text: &str) -> Result<String, UrlError> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(("the relay URL does not begin with http://", EXAMPLE));
    };
    let secure = scheme.eq_ignore_ascii_case("https");
    if secure && !cfg!(feature = "tls") {
        return Err((
            "this build has no TLS, so it cannot use an https:// URL",
            "build one that has: client/build-static --tls, or cargo install --path client --features tls",
        ));
    }
    if !secure && !scheme.eq_ignore_ascii_case("http") {
        return Err(("the relay URL does not begin with http://", EXAMPLE));
    }
    let authority = rest.trim_end_matches('/');
    let usual = if secure { 443 } else { 80 };
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, port(digits)),
        None => (authority, Some(usual)),
    };
    let port = port.filter(|_| is_host(host));
    let port = port.ok_or_else(|| what_is_wrong(authority, host))?;
    let host = host.to_ascii_lowercase();
    let scheme = if secure { "https://" } else { "http://" };
    let start = [scheme, &host].concat();
    Ok(if port == usual {
        start
    } else {
        [&start, ":", &port.to_string()].concat()
    })
}

/// Why what stands behind the scheme is no host, with a port or without.
fn what_is_wrong(authority: &str, host: &str) -> UrlError {
    if authority.contains(['/', '?', '#']) {
        return (
            "the relay URL has a path or a query after its host",
            EXAMPLE,
        );
    }
    if authority.contains('@') {
        return (
            "the relay URL holds a user name or password",
            "a token goes into CLAWLINK_TOKEN or --token",
        );
    }
    if authority.starts_with('[') || authority.matches(':').count() > 1 {
        return (
            "this client cannot take an IPv6 address in a URL",
            "use a host name that stands for it; an entry in /etc/hosts is enough",
        );
    }
    match is_host(host) {
        true => ("the relay URL has no valid port", EXAMPLE),
        false => ("the relay URL has no valid host name", EXAMPLE),
    }
}

/// A port; none where it is something else, or 0.
fn port(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port != 0);
    port.filter(|_| plain)
}

/// Letters, digits, dots, hyphens and the underscores of containers' names.
fn is_host(host: &str) -> bool {
    (1..=253).contains(&host.len())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// The host and port of a normalised URL.
pub(crate) fn host_and_port(url: &str) -> (&str, &str) {
    let (scheme, authority) = url.split_once("://").unwrap_or(("", url));
    let usual = if scheme == "https" { "443" } else { "80" };
    authority.split_once(':').unwrap_or((authority, usual))
}

/// Whether the URL can only mean this machine.
pub(crate) fn is_local(url: &str) -> bool {
    let (host, _) = host_and_port(url);
    host == "localhost" || host.starts_with("127.")
}

/// A path segment, or with `/` kept a whole key, in which only unreserved characters stand
/// as they are.
pub(crate) fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_form() {
        for (given, normal) in [
            ("http://localhost:9077", "http://localhost:9077"),
            (" HTTP://LocalHost:9077/ ", "http://localhost:9077"),
            ("http://relay", "http://relay"),
            ("http://relay:80/", "http://relay"),
            ("http://10.0.0.1:09077", "http://10.0.0.1:9077"),
            ("http://my_relay.local:1", "http://my_relay.local:1"),
        ] {
            assert_eq!(normalise(given).unwrap(), normal, "{given}");
        }
    }

    #[test]
    fn what_could_change_a_request_is_refused() {
        for bad in [
            "",
            "localhost:9077",
            "ftp://x",
            "http://",
            "http:///",
            "http://:9077",
            "http://a b",
            "http://a\r\nX: y",
            "http://a:1\r\nx",
            "http://a:0",
            "http://a:65536",
            "http://a:",
            "http://a:+1",
            "http://a/path",
            "http://a?x=1",
            "http://a#f",
            "http://user:pw@a",
            "http://\u{fc}.example",
        ] {
            assert!(normalise(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_this_build_cannot_do_is_said_by_name() {
        #[cfg(not(feature = "tls"))]
        assert!(normalise("https://relay").unwrap_err().0.contains("TLS"));
        assert!(
            normalise("http://[::1]:9077")
                .unwrap_err()
                .0
                .contains("IPv6")
        );
        assert!(normalise("http://::1").unwrap_err().0.contains("IPv6"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_has_a_port_of_its_own() {
        for (given, normal) in [
            ("HTTPS://Relay:443/", "https://relay"),
            ("https://relay:80", "https://relay:80"),
            ("https://relay:9077", "https://relay:9077"),
        ] {
            assert_eq!(normalise(given).unwrap(), normal, "{given}");
        }
        assert_eq!(host_and_port("https://relay"), ("relay", "443"));
    }

    #[test]
    fn a_file_key_is_encoded_but_for_its_slashes() {
        assert_eq!(encode("src/a b\u{e9}?#%.rs"), "src/a%20b%C3%A9%3F%23%25.rs");
        assert_eq!(encode("\r\n"), "%0D%0A");
    }

    #[test]
    fn only_this_machine_is_local() {
        assert!(is_local("http://localhost:9077"));
        assert!(is_local("http://127.0.0.9"));
        assert!(!is_local("http://relay:9077"));
        assert_eq!(host_and_port("http://relay"), ("relay", "80"));
    }
}
