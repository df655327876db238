//! What the session of a socket shares with the connection that reads for it; and the frames that
//! are worked off where they are read, without the session: most of them.
//!
//! Those need no waiting: an answered ping, a delegation, an acknowledgement. They are left to the
//! session whenever there is anything before them that it has not worked off, so that the frames of
//! one sender keep their order; and so is whatever is not plain: a frame that has not come in full or
//! is a fragment, a call that is refused, anything over a bound.

use super::Shared;
use super::frame::Frame;
use crate::actors::agent::handle::Session;
use crate::actors::socket::Outlet;
use crate::actors::speaking::Speaker;
use crate::core::frames::{self, PONG, Plain, TEXT, Violation};
use crate::core::replay::Digest;
use crate::core::window::Mark;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One socket, as its session and its connection know it.
pub struct Line {
    /// What every handler reads.
    pub state: Shared,
    /// Whose it is: what the upgrade has shown.
    pub receiver: Speaker,
    peer: Option<IpAddr>,
    agent: Digest,
    /// Where both write.
    pub outlet: Arc<Outlet>,
    /// Its place at its agent. Whoever drops the session takes it out.
    pub seat: RefCell<Option<Session>>,
    /// Pings of the interval since the peer was last heard; counted where it acknowledges.
    pub unanswered: Cell<u32>,
    /// Why the bytes have ended, if the peer did not end them.
    pub verdict: Cell<Option<Violation>>,
    /// Frames that the session has begun to work off.
    pub done: Cell<u64>,
    /// Whether it waits for what comes of one.
    pub busy: Cell<bool>,
    /// Whole frames that were passed on to it, and whether they are all that has come.
    passed: Cell<(u64, bool)>,
    /// Bytes on their way to it.
    under_way: Cell<usize>,
    /// Whether it has all that came with the upgrade.
    ready: Cell<bool>,
    reader: Cell<Option<Waker>>,
}

impl Line {
    /// Of a socket that is being opened.
    pub fn new(
        state: Shared,
        receiver: Speaker,
        peer: Option<IpAddr>,
        outlet: Arc<Outlet>,
    ) -> Self {
        let agent = state
            .relay
            .replays
            .digest(receiver.id().as_str().as_bytes());
        Line {
            state,
            receiver,
            peer,
            agent,
            outlet,
            seat: RefCell::new(None),
            unanswered: Cell::new(0),
            verdict: Cell::new(None),
            done: Cell::new(0),
            busy: Cell::new(false),
            passed: Cell::new((0, true)),
            under_way: Cell::new(0),
            ready: Cell::new(false),
            reader: Cell::new(None),
        }
    }

    /// How long the next call has to wait for its turn.
    pub fn turn(&self) -> std::time::Duration {
        self.state.flow.turn_of_frame(self.peer, self.agent)
    }

    /// Ready when the connection may read for the socket.
    pub fn poll_ready(&self, context: &Context<'_>) -> Poll<()> {
        if self.ready.get() {
            return Poll::Ready(());
        }
        self.reader.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// The session has seen all that has come to it so far.
    pub fn is_drained(&self) {
        if !self.ready.replace(true)
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// So many bytes are left to the session.
    pub fn leave(&self, bytes: usize) {
        self.under_way.update(|before| before + bytes);
    }

    /// So many have come to it: now it has so many whole frames, and `whole` says whether nothing
    /// besides.
    pub fn took(&self, bytes: usize, frames: u64, whole: bool) {
        // What came with the upgrade was not counted.
        if self.ready.get() {
            self.under_way.update(|before| before.saturating_sub(bytes));
        }
        self.passed.set((frames, whole));
    }

    /// Whether the session has worked off all that has come, and waits for more.
    fn is_idle(&self) -> bool {
        let (passed, whole) = self.passed.get();
        let nothing = whole && self.under_way.get() == 0 && self.verdict.get().is_none();
        let nothing = nothing && !self.busy.get();
        nothing && self.done.get() == passed && self.seat.borrow().is_some()
    }

    /// Works off the frames at the beginning of these bytes, as far as it can be done here and now;
    /// says how many bytes they were, and whether any of them was answered. The rest is as it came.
    pub fn work_off(&self, bytes: &mut [u8]) -> (usize, bool) {
        let (mut at, mut answered) = (0, false);
        if !self.is_idle() {
            return (at, answered);
        }
        while let Some(plain) = frames::plain(&bytes[at..], self.state.limits.body) {
            let Plain {
                opcode,
                mask,
                head,
                length,
            } = plain;
            let payload = &mut bytes[at + head..at + head + length];
            frames::unmask(payload, mask);
            let done = match opcode {
                PONG => {
                    self.ponged(payload);
                    Some(false)
                }
                TEXT => self.text(payload),
                _ => None,
            };
            let Some(was_answered) = done else {
                frames::unmask(payload, mask);
                break;
            };
            answered |= was_answered;
            self.unanswered.set(0);
            at += head + length;
        }
        (at, answered)
    }

    /// A ping was answered: everything before it was read.
    pub fn ponged(&self, payload: &[u8]) {
        let Ok(mark) = <[u8; 8]>::try_from(payload).map(Mark::from_be_bytes) else {
            return;
        };
        if self.outlet.ponged(mark)
            && let Some(seat) = &*self.seat.borrow()
        {
            seat.confirm(mark);
        }
    }

    /// A call, where it can be done at once; says whether it was answered then.
    fn text(&self, payload: &[u8]) -> Option<bool> {
        let text = std::str::from_utf8(payload).ok()?;
        let agent = self.receiver.agent()?;
        let frame = Frame::read(&self.state, text);
        let flow = &self.state.flow;
        if frame.waits() || !self.outlet.has_room() || !flow.is_turn_of_frame(self.peer, self.agent)
        {
            return None;
        }
        agent.heard();
        let answer = frame.serve_at_once(&self.state, &self.receiver);
        if let Some(answer) = &answer {
            self.outlet.write(frames::whole(TEXT, answer.as_bytes()));
        }
        Some(answer.is_some())
    }
}
