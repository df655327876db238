//! A connection as the HTTP layer below reads and writes it, which by itself
//!
//! - watches over the first request's head alone, and by a clock that goes on while the process
//!   stands still: a second one may come as slowly as it likes, and what connects just after a
//!   standstill is late before it has begun (seen);
//! - reads whatever a peer sends while a request is worked off, keeps hundreds of requests that
//!   came at once, and spins when its buffer is full: one connection that waits in a poll and
//!   has sent 128 KiB of further requests takes a whole core (seen);
//! - waits for a peer that takes a long reply byte by byte for as long as that likes.
//!
//! So the relay's own stream stands between it and the kernel, and knows where in the conversation
//! the connection is: [`Watch`] is told by whoever asks, reads a body, or has answered.

mod watch;

use super::alarm::{Alarm, after};
use super::flow::{Flow, count};
use crate::core::Millis;
use bytes::{BufMut, BytesMut};
use memchr::memmem;
use std::cell::Cell;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;
use watch::{DROPS, Late, Phase};
pub use watch::{Turn, Watch};

/// Bytes that are read between two requests before the layer above has looked at them: so many
/// requests of one write it may take in at a time.
const SLICE: usize = 8 * 1024;
/// The same, of a body.
const PART: usize = 16 * 1024;

/// Where a connection comes back to, with a byte that was read of what follows.
pub type Home<S> = Rc<Cell<Option<(S, Option<u8>)>>>;

/// May stand before a reply.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The stream.
pub struct Link<S> {
    /// Nothing when it has been given back.
    stream: Option<S>,
    watch: Rc<Watch>,
    /// What was read before.
    before: BytesMut,
    /// Bytes of the one request it is there for that are still to be read. Nothing where that is not
    /// known: then it is there for all that follow, too.
    left: Option<usize>,
    /// Requests that had been asked before.
    asked: u64,
    /// Where it goes back to.
    home: Home<S>,
    /// The first byte of the next request, read while one was worked off.
    early: Option<u8>,
    /// Whether the connection has ended, for the layer above.
    ended: bool,
    /// Whether it was only told so, and the connection goes home.
    returns: bool,
    /// Bytes handed up between two requests since the layer above last had time to look at them.
    run: usize,
    patience: Patience,
    /// Runs while drops gather.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Link<S> {
    /// Around a connection.
    pub fn new(stream: S, watch: Rc<Watch>) -> Self {
        Link {
            stream: Some(stream),
            before: BytesMut::new(),
            left: None,
            asked: watch.asked.get(),
            home: Home::default(),
            watch,
            early: None,
            ended: false,
            returns: false,
            run: 0,
            patience: Patience::default(),
            pause: None,
        }
    }

    /// The same, with what has been read of a request, and how much of it is to come, if that is known:
    /// then the connection goes home when the request has been answered.
    pub fn lent(mut self, before: BytesMut, left: Option<usize>, home: Home<S>) -> Self {
        (self.before, self.left, self.home) = (before, left, home);
        self
    }

    /// What is known of it.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// The connection itself, which has no deadlines any more, and a byte that was read of it.
    pub fn into_parts(self) -> Option<(S, Option<u8>)> {
        self.stream.map(|stream| (stream, self.early))
    }

    /// Whether the request that it is there for has been answered.
    fn is_done(&self) -> bool {
        self.left == Some(0)
            && self.before.is_empty()
            && self.watch.phase.get() == Phase::Between
            && self.watch.asked.get() != self.asked
    }

    /// What is too late, if anything is. If nothing is, the task is woken when something may be.
    fn late(&mut self, context: &mut Context<'_>) -> Option<Late> {
        let (due, late) = self.watch.deadline()?;
        let over = self.patience.is_over(&self.watch.flow, due, context);
        over.then_some(late)
    }
}

/// Waits until something is too late, and then until it is its turn to be ended for that.
#[derive(Default)]
pub struct Patience {
    alarm: Alarm,
    turn: Option<Millis>,
}

impl Patience {
    /// Whether it is over. If not, the task is woken when it may be.
    pub fn is_over(&mut self, flow: &Flow, due: Millis, context: &mut Context<'_>) -> bool {
        if !self.is_due(flow, due, context) {
            self.turn = None;
            return false;
        }
        let turn = *self
            .turn
            .get_or_insert_with(|| after(&flow.clock, flow.turn_of_connection()));
        self.is_due(flow, turn, context)
    }

    /// The same, without a turn.
    pub fn is_due(&mut self, flow: &Flow, due: Millis, context: &mut Context<'_>) -> bool {
        self.alarm.is_over(&flow.clock, due, context)
    }
}

