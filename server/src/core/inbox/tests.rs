//! The inbox against a naive model: a plain list that is sorted and counted anew at each step.

mod rules;

use super::super::Millis;
use super::super::budget::Budget;
use super::super::metrics::{Metrics, Missed};
use super::*;
use proptest::prelude::*;

impl Inbox {
    /// All [leases](Inbox::leases) that there are.
    fn lease(&mut self, portion: Portion, until: Option<Millis>) -> Vec<Leased> {
        self.leases(portion, until).collect()
    }
}

const LIMITS: Limits = Limits {
    places: 6,
    bytes: 60,
};

#[derive(Debug, Clone)]
enum Op {
    Send(Priority, usize, Option<u64>),
    Fail(usize),
    Broadcast(usize, Option<u64>),
    File(u8, usize),
    Take(usize, usize, bool),
    Confirm(usize),
    PutBack(usize),
    Lose(usize, bool),
    PutBackUnless(usize),
    Lease(usize, Option<u64>),
    Ack(usize),
    Nack(usize, Option<u64>),
    Extend(usize, u64),
    Undo(usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let ttl = || prop::option::of(1u64..60);
    prop_oneof![
        5 => (priority, 1usize..25, ttl()).prop_map(|(p, size, ttl)| Op::Send(p, size, ttl)),
        1 => (1usize..20).prop_map(Op::Fail),
        2 => (1usize..20, ttl()).prop_map(|(size, ttl)| Op::Broadcast(size, ttl)),
        2 => (0u8..2, 1usize..20).prop_map(|(key, size)| Op::File(key, size)),
        4 => (1usize..5, 1usize..60, any::<bool>()).prop_map(|(n, b, one)| Op::Take(n, b, one)),
        3 => (0usize..8).prop_map(Op::Confirm),
        2 => (0usize..8).prop_map(Op::PutBack),
        2 => (0usize..8, any::<bool>()).prop_map(|(n, read)| Op::Lose(n, read)),
        1 => (0usize..8).prop_map(Op::PutBackUnless),
        4 => (1usize..5, prop::option::weighted(0.8, 1u64..50)).prop_map(|(n, time)| Op::Lease(n, time)),
        4 => (0usize..12).prop_map(Op::Ack),
        2 => (0usize..12, prop::option::of(1u64..50)).prop_map(|(n, later)| Op::Nack(n, later)),
        2 => (0usize..12, 1u64..50).prop_map(|(n, time)| Op::Extend(n, time)),
        1 => (0usize..12).prop_map(Op::Undo),
        4 => (1u64..40).prop_map(Op::Pass),
    ]
}

fn dying(kind: Kind, priority: Priority, size: usize, expires: Option<Millis>) -> Arc<Envelope> {
    Arc::new(Envelope {
        body: "x".repeat(size).into(),
        kind,
        priority,
        accepted_at: String::new(),
        expires,
        task: None,
    })
}

fn envelope(kind: Kind, priority: Priority, size: usize) -> Arc<Envelope> {
    dying(kind, priority, size, None)
}

/// Room for everything: the budget has tests of its own.
fn budget() -> Arc<Budget> {
    Budget::new(usize::MAX)
}

/// Where the naive twin has a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Waiting,
    Out,
    Leased {
        delivery: Delivery,
        until: Option<Millis>,
    },
    Delayed {
        until: Millis,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    seq: Seq,
    envelope: Arc<Envelope>,
    attempts: u32,
    shown: bool,
    place: Place,
}

impl Entry {
    fn on_connection(&self) -> bool {
        matches!(self.place, Place::Out | Place::Leased { until: None, .. })
    }

    /// When something happens to it by itself.
    fn due(&self) -> Option<Millis> {
        match self.place {
            Place::Waiting => self
                .envelope
                .expires
                .filter(|_| self.attempts == 0 && !self.shown),
            Place::Out => None,
            Place::Leased { until, .. } => until,
            Place::Delayed { until } => Some(until),
        }
    }
}

/// The naive twin of [`Arrivals`] and [`Inbox`] together.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    acked: Vec<Delivery>,
    deliveries: Delivery,
    missed: u64,
    dead: usize,
}

impl Model {
    fn sum(&self, mail: bool) -> (usize, usize) {
        let of_kind = self.entries.iter().filter(|e| e.envelope.is_mail() == mail);
        of_kind.fold((0, 0), |(n, bytes), e| (n + 1, bytes + e.envelope.size()))
    }

