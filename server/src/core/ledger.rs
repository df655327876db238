//! All tasks: found by id, listed by sender and assignee, kept for a while after they have ended.

use super::Millis;
use super::numbered::Numbered;
use super::task::{Asked, Task};
use ahash::RandomState;
use clawlink_protocol::name::{AgentId, MessageId};
use std::collections::{HashMap, VecDeque};
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
        is(&self.from, &task.asked.from) && is(&self.to, task.to())
    }
}

#[derive(Debug)]
struct Kept {
    task: Arc<Task>,
    cost: usize,
    /// When it is forgotten, once it has ended.
    until: Option<Millis>,
}

/// How busy an agent is: the less, the sooner it is its turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Tasks that it was given and that have not ended.
    open: usize,
    /// When it was given one last, counted in tasks given.
    served: u64,
}

impl Load {
    /// Tasks that it was given and that have not ended.
    pub fn open(self) -> usize {
        self.open
    }
}

/// What an agent has to do with tasks.
#[derive(Debug, Default)]
struct Share {
    /// Numbers of what it sent and what it was given, oldest first.
    numbers: VecDeque<u64>,
    load: Load,
}

impl Share {
    fn note(&mut self, number: u64) {
        if self.numbers.back().is_none_or(|last| *last < number) {
            self.numbers.push_back(number);
        } else if let Err(place) = self.numbers.binary_search(&number) {
            self.numbers.insert(place, number);
        }
    }

    fn strike(&mut self, number: u64) {
        if self.numbers.front() == Some(&number) {
            self.numbers.pop_front();
        } else if let Ok(place) = self.numbers.binary_search(&number) {
            self.numbers.remove(place);
        }
    }
}

/// The ledger. It never looks into a task's progress: who holds that may call it.
#[derive(Debug)]
pub struct Ledger {
    limits: LedgerLimits,
    /// To their numbers.
    by_id: HashMap<MessageId, u64, RandomState>,
    by_number: Numbered<Kept>,
    of_agent: HashMap<AgentId, Share, RandomState>,
    /// Those that ended, in that order, and when each is forgotten.
    ended: VecDeque<(Millis, u64)>,
    /// How many of those that are kept have ended.
    ended_count: usize,
    given: u64,
    bytes: usize,
}

impl Ledger {
    /// An empty one.
    pub fn new(limits: LedgerLimits) -> Self {
        Ledger {
            limits,
            by_id: HashMap::default(),
            by_number: Numbered::from(1),
            of_agent: HashMap::default(),
            ended: VecDeque::new(),
            ended_count: 0,
            given: 0,
            bytes: 0,
        }
    }

    /// Takes a task. Where there is no room, those that ended longest ago leave.
    pub fn open(&mut self, asked: Asked, now: Millis) -> Result<Arc<Task>, NotOpened> {
        self.forget_old(now);
        if self.by_id.contains_key(asked.id.as_str()) {
            return Err(NotOpened::Taken);
        }
        let cost = asked.body.len() + TASK_COST;
        while self.by_number.len() >= self.limits.count || self.bytes + cost > self.limits.bytes {
            if !self.forget_first_ended() {
                return Err(NotOpened::Full);
            }
        }
        let number = self.by_number.next();
        self.bytes += cost;
        let task = Arc::new(Task::new(number, asked));
        self.by_id.insert(task.asked.id.clone(), number);
        self.by_number.push(Kept {
            task: task.clone(),
            cost,
            until: None,
        });
        let from = task.asked.from.clone();
        self.of_agent.entry(from).or_default().note(number);
        self.give(number, task.asked.to.clone());
        Ok(task)
    }

    /// It is this agent's turn.
    fn give(&mut self, number: u64, to: AgentId) {
        self.given += 1;
        let served = self.given;
        let share = self.of_agent.entry(to).or_default();
        share.note(number);
        share.load.open += 1;
        share.load.served = served;
    }

    /// How busy an agent is.
    pub fn load(&self, agent: &AgentId) -> Load {
        let share = self.of_agent.get(agent);
        share.map(|share| share.load).unwrap_or_default()
    }

