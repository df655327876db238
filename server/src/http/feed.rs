//! The bytes that a socket's connection has read and leaves to its session.

use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// Bytes that wait for the session with which the connection reads no more.
const MOST: usize = 32 * 1024;
/// What a chunk costs besides its bytes.
const CHUNK: usize = 64;

/// What is on its way. One thread has both ends.
#[derive(Default)]
pub struct Feed {
    chunks: RefCell<VecDeque<Bytes>>,
    /// Their bytes, and what they cost besides.
    bytes: Cell<usize>,
    ended: Cell<bool>,
    reader: Cell<Option<Waker>>,
    session: Cell<Option<Waker>>,
}

impl Feed {
    /// Whether the session has taken all that has come.
    pub fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    /// Ready when there is room for more.
    pub fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        if self.bytes.get() < MOST {
            return Poll::Ready(());
        }
        self.reader.set(Some(context.waker().clone()));
        Poll::Pending
    }

    /// Leaves these to the session.
    pub fn put(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let chunk = Bytes::copy_from_slice(bytes);
        self.bytes.update(|before| before + chunk.len() + CHUNK);
        self.chunks.borrow_mut().push_back(chunk);
        wake(&self.session);
    }

    /// Nothing comes after what is there.
    pub fn end(&self) {
        self.ended.set(true);
        wake(&self.session);
    }

    /// The next of it; `None` at the end.
    pub fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut chunks = self.chunks.borrow_mut();
        if let Some(chunk) = chunks.pop_front() {
            if chunks.is_empty() {
                // A socket is quiet most of the time.
                *chunks = VecDeque::new();
            }
            self.bytes.update(|before| before - chunk.len() - CHUNK);
            wake(&self.reader);
            return Poll::Ready(Some(chunk));
        }
        if self.ended.get() {
            return Poll::Ready(None);
        }
        self.session.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

fn wake(waker: &Cell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_its_order_and_then_the_end() {
        let (feed, context) = (Feed::default(), Context::from_waker(Waker::noop()));
        assert!(feed.poll_next(&context).is_pending());
        feed.put(b"one");
        feed.put(b"");
        feed.put(b"two");
        feed.end();
        let mut taken = Vec::new();
        while let Poll::Ready(Some(chunk)) = feed.poll_next(&context) {
            taken.push(chunk);
        }
        assert_eq!(taken, [&b"one"[..], b"two"]);
        assert!(feed.is_empty());
        assert_eq!(feed.poll_next(&context), Poll::Ready(None));
    }

    #[test]
    fn no_more_is_read_than_there_is_room_for() {
        let (feed, context) = (Feed::default(), Context::from_waker(Waker::noop()));
        feed.put(&[0; MOST - 2 * CHUNK - 2]);
        feed.put(&[0; 1]);
        assert!(feed.poll_room(&context).is_ready());
        feed.put(&[0; 1]);
        assert!(feed.poll_room(&context).is_pending());
        assert!(feed.poll_next(&context).is_ready());
        assert!(feed.poll_room(&context).is_ready());
    }
}