    fn fits(&self, envelope: &Envelope) -> bool {
        let (places, bytes) = self.sum(true);
        if envelope.kind == Kind::Failure {
            return places < LIMITS.places + FAILURES_RESERVE;
        }
        !envelope.is_mail()
            || places < LIMITS.places && (places == 0 || bytes + envelope.size() <= LIMITS.bytes)
    }

    fn add(&mut self, seq: Seq, envelope: Arc<Envelope>) {
        let entry = Entry {
            seq,
            envelope: envelope.clone(),
            attempts: 0,
            shown: false,
            place: Place::Waiting,
        };
        self.entries.push(entry);
        if envelope.is_mail() {
            return;
        }
        loop {
            let (places, bytes) = self.sum(false);
            let waits = |e: &&Entry| e.place == Place::Waiting && !e.envelope.is_mail();
            let waiting: Vec<Entry> = self.entries.iter().filter(waits).cloned().collect();
            let fits = places <= LIMITS.places / 2 && bytes <= LIMITS.bytes / 2;
            if fits || waiting.len() < 2 {
                return;
            }
            let older = &waiting[..waiting.len() - 1];
            let same = older.iter().find(|e| {
                matches!(e.envelope.kind, Kind::FileUpdated(_)) && e.envelope.kind == envelope.kind
            });
            let goes = same.unwrap_or(&older[0]).seq;
            self.entries.retain(|e| e.seq != goes);
            self.missed += 1;
        }
    }

    /// The next messages, which the caller puts where they go.
    fn next(&mut self, portion: Portion) -> Vec<&mut Entry> {
        let mut waiting: Vec<&mut Entry> = self
            .entries
            .iter_mut()
            .filter(|e| e.place == Place::Waiting)
            .collect();
        waiting.sort_by_key(|e| (e.envelope.priority, e.seq));
        let (mut taken, mut bytes) = (0, 0);
        for entry in &waiting {
            let first = taken == 0 && portion.one_at_least;
            bytes += entry.envelope.size();
            if taken == portion.count || !first && bytes > portion.bytes {
                break;
            }
            taken += 1;
        }
        waiting.truncate(taken);
        waiting
    }

    fn take(&mut self, portion: Portion) -> Vec<Seq> {
        let out = |entry: &mut Entry| {
            entry.place = Place::Out;
            entry.seq
        };
        self.next(portion).into_iter().map(out).collect()
    }

    fn lease(&mut self, portion: Portion, until: Option<Millis>) -> Vec<(Delivery, Seq, u32)> {
        let mut delivery = self.deliveries;
        let mut leases = Vec::new();
        for entry in self.next(portion) {
            delivery += 1;
            entry.attempts += 1;
            entry.place = Place::Leased { delivery, until };
            leases.push((delivery, entry.seq, entry.attempts));
        }
        self.deliveries = delivery;
        leases
    }

    fn those(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Seq> {
        let found = self.entries.iter().filter(|e| wanted(e));
        let mut seqs: Vec<Seq> = found.map(|e| e.seq).collect();
        seqs.sort_unstable();
        seqs
    }

    fn leased(&mut self, wanted: Delivery) -> Option<&mut Entry> {
        let holds = |e: &&mut Entry| matches!(e.place, Place::Leased { delivery, .. } if delivery == wanted);
        self.entries.iter_mut().find(holds)
    }

    fn remove(&mut self, seq: Seq) {
        self.entries.retain(|e| e.seq != seq);
    }

    /// The message of a lease that has ended: it waits, or it is dead.
    fn given_back(&mut self, seq: Seq, later: Option<Millis>) {
        let Some(entry) = self.entries.iter_mut().find(|e| e.seq == seq) else {
            return;
        };
        if entry.attempts >= ATTEMPTS_MAX {
            self.dead += 1;
            self.remove(seq);
        } else {
            entry.place = later.map_or(Place::Waiting, |until| Place::Delayed { until });
        }
    }

    fn expire(&mut self, now: Millis) {
        let over = |e: &&Entry| e.due().is_some_and(|due| due <= now);
        let over: Vec<Entry> = self.entries.iter().filter(over).cloned().collect();
        for Entry { seq, place, .. } in over {
            if place == Place::Waiting {
                self.dead += 1;
                self.remove(seq);
            } else {
                self.given_back(seq, None);
            }
        }
    }

    /// The connection on which it was is gone.
    fn lose(&mut self, seq: Seq, read: bool) {
        let Some(entry) = self.entries.iter_mut().find(|e| e.seq == seq) else {
            return;
        };
        match entry.place {
            Place::Leased { .. } if read => return self.given_back(seq, None),
            Place::Leased { .. } => entry.attempts -= 1,
            _ => {}
        }
        entry.shown = true;
        entry.place = Place::Waiting;
    }
}

/// The real thing and its model, driven side by side.
struct Pair {
    arrivals: Arrivals,
    inbox: Inbox,
    model: Model,
    budget: Arc<Budget>,
    now: Millis,
    dead: usize,
}

impl Pair {
    fn new() -> Self {
        Pair {
            arrivals: Arrivals::default(),
            inbox: Inbox::new(LIMITS, Metrics::new()),
            model: Model::default(),
            budget: budget(),
            now: 0,
            dead: 0,
        }
    }

