//! A message as the relay holds it: serialised once, when it is accepted, and shared from then
//! on. A broadcast to 10,000 agents is one of these and 10,000 pointers.

use bytestring::ByteString;
use clawlink_protocol::messages::Priority;
use std::sync::Arc;

/// What a message counts as in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A delegation or a response: refused when the inbox is full, never dropped.
    Mail,
    /// A broadcast: never refused, gives way when there are too many.
    Broadcast,
    /// The notice of a changed file: as a broadcast, and the older one of a key goes first.
    FileUpdated(Arc<str>),
}

/// An accepted message.
#[derive(Debug)]
pub struct Envelope {
    /// The whole JSON object, as a socket sends it.
    pub body: ByteString,
    /// How it is counted.
    pub kind: Kind,
    /// Where it stands in the inbox.
    pub priority: Priority,
    /// When it was accepted, RFC 3339; a poll shows it as `queued_at`.
    pub accepted_at: String,
}

impl Envelope {
    /// Bytes it is counted with.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// Whether it is counted as mail, and not as a notice.
    pub fn is_mail(&self) -> bool {
        self.kind == Kind::Mail
    }

    /// Writes it as a poll shows it: with `queued_at`.
    pub fn write_polled(&self, out: &mut Vec<u8>) {
        let open = self.body.strip_suffix('}').unwrap_or(&self.body);
        out.extend_from_slice(open.as_bytes());
        out.extend_from_slice(b",\"queued_at\":\"");
        out.extend_from_slice(self.accepted_at.as_bytes());
        out.extend_from_slice(b"\"}");
    }
}