    /// Another agent gets an open task, unless that has happened to it before.
    pub fn pass_on(&mut self, number: u64, next: &AgentId) -> bool {
        let Some(Kept { task, until, .. }) = self.by_number.get(number) else {
            return false;
        };
        let (task, before) = (task.clone(), task.to().clone());
        if until.is_some() || !task.pass_to(next.clone()) {
            return false;
        }
        if let Some(share) = self.of_agent.get_mut(&before) {
            share.load.open -= 1;
        }
        if before != task.asked.from {
            self.strike(&before, number);
        }
        self.give(number, next.clone());
        true
    }

    /// An agent has nothing to do with a task any more. Who has with none is forgotten.
    fn strike(&mut self, agent: &AgentId, number: u64) {
        let Some(share) = self.of_agent.get_mut(agent) else {
            return;
        };
        share.strike(number);
        if share.numbers.is_empty() {
            self.of_agent.remove(agent);
        }
    }

    /// The assignee of a task has one more, or one less, that has not ended.
    fn count(&mut self, number: u64, count: impl Fn(usize) -> usize) {
        let task = self.by_number.get(number).map(|kept| &kept.task);
        if let Some(share) = task.and_then(|task| self.of_agent.get_mut(task.to())) {
            share.load.open = count(share.load.open);
        }
    }

