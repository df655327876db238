//! What an open socket is to the actors: an [`Outlet`], into which they put what is to be written,
//! and a way to end it. Its session and its writer live above them, in `http`.
//!
//! Nobody stands between the two: who puts something in wakes the writer of the connection, which
//! takes everything there is and writes it at once. So a message costs no hop to the session, and
//! many of them one write.

use super::agent::poll::Handed;
use crate::core::Millis;
use crate::core::window::{Mark, Pings};
use actix::{Message, Recipient};
use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Notices that wait for a socket; beyond it they are dropped.
pub const NOTICES_MAX: usize = 64;
/// Bytes of its session's own frames, answers above all, with which the session stands still until
/// they are taken.
const OWN_MAX: usize = 16 * 1024;

/// Why a socket is told to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Dismiss {
    /// The relay ends: 1001.
    GoingAway,
    /// A second socket of the same agent has come: 4001.
    Replaced,
    /// The agent was deregistered or reaped: 1000.
    Removed,
    /// A secret has claimed the agent, and the socket has not shown it: 4003.
    NotYours,
}

/// The ways to talk to one open socket.
#[derive(Debug, Clone)]
pub struct SocketHandle {
    /// What is to be written.
    pub outlet: Arc<Outlet>,
    /// Once.
    pub dismiss: Recipient<Dismiss>,
}

/// Something to write.
#[derive(Debug)]
pub enum Piece {
    /// A message, with its receipt if it has one.
    Message(Handed),
    /// A notice that may be lost: who came, who left.
    Notice(ByteString),
    /// A whole frame of the session's own.
    Frame(Bytes),
    /// A ping. When it is answered, everything before this mark was read.
    Ping(Mark),
}

/// What waits to be written to one socket.
#[derive(Debug)]
pub struct Outlet(Mutex<Waiting>);

#[derive(Debug)]
struct Waiting {
    queue: VecDeque<Piece>,
    /// Notices among it.
    notices: usize,
    /// Bytes of frames of the session's own among it.
    own: usize,
    pings: Pings,
    state: State,
    writer: Option<Waker>,
    session: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum State {
    Open,
    /// The goodbye is in the queue: nothing comes after it.
    Closed,
    /// The session has ended: what is there is written, and then the connection ends.
    Finished,
    /// The connection has ended.
    Cut,
}

impl Outlet {
    /// An empty one. `acks` says whether its peer confirms by receipts, and not by answering pings.
    pub fn new(acks: bool) -> Arc<Self> {
        Arc::new(Outlet(Mutex::new(Waiting {
            queue: VecDeque::new(),
            notices: 0,
            own: 0,
            pings: Pings::new(acks),
            state: State::Open,
            writer: None,
            session: None,
        })))
    }

    /// Does something to what waits, then wakes the writer. After the goodbye nothing is taken in.
    fn fill(&self, fill: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.0.lock();
        if waiting.state > State::Open {
            return;
        }
        fill(&mut waiting);
        let writer = waiting.writer.take();
        wake(waiting, [writer]);
    }

    /// Messages to write, in this order. Bounded by the window of who hands them over.
    pub fn deliver(&self, messages: impl IntoIterator<Item = Handed>) {
        let pieces = messages.into_iter().map(Piece::Message);
        self.fill(|waiting| waiting.queue.extend(pieces));
    }

    /// Notices to write; gives how many of them were dropped, as the socket does not keep up.
    pub fn announce<'a>(&self, notices: impl IntoIterator<Item = &'a ByteString>) -> usize {
        let mut dropped = 0;
        self.fill(|waiting| {
            for notice in notices {
                if waiting.notices < NOTICES_MAX {
                    waiting.notices += 1;
                    waiting.queue.push_back(Piece::Notice(notice.clone()));
                } else {
                    dropped += 1;
                }
            }
        });
        dropped
    }

    /// A frame of the session's own.
    pub fn write(&self, frame: Bytes) {
        self.fill(|waiting| waiting.push_own(frame));
    }

    /// The session's goodbye.
    pub fn close(&self, frame: Bytes) {
        self.fill(|waiting| {
            waiting.push_own(frame);
            waiting.state = State::Closed;
        });
    }

