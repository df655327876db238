//! What the relay reads of a request's head, whoever has parsed it.

use super::link::Watch;
use actix_http::{HttpMessage, Request};
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    ORIGIN, SEC_WEBSOCKET_KEY,
};
use std::net::IpAddr;
use std::rc::Rc;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
// As headers are looked up; what the protocol calls them is for people.
const SECRET: HeaderName = HeaderName::from_static("x-agent-secret");
const AGENT: HeaderName = HeaderName::from_static("x-agent-id");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A header that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `Host`
    Host,
    /// `Origin`
    Origin,
    /// `Sec-Fetch-Site`
    FetchSite,
    /// `Authorization`
    Authorization,
    /// `Sec-WebSocket-Key`
    SocketKey,
    /// [`clawlink_protocol::agents::SECRET_HEADER`]
    Secret,
    /// [`clawlink_protocol::files::AGENT_HEADER`]
    Agent,
    /// `Idempotency-Key`
    Key,
    /// `Content-Type`
    ContentType,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Length`
    ContentLength,
}

impl Name {
    /// In the order in which they are declared.
    pub const ALL: [Name; 11] = [
        Name::Host,
        Name::Origin,
        Name::FetchSite,
        Name::Authorization,
        Name::SocketKey,
        Name::Secret,
        Name::Agent,
        Name::Key,
        Name::ContentType,
        Name::ContentEncoding,
        Name::ContentLength,
    ];

    /// As it is looked up.
    pub fn header(self) -> HeaderName {
        match self {
            Name::Host => HOST,
            Name::Origin => ORIGIN,
            Name::FetchSite => FETCH_SITE,
            Name::Authorization => AUTHORIZATION,
            Name::SocketKey => SEC_WEBSOCKET_KEY,
            Name::Secret => SECRET,
            Name::Agent => AGENT,
            Name::Key => KEY,
            Name::ContentType => CONTENT_TYPE,
            Name::ContentEncoding => CONTENT_ENCODING,
            Name::ContentLength => CONTENT_LENGTH,
        }
    }
}

/// What a request says under one name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// Nothing.
    #[default]
    Absent,
    /// This; `None` where it is no visible ASCII.
    Once(Option<&'a str>),
    /// It stands there more than once; this is the first.
    More(Option<&'a str>),
}

impl<'a> Header<'a> {
    /// The same, after one more of its name.
    pub fn and(self, value: &'a [u8]) -> Header<'a> {
        match self {
            Header::Absent => Header::Once(text(value)),
            Header::Once(first) | Header::More(first) => Header::More(first),
        }
    }

    /// Whether it stands there at all.
    pub fn is_there(self) -> bool {
        self != Header::Absent
    }

    /// The text of the first.
    pub fn first(self) -> Option<&'a str> {
        match self {
            Header::Absent => None,
            Header::Once(first) | Header::More(first) => first,
        }
    }
}

/// What a value says, if it is text.
fn text(value: &[u8]) -> Option<&str> {
    // Without an early end, so that many bytes are looked at in one step.
    let odd = |byte: u8| ((byte < b' ') & (byte != b'\t')) | (byte > b'~');
    let any = value.iter().fold(false, |any, byte| any | odd(*byte));
    if any {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// The headers of a request.
pub trait Headers {
    /// What they say under this name.
    fn header(&self, name: Name) -> Header<'_>;
}

impl Headers for HeaderMap {
    fn header(&self, name: Name) -> Header<'_> {
        let values = self.get_all(name.header());
        values.fold(Header::Absent, |header, value| header.and(value.as_bytes()))
    }
}

/// A head.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The path, as it came.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// The authority of a target in absolute form.
    pub authority: Option<&'a str>,
    /// The rest.
    pub headers: &'a dyn Headers,
    /// Whose it is.
    pub peer: Option<IpAddr>,
    /// What is known of the connection.
    pub watch: Option<&'a Rc<Watch>>,
}

impl<'a> Head<'a> {
    /// Of a request that the HTTP layer has parsed.
    pub fn of(request: &'a Request) -> Head<'a> {
        let uri = request.uri();
        Head {
            path: request.path(),
            query: uri.query().unwrap_or_default(),
            authority: uri.authority().map(|authority| authority.as_str()),
            headers: request.headers(),
            peer: request.peer_addr().map(|peer| peer.ip()),
            watch: request.conn_data::<Rc<Watch>>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use clawlink_protocol::agents::SECRET_HEADER;
    use clawlink_protocol::files::AGENT_HEADER;

    #[test]
    fn headers_are_looked_up_by_the_names_that_the_protocol_gives_them() {
        let same = |name: HeaderName, called: &str| name.as_str().eq_ignore_ascii_case(called);
        assert!(same(SECRET, SECRET_HEADER) && same(AGENT, AGENT_HEADER));
    }

    #[test]
    fn a_value_is_text_where_the_http_layer_says_so() {
        for byte in 0..=u8::MAX {
            let Ok(value) = HeaderValue::from_bytes(&[b'a', byte]) else {
                continue;
            };
            assert_eq!(text(value.as_bytes()), value.to_str().ok(), "{byte}");
        }
    }

    #[test]
    fn a_name_may_stand_there_more_than_once() {
        let once = Header::Absent.and(b"a");
        assert_eq!(once, Header::Once(Some("a")));
        assert_eq!(once.and(b"b"), Header::More(Some("a")));
        assert_eq!(Header::Absent.and(b"\xff"), Header::Once(None));
    }
}
