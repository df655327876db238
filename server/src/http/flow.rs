//! What all connections have in common: their bounds, and the counts of what met one.

use super::error::ApiError;
use crate::actors::clock::Clock;
use crate::config::FlowLimits;
use crate::core::Millis;
use crate::core::rate::{Meter, Peer, Rate};
use crate::core::replay::Digest;
use crate::core::spread::Spread;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize};
use std::time::Duration;

/// Bytes of a request's or a reply's body, or of a socket's message, that are not counted: so much
/// every connection has room for, and calls of a usual size go through while long ones are refused.
const FREE: usize = 8 * 1024;
/// Connections that begin or are ended, each millisecond for each worker: work that can wait, and
/// would come before that of everybody else.
pub const TURNS: u32 = 5;
/// In milliseconds.
const SECOND: Millis = 1_000;
/// The same.
const MINUTE: Millis = 60 * SECOND;

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
    /// Where between two moments the last one was put, in parts of 2^32.
    spread: AtomicU32,
    under_way: Spread<AtomicI64>,
    requests: Mutex<Meter<Peer>>,
    /// By the digests of their ids.
    agents: Mutex<Meter<Digest>>,
    wrong_tokens: Mutex<Meter<Peer>>,
    turns: Mutex<Meter<()>>,
}

