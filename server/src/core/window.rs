//! What has been written to one socket and is not yet confirmed.
//!
//! At most 64 messages or 256 KiB are in flight, one message at least. A message is confirmed
//! when a ping that followed it is answered: the answer proves that the peer has read so far.

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
    in_flight: VecDeque<(Seq, usize)>,
    bytes: usize,
    confirmed: Mark,
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
        self.in_flight.push_back((seq, size));
        self.bytes += size;
    }

    /// Where the stream stands now.
    pub fn mark(&self) -> Mark {
        self.confirmed + self.in_flight.len() as Mark
    }

    /// Everything before `mark` was read: gives the messages that this confirms. A mark that
    /// lies in the future confirms no more than was sent.
    pub fn confirm(&mut self, mark: Mark) -> Vec<Seq> {
        let count = mark
            .saturating_sub(self.confirmed)
            .min(self.in_flight.len() as Mark);
        self.confirmed += count;
        let confirmed: Vec<_> = self.in_flight.drain(..count as usize).collect();
        self.bytes -= confirmed.iter().map(|&(_, size)| size).sum::<usize>();
        confirmed.into_iter().map(|(seq, _)| seq).collect()
    }

    /// The socket has ended: gives what was never confirmed.
    pub fn abandon(self) -> Vec<Seq> {
        self.in_flight.into_iter().map(|(seq, _)| seq).collect()
    }

    /// Whether this message is in flight.
    pub fn holds(&self, seq: Seq) -> bool {
        self.in_flight.iter().any(|&(other, _)| other == seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_has_no_room_and_an_empty_one_takes_any_message() {
        let mut window = Window::default();
        assert!(window.room().one_at_least);
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
        window.confirm(1);
        assert!(window.holds(2) && !window.holds(1));
        assert_eq!(window.abandon(), [2]);
    }
}
