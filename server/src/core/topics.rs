//! Which broadcasts an agent wants to hear.

use clawlink_protocol::name::Word;
use std::sync::Arc;

/// The topics of one agent; all of them unless it chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topics(
    // A thin pointer: nearly every agent hears everything, and each pays for its width.
    Option<Arc<Box<[Word]>>>,
);

impl Topics {
    /// These and no others; all without a list.
    pub fn of(words: Option<Vec<Word>>) -> Self {
        Topics(words.map(|mut words| {
            words.sort_unstable();
            words.dedup();
            Arc::new(words.into())
        }))
    }

    /// Whether a broadcast of this topic is wanted. Asked for each agent and broadcast.
    pub fn hear(&self, topic: &str) -> bool {
        let own =
            |words: &Arc<Box<[Word]>>| words.binary_search_by(|word| word.as_str().cmp(topic));
        self.0.as_ref().is_none_or(|words| own(words).is_ok())
    }

    /// What was chosen, in order; `None` for all.
    pub fn chosen(&self) -> Option<&[Word]> {
        self.0.as_deref().map(|words| &**words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_chosen_is_heard_and_nothing_else(
            chosen in prop::collection::vec("[a-c]{1,2}", 0..8),
            topic in "[a-c]{1,2}",
        ) {
            let words = chosen.iter().map(|word| Word::parse(word).unwrap()).collect();
            prop_assert_eq!(Topics::of(Some(words)).hear(&topic), chosen.contains(&topic));
            prop_assert!(Topics::default().hear(&topic));
        }
    }
}
