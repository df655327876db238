//! What all connections have in common: their bounds, and the counts of what met one.

use crate::actors::clock::Clock;
use crate::config::FlowLimits;
use crate::core::Millis;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

/// Bytes of a request's or a reply's body, or of a socket's message, that are not counted: so much
/// every connection has room for, and calls of a usual size go through while long ones are refused.
const FREE: usize = 8 * 1024;

/// The bounds of all connections together, and what they hold now.
pub struct Flow {
    /// Deadlines run on it.
    pub clock: Clock,
    /// The bounds.
    pub limits: FlowLimits,
    /// What has happened.
    pub counts: Counts,
    /// Connections that have a place.
    seated: AtomicUsize,
    in_flight: AtomicUsize,
}

/// What has happened, for `GET /metrics`. Counters only grow.
#[derive(Debug, Default)]
pub struct Counts {
    /// `clawlink_connections_refused_total`: requests on a connection beyond `--connections-limit`.
    pub connections_refused: AtomicU64,
    /// `clawlink_deadlines_total{what="head"}`: the head of a later request did not come in time.
    pub late_heads: AtomicU64,
    /// `clawlink_deadlines_total{what="body"}`: a body did not come in time.
    pub late_bodies: AtomicU64,
    /// `clawlink_deadlines_total{what="reply"}`: a reply was not taken in time.
    pub late_replies: AtomicU64,
    /// `clawlink_deadlines_total{what="message"}`: a message of a socket did not come in time.
    pub late_messages: AtomicU64,
    /// `clawlink_in_flight_refused_total`: bodies and replies for which there was no room.
    pub in_flight_refused: AtomicU64,
}

/// Counts one more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Flow {
    /// No connection yet.
    pub fn new(limits: FlowLimits, clock: Clock) -> Arc<Flow> {
        Arc::new(Flow {
            clock,
            limits,
            counts: Counts::default(),
            seated: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        })
    }

    /// `clawlink_in_flight_bytes`, a gauge: of bodies that are being read, replies that are being
    /// written and messages of sockets that have come in part.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// A place for a connection, if there is one left.
    pub fn sit_down(&self) -> bool {
        let limit = self.limits.connections;
        let more = |seated: usize| (seated < limit).then_some(seated + 1);
        self.seated.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Gives a place back.
    pub fn stand_up(&self) {
        self.seated.fetch_sub(1, Relaxed);
    }

    /// An empty load.
    pub fn load(self: &Arc<Self>) -> Load {
        Load {
            flow: self.clone(),
            bytes: 0,
            charged: 0,
        }
    }
}

/// As the relay's clock counts.
pub fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The bytes of one body, reply or message in flight. Dropped, they are free.
pub struct Load {
    flow: Arc<Flow>,
    bytes: usize,
    /// Those of them that count.
    charged: usize,
}

impl Load {
    /// Adds bytes if there is room for them; a little room is always there.
    #[must_use]
    pub fn add(&mut self, bytes: usize) -> bool {
        let (after, more) = self.with(bytes);
        let limit = self.flow.limits.in_flight;
        let fits = |used: usize| used.checked_add(more).filter(|used| *used <= limit);
        let used = &self.flow.in_flight;
        if more > 0 && used.fetch_update(Relaxed, Relaxed, fits).is_err() {
            return false;
        }
        (self.bytes, self.charged) = (after, self.charged + more);
        true
    }

    /// Adds bytes whether or not there is room for them.
    pub fn overdraw(&mut self, bytes: usize) {
        let (after, more) = self.with(bytes);
        self.flow.in_flight.fetch_add(more, Relaxed);
        (self.bytes, self.charged) = (after, self.charged + more);
    }

    /// What it is with so many bytes more, and how many of them count.
    fn with(&self, bytes: usize) -> (usize, usize) {
        let after = self.bytes.saturating_add(bytes);
        (after, after.saturating_sub(FREE) - self.charged)
    }

    /// Bytes added.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frees all of it.
    pub fn clear(&mut self) {
        self.flow.in_flight.fetch_sub(self.charged, Relaxed);
        (self.bytes, self.charged) = (0, 0);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.clear();
    }
}
