//! The inbox against a naive model: a plain list that is sorted and counted anew at each step.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    places: 6,
    bytes: 60,
};

#[derive(Debug, Clone)]
enum Op {
    Send(Priority, usize),
    Broadcast(usize),
    File(u8, usize),
    Take(usize, usize, bool),
    Confirm(usize),
    PutBack(usize),
    PutBackUnless(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    prop_oneof![
        5 => (priority, 1usize..25).prop_map(|(p, size)| Op::Send(p, size)),
        2 => (1usize..20).prop_map(Op::Broadcast),
        2 => (0u8..2, 1usize..20).prop_map(|(key, size)| Op::File(key, size)),
        4 => (1usize..5, 1usize..60, any::<bool>()).prop_map(|(n, b, one)| Op::Take(n, b, one)),
        3 => (0usize..8).prop_map(Op::Confirm),
        2 => (0usize..8).prop_map(Op::PutBack),
        1 => (0usize..8).prop_map(Op::PutBackUnless),
    ]
}

fn envelope(kind: Kind, priority: Priority, size: usize) -> Arc<Envelope> {
    Arc::new(Envelope {
        body: "x".repeat(size).into(),
        kind,
        priority,
        accepted_at: String::new(),
    })
}

#[derive(Debug, Clone)]
struct Entry {
    seq: Seq,
    envelope: Arc<Envelope>,
    in_hand: bool,
}

/// The naive twin of [`Arrivals`] and [`Inbox`] together.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    missed: u64,
}

impl Model {
    fn sum(&self, mail: bool) -> (usize, usize) {
        let of_kind = self.entries.iter().filter(|e| e.envelope.is_mail() == mail);
        of_kind.fold((0, 0), |(n, bytes), e| (n + 1, bytes + e.envelope.size()))
    }

    fn fits(&self, envelope: &Envelope) -> bool {
        let (places, bytes) = self.sum(true);
        !envelope.is_mail()
            || places < LIMITS.places && (places == 0 || bytes + envelope.size() <= LIMITS.bytes)
    }

