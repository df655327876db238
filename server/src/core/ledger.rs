//! All tasks: found by id, listed by sender and assignee, kept for a while after they have ended.

use super::Millis;
use super::task::{Draft, Task};
use clawlink_protocol::name::AgentId;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// How long a task is kept after its end.
pub const KEPT_FOR: Millis = 24 * 60 * 60 * 1000;
/// Bytes that a task costs besides its message and its answer.
const TASK_COST: usize = 1024;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct LedgerLimits {
    /// Tasks.
    pub count: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Why a task was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// There is a task of this id.
    Taken,
    /// There are as many open tasks, or as many bytes of them, as there may be.
    Full,
}

/// Which tasks are meant, by whose they are.
#[derive(Debug, Clone, Default)]
pub struct Whose {
    /// Their sender.
    pub from: Option<AgentId>,
    /// Their assignee.
    pub to: Option<AgentId>,
}

impl Whose {
    fn are(&self, task: &Task) -> bool {
        let is = |wanted: &Option<AgentId>, own: &AgentId| wanted.as_ref().is_none_or(|w| w == own);
        is(&self.from, &task.from) && is(&self.to, &task.to)
    }
}

#[derive(Debug)]
struct Kept {
    task: Arc<Task>,
    cost: usize,
    /// When it is forgotten, once it has ended.
    until: Option<Millis>,
}

/// The ledger. It never looks into a task's progress: who holds that may call it.
#[derive(Debug)]
pub struct Ledger {
    limits: LedgerLimits,
    by_id: HashMap<String, Arc<Task>>,
    by_number: BTreeMap<u64, Kept>,
    /// Numbers, oldest first; of each agent what it sent and what it was given.
    of_agent: HashMap<AgentId, VecDeque<u64>>,
    /// Those that ended, in that order, and when each is forgotten.
    ended: VecDeque<(Millis, u64)>,
    next: u64,
    bytes: usize,
}

impl Ledger {
    /// An empty one.
    pub fn new(limits: LedgerLimits) -> Self {
        Ledger {
            limits,
            by_id: HashMap::new(),
            by_number: BTreeMap::new(),
            of_agent: HashMap::new(),
            ended: VecDeque::new(),
            next: 1,
            bytes: 0,
        }
    }

    /// Takes a task. Where there is no room, those that ended longest ago leave.
    pub fn open(&mut self, draft: Draft, now: Millis) -> Result<Arc<Task>, NotOpened> {
        self.forget_old(now);
        if self.by_id.contains_key(draft.id.as_str()) {
            return Err(NotOpened::Taken);
        }
        let cost = draft.body.len() + TASK_COST;
        while self.by_number.len() >= self.limits.count || self.bytes + cost > self.limits.bytes {
            if !self.forget_first_ended() {
                return Err(NotOpened::Full);
            }
        }
        let number = self.next;
        self.next += 1;
        self.bytes += cost;
        let task = Arc::new(Task::new(number, draft));
        self.by_id.insert(task.id.to_string(), task.clone());
        let kept = Kept {
            task: task.clone(),
            cost,
            until: None,
        };
        self.by_number.insert(number, kept);
        for agent in [&task.from, &task.to] {
            let of = self.of_agent.entry(agent.clone()).or_default();
            if of.back() != Some(&number) {
                of.push_back(number);
            }
        }
        Ok(task)
    }

