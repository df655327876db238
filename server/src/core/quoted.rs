//! Long strings of JSON: read where they stand, and written piece by piece, so that no second whole
//! of them is ever made.

use super::json::is_plain;
use bytes::Bytes;
use memchr::memchr;
use std::fmt;

#[cfg(test)]
mod tests;

/// Bytes of a text that are written at a time. Each becomes six at most.
pub const PIECE: usize = 48 * 1024;

/// Why a string of JSON is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotText;

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a \\u escape is half of a surrogate pair")
    }
}

impl std::error::Error for NotText {}

/// Replaces a string of JSON, with its quotes, by what it says, which is never longer. That it is one
/// was seen when it was parsed; what is found here besides is an escape that stands for no character.
/// After an error something of both stands there.
pub fn unquote(json: &mut Vec<u8>) -> Result<(), NotText> {
    let end = json.len().saturating_sub(1);
    let (mut from, mut to) = (1, 0);
    while from < end {
        let rest = &json[from..end];
        let plain = memchr(b'\\', rest).unwrap_or(rest.len());
        json.copy_within(from..from + plain, to);
        (from, to) = (from + plain, to + plain);
        if from < end {
            let (said, length) = escape(&json[from..end]).ok_or(NotText)?;
            to += said.encode_utf8(&mut json[to..]).len();
            from += length;
        }
    }
    json.truncate(to);
    Ok(())
}

/// What the escape says that a text begins with, and its length.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let said = match text.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = unit(text)?;
            return match char::from_u32(unit.into()) {
                Some(said) => Some((said, 6)),
                None => pair(unit, self::unit(&text[6..])?).map(|said| (said, 12)),
            };
        }
        same => char::from(*same),
    };
    Some((said, 2))
}

/// The four digits of a `\u` escape.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn pair(first: u16, second: u16) -> Option<char> {
    char::decode_utf16([first, second]).next()?.ok()
}

/// Bytes of a text as JSON, without its quotes.
pub fn quoted_len(text: &str) -> usize {
    // Without a branch, and summed up in a byte, so that many are looked at together.
    let more = |sum: u8, byte: &u8| {
        let byte = *byte;
        let quoted = u8::from((byte == b'"') | (byte == b'\\'));
        let control = u8::from(byte < 0x20);
        let short = u8::from(
            (byte == 0x8) | (byte == b'\t') | (byte == b'\n') | (byte == 0xc) | (byte == b'\r'),
        );
        sum + quoted + 5 * control - 4 * short
    };
    let sum = |bytes: &[u8]| {
        let parts = bytes.chunks(32);
        let more = parts.map(|part| usize::from(part.iter().fold(0, more)));
        more.sum::<usize>()
    };
    // Most of a text is plain, which is seen several times as fast as anything is counted.
    let odd = text.as_bytes().chunks(512).filter(|bytes| !is_plain(bytes));
    text.len() + odd.map(sum).sum::<usize>()
}

/// The piece of a text that begins at `at`, ends where a character does, and is [`PIECE`] long at
/// most; empty at its end.
pub fn piece(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    let mut end = PIECE.min(rest.len());
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    &rest[..end]
}

/// A text as JSON, without its quotes; nothing where it is that already.
pub fn quote(text: &str) -> Option<Bytes> {
    let length = quoted_len(text);
    if length == text.len() {
        return None;
    }
    let mut json = Vec::with_capacity(length + 2);
    // Writing to a Vec does not fail.
    let _ = serde_json::to_writer(&mut json, text);
    let end = json.len().saturating_sub(1);
    Some(Bytes::from(json).slice(1.min(end)..end))
}
