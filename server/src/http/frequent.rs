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
    let answer = match call {
        Frequent::Heartbeat => agents::beat(state, &caller, body)?.into(),
        Frequent::Delegate if !caller.has_key() => {
            messages::delegated_keyless(state, &caller, body)?.into()
        }
        Frequent::Delegate => {
            let (state, body) = (Shared::clone(state), Body::short(body));
            let delegated = messages::delegated(state, caller, body);
            return begun(async move { delegated.await.map(Answer::from) }, context);
        }
        Frequent::Poll => {
            let id = polled(head.path).unwrap_or_default();
            match polls::polled(state, &caller, id, head.query)? {
                Left(answer) => answer,
                Right(later) => {
                    let state = state.clone();
                    return begun(async move { later.answer(&state).await }, context);
                }
            }
        }
    };
    Ok(Left(answer))
}

/// Looks once whether there is something to wait for.
fn begun(
    work: impl Future<Output = Result<Answer, ApiError>> + 'static,
    context: &mut Context<'_>,
) -> Result<Either<Answer, Work>, ApiError> {
    let mut work: Work = Box::pin(work);
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
