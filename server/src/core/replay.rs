//! Idempotency keys and their first replies.
//!
//! A key counts for one sender, the secret it has shown and one route, for ten minutes and the sender's last 256 keys, and
//! as long as all keys together fit. The oldest is forgotten first.

use super::Millis;
use super::identity::SecretHash;
use clawlink_protocol::name::AgentId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// How long a key counts.
pub const KEPT_FOR: Millis = 10 * 60 * 1000;
/// Keys of one sender.
pub const KEYS_MAX: usize = 256;
/// Bytes that a key costs besides its text and its reply.
const KEY_COST: usize = 256;

/// What a key counts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Who sends.
    pub sender: AgentId,
    /// What it has shown: a reply is for who has shown the same.
    pub proof: Option<SecretHash>,
    /// Which call.
    pub route: &'static str,
    /// The key as it was sent.
    pub text: Arc<str>,
}

/// Tells bodies apart.
pub type Digest = u64;

/// What a call with a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The first: it is to be done, and then [`Replay::finish`]ed or [`Replay::abandon`]ed.
    First,
    /// A twin of one that is being done.
    Running,
    /// A repetition; the first reply.
    Done(Arc<str>),
    /// The key was used with another body.
    Mismatch,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    until: Millis,
    digest: Digest,
    reply: Option<Arc<str>>,
}

impl Entry {
    fn cost(&self, key: &Key) -> usize {
        let reply = self.reply.as_ref().map_or(0, |reply| reply.len());
        KEY_COST + key.text.len() + reply
    }
}

/// The keys that count now.
#[derive(Debug)]
pub struct Replay {
    limit: usize,
    bytes: usize,
    /// Keys that were forgotten before their time.
    early: u64,
    next: u64,
    entries: HashMap<Key, Entry>,
    by_age: BTreeMap<u64, Key>,
    senders: HashMap<AgentId, VecDeque<u64>>,
}

impl Replay {
    /// None yet; all together may have so many bytes.
    pub fn new(limit: usize) -> Self {
        Replay {
            limit,
            bytes: 0,
            early: 0,
            next: 0,
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            senders: HashMap::new(),
        }
    }

    /// A call with this key and body has come.
    pub fn begin(&mut self, key: &Key, digest: Digest, now: Millis) -> Begun {
        self.expire(now);
        if let Some(entry) = self.entries.get(key) {
            return match &entry.reply {
                _ if entry.digest != digest => Begun::Mismatch,
                None => Begun::Running,
                Some(reply) => Begun::Done(reply.clone()),
            };
        }
        let number = self.next;
        self.next += 1;
        let entry = Entry {
            number,
            until: now.saturating_add(KEPT_FOR),
            digest,
            reply: None,
        };
        self.bytes += entry.cost(key);
        self.entries.insert(key.clone(), entry);
        self.by_age.insert(number, key.clone());
        let of_sender = self.senders.entry(key.sender.clone()).or_default();
        of_sender.push_back(number);
        if of_sender.len() > KEYS_MAX
            && let Some(&oldest) = of_sender.front()
        {
            self.forget(oldest);
            self.early += 1;
        }
        self.make_room();
        Begun::First
    }

