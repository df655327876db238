//! One request, one reply. `minreq` is named here alone.
//!
//! What it would do on its own and must not: follow redirects (they carry the token along),
//! wait for ever, read a reply of any size, send a line break in a header. So the token is
//! checked before it comes here, the URL is built of parsed parts, and every request has a
//! deadline and a cap.

use crate::json::{NoObject, Object};
use crate::output;
use clawlink_protocol::agents::SECRET_HEADER;
use clawlink_protocol::files::AGENT_HEADER;
use std::cell::RefCell;
use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

/// The largest reply that is read.
const REPLY_MAX: u64 = 64 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// What `minreq` says, with status 503, when there was no HTTP in the reply or none at all.
const NO_STATUS_LINE: &str = "Server did not provide a status line";

/// Why no usable reply came.
#[derive(Debug, PartialEq)]
pub(crate) enum Trouble {
    /// Nobody listens there.
    Refused,
    /// The system does not let this process connect.
    Forbidden,
    /// The host's name stands for no address.
    NoSuchHost,
    /// Seconds that were waited in vain.
    Timeout(u64),
    /// There is no way to the host.
    Unreachable(String),
    /// The connection broke.
    Lost(String),
    TooLarge,
    NotARelay(String),
    /// Where to.
    Redirect(String),
    /// The certificate is not the relay's, or what answers does not speak TLS.
    #[cfg(feature = "tls")]
    Tls(String),
}

/// What a relay that says no says.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// From the relay's catalogue; empty where it has none.
    pub(crate) code: String,
    pub(crate) error: String,
    pub(crate) did_you_mean: Vec<String>,
    /// `id (status, machine)` of each.
    pub(crate) candidates: Vec<String>,
    /// Seconds, as the header says.
    pub(crate) retry_after: Option<String>,
    /// The whole body.
    pub(crate) body: Object,
}

impl Refusal {
    /// Whether it is for want of an agent's secret.
    pub(crate) fn is_about_secrets(&self) -> bool {
        self.code == "forbidden" && self.body.text("reason").starts_with("secret_")
    }
}

/// What comes of a request.
pub(crate) enum Answer {
    Done(Reply),
    Refused(Box<Refusal>),
}

/// A reply of status 200.
pub(crate) struct Reply {
    pub(crate) fields: Object,
}

/// A request that got no usable reply.
pub(crate) struct NoReply {
    pub(crate) trouble: Trouble,
    /// Whether the relay may have done what was asked.
    pub(crate) maybe_taken: bool,
}

/// Where requests go, and how long one may take.
pub(crate) struct Api {
    /// Normalised.
    pub(crate) url: String,
    /// Visible ASCII.
    pub(crate) token: Option<String>,
    /// Seconds, at least one.
    pub(crate) timeout: u64,
    /// Whether a connection that fails is tried again.
    pub(crate) patient: bool,
    /// Who asks, in every request.
    pub(crate) speaker: RefCell<Speaker>,
}

/// Who asks.
#[derive(Default)]
pub(crate) struct Speaker {
    /// Our id at this relay.
    pub(crate) id: Option<String>,
    /// The secret that was made with this relay; hex digits.
    pub(crate) secret: Option<String>,
}

/// What a second try of a request does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Again<'a> {
    /// Nothing that the first had not done.
    Harmless,
    /// The same thing once more.
    Twice,
    /// Nothing, as long as it bears the same key: the relay then says again what it said first.
    Under(&'a str),
}

/// What makes a request a DELETE.
#[derive(Clone, Copy)]
pub(crate) struct Deletion {
    /// The version that may be deleted; any unless given.
    pub(crate) version: Option<u64>,
}

/// A request.
pub(crate) struct Request<'a> {
    /// Percent-encoded, with its leading slash.
    pub(crate) path: &'a str,
    /// JSON; without it the request is a GET.
    pub(crate) body: Option<&'a str>,
    /// Whether it is sent again where its reply was lost.
    pub(crate) again: Again<'a>,
    /// Seconds that the relay may take its time, besides those that an answer may.
    pub(crate) wait: u64,
}

