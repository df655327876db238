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
pub enum Seen<'a> {
    /// One of the frequent calls, in full.
    Frequent(Request<'a>),
    /// One of them, whose body has not come in full; all of it has so many bytes.
    Part(usize),
    /// Another request, or the beginning of one; of so many bytes, if that can be told.
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
        _ => return Seen::Other(None),
    };
    let Some((known, closes, waits)) = understood(parsed.headers) else {
        return Seen::Other(None);
    };
    let Some(body) = length(known.header(Name::ContentLength)) else {
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
        return Seen::Part(length);
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLL: &str = "GET /poll/a?wait=5&ack=b-1 HTTP/1.1\r\nHost: localhost\r\n";
    const BEAT: &str = "POST /heartbeat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n";

    #[test]
    fn every_header_that_a_call_reads_is_known_by_its_name() {
        for name in Name::ALL {
            let header = name.header();
            assert!(kind(header.as_str()) == Some(Kind::Known(name)), "{header}");
            assert!(kind(&header.as_str().to_uppercase()) == Some(Kind::Known(name)));
        }
        for other in [
            "from",
            "accept",
            "referer",
            "user-agent",
            "x-forwarded-for",
            "",
        ] {
            assert!(kind(other).is_none(), "{other}");
        }
    }

    fn frequent(text: &str) -> Option<Request<'_>> {
        match read(text.as_bytes()) {
            Seen::Frequent(request) => Some(request),
            _ => None,
        }
    }

    fn other(text: &str) -> Option<usize> {
        match read(text.as_bytes()) {
            Seen::Other(length) => length,
            _ => panic!("it is read here: {text}"),
        }
    }

    #[test]
    fn a_frequent_call_is_read_in_full() {
        let text = format!("{POLL}x-agent-SECRET: 00\r\n\r\nGET /");
        let poll = frequent(&text).expect("a poll");
        assert_eq!(poll.call, Frequent::Poll);
        assert_eq!((poll.path, poll.query), ("/poll/a", "wait=5&ack=b-1"));
        assert_eq!(poll.length, text.len() - 5);
        assert_eq!(poll.headers.header(Name::Host).first(), Some("localhost"));
        assert_eq!(poll.headers.header(Name::Secret), Header::Once(Some("00")));
        assert!(poll.body.is_empty() && !poll.closes);
        let text = format!("{BEAT}Connection: Close\r\n\r\n{{}}");
        let beat = frequent(&text).expect("a heartbeat");
        assert_eq!((beat.call, beat.body), (Frequent::Heartbeat, &b"{}"[..]));
        assert!(beat.closes && beat.length == text.len());
    }

    #[test]
    fn what_is_not_there_in_full_is_left_with_its_length_where_that_is_known() {
        let head = format!("{BEAT}\r\n");
        for part in [head.clone(), head.clone() + "{"] {
            let Seen::Part(length) = read(part.as_bytes()) else {
                panic!("it has not come in full");
            };
            assert_eq!(length, head.len() + 2);
        }
        assert_eq!(other(&head[..head.len() - 1]), None);
        let info = "GET / HTTP/1.1\r\n\r\n";
        assert_eq!(other(&format!("{info}GET /")), Some(info.len()));
        // Its body comes when it is told to go on.
        let text = format!("{BEAT}Expect: 100-continue\r\n\r\n{{}}");
        assert_eq!(other(&text), Some(text.len()));
    }

    #[test]
    fn what_is_unusual_is_left_without() {
        for text in [
            format!("{BEAT}Transfer-Encoding: chunked\r\n\r\n{{}}"),
            format!("{BEAT}Content-Length: 2\r\n\r\n{{}}"),
            format!("{BEAT}Content-Length: 3\r\n\r\n{{}}"),
            BEAT.replace(": 2", ": +2") + "\r\n{}",
            BEAT.replace(": 2", ": 2, 2") + "\r\n{}",
            BEAT.replace(": 2", ": 99999999999999999999") + "\r\n{}",
            BEAT.replace("1.1", "1.0") + "\r\n{}",
            format!("{POLL}Upgrade: websocket\r\n\r\n"),
            format!("{POLL}Connection: upgrade\r\n\r\n"),
            format!("{POLL}X: {}\r\n\r\n", "X\r\nX: ".repeat(HEADERS)),
            "CONNECT localhost:80 HTTP/1.1\r\n\r\n".to_owned(),
            "GET /poll/a HTTP/1.1\nHost : a\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}".to_owned(),
        ] {
            assert_eq!(other(&text), None, "{text}");
        }
    }

    #[test]
    fn another_target_than_a_plain_one_is_left_to_the_route_table() {
        for target in [
            "/poll/a%2Db",
            "/poll/",
            "/poll/a/b",
            "http://a/poll/a",
            "/poll/a?b#c",
            "/poll/a?\"",
            "/delegate",
        ] {
            let text = format!("GET {target} HTTP/1.1\r\n\r\n");
            assert_eq!(other(&text), Some(text.len()), "{target}");
        }
        let text = "GET /poll/a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(other(text), Some(text.len()));
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_beyond_what_is_there(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..60usize,
        ) {
            for bytes in [&bytes[..], &[BEAT.as_bytes(), b"\r\n", &bytes].concat()[cut..]] {
                if let Seen::Frequent(request) = read(bytes) {
                    prop_assert!(request.length <= bytes.len());
                }
            }
        }
    }
}
