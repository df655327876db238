//! WebSockets of agents, over the connections of the load generator.

use crate::Outcome;
use crate::http::{Connection, Load, PATIENCE};
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Opens the sockets of these agents. `query` stands behind their paths.
pub(crate) fn open(
    address: SocketAddr,
    agents: impl ExactSizeIterator<Item = String>,
    query: &str,
) -> Outcome<Load> {
    let mut load = Load::connect(address, agents.len())?;
    for (number, agent) in agents.enumerate() {
        let connection = load.connection(number);
        write!(
            connection.out(),
            "GET /ws/{agent}{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        connection.flush()?;
    }
    for number in 0..load.len() {
        let end = Instant::now() + PATIENCE;
        while !upgraded(load.connection(number))? {
            if Instant::now() > end {
                return Err("an upgrade was not answered".into());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    Ok(load)
}

fn upgraded(connection: &mut Connection) -> Outcome<bool> {
    connection.fill()?;
    match connection.reply()? {
        None => Ok(false),
        Some(reply) if reply.status == 101 => Ok(true),
        Some(reply) => Err(format!("an upgrade was answered with {}", reply.status).into()),
    }
}

/// Hands each text that has come to `hear`, and answers pings, which waits to be sent.
pub(crate) fn hear(
    connection: &mut Connection,
    mut hear: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    connection.fill()?;
    while let Some((first, head, length)) = frame(connection.unread()) {
        let whole = head + length;
        let payload = &connection.unread()[head..whole];
        match first & 0x0F {
            TEXT => hear(payload)?,
            PING => {
                let mut pong = Vec::new();
                write_frame(&mut pong, PONG, payload);
                connection.out().extend(pong);
            }
            CLOSE => return Err("the relay has closed a socket".into()),
            _ => {}
        }
        connection.take(whole);
    }
    Ok(())
}

/// First byte, bytes of the head and of the payload of the frame at the beginning, if it is there in full.
fn frame(input: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*input.first()?, *input.get(1)?);
    let (head, length) = match second & 0x7F {
        126 => (
            4,
            usize::from(u16::from_be_bytes(input.get(2..4)?.try_into().ok()?)),
        ),
        127 => (
            10,
            u64::from_be_bytes(input.get(2..10)?.try_into().ok()?) as usize,
        ),
        short => (2, usize::from(short)),
    };
    (input.len() >= head + length).then_some((first, head, length))
}

/// Writes a text as a client does.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_frame(out, TEXT, text);
}

/// A frame under a mask of zeros: the server takes it off as it would any other.
fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(payload);
}

/// Says goodbye on all of them, and waits until the relay has closed them.
pub(crate) fn close(mut load: Load) -> Outcome<()> {
    for number in 0..load.len() {
        let connection = load.connection(number);
        write_frame(connection.out(), CLOSE, &1000u16.to_be_bytes());
        connection.flush()?;
    }
    let end = Instant::now() + PATIENCE;
    for number in 0..load.len() {
        // An error is the end that is waited for.
        while hear(load.connection(number), |_| Ok(())).is_ok() {
            if Instant::now() > end {
                return Err("the relay does not close its sockets".into());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for length in [0, 125, 126, 70_000] {
            let mut out = Vec::new();
            write_frame(&mut out, TEXT, &vec![b'a'; length]);
            // A server's frame has no mask.
            out[1] &= 0x7F;
            let (_, head, found) = frame(&out).unwrap();
            assert_eq!(found, length);
            assert_eq!(out.len(), head + 4 + length);
            assert!(frame(&out[..1]).is_none());
        }
    }
}
