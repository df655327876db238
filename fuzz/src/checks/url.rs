use crate::url::{encode, host_and_port, is_local, normalise};

/// A relay's URL as somebody typed it, and a text that becomes a part of a path.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = normalise(&text) {
        assert_eq!(normalise(&url).as_ref(), Ok(&url), "has one form");
        let safe = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b":/._-".contains(&b);
        assert!(url.bytes().all(safe), "{url:?}");
        let (host, port) = host_and_port(&url);
        assert!(!host.is_empty() && !host.contains([':', '/']));
        assert!(port.parse::<u16>().is_ok_and(|port| port > 0));
        assert!(!is_local(&url) || host == "localhost" || host.starts_with("127."));
    }

    let encoded = encode(&text);
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
    assert!(encoded.bytes().all(safe), "{encoded:?}");
    assert_eq!(decode(&encoded), text.as_bytes());
}

fn decode(encoded: &str) -> Vec<u8> {
    let mut parts = encoded.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, plain) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend_from_slice(plain.as_bytes());
    }
    bytes
}
