//! What a file holds.

use super::json;
use super::quoted::{self, NotText, PIECE, piece, quoted_len};
use bytes::Bytes;
use bytestring::ByteString;
use clawlink_protocol::base64::{self, NotBase64};
use clawlink_protocol::files::BASE64;
use memchr::memchr;
use std::ops::Deref;

#[cfg(test)]
mod tests;

/// What a file holds, in buffers of its own that are as long as what they hold. A clone shares it.
#[derive(Debug, Clone)]
pub enum Content {
    /// Text: the usual case.
    Text(Text),
    /// Bytes that came as base64.
    Bytes(Bytes),
    /// Any other JSON value, as it was written.
    Json(ByteString),
}

/// A text, and how long it is as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    text: ByteString,
    /// Between its quotes. To find that out takes a look at all of it.
    json_len: usize,
}

impl From<ByteString> for Text {
    fn from(text: ByteString) -> Text {
        let json_len = quoted_len(&text);
        Text { text, json_len }
    }
}

impl Deref for Text {
    type Target = ByteString;

    fn deref(&self) -> &ByteString {
        &self.text
    }
}

/// Contents below this are copied out of what brought them. A longer one stays in its buffer. What is
/// left over where it has become shorter is given back: an allocator may do so in whole pages, which
/// little would not make up for.
const COPIED_BELOW: usize = 64 * 1024;

/// This part of a text, without what brought it if it is short.
fn own(text: &ByteString, part: &str) -> ByteString {
    match part.len() < COPIED_BELOW {
        true => ByteString::from(part),
        false => text.slice_ref(part),
    }
}

/// These bytes, and no room besides.
fn exact(mut bytes: Vec<u8>) -> Bytes {
    if bytes.len() < COPIED_BELOW {
        return Bytes::copy_from_slice(&bytes);
    }
    bytes.shrink_to_fit();
    Bytes::from(bytes)
}

fn text(bytes: Bytes) -> Result<ByteString, NotText> {
    ByteString::try_from(bytes).map_err(|_| NotText)
}

impl Content {
    /// A text.
    pub fn of_text(text: String) -> Content {
        let text = exact(text.into_bytes());
        // It was text, so it is.
        Content::Text(ByteString::try_from(text).unwrap_or_default().into())
    }

    /// The text that a string of JSON says. It takes the string's place where nobody else has it; where
    /// nothing is escaped it stays where it stands.
    pub fn of_string(json: ByteString) -> Result<Content, NotText> {
        let inside = json
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        // What JSON would have to escape stands in none of its strings as it is.
        let plain = inside.filter(|text| memchr(b'\\', text.as_bytes()).is_none());
        if let Some(plain) = plain {
            let (text, json_len) = (own(&json, plain), plain.len());
            return Ok(Content::Text(Text { text, json_len }));
        }
        let mut bytes = Vec::from(json.into_bytes());
        quoted::unquote(&mut bytes)?;
        Ok(Content::Text(text(exact(bytes))?.into()))
    }

    /// The bytes that a string of JSON brings as base64; likewise.
    pub fn of_base64(json: ByteString) -> Result<Content, NotBase64> {
        let mut bytes = Vec::from(json.into_bytes());
        quoted::unquote(&mut bytes).map_err(|_| NotBase64)?;
        base64::decode(&mut bytes)?;
        Ok(Content::Bytes(exact(bytes)))
    }

    /// A JSON value that is no string, as every reader can read it; likewise.
    pub fn of_value(json: ByteString) -> Result<Content, serde_json::Error> {
        json::check(&json)?;
        Ok(Content::Json(own(&json, &json)))
    }

    /// Bytes it is counted with, decoded.
    pub fn size(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Bytes(bytes) => bytes.len(),
            Content::Json(json) => json.len(),
        }
    }

    /// How it is written into JSON, where that is not as it is.
    pub fn encoding(&self) -> Option<&'static str> {
        matches!(self, Content::Bytes(_)).then_some(BASE64)
    }

    /// What stands before and after it in JSON.
    pub fn quote(&self) -> &'static str {
        match self {
            Content::Text(_) | Content::Bytes(_) => "\"",
            Content::Json(_) => "",
        }
    }

    /// Bytes of it as JSON, between its quotes.
    fn json_len(&self) -> usize {
        match self {
            Content::Text(text) => text.json_len,
            Content::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
            Content::Json(json) => json.len(),
        }
    }

    /// It as JSON, between its quotes, in pieces of at most six times [`PIECE`] bytes. What is stored as
    /// it is written is not copied.
    pub fn pieces(self) -> Pieces {
        Pieces {
            length: self.json_len(),
            content: self,
            at: 0,
        }
    }
}

/// See [`Content::pieces`].
#[derive(Debug)]
pub struct Pieces {
    content: Content,
    /// Bytes of all of them.
    length: usize,
    at: usize,
}

impl Pieces {
    /// Bytes of all of them together.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let (length, json) = match &self.content {
            Content::Text(text) => {
                let part = piece(text, self.at);
                let is_plain = self.length == text.len();
                let json = if is_plain { None } else { quoted::quote(part) };
                (
                    part.len(),
                    json.unwrap_or_else(|| text.slice_ref(part).into_bytes()),
                )
            }
            Content::Bytes(bytes) => {
                let rest = bytes.get(self.at..).unwrap_or_default();
                // Groups of three, so that only the last piece is padded.
                let part = &rest[..rest.len().min(PIECE / 3 * 3)];
                (part.len(), base64::encode(part).into())
            }
            Content::Json(json) => {
                let part = piece(json, self.at);
                (part.len(), json.slice_ref(part).into_bytes())
            }
        };
        self.at += length;
        (length > 0).then_some(json)
    }
}
