//! The bytes that go to a socket's peer: taken from its [`Outlet`], framed, and written to the
//! connection, many frames at a time.
//!
//! They do not go through the reply's body: the layer below would copy them into a buffer of its own,
//! write every 4 KiB of it, and keep it. The body only lasts as long as the socket does.

use super::delivery::{without_brace, write_delivery};
use super::link::Watch;
use crate::actors::socket::{Outlet, Piece};
use crate::core::Millis;
use crate::core::frames::{PING, TEXT, head};
use bytes::{Buf, Bytes};
use futures_util::Stream;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Bytes that are put together for one write; a message longer than that is written by itself.
const WRITE: usize = 64 * 1024;

thread_local! {
    /// Where they are put together: what the kernel takes at once needs no other place.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes what an outlet gives.
pub struct Outgoing {
    outlet: Arc<Outlet>,
    /// What the kernel has not taken yet.
    rest: Bytes,
    /// Whether the task was woken at the end.
    ended: bool,
}

/// Lasts as long as an outlet does. Dropped, it tells that nobody writes any more.
pub(super) struct Body {
    outlet: Arc<Outlet>,
    watch: Option<Rc<Watch>>,
}

impl Body {
    /// A reply's body on the connection with this record, which writes what the outlet gives.
    pub(super) fn new(outlet: Arc<Outlet>, watch: Rc<Watch>) -> Self {
        let watch = Some(watch);
        Body { outlet, watch }
    }
}

impl Stream for Body {
    type Item = std::result::Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Not before the reply's head stands in the buffer of the layer above.
        if let Some(watch) = self.watch.take() {
            watch.stream_to(Outgoing::new(self.outlet.clone()));
        }
        match self.outlet.is_over() {
            true => Poll::Ready(None),
            // Its task is woken by the outlet.
            false => Poll::Pending,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.outlet.cut();
    }
}

impl Outgoing {
    /// Nothing is written yet.
    pub fn new(outlet: Arc<Outlet>) -> Self {
        Outgoing {
            outlet,
            rest: Bytes::new(),
            ended: false,
        }
    }

    /// Writes what there is. Ready when all of it has gone; the task is woken when there is more, and
    /// once again when the last of it has gone.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        now: Millis,
        context: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<()>> {
        while !self.rest.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(context, &self.rest)?
            else {
                return Poll::Pending;
            };
            self.rest.advance(some(written)?);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                scratch.clear();
                let more = self.outlet.take(now, context, |piece| {
                    put(scratch, &piece);
                    scratch.len() >= WRITE
                });
                if !more && !self.ended {
                    // The body was asked before this, and could not say that it is over.
                    self.ended = true;
                    context.waker().wake_by_ref();
                }
                if scratch.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let mut written = 0;
                while written < scratch.len() {
                    match Pin::new(&mut *stream).poll_write(context, &scratch[written..])? {
                        Poll::Ready(step) => written += some(step)?,
                        Poll::Pending => {
                            self.rest = Bytes::copy_from_slice(&scratch[written..]);
                            return Poll::Pending;
                        }
                    }
                }
                if scratch.capacity() > 2 * WRITE {
                    *scratch = Vec::new();
                }
            }
        })
    }
}

fn some(written: usize) -> Result<usize> {
    match written {
        0 => Err(ErrorKind::WriteZero.into()),
        some => Ok(some),
    }
}

/// Writes it as a frame.
fn put(out: &mut Vec<u8>, piece: &Piece) {
    let mut text = |parts: &[&[u8]]| {
        head(out, TEXT, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    };
    match piece {
        Piece::Message(handed) if handed.lease.is_some() => {
            let mut delivery = Vec::with_capacity(64);
            write_delivery(&mut delivery, handed.lease.as_ref());
            let open = without_brace(&handed.envelope.body);
            text(&[open.as_bytes(), &delivery, b"}"]);
        }
        Piece::Message(handed) => text(&[handed.envelope.body.as_bytes()]),
        Piece::Notice(notice) => text(&[notice.as_bytes()]),
        Piece::Frame(frame) => out.extend_from_slice(frame),
        Piece::Ping(mark) => {
            head(out, PING, size_of_val(mark));
            out.extend_from_slice(&mark.to_be_bytes());
        }
    }
}
