//! The board of tasks: looked up, moved and waited for by everyone. No actor: a short lock for the
//! list, another for each task.

use super::clock::Clock;
use super::directory::Entry;
use crate::core::ledger::{Ledger, LedgerLimits, NotOpened, Whose};
use crate::core::metrics::Metrics;
use crate::core::task::{Asked, Away, Progress, State, Step, Task};
use bytestring::ByteString;
use clawlink_protocol::name::AgentId;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who waits for a task is woken with those that wait for some others.
const BELLS: usize = 64;

/// The board.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    ledger: Mutex<Ledger>,
    bells: [Notify; BELLS],
    /// Steps kept of a task's history.
    steps: usize,
    metrics: Arc<Metrics>,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// The end of the task.
    Ended,
    /// Any step after this one.
    Changed(u64),
}

impl Until {
    fn has_come(self, progress: &Progress) -> bool {
        match self {
            Until::Ended => progress.state().is_ended(),
            Until::Changed(rev) => progress.rev() != rev,
        }
    }
}

impl Board {
    /// An empty one, which keeps so many steps of each task.
    pub fn new(
        limits: LedgerLimits,
        steps: usize,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Board {
            clock,
            ledger: Mutex::new(Ledger::new(limits)),
            bells: std::array::from_fn(|_| Notify::new()),
            steps,
            metrics,
        })
    }

    /// Takes a task that is sent now.
    pub fn open(&self, asked: Asked) -> Result<Arc<Task>, NotOpened> {
        let now = asked.at;
        self.ledger.lock().open(asked, now)
    }

    /// A task was not begun after all.
    pub fn forget(&self, task: &Task) {
        self.ledger.lock().forget(task.number);
    }

    /// The task of this id.
    pub fn get(&self, id: &str) -> Option<Arc<Task>> {
        self.ledger.lock().get(id)
    }

    /// Up to `limit` tasks before a number, newest first.
    pub fn before(&self, number: Option<u64>, whose: &Whose, limit: usize) -> Vec<Arc<Task>> {
        self.ledger.lock().before(number, whose, limit)
    }

    /// Moves a task, if this step does.
    pub fn step(&self, task: &Task, step: Step) {
        let mut progress = task.progress();
        self.step_held(task, &mut progress, step);
    }

    /// The same for who has its lock.
    pub fn step_held(&self, task: &Task, progress: &mut Progress, step: Step) {
        let now = self.clock.now();
        if let Some(ended) = progress.step(step, now) {
            self.bound_history(progress);
            self.moved(task, ended);
        }
    }

    /// Whether another agent could get a task of this one, for who has the task's lock.
    pub fn may_pass_on_held(&self, task: &Task, progress: &Progress, from: &AgentId) -> bool {
        let its_own = task.for_anyone().is_some() && task.to() == from;
        its_own && progress.may_pass_on() && self.ledger.lock().is_open(task.number)
    }

    /// Gives a task that may be passed on to another agent, for who has held its lock since.
    pub fn pass_on_held(&self, task: &Task, progress: &mut Progress, next: &AgentId, why: Away) {
        self.ledger.lock().pass_on(task.number, next);
        self.metrics.passed_on.of(why).inc();
        self.step_held(task, progress, Step::PassedOn(why));
    }

    /// A task whose message died is open again, for who has its lock; unless it is forgotten, or has
    /// ended otherwise.
    pub fn reopen_held(&self, task: &Task, progress: &mut Progress) -> bool {
        let may = progress.state().after(Step::SentAgain).is_some();
        may && self.ledger.lock().reopen(task.number)
    }

    /// It could not be sent again after all.
    pub fn close_held(&self, task: &Task) {
        self.ledger.lock().ended(task.number, self.clock.now());
    }

    /// Whether this agent has fewer open tasks than that one.
    pub fn has_fewer(&self, agent: &AgentId, than: &AgentId) -> bool {
        let ledger = self.ledger.lock();
        ledger.load(agent).open() < ledger.load(than).open()
    }

    /// Whose turn it is.
    pub fn least_busy(&self, agents: Vec<Arc<Entry>>) -> Option<Arc<Entry>> {
        let ledger = self.ledger.lock();
        let load = |entry: &Arc<Entry>| ledger.load(entry.agent.id());
        agents.into_iter().min_by_key(load)
    }

    /// An answer that moves a task, whose lock the caller has.
    pub fn answer_held(
        &self,
        task: &Task,
        progress: &mut Progress,
        state: State,
        answer: ByteString,
    ) {
        let size = |progress: &Progress| progress.answer().map_or(0, |answer| answer.len());
        let before = size(progress);
        if progress.answered(state, answer, self.clock.now()) {
            self.bound_history(progress);
            let after = size(progress);
            self.ledger.lock().answered(task.number, before, after);
            self.moved(task, state.is_ended());
        }
    }

    /// A step was made: where the history is full, an older one leaves it.
    fn bound_history(&self, progress: &mut Progress) {
        if progress.keep_steps(self.steps) {
            self.metrics.steps_dropped.inc();
        }
    }

    /// How many tasks are open and how many have ended, and the bytes of all.
    pub fn held(&self) -> (usize, usize, usize) {
        self.ledger.lock().held()
    }

    fn moved(&self, task: &Task, ended: bool) {
        if ended {
            self.ledger.lock().ended(task.number, self.clock.now());
        }
        self.bell(task).notify_waiters();
    }

    fn bell(&self, task: &Task) -> &Notify {
        &self.bells[task.number as usize % BELLS]
    }

    /// Waits until something has become of a task, or the time is over.
    pub async fn wait(&self, task: &Task, until: Until, time: Duration) {
        let deadline = Instant::now() + time;
        loop {
            // Before the look, so that no step falls in between.
            let mut rung = std::pin::pin!(self.bell(task).notified());
            rung.as_mut().enable();
            if until.has_come(&task.progress()) {
                return;
            }
            if tokio::time::timeout_at(deadline, rung).await.is_err() {
                return;
            }
        }
    }
}
