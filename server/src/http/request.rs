//! A request as it lies in what a client has sent: whether it is there in full, and where it ends.
//!
//! `httparse` takes the head apart, as it does for the HTTP layer. Whatever is unusual in it, or wrong,
//! is that layer's to judge.

use super::frequent::Frequent;
use super::head::{Header, Headers, Name};
use httparse::Status;
use std::mem::MaybeUninit;

/// Headers of a request that is read here.
const HEADERS: usize = 32;

/// What stands at the beginning of some bytes.
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is made, and kept nowhere"
)]
pub enum Seen<'a> {
    /// One of the frequent calls, in full.
    Frequent(Request<'a>),
    /// The beginning of a head; or one of them, of so many bytes, whose body has not come in full.
    Part(Option<usize>),
    /// Another request; of so many bytes, if that can be told.
    Other(Option<usize>),
}

/// A frequent call.
pub struct Request<'a> {
    /// Which.
    pub call: Frequent,
    /// Its path.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// What its headers say.
    pub headers: Known<'a>,
    /// Its body.
    pub body: &'a [u8],
    /// Bytes of all of it.
    pub length: usize,
    /// Whether its client sends no other one on this connection.
    pub closes: bool,
}

/// The headers that are read.
#[derive(Debug, Default)]
pub struct Known<'a>([Header<'a>; Name::ALL.len()]);

impl Headers for Known<'_> {
    fn header(&self, name: Name) -> Header<'_> {
        self.0[name as usize]
    }
}

/// What a header is to the one who reads it here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A call may read it.
    Known(Name),
    /// What becomes of the connection.
    Connection,
    /// Its client waits before it sends the body.
    Expect,
    /// Where the body ends is told in another way than by its length.
    Framing,
}

fn kind(name: &str) -> Option<Kind> {
    // Few are of the same length.
    let (known, kind) = match name.len() {
        4 => ("host", Kind::Known(Name::Host)),
        6 if name.starts_with(['o', 'O']) => ("origin", Kind::Known(Name::Origin)),
        6 => ("expect", Kind::Expect),
        7 => ("upgrade", Kind::Framing),
        10 if name.starts_with(['c', 'C']) => ("connection", Kind::Connection),
        10 => ("x-agent-id", Kind::Known(Name::Agent)),
        12 => ("content-type", Kind::Known(Name::ContentType)),
        13 => ("authorization", Kind::Known(Name::Authorization)),
        14 if name.starts_with(['c', 'C']) => ("content-length", Kind::Known(Name::ContentLength)),
        14 if name.starts_with(['x', 'X']) => ("x-agent-secret", Kind::Known(Name::Secret)),
        14 => ("sec-fetch-site", Kind::Known(Name::FetchSite)),
        15 => ("idempotency-key", Kind::Known(Name::Key)),
        16 => ("content-encoding", Kind::Known(Name::ContentEncoding)),
        17 if name.starts_with(['t', 'T']) => ("transfer-encoding", Kind::Framing),
        17 => ("sec-websocket-key", Kind::Known(Name::SocketKey)),
        _ => return None,
    };
    known.eq_ignore_ascii_case(name).then_some(kind)
}

/// Looks at what a client has sent.
pub fn read(bytes: &[u8]) -> Seen<'_> {
    let mut headers = [MaybeUninit::uninit(); HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let head = match parsed.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(head)) if parsed.version == Some(1) => head,
        Ok(Status::Partial) => return Seen::Part(None),
        _ => return Seen::Other(None),
    };
    let Some((known, closes, waits)) = understood(parsed.headers) else {
        return Seen::Other(None);
    };
    let one_host = matches!(known.header(Name::Host), Header::Once(_));
    let Some(body) = length(known.header(Name::ContentLength)).filter(|_| one_host) else {
        return Seen::Other(None);
    };
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path);
    let Some(length) = head.checked_add(body).filter(|_| method != "CONNECT") else {
        return Seen::Other(None);
    };
    let call = target.filter(|_| !waits).and_then(|target| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Frequent::of(method, path).filter(|_| query.bytes().all(is_plain))?;
        // Where none is expected it is not read.
        (call.has_body() || body == 0).then_some((call, path, query))
    });
    let Some((call, path, query)) = call else {
        return Seen::Other(Some(length));
    };
    let Some(body) = bytes.get(head..length) else {
        return Seen::Part(Some(length));
    };
    Seen::Frequent(Request {
        call,
        path,
        query,
        headers: known,
        body,
        length,
        closes,
    })
}

/// What headers say, whether the connection ends with the reply, and whether the client waits before it
/// sends its body; `None` where the HTTP layer has to judge what stands there.
fn understood<'a>(headers: &[httparse::Header<'a>]) -> Option<(Known<'a>, bool, bool)> {
    let (mut known, mut closes, mut waits) = (Known::default(), false, false);
    for header in headers {
        match kind(header.name) {
            Some(Kind::Known(name)) => {
                let place = &mut known.0[name as usize];
                *place = place.and(header.value);
            }
            Some(Kind::Connection) if header.value.eq_ignore_ascii_case(b"close") => closes = true,
            Some(Kind::Connection) if header.value.eq_ignore_ascii_case(b"keep-alive") => {}
            Some(Kind::Expect) => waits = true,
            Some(Kind::Connection | Kind::Framing) => return None,
            None => {}
        }
    }
    Some((known, closes, waits))
}

/// Bytes of the body, if its head tells them in the one plain way.
fn length(header: Header<'_>) -> Option<usize> {
    match header {
        Header::Absent => Some(0),
        Header::Once(Some(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()
        }
        _ => None,
    }
}

/// Whether a byte of a query is what every reader of URLs takes it for.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"=&-._~%+,:".contains(&byte)
}

#[cfg(test)]
mod tests;
