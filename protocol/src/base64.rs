//! Bytes as text, RFC 4648 section 4: what a file holds that is not text travels so.

use std::fmt;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD: u8 = b'=';

/// Why a text is no base64. Reads as the end of a sentence that names the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotBase64;

impl fmt::Display for NotBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not base64 (RFC 4648, with padding and without line breaks)")
    }
}

impl std::error::Error for NotBase64 {}

/// Writes bytes as text, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            let digit = if place > group.len() { PAD } else { digit };
            text.push(char::from(digit));
        }
    }
    text
}

/// Reads what [`encode`] writes, and nothing else: of all spellings of some bytes one is taken, so
/// that equal bytes are equal texts.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return Err(NotBase64);
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text;
    while let Some((group, after)) = rest.split_at_checked(4).filter(|(g, _)| !g.is_empty()) {
        rest = after;
        let pads = group.iter().rev().take_while(|digit| **digit == PAD);
        let given = 4 - pads.count();
        if given < 2 || (given < 4 && !rest.is_empty()) {
            return Err(NotBase64);
        }
        let mut word = 0;
        for digit in &group[..given] {
            word = word << 6 | value(*digit)?;
        }
        word <<= 6 * (4 - given);
        let [_, decoded @ ..] = word.to_be_bytes();
        let (used, unused) = decoded.split_at(given - 1);
        if unused.iter().any(|byte| *byte != 0) {
            return Err(NotBase64);
        }
        bytes.extend_from_slice(used);
    }
    Ok(bytes)
}

fn value(digit: u8) -> Result<u32, NotBase64> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return Err(NotBase64),
    };
    Ok(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_back() {
        for length in 0..600_usize {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + length) as u8).collect();
            assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        for text in [
            "Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-_",
            "Zm 9v", "=m9v", "Zg=v", "ä===",
        ] {
            assert_eq!(decode(text), Err(NotBase64), "{text:?}");
        }
    }
}
