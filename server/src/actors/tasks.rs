//! Tasks, behind the face of the [`Relay`]: sent, answered, called off.
//!
//! What moves a task and the message that tells of it go together: the task is held while the
//! message is admitted, so that nobody sees the one without the other.

use super::agent::handle::{Admitted, AgentHandle};
use super::board::Until;
use super::clock::timestamp;
use super::refused::Refused;
use super::relay::{Relay, constant, envelope, expiry, given, sound, written};
use super::routing::TRIES;
use super::speaking::Speaker;
use crate::core::Millis;
use crate::core::inbox::Seq;
use crate::core::ledger::NotOpened;
use crate::core::message::{Envelope, Kind};
use crate::core::task::{Asked, Progress, State, Step, Task};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::messages::{
    Delegate, Delegated, Outgoing, Priority, Recipient, Respond, Responded,
};
use clawlink_protocol::name::{AgentId, MessageId, Word};
use clawlink_protocol::tasks::{Input, TaskMoved};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

const NO_CONTEXT: &str = "{}";
const NO_RESULT: &str = "null";
/// Tasks in a chain of parts, the first counted.
pub const DEPTH_MAX: usize = 8;

impl Relay {
    /// Sends a task. `message_id` is one that the sender has given it itself.
    pub fn delegate(
        &self,
        call: &Delegate<'_>,
        message_id: Option<MessageId>,
        speaker: &Speaker,
    ) -> Result<Delegated<'_>, Refused> {
        let message_id = match message_id {
            Some(id) => id,
            None => self.new_message_id()?,
        };
        let now = self.clock.now();
        let Placed { to, task, admitted } = self.place(call, &message_id, speaker, now)?;
        let recipient = Recipient {
            status: to.presence_at(now).as_str(),
            last_seen_seconds: now.saturating_sub(to.last_heard()) / 1000,
        };
        let delivery = admitted.route();
        Ok(Delegated {
            status: "delegated",
            delivery: delivery.as_str(),
            message_id,
            to_agent: to.id().clone(),
            recipient,
            task_state: task.map(|task| task.state().as_str()),
            epoch: &self.epoch,
        })
    }

    /// Puts a delegation into the inbox it is for. Where anybody may have it, one who has no room gives
    /// way to the next.
    fn place(
        &self,
        call: &Delegate<'_>,
        message_id: &MessageId,
        speaker: &Speaker,
        now: Millis,
    ) -> Result<Placed, Refused> {
        // Who is not asked where anybody may have it.
        let sender = call.to_capability.is_some().then_some(&call.from_agent);
        let mut but: Vec<_> = sender.cloned().into_iter().collect();
        let mut full = None;
        loop {
            let to = match (self.recipient(call, &but), full.take()) {
                (Err(_), Some(full)) => return Err(full),
                (to, _) => to?,
            };
            let envelope = self.delegation(call, &to, message_id, speaker, now)?;
            let task = envelope.task.clone();
            match self.begin(&to, envelope) {
                Ok(admitted) => {
                    if call.to_capability.is_some() {
                        to.look_if_away();
                    }
                    return Ok(Placed { to, task, admitted });
                }
                Err(why) if call.to_capability.is_some() && but.len() < TRIES => {
                    but.push(to.id().clone());
                    full = Some(why);
                }
                Err(why) => return Err(why),
            }
        }
    }

    /// Whom a delegation is for: the agent it names, or one that can do it.
    fn recipient(&self, call: &Delegate<'_>, but: &[AgentId]) -> Result<AgentHandle, Refused> {
        match (&call.to_agent, &call.to_capability) {
            (Some(address), None) => self.resolve(address),
            (None, Some(capability)) => {
                let picked = self.router.pick(capability, but);
                let picked = picked.map(|entry| entry.agent.clone());
                picked.ok_or_else(|| {
                    let similar = self.directory.similar_capabilities(capability.as_str());
                    Refused::nobody_can(capability.as_str(), similar)
                })
            }
            (None, None) => {
                let error = "to_agent is required, or to_capability";
                Err(Refused::bad_request(error))
            }
            (Some(_), Some(_)) => {
                let error = "to_agent and to_capability exclude each other: give one of them";
                Err(Refused::bad_request(error))
            }
        }
    }

    fn new_message_id(&self) -> Result<MessageId, Refused> {
        let id = self.ids.next_word();
        let id = std::str::from_utf8(&id).unwrap_or_default();
        MessageId::parse(id).map_err(|why| Refused::bad_request(why.to_string()))
    }

    /// The message of a delegation, with the task that it brings. An id that another task has
    /// already makes a message without one.
    fn delegation(
        &self,
        call: &Delegate<'_>,
        to: &AgentHandle,
        message_id: &MessageId,
        speaker: &Speaker,
        at: Millis,
    ) -> Result<Arc<Envelope>, Refused> {
        let task = given("task", call.task)?;
        let context = match call.context {
            Some(context) => sound("context", context)?,
            None => constant(NO_CONTEXT),
        };
        let expires = expiry(call.ttl, at)?;
        let depth = self.depth(call.parent_id.as_ref())?;
        let priority = call.priority.as_deref();
        let priority = priority.unwrap_or(Priority::Normal.as_str());
        let (name, now) = (self.name_of(speaker), timestamp());
        let body = written(&Outgoing::TaskDelegation {
            message_id: message_id.as_str(),
            from_agent: &call.from_agent,
            from_name: name.as_ref().map(Word::as_str),
            sender_verified: speaker.is_verified(),
            to_agent: to.id(),
            task,
            context,
            priority,
            thread_id: call.thread_id.as_ref(),
            parent_id: call.parent_id.as_ref(),
            timestamp: &now,
        })?;
        let opened = self.board.open(Asked {
            id: message_id.clone(),
            from: call.from_agent.clone(),
            sender: speaker.owner(),
            to: to.id().clone(),
            capability: call.to_capability.clone(),
            body: body.clone(),
            thread: call.thread_id.clone(),
            parent: call.parent_id.clone(),
            depth,
            at,
        });
        let full = "this relay holds its limit of open tasks (--tasks-limit, --tasks-bytes)";
        if opened.as_ref().err() == Some(&NotOpened::Full) {
            return Err(Refused::new(ErrorCode::RelayFull, full));
        }
        Ok(Arc::new(Envelope {
            body,
            kind: Kind::Mail,
            priority: Priority::of(priority),
            accepted_at: now,
            expires,
            task: opened.ok(),
        }))
    }

    /// How deep a part of this task is. A task that is not known any more is the first of its chain.
    fn depth(&self, parent: Option<&MessageId>) -> Result<usize, Refused> {
        let Some(parent) = parent else { return Ok(1) };
        let depth = self
            .board
            .get(parent.as_str())
            .map_or(2, |p| p.asked.depth + 1);
        if depth <= DEPTH_MAX {
            return Ok(depth);
        }
        let error = format!(
            "task {parent} is the {DEPTH_MAX}th of its chain; answer it instead of delegating on"
        );
        Err(Refused::new(ErrorCode::TooDeep, error))
    }

    /// Puts a delegation into its inbox. Nobody is handed it before its task knows its place.
    fn begin(&self, to: &AgentHandle, envelope: Arc<Envelope>) -> Result<Admitted, Refused> {
        let refused = |why| Refused::not_admitted(why, to.id().as_str());
        let Some(task) = envelope.task.clone() else {
            return to.admit(envelope).map_err(refused);
        };
        let mut progress = task.progress();
        let admitted = to.admit(envelope);
        match &admitted {
            Ok(admitted) => progress.put_at(admitted.place(), admitted.owner()),
            Err(_) => self.board.forget(&task),
        }
        admitted.map_err(refused)
    }

    /// Sends an answer.
    pub fn respond(&self, call: &Respond<'_>, speaker: &Speaker) -> Result<Responded, Refused> {
        let result = match call.result {
            Some(result) => sound("result", result)?,
            None => constant(NO_RESULT),
        };
        let task = self.board.get(call.message_id.as_str());
        let to = match (&call.to_agent, &task) {
            (Some(address), _) => self.resolve(address)?,
            (None, Some(task)) => self.resolve(&(&task.asked.from).into())?,
            (None, None) => {
                let error = "to_agent is required: this relay does not know the task";
                return Err(Refused::bad_request(error));
            }
        };
        let answered = self.answer(call, result, &to, task.as_ref(), speaker)?;
        if let Some(task) = task.filter(|_| answered.applied == Some(true)) {
            self.withdraw(&task, answered.place);
            if task.state().is_ended() {
                // It has room for what others have left.
                self.router.offer(task.to());
            }
        }
        let delivery = answered.admitted.route();
        Ok(Responded {
            status: "response_sent".to_owned(),
            delivery: delivery.as_str().to_owned(),
            to_agent: Some(to.id().to_string()),
            applied: answered.applied,
            task_state: answered.state.map(|state| state.as_str().to_owned()),
            epoch: Some(self.epoch.clone()),
        })
    }

    /// Moves the task, if this answer does, and sends it in any case.
    fn answer(
        &self,
        call: &Respond<'_>,
        result: &RawValue,
        to: &AgentHandle,
        task: Option<&Arc<Task>>,
        speaker: &Speaker,
    ) -> Result<Answered, Refused> {
        let status = call.status.as_deref();
        let status = status.unwrap_or(State::Completed.as_str());
        let mut held = task.map(|task| (task, task.progress()));
        let said = State::parse(status);
        let moved = held.as_ref().and_then(|(task, progress)| {
            // A later agent of the assignee's id is not the assignee.
            let own = *task.to() == call.from_agent && speaker.may_touch(progress.assignee());
            let said = said.filter(|_| own)?;
            progress.state().after(Step::Answered(said))
        });
        let state = held.as_ref().map(|(_, progress)| progress.state());
        let stays = state.filter(|_| moved.is_none());
        let (name, now) = (self.name_of(speaker), timestamp());
        let message = Outgoing::TaskResponse {
            message_id: &call.message_id,
            response_id: &self.ids.next(),
            from_agent: &call.from_agent,
            from_name: name.as_ref().map(Word::as_str),
            sender_verified: speaker.is_verified(),
            to_agent: to.id(),
            result,
            status,
            applied: stays.map(|_| false),
            task_state: stays.map(State::as_str),
            timestamp: &now,
        };
        let normal = Priority::Normal;
        let envelope = envelope(&message, Kind::Mail, normal, now.clone(), None)?;
        let body = envelope.body.clone();
        let admitted = self.admit(to, envelope)?;
        let mut place = None;
        if let (Some((task, progress)), Some(state)) = (&mut held, moved) {
            self.board.answer_held(task, progress, state, body);
            place = progress.take_place();
        }
        Ok(Answered {
            admitted,
            applied: state.map(|_| moved.is_some()),
            state: moved.or(state),
            place,
        })
    }

    fn admit(&self, to: &AgentHandle, envelope: Arc<Envelope>) -> Result<Admitted, Refused> {
        let refused = |why| Refused::not_admitted(why, to.id().as_str());
        to.admit(envelope).map_err(refused)
    }

    /// The delegation of this task is not to be handed over any more.
    fn withdraw(&self, task: &Arc<Task>, place: Option<Seq>) {
        if let (Some(place), Some(agent)) = (place, self.directory.agent(task.to().as_str())) {
            // Where the agent is gone, so is its inbox.
            let _ = agent.withdraw(place, task);
        }
    }

    /// The task of this id.
    pub fn task(&self, id: &str) -> Result<Arc<Task>, Refused> {
        let unknown = || {
            let error = format!("no task \"{id}\" is known; GET /tasks lists those that are");
            Refused::new(ErrorCode::NotFound, error)
        };
        self.board.get(id).ok_or_else(unknown)
    }

    /// Waits until something has become of a task, or the time is over, or the relay ends.
    pub async fn wait_for(&self, task: &Task, until: Until, time: Duration) {
        tokio::select! {
            () = self.board.wait(task, until, time) => {}
            () = self.lifeline.ending() => {}
        }
    }

    /// The task of this id, which is open and this sender's own.
    fn own_task(&self, id: &str, speaker: &Speaker) -> Result<Arc<Task>, Refused> {
        let task = self.task(id)?;
        if task.asked.from == *speaker.id() && speaker.may_touch(task.asked.sender.as_ref()) {
            return Ok(task);
        }
        let error = format!("task {id} is not one that \"{}\" has sent", speaker.id());
        Err(Refused::new(ErrorCode::Forbidden, error))
    }

    /// Calls a task off.
    pub fn cancel(&self, id: &str, speaker: &Speaker) -> Result<TaskMoved, Refused> {
        let task = self.own_task(id, speaker)?;
        let (place, told) = self.call_off(&task, speaker)?;
        self.withdraw(&task, place);
        drop(told);
        Ok(moved("canceled", &task))
    }

    fn call_off(
        &self,
        task: &Task,
        speaker: &Speaker,
    ) -> Result<(Option<Seq>, Option<Admitted>), Refused> {
        let mut progress = task.progress();
        still_open(task, &progress)?;
        let assignee = self.directory.agent(task.to().as_str());
        let told = match assignee.filter(|_| progress.is_in_hand()) {
            None => None,
            Some(assignee) => {
                let now = timestamp();
                let message = Outgoing::TaskCanceled {
                    message_id: &task.asked.id,
                    from_agent: &task.asked.from,
                    sender_verified: speaker.is_verified(),
                    to_agent: task.to(),
                    timestamp: &now,
                };
                let normal = Priority::Normal;
                let envelope = envelope(&message, Kind::Mail, normal, now.clone(), None)?;
                Some(self.admit(&assignee, envelope)?)
            }
        };
        let place = progress.take_place();
        self.board.step_held(task, &mut progress, Step::CalledOff);
        Ok((place, told))
    }

    /// Tells an assignee what it asked, or what it should know besides.
    pub fn input(
        &self,
        id: &str,
        call: &Input<'_>,
        speaker: &Speaker,
    ) -> Result<TaskMoved, Refused> {
        let content = given("content", call.content)?;
        let task = self.own_task(id, speaker)?;
        let told = self.tell_assignee(&task, content, speaker)?;
        told.route();
        Ok(moved("input_sent", &task))
    }

    fn tell_assignee(
        &self,
        task: &Task,
        content: &RawValue,
        speaker: &Speaker,
    ) -> Result<Admitted, Refused> {
        let mut progress = task.progress();
        still_open(task, &progress)?;
        let assignee = self.resolve(&task.to().into())?;
        let now = timestamp();
        let message = Outgoing::TaskInput {
            message_id: &task.asked.id,
            from_agent: &task.asked.from,
            sender_verified: speaker.is_verified(),
            to_agent: task.to(),
            content,
            timestamp: &now,
        };
        let normal = Priority::Normal;
        let envelope = envelope(&message, Kind::Mail, normal, now.clone(), None)?;
        let admitted = self.admit(&assignee, envelope)?;
        progress.tell_more();
        self.board.step_held(task, &mut progress, Step::GotInput);
        Ok(admitted)
    }
}

/// A delegation in its inbox.
struct Placed {
    to: AgentHandle,
    task: Option<Arc<Task>>,
    admitted: Admitted,
}

/// What came of an answer.
struct Answered {
    admitted: Admitted,
    /// Whether it moved the task; `None` where there is no such task.
    applied: Option<bool>,
    /// Where the task is now.
    state: Option<State>,
    /// Where the delegation still is.
    place: Option<Seq>,
}

fn still_open(task: &Task, progress: &Progress) -> Result<(), Refused> {
    let state = progress.state();
    if !state.is_ended() {
        return Ok(());
    }
    let error = format!("task {} has ended: it is {}", task.asked.id, state.as_str());
    Err(Refused::new(ErrorCode::TaskEnded, error))
}

fn moved(status: &str, task: &Task) -> TaskMoved {
    TaskMoved {
        status: status.to_owned(),
        task_state: task.state().as_str().to_owned(),
    }
}