    /// The task of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Task>> {
        let number = *self.by_id.get(id)?;
        self.by_number.get(number).map(|kept| kept.task.clone())
    }

    /// Up to `limit` tasks before a number, newest first.
    pub fn before(&self, number: Option<u64>, whose: &Whose, limit: usize) -> Vec<Arc<Task>> {
        let task = |number: &u64| self.by_number.get(*number).map(|kept| &kept.task);
        let mine = |task: &&Arc<Task>| whose.are(task);
        match whose.to.as_ref().or(whose.from.as_ref()) {
            Some(agent) => {
                let share = self.of_agent.get(agent);
                let numbers = share
                    .into_iter()
                    .flat_map(|share| share.numbers.iter().rev());
                let numbers = numbers.filter(|n| number.is_none_or(|before| **n < before));
                let tasks = numbers.filter_map(task).filter(mine);
                tasks.take(limit).cloned().collect()
            }
            None => {
                let tasks = self.by_number.before(number);
                let tasks = tasks.map(|kept| &kept.task).filter(mine);
                tasks.take(limit).cloned().collect()
            }
        }
    }

    /// A task has got an answer of so many bytes, in place of one of so many.
    pub fn answered(&mut self, number: u64, before: usize, after: usize) {
        if let Some(kept) = self.by_number.get_mut(number) {
            kept.cost = kept.cost - before + after;
            self.bytes = self.bytes - before + after;
        }
        while self.bytes > self.limits.bytes && self.forget_first_ended() {}
    }

    /// A task has ended.
    pub fn ended(&mut self, number: u64, now: Millis) {
        let until = now.saturating_add(KEPT_FOR);
        let open = self.by_number.get_mut(number);
        if let Some(kept) = open.filter(|kept| kept.until.is_none()) {
            self.ended_count += 1;
            kept.until = Some(until);
            self.ended.push_back((until, number));
            self.count(number, |open| open - 1);
        }
        self.forget_old(now);
    }

    /// A task that had ended goes on, if it is not forgotten yet.
    pub fn reopen(&mut self, number: u64) -> bool {
        let kept = self.by_number.get_mut(number);
        let Some(kept) = kept.filter(|kept| kept.until.is_some()) else {
            return false;
        };
        kept.until = None;
        self.ended_count -= 1;
        self.count(number, |open| open + 1);
        true
    }

    /// Whether this task is open here. It stays so while its lock is held.
    pub fn is_open(&self, number: u64) -> bool {
        let kept = self.by_number.get(number);
        kept.is_some_and(|kept| kept.until.is_none())
    }

    /// A task was not begun after all.
    pub fn forget(&mut self, number: u64) {
        let Some(Kept { task, cost, until }) = self.by_number.remove(number) else {
            return;
        };
        self.bytes -= cost;
        self.by_id.remove(task.asked.id.as_str());
        if until.is_some() {
            self.ended_count -= 1;
        } else if let Some(share) = self.of_agent.get_mut(task.to()) {
            share.load.open -= 1;
        }
        self.strike(&task.asked.from, number);
        self.strike(task.to(), number);
    }

    fn forget_old(&mut self, now: Millis) {
        while self.ended.front().is_some_and(|&(until, _)| until <= now) {
            self.forget_first_ended();
        }
    }

    /// Says whether there was one. One that was opened again meanwhile stays.
    fn forget_first_ended(&mut self) -> bool {
        while let Some((until, number)) = self.ended.pop_front() {
            let kept = self.by_number.get(number);
            if kept.is_some_and(|kept| kept.until == Some(until)) {
                self.forget(number);
                return true;
            }
        }
        false
    }

    /// How many are open and how many have ended, and the bytes of all.
    pub fn held(&self) -> (usize, usize, usize) {
        let open = self.by_number.len() - self.ended_count;
        (open, self.ended_count, self.bytes)
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
    use proptest::prelude::*;

    fn draft(id: usize, from: u8, to: u8, size: usize) -> Asked {
        let agent = |n: u8| AgentId::parse(&format!("a{n}")).unwrap();
        Asked {
            sender: None,
            id: MessageId::parse(&format!("t{id}")).unwrap(),
            from: agent(from),
            to: agent(to),
            body: "x".repeat(size).into(),
            capability: None,
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
        tasks.iter().map(|task| task.asked.id.as_str()).collect()
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
        assert_eq!(ledger.held().0, 0);
        ledger.reopen(task.number);
        assert_eq!((ledger.held().0, ledger.held().1), (1, 0));
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

    #[test]
    fn it_is_the_turn_of_who_has_least_to_do_and_was_served_longest_ago() {
        let mut ledger = roomy();
        let agents: Vec<_> = ["a1", "a2", "a3"]
            .map(|id| AgentId::parse(id).unwrap())
            .into();
        let turn = |ledger: &Ledger| {
            agents
                .iter()
                .min_by_key(|id| ledger.load(id))
                .unwrap()
                .clone()
        };
        let mut given = Vec::new();
        for n in 0..6u8 {
            let to = turn(&ledger);
            let to: u8 = to.as_str()[1..].parse().unwrap();
            given.push(to);
            ledger.open(draft(usize::from(n), 9, to, 0), 0).unwrap();
        }
        assert_eq!(given, [1, 2, 3, 1, 2, 3]);
        let second = ledger.get("t1").unwrap();
        end(&mut ledger, &second, 1);
        assert_eq!(turn(&ledger).as_str(), "a2", "it has fewer");
        ledger.reopen(second.number);
        assert_eq!(turn(&ledger).as_str(), "a1");
    }

    proptest! {
        #[test]
        fn lists_are_those_of_a_plain_list(
            calls in prop::collection::vec(
                (0u8..4, 0u8..4, 0usize..50, any::<bool>(), prop::option::of(0u8..4)), 1..40),
            from in prop::option::of(0u8..4), to in prop::option::of(0u8..4), limit in 1usize..10,
        ) {
            let mut ledger = Ledger::new(LedgerLimits { count: 20, bytes: 20 * (TASK_COST + 40) });
            let mut all: Vec<Arc<Task>> = Vec::new();
            for (n, (from, to, size, ends, next)) in calls.into_iter().enumerate() {
                let now = n as Millis;
                if let Ok(task) = ledger.open(draft(n, from, to, size), now) {
                    all.push(task.clone());
                    ledger.answered(task.number, 0, size);
                    if let Some(next) = next.filter(|&next| next != from) {
                        let next = AgentId::parse(&format!("a{next}")).unwrap();
                        prop_assert!(ledger.pass_on(task.number, &next));
                        prop_assert!(!ledger.pass_on(task.number, &next), "once");
                        prop_assert_eq!(task.to(), &next);
                    }
                    if ends {
                        end(&mut ledger, &task, now);
                    }
                }
                all.retain(|task| ledger.get(task.asked.id.as_str()).is_some());
                let cost: usize = ledger.by_number.before(None).map(|kept| kept.cost).sum();
                prop_assert_eq!((ledger.bytes, ledger.len()), (cost, all.len()));
                for agent in 0..4 {
                    let agent = AgentId::parse(&format!("a{agent}")).unwrap();
                    let open = |task: &&Arc<Task>| *task.to() == agent && !task.state().is_ended();
                    prop_assert_eq!(ledger.load(&agent).open, all.iter().filter(open).count());
                }
                let open = all.iter().filter(|task| !task.state().is_ended()).count();
                prop_assert_eq!(ledger.held(), (open, all.len() - open, cost));
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
