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
use bytes::BufMut;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::io::poll_read_buf;
use watch::{DROPS, Late, Phase};
pub use watch::{Turn, Watch};

/// Bytes that are read between two requests before the layer above has looked at them: so many
/// requests of one write it may take in at a time.
const SLICE: usize = 8 * 1024;

/// The stream.
pub struct Link<S> {
    stream: S,
    watch: Rc<Watch>,
    /// The first byte of the next request, read while one was worked off.
    early: Option<u8>,
    /// Whether the connection has ended, for the layer above.
    ended: bool,
    /// Bytes handed up between two requests since the layer above last had time to look at them.
    run: usize,
    alarm: Alarm,
    /// When it is its turn to be ended, once it is late.
    turn: Option<Millis>,
    /// Runs while drops gather.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Link<S> {
    /// Around a connection that was just accepted.
    pub fn new(stream: S, flow: Arc<Flow>) -> Self {
        Link {
            stream,
            watch: Watch::new(flow),
            early: None,
            ended: false,
            run: 0,
            alarm: Alarm::default(),
            turn: None,
            pause: None,
        }
    }

    /// Its record.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// The connection itself, which has no deadlines any more, and a byte that was read of it.
    pub fn into_parts(self) -> (S, Option<u8>) {
        (self.stream, self.early)
    }

    /// What is too late, if anything is. If nothing is, the task is woken when something may be.
    fn late(&mut self, context: &mut Context<'_>) -> Option<Late> {
        let (due, late) = self.watch.deadline()?;
        let flow = &self.watch.flow;
        let mut is_over = |due| self.alarm.is_over(&flow.clock, due, context);
        if !is_over(due) {
            return None;
        }
        let turn = *self
            .turn
            .get_or_insert_with(|| after(&flow.clock, flow.turn_of_connection()));
        is_over(turn).then_some(late)
    }
}

impl<S: AsyncRead + Unpin> Link<S> {
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

    /// Reads what of a body there is.
    fn read_body(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.gathers(context) {
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        self.came(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// Reads no more than a slice at a time, so that requests are looked at one by one.
    fn read_between(
        &mut self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.run >= SLICE {
            self.run = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.gathers(context) {
            return self.end_if_late(context);
        }
        // Into memory as it is: zeroed first, every connection that waits would keep pages of zeros.
        let mut part = into.limit(SLICE);
        match poll_read_buf(Pin::new(&mut self.stream), context, &mut part)? {
            Poll::Ready(read) => {
                self.run += read;
                self.notice_bytes();
                self.came(read);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.run = 0;
                self.end_if_late(context)
            }
        }
    }

    fn take_in(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let phase = self.watch.phase.get();
        if phase == Phase::Asked {
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
        if watch.begun.get().is_none() && !watch.first.get() {
            watch.begun.set(Some(watch.flow.clock.now()));
        }
    }

    /// Listens for the end of the connection.
    fn read_none(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.early.is_none() {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            match Pin::new(&mut self.stream).poll_read(context, &mut one)? {
                Poll::Ready(()) => match one.filled() {
                    [] => return Poll::Ready(Ok(())),
                    [byte, ..] => self.early = Some(*byte),
                },
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
        if let Poll::Ready(written) = Pin::new(&mut link.stream).poll_write(context, bytes)? {
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
        if link.watch.came_around() {
            context.waker().wake_by_ref();
        }
        ready!(Pin::new(&mut link.stream).poll_flush(context))?;
        // A peer that has ended its side is taken for gone.
        let given = link.watch.given.take();
        if !link.ended {
            given.into_iter().for_each(|batch| batch.written());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