    fn add(&mut self, seq: Seq, envelope: Arc<Envelope>) {
        self.entries.push(Entry {
            seq,
            envelope: envelope.clone(),
            in_hand: false,
        });
        if envelope.is_mail() {
            return;
        }
        loop {
            let (places, bytes) = self.sum(false);
            let waiting: Vec<Entry> = self
                .entries
                .iter()
                .filter(|e| !e.in_hand && !e.envelope.is_mail())
                .cloned()
                .collect();
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

    fn take(&mut self, portion: Portion) -> Vec<Seq> {
        let mut waiting: Vec<&mut Entry> = self.entries.iter_mut().filter(|e| !e.in_hand).collect();
        waiting.sort_by_key(|e| (e.envelope.priority, e.seq));
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for entry in waiting {
            let first = taken.is_empty() && portion.one_at_least;
            if taken.len() == portion.count
                || !first && bytes + entry.envelope.size() > portion.bytes
            {
                break;
            }
            bytes += entry.envelope.size();
            entry.in_hand = true;
            taken.push(entry.seq);
        }
        taken
    }

    fn in_hand(&self) -> Vec<Seq> {
        let mut seqs: Vec<Seq> = self
            .entries
            .iter()
            .filter(|e| e.in_hand)
            .map(|e| e.seq)
            .collect();
        seqs.sort_unstable();
        seqs
    }
}

/// The real thing and its model, driven side by side.
struct Pair {
    arrivals: Arrivals,
    inbox: Inbox,
    model: Model,
}

impl Pair {
    fn new() -> Self {
        Pair {
            arrivals: Arrivals::new(LIMITS),
            inbox: Inbox::new(LIMITS),
            model: Model::default(),
        }
    }

    fn send(&mut self, envelope: Arc<Envelope>) -> Result<(), TestCaseError> {
        let admitted = self.arrivals.admit(envelope.clone());
        prop_assert_eq!(admitted.is_ok(), self.model.fits(&envelope));
        if let Ok(seq) = admitted {
            self.model.add(seq, envelope);
            for (seq, envelope) in self.arrivals.take() {
                self.inbox.accept(seq, envelope);
            }
        }
        Ok(())
    }

    fn pick(&self, n: usize) -> Option<Seq> {
        let in_hand = self.model.in_hand();
        (!in_hand.is_empty()).then(|| in_hand[n % in_hand.len()])
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Send(priority, size) => self.send(envelope(Kind::Mail, priority, size))?,
            Op::Broadcast(size) => self.send(envelope(Kind::Broadcast, Priority::Normal, size))?,
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
                let taken: Vec<Seq> = self.inbox.take(portion).into_iter().map(|t| t.0).collect();
                prop_assert_eq!(taken, self.model.take(portion));
            }
            Op::Confirm(n) => {
                let Some(seq) = self.pick(n) else {
                    return Ok(());
                };
                let confirmed = self.inbox.confirm(seq).unwrap();
                self.arrivals.release(&confirmed);
                self.model.entries.retain(|e| e.seq != seq);
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
                    .for_each(|e| e.in_hand = false);
            }
            Op::PutBackUnless(n) => {
                let held = self.pick(n);
                self.inbox.put_back_unless(|seq| Some(seq) == held);
                for entry in &mut self.model.entries {
                    entry.in_hand &= Some(entry.seq) == held;
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_inbox_does_what_a_plain_list_would(ops in prop::collection::vec(op(), 1..80)) {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op)?;
            prop_assert_eq!(pair.inbox.len(), pair.model.entries.len());
            prop_assert_eq!(pair.arrivals.mail(), pair.model.sum(true).0);
        }
        prop_assert_eq!(pair.inbox.take_missed(), pair.model.missed);
        // In the end everything that is left comes out once, in order, and leaves nothing behind.
        pair.inbox.put_back_unless(|_| false);
        pair.model.entries.iter_mut().for_each(|e| e.in_hand = false);
        let left = pair.inbox.take(Portion::ALL);
        prop_assert_eq!(left.iter().map(|t| t.0).collect::<Vec<_>>(), pair.model.take(Portion::ALL));
        for (seq, _) in left {
            let confirmed = pair.inbox.confirm(seq).unwrap();
            pair.arrivals.release(&confirmed);
        }
        prop_assert!(pair.inbox.is_empty());
        prop_assert_eq!((pair.arrivals.mail(), pair.inbox.notice_bytes), (0, 0));
    }
}

#[test]
fn urgent_comes_before_high_before_normal_before_low_and_each_in_order() {
    let mut pair = Pair::new();
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::Urgent,
        Priority::High,
        Priority::Urgent,
    ] {
        pair.send(envelope(Kind::Mail, priority, 1)).unwrap();
    }
    let order: Vec<Seq> = pair
        .inbox
        .take(Portion::ALL)
        .into_iter()
        .map(|t| t.0)
        .collect();
    assert_eq!(order, [2, 4, 3, 1, 0]);
}

#[test]
fn mail_is_refused_at_the_limit_and_a_notice_is_not() {
    let mut arrivals = Arrivals::new(LIMITS);
    for _ in 0..LIMITS.places {
        arrivals
            .admit(envelope(Kind::Mail, Priority::Normal, 1))
            .unwrap();
    }
    assert_eq!(
        arrivals.admit(envelope(Kind::Mail, Priority::Urgent, 1)),
        Err(NotAdmitted::Full)
    );
    assert!(
        arrivals
            .admit(envelope(Kind::Broadcast, Priority::Normal, 1))
            .is_ok()
    );
}

#[test]
fn a_message_in_hand_still_takes_its_place() {
    let mut pair = Pair::new();
    for _ in 0..LIMITS.places {
        pair.send(envelope(Kind::Mail, Priority::Normal, 1))
            .unwrap();
    }
    let taken = pair.inbox.take(Portion::ALL);
    assert_eq!(
        pair.arrivals
            .admit(envelope(Kind::Mail, Priority::Normal, 1)),
        Err(NotAdmitted::Full)
    );
    let confirmed = pair.inbox.confirm(taken[0].0).unwrap();
    pair.arrivals.release(&confirmed);
    assert!(
        pair.arrivals
            .admit(envelope(Kind::Mail, Priority::Normal, 1))
            .is_ok()
    );
}

#[test]
fn an_older_notice_of_the_same_file_gives_way_before_the_oldest() {
    let mut pair = Pair::new();
    let file = |key: &str| envelope(Kind::FileUpdated(key.into()), Priority::Normal, 1);
    for notice in [
        envelope(Kind::Broadcast, Priority::Normal, 1),
        file("a"),
        file("b"),
        file("a"),
    ] {
        pair.send(notice).unwrap();
    }
    let kept: Vec<Seq> = pair
        .inbox
        .take(Portion::ALL)
        .into_iter()
        .map(|t| t.0)
        .collect();
    assert_eq!(kept, [0, 2, 3]);
    assert_eq!(pair.inbox.take_missed(), 1);
}

#[test]
fn a_closed_door_admits_nothing() {
    let mut arrivals = Arrivals::new(LIMITS);
    arrivals.close();
    for kind in [Kind::Mail, Kind::Broadcast] {
        let message = envelope(kind, Priority::Normal, 1);
        assert_eq!(arrivals.admit(message), Err(NotAdmitted::Closed));
    }
    assert_eq!(arrivals.outside(), 0);
}
