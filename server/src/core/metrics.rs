//! Counts of what happens, for whoever watches the relay.
//!
//! Plain relaxed atomics: to count is one addition, takes no lock and allocates nothing, so that the
//! way of a message may count too. A scrape reads them one after the other; they agree with each
//! other only when nothing happens. What each of them means is told where it is written out, in
//! `http/metrics.rs`.

use super::inbox::Reason;
use super::message::Kind;
use super::task::Away;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Once more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// So many times more.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// So many fewer; never more than were added.
    pub fn sub(&self, fewer: u64) {
        self.0.fetch_sub(fewer, Relaxed);
    }

    /// So many, for one that has a single writer.
    pub fn set(&self, now: usize) {
        self.0.store(now as u64, Relaxed);
    }

    /// How many now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How often a value fell between two bounds. Values are whole; their unit is the owner's.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    within: [Counter; N],
    above: Counter,
    sum: Counter,
}

impl<const N: usize> Histogram<N> {
    /// An empty one. A bound belongs to the values below it, and each is greater than the last.
    pub fn new(bounds: &'static [u64; N]) -> Self {
        Histogram {
            bounds,
            within: std::array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum: Counter::default(),
        }
    }

    /// A value was seen.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        self.within.get(place).unwrap_or(&self.above).inc();
        self.sum.add(value);
    }

    /// Values that were seen elsewhere, between the same bounds.
    pub fn add(&self, other: &Self) {
        for (sum, more) in self.within.iter().zip(&other.within) {
            sum.add(more.get());
        }
        self.above.add(other.above.get());
        self.sum.add(other.sum.get());
    }

    /// How many values there were up to each bound; then how many in all, and their sum.
    pub fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut count = 0;
        let mut up_to = |(&bound, within): (&u64, &Counter)| {
            count += within.get();
            (bound, count)
        };
        let buckets = self.bounds.iter().zip(&self.within).map(&mut up_to);
        let buckets = buckets.collect();
        (buckets, count + self.above.get(), self.sum.get())
    }
}

/// The few values that a label of a metric may have.
pub trait Label: Copy + 'static {
    /// All of them, each at its [`Label::place`].
    const ALL: &'static [Self];

    /// Its place among them.
    fn place(self) -> usize;

    /// How it is written.
    fn word(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $value,)+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$($name::$value,)+];

            fn place(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $($name::$value => $word,)+ }
            }
        }
    )+};
}

labels! {
    /// What a message is.
    What {
        /// A delegation, a response, or what else is told of a task.
        Mail = "mail",
        /// The news of mail that died.
        DeliveryFailed = "delivery_failed",
        /// A broadcast.
        Broadcast = "broadcast",
        /// The notice of a changed file.
        FileUpdated = "file_updated",
    }
    /// How a message is handed over.
    Way {
        /// By a socket, confirmed by pongs.
        Websocket = "websocket",
        /// By a socket with receipts.
        WebsocketAck = "websocket_ack",
        /// By a poll, for good.
        Poll = "poll",
        /// By a poll, with a receipt.
        Lease = "lease",
    }
    /// What was asked for receipts.
    Settling {
        /// Done with.
        Ack = "ack",
        /// Given back.
        Nack = "nack",
        /// Prolonged.
        Extend = "extend",
    }
    /// What came of it.
    Settled {
        /// As asked.
        Done = "done",
        /// The delivery was over before.
        Expired = "expired",
    }
    /// Why a notice was lost to its recipient.
    Missed {
        /// There were too many in its inbox.
        Inbox = "inbox",
        /// All inboxes together were full.
        Relay = "relay",
    }
    /// Why a sender was not told of its dead mail.
    NotTold {
        /// It is not registered.
        Unknown = "unknown",
        /// It has more such news than it may.
        Full = "full",
    }
    /// Who could not keep up with `agent_joined`, `agent_stale` and `agent_left`.
    Slow {
        /// A socket.
        Socket = "socket",
        /// The herald: nobody got it.
        Herald = "herald",
    }
    /// Why versions of files left.
    Gone {
        /// There were too many of the file.
        Count = "count",
        /// All files together were too long.
        Bytes = "bytes",
    }
    /// What came of a merge.
    Merging {
        /// It was written.
        Merged = "merged",
        /// Both had changed the same lines.
        Conflict = "conflict",
        /// Others kept writing until its tries or its time were used up.
        GaveUp = "gave_up",
        /// There was nothing to be merged, or it may not be.
        Refused = "refused",
    }
    /// Why a socket ended.
    SocketEnd {
        /// Its peer closed it.
        Closed = "closed",
        /// Its connection ended without a word.
        Lost = "lost",
        /// Pings were left unanswered.
        Unanswered = "unanswered",
        /// 4001: a second socket of its agent.
        Replaced = "replaced",
        /// 4003: a secret claimed its agent, and it has not shown that.
        NotYours = "not_yours",
        /// Its agent is gone.
        Removed = "removed",
        /// 1001: the relay ends.
        Shutdown = "shutdown",
        /// 1002: what came was no WebSocket.
        Protocol = "protocol",
        /// 1007: what came was not UTF-8.
        Encoding = "encoding",
        /// 1009: what came was too long.
        TooBig = "too_big",
    }
}

impl From<&Kind> for What {
    fn from(kind: &Kind) -> What {
        match kind {
            Kind::Mail => What::Mail,
            Kind::Failure => What::DeliveryFailed,
            Kind::Broadcast => What::Broadcast,
            Kind::FileUpdated(_) => What::FileUpdated,
        }
    }
}

