//! Agents that are away with what anybody may do and nobody else could take.

use clawlink_protocol::name::{AgentId, Word};
use std::collections::{BTreeSet, HashMap};

/// Who waits for somebody with which capability. Of an agent that has nothing of the kind nothing is
/// kept.
#[derive(Debug, Default)]
pub struct Stranded {
    by_agent: HashMap<AgentId, BTreeSet<Word>>,
    by_capability: HashMap<Word, BTreeSet<AgentId>>,
}

impl Stranded {
    /// An agent waits for these from now on. Gives what it waited for before.
    pub fn set(&mut self, agent: &AgentId, wanted: BTreeSet<Word>) -> BTreeSet<Word> {
        let before = self.by_agent.remove(agent).unwrap_or_default();
        for word in before.difference(&wanted) {
            if let Some(agents) = self.by_capability.get_mut(word) {
                agents.remove(agent);
                if agents.is_empty() {
                    self.by_capability.remove(word);
                }
            }
        }
        for word in wanted.difference(&before) {
            let agents = self.by_capability.entry(word.clone()).or_default();
            agents.insert(agent.clone());
        }
        if !wanted.is_empty() {
            self.by_agent.insert(agent.clone(), wanted);
        }
        before
    }

    /// Who waits for somebody with one of these.
    pub fn waiting_for(&self, capabilities: &[Word]) -> BTreeSet<AgentId> {
        let agents = capabilities.iter();
        let agents = agents.filter_map(|word| self.by_capability.get(word));
        agents.flatten().cloned().collect()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.by_agent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(of: &BTreeSet<u8>) -> BTreeSet<Word> {
        let word = |n: &u8| Word::parse(&format!("w{n}")).unwrap();
        of.iter().map(word).collect()
    }

    proptest! {
        #[test]
        fn it_knows_what_a_plain_table_knows(
            steps in prop::collection::vec((0u8..5, prop::collection::btree_set(0u8..5, 0..4)), 0..40),
        ) {
            let (mut stranded, mut plain) = (Stranded::default(), HashMap::new());
            for (agent, wanted) in steps {
                let agent = AgentId::parse(&format!("a{agent}")).unwrap();
                let before = stranded.set(&agent, words(&wanted));
                prop_assert_eq!(before, plain.insert(agent, words(&wanted)).unwrap_or_default());
                for word in words(&(0..5).collect()) {
                    let waits = plain.iter().filter(|(_, wanted)| wanted.contains(&word));
                    let waits: BTreeSet<_> = waits.map(|(agent, _)| agent.clone()).collect();
                    prop_assert_eq!(stranded.waiting_for(&[word]), waits);
                }
                prop_assert_eq!(stranded.is_empty(), plain.values().all(BTreeSet::is_empty));
                prop_assert_eq!(stranded.by_capability.values().any(BTreeSet::is_empty), false);
            }
        }
    }
}
