//! What a file holds.

use bytes::Bytes;
use bytestring::ByteString;
use clawlink_protocol::base64;
use clawlink_protocol::files::BASE64;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// What a file holds. A clone shares it.
#[derive(Debug, Clone)]
pub enum Content {
    /// Text: the usual case.
    Text(ByteString),
    /// Bytes that came as base64.
    Bytes(Bytes),
    /// Any other JSON value, as it was written.
    Json(std::sync::Arc<RawValue>),
}

impl Content {
    /// Bytes it is counted with, decoded.
    pub fn size(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Bytes(bytes) => bytes.len(),
            Content::Json(json) => json.get().len(),
        }
    }

    /// How it is written into JSON, where that is not as it is.
    pub fn encoding(&self) -> Option<&'static str> {
        matches!(self, Content::Bytes(_)).then_some(BASE64)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Text(text) => serializer.serialize_str(text),
            Content::Bytes(bytes) => serializer.serialize_str(&base64::encode(bytes)),
            Content::Json(json) => json.serialize(serializer),
        }
    }
}