    /// The answer to the peer's own goodbye. It has read what was taken so far, of which this gives
    /// the mark; what is not taken by now is not written any more.
    pub fn farewell(&self, frame: Bytes) -> Mark {
        self.fill(|waiting| {
            let pieces = &mut waiting.queue;
            pieces.retain(|piece| !matches!(piece, Piece::Message(_)));
            waiting.push_own(frame);
            waiting.state = State::Closed;
        });
        self.sent()
    }

    /// A ping is to be written. Unless `always`, only where all others are answered.
    pub fn ping(&self, always: bool) {
        self.fill(|waiting| waiting.pings.ask(always));
    }

    /// A ping was answered; says whether it was one of ours that was not answered before.
    pub fn ponged(&self, mark: Mark) -> bool {
        let mut answered = false;
        let mut waiting = self.0.lock();
        if waiting.pings.answered(mark, &mut answered) {
            let writer = waiting.writer.take();
            wake(waiting, [writer]);
        }
        answered
    }

    /// How many messages the writer has taken.
    pub fn sent(&self) -> Mark {
        self.0.lock().pings.sent()
    }

    /// Whether so little of the session's own waits that it may go on.
    pub fn has_room(&self) -> bool {
        self.0.lock().own <= OWN_MAX
    }

    /// Ready when so little of the session's own waits that it may go on.
    pub fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = self.0.lock();
        if waiting.own <= OWN_MAX || waiting.state == State::Cut {
            return Poll::Ready(());
        }
        note(&mut waiting.session, context);
        Poll::Pending
    }

    /// The session has ended.
    pub fn finish(&self) {
        self.end(State::Finished);
    }

    /// The connection has ended: nobody writes any more.
    pub fn cut(&self) {
        self.end(State::Cut);
    }

    fn end(&self, state: State) {
        let mut waiting = self.0.lock();
        if waiting.state >= state {
            return;
        }
        waiting.state = state;
        if state == State::Cut {
            waiting.queue = VecDeque::new();
            (waiting.own, waiting.notices) = (0, 0);
        }
        let wakers = [waiting.writer.take(), waiting.session.take()];
        wake(waiting, wakers);
    }

    /// Gives what waits to `write`, until that says that it has enough; then the ping that is due
    /// after it. Says whether more may come; where that is so and nothing waits, the task is woken
    /// when it does.
    pub fn take(
        &self,
        now: Millis,
        context: &Context<'_>,
        mut write: impl FnMut(Piece) -> bool,
    ) -> bool {
        let mut waiting = self.0.lock();
        let mut enough = false;
        while !enough && let Some(piece) = waiting.queue.pop_front() {
            match &piece {
                Piece::Message(_) => waiting.pings.wrote(),
                Piece::Notice(_) => waiting.notices -= 1,
                Piece::Frame(frame) => waiting.own -= frame.len(),
                Piece::Ping(_) => {}
            }
            enough = write(piece);
        }
        let idle = waiting.queue.is_empty();
        if waiting.state == State::Open
            && let Some(mark) = waiting.pings.due(idle, now)
        {
            write(Piece::Ping(mark));
        }
        if idle {
            note(&mut waiting.writer, context);
        }
        let more = waiting.state < State::Finished || !waiting.queue.is_empty();
        let session = match waiting.own <= OWN_MAX {
            true => waiting.session.take(),
            false => None,
        };
        wake(waiting, [session]);
        more
    }
}

/// Lets go of what waits, then wakes those who are to take it.
fn wake<const N: usize>(waiting: MutexGuard<'_, Waiting>, wakers: [Option<Waker>; N]) {
    drop(waiting);
    wakers.into_iter().flatten().for_each(Waker::wake);
}

/// This task is to be woken.
fn note(waker: &mut Option<Waker>, context: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(context.waker()),
        None => *waker = Some(context.waker().clone()),
    }
}

impl Waiting {
    fn push_own(&mut self, frame: Bytes) {
        self.own += frame.len();
        self.queue.push_back(Piece::Frame(frame));
    }
}