    /// The first call with this key has succeeded.
    pub fn finish(&mut self, key: &Key, reply: Arc<str>) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes += reply.len();
            entry.reply = Some(reply);
        }
        self.make_room();
    }

    /// The first call with this key has failed: the key is free.
    pub fn abandon(&mut self, key: &Key) {
        let running = self.entries.get(key).filter(|entry| entry.reply.is_none());
        if let Some(number) = running.map(|entry| entry.number) {
            self.forget(number);
        }
    }

    fn make_room(&mut self) {
        while self.bytes > self.limit
            && let Some((&oldest, _)) = self.by_age.first_key_value()
        {
            self.forget(oldest);
            self.early += 1;
        }
    }

    /// How many keys there are, their bytes, and how many were forgotten before their time.
    pub fn held(&self) -> (usize, usize, u64) {
        (self.entries.len(), self.bytes, self.early)
    }

    fn expire(&mut self, now: Millis) {
        while let Some((&oldest, key)) = self.by_age.first_key_value()
            && self.entries.get(key).is_none_or(|entry| entry.until <= now)
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(key) = self.by_age.remove(&number) else {
            return;
        };
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.cost(&key);
        }
        if let Some(of_sender) = self.senders.get_mut(&key.sender) {
            // Nearly always the first.
            of_sender.retain(|&other| other != number);
            if of_sender.is_empty() {
                self.senders.remove(&key.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(sender: &str, route: &'static str, text: &str) -> Key {
        Key {
            sender: AgentId::parse(sender).unwrap(),
            proof: None,
            route,
            text: text.into(),
        }
    }

    fn roomy() -> Replay {
        Replay::new(usize::MAX)
    }

    #[test]
    fn a_repetition_gets_the_first_reply_and_a_twin_waits() {
        let (mut replay, k) = (roomy(), key("s", "delegate", "k"));
        assert_eq!(replay.begin(&k, 1, 0), Begun::First);
        assert_eq!(replay.begin(&k, 1, 0), Begun::Running);
        replay.finish(&k, "{}".into());
        assert_eq!(replay.begin(&k, 1, 5), Begun::Done("{}".into()));
        assert_eq!(replay.begin(&k, 2, 5), Begun::Mismatch);
    }

    #[test]
    fn a_key_counts_for_its_sender_its_route_and_what_was_shown_alone() {
        let mut replay = roomy();
        for k in [
            key("s", "delegate", "k"),
            key("t", "delegate", "k"),
            key("s", "respond", "k"),
            key("s", "delegate", "l"),
            Key {
                proof: SecretHash::of(&"a1".repeat(32)),
                ..key("s", "delegate", "k")
            },
        ] {
            assert_eq!(replay.begin(&k, 1, 0), Begun::First);
        }
    }

    #[test]
    fn a_call_that_failed_leaves_its_key_free_and_one_that_did_not_keeps_it() {
        let (mut replay, k) = (roomy(), key("s", "delegate", "k"));
        replay.begin(&k, 1, 0);
        replay.abandon(&k);
        assert_eq!(replay.bytes, 0);
        assert_eq!(replay.begin(&k, 2, 0), Begun::First);
        replay.finish(&k, "{}".into());
        replay.abandon(&k);
        assert_eq!(replay.begin(&k, 2, 0), Begun::Done("{}".into()));
    }

    #[test]
    fn a_key_counts_for_ten_minutes_and_not_longer() {
        let (mut replay, k) = (roomy(), key("s", "delegate", "k"));
        replay.begin(&k, 1, 100);
        replay.finish(&k, "{}".into());
        assert_eq!(replay.begin(&k, 1, 99 + KEPT_FOR), Begun::Done("{}".into()));
        assert_eq!(replay.begin(&k, 2, 100 + KEPT_FOR), Begun::First);
        replay.expire(Millis::MAX);
        assert_eq!((replay.bytes, replay.senders.len()), (0, 0));
    }

    #[test]
    fn what_just_fits_is_kept() {
        let one = key("s", "delegate", "k");
        let cost = KEY_COST + 1 + 100;
        let mut replay = Replay::new(cost);
        replay.begin(&one, 1, 0);
        replay.finish(&one, "x".repeat(100).into());
        assert_eq!((replay.bytes, KEPT_FOR), (cost, 600_000));
        assert!(matches!(replay.begin(&one, 1, 0), Begun::Done(_)));
        assert_eq!(replay.held(), (1, cost, 0));
        replay.begin(&key("s", "delegate", "l"), 1, 0);
        assert_eq!(replay.held().2, 1);
        assert_eq!(replay.begin(&one, 1, 0), Begun::First);
    }

    #[test]
    fn a_sender_has_its_last_keys_and_takes_nobody_elses() {
        let mut replay = roomy();
        let of = |n: usize| key("s", "delegate", &n.to_string());
        let other = key("t", "delegate", "0");
        replay.begin(&other, 1, 0);
        for n in 0..=KEYS_MAX {
            replay.begin(&of(n), 1, 0);
        }
        assert_eq!(replay.begin(&of(1), 1, 0), Begun::Running);
        assert_eq!(replay.begin(&other, 1, 0), Begun::Running);
        assert_eq!(replay.begin(&of(0), 1, 0), Begun::First);
    }

    proptest! {
        #[test]
        fn all_keys_together_stay_within_their_bytes(
            limit in 0usize..4_000,
            calls in prop::collection::vec((0u8..20, 0usize..300, any::<bool>(), 0u64..200_000), 0..80),
        ) {
            let (mut replay, mut now) = (Replay::new(limit), 0);
            for (n, size, succeeds, time) in calls {
                now += time;
                let k = key("s", "delegate", &n.to_string());
                if replay.begin(&k, 1, now) == Begun::First {
                    match succeeds {
                        true => replay.finish(&k, "x".repeat(size).into()),
                        false => replay.abandon(&k),
                    }
                }
                prop_assert!(replay.bytes <= limit);
                let cost: usize = replay.entries.iter().map(|(k, e)| e.cost(k)).sum();
                prop_assert_eq!(replay.bytes, cost);
                prop_assert_eq!((replay.held().0, replay.held().1), (replay.entries.len(), cost));
                prop_assert_eq!(replay.by_age.len(), replay.entries.len());
                let of_senders: usize = replay.senders.values().map(VecDeque::len).sum();
                prop_assert_eq!(of_senders, replay.entries.len());
            }
        }
    }
}