impl Api {
    /// Sends the request; where the connection fails and a second try does no harm, again and
    /// again, with growing pauses, until the time is up.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Answer, NoReply> {
        self.send_as(request, None)
    }

    /// The same, to delete what the path names.
    pub(crate) fn delete(
        &self,
        request: &Request<'_>,
        deletion: Deletion,
    ) -> Result<Answer, NoReply> {
        self.send_as(request, Some(deletion))
    }

    fn send_as(
        &self,
        request: &Request<'_>,
        deletion: Option<Deletion>,
    ) -> Result<Answer, NoReply> {
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let mut pause = FIRST_PAUSE;
        let (mut told, mut maybe_taken) = (false, false);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let trouble = match self.attempt(request, deletion, left) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let again = match trouble {
                Trouble::Refused => true,
                Trouble::Lost(_) => request.again != Again::Twice,
                _ => false,
            };
            maybe_taken |= request.again != Again::Harmless
                && matches!(trouble, Trouble::Lost(_) | Trouble::Timeout(_));
            let left = deadline.saturating_duration_since(Instant::now());
            if !again || !self.patient || left.is_zero() {
                return Err(NoReply {
                    trouble,
                    maybe_taken,
                });
            }
            if !told && io::stderr().is_terminal() {
                output::note(&format!(
                    "{} is not answering, trying again for up to {} s",
                    self.url, self.timeout
                ));
            }
            told = true;
            // The last try falls on the deadline.
            std::thread::sleep(pause.min(left));
            pause *= 2;
        }
    }

    fn attempt(
        &self,
        request: &Request<'_>,
        deletion: Option<Deletion>,
        left: Duration,
    ) -> Result<Answer, Trouble> {
        let url = [&self.url, request.path].concat();
        let method = match (request.body, deletion) {
            (_, Some(_)) => minreq::Method::Delete,
            (Some(_), None) => minreq::Method::Post,
            (None, None) => minreq::Method::Get,
        };
        let mut wire = minreq::Request::new(method, url)
            .with_follow_redirects(false)
            .with_timeout(whole_seconds(left).max(1) + request.wait)
            .with_header("Connection", "close");
        if let Some(token) = &self.token {
            wire = wire.with_header("Authorization", ["Bearer ", token].concat());
        }
        let speaker = self.speaker.borrow();
        let who = [
            (AGENT_HEADER, &speaker.id),
            (SECRET_HEADER, &speaker.secret),
        ];
        for (name, value) in who {
            if let Some(value) = value {
                wire = wire.with_header(name, value);
            }
        }
        if let Some(Deletion {
            version: Some(version),
        }) = deletion
        {
            wire = wire.with_header("If-Match", format!("\"{version}\""));
        }
        if let Again::Under(key) = request.again {
            wire = wire.with_header("Idempotency-Key", key);
        }
        if let Some(body) = request.body {
            wire = wire
                .with_header("Content-Type", "application/json")
                .with_body(body);
        }
        let reply = wire.send_lazy().map_err(|error| self.trouble(error))?;
        self.read(reply)
    }

    fn read(&self, mut reply: minreq::ResponseLazy) -> Result<Answer, Trouble> {
        let status = reply.status_code;
        let header = |reply: &minreq::ResponseLazy, name: &str| {
            let found = reply
                .headers
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        if status == 503 && reply.reason_phrase == NO_STATUS_LINE {
            return Err(match reply.headers.is_empty() {
                true => Trouble::Lost("it was closed without an HTTP reply".to_owned()),
                false => Trouble::NotARelay("it does not speak HTTP".to_owned()),
            });
        }
        if (300..400).contains(&status) {
            let target = header(&reply, "location").unwrap_or_default();
            return Err(Trouble::Redirect(target));
        }
        let mut bytes = Vec::new();
        let read = (&mut reply).take(REPLY_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.io_trouble(&error))?;
        if bytes.len() as u64 > REPLY_MAX {
            return Err(Trouble::TooLarge);
        }
        // An error may come as anything; then its status says enough.
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) if status >= 400 => String::new(),
            Err(_) => return Err(not_json(status)),
        };
        if status == 200 {
            return match Object::parse(&text) {
                Ok(fields) => Ok(Answer::Done(Reply { fields })),
                Err(NoObject::Cut) => Err(Trouble::Lost(
                    "it ended in the middle of the reply".to_owned(),
                )),
                Err(_) => Err(not_json(status)),
            };
        }
        if status < 400 {
            return Err(Trouble::NotARelay(format!("its reply has status {status}")));
        }
        let refusal = refusal(status, &text, header(&reply, "retry-after"));
        Ok(Answer::Refused(Box::new(refusal)))
    }

    fn trouble(&self, error: minreq::Error) -> Trouble {
        match error {
            minreq::Error::IoError(error) => self.io_trouble(&error),
            minreq::Error::AddressNotFound => Trouble::NoSuchHost,
            #[cfg(feature = "tls")]
            minreq::Error::RustlsCreateConnection(error) => Trouble::Tls(error.to_string()),
            minreq::Error::HeadersOverflow | minreq::Error::StatusLineOverflow => Trouble::TooLarge,
            _ => Trouble::NotARelay("its reply is no HTTP that can be read".to_owned()),
        }
    }

    fn io_trouble(&self, error: &io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Trouble::Refused,
            io::ErrorKind::PermissionDenied => Trouble::Forbidden,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Trouble::Timeout(self.timeout),
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Trouble::Unreachable(error.to_string()),
            #[cfg(feature = "tls")]
            io::ErrorKind::InvalidData => Trouble::Tls(error.to_string()),
            _ => {
                let words = error.to_string();
                // The standard library has no kind for it.
                if words.contains("failed to lookup address") {
                    return Trouble::NoSuchHost;
                }
                Trouble::Lost(words)
            }
        }
    }
}