    fn send(&mut self, envelope: Arc<Envelope>) -> Result<(), TestCaseError> {
        let admitted = self.arrivals.admit(envelope.clone(), LIMITS, &self.budget);
        prop_assert_eq!(admitted.is_ok(), self.model.fits(&envelope));
        if let Ok(seq) = admitted {
            self.model.add(seq, envelope);
            for (seq, held) in self.arrivals.take().unwrap_or_default().come {
                self.inbox.accept(seq, held);
            }
        }
        Ok(())
    }

    fn pick(&self, n: usize) -> Option<Seq> {
        self.pick_of(n, |e| e.place == Place::Out)
    }

    fn pick_of(&self, n: usize, wanted: impl Fn(&Entry) -> bool) -> Option<Seq> {
        let found = self.model.those(wanted);
        (!found.is_empty()).then(|| found[n % found.len()])
    }

    fn put_back_unless(&mut self, held: Option<Seq>) {
        self.inbox.put_back_unless(|seq| Some(seq) == held);
        for seq in self
            .model
            .those(|e| e.on_connection() && Some(e.seq) != held)
        {
            self.model.lose(seq, false);
        }
    }

    /// A delivery: of now, of before, or one that never was.
    fn delivery(&self, n: usize) -> Delivery {
        (self.model.deliveries + 1).saturating_sub(n as Delivery)
    }

    fn buried(&mut self, dead: impl IntoIterator<Item = Dead>) {
        for dead in dead {
            let attempts = match dead.reason {
                Reason::Expired => 0,
                _ => ATTEMPTS_MAX,
            };
            assert_eq!(dead.attempts, attempts);
            self.arrivals.release(&dead.envelope);
            self.dead += 1;
        }
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Send(priority, size, ttl) => {
                let expires = ttl.map(|ttl| self.now + ttl);
                self.send(dying(Kind::Mail, priority, size, expires))?;
            }
            Op::Fail(size) => self.send(envelope(Kind::Failure, Priority::Normal, size))?,
            Op::Broadcast(size, ttl) => {
                let expires = ttl.map(|ttl| self.now + ttl);
                self.send(dying(Kind::Broadcast, Priority::Normal, size, expires))?;
            }
            Op::File(key, size) => {
                let kind = Kind::FileUpdated(key.to_string().into());
                self.send(envelope(kind, Priority::Normal, size))?;
            }
            Op::Take(count, bytes, one_at_least) => {
                let portion = Portion {
                    count,
                    bytes,
                    one_at_least,
                };
                let peeked = self.inbox.peek(portion);
                let taken = self.inbox.take(portion);
                prop_assert!(peeked.iter().zip(&taken).all(|(a, b)| Arc::ptr_eq(a, &b.1)));
                prop_assert_eq!(peeked.len(), taken.len());
                let taken: Vec<Seq> = taken.into_iter().map(|t| t.0).collect();
                prop_assert_eq!(taken, self.model.take(portion));
            }
            Op::Confirm(n) => {
                let Some(seq) = self.pick(n) else {
                    return Ok(());
                };
                let confirmed = self.inbox.confirm(seq).unwrap();
                self.arrivals.release(&confirmed);
                self.model.remove(seq);
                prop_assert!(self.inbox.confirm(seq).is_none(), "confirmed once");
            }
            Op::PutBack(n) => {
                let Some(seq) = self.pick(n) else {
                    return Ok(());
                };
                self.inbox.put_back(seq);
                self.model
                    .entries
                    .iter_mut()
                    .filter(|e| e.seq == seq)
                    .for_each(|e| e.place = Place::Waiting);
            }
            Op::Lose(n, read) => {
                let Some(seq) = self.pick_of(n, Entry::on_connection) else {
                    return Ok(());
                };
                prop_assert!(self.inbox.is_on_connection(seq));
                let dead = self.inbox.lose(seq, read);
                self.buried(dead);
                self.model.lose(seq, read);
                prop_assert!(!self.inbox.is_on_connection(seq));
            }
            Op::PutBackUnless(n) => {
                let held = self.pick_of(n, Entry::on_connection);
                self.put_back_unless(held);
            }
            leasing => self.apply_leasing(leasing)?,
        }
        Ok(())
    }

