//! The calls that agents make all the time, answered where they are read: to take a request through the
//! HTTP layer and the route table, and its reply back, costs more than such a call.

use super::Shared;
use super::body::{Body, judge};
use super::caller::Caller;
use super::error::ApiError;
use super::head::Head;
use super::{agents, messages, poll as polls};
use crate::actors::agent::poll::Batch;
use futures_util::future::Either::{self, Left, Right};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequent {
    /// `POST /delegate`
    Delegate,
    /// `POST /heartbeat`
    Heartbeat,
    /// `GET /poll/{agent_id}`
    Poll,
}

impl Frequent {
    /// In the order in which they are declared.
    pub const ALL: [Frequent; 3] = [Frequent::Delegate, Frequent::Heartbeat, Frequent::Poll];

    /// Which of them a request is. What is written in an unusual way is the route table's.
    pub fn of(method: &str, path: &str) -> Option<Frequent> {
        match (method, path) {
            ("POST", "/delegate") => Some(Frequent::Delegate),
            ("POST", "/heartbeat") => Some(Frequent::Heartbeat),
            ("GET", path) => polled(path).map(|_| Frequent::Poll),
            _ => None,
        }
    }

    /// Its entry in the route table.
    pub fn entry(self) -> (&'static str, &'static str) {
        match self {
            Frequent::Delegate => ("POST", "/delegate"),
            Frequent::Heartbeat => ("POST", "/heartbeat"),
            Frequent::Poll => ("GET", "/poll/{agent_id}"),
        }
    }

    /// Whether it comes with a body.
    pub fn has_body(self) -> bool {
        self != Frequent::Poll
    }
}

/// The id in the path of a poll, if it stands there as it is.
fn polled(path: &str) -> Option<&str> {
    let id = path.strip_prefix("/poll/")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (!id.is_empty() && id.bytes().all(plain)).then_some(id)
}

/// A reply that is a success.
pub struct Answer {
    /// JSON.
    pub text: Vec<u8>,
    /// What is handed over with it.
    pub batch: Option<Batch>,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Answer {
            text: text.into(),
            batch: None,
        }
    }
}

/// What has to wait for something.
pub type Work = LocalBoxFuture<'static, Result<Answer, ApiError>>;

/// Answers a call, or gives what it has to wait for.
pub fn answer(
    call: Frequent,
    state: &Rc<Shared>,
    head: &Head<'_>,
    body: &[u8],
    context: &mut Context<'_>,
) -> Result<Either<Answer, Work>, ApiError> {
    let caller = Caller::of(head.headers, head.peer, head.watch.cloned())?;
    let body = match call.has_body() {
        true => judge(head, body, state)?,
        false => "",
    };
    let state = state.clone();
    let mut work: Work = match call {
        Frequent::Heartbeat => {
            let text = agents::beat(&state, &caller, body)?;
            return Ok(Left(text.into()));
        }
        Frequent::Delegate if !caller.has_key() => {
            let text = messages::delegated_keyless(&state, &caller, body)?;
            return Ok(Left(text.into()));
        }
        Frequent::Delegate => {
            let body = Body::short(body);
            Box::pin(async move {
                let delegated = messages::delegated(Shared::clone(&state), caller, body);
                delegated.await.map(Answer::from)
            })
        }
        Frequent::Poll => {
            let id = polled(head.path).unwrap_or_default().to_owned();
            let query = head.query.to_owned();
            Box::pin(async move {
                let (text, batch) = polls::polled(&state, &caller, &id, &query).await?;
                Ok(Answer { text, batch })
            })
        }
    };
    match work.as_mut().poll(context) {
        Poll::Ready(answer) => answer.map(Left),
        Poll::Pending => Ok(Right(work)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn what_is_answered_here_stands_in_the_route_table_too() {
        let calls = http::calls();
        for (place, call) in Frequent::ALL.into_iter().enumerate() {
            assert_eq!(call as usize, place);
            let (method, pattern) = call.entry();
            let listed = |other: &http::Call| other.method == method && other.pattern() == pattern;
            assert_eq!(calls.iter().filter(|call| listed(call)).count(), 1);
        }
    }

    #[test]
    fn an_unusual_path_is_left_to_the_route_table() {
        assert_eq!(polled("/poll/a-1"), Some("a-1"));
        for path in ["/poll/", "/poll", "/poll/a/b", "/poll/a%2Db", "/pollx/a"] {
            assert_eq!(polled(path), None, "{path}");
        }
    }
}
