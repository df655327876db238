//! Connections that speak HTTP/1.1, kept alive, many on one thread: the load generator. It is cheap, so
//! that it leaves the processors to what it measures.

use crate::Outcome;
use rustix::event::epoll;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Nothing may be silent for longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks for a reply, where nothing is measured.
const BETWEEN: Duration = Duration::from_micros(50);
/// Bytes read at a time.
const READ: usize = 16 * 1024;
/// Bytes of a head at most.
const HEAD: usize = 16 * 1024;

/// A reply that is there in full.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: &'a [u8],
}

impl Reply<'_> {
    /// See [`word`].
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        word(self.body, name)
    }

    /// Anything but 200 is an error of the measurement.
    pub(crate) fn expect_ok(&self) -> Outcome<()> {
        if self.status == 200 {
            return Ok(());
        }
        let body = String::from_utf8_lossy(self.body);
        Err(format!("a request was answered with {}: {body}", self.status).into())
    }
}

/// The text of a field of this JSON, wherever it stands, which has no escapes: the ids and tokens that the
/// relay makes.
pub(crate) fn word<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(json).ok()?;
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(word, _)| word)
}

/// Writes a request.
pub(crate) fn write_request(out: &mut Vec<u8>, method: &str, path: &str, body: &[u8]) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if method == "POST" {
        let _ = write!(
            out,
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// A connection that is never waited for.
pub(crate) struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    /// Bytes of `out` that were sent.
    sent: usize,
    input: Vec<u8>,
    /// Bytes of `input` that were read as replies.
    taken: usize,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Outcome<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            out: Vec::new(),
            sent: 0,
            input: Vec::new(),
            taken: 0,
        })
    }

    /// What is written there is sent by [`Connection::flush`].
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Sends what the kernel takes; whether that was all.
    pub(crate) fn flush(&mut self) -> Outcome<bool> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Reads what has come.
    pub(crate) fn fill(&mut self) -> Outcome<()> {
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        } else if self.taken > READ {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        loop {
            let had = self.input.len();
            self.input.resize(had + READ, 0);
            let read = self.stream.read(&mut self.input[had..]);
            self.input
                .truncate(had + read.as_ref().copied().unwrap_or(0));
            match read {
                Ok(0) => return Err("the server has closed a connection".into()),
                // What is left is told by the next event.
                Ok(count) if count < READ => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next reply, if it is there in full.
    pub(crate) fn reply(&mut self) -> Outcome<Option<Reply<'_>>> {
        let input = &self.input[self.taken..];
        let Some((status, head, body)) = sizes(input)? else {
            return Ok(None);
        };
        if input.len() < head + body {
            return Ok(None);
        }
        let start = self.taken + head;
        self.taken = start + body;
        Ok(Some(Reply {
            status,
            body: &self.input[start..start + body],
        }))
    }

    /// Sends what is to be sent, and takes the next reply if it is there. Its status must be 200.
    pub(crate) fn answered(&mut self) -> Outcome<bool> {
        self.flush()?;
        self.fill()?;
        match self.reply()? {
            Some(reply) => reply.expect_ok().map(|()| true),
            None => Ok(false),
        }
    }

    /// What was read and not yet taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Takes so many bytes of what was read.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

/// Status, bytes of the head and bytes of the body of the reply at the beginning of these bytes, once its
/// head is there.
fn sizes(input: &[u8]) -> Outcome<Option<(u16, usize, usize)>> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        if input.len() > HEAD {
            return Err("a reply's head has no end".into());
        }
        return Ok(None);
    };
    let head = std::str::from_utf8(&input[..end])?;
    let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let status: u16 = match first.strip_prefix("HTTP/1.1 ").and_then(|s| s.get(..3)) {
        Some(status) => status.parse()?,
        None => return Err(format!("not a reply: {first}").into()),
    };
    let mut length = None;
    for line in rest.split("\r\n") {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        }
    }
    match length {
        Some(length) => Ok(Some((status, end + 4, length))),
        None if [101, 204, 304].contains(&status) => Ok(Some((status, end + 4, 0))),
        None => Err(format!("a reply without its length: {head}").into()),
    }
}

/// What connections ask, and what becomes of the replies.
pub(crate) trait Script {
    /// Writes the next request of this connection; false when it has none any more.
    fn ask(&mut self, connection: usize, out: &mut Vec<u8>) -> bool;

    /// Takes the reply to the oldest request of this connection that has none. Its status is 200.
    fn hear(&mut self, connection: usize, reply: &Reply<'_>) -> Outcome<()>;
}

/// Connections to one server.
pub(crate) struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
}

