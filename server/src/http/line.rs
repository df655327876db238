//! What the session of a socket shares with the connection that reads for it; and the frames that
//! are worked off where they are read, without the session: most of them.
//!
//! Those need no waiting: an answered ping, a delegation, an acknowledgement. They are left to the
//! session whenever there is anything before them that it has not worked off, so that the frames of
//! one sender keep their order; and so is whatever is not plain: a frame that has not come in full or
//! is a fragment, a call that is refused, anything over a bound.

use super::Shared;
use super::feed::Feed;
use super::frame::Frame;
use crate::actors::agent::handle::Session;
use crate::actors::socket::Outlet;
use crate::actors::speaking::Speaker;
use crate::core::frames::{self, PONG, Plain, TEXT, Violation};
use crate::core::replay::Digest;
use crate::core::window::Mark;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

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
    /// What the connection has read and leaves to the session.
    pub feed: Feed,
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
            feed: Feed::default(),
            seat: RefCell::new(None),
            unanswered: Cell::new(0),
            verdict: Cell::new(None),
            done: Cell::new(0),
            busy: Cell::new(false),
            passed: Cell::new((0, true)),
        }
    }

    /// How long the next call has to wait for its turn.
    pub fn turn(&self) -> std::time::Duration {
        self.state.flow.turn_of_frame(self.peer, self.agent)
    }

    /// The session has so many whole frames now, and `whole` says whether nothing besides.
    pub fn took(&self, frames: u64, whole: bool) {
        self.passed.set((frames, whole));
    }

    /// Whether the session has worked off all that has come, and waits for more.
    fn is_idle(&self) -> bool {
        let (passed, whole) = self.passed.get();
        let nothing = whole && self.feed.is_empty() && self.verdict.get().is_none();
        let nothing = nothing && !self.busy.get();
        nothing && self.done.get() == passed && self.seat.borrow().is_some()
    }

    /// What its client has sent: works it off as far as that can be done here and now, and leaves the
    /// rest to the session. Says whether anything was answered.
    pub fn take(&self, bytes: &mut [u8]) -> bool {
        let (done, answered) = self.work_off(bytes);
        self.feed.put(&bytes[done..]);
        answered
    }

    /// Works off the frames at the beginning of these bytes; says how many bytes they were, and
    /// whether any of them was answered. The rest is as it came.
    fn work_off(&self, bytes: &mut [u8]) -> (usize, bool) {
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
                TEXT => self.state.flow.clock.still(|| self.text(payload)),
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
        let answered = answer.is_some();
        if let Some(frame) = answer {
            self.outlet.write(frame);
        }
        Some(answered)
    }
}

/// The connection's end of a line. Dropped, it tells the session that nothing more comes, and that
/// nobody writes any more.
pub struct Plug(pub Rc<Line>);

impl Drop for Plug {
    fn drop(&mut self) {
        self.0.feed.end();
        self.0.outlet.cut();
    }
}