    /// The task of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Task>> {
        self.by_id.get(id).cloned()
    }

    /// Up to `limit` tasks before a number, newest first.
    pub fn before(&self, number: Option<u64>, whose: &Whose, limit: usize) -> Vec<Arc<Task>> {
        let task = |number: &u64| self.by_number.get(number).map(|kept| &kept.task);
        let mine = |task: &&Arc<Task>| whose.are(task);
        match whose.to.as_ref().or(whose.from.as_ref()) {
            Some(agent) => {
                let numbers = self.of_agent.get(agent).into_iter().flatten().rev();
                let numbers = numbers.filter(|n| number.is_none_or(|before| **n < before));
                let tasks = numbers.filter_map(task).filter(mine);
                tasks.take(limit).cloned().collect()
            }
            None => {
                let to = number.map_or(Bound::Unbounded, Bound::Excluded);
                let tasks = self.by_number.range((Bound::Unbounded, to)).rev();
                let tasks = tasks.map(|(_, kept)| &kept.task).filter(mine);
                tasks.take(limit).cloned().collect()
            }
        }
    }

    /// A task has got an answer of so many bytes, in place of one of so many.
    pub fn answered(&mut self, number: u64, before: usize, after: usize) {
        if let Some(kept) = self.by_number.get_mut(&number) {
            kept.cost = kept.cost - before + after;
            self.bytes = self.bytes - before + after;
        }
        while self.bytes > self.limits.bytes && self.forget_first_ended() {}
    }

    /// A task has ended.
    pub fn ended(&mut self, number: u64, now: Millis) {
        let until = now.saturating_add(KEPT_FOR);
        if let Some(kept) = self.by_number.get_mut(&number) {
            kept.until = Some(until);
            self.ended.push_back((until, number));
        }
        self.forget_old(now);
    }

    /// A task that had ended goes on.
    pub fn reopened(&mut self, number: u64) {
        if let Some(kept) = self.by_number.get_mut(&number) {
            kept.until = None;
        }
    }

    /// A task was not begun after all.
    pub fn forget(&mut self, number: u64) {
        let Some(Kept { task, cost, .. }) = self.by_number.remove(&number) else {
            return;
        };
        self.bytes -= cost;
        self.by_id.remove(task.id.as_str());
        for agent in [&task.from, &task.to] {
            let Some(of) = self.of_agent.get_mut(agent) else {
                continue;
            };
            // Nearly always the first or the last.
            if of.front() == Some(&number) {
                of.pop_front();
            } else if of.back() == Some(&number) {
                of.pop_back();
            } else if let Ok(place) = of.binary_search(&number) {
                of.remove(place);
            }
            if of.is_empty() {
                self.of_agent.remove(agent);
            }
        }
    }

    fn forget_old(&mut self, now: Millis) {
        while self.ended.front().is_some_and(|&(until, _)| until <= now) {
            self.forget_first_ended();
        }
    }

    /// Says whether there was one. One that was opened again meanwhile stays.
    fn forget_first_ended(&mut self) -> bool {
        while let Some((until, number)) = self.ended.pop_front() {
            let kept = self.by_number.get(&number);
            if kept.is_some_and(|kept| kept.until == Some(until)) {
                self.forget(number);
                return true;
            }
        }
        false
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::task::{State, Step};
    use super::*;
    use clawlink_protocol::name::MessageId;
    use proptest::prelude::*;

    fn draft(id: usize, from: u8, to: u8, size: usize) -> Draft {
        let agent = |n: u8| AgentId::parse(&format!("a{n}")).unwrap();
        Draft {
            sender: None,
            id: MessageId::parse(&format!("t{id}")).unwrap(),
            from: agent(from),
            to: agent(to),
            body: "x".repeat(size).into(),
            thread: None,
            parent: None,
            depth: 1,
            at: 0,
        }
    }

    fn roomy() -> Ledger {
        Ledger::new(LedgerLimits {
            count: 1_000,
            bytes: usize::MAX,
        })
    }

    fn end(ledger: &mut Ledger, task: &Task, now: Millis) {
        assert_eq!(task.progress().step(Step::CalledOff, now), Some(true));
        ledger.ended(task.number, now);
    }

    fn ids(tasks: &[Arc<Task>]) -> Vec<&str> {
        tasks.iter().map(|task| task.id.as_str()).collect()
    }

    #[test]
    fn an_ended_task_is_kept_for_a_day_and_an_open_one_for_ever() {
        let mut ledger = roomy();
        let open = ledger.open(draft(1, 1, 2, 10), 0).unwrap();
        let ended = ledger.open(draft(2, 1, 2, 10), 0).unwrap();
        end(&mut ledger, &ended, 5);
        assert_eq!(KEPT_FOR, 86_400_000);
        ledger.forget_old(4 + KEPT_FOR);
        assert!(ledger.get("t2").is_some());
        ledger.forget_old(5 + KEPT_FOR);
        assert!(ledger.get("t2").is_none());
        ledger.forget_old(Millis::MAX);
        assert!(Arc::ptr_eq(&ledger.get("t1").unwrap(), &open));
    }

    #[test]
    fn a_task_that_was_opened_again_is_not_forgotten() {
        let mut ledger = roomy();
        let task = ledger.open(draft(1, 1, 2, 10), 0).unwrap();
        let died = Step::Died(super::super::inbox::Reason::Expired);
        task.progress().step(died, 5);
        ledger.ended(task.number, 5);
        task.progress().step(Step::SentAgain, 6);
        ledger.reopened(task.number);
        ledger.forget_old(Millis::MAX);
        assert_eq!(ledger.get("t1").unwrap().state(), State::Queued);
    }

    #[test]
    fn room_is_made_by_those_that_ended_and_open_ones_stay() {
        let mut ledger = Ledger::new(LedgerLimits {
            count: 2,
            bytes: usize::MAX,
        });
        let first = ledger.open(draft(1, 1, 2, 10), 0).unwrap();
        ledger.open(draft(2, 1, 2, 10), 0).unwrap();
        assert_eq!(
            ledger.open(draft(3, 1, 2, 10), 0).err(),
            Some(NotOpened::Full)
        );
        assert_eq!(
            ledger.open(draft(1, 1, 2, 10), 0).err(),
            Some(NotOpened::Taken)
        );
        end(&mut ledger, &first, 1);
        ledger.open(draft(3, 1, 2, 10), 1).unwrap();
        assert_eq!(
            ids(&ledger.before(None, &Whose::default(), 9)),
            ["t3", "t2"]
        );
    }

    #[test]
    fn bytes_are_bounded_with_their_answers_and_what_just_fits_stays() {
        let bytes = 2 * (TASK_COST + 10) + 5;
        let mut ledger = Ledger::new(LedgerLimits { count: 9, bytes });
        let first = ledger.open(draft(1, 1, 2, 15), 0).unwrap();
        let second = ledger.open(draft(2, 1, 2, 10), 0).unwrap();
        assert_eq!(
            ledger.open(draft(3, 1, 2, 0), 0).err(),
            Some(NotOpened::Full)
        );
        ledger.forget(first.number);
        let first = ledger.open(draft(1, 1, 2, 10), 0).unwrap();
        end(&mut ledger, &first, 1);
        ledger.answered(second.number, 0, 5);
        assert!(ledger.get("t1").is_some(), "it just fits");
        ledger.answered(second.number, 5, 6);
        assert!(ledger.get("t1").is_none());
        assert_eq!(ledger.bytes, TASK_COST + 10 + 6);
        ledger.answered(second.number, 6, 0);
        assert_eq!(ledger.bytes, TASK_COST + 10);
    }

    proptest! {
        #[test]
        fn lists_are_those_of_a_plain_list(
            calls in prop::collection::vec((0u8..4, 0u8..4, 0usize..50, any::<bool>()), 1..40),
            from in prop::option::of(0u8..4), to in prop::option::of(0u8..4), limit in 1usize..10,
        ) {
            let mut ledger = Ledger::new(LedgerLimits { count: 20, bytes: 20 * (TASK_COST + 40) });
            let mut all: Vec<Arc<Task>> = Vec::new();
            for (n, (from, to, size, ends)) in calls.into_iter().enumerate() {
                let now = n as Millis;
                if let Ok(task) = ledger.open(draft(n, from, to, size), now) {
                    all.push(task.clone());
                    ledger.answered(task.number, 0, size);
                    if ends {
                        end(&mut ledger, &task, now);
                    }
                }
                all.retain(|task| ledger.get(task.id.as_str()).is_some());
                let cost: usize = ledger.by_number.values().map(|kept| kept.cost).sum();
                prop_assert_eq!((ledger.bytes, ledger.len()), (cost, all.len()));
            }
            let agent = |n: Option<u8>| n.map(|n| AgentId::parse(&format!("a{n}")).unwrap());
            let whose = Whose { from: agent(from), to: agent(to) };
            let wanted: Vec<_> = all.iter().rev().filter(|task| whose.are(task)).cloned().collect();
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = ledger.before(before, &whose, limit);
                let Some(last) = page.last() else { break };
                before = Some(last.number);
                found.extend(page);
            }
            prop_assert_eq!(ids(&found), ids(&wanted));
            for task in all {
                ledger.forget(task.number);
            }
            prop_assert!(ledger.is_empty() && ledger.by_id.is_empty() && ledger.of_agent.is_empty());
            prop_assert_eq!(ledger.bytes, 0);
        }
    }
}
