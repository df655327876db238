//! Finding agents: the lists of the directory against a look at everybody.

use super::*;
use crate::actors::directory::{Bounds, Entry, Wanted};
use std::ops::ControlFlow;

/// Small numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }

    fn maybe(&mut self, words: &[&str]) -> Option<String> {
        let n = self.below(words.len() as u64 * 2) as usize;
        words.get(n).map(|word| (*word).to_owned())
    }
}

const NAMES: [&str; 3] = ["ann", "bob", "b"];
const MACHINES: [&str; 3] = ["forge", "mill", "m"];
const ABLE: [&str; 4] = ["rust", "tests", "prose", "none"];

impl World {
    /// Ids of those who meet it, found by looking at everybody.
    fn all_who_meet(&self, wanted: &Wanted) -> Vec<String> {
        let mut ids = Vec::new();
        let _ = (self.relay().directory).walk(None, 7, &mut |entry: &Entry| {
            ids.extend(wanted.meets(entry).then(|| entry.agent.id().to_string()));
            ControlFlow::Continue(())
        });
        ids
    }

    /// The same, found page by page; and how many pages there were.
    async fn search(&self, wanted: &Wanted, bounds: Bounds) -> (Vec<String>, usize) {
        let (mut ids, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let found = self.relay().directory.search(wanted, after, bounds).await;
            assert!(found.entries.len() <= bounds.count);
            ids.extend(
                found
                    .entries
                    .iter()
                    .map(|entry| entry.agent.id().to_string()),
            );
            pages += 1;
            after = found.next;
            if after.is_none() {
                return (ids, pages);
            }
        }
    }

    async fn change_somebody(&self, dice: &mut Dice) {
        let agent_id = format!("a{}", dice.below(60));
        if dice.below(5) == 0 && self.status(&agent_id).is_some() {
            self.deregister(&agent_id).await.unwrap();
            return;
        }
        let capabilities = (0..3).filter_map(|_| dice.maybe(&ABLE[..3]));
        let capabilities: Vec<Word> = capabilities.map(|text| word(&text)).collect();
        let call = Register {
            agent_id: Some(id(&agent_id)),
            name: dice.maybe(&NAMES).map(|text| word(&text)),
            capabilities: Some(capabilities),
            machine: dice.maybe(&MACHINES),
            description: dice.maybe(&["Likes RUST", "ünder Way"]),
            ttl: Some(30 + dice.below(2) * 3_000),
            ..Register::default()
        };
        let done = self.relay().register(call, "peer".into(), None).await;
        done.map(|_| ()).map_err(|refused| refused.0.error).unwrap();
    }
}

#[test]
fn whoever_meets_the_filters_is_found_once_and_in_order_whichever_list_has_them() {
    on_relay(&[], async |world| {
        let (mut dice, mut finds) = (Dice(7), 0);
        for round in 0..400 {
            world.change_somebody(&mut dice).await;
            if round % 50 == 49 {
                // Some fall silent; some of those are heard again.
                pass(s(40)).await;
                for n in 0..60 {
                    if let Some(entry) = world.relay().directory.get(&format!("a{n}"))
                        && dice.below(4) == 0
                    {
                        entry.agent.heard();
                    }
                }
                quiet().await;
            }
            let wanted = Wanted {
                stale: dice.below(2) == 0,
                capability: dice.maybe(&ABLE),
                name: dice.maybe(&NAMES),
                machine: dice.maybe(&MACHINES),
                text: dice
                    .maybe(&["rust", "ÜNDER", "a1"])
                    .map(|text| text.to_lowercase()),
            };
            let bounds = Bounds {
                count: 1 + dice.below(9) as usize,
                bytes: 1 + dice.below(200) as usize,
                looks: 1 + dice.below(20) as usize,
                step: 1 + dice.below(9) as usize,
            };
            let (found, _) = world.search(&wanted, bounds).await;
            assert_eq!(found, world.all_who_meet(&wanted), "{wanted:?} {bounds:?}");
            finds += usize::from(wanted.is_narrow() && !found.is_empty());
        }
        assert!(finds > 50, "{finds}");
    });
}

#[test]
fn a_page_ends_when_it_has_looked_at_enough_and_a_list_of_just_those_looks_at_no_others() {
    on_relay(&[], async |world| {
        for n in 0..40 {
            let name = if n == 39 { "last" } else { "other" };
            let agent_id = format!("a{n:02}");
            world
                .register_as(&agent_id, Some(name), None)
                .await
                .unwrap();
        }
        let bounds = Bounds {
            count: 5,
            bytes: usize::MAX,
            looks: 10,
            step: 3,
        };
        let text = Wanted {
            text: Some("last".into()),
            ..Wanted::default()
        };
        assert_eq!(world.search(&text, bounds).await, (vec!["a39".into()], 4));
        let name = Wanted {
            name: Some("last".into()),
            ..Wanted::default()
        };
        assert_eq!(world.search(&name, bounds).await, (vec!["a39".into()], 1));
    });
}