impl<S: AsyncRead + Unpin> Link<S> {
    /// Reads so many bytes at most, into memory as it is: zeroed first, every connection that waits
    /// would keep pages of zeros.
    fn read_part(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(0));
        };
        let mut part = into.limit(most.min(self.left.unwrap_or(usize::MAX)));
        let read = ready!(poll_read_buf(Pin::new(stream), context, &mut part))?;
        self.left = self.left.map(|left| left - read);
        Poll::Ready(Ok(read))
    }

    /// Whether drops gather still.
    fn gathers(&mut self, context: &mut Context<'_>) -> bool {
        // What is read next may be no part of it any more.
        let gathering = self.watch.drops.get() > DROPS;
        let pause = self.pause.as_mut().filter(|_| gathering);
        if pause.is_some_and(|pause| pause.as_mut().poll(context).is_pending()) {
            return true;
        }
        self.pause = None;
        false
    }

    /// A head or a body has come on by so many bytes.
    fn came(&mut self, bytes: usize) {
        self.pause = self.watch.gather(bytes).map(|time| Box::pin(sleep(time)));
    }

    /// Whether so much was handed up that the layer above has to look at it before there is more.
    fn has_handed(&mut self, most: usize, context: &Context<'_>) -> bool {
        let enough = self.run >= most;
        if enough {
            self.run = 0;
            context.waker().wake_by_ref();
        }
        enough
    }

    /// Reads so many bytes at most, which count.
    fn read_some(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<Result<()>> {
        let read = self.read_part(context, into, most)?;
        match read {
            Poll::Ready(read) => {
                self.run += read;
                self.came(read);
            }
            Poll::Pending => self.run = 0,
        }
        read.map(|_| Ok(()))
    }

    /// Reads what of a body there is, some of it at a time: the layer above keeps room for all that it
    /// reads before it hands it on.
    fn read_body(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.has_handed(PART, context) || self.gathers(context) {
            return Poll::Pending;
        }
        self.read_some(context, into, PART)
    }

    /// Reads no more than a slice at a time, so that requests are looked at one by one.
    fn read_between(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.has_handed(SLICE, context) {
            return Poll::Pending;
        }
        if self.gathers(context) {
            return self.end_if_late(context);
        }
        if self.read_some(context, into, SLICE)?.is_pending() {
            return self.end_if_late(context);
        }
        self.notice_bytes();
        Poll::Ready(Ok(()))
    }

    fn take_in(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let phase = self.watch.phase.get();
        if phase == Phase::Asked {
            return self.read_none(context);
        }
        if !self.before.is_empty() {
            let part = self.before.len().min(into.remaining());
            into.put_slice(&self.before.split_to(part));
            if self.before.is_empty() {
                // Its room is not kept while the request is worked off.
                self.before = BytesMut::new();
            }
            self.notice_bytes();
            self.came(part);
            return Poll::Ready(Ok(()));
        }
        if self.left == Some(0) {
            return self.read_none(context);
        }
        if let Some(byte) = self.early.take() {
            into.put_slice(&[byte]);
            if phase == Phase::Between {
                self.notice_bytes();
            }
            return Poll::Ready(Ok(()));
        }
        match phase {
            Phase::Between => self.read_between(context, into),
            _ => self.read_body(context, into),
        }
    }

    fn notice_bytes(&self) {
        let watch = &self.watch;
        if watch.begun.get().is_none() && !watch.is_new() {
            watch.begun.set(Some(watch.flow.clock.now()));
        }
    }

    /// Listens for the end of the connection.
    fn read_none(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.early.is_none()
            && self.before.is_empty()
            && let Some(stream) = &mut self.stream
        {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            match Pin::new(stream).poll_read(context, &mut one)? {
                Poll::Ready(()) => match (one.filled(), &mut self.left) {
                    ([], _) => return Poll::Ready(Ok(())),
                    // Of a body that nobody reads, or not yet.
                    (some, Some(left @ 1..)) => {
                        *left -= 1;
                        self.before.extend_from_slice(some);
                    }
                    ([byte, ..], _) => self.early = Some(*byte),
                },
                // The connection goes home when the request has been answered, whatever comes.
                Poll::Pending if self.left.is_some() => {}
                Poll::Pending => return self.end_if_late(context),
            }
        }
        self.watch.reader.set(Some(context.waker().clone()));
        self.end_if_late(context)
    }

    /// Ends the connection as its peer would, if it is time: what stands in the buffers of the
    /// layer above is still written.
    fn end_if_late(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let counts = match self.late(context) {
            None => return Poll::Pending,
            Some(Late::Head) => &self.watch.flow.counts.late_heads,
            Some(Late::Reply) => return Poll::Ready(Err(self.not_taken())),
        };
        count(counts);
        Poll::Ready(Ok(()))
    }

    fn not_taken(&self) -> Error {
        count(&self.watch.flow.counts.late_replies);
        Error::from(ErrorKind::TimedOut)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Link<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let link = self.get_mut();
        if link.is_done() {
            // The end, for the layer above; not for the connection.
            link.returns = true;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = link.take_in(context, into);
        link.ended |= read.is_ready() && into.filled().len() == before;
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let link = self.get_mut();
        if says_close(bytes) {
            // It does not go home, and what still comes is read: closed over it, the connection would be
            // reset.
            link.left = None;
        }
        let Some(stream) = &mut link.stream else {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        };
        if let Poll::Ready(written) = Pin::new(stream).poll_write(context, bytes)? {
            if written == bytes.len() {
                link.watch.stuck.set(None);
            }
            return Poll::Ready(Ok(written));
        }
        if link.watch.stuck.get().is_none() {
            let now = link.watch.flow.clock.now();
            link.watch.stuck.set(Some(now));
        }
        match link.late(context) {
            Some(Late::Reply) => Poll::Ready(Err(link.not_taken())),
            _ => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let link = self.get_mut();
        if let Some(stream) = &mut link.stream {
            ready!(Pin::new(stream).poll_flush(context))?;
        }
        // A peer that has ended its side is taken for gone.
        let given = link.watch.given.take();
        if !link.ended {
            given.into_iter().for_each(|batch| batch.written());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let link = self.get_mut();
        if link.returns {
            let early = link.early;
            link.home
                .set(link.stream.take().map(|stream| (stream, early)));
        }
        match &mut link.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// Whether these bytes begin with the head of a reply that is the connection's last, as the layer above
/// writes it. It alone knows: a body that was not read makes one the last, too.
fn says_close(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(CONTINUE).unwrap_or(bytes);
    if !bytes.starts_with(b"HTTP/1.1 ") {
        return false;
    }
    let end = memmem::find(bytes, b"\r\n\r\n").unwrap_or(0);
    memmem::find(&bytes[..end], b"\r\nconnection: close").is_some()
}

#[cfg(test)]
mod tests;
