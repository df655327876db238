//! One request over a connection that may do anything. Whatever is not clearly an answer is unknown.

use crate::record::Told;
use harness::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A request to make.
#[derive(Debug, Default, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Without one it is a GET.
    pub(crate) body: Option<String>,
    /// The `Idempotency-Key`.
    pub(crate) key: Option<String>,
}

impl Request {
    /// A GET.
    pub(crate) fn get(path: impl Into<String>) -> Request {
        Request {
            path: path.into(),
            ..Request::default()
        }
    }

    /// A POST.
    pub(crate) fn post(path: &str, body: &Value) -> Request {
        Request {
            path: path.to_owned(),
            body: Some(body.to_string()),
            key: None,
        }
    }

    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let body = self.body.as_deref().unwrap_or_default();
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n",
            self.path
        );
        if self.body.is_some() {
            head.push_str("Content-Type: application/json\r\n");
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        if let Some(key) = &self.key {
            head.push_str(&format!("Idempotency-Key: {key}\r\n"));
        }
        format!("{head}\r\n{body}").into_bytes()
    }
}

/// Makes a request, and waits so long for all of the answer.
pub(crate) fn call(address: SocketAddr, request: &Request, patience: Duration) -> Told<Value> {
    let end = Instant::now() + patience;
    exchange(address, request, end)
        .and_then(|answer| understand(&answer))
        .unwrap_or(Told::Unknown)
}

fn exchange(address: SocketAddr, request: &Request, end: Instant) -> Option<Vec<u8>> {
    let left = || end.checked_duration_since(Instant::now());
    let mut stream = TcpStream::connect_timeout(&address, left()?).ok()?;
    stream.set_write_timeout(left()).ok()?;
    // Who cannot say everything may still be answered.
    let _ = stream.write_all(&request.bytes(address));
    let (mut answer, mut part) = (Vec::new(), [0; 1 << 14]);
    loop {
        stream
            .set_read_timeout(Some(left()?.max(Duration::from_millis(1))))
            .ok()?;
        match stream.read(&mut part) {
            Ok(0) => return Some(answer),
            Ok(count) => answer.extend_from_slice(&part[..count]),
            // What came before may be whole.
            Err(_) => return Some(answer),
        }
        if understand(&answer).is_some() {
            return Some(answer);
        }
    }
}

/// The answer, if all of it is there.
fn understand(answer: &[u8]) -> Option<Told<Value>> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..at]).ok()?;
    let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.next()?.1.trim().parse().ok()?;
    let body = answer.get(at + 4..at + 4 + length)?;
    let body: Value = serde_json::from_slice(body).ok()?;
    match status {
        200 => Some(Told::Done(body)),
        400..=499 | 507 => {
            let code = body["code"].as_str().unwrap_or_default();
            Some(Told::Refused(status, code.to_owned()))
        }
        _ => Some(Told::Unknown),
    }
}
