//! The log of broadcasts: the newest of them, bounded in number and bytes, and what somebody looks
//! for in it.

use super::message::Envelope;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much the log keeps.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Broadcasts.
    pub count: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// The place of a broadcast in the order of sending.
pub type Place = u64;

/// The log itself, oldest first.
#[derive(Debug)]
pub struct Log {
    limits: LogLimits,
    kept: VecDeque<Arc<Envelope>>,
    bytes: usize,
    /// The place of the next one; the places of those that are kept follow each other up to it.
    next: Place,
}

impl Log {
    /// An empty one.
    pub fn new(limits: LogLimits) -> Self {
        Log {
            limits,
            kept: VecDeque::new(),
            bytes: 0,
            next: 0,
        }
    }

    /// Adds the newest; the oldest leave until the rest fits.
    pub fn push(&mut self, envelope: Arc<Envelope>) {
        self.next += 1;
        self.bytes += envelope.size();
        self.kept.push_back(envelope);
        while self.kept.len() > self.limits.count || self.bytes > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
        }
    }

    /// How many there are, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.kept.len(), self.bytes)
    }

    /// Those before a place, or all, newest first.
    pub fn before(&self, place: Option<Place>) -> impl Iterator<Item = (Place, &Arc<Envelope>)> {
        let places = (0..self.next).rev();
        let newest_first = places.zip(self.kept.iter().rev());
        newest_first.skip_while(move |(own, _)| place.is_some_and(|place| *own >= place))
    }
}

/// Which broadcasts somebody looks for: those that meet all of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its topic.
    pub topic: Option<String>,
    /// One of its tags.
    pub tag: Option<String>,
    /// The id of its sender, or the name that the sender bore when it sent it.
    pub from: Option<String>,
    /// Stands somewhere in its content, topic or tags; in lower case.
    pub text: Option<String>,
    /// It was taken then or later; written as [`Envelope::accepted_at`] is.
    pub since: Option<String>,
}

/// A broadcast as its text tells it.
#[derive(Deserialize)]
struct Finding<'a> {
    #[serde(borrow)]
    from_agent: Cow<'a, str>,
    from_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    tags: Vec<Cow<'a, str>>,
}

impl Wanted {
    /// Whether this broadcast is one of them. Its text is read only if the moment fits: that costs
    /// as much as the broadcast is long.
    pub fn meets(&self, envelope: &Envelope) -> bool {
        let Wanted {
            topic,
            tag,
            from,
            text,
            since,
        } = self;
        // Of one form and length, so their order is that of the moments.
        if since.as_ref().is_some_and(|at| envelope.accepted_at < *at) {
            return false;
        }
        if [topic, tag, from, text].iter().all(|word| word.is_none()) {
            return true;
        }
        let Ok(own) = serde_json::from_str::<Finding<'_>>(&envelope.body) else {
            return false;
        };
        let sent = |from: &String| {
            own.from_agent == *from || own.from_name.as_ref().is_some_and(|name| name == from)
        };
        topic.as_ref().is_none_or(|topic| own.topic == *topic)
            && tag
                .as_ref()
                .is_none_or(|tag| own.tags.iter().any(|t| t == tag))
            && from.as_ref().is_none_or(sent)
            && text.as_ref().is_none_or(|text| own.says(text))
    }
}

impl Finding<'_> {
    fn says(&self, wanted: &str) -> bool {
        let within = |text: &str| text.to_lowercase().contains(wanted);
        within(&self.topic)
            || self.tags.iter().any(|tag| within(tag))
            || within(&plain(self.content))
    }
}

