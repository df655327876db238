//! What has been written to one socket and is not yet confirmed, and the pings that confirm it.
//!
//! At most 64 messages or 256 KiB are in flight, one message at least. A message is confirmed by
//! its receipt; on a socket without receipts when a ping that followed it is answered: the answer
//! proves that the peer has read so far.

use super::Millis;
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
    /// Up to where it is confirmed.
    read: Mark,
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
        self.read = self.read.max(mark);
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

    /// A message is not in flight any more.
    pub fn leave(&mut self, seq: Seq) {
        let place = self.in_flight.iter().position(|sent| sent.seq == seq);
        if let Some(sent) = place.and_then(|place| self.in_flight.remove(place)) {
            self.bytes -= sent.size;
        }
    }

    /// The socket has ended: gives what was never confirmed, and whether it was read.
    pub fn abandon(self, read: Mark) -> impl Iterator<Item = (Seq, bool)> {
        let in_flight = self.in_flight.into_iter();
        in_flight.map(move |sent| (sent.seq, sent.mark <= read))
    }

    /// Whether a confirmation up to there would be news.
    pub fn is_news(&self, mark: Mark) -> bool {
        mark > self.read
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether half of it is in use.
    pub fn is_half_full(&self) -> bool {
        self.in_flight.len() >= WINDOW_COUNT / 2 || self.bytes >= WINDOW_BYTES / 2
    }

    /// Whether this message is in flight.
    pub fn holds(&self, seq: Seq) -> bool {
        self.in_flight.iter().any(|sent| sent.seq == seq)
    }
}

/// Between two pings that follow messages at once, where receipts confirm them: there a ping only
/// tells what was read and not acknowledged.
const UNHURRIED: Millis = 1_000;

/// The pings of one socket, and what stood before each.
#[derive(Debug)]
pub struct Pings {
    acks: bool,
    /// Messages written so far.
    sent: Mark,
    /// Those that have no answer.
    open: VecDeque<Mark>,
    /// What stood before the newest that there was.
    last: Mark,
    /// One was asked for.
    asked: bool,
    /// When the next may follow a message.
    not_before: Millis,
}

impl Pings {
    /// None yet. `acks` says whether receipts confirm the messages.
    pub fn new(acks: bool) -> Self {
        Pings {
            acks,
            sent: 0,
            open: VecDeque::new(),
            last: 0,
            asked: false,
            not_before: 0,
        }
    }

    /// A message has been written.
    pub fn wrote(&mut self) {
        self.sent += 1;
    }

    /// Messages written so far.
    pub fn sent(&self) -> Mark {
        self.sent
    }

    /// A ping is wanted; unless `always`, only where none is without an answer.
    pub fn ask(&mut self, always: bool) {
        self.asked |= always || self.open.is_empty();
    }

    /// The ping to write now, if there is one: one that was asked for; or one after messages, when
    /// the writer is `idle` and all others are answered, or half a window has been written since the
    /// last.
    pub fn due(&mut self, idle: bool, now: Millis) -> Option<Mark> {
        let half = (WINDOW_COUNT / 2) as Mark;
        let since = self.sent - self.last;
        let follows = since >= half || idle && since > 0 && self.open.is_empty();
        let hurried = !self.acks || now >= self.not_before;
        if !(self.asked || follows && hurried) {
            return None;
        }
        self.asked = false;
        self.last = self.sent;
        self.not_before = now + UNHURRIED;
        self.open.push_back(self.sent);
        Some(self.sent)
    }

    /// A ping was answered, and with it those before it: notes in `ours` whether it is one of those
    /// without an answer. Says whether another one may be due now.
    pub fn answered(&mut self, mark: Mark, ours: &mut bool) -> bool {
        *ours = self.open.contains(&mark);
        if *ours {
            self.open.retain(|&other| other > mark);
        }
        *ours && self.open.is_empty() && self.sent > mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_follows_what_was_written_and_the_next_when_it_is_answered() {
        let mut pings = Pings::new(false);
        assert_eq!(pings.due(true, 0), None, "nothing was written");
        pings.wrote();
        pings.wrote();
        assert_eq!(pings.due(true, 0), Some(2));
        pings.wrote();
        assert_eq!(pings.due(true, 0), None, "the one before has no answer");
        let mut ours = false;
        assert!(pings.answered(2, &mut ours) && ours);
        assert_eq!(pings.due(true, 0), Some(3));
        assert!(!pings.answered(2, &mut ours) && !ours, "an old answer");
        assert!(!pings.answered(3, &mut ours) && ours);
        assert_eq!(pings.due(true, 0), None);
    }

    #[test]
    fn half_a_window_is_not_held_up_by_a_ping_without_an_answer() {
        let mut pings = Pings::new(false);
        pings.wrote();
        assert_eq!(pings.due(false, 0), None, "more is to be written first");
        assert_eq!(pings.due(true, 0), Some(1));
        for _ in 0..WINDOW_COUNT / 2 {
            assert_eq!(pings.due(true, 0), None);
            pings.wrote();
        }
        assert_eq!(pings.due(false, 0), Some(1 + WINDOW_COUNT as Mark / 2));
    }

    #[test]
    fn where_receipts_confirm_a_ping_follows_at_most_once_a_second_unless_it_is_asked_for() {
        let mut pings = Pings::new(true);
        let mut ours = false;
        pings.wrote();
        assert_eq!(pings.due(true, 10), Some(1), "the first at once");
        pings.answered(1, &mut ours);
        pings.wrote();
        assert_eq!(pings.due(true, 500), None);
        pings.ask(true);
        assert_eq!(pings.due(true, 501), Some(2));
        pings.answered(2, &mut ours);
        pings.wrote();
        assert_eq!(pings.due(true, 501 + UNHURRIED), Some(3));
        pings.ask(false);
        assert_eq!(pings.due(true, 501 + UNHURRIED), None, "one has no answer");
    }

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
