//! One connection, from its first byte on.
//!
//! The calls that agents make all the time are answered here, where they are read: from the bytes that
//! came to the bytes that go, without a buffer or a future of the connection's own. Whatever else a
//! client sends is the HTTP layer's: it gets the connection for as long as that request lasts, and
//! gives it back when it has written the reply. So a connection on which nothing is asked holds nothing
//! of HTTP.

use super::alarm::{after, by};
use super::came::{Came, SLICE};
use super::desk::{Asked, Desk, Replies, Served};
use super::error::ApiError;
use super::flow::count;
use super::frequent::{Answer, Work};
use super::link::{Home, Link, Patience, Watch};
use super::request::{self, Seen};
use super::wire::part;
use crate::core::Millis;
use crate::core::presence::millis;
use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_service::Service;
use bytes::{Buf, BytesMut};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

/// Bytes that are written before others have their turn; a long reply has more.
const OUT: usize = 8 * SLICE;
/// Milliseconds for which the rest of a head, or of the body of a frequent call, is waited for here: many
/// clients write head and body one after the other, and a head may be parted anywhere.
const MOMENT: Millis = 250;

/// Replies whose room is kept for the next ones.
const KEPT: usize = 64;

thread_local! {
    /// Room for replies: they go in one step, or two. Whoever writes there takes it along, so that what an
    /// error or a panic leaves in it goes with it.
    static ROOMS: RefCell<Vec<Replies>> = const { RefCell::new(Vec::new()) };
}