/// A stretch of time in whole seconds; those that are begun count.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_millis() > 0)
}

fn not_json(status: u16) -> Trouble {
    Trouble::NotARelay(format!("its reply (status {status}) is not JSON"))
}

fn refusal(status: u16, text: &str, retry_after: Option<String>) -> Refusal {
    let body = Object::parse(text).unwrap_or_default();
    let candidates = body.objects("candidates");
    Refusal {
        status,
        code: body.text("code"),
        error: body.text("error"),
        did_you_mean: body.texts("did_you_mean"),
        candidates: candidates
            .iter()
            .map(|c| {
                format!(
                    "{} ({}, {})",
                    c.text("agent_id"),
                    c.text("status"),
                    c.text("machine")
                )
            })
            .collect(),
        retry_after,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_with_and_without_what_the_original_lacks() {
        let plain = refusal(400, r#"{"error":"no task"}"#, None);
        assert_eq!((plain.error.as_str(), plain.code.as_str()), ("no task", ""));
        let ours = refusal(
            409,
            r#"{"error":"e","code":"ambiguous_agent","candidates":[{"agent_id":"a","status":"online","machine":"m"}]}"#,
            None,
        );
        assert_eq!(ours.candidates, ["a (online, m)"]);
        assert_eq!(refusal(500, "<html>", None).error, "");
    }

    #[test]
    fn a_second_that_is_begun_counts_from_its_first_millisecond() {
        let of = |micros| whole_seconds(Duration::from_micros(micros));
        assert_eq!((of(0), of(999), of(1000)), (0, 0, 1));
        assert_eq!((of(2_000_999), of(2_001_000)), (2, 3));
    }

    #[test]
    fn an_error_of_the_network_has_its_own_name() {
        let api = Api {
            url: String::new(),
            token: None,
            timeout: 7,
            patient: false,
            speaker: RefCell::default(),
        };
        let of = |kind: io::ErrorKind| api.io_trouble(&kind.into());
        assert_eq!(of(io::ErrorKind::ConnectionRefused), Trouble::Refused);
        assert_eq!(of(io::ErrorKind::PermissionDenied), Trouble::Forbidden);
        assert_eq!(of(io::ErrorKind::TimedOut), Trouble::Timeout(7));
        let lookup =
            io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(api.io_trouble(&lookup), Trouble::NoSuchHost);
    }
}
