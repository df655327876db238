//! What connections have read and not worked off.
//!
//! Connections of a thread that are ready at the same time take their steps together: all of them read, then
//! all are answered, then all written to. Each step's code, the kernel's above all, is then in the
//! processor's first cache for all but the first of them; taken through all three one after the other, each
//! would find there what the one before it has left. For that a task whose step is done is woken again,
//! behind those that are ready already. Where nobody else is ready it goes on at once.

use std::cell::{Cell, RefCell};
use std::io::Result;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that a connection reads before others have their turn.
pub const SLICE: usize = 8 * 1024;
/// Bytes that wait for the next step. With more of them, what is read is worked off at once.
const WAITING: usize = 4 * SLICE;

thread_local! {
    /// Where all connections of a thread read: from the beginning, one behind the other.
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Where what was read last ends, and how many have not been worked off.
    static END: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// What was read at once; nothing where the peer has ended.
pub struct Came(Range<usize>);

impl Came {
    /// Reads what there is, as far as it goes.
    pub fn poll_read<S: AsyncRead + Unpin>(
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<Result<Came>> {
        BYTES.with_borrow_mut(|bytes| {
            let (start, waiting) = END.get();
            // It is as long as that for good, unless somebody keeps what may not wait.
            bytes.resize(start.max(WAITING) + SLICE, 0);
            let mut some = ReadBuf::new(&mut bytes[start..start + SLICE]);
            ready!(Pin::new(stream).poll_read(context, &mut some))?;
            let end = start + some.filled().len();
            END.set((end, waiting + 1));
            Poll::Ready(Ok(Came(start..end)))
        })
    }

    /// Nothing new.
    pub fn nothing() -> Came {
        let (end, waiting) = END.get();
        END.set((end, waiting + 1));
        Came(end..end)
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it may wait for the next step, as there is room for others to read beside it.
    pub fn may_wait(&self) -> bool {
        END.get().0 <= WAITING
    }

    /// Gives the bytes to who works them off.
    pub fn work_off<T>(self, work: impl FnOnce(&mut [u8]) -> T) -> T {
        BYTES.with_borrow_mut(|bytes| work(&mut bytes[self.0.clone()]))
    }
}

impl Drop for Came {
    fn drop(&mut self) {
        let (end, waiting) = END.get();
        let end = match waiting {
            1 => 0,
            _ if end == self.0.end => self.0.start,
            _ => end,
        };
        END.set((end, waiting - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn read(mut bytes: &[u8]) -> Came {
        let mut context = Context::from_waker(Waker::noop());
        match Came::poll_read(&mut bytes, &mut context) {
            Poll::Ready(Ok(came)) => came,
            _ => panic!("nothing was read"),
        }
    }

    fn text(came: Came) -> Vec<u8> {
        came.work_off(|bytes| bytes.to_vec())
    }

    #[test]
    fn what_waits_stays_as_it_came_whoever_is_worked_off_first() {
        let (one, two, three) = (read(b"one"), read(b"two"), read(b"three"));
        assert_eq!(text(two), b"two");
        let four = read(b"four");
        assert_eq!(text(four), b"four");
        assert_eq!(text(three), b"three");
        let five = read(b"");
        assert!(five.is_empty() && five.may_wait());
        drop(five);
        assert_eq!((text(one), END.get()), (b"one".to_vec(), (0, 0)));
    }

    #[test]
    fn there_is_room_for_a_read_however_many_wait() {
        let mut waiting = Vec::new();
        for byte in 0..=u8::MAX {
            let came = read(&[byte; 1_000]);
            if came.may_wait() {
                waiting.push((byte, came));
            } else {
                assert_eq!(text(came), [byte; 1_000]);
            }
        }
        let bytes: usize = waiting.iter().map(|(_, came)| came.len()).sum();
        assert!(bytes <= WAITING && bytes > WAITING - 1_000, "{bytes}");
        for (byte, came) in waiting {
            assert_eq!(text(came), [byte; 1_000]);
        }
        assert_eq!(read(&[7; 2 * SLICE]).len(), SLICE);
        assert_eq!(END.get(), (0, 0));
    }

    #[test]
    fn there_is_room_even_where_somebody_keeps_what_may_not_wait() {
        let kept: Vec<_> = (0..20_u8).map(|byte| read(&[byte; SLICE])).collect();
        assert!(!kept[19].may_wait());
        for (byte, came) in (0..20_u8).zip(kept) {
            assert_eq!(text(came), [byte; SLICE]);
        }
        assert_eq!(END.get(), (0, 0));
    }

    #[test]
    fn who_panics_over_it_leaves_nothing_behind() {
        let one = read(b"one");
        let panics = std::panic::catch_unwind(|| read(b"two").work_off(|_| panic!("a test")));
        assert!(panics.is_err());
        assert_eq!(text(one), b"one");
        assert_eq!(END.get(), (0, 0));
    }
}