/// What has happened, for `GET /metrics`. Counters only grow.
#[derive(Debug, Default)]
pub struct Counts {
    /// `clawlink_connections_refused_total`: requests on a connection beyond `--connections-limit`.
    pub connections_refused: AtomicU64,
    /// `clawlink_deadlines_total{what="handshake"}`: a TLS handshake was not done in time.
    pub late_handshakes: AtomicU64,
    /// `clawlink_deadlines_total{what="head"}`: the head of a later request did not come in time.
    pub late_heads: AtomicU64,
    /// `clawlink_deadlines_total{what="body"}`: a body did not come in time.
    pub late_bodies: AtomicU64,
    /// `clawlink_deadlines_total{what="reply"}`: a reply was not taken in time.
    pub late_replies: AtomicU64,
    /// `clawlink_deadlines_total{what="message"}`: a message of a socket did not come in time.
    pub late_messages: AtomicU64,
    /// `clawlink_rate_limited_total{what="request"}`: refused for their rate.
    pub requests_limited: AtomicU64,
    /// `clawlink_rate_limited_total{what="agent"}`: refused for the rate of their agent.
    pub agents_limited: AtomicU64,
    /// `clawlink_rate_limited_total{what="token"}`: refused for the wrong tokens before.
    pub tokens_limited: AtomicU64,
    /// `clawlink_rate_limited_total{what="frame"}`: delayed for their rate.
    pub frames_delayed: AtomicU64,
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
        let wrong = limits.wrong_tokens_per_minute;
        let second = |rate: u32| Rate::new(rate, SECOND, rate.saturating_mul(2));
        let requests = second(limits.requests_per_second);
        let agents = second(limits.agent_requests_per_second);
        let wrong_tokens = Rate::new(wrong, MINUTE, wrong);
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = TURNS.saturating_mul(u32::try_from(workers).unwrap_or(u32::MAX));
        Arc::new(Flow {
            turns: Mutex::new(Meter::new(Rate::new(turns, 1, turns), 1)),
            requests: Mutex::new(Meter::new(requests, limits.peers)),
            agents: Mutex::new(Meter::new(agents, limits.peers)),
            wrong_tokens: Mutex::new(Meter::new(wrong_tokens, limits.peers)),
            clock,
            limits,
            counts: Counts::default(),
            seated: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            spread: AtomicU32::new(0),
            under_way: Spread::new(AtomicI64::default),
        })
    }

    /// `clawlink_in_flight_bytes`, a gauge: of bodies that are being read, replies that are being
    /// written and messages of sockets that have come in part.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// `clawlink_requests_under_way`, a gauge: from the head of a request until its reply has gone.
    pub fn under_way(&self) -> usize {
        let sum = self.under_way.all().map(|copy| copy.load(Relaxed)).sum();
        usize::try_from(i64::max(sum, 0)).unwrap_or(usize::MAX)
    }

    /// A request has begun.
    pub fn begin(&self) {
        self.under_way.here().fetch_add(1, Relaxed);
    }

    /// Its reply has gone, or never will.
    pub fn end(&self) {
        self.under_way.here().fetch_sub(1, Relaxed);
    }

    /// A place for a connection, if there is one left.
    pub fn sit_down(&self) -> bool {
        let limit = self.limits.connections;
        let more = |seated: usize| (seated < limit).then_some(seated + 1);
        self.seated.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// How long until a connection may begin, or one that is late may be ended, when so many others
    /// do.
    pub fn turn_of_connection(&self) -> Duration {
        Duration::from_millis(self.turns.lock().book((), self.clock.now()))
    }

    /// Waits that long.
    pub async fn wait_for_turn(&self) {
        let wait = self.turn_of_connection();
        if !wait.is_zero() {
            // Boxed: who does not wait has no room for it.
            Box::pin(tokio::time::sleep(wait)).await;
        }
    }

    /// A number below this one, far from those given before: what would happen at one moment is
    /// spread evenly by it.
    pub fn spread(&self, below: u64) -> u64 {
        // Steps of the golden ratio leave no gap for long.
        const STEP: u32 = 0x9E37_79B9;
        let place = self.spread.fetch_add(STEP, Relaxed);
        (u64::from(place) * below.min(u64::from(u32::MAX))) >> 32
    }

    /// Gives a place back.
    pub fn stand_up(&self) {
        self.seated.fetch_sub(1, Relaxed);
    }

    /// Whether a peer may ask once more. One on this machine may as often as it likes: behind a
    /// reverse proxy everybody is.
    pub fn may_ask(&self, peer: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(peer) = peer.filter(|peer| !is_here(*peer)) else {
            return Ok(());
        };
        let asked = self.requests.lock().take(Peer::of(peer), self.clock.now());
        asked.map_err(|wait| {
            count(&self.counts.requests_limited);
            let rate = self.limits.requests_per_second;
            let error = format!(
                "more than {rate} requests a second from one address (--requests-per-second); \
                 slow down, or wait for mail with GET /poll/{{agent_id}}?wait=S"
            );
            ApiError::rate_limited(error, wait)
        })
    }

    /// Whether an agent may ask once more, from wherever it does so; on this machine as often as it
    /// likes.
    pub fn may_speak(
        &self,
        peer: Option<IpAddr>,
        agent: impl FnOnce() -> Digest,
    ) -> Result<(), ApiError> {
        if peer.is_none_or(is_here) {
            return Ok(());
        }
        let asked = self.agents.lock().take(agent(), self.clock.now());
        asked.map_err(|wait| {
            count(&self.counts.agents_limited);
            let rate = self.limits.agent_requests_per_second;
            let error = format!(
                "more than {rate} requests a second in the name of one agent \
                 (--agent-requests-per-second); slow down, or wait for mail with \
                 GET /poll/{{agent_id}}?wait=S"
            );
            ApiError::rate_limited(error, wait)
        })
    }

    /// How long a frame of a socket has to wait for its turn: it counts as a request.
    pub fn turn_of_frame(&self, peer: Option<IpAddr>, agent: Digest) -> Duration {
        let Some(peer) = peer.filter(|peer| !is_here(*peer)) else {
            return Duration::ZERO;
        };
        let now = self.clock.now();
        let of_peer = self.requests.lock().book(Peer::of(peer), now);
        let wait = of_peer.max(self.agents.lock().book(agent, now));
        if wait > 0 {
            count(&self.counts.frames_delayed);
        }
        Duration::from_millis(wait)
    }

    /// Whether it is the turn of a frame of a socket; it is counted then.
    pub fn is_turn_of_frame(&self, peer: Option<IpAddr>, agent: Digest) -> bool {
        let Some(peer) = peer.filter(|peer| !is_here(*peer)) else {
            return true;
        };
        let now = self.clock.now();
        let (mut requests, mut agents) = (self.requests.lock(), self.agents.lock());
        let its_turn = requests
            .wait(Peer::of(peer), now)
            .max(agents.wait(agent, now))
            == 0;
        if its_turn {
            requests.book(Peer::of(peer), now);
            agents.book(agent, now);
        }
        its_turn
    }

    /// Whether a token of this peer is looked at. One that brought many wrong ones is not told
    /// whether the next is right, but for one on this machine: behind a reverse proxy everybody is
    /// there, and one who guesses must not lock out the others.
    pub fn may_try(&self, peer: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(peer) = peer.filter(|peer| !is_here(*peer)) else {
            return Ok(());
        };
        let now = self.clock.now();
        match self.wrong_tokens.lock().wait(Peer::of(peer), now) {
            0 => Ok(()),
            wait => Err(self.too_many_tries(wait)),
        }
    }

    /// A peer has brought a wrong token.
    pub fn tried(&self, peer: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(peer) = peer else {
            return Ok(());
        };
        let now = self.clock.now();
        let tried = self.wrong_tokens.lock().take(Peer::of(peer), now);
        tried.map_err(|wait| self.too_many_tries(wait))
    }

    fn too_many_tries(&self, wait: Millis) -> ApiError {
        count(&self.counts.tokens_limited);
        let rate = self.limits.wrong_tokens_per_minute;
        let error = format!(
            "more than {rate} wrong tokens a minute from one address \
             (--wrong-tokens-per-minute); find the right one, then wait as long as Retry-After says"
        );
        ApiError::rate_limited(error, wait)
    }

    /// The load of so many bytes, if there is room for them; so few that they do not count have none.
    pub fn carry(self: &Arc<Self>, bytes: usize) -> Result<Option<Load>, NoRoom> {
        if bytes <= FREE {
            return Ok(None);
        }
        let mut load = self.load();
        match load.add(bytes) {
            true => Ok(Some(load)),
            false => Err(NoRoom),
        }
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

/// Whether a peer is on this machine.
fn is_here(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

/// So many bytes are on their way that there is no room for more.
#[derive(Debug)]
pub struct NoRoom;

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
