//! Mail that died, kept for a while: a bounded log, oldest out first.

use super::identity::{Owner, Party};
use super::inbox::{Dead, Reason};
use super::message::{Envelope, Origin};
use clawlink_protocol::name::AgentId;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct LetterLimits {
    /// Letters.
    pub count: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// The place of a letter in the order of death.
pub type Place = u64;

/// Mail that died.
#[derive(Debug)]
pub struct Letter {
    /// As it was in the inbox.
    pub envelope: Arc<Envelope>,
    /// Who sent it.
    pub origin: Origin,
    /// Whose its sender was, where that is known.
    pub sender: Option<Owner>,
    /// Whose inbox it was.
    pub to: AgentId,
    /// And whose that agent was.
    pub recipient: Owner,
    /// Why it died.
    pub reason: Reason,
    /// Leased deliveries before.
    pub attempts: u32,
    /// RFC 3339, UTC.
    pub died_at: String,
}

impl Letter {
    /// What died in this inbox; `None` for what nobody is told of: notices, and the news of a death.
    pub fn new(dead: Dead, to: &AgentId, recipient: &Owner, died_at: &str) -> Option<Letter> {
        if dead.envelope.kind != super::message::Kind::Mail {
            return None;
        }
        Some(Letter {
            origin: dead.envelope.origin()?,
            sender: dead
                .envelope
                .task
                .as_ref()
                .and_then(|task| task.asked.sender.clone()),
            recipient: recipient.clone(),
            envelope: dead.envelope,
            to: to.clone(),
            reason: dead.reason,
            attempts: dead.attempts,
            died_at: died_at.to_owned(),
        })
    }

    /// Between whom it went.
    pub fn parties(&self) -> [Party<'_>; 2] {
        let sender = (&self.origin.from_agent, self.sender.as_ref());
        [sender, (&self.to, Some(&self.recipient))]
    }
}

/// The log.
#[derive(Debug)]
pub struct DeadLetters {
    limits: LetterLimits,
    letters: BTreeMap<Place, Letter>,
    next: Place,
    bytes: usize,
}

impl DeadLetters {
    /// An empty one.
    pub fn new(limits: LetterLimits) -> Self {
        DeadLetters {
            limits,
            letters: BTreeMap::new(),
            next: 0,
            bytes: 0,
        }
    }

    /// Keeps a letter; the oldest leave until it fits. Gives how many had to.
    pub fn push(&mut self, letter: Letter) -> usize {
        let place = self.next;
        self.next += 1;
        self.restore(place, letter);
        let before = self.letters.len();
        while self.letters.len() > self.limits.count || self.bytes > self.limits.bytes {
            let Some((_, oldest)) = self.letters.pop_first() else {
                break;
            };
            self.bytes -= oldest.envelope.cost();
        }
        before - self.letters.len()
    }

    /// How many there are, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.letters.len(), self.bytes)
    }

    /// Puts back what was taken.
    pub fn restore(&mut self, place: Place, letter: Letter) {
        self.bytes += letter.envelope.cost();
        self.letters.insert(place, letter);
    }

    /// The letters of one recipient, or of all, after a place, oldest first.
    pub fn after(
        &self,
        place: Option<Place>,
        to: Option<&str>,
    ) -> impl Iterator<Item = (Place, &Letter)> {
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        let letters = self.letters.range((from, Bound::Unbounded));
        letters
            .map(|(&place, letter)| (place, letter))
            .filter(move |(_, letter)| to.is_none_or(|to| letter.to.as_str() == to))
    }

    /// Takes out what its sender called so.
    pub fn take(&mut self, message_id: &str) -> Vec<(Place, Letter)> {
        let called = |letter: &Letter| letter.origin.message_id == message_id;
        let places = self.letters.iter().filter(|(_, letter)| called(letter));
        let places: Vec<Place> = places.map(|(&place, _)| place).collect();
        let taken = places
            .into_iter()
            .filter_map(|place| Some((place, self.letters.remove(&place)?)));
        let taken: Vec<_> = taken.collect();
        self.bytes -= taken.iter().map(|(_, l)| l.envelope.cost()).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Kind;
    use super::*;
    use clawlink_protocol::messages::Priority;

    fn dead(id: &str, kind: Kind, padding: usize) -> Dead {
        let padding = "x".repeat(padding);
        let body = format!(r#"{{"message_id":"{id}","from_agent":"s","task":"{padding}"}}"#);
        Dead {
            envelope: Arc::new(Envelope {
                body: body.into(),
                kind,
                priority: Priority::Normal,
                accepted_at: String::new(),
                expires: None,
                task: None,
            }),
            reason: Reason::Expired,
            attempts: 0,
        }
    }

    fn letter(id: &str, to: &str, padding: usize) -> Letter {
        let to = AgentId::parse(to).unwrap();
        Letter::new(dead(id, Kind::Mail, padding), &to, &Owner::default(), "now").unwrap()
    }

    fn ids(letters: &DeadLetters, place: Option<Place>, to: Option<&str>) -> Vec<String> {
        let found = letters.after(place, to);
        found.map(|(_, l)| l.origin.message_id.clone()).collect()
    }

    const LIMITS: LetterLimits = LetterLimits {
        count: 3,
        bytes: 10_000,
    };

    #[test]
    fn the_oldest_leave_beyond_the_count_and_beyond_the_bytes() {
        let mut letters = DeadLetters::new(LIMITS);
        for id in ["a", "b", "c"] {
            assert_eq!(letters.push(letter(id, "r", 0)), 0);
        }
        assert_eq!(letters.push(letter("d", "r", 0)), 1);
        assert_eq!(ids(&letters, None, None), ["b", "c", "d"]);
        assert_eq!(letters.push(letter("e", "r", 8_000)), 1);
        assert_eq!(ids(&letters, None, None), ["c", "d", "e"]);
        assert_eq!(letters.push(letter("f", "r", 8_000)), 3);
        assert_eq!(ids(&letters, None, None), ["f"]);
        assert_eq!(letters.bytes, letter("f", "r", 8_000).envelope.cost());
    }

    #[test]
    fn what_just_fits_stays() {
        let bytes = 2 * letter("a", "r", 0).envelope.cost();
        let mut letters = DeadLetters::new(LetterLimits { count: 3, bytes });
        assert_eq!(letters.push(letter("a", "r", 0)), 0);
        assert_eq!(letters.push(letter("b", "r", 0)), 0);
        assert_eq!(letters.push(letter("c", "r", 0)), 1);
    }

    #[test]
    fn they_are_listed_by_recipient_and_from_a_place_on() {
        let mut letters = DeadLetters::new(LIMITS);
        for (id, to) in [("a", "x"), ("b", "y"), ("c", "x")] {
            letters.push(letter(id, to, 0));
        }
        assert_eq!(ids(&letters, None, Some("x")), ["a", "c"]);
        assert_eq!(ids(&letters, Some(0), Some("x")), ["c"]);
        assert_eq!(ids(&letters, Some(0), None), ["b", "c"]);
        assert_eq!(ids(&letters, None, Some("z")), [""; 0]);
    }

    #[test]
    fn what_is_taken_is_gone_until_it_is_put_back_in_its_place() {
        let mut letters = DeadLetters::new(LIMITS);
        for id in ["a", "b", "a"] {
            letters.push(letter(id, "x", 100));
        }
        let before = letters.bytes;
        let taken = letters.take("a");
        assert_eq!((taken.len(), letters.take("a").len()), (2, 0));
        assert_eq!(ids(&letters, None, None), ["b"]);
        for (place, letter) in taken {
            letters.restore(place, letter);
        }
        assert_eq!(ids(&letters, None, None), ["a", "b", "a"]);
        assert_eq!(letters.bytes, before);
    }

    #[test]
    fn nobody_is_told_of_a_dead_notice() {
        let to = AgentId::parse("r").unwrap();
        for kind in [
            Kind::Broadcast,
            Kind::FileUpdated("k".into()),
            Kind::Failure,
        ] {
            assert!(Letter::new(dead("a", kind, 0), &to, &Owner::default(), "now").is_none());
        }
    }
}
