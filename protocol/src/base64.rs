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
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    let mut groups = bytes.chunks_exact(3);
    for group in &mut groups {
        text.extend_from_slice(&digits(group[0], group[1], group[2]));
    }
    match *groups.remainder() {
        [a] => {
            let [first, second, ..] = digits(a, 0, 0);
            text.extend_from_slice(&[first, second, PAD, PAD]);
        }
        [a, b] => {
            let [first, second, third, _] = digits(a, b, 0);
            text.extend_from_slice(&[first, second, third, PAD]);
        }
        _ => {}
    }
    // Digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}

fn digits(a: u8, b: u8, c: u8) -> [u8; 4] {
    let word = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift) as usize & 63])
}

/// Reads what [`encode`] writes, and nothing else: of all spellings of some bytes one is taken, so
/// that equal bytes are equal texts. The bytes take the place of the text, which may be long; after
/// an error something of both stands there.
pub fn decode(text: &mut Vec<u8>) -> Result<(), NotBase64> {
    let pads = text.iter().rev().take_while(|digit| **digit == PAD).count();
    if !text.len().is_multiple_of(4) || pads > 2 {
        return Err(NotBase64);
    }
    let length = text.len() / 4 * 3 - pads;
    let given = text.len() - pads;
    text[given..].fill(DIGITS[0]);
    let mut to = 0;
    for from in (0..text.len()).step_by(4) {
        let group: [u8; 4] = text[from..from + 4].try_into().unwrap_or([PAD; 4]);
        let group = group.map(|digit| VALUES[usize::from(digit)]);
        if group.contains(&NONE) {
            return Err(NotBase64);
        }
        let word = group.iter().fold(0, |word, v| word << 6 | u32::from(*v));
        text[to..to + 3].copy_from_slice(&word.to_be_bytes()[1..]);
        to += 3;
    }
    // What is left over of the last digit says nothing, and must be 0.
    if text[length..to].iter().any(|byte| *byte != 0) {
        return Err(NotBase64);
    }
    text.truncate(length);
    Ok(())
}

/// What is no digit.
const NONE: u8 = u8::MAX;

/// What each byte is worth as a digit.
const VALUES: [u8; 256] = {
    let (mut values, mut n) = ([NONE; 256], 0);
    while n < DIGITS.len() {
        values[DIGITS[n] as usize] = n as u8;
        n += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, NotBase64> {
        let mut text = text.as_bytes().to_vec();
        decode(&mut text).map(|()| text)
    }

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
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_back() {
        for length in 0..600_usize {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + length) as u8).collect();
            assert_eq!(decoded(&encode(&bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        for text in [
            "Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-_",
            "Zm 9v", "=m9v", "Zg=v", "ä===",
        ] {
            assert_eq!(decoded(text), Err(NotBase64), "{text:?}");
        }
    }
}