/// How a script went.
#[derive(Debug, Clone)]
pub(crate) struct Spent {
    /// From the first request to the last reply.
    pub(crate) elapsed: Duration,
    /// From request to reply, shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    /// Connects so many times.
    pub(crate) fn connect(address: SocketAddr, count: usize) -> Outcome<Load> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for number in 0..count {
            let connection = Connection::open(address)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &connection.stream, data, epoll::EventFlags::IN)?;
            connections.push(connection);
        }
        Ok(Load { epoll, connections })
    }

    /// Runs a script to its end, with so many requests under way on each connection.
    pub(crate) fn run(&mut self, script: &mut impl Script, depth: usize) -> Outcome<Spent> {
        let mut waiting = vec![VecDeque::new(); self.connections.len()];
        let mut done = vec![false; self.connections.len()];
        let mut latencies = Vec::new();
        let mut events = Vec::with_capacity(self.connections.len());
        let mut open = 0;
        let began = Instant::now();
        for number in 0..self.connections.len() {
            open += self.ask(number, script, depth, &mut waiting, &mut done)?;
        }
        while open > 0 {
            self.wait(&mut events, PATIENCE)?;
            if events.is_empty() {
                return Err(format!("{open} requests were not answered").into());
            }
            for number in events.drain(..) {
                let connection = &mut self.connections[number];
                connection.fill()?;
                while let Some(reply) = connection.reply()? {
                    let asked: Option<Instant> = waiting[number].pop_front();
                    let asked = asked.ok_or("a reply that nobody asked for")?;
                    latencies.push(asked.elapsed());
                    open -= 1;
                    reply.expect_ok()?;
                    script.hear(number, &reply)?;
                }
                open += self.ask(number, script, depth, &mut waiting, &mut done)?;
            }
        }
        let elapsed = began.elapsed();
        latencies.sort_unstable();
        Ok(Spent { elapsed, latencies })
    }

    /// Gives a connection what it has to ask; how many requests that were.
    fn ask(
        &mut self,
        number: usize,
        script: &mut impl Script,
        depth: usize,
        waiting: &mut [VecDeque<Instant>],
        done: &mut [bool],
    ) -> Outcome<usize> {
        let connection = &mut self.connections[number];
        let mut asked = 0;
        while !done[number] && waiting[number].len() < depth {
            if script.ask(number, connection.out()) {
                waiting[number].push_back(Instant::now());
                asked += 1;
            } else {
                done[number] = true;
            }
        }
        let end = Instant::now() + PATIENCE;
        // What is under way is bounded by `depth`: the server takes it before it answers.
        while !connection.flush()? {
            if Instant::now() > end {
                return Err("the server takes no more requests".into());
            }
            connection.fill()?;
            std::thread::yield_now();
        }
        Ok(asked)
    }

    /// The connections on which something has come, within this time.
    pub(crate) fn wait(&self, found: &mut Vec<usize>, within: Duration) -> Outcome<()> {
        let mut events = Vec::with_capacity(self.connections.len().max(1));
        let within = within.try_into()?;
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, buffer, Some(&within)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let numbers = events.iter().map(|event: &epoll::Event| event.data.u64());
        found.extend(numbers.map(|number| number as usize));
        Ok(())
    }

    /// Waits for a reply on each of the first so many connections.
    pub(crate) fn answers(&mut self, count: usize) -> Outcome<()> {
        for connection in self.connections.iter_mut().take(count) {
            let end = Instant::now() + PATIENCE;
            while !connection.answered()? {
                if Instant::now() > end {
                    return Err("a request was not answered".into());
                }
                std::thread::sleep(BETWEEN);
            }
        }
        Ok(())
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A connection.
    pub(crate) fn connection(&mut self, number: usize) -> &mut Connection {
        &mut self.connections[number]
    }
}

/// Asks the same thing in variations, so many times in all.
pub(crate) struct Each<F, H> {
    /// Requests that are still to be made, and the number of the next.
    pub(crate) numbers: std::ops::Range<usize>,
    /// Writes the request of this number.
    pub(crate) write: F,
    /// Takes a reply.
    pub(crate) hear: H,
}

impl<F, H> Script for Each<F, H>
where
    F: FnMut(usize, &mut Vec<u8>),
    H: FnMut(&Reply<'_>) -> Outcome<()>,
{
    fn ask(&mut self, _: usize, out: &mut Vec<u8>) -> bool {
        match self.numbers.next() {
            Some(number) => {
                (self.write)(number, out);
                true
            }
            None => false,
        }
    }

    fn hear(&mut self, _: usize, reply: &Reply<'_>) -> Outcome<()> {
        (self.hear)(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_when_it_is_there_in_full() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-LENGTH: 2\r\n\r\n{}HTTP/1.1 ";
        assert_eq!(sizes(whole).unwrap(), Some((200, 38, 2)));
        assert_eq!(sizes(&whole[..30]).unwrap(), None);
        assert!(sizes(b"HTTP/1.1 200 OK\r\ndate: x\r\n\r\n").is_err());
        assert!(sizes(b"junk\r\n\r\n").is_err());
    }
}
