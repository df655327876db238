//! What a run is made of: who did what, when, and what they were told.
//!
//! A call is an interval: it took effect at some moment between its beginning and its end, if it
//! took effect at all. Times are microseconds of one monotonic clock since the run began.

use std::sync::Arc;
use std::time::Instant;

/// Microseconds since the run began.
pub(crate) type Micros = u64;
/// What stands in the body of a message, and tells it from all others of a run.
pub(crate) type Mark = u32;
/// An agent's id.
pub(crate) type Name = Arc<str>;

/// One second.
pub(crate) const SECOND: Micros = 1_000_000;

/// The clock of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// One that begins now.
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    /// How far the run is.
    pub(crate) fn now(self) -> Micros {
        self.0.elapsed().as_micros() as Micros
    }

    /// A call that began then and has ended now.
    pub(crate) fn since(self, from: Micros) -> Span {
        Span {
            from,
            to: self.now(),
        }
    }
}

/// When a call was made, and when it was answered or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// What the caller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told<T> {
    /// It was done.
    Done(T),
    /// It was not done: the status and the code.
    Refused(u16, String),
    /// No answer, or not all of it: it may have been done.
    Unknown,
}

impl<T> Told<T> {
    /// What was answered, if anything was.
    pub(crate) fn done(&self) -> Option<&T> {
        match self {
            Told::Done(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether nobody knows.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Told::Unknown)
    }

    /// The same with another answer.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Told<U> {
        match self {
            Told::Done(answer) => Told::Done(change(answer)),
            Told::Refused(status, code) => Told::Refused(status, code),
            Told::Unknown => Told::Unknown,
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Delegation,
    Response,
    Broadcast,
}

/// One attempt to send one message. Attempts with the same key are one message.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) mark: Mark,
    pub(crate) from: Name,
    /// `None` for a broadcast.
    pub(crate) to: Option<Name>,
    pub(crate) kind: Kind,
    /// 0 urgent, 1 high, 2 normal, 3 low.
    pub(crate) rank: u8,
    pub(crate) ttl: Option<Micros>,
    pub(crate) keyed: bool,
    pub(crate) span: Span,
    pub(crate) told: Told<Accepted>,
}

/// What a sender is told of a message that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Absent for a response.
    pub(crate) id: Option<String>,
    pub(crate) replayed: bool,
    /// Of a broadcast.
    pub(crate) recipients: Option<u64>,
}

/// A message as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) mark: Mark,
    /// The id by which this message is told from others.
    pub(crate) id: String,
    pub(crate) receipt: Option<String>,
    pub(crate) attempt: Option<u32>,
}

/// One poll.
#[derive(Debug, Clone)]
pub(crate) struct Polled {
    pub(crate) agent: Name,
    pub(crate) span: Span,
    /// `None` for one that takes for good.
    pub(crate) lease: Option<Micros>,
    pub(crate) max: Option<usize>,
    /// Whether no more than these can have been taken: true for all but a killed program.
    pub(crate) told: Told<Vec<Item>>,
    /// Broadcasts that gave way, as the reply said.
    pub(crate) missed: u64,
}

/// What is done with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Ack,
    /// Comes again after so long.
    Nack(Micros),
    /// Stays leased for so long.
    Extend(Micros),
}

/// Receipts, and what was done with them.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) agent: Name,
    pub(crate) span: Span,
    pub(crate) action: Action,
    pub(crate) receipts: Vec<String>,
    pub(crate) told: Told<Settlement>,
}

/// What the relay said to that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settlement {
    pub(crate) done: usize,
    pub(crate) expired: Vec<String>,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Close was said and answered: everything before was read.
    Closed,
    /// Close was said; whether the relay heard it is unknown.
    Leaving,
    /// It broke, was cut or replaced.
    Lost,
}

/// One socket from its beginning to its end.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) agent: Name,
    /// From the request to upgrade to the end.
    pub(crate) span: Span,
    /// Whether its messages want receipts.
    pub(crate) acks: bool,
    /// What arrived, and when.
    pub(crate) items: Vec<(Micros, Item)>,
    pub(crate) end: End,
}

/// A dead letter, as listed.
#[derive(Debug, Clone)]
pub(crate) struct Died {
    pub(crate) agent: Name,
    pub(crate) mark: Mark,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    /// When it was listed.
    pub(crate) span: Span,
}

/// A sender was told that messages died.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) sender: Name,
    pub(crate) to: Name,
    pub(crate) ids: Vec<String>,
    pub(crate) at: Micros,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// An agent registered.
    Joined {
        agent: Name,
        span: Span,
    },
    /// An agent deregistered, perhaps.
    Left {
        agent: Name,
        span: Span,
    },
    Sent(Sent),
    Polled(Polled),
    Settled(Settled),
    Stream(Stream),
    Died(Died),
    Failed(Failed),
    /// At the very end this still waits.
    Waits {
        agent: Name,
        mark: Mark,
    },
}

/// Everything that happened, and what the relay promises of it.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    pub(crate) inbox_limit: usize,
    /// How many dead letters the relay keeps, where it lists them.
    pub(crate) dead_limit: Option<usize>,
    /// The machine stood still for so long that the relay may have moved its deadlines.
    pub(crate) stood_still: bool,
}

impl History {
    /// An empty one.
    pub(crate) fn new(inbox_limit: usize, dead_limit: Option<usize>) -> History {
        History {
            events: Vec::new(),
            inbox_limit,
            dead_limit,
            stood_still: false,
        }
    }
}