impl Label for Reason {
    const ALL: &'static [Self] = &[
        Reason::Expired,
        Reason::AttemptsUsedUp,
        Reason::RecipientRemoved,
    ];

    fn place(self) -> usize {
        self as usize
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Label for Away {
    const ALL: &'static [Self] = &[Away::Stale, Away::Removed];

    fn place(self) -> usize {
        self as usize
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

/// One counter for each value of a label.
#[derive(Debug)]
pub struct By<L> {
    cells: Box<[Counter]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for By<L> {
    fn default() -> Self {
        By {
            cells: L::ALL.iter().map(|_| Counter::default()).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label> By<L> {
    /// The counter of this value.
    pub fn of(&self, label: L) -> &Counter {
        &self.cells[label.place()]
    }
}

/// One counter for each pair of values of two labels.
#[derive(Debug)]
pub struct By2<A, B> {
    cells: Box<[By<B>]>,
    label: PhantomData<A>,
}

impl<A: Label, B: Label> Default for By2<A, B> {
    fn default() -> Self {
        By2 {
            cells: A::ALL.iter().map(|_| By::default()).collect(),
            label: PhantomData,
        }
    }
}

impl<A: Label, B: Label> By2<A, B> {
    /// The counter of this pair.
    pub fn of(&self, a: A, b: B) -> &Counter {
        self.cells[a.place()].of(b)
    }
}

/// How full an inbox is when mail comes, in messages, that one counted.
pub const DEPTHS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/// What is counted below HTTP. What somebody keeps anyway, the length of a table say, is asked of its
/// owner at a scrape and has no counter here.
#[derive(Debug)]
pub struct Metrics {
    /// Messages handed to a socket or a reply.
    pub deliveries: By2<Way, What>,
    /// Those of them that somebody may have seen before.
    pub redeliveries: Counter,
    /// Leases that ran out.
    pub leases_expired: Counter,
    /// Receipts, and what came of them.
    pub settled: By2<Settling, Settled>,
    /// Mail in an inbox as another piece comes, that one counted.
    pub depth: Histogram<10>,
    /// Messages that died.
    pub died: By2<What, Reason>,
    /// Notices that gave way or found no room.
    pub missed: By<Missed>,
    /// News of dead mail that reached nobody.
    pub not_told: By<NotTold>,
    /// Dead letters.
    pub dead_letters: Gauge,
    /// Bytes of them.
    pub dead_letters_bytes: Gauge,
    /// Dead letters that made room for newer ones.
    pub dead_letters_dropped: Counter,
    /// Notices of who comes and goes that were dropped.
    pub presence_dropped: By<Slow>,
    /// Broadcasts in the log.
    pub log: Gauge,
    /// Bytes of them.
    pub log_bytes: Gauge,
    /// Versions of files, the current ones counted.
    pub versions: Gauge,
    /// Bytes of them.
    pub files_bytes: Gauge,
    /// Versions that made room for others.
    pub versions_gone: By<Gone>,
    /// Merges.
    pub merges: By<Merging>,
    /// Polls that wait.
    pub polls_waiting: Gauge,
    /// Polls that lost their place to a newer one.
    pub polls_replaced: Counter,
    /// Times that a socket had as much in flight as it may, and more waited.
    pub windows_full: Counter,
    /// Times that a socket was not read on, as too many of its frames waited.
    pub reads_paused: Counter,
    /// Sockets that have ended.
    pub sockets_ended: By<SocketEnd>,
    /// Searches by capability that did not compare all that were online.
    pub partial_picks: Counter,
    /// Tasks that went to another agent.
    pub passed_on: By<Away>,
    /// Steps that left a task's history.
    pub steps_dropped: Counter,
    /// Runs of agents' actors that ended in a panic.
    pub agent_panics: Counter,
}

impl Metrics {
    /// Nothing has happened yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Metrics {
            deliveries: By2::default(),
            redeliveries: Counter::default(),
            leases_expired: Counter::default(),
            settled: By2::default(),
            depth: Histogram::new(&DEPTHS),
            died: By2::default(),
            missed: By::default(),
            not_told: By::default(),
            dead_letters: Gauge::default(),
            dead_letters_bytes: Gauge::default(),
            dead_letters_dropped: Counter::default(),
            presence_dropped: By::default(),
            log: Gauge::default(),
            log_bytes: Gauge::default(),
            versions: Gauge::default(),
            files_bytes: Gauge::default(),
            versions_gone: By::default(),
            merges: By::default(),
            polls_waiting: Gauge::default(),
            polls_replaced: Counter::default(),
            windows_full: Counter::default(),
            reads_paused: Counter::default(),
            sockets_ended: By::default(),
            partial_picks: Counter::default(),
            passed_on: By::default(),
            steps_dropped: Counter::default(),
            agent_panics: Counter::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_at_its_bound_and_all_below_it() {
        let histogram = Histogram::new(&[1, 5, 10]);
        for value in [0, 1, 2, 5, 6, 10, 11, 1000] {
            histogram.observe(value);
        }
        let (buckets, count, sum) = histogram.read();
        assert_eq!(buckets, [(1, 2), (5, 4), (10, 6)]);
        assert_eq!((count, sum), (8, 1035));
    }

    #[test]
    fn each_value_of_a_label_has_its_own_place_and_word() {
        fn check<L: Label>() {
            let places: Vec<usize> = L::ALL.iter().map(|label| label.place()).collect();
            assert_eq!(places, (0..L::ALL.len()).collect::<Vec<_>>());
            let mut words: Vec<&str> = L::ALL.iter().map(|label| label.word()).collect();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), L::ALL.len());
        }
        check::<Reason>();
        check::<Away>();
        check::<SocketEnd>();
        let counts = By2::<Way, What>::default();
        counts.of(Way::Lease, What::Broadcast).add(3);
        assert_eq!(counts.of(Way::Lease, What::Broadcast).get(), 3);
        assert_eq!(counts.of(Way::Poll, What::Broadcast).get(), 0);
    }
}
