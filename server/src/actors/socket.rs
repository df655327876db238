//! What an open socket is to the actors. Its session lives above them, in `http/ws.rs`.

use super::agent::poll::Handed;
use crate::core::window::Mark;
use actix::{Message, Recipient};
use bytestring::ByteString;

/// Messages to write. When a ping that was written after them is answered, everything before
/// `mark` was read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// In this order.
    pub messages: Vec<Handed>,
    /// Where the stream stands after them.
    pub mark: Mark,
}

/// A notice that may be lost: who came, who left.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Announce(pub ByteString);

/// Why a socket is told to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Dismiss {
    /// The relay ends: 1001.
    GoingAway,
    /// A second socket of the same agent has come: 4001.
    Replaced,
    /// The agent was deregistered or reaped: 1000.
    Removed,
    /// A secret has claimed the agent, and the socket has not shown it: 4003.
    NotYours,
}

/// The ways to talk to one open socket.
#[derive(Debug, Clone)]
pub struct SocketHandle {
    /// Bounded by the window.
    pub deliver: Recipient<Deliver>,
    /// Bounded by the session's channel: `try_send` only.
    pub announce: Recipient<Announce>,
    /// Once.
    pub dismiss: Recipient<Dismiss>,
}
