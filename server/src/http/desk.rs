//! Where the frequent calls of a worker's connections are worked off, and their replies written.

use super::Shared;
use super::error::ApiError;
use super::flow::Load;
use super::frequent::{self, Answer, Frequent, Work};
use super::front::Told;
use super::guard::may_come;
use super::head::Head;
use super::link::{Turn, Watch};
use super::reply::{put_error, put_json};
use super::request::Request;
use super::turns::load_of;
use crate::actors::agent::poll::Batch;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use futures_util::future::Either;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Context;
use std::time::Instant;

/// Bytes of room for replies that are kept for the next ones; a thread keeps many such rooms.
const ROOM_MAX: usize = 16 * 1024;

/// What the connections of a worker have in common.
pub struct Desk {
    /// What every call reads. Once for each worker, so that its requests do not count on what others
    /// count on too.
    pub state: Rc<Shared>,
    /// The numbers of the frequent calls in the route table.
    numbers: [Option<usize>; Frequent::ALL.len()],
}

/// Replies that are to be written, and what goes with each until it has been. Dropped before that, what
/// they hand over goes back.
#[derive(Default)]
pub struct Replies {
    bytes: Vec<u8>,
    /// Bytes of them that were written.
    written: usize,
    with: VecDeque<With>,
}

struct With {
    /// Where its reply ends.
    end: usize,
    batch: Option<Batch>,
    _load: Option<Load>,
    _turn: Turn,
}

impl Replies {
    /// What is to be written.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Whether there is nothing of them any more.
    pub fn are_gone(&self) -> bool {
        self.bytes.is_empty()
    }

    /// So many bytes more were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// What was written has reached the kernel. Where that is no good since the peer has `gone`, which is
    /// asked only where something hangs on it, what was handed over goes back.
    pub fn reached(&mut self, mut gone: impl FnMut() -> bool) {
        while let Some(With { end, .. }) = self.with.front()
            && *end <= self.written
        {
            let batch = self.with.pop_front().and_then(|with| with.batch);
            if let Some(batch) = batch.filter(|batch| !batch.is_at_stake() || !gone()) {
                batch.written();
            }
        }
        if self.rest().is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(ROOM_MAX);
            self.written = 0;
        }
    }
}

/// A call on its way to its reply.
pub struct Asked {
    call: Frequent,
    /// Its number in the route table, unless it was refused before it came to that.
    number: Option<usize>,
    began: Instant,
    turn: Turn,
    /// Whether its client asks nothing else.
    closes: bool,
}

/// What has come of a call.
pub enum Served {
    /// A reply, and whether the connection ends with it.
    Replied(bool),
    /// There is something to wait for.
    Waits(Asked, Work),
}

impl Desk {
    /// Of a worker.
    pub fn new(state: Shared) -> Desk {
        let numbers = Frequent::ALL.map(|call| {
            let (method, pattern) = call.entry();
            state.traffic.number(method, pattern)
        });
        let state = Rc::new(state);
        Desk { state, numbers }
    }

    /// Works a call off.
    pub fn serve(
        &self,
        request: &Request<'_>,
        peer: Option<IpAddr>,
        watch: &Rc<Watch>,
        replies: &mut Replies,
        context: &mut Context<'_>,
    ) -> Served {
        let mut asked = Asked {
            call: request.call,
            number: None,
            began: Instant::now(),
            turn: watch.clone().ask(),
            closes: request.closes,
        };
        let head = Head {
            path: request.path,
            query: request.query,
            authority: None,
            headers: &request.headers,
            peer,
            watch: Some(watch),
        };
        let answer = self.state.flow.clock.still(|| {
            may_come(&self.state, &head)?;
            asked.number = self.numbers[request.call as usize];
            frequent::answer(request.call, &self.state, &head, request.body, context)
        });
        let outcome = match answer {
            Ok(Either::Left(answer)) => Ok(answer),
            Ok(Either::Right(work)) => return Served::Waits(asked, work),
            Err(error) => Err(error),
        };
        Served::Replied(self.reply(asked, outcome, replies))
    }

    /// Writes the reply to a call; says whether the connection ends with it.
    pub fn reply(
        &self,
        asked: Asked,
        outcome: Result<Answer, ApiError>,
        replies: &mut Replies,
    ) -> bool {
        let (method, _) = asked.call.entry();
        let outcome = outcome.and_then(|answer| {
            let may_ask_again = method == "GET";
            let load = load_of(&self.state.flow, answer.text.len(), may_ask_again)?;
            Ok((answer, load))
        });
        let now = Instant::now();
        let error = outcome.as_ref().err();
        Told {
            method,
            number: asked.number,
            status: error.map_or(StatusCode::OK, ApiError::status_code),
            code: error.map(ApiError::code),
            took: now.duration_since(asked.began),
            watch: Some(asked.turn.watch()),
        }
        .tell(&self.state);
        let closes = asked.closes || error.is_some_and(ApiError::closes);
        let (batch, load) = match outcome {
            Ok((Answer { text, batch }, load)) => {
                put_json(&mut replies.bytes, now, &text, closes);
                (batch, load)
            }
            Err(error) => {
                put_error(&mut replies.bytes, now, &error, closes);
                (None, None)
            }
        };
        replies.with.push_back(With {
            end: replies.bytes.len(),
            batch,
            _load: load,
            _turn: asked.turn,
        });
        closes
    }
}
