//! One delegation's way from its sender to an end, and who may move it.
//!
//! `queued <-> delivered -> in_progress <-> input_required -> completed | failed | rejected |
//! canceled | expired | undeliverable`. What has ended stays as it ended, unless its message died
//! and is sent again.

use super::Millis;
use super::identity::Owner;
use super::inbox::{Reason, Seq};
use bytestring::ByteString;
use clawlink_protocol::name::{AgentId, MessageId, Word};
use parking_lot::{Mutex, MutexGuard};
use std::sync::OnceLock;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its message waits.
    Queued,
    /// Its message was handed over; nobody has answered.
    Delivered,
    /// Its assignee works on it.
    InProgress,
    /// Its assignee needs to know something.
    InputRequired,
    /// Done.
    Completed,
    /// Tried in vain.
    Failed,
    /// Not tried.
    Rejected,
    /// Called off by its sender.
    Canceled,
    /// Not handed over in its time.
    Expired,
    /// Given out in vain, or its assignee is gone.
    Undeliverable,
}

impl State {
    /// All of them.
    pub const ALL: [State; 10] = [
        State::Queued,
        State::Delivered,
        State::InProgress,
        State::InputRequired,
        State::Completed,
        State::Failed,
        State::Rejected,
        State::Canceled,
        State::Expired,
        State::Undeliverable,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Delivered => "delivered",
            State::InProgress => "in_progress",
            State::InputRequired => "input_required",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Rejected => "rejected",
            State::Canceled => "canceled",
            State::Expired => "expired",
            State::Undeliverable => "undeliverable",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing moves it any more.
    pub fn is_ended(self) -> bool {
        !matches!(
            self,
            State::Queued | State::Delivered | State::InProgress | State::InputRequired
        )
    }

    /// Whether an assignee may say so.
    fn is_an_answer(self) -> bool {
        matches!(
            self,
            State::InProgress
                | State::InputRequired
                | State::Completed
                | State::Failed
                | State::Rejected
        )
    }

    /// Where it is after this; `None` where this does not move it.
    pub fn after(self, step: Step) -> Option<State> {
        match (self, step) {
            (State::Queued, Step::HandedOver) => Some(State::Delivered),
            (State::Delivered, Step::CameBack) => Some(State::Queued),
            (open, Step::Answered(state)) if !open.is_ended() && state.is_an_answer() => {
                Some(state)
            }
            (State::InputRequired, Step::GotInput) => Some(State::InProgress),
            (open, Step::CalledOff) if !open.is_ended() => Some(State::Canceled),
            (State::Queued, Step::Died(Reason::Expired)) => Some(State::Expired),
            (State::Queued | State::Delivered, Step::Died(_)) => Some(State::Undeliverable),
            (State::Expired | State::Undeliverable, Step::SentAgain) => Some(State::Queued),
            (State::Queued | State::Delivered, Step::PassedOn(_)) => Some(State::Queued),
            _ => None,
        }
    }
}

/// What may move a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its message was handed over.
    HandedOver,
    /// Its message waits again.
    CameBack,
    /// Its assignee says so.
    Answered(State),
    /// Its sender has told what was asked.
    GotInput,
    /// Its sender does not want it any more.
    CalledOff,
    /// Its message died.
    Died(Reason),
    /// Its message, dead before, was sent again.
    SentAgain,
    /// Another agent got it, as the one before it was away.
    PassedOn(Away),
}

/// How an agent is away that has not begun what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It was not heard in time.
    Stale,
    /// It is not registered any more.
    Removed,
}

impl Away {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Away::Stale => "stale",
            Away::Removed => "removed",
        }
    }
}

/// Steps that most tasks make: sent, handed over, ended.
const STEPS: usize = 3;

/// A step that was made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Where it led.
    pub state: State,
    /// When.
    pub at: Millis,
    /// Whether that gave it to another agent, and why.
    pub passed_on: Option<Away>,
}

/// How far a task has come.
#[derive(Debug)]
pub struct Progress {
    state: State,
    rev: u64,
    history: Vec<Made>,
    made: usize,
    /// The last answer that moved it, as it was sent.
    answer: Option<ByteString>,
    /// Whether its message was ever handed over.
    handed_over: bool,
    /// Whether it was to its present assignee.
    handed_here: bool,
    /// Whether its sender has told its assignee more.
    told_more: bool,
    /// The place of its message in its assignee's inbox.
    place: Option<Seq>,
    /// Whose that inbox is.
    assignee: Option<Owner>,
    ended_at: Option<Millis>,
}