/// What a body says: the text of a string, the JSON text of anything else.
fn plain(content: &RawValue) -> Cow<'_, str> {
    let raw = content.get();
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(raw), Cow::Owned);
    }
    // An escaped letter is the same letter.
    match raw.contains('\\') {
        true => serde_json::from_str::<serde_json::Value>(raw)
            .map_or(Cow::Borrowed(raw), |value| Cow::Owned(value.to_string())),
        false => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Kind;
    use super::*;
    use clawlink_protocol::messages::Priority;
    use proptest::prelude::*;

    fn envelope(body: String, accepted_at: &str) -> Arc<Envelope> {
        Arc::new(Envelope {
            body: body.into(),
            kind: Kind::Broadcast,
            priority: Priority::Normal,
            accepted_at: accepted_at.to_owned(),
            expires: None,
            task: None,
        })
    }

    fn broadcast(size: usize) -> Arc<Envelope> {
        envelope("x".repeat(size), "")
    }

    fn sizes(log: &Log) -> Vec<usize> {
        log.before(None).map(|(_, e)| e.size()).collect()
    }

    #[test]
    fn the_oldest_leaves_first_by_count_and_by_bytes() {
        let mut log = Log::new(LogLimits {
            count: 3,
            bytes: 100,
        });
        for size in [10, 20, 30, 40] {
            log.push(broadcast(size));
        }
        assert_eq!(sizes(&log), [40, 30, 20]);
        log.push(broadcast(60));
        assert_eq!(sizes(&log), [60, 40]);
        log.push(broadcast(101));
        assert!(
            sizes(&log).is_empty(),
            "what is longer than the log is not kept"
        );
    }

    proptest! {
        /// Each step reads a page and sends some more: whoever turns pages sees what was there
        /// when it began, once each and newest first, up to what has left meanwhile.
        #[test]
        fn pages_neither_repeat_nor_skip_while_new_ones_come(
            count in 1usize..20,
            before in 0u64..40,
            steps in prop::collection::vec((1usize..5, 0u64..6), 0..20),
        ) {
            let mut log = Log::new(LogLimits { count, bytes: usize::MAX });
            (0..before).for_each(|n| log.push(broadcast(n as usize)));
            let (mut cursor, mut reached, mut sent) = (None, before, before);
            for (limit, more) in steps {
                let page: Vec<_> = log.before(cursor).take(limit).collect();
                let places: Vec<u64> = page.iter().map(|(place, _)| *place).collect();
                let oldest = sent.saturating_sub(count as u64);
                let expected: Vec<u64> = (oldest..reached).rev().take(limit).collect();
                prop_assert_eq!(&places, &expected);
                let sizes: Vec<u64> = page.iter().map(|(_, kept)| kept.size() as u64).collect();
                prop_assert_eq!(&sizes, &places, "a place is that of its broadcast");
                let Some(last) = places.last() else {
                    break;
                };
                (cursor, reached) = (Some(*last), *last);
                (sent..sent + more).for_each(|n| log.push(broadcast(n as usize)));
                sent += more;
            }
        }
    }

    #[test]
    fn one_is_wanted_that_meets_all_that_is_asked() {
        let of = |content: &str| {
            let body = format!(
                r#"{{"type":"knowledge_broadcast","message_id":"m","from_agent":"a1","from_name":"Anna","content":{content},"topic":"build","tags":["Rust","x"],"timestamp":"t"}}"#
            );
            envelope(body, "2026-11-22T09:30:00.000000+00:00")
        };
        let word = |text: &str| Some(text.to_owned());
        let all = Wanted {
            topic: word("build"),
            tag: word("Rust"),
            from: word("Anna"),
            text: word("größe"),
            since: word("2026-11-22T09:30:00.000000+00:00"),
        };
        assert!(all.meets(&of(r#""Die GR\u00d6SSE: Gr\u00f6\u00dfe""#)));
        assert!(all.meets(&of(r#"{"n":["Gr\u00f6\u00dfe"]}"#)));
        assert!(!all.meets(&of(r#""else""#)));
        for other in [
            Wanted {
                topic: word("Build"),
                ..Wanted::default()
            },
            Wanted {
                tag: word("rust"),
                ..Wanted::default()
            },
            Wanted {
                from: word("anna"),
                ..Wanted::default()
            },
            Wanted {
                text: word("knowledge_broadcast"),
                ..Wanted::default()
            },
            Wanted {
                since: word("2026-11-22T09:30:00.000001+00:00"),
                ..Wanted::default()
            },
        ] {
            assert!(!other.meets(&of("1")), "{other:?}");
        }
        for one in [
            Wanted::default(),
            Wanted {
                from: word("a1"),
                ..Wanted::default()
            },
            Wanted {
                text: word("rus"),
                ..Wanted::default()
            },
            Wanted {
                text: word("uil"),
                ..Wanted::default()
            },
            Wanted {
                text: word("1.5"),
                ..Wanted::default()
            },
        ] {
            assert!(one.meets(&of("1.50")), "{one:?}");
        }
    }
}