    fn apply_leasing(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Lease(count, time) => {
                let portion = Portion {
                    count,
                    ..Portion::ALL
                };
                let until = time.map(|time| self.now + time);
                let leases = self.inbox.lease(portion, until);
                let leases: Vec<_> = leases
                    .iter()
                    .map(|l| (l.delivery, l.seq, l.attempt))
                    .collect();
                prop_assert_eq!(leases, self.model.lease(portion, until));
            }
            Op::Ack(n) => {
                let delivery = self.delivery(n);
                let held = self.model.leased(delivery).map(|e| e.seq);
                match self.inbox.ack(delivery, self.now) {
                    Settled::Left(_, envelope) => {
                        self.arrivals.release(&envelope);
                        prop_assert!(held.is_some());
                        self.model.remove(held.unwrap());
                        self.model.acked.push(delivery);
                    }
                    Settled::Before => prop_assert!(self.model.acked.contains(&delivery)),
                    Settled::Expired => {
                        prop_assert!(held.is_none() && !self.model.acked.contains(&delivery));
                    }
                }
            }
            Op::Nack(n, later) => {
                let (delivery, until) = (self.delivery(n), later.map(|time| self.now + time));
                let held = self.model.leased(delivery).map(|e| e.seq);
                let nacked = self.inbox.nack(delivery, until);
                prop_assert_eq!(!matches!(nacked, Returned::Expired), held.is_some());
                if let Returned::Died(dead) = nacked {
                    self.buried([dead]);
                }
                if let Some(seq) = held {
                    self.model.given_back(seq, until);
                }
            }
            Op::Extend(n, time) => {
                let (delivery, until) = (self.delivery(n), self.now + time);
                let held = self.model.leased(delivery);
                prop_assert_eq!(self.inbox.extend(delivery, until), held.is_some());
                if let Some(entry) = held
                    && matches!(entry.place, Place::Leased { until: Some(_), .. })
                {
                    let until = Some(until);
                    entry.place = Place::Leased { delivery, until };
                }
            }
            Op::Undo(n) => {
                let delivery = self.delivery(n);
                self.inbox.unlease(delivery);
                if let Some(entry) = self.model.leased(delivery) {
                    entry.attempts -= 1;
                    entry.place = Place::Waiting;
                    let seq = entry.seq;
                    self.inbox.put_back(seq);
                }
            }
            Op::Pass(time) => {
                self.now += time;
                let dead = self.inbox.expire(self.now);
                self.buried(dead);
                self.model.expire(self.now);
            }
            other => unreachable!("{other:?} is no leasing"),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn the_inbox_does_what_a_plain_list_would(ops in prop::collection::vec(op(), 1..120)) {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op)?;
            prop_assert_eq!(pair.inbox.len(), pair.model.entries.len());
            prop_assert_eq!(pair.arrivals.mail(), pair.model.sum(true).0);
            prop_assert_eq!(pair.dead, pair.model.dead);
            let due = pair.model.entries.iter().filter_map(Entry::due);
            prop_assert_eq!(pair.inbox.next_due(), due.min());
            let cost = pair.model.entries.iter().map(|e| e.envelope.cost()).sum::<usize>();
            prop_assert_eq!(pair.budget.used(), cost);
        }
        prop_assert_eq!(pair.inbox.take_missed(), pair.model.missed);
        // In the end everything that is left comes out once, in order, and leaves nothing behind.
        pair.put_back_unless(None);
        pair.apply(Op::Pass(1_000))?;
        let left = pair.inbox.take(Portion::ALL);
        prop_assert_eq!(left.iter().map(|t| t.0).collect::<Vec<_>>(), pair.model.take(Portion::ALL));
        for (seq, _) in left {
            let confirmed = pair.inbox.confirm(seq).unwrap();
            pair.arrivals.release(&confirmed);
        }
        prop_assert!(pair.inbox.is_empty());
        prop_assert_eq!(pair.budget.used(), 0);
        prop_assert_eq!((pair.arrivals.mail(), pair.inbox.notice_bytes), (0, 0));
    }
}
