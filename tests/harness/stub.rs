//! A server that answers as a test tells it to, and remembers what it was asked.

use crate::PATIENCE;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method and the path: `POST /delegate`.
    pub line: String,
    /// Everything before the body, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Request {
    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// What a stub does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status with JSON.
    Json(u16, Value),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, and then the same letter until the peer leaves.
    Endless(Vec<u8>),
    /// These bytes, and then nothing until the peer leaves.
    Silence(Vec<u8>),
}

impl Answer {
    /// A reply of status 200.
    pub fn ok(body: Value) -> Answer {
        Answer::Json(200, body)
    }

    /// A connection that breaks without a reply.
    pub fn broken() -> Answer {
        Answer::Raw(Vec::new())
    }
}

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

/// A running stub; it ends with this value.
pub struct Stub {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Stub {
    /// One that asks `script` what to answer.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(stream));
            }
        });
        Stub { address, shared }
    }

    /// One that gives the same answer to everything.
    pub fn saying(answer: Answer) -> Stub {
        Stub::start(move |_| answer.clone())
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The methods and paths that it was asked so far.
    pub fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|r| r.line).collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// Answers one request; a peer that leaves early is no failure.
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let Some(request) = read(&mut stream) else {
            return;
        };
        lock(&self.requests).push(request.clone());
        let answer = lock(&self.script)(&request);
        match answer {
            Answer::Json(status, body) => {
                let reply = reply(status, &body.to_string());
                let _ = stream.write_all(&reply);
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes);
            }
            Answer::Endless(bytes) => {
                let _ = stream.write_all(&bytes);
                while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
            }
            Answer::Silence(bytes) => {
                let _ = stream.write_all(&bytes);
                let _ = stream.read(&mut [0]);
            }
        }
    }
}

/// A reply of this status, which ends with its length.
pub fn reply(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n");
    format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let words: Vec<&str> = head.split(' ').take(2).collect();
    let mut request = Request {
        line: words.join(" "),
        head,
        body: String::new(),
    };
    let length = request.header("Content-Length").unwrap_or("0");
    let length: usize = length.parse().ok()?;
    while bytes.len() < end + length {
        more(stream, &mut bytes)?;
    }
    request.body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Some(request)
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 1 << 14];
    let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
    bytes.extend(&part[..count]);
    Some(())
}

/// A script that panicked has failed its test already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
