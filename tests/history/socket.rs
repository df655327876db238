//! A WebSocket client that may stop at any moment and says what it has read by then. A library
//! would answer pings, and close, when it sees fit.

use harness::Value;
use harness::socket::frame;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What came.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Text(Value),
    Ping(Vec<u8>),
    Close,
    /// Nothing, within the time given.
    Nothing,
    /// The connection has ended, or something came that is no frame.
    Gone,
}

/// An open socket.
pub(crate) struct Socket {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Socket {
    /// Opens a path; `None` where the upgrade was not answered as it should be.
    pub(crate) fn open(address: SocketAddr, path: &str, patience: Duration) -> Option<Socket> {
        let stream = TcpStream::connect_timeout(&address, patience).ok()?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let bytes = Vec::new();
        let mut socket = Socket { stream, bytes };
        socket.stream.set_write_timeout(Some(patience)).ok()?;
        socket.stream.write_all(head.as_bytes()).ok()?;
        let end = Instant::now() + patience;
        loop {
            if let Some(at) = socket.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let upgraded = socket.bytes.starts_with(b"HTTP/1.1 101");
                socket.bytes.drain(..at + 4);
                return upgraded.then_some(socket);
            }
            if !socket.more(end)? {
                return None;
            }
        }
    }

    /// Reads on; false where the time is up, `None` at the end.
    fn more(&mut self, end: Instant) -> Option<bool> {
        let Some(left) = end.checked_duration_since(Instant::now()) else {
            return Some(false);
        };
        let left = left.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left)).ok()?;
        let mut part = [0; 1 << 14];
        match self.stream.read(&mut part) {
            Ok(count @ 1..) => {
                self.bytes.extend_from_slice(&part[..count]);
                Some(true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(false),
            _ => None,
        }
    }

    /// The next frame, if one comes in time.
    pub(crate) fn next(&mut self, within: Duration) -> Frame {
        let end = Instant::now() + within;
        loop {
            if let Some(frame) = self.whole() {
                return frame;
            }
            match self.more(end) {
                Some(true) => {}
                Some(false) => return Frame::Nothing,
                None => return Frame::Gone,
            }
        }
    }

    /// A frame that is there to its end. The relay's frames are neither masked nor in parts.
    fn whole(&mut self) -> Option<Frame> {
        let (&first, &second) = (self.bytes.first()?, self.bytes.get(1)?);
        let (length, at) = match second {
            126 => {
                let bytes = self.bytes.get(2..4)?.try_into().ok()?;
                (u64::from(u16::from_be_bytes(bytes)), 4)
            }
            127 => (
                u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?),
                10,
            ),
            short => (u64::from(short), 2),
        };
        let end = at + usize::try_from(length).ok()?;
        let payload = self.bytes.get(at..end)?.to_vec();
        self.bytes.drain(..end);
        Some(match first {
            0x81 => serde_json::from_slice(&payload).map_or(Frame::Gone, Frame::Text),
            0x89 => Frame::Ping(payload),
            0x88 => Frame::Close,
            // An answer to a ping of ours, of which there are none.
            0x8A => Frame::Nothing,
            _ => Frame::Gone,
        })
    }

    /// Sends JSON.
    pub(crate) fn say(&mut self, value: &Value) {
        self.write(0x81, value.to_string().as_bytes());
    }

    /// Answers a ping.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        self.write(0x8A, payload);
    }

    /// Says goodbye; the answer is still to be read.
    pub(crate) fn close(&mut self) {
        self.write(0x88, &1000u16.to_be_bytes());
    }

    /// A peer that has left is found out by reading.
    fn write(&mut self, first: u8, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(first, payload));
    }

    /// Ends the connection as if it had never been.
    pub(crate) fn reset(self) {
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}
