//! The numbers of a run.

use crate::record::{Action, Event, History, Mark, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    /// Calls without an answer, of senders and receivers.
    pub(crate) unanswered: usize,
    /// Copies that were handed over.
    pub(crate) delivered: usize,
    /// Handovers beyond the first of each copy.
    pub(crate) again: usize,
    pub(crate) acked: usize,
    pub(crate) late: usize,
    pub(crate) given_back: usize,
    pub(crate) replayed: usize,
    pub(crate) dead: usize,
    /// Dead letters whose ids their senders know, and those of them that the senders were told of.
    pub(crate) told: (usize, usize),
    pub(crate) removed: usize,
    pub(crate) sockets: usize,
    /// Deliveries to each agent.
    pub(crate) agents: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts.
    pub(crate) fn of(history: &History) -> Tally {
        let mut tally = Tally::default();
        let mut accepted: BTreeSet<Mark> = BTreeSet::new();
        let mut copies: BTreeSet<(&str, Mark)> = BTreeSet::new();
        let mut dead: BTreeSet<(&str, Mark)> = BTreeSet::new();
        for event in &history.events {
            match event {
                Event::Sent(sent) => match &sent.told {
                    Told::Done(told) => {
                        accepted.insert(sent.mark);
                        tally.replayed += usize::from(told.replayed);
                    }
                    Told::Refused(..) => tally.refused += 1,
                    Told::Unknown => tally.unanswered += 1,
                },
                Event::Polled(polled) => {
                    tally.unanswered += usize::from(polled.told.is_unknown());
                    for item in polled.told.done().into_iter().flatten() {
                        tally.hand_over(&polled.agent, copies.insert((&polled.agent, item.mark)));
                    }
                }
                Event::Stream(stream) => {
                    tally.sockets += 1;
                    for (_, item) in &stream.items {
                        tally.hand_over(&stream.agent, copies.insert((&stream.agent, item.mark)));
                    }
                }
                Event::Settled(settled) => match (&settled.told, settled.action) {
                    (Told::Done(told), action) => {
                        tally.late += told.expired.len();
                        tally.acked += if action == Action::Ack { told.done } else { 0 };
                        let back = matches!(action, Action::Nack(_));
                        tally.given_back += if back { told.done } else { 0 };
                    }
                    (told, _) => tally.unanswered += usize::from(told.is_unknown()),
                },
                Event::Died(died) => drop(dead.insert((&died.agent, died.mark))),
                Event::Left { .. } => tally.removed += 1,
                _ => {}
            }
        }
        tally.told = told(history, &dead);
        tally.accepted = accepted.len();
        tally.delivered = copies.len();
        tally.dead = dead.len();
        tally
    }

    fn hand_over(&mut self, agent: &str, first: bool) {
        *self.agents.entry(agent.to_owned()).or_default() += 1;
        self.again += usize::from(!first);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "messages: {} accepted, {} calls refused, {} replayed",
            self.accepted, self.refused, self.replayed
        )?;
        writeln!(
            f,
            "copies: {} delivered, {} deliveries more; {} acknowledged, {} too late, {} given back",
            self.delivered, self.again, self.acked, self.late, self.given_back
        )?;
        writeln!(f, "to: {}", by_kind(&self.agents))?;
        write!(
            f,
            "calls without an answer: {}; sockets: {}; agents removed: {}; dead letters: {}, of {} delegations {} told",
            self.unanswered, self.sockets, self.removed, self.dead, self.told.0, self.told.1
        )
    }
}

/// How many of the dead were accepted under an id, and how many of these ids were told to have
/// failed.
fn told(history: &History, dead: &BTreeSet<(&str, Mark)>) -> (usize, usize) {
    let failed = history.events.iter().filter_map(|event| match event {
        Event::Failed(failed) => Some(&failed.ids),
        _ => None,
    });
    let failed: BTreeSet<&String> = failed.flatten().collect();
    let marks: BTreeSet<Mark> = dead.iter().map(|(_, mark)| *mark).collect();
    let ids = history.events.iter().filter_map(|event| match event {
        Event::Sent(sent) if marks.contains(&sent.mark) => sent.told.done()?.id.as_ref(),
        _ => None,
    });
    let ids: BTreeSet<&String> = ids.collect();
    (ids.len(), ids.intersection(&failed).count())
}

/// What was counted for each agent, summed up for each kind.
pub(crate) fn by_kind(agents: &BTreeMap<String, usize>) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (agent, count) in agents {
        *kinds
            .entry(agent.split('-').next().unwrap_or_default())
            .or_default() += count;
    }
    let kinds = kinds.iter().map(|(kind, count)| format!("{kind} {count}"));
    kinds.collect::<Vec<_>>().join(", ")
}