fn room() -> Replies {
    ROOMS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// The same room again, as nothing waits in it.
fn keep(room: Replies) {
    ROOMS.with_borrow_mut(|rooms| {
        if rooms.len() < KEPT {
            rooms.push(room);
        }
    });
}

/// What a connection does next; see [`Came`].
#[derive(Default)]
enum Step {
    /// It reads.
    #[default]
    Read,
    /// It works off what it has read.
    Answer(Came),
    /// It writes, and goes on like this.
    Write(Replies, Then),
}

impl Step {
    /// Whether others may take theirs before.
    fn may_wait(&self) -> bool {
        match self {
            Step::Read => false,
            Step::Answer(came) => came.may_wait(),
            Step::Write(replies, _) => (1..SLICE).contains(&replies.rest().len()),
        }
    }
}

/// Where a connection has come to.
struct Met {
    /// What the kernel has not taken.
    unsent: Option<Replies>,
    then: Then,
}

/// How it goes on.
enum Then {
    /// With what comes.
    Read,
    /// With the rest of a request, of so many bytes if that is known.
    ReadOn(Option<usize>),
    /// When this call has its answer.
    Wait(Asked, Work),
    /// When the HTTP layer has answered the request that comes now, of so many bytes if that is known.
    HandOver(Option<usize>),
    /// Not.
    End,
}

/// A connection.
pub struct Conversation<H> {
    desk: Rc<Desk>,
    /// The HTTP layer.
    http: Rc<H>,
    peer: Option<SocketAddr>,
    watch: Rc<Watch>,
    /// What has been read and not been looked at.
    rest: BytesMut,
    /// Of a request that has come in part: its bytes, if that is known, and until when it is waited for here.
    part: Option<(Option<usize>, Millis)>,
    /// Whether the client has ended its side.
    ended: bool,
    patience: Patience,
    /// The end of the relay, and whether it wakes the task already.
    ending: LocalBoxFuture<'static, ()>,
    listens: bool,
    step: Step,
}

impl<H> Conversation<H> {
    /// On a connection that has opened.
    pub fn new(desk: Rc<Desk>, http: Rc<H>, watch: Rc<Watch>, peer: Option<SocketAddr>) -> Self {
        let lifeline = desk.state.relay.lifeline.clone();
        Conversation {
            desk,
            http,
            peer,
            watch,
            rest: BytesMut::new(),
            part: None,
            ended: false,
            patience: Patience::default(),
            ending: Box::pin(async move { lifeline.ending().await }),
            listens: false,
            step: Step::Read,
        }
    }

    /// Answers what comes until one of both ends it, or it goes on as something else.
    pub async fn hold<S>(mut self, mut stream: S) -> Result<(), DispatchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        H: Service<(Link<S>, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>,
    {
        loop {
            let met = poll_fn(|context| self.poll_requests(&mut stream, context)).await?;
            if let Some(unsent) = met.unsent {
                self.send(&mut stream, unsent).await?;
            }
            match met.then {
                Then::Read | Then::ReadOn(_) => {}
                Then::Wait(asked, mut work) => {
                    let awaited = poll_fn(|context| self.wait_for(&mut stream, &mut work, context));
                    let Some(outcome) = awaited.await? else {
                        return Ok(());
                    };
                    let mut replies = Replies::default();
                    let ends = self.desk.reply(asked, outcome, &mut replies);
                    self.send(&mut stream, replies).await?;
                    if ends {
                        break;
                    }
                }
                Then::HandOver(length) => match self.hand_over(stream, length).await? {
                    Some(back) => stream = back,
                    None => return Ok(()),
                },
                Then::End => break,
            }
        }
        part(&mut stream).await;
        Ok(())
    }

    /// Answers the requests that are there. Ready when something else is to be done.
    fn poll_requests<S>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Met>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut come, mut gone) = (0, 0);
        while come < SLICE && gone < OUT {
            self.step = match mem::take(&mut self.step) {
                Step::Read => {
                    let Poll::Ready(came) = self.poll_come(stream, context)? else {
                        return self.poll_time(context).map(Ok);
                    };
                    Step::Answer(came)
                }
                Step::Answer(came) => {
                    // Not before: what may not wait is answered in any case.
                    come += came.len();
                    let mut replies = room();
                    let then = self.look(came, &mut replies, context);
                    Step::Write(replies, then)
                }
                Step::Write(mut replies, then) => {
                    gone += replies.rest().len();
                    let unsent = match self.poll_write(stream, &mut replies, context)? {
                        Poll::Ready(()) => {
                            keep(replies);
                            None
                        }
                        Poll::Pending => Some(replies),
                    };
                    if unsent.is_some() || !matches!(then, Then::Read) {
                        return Poll::Ready(Ok(Met { unsent, then }));
                    }
                    continue;
                }
            };
            if self.step.may_wait() {
                break;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads what comes; nothing where there is something still to be looked at.
    fn poll_come<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Came>> {
        match self.rest.is_empty() || self.part.is_some() {
            true => Came::poll_read(stream, context),
            false => Poll::Ready(Ok(Came::nothing())),
        }
    }

    /// Ready when what is waited for does not come in time.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<Met> {
        let (watch, patience) = (&self.watch, &mut self.patience);
        // Once is enough: the task stays the same.
        if !mem::replace(&mut self.listens, true) {
            let _ = Pin::new(&mut unconstrained(self.ending.as_mut())).poll(context);
        }
        let ends = self.desk.state.relay.lifeline.is_ending();
        let then = match self.part {
            None if ends => Some(Then::End),
            None => {
                let late = patience.is_over(&watch.flow, watch.idle_until(), context);
                if late && watch.is_new() {
                    count(&watch.flow.counts.late_heads);
                }
                late.then_some(Then::End)
            }
            // The HTTP layer begins nothing any more.
            Some((_, due)) if ends => {
                let due = due + millis(watch.flow.limits.body_gap);
                let over = patience.is_due(&watch.flow, due, context);
                over.then_some(Then::End)
            }
            Some((whole, due)) => {
                let over = patience.is_due(&watch.flow, due, context);
                over.then_some(Then::HandOver(whole))
            }
        };
        let met = |then| Met { unsent: None, then };
        then.map_or(Poll::Pending, |then| Poll::Ready(met(then)))
    }

    /// Looks at what has come, after what was left.
    fn look(&mut self, came: Came, replies: &mut Replies, context: &mut Context<'_>) -> Then {
        match self.part {
            // What has not come is the HTTP layer's to judge.
            Some((whole, _)) if came.is_empty() => return Then::HandOver(whole),
            None if came.is_empty() && self.rest.is_empty() => return Then::End,
            _ => {}
        }
        let (used, then) = came.work_off(|come| {
            if self.rest.is_empty() {
                let (used, then) = self.answer(come, replies, context);
                self.rest.extend_from_slice(&come[used..]);
                return (used, then);
            }
            let mut all = mem::take(&mut self.rest);
            all.extend_from_slice(come);
            let (used, then) = self.answer(&all, replies, context);
            all.advance(used);
            if !all.is_empty() {
                self.rest = all;
            }
            (used, then)
        });
        let Then::ReadOn(whole) = then else {
            self.part = None;
            return then;
        };
        let due = self.part.filter(|_| used == 0).map(|(_, due)| due);
        let due = due.unwrap_or_else(|| self.watch.flow.clock.now().saturating_add(MOMENT));
        self.part = Some((whole, due));
        Then::Read
    }

    /// Answers the frequent calls that stand at the beginning of these bytes; says how many bytes they
    /// were, and what to do then.
    fn answer(
        &self,
        bytes: &[u8],
        replies: &mut Replies,
        context: &mut Context<'_>,
    ) -> (usize, Then) {
        let (mut used, peer) = (0, self.peer.map(|peer| peer.ip()));
        while used < bytes.len() {
            let then = match request::read(&bytes[used..]) {
                // The rest would come in more than one step.
                Seen::Part(length) if length.unwrap_or(bytes.len() - used) >= SLICE => {
                    Then::HandOver(length)
                }
                Seen::Part(length) => Then::ReadOn(length),
                Seen::Other(length) => Then::HandOver(length),
                Seen::Frequent(mut request) => {
                    used += request.length;
                    request.closes |= self.desk.state.relay.lifeline.is_ending();
                    match self
                        .desk
                        .serve(&request, peer, &self.watch, replies, context)
                    {
                        Served::Replied(false) if replies.rest().len() < SLICE => continue,
                        // What was asked for after it may be long, too.
                        Served::Replied(false) => Then::Read,
                        Served::Replied(true) => Then::End,
                        Served::Waits(asked, work) => Then::Wait(asked, work),
                    }
                }
            };
            return (used, then);
        }
        (used, Then::Read)
    }

    /// Writes replies. Ready when the kernel has them all.
    fn poll_write<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        replies: &mut Replies,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !replies.are_gone() {
            let mut waits = false;
            if !replies.rest().is_empty() {
                match Pin::new(&mut *stream).poll_write(context, replies.rest())? {
                    Poll::Ready(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                    Poll::Ready(written) => replies.wrote(written),
                    Poll::Pending => waits = true,
                }
            }
            // What is encrypted may wait on this side.
            ready!(Pin::new(&mut *stream).poll_flush(context))?;
            replies.reached(|| self.has_gone(stream, context));
            if waits {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes replies for as long as the client may take for them.
    async fn send<S>(&mut self, stream: &mut S, mut replies: Replies) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let flow = self.watch.flow.clone();
        let due = after(&flow.clock, flow.limits.body_total);
        let written = poll_fn(|context| self.poll_write(stream, &mut replies, context));
        by(&flow.clock, due, written).await.unwrap_or_else(|| {
            count(&flow.counts.late_replies);
            Err(ErrorKind::TimedOut.into())
        })
    }

    /// Whether the client has ended its side, as far as that is known. It is taken for gone then.
    fn has_gone<S>(&mut self, stream: &mut S, context: &mut Context<'_>) -> bool
    where
        S: AsyncRead + Unpin,
    {
        self.read_ahead(stream, context).is_err() || self.ended
    }

    /// What a call comes to; nothing if its client goes before.
    fn wait_for<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        work: &mut Work,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Result<Answer, ApiError>>>> {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(outcome)));
        }
        self.read_ahead(stream, context)?;
        match self.ended {
            true => Poll::Ready(Ok(None)),
            false => Poll::Pending,
        }
    }

    /// Reads what comes meanwhile, as far as there is room for it.
    fn read_ahead<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut some = [0; 512];
        while self.rest.len() < SLICE && !self.ended {
            let mut some = ReadBuf::new(&mut some);
            if Pin::new(&mut *stream)
                .poll_read(context, &mut some)?
                .is_pending()
            {
                break;
            }
            self.ended = some.filled().is_empty();
            self.rest.extend_from_slice(some.filled());
        }
        Ok(())
    }

    /// Has the HTTP layer answer a request. Gives the connection if it goes on.
    async fn hand_over<S>(
        &mut self,
        stream: S,
        length: Option<usize>,
    ) -> Result<Option<S>, DispatchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        H: Service<(Link<S>, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>,
    {
        self.part = None;
        let mut request = mem::take(&mut self.rest);
        let there = length.unwrap_or(usize::MAX).min(request.len());
        // A copy: while the one is worked off, the room of both would be kept.
        self.rest.extend_from_slice(&request[there..]);
        request.truncate(there);
        let left = length.map(|length| length - there);
        let home = Home::default();
        let link = Link::new(stream, self.watch.clone()).lent(request, left, home.clone());
        Box::pin(self.http.call((link, Protocol::Http1, self.peer))).await?;
        let Some((stream, early)) = home.take() else {
            return Ok(None);
        };
        self.rest.extend(early);
        Ok(Some(stream))
    }
}
