//! What has been written to one socket and is not yet confirmed.
//!
//! At most 64 messages or 256 KiB are in flight, one message at least. A message is confirmed by
//! its receipt; on a socket without receipts when a ping that followed it is answered: the answer
//! proves that the peer has read so far.

use super::inbox::{Portion, Seq};
use std::collections::VecDeque;

/// Messages in flight to one socket.
pub const WINDOW_COUNT: usize = 64;
/// Bytes in flight to one socket, beyond the first message.
pub const WINDOW_BYTES: usize = 256 * 1024;

/// A point in the stream of one socket: so many messages had been written before it.
pub type Mark = u64;

/// The window of one socket.
#[derive(Debug, Default)]
pub struct Window {
    in_flight: VecDeque<InFlight>,
    bytes: usize,
    sent: Mark,
}

#[derive(Debug)]
struct InFlight {
    /// Where the stream stands after it.
    mark: Mark,
    seq: Seq,
    size: usize,
}

impl Window {
    /// How much may be written now.
    pub fn room(&self) -> Portion {
        Portion {
            count: WINDOW_COUNT - self.in_flight.len().min(WINDOW_COUNT),
            bytes: WINDOW_BYTES.saturating_sub(self.bytes),
            one_at_least: self.in_flight.is_empty(),
        }
    }

    /// A message has been handed to the socket.
    pub fn sent(&mut self, seq: Seq, size: usize) {
        self.sent += 1;
        self.bytes += size;
        let mark = self.sent;
        self.in_flight.push_back(InFlight { mark, seq, size });
    }

    /// Where the stream stands now.
    pub fn mark(&self) -> Mark {
        self.sent
    }

    /// Everything before `mark` was read: gives the messages that this confirms. A mark that
    /// lies in the future confirms no more than was sent.
    pub fn confirm(&mut self, mark: Mark) -> Vec<Seq> {
        let read = self.in_flight.partition_point(|sent| sent.mark <= mark);
        let confirmed: Vec<_> = self.in_flight.drain(..read).collect();
        self.bytes -= confirmed.iter().map(|sent| sent.size).sum::<usize>();
        confirmed.into_iter().map(|sent| sent.seq).collect()
    }

    /// Keeps what is still in flight, where receipts say what is not.
    pub fn keep(&mut self, still: impl Fn(Seq) -> bool) {
        self.in_flight.retain(|sent| still(sent.seq));
        self.bytes = self.in_flight.iter().map(|sent| sent.size).sum();
    }

    /// The socket has ended: gives what was never confirmed, and whether it was read.
    pub fn abandon(self, read: Mark) -> impl Iterator<Item = (Seq, bool)> {
        let in_flight = self.in_flight.into_iter();
        in_flight.map(move |sent| (sent.seq, sent.mark <= read))
    }

    /// Whether this message is in flight.
    pub fn holds(&self, seq: Seq) -> bool {
        self.in_flight.iter().any(|sent| sent.seq == seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_has_no_room_and_an_empty_one_takes_any_message() {
        let mut window = Window::default();
        assert!(window.room().one_at_least);
        assert_eq!(window.room().bytes, 262_144);
        window.sent(0, 10 * WINDOW_BYTES);
        assert_eq!(window.room().bytes, 0);
        assert!(!window.room().one_at_least);
        assert_eq!(window.confirm(1), [0]);
        for seq in 0..WINDOW_COUNT as Seq {
            window.sent(seq, 1);
        }
        assert_eq!(window.room().count, 0);
    }

    #[test]
    fn a_mark_confirms_what_was_sent_before_it_and_once() {
        let mut window = Window::default();
        window.sent(7, 1);
        window.sent(3, 1);
        let mark = window.mark();
        window.sent(9, 1);
        assert_eq!(window.confirm(mark), [7, 3]);
        assert!(
            window.confirm(mark).is_empty(),
            "an old answer confirms nothing more"
        );
        assert_eq!(
            window.confirm(Mark::MAX),
            [9],
            "an invented mark confirms no more than was sent"
        );
        assert_eq!(window.room().bytes, WINDOW_BYTES);
    }

    #[test]
    fn an_abandoned_window_gives_up_what_was_not_confirmed() {
        let mut window = Window::default();
        window.sent(1, 1);
        window.sent(2, 1);
        window.sent(3, 1);
        window.confirm(1);
        assert!(window.holds(2) && !window.holds(1));
        let lost: Vec<_> = window.abandon(2).collect();
        assert_eq!(lost, [(2, true), (3, false)]);
    }

    #[test]
    fn what_receipts_settled_makes_room_wherever_it_stood() {
        let mut window = Window::default();
        for seq in 0..WINDOW_COUNT as Seq {
            window.sent(seq, 10);
        }
        window.keep(|seq| seq % 2 == 0);
        assert_eq!(window.room().count, WINDOW_COUNT / 2);
        assert_eq!(window.room().bytes, WINDOW_BYTES - 10 * WINDOW_COUNT / 2);
        assert_eq!(window.mark(), WINDOW_COUNT as Mark);
        window.sent(1, 10);
        assert_eq!(window.confirm(Mark::MAX).last(), Some(&1));
    }
}
