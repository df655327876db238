//! A WebSocket client: one that behaves, and raw bytes for one that does not.

use crate::PATIENCE;
use crate::http::connect;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::{Message, WebSocket};

/// An open socket that behaves: it answers pings while it reads.
pub struct Socket<S = TcpStream>(WebSocket<S>);

impl Socket {
    /// Opens an agent's socket.
    ///
    /// # Panics
    /// When the relay refuses.
    pub fn open(address: SocketAddr, agent_id: &str) -> Socket {
        Socket::try_open(address, &format!("/ws/{agent_id}"))
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens a path.
    ///
    /// # Errors
    /// What the relay said instead.
    pub fn try_open(address: SocketAddr, path: &str) -> Result<Socket, String> {
        Socket::try_open_with(address, path, &[])
    }

    /// The same with these headers.
    ///
    /// # Errors
    /// What the relay said instead.
    pub fn try_open_with(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, String> {
        Socket::over_with(connect(address), address, path, headers)
    }

    /// Every frame that comes until nothing has come for a while.
    pub fn drain(&mut self, silence: Duration) -> Vec<Value> {
        self.0
            .get_ref()
            .set_read_timeout(Some(silence))
            .expect("a time-out");
        let mut frames = Vec::new();
        while let Ok(frame) = self.next_or_close() {
            frames.push(frame);
        }
        self.0
            .get_ref()
            .set_read_timeout(Some(PATIENCE))
            .expect("a time-out");
        frames
    }
}

impl<S: Read + Write> Socket<S> {
    /// Opens a path on this connection to there.
    ///
    /// # Errors
    /// What the relay said instead.
    pub fn over(stream: S, address: SocketAddr, path: &str) -> Result<Socket<S>, String> {
        Socket::over_with(stream, address, path, &[])
    }

    /// The same with these headers.
    fn over_with(
        stream: S,
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket<S>, String> {
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .map_err(|e| e.to_string())?;
        for (name, value) in headers {
            let value = value.parse().map_err(|_| format!("{name} is no header"))?;
            request.headers_mut().insert(*name, value);
        }
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends a frame.
    pub fn send(&mut self, frame: &Value) {
        self.send_message(Message::text(frame.to_string()));
    }

    /// Sends any message.
    ///
    /// # Panics
    /// When the socket has closed.
    pub fn send_message(&mut self, message: Message) {
        self.0.send(message).expect("the socket is open");
    }

    /// The next frame that is JSON.
    ///
    /// # Panics
    /// When the socket closes, or nothing comes.
    pub fn frame(&mut self) -> Value {
        match self.next_or_close() {
            Ok(frame) => frame,
            Err(close) => panic!("the socket closed instead: {close:?}"),
        }
    }

    /// The next frame of this type; others are passed over.
    pub fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next frame, or how the socket closed.
    ///
    /// # Errors
    /// The close frame, if there was one.
    pub fn next_or_close(&mut self) -> Result<Value, Option<CloseFrame>> {
        let end = Instant::now() + PATIENCE * 2;
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(frame)) => return Err(frame),
                // Pings come for ever.
                Ok(_) => assert!(Instant::now() < end, "nothing has come but pings"),
                Err(_) => return Err(None),
            }
        }
    }

    /// Reads to the end: the code with which the relay closed.
    pub fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(close) = self.next_or_close() {
                return close.map(|frame| frame.code.into());
            }
        }
    }

    /// Says goodbye in good order, and waits for the answer.
    pub fn close(mut self) {
        let _ = self.0.close(None);
        while self.0.read().is_ok() {}
    }
}

/// A connection that was upgraded and from then on carries whatever a test writes.
pub struct RawSocket(pub TcpStream);

impl RawSocket {
    /// Upgrades an agent's socket.
    pub fn open(address: SocketAddr, agent_id: &str) -> RawSocket {
        RawSocket::over(connect(address), address, agent_id)
    }

    /// The same for a peer whose kernel takes next to nothing that it does not read.
    ///
    /// # Panics
    /// When the relay does not accept.
    pub fn open_narrow(address: SocketAddr, agent_id: &str) -> RawSocket {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&address.into()).expect("the relay accepts");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        RawSocket::over(stream, address, agent_id)
    }

    fn over(mut stream: TcpStream, address: SocketAddr, agent_id: &str) -> RawSocket {
        let head = format!(
            "GET /ws/{agent_id} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .expect("the request is written");
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream
                .read_exact(&mut byte)
                .expect("the upgrade is answered");
            reply.push(byte[0]);
        }
        assert!(
            reply.starts_with(b"HTTP/1.1 101"),
            "{}",
            String::from_utf8_lossy(&reply)
        );
        RawSocket(stream)
    }

    /// Writes bytes as they are; a peer that has closed is no failure.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Reads frames to the end of the connection: the code with which the relay closed.
    pub fn close_code(&mut self) -> Option<u16> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        let mut rest = &bytes[..];
        while let [first, second, after @ ..] = rest {
            let (length, after) = match (second & 0x7F, after) {
                (126, [a, b, after @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), after),
                (127, [a, b, c, d, e, f, g, h, after @ ..]) => (
                    u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize,
                    after,
                ),
                (short, after) => (usize::from(short), after),
            };
            let payload = after.get(..length)?;
            if first & 0x0F == 8 {
                return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
            }
            rest = &after[length..];
        }
        None
    }
}

/// A client's frame: its first byte, and a payload under a mask of zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = header(first, payload.len() as u64);
    out.extend(payload);
    out
}

/// The header of a client's frame, with a mask of zeros.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out
}