impl Progress {
    fn new(at: Millis) -> Self {
        let state = State::Queued;
        let mut history = Vec::with_capacity(STEPS);
        history.push(Made {
            state,
            at,
            passed_on: None,
        });
        Progress {
            state,
            rev: 1,
            history,
            made: 1,
            answer: None,
            handed_over: false,
            handed_here: false,
            told_more: false,
            place: None,
            assignee: None,
            ended_at: None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Counts the steps made; 1 at first.
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// The steps made, oldest first, and how many there were in all.
    pub fn history(&self) -> (&[Made], usize) {
        (&self.history, self.made)
    }

    /// The last answer that moved it.
    pub fn answer(&self) -> Option<&ByteString> {
        self.answer.as_ref()
    }

    /// Whether its message was ever handed over.
    pub fn was_handed_over(&self) -> bool {
        self.handed_over
    }

    /// Whether its message was handed over to its present assignee.
    pub fn is_in_hand(&self) -> bool {
        self.handed_here
    }

    /// Its sender has told its assignee more than the message says.
    pub fn tell_more(&mut self) {
        self.told_more = true;
    }

    /// Whether another agent would know all that this one does: it has not been begun, and what was
    /// told is in its message.
    pub fn may_pass_on(&self) -> bool {
        matches!(self.state, State::Queued | State::Delivered) && !self.told_more
    }

    /// The place of its message.
    pub fn place(&self) -> Option<Seq> {
        self.place
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Millis> {
        self.ended_at
    }

    /// Its message has a place, in the inbox of this owner.
    pub fn put_at(&mut self, place: Seq, assignee: Owner) {
        self.place = Some(place);
        self.assignee = Some(assignee);
    }

    /// Whose inbox its message was put into last.
    pub fn assignee(&self) -> Option<&Owner> {
        self.assignee.as_ref()
    }

    /// Its message is not to be looked for any more.
    pub fn take_place(&mut self) -> Option<Seq> {
        self.place.take()
    }

    /// Moves it, if this step does; says whether it has ended by that.
    pub fn step(&mut self, step: Step, now: Millis) -> Option<bool> {
        let state = self.state.after(step)?;
        // Who took the time may have waited for the task meanwhile.
        let now = self.history.last().map_or(now, |last| now.max(last.at));
        self.handed_over |= step == Step::HandedOver;
        match step {
            Step::HandedOver => self.handed_here = true,
            Step::PassedOn(_) => self.handed_here = false,
            _ => {}
        }
        self.state = state;
        self.rev += 1;
        self.made += 1;
        let passed_on = match step {
            Step::PassedOn(why) => Some(why),
            _ => None,
        };
        self.history.push(Made {
            state,
            at: now,
            passed_on,
        });
        self.ended_at = state.is_ended().then_some(now);
        Some(state.is_ended())
    }

    /// Keeps so many steps of its history: the first, and the latest. Says whether one has left.
    pub fn keep_steps(&mut self, count: usize) -> bool {
        let over = self.history.len().saturating_sub(count.max(1));
        self.history.drain(1..1 + over);
        over > 0
    }

    /// Moves it by an answer, which is kept.
    pub fn answered(&mut self, state: State, answer: ByteString, now: Millis) -> bool {
        let moved = self.step(Step::Answered(state), now).is_some();
        if moved {
            self.answer = Some(answer);
        }
        moved
    }
}

/// A delegation.
#[derive(Debug)]
pub struct Task {
    /// The place in the order of all tasks.
    pub number: u64,
    /// What its sender has asked for.
    pub asked: Asked,
    next: OnceLock<AgentId>,
    progress: Mutex<Progress>,
}

/// What a sender asks for.
#[derive(Debug)]
pub struct Asked {
    /// As its message is called.
    pub id: MessageId,
    /// Its sender.
    pub from: AgentId,
    /// Whose that agent was; none where it was nobody's, and not registered.
    pub sender: Option<Owner>,
    /// Its first assignee.
    pub to: AgentId,
    /// What the assignee must be able to do, where anybody would do who is.
    pub capability: Option<Word>,
    /// Its message, as it was accepted.
    pub body: ByteString,
    /// The group that its sender put it in.
    pub thread: Option<MessageId>,
    /// The task that it is a part of.
    pub parent: Option<MessageId>,
    /// 1, or one more than its parent's.
    pub depth: usize,
    /// When it was sent.
    pub at: Millis,
}

impl Task {
    /// A task that waits.
    pub fn new(number: u64, asked: Asked) -> Self {
        let progress = Mutex::new(Progress::new(asked.at));
        Task {
            number,
            asked,
            next: OnceLock::new(),
            progress,
        }
    }

    /// Its assignee.
    pub fn to(&self) -> &AgentId {
        self.next.get().unwrap_or(&self.asked.to)
    }

    /// The capability by which it would find another assignee. It finds one once.
    pub fn for_anyone(&self) -> Option<&Word> {
        let first = self.next.get().is_none();
        self.asked.capability.as_ref().filter(|_| first)
    }

    /// Another agent gets it, unless that has happened before. The [`Ledger`](super::ledger::Ledger)
    /// must know: it does this.
    pub(super) fn pass_to(&self, next: AgentId) -> bool {
        self.next.set(next).is_ok()
    }

    /// How far it has come. Not to be held across an await.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock()
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.progress().state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step() -> impl Strategy<Value = Step> {
        let state = prop::sample::select(State::ALL.to_vec());
        prop_oneof![
            Just(Step::HandedOver),
            Just(Step::CameBack),
            state.prop_map(Step::Answered),
            Just(Step::GotInput),
            Just(Step::CalledOff),
            Just(Step::Died(Reason::Expired)),
            Just(Step::Died(Reason::AttemptsUsedUp)),
            Just(Step::Died(Reason::RecipientRemoved)),
            Just(Step::SentAgain),
            Just(Step::PassedOn(Away::Stale)),
        ]
    }

    /// The diagram, written down once more: from where to where, and by whom.
    fn drawn(from: State, to: State, step: Step) -> bool {
        use State::*;
        let open = [Queued, Delivered, InProgress, InputRequired];
        let answers = [InProgress, InputRequired, Completed, Failed, Rejected];
        match step {
            Step::HandedOver => (from, to) == (Queued, Delivered),
            Step::CameBack => (from, to) == (Delivered, Queued),
            Step::Answered(said) => open.contains(&from) && answers.contains(&to) && to == said,
            Step::GotInput => (from, to) == (InputRequired, InProgress),
            Step::CalledOff => open.contains(&from) && to == Canceled,
            Step::Died(Reason::Expired) => {
                (from, to) == (Queued, Expired) || (from, to) == (Delivered, Undeliverable)
            }
            Step::Died(_) => [Queued, Delivered].contains(&from) && to == Undeliverable,
            Step::SentAgain => [Expired, Undeliverable].contains(&from) && to == Queued,
            Step::PassedOn(_) => [Queued, Delivered].contains(&from) && to == Queued,
        }
    }

    #[test]
    fn no_step_comes_before_the_one_before_it() {
        let mut progress = Progress::new(7);
        assert_eq!(progress.step(Step::HandedOver, 5), Some(false));
        assert_eq!(progress.step(Step::CalledOff, 6), Some(true));
        let times: Vec<_> = progress.history().0.iter().map(|made| made.at).collect();
        assert_eq!((times, progress.ended_at()), (vec![7, 7, 7], Some(7)));
    }

    proptest! {
        #[test]
        fn the_first_step_and_the_latest_are_kept(
            steps in prop::collection::vec(step(), 0..60),
            keep in 2usize..9,
        ) {
            let (mut bounded, mut all) = (Progress::new(0), Progress::new(0));
            for (now, step) in (1..).zip(steps) {
                let moved = all.step(step, now).is_some();
                prop_assert_eq!(bounded.step(step, now).is_some(), moved);
                prop_assert_eq!(bounded.keep_steps(keep), moved && all.history.len() > keep);
                let times = |made: &[Made]| made.iter().map(|made| made.at).collect::<Vec<_>>();
                let (mut wanted, over) = (times(&all.history), all.history.len().saturating_sub(keep));
                wanted.drain(1..1 + over);
                prop_assert_eq!(times(&bounded.history), wanted);
                prop_assert_eq!(bounded.history().1, all.history.len());
            }
        }

        #[test]
        fn no_sequence_of_steps_leaves_the_diagram(steps in prop::collection::vec(step(), 0..200)) {
            let mut progress = Progress::new(0);
            for (now, step) in steps.into_iter().enumerate() {
                let (from, rev) = (progress.state(), progress.rev());
                let ended = progress.step(step, now as Millis);
                let to = progress.state();
                prop_assert_eq!(ended.is_some(), State::ALL.into_iter().any(|s| drawn(from, s, step)));
                match ended {
                    Some(ended) => {
                        prop_assert!(drawn(from, to, step), "{from:?} {to:?} {step:?}");
                        prop_assert_eq!((ended, progress.rev()), (to.is_ended(), rev + 1));
                        prop_assert_eq!(progress.history().0.last().unwrap().state, to);
                    }
                    None => prop_assert_eq!((from, rev), (to, progress.rev())),
                }
                prop_assert_eq!(progress.ended_at().is_some(), to.is_ended());
                prop_assert_eq!(progress.history().1 as u64, progress.rev());
            }
            prop_assert_eq!(progress.history().0[0].state, State::Queued);
        }
    }

    #[test]
    fn a_word_is_a_state_and_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("done"), None);
    }

    #[test]
    fn only_an_answer_that_moves_a_task_is_kept() {
        let mut progress = Progress::new(0);
        assert!(progress.answered(State::InProgress, "half".into(), 1));
        assert!(progress.answered(State::Completed, "whole".into(), 2));
        assert!(!progress.answered(State::Failed, "late".into(), 3));
        assert_eq!(progress.answer(), Some(&"whole".into()));
        assert_eq!(
            (progress.ended_at(), progress.was_handed_over()),
            (Some(2), false)
        );
    }
}
