//! Who does what anybody may do: a delegation to a capability goes to one agent that has it, and to
//! another, once, if that one is away before it has begun.

use super::agent::handle::AgentHandle;
use super::board::Board;
use super::clock::timestamp;
use super::directory::{Directory, Entry};
use super::relay::written;
use crate::core::inbox::{Dead, Seq};
use crate::core::message::{Envelope, Sent};
use crate::core::metrics::Metrics;
use crate::core::stranded::Stranded;
use crate::core::task::{Away, Task};
use bytestring::ByteString;
use clawlink_protocol::messages::Outgoing;
use clawlink_protocol::name::{AgentId, Word};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Agents that are tried one after the other for one delegation, where inboxes are full.
pub(super) const TRIES: usize = 8;

/// Finds agents by what they can do.
#[derive(Debug)]
pub struct Router {
    /// Agents online that are compared for one delegation; where more have the capability, the next so
    /// many have their turn at the next.
    candidates: usize,
    directory: Arc<Directory>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    /// Agents that are stale with what nobody else could take.
    stranded: Mutex<Stranded>,
}

/// What became of a delegation that might be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// Another agent has it.
    Passed,
    /// Nobody who can have it is there and has room.
    Nobody,
    /// It is not to be passed on.
    Stays,
}

impl Router {
    /// One that has found nobody yet, and compares so many for one delegation.
    pub fn new(
        candidates: usize,
        directory: Arc<Directory>,
        board: Arc<Board>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Router {
            candidates,
            directory,
            board,
            metrics,
            stranded: Mutex::default(),
        })
    }

    /// The agent online with this capability that has the fewest open tasks; among equals the one
    /// that was given one longest ago. None of `but`.
    pub fn pick(&self, capability: &Word, but: &[AgentId]) -> Option<Arc<Entry>> {
        let mut able = self.directory.able(capability, self.candidates + 1);
        if able.len() > self.candidates {
            self.metrics.partial_picks.inc();
        }
        able.retain(|entry| !but.contains(entry.agent.id()));
        let picked = self.board.least_busy(able)?;
        self.directory.chosen(capability, picked.agent.id());
        Some(picked)
    }

    /// Gives what waits for an agent that is stale, and that anybody may do, to others who can. Gives
    /// back what has gone: it is to be given up. What found nobody when it was tried first is shared
    /// out as others come: to each no more than leaves this agent with as much.
    pub(super) fn pass_on(&self, from: &AgentId, waiting: Vec<Waiting>) -> Vec<Waiting> {
        // Noted before the look, so that whoever comes in between sees it.
        let before = self.note(from, capabilities(&waiting));
        fence(Ordering::SeqCst);
        let (mut nobody, mut gone) = (BTreeSet::new(), Vec::new());
        for (seq, envelope) in waiting {
            if self.pass(&envelope, from, Away::Stale, &before, &mut nobody) {
                gone.push((seq, envelope));
            }
        }
        self.note(from, nobody);
        gone
    }

    /// The same for an agent that is gone. Gives what nobody else has got.
    pub(super) fn pass_on_all(&self, from: &AgentId, mut dead: Vec<Dead>) -> Vec<Dead> {
        let (known, mut nobody) = (BTreeSet::new(), BTreeSet::new());
        self.note(from, known.clone());
        dead.retain(|dead| !self.pass(&dead.envelope, from, Away::Removed, &known, &mut nobody));
        dead
    }

    /// Gives a delegation to another agent, if it may be and somebody takes it. What is shared out is
    /// in `shared`; what nobody takes is noted in `nobody`, and not tried again.
    fn pass(
        &self,
        envelope: &Envelope,
        from: &AgentId,
        why: Away,
        shared: &BTreeSet<Word>,
        nobody: &mut BTreeSet<Word>,
    ) -> bool {
        let Some(capability) = capability_of(envelope) else {
            return false;
        };
        if nobody.contains(&capability) {
            return false;
        }
        let share = shared.contains(&capability);
        let passing = self.find(envelope, &capability, from, why, share);
        if passing == Passing::Nobody {
            nobody.insert(capability);
        }
        passing == Passing::Passed
    }

    fn find(
        &self,
        envelope: &Envelope,
        capability: &Word,
        from: &AgentId,
        why: Away,
        share: bool,
    ) -> Passing {
        let Some(task) = &envelope.task else {
            return Passing::Stays;
        };
        let mut but = vec![task.asked.from.clone(), from.clone()];
        for _ in 0..TRIES {
            let Some(next) = self.pick(capability, &but) else {
                return Passing::Nobody;
            };
            if share && !self.board.has_fewer(next.agent.id(), from) {
                return Passing::Nobody;
            }
            match self.give(envelope, task, from, &next.agent, why) {
                Passing::Nobody => but.push(next.agent.id().clone()),
                done => return done,
            }
        }
        Passing::Nobody
    }

    /// One agent's delegation becomes another's, if that one has room.
    fn give(
        &self,
        envelope: &Envelope,
        task: &Arc<Task>,
        from: &AgentId,
        next: &AgentHandle,
        why: Away,
    ) -> Passing {
        // What is decided here holds until it is done: all who move the task hold it.
        let mut progress = task.progress();
        if !self.board.may_pass_on_held(task, &progress, from) {
            return Passing::Stays;
        }
        let Some(body) = readdressed(&envelope.body, task, next.id()) else {
            return Passing::Stays;
        };
        let again = Envelope {
            body,
            kind: envelope.kind.clone(),
            priority: envelope.priority,
            accepted_at: timestamp(),
            // As in one inbox: what was handed over once does not expire.
            expires: envelope.expires.filter(|_| !progress.was_handed_over()),
            task: Some(task.clone()),
        };
        let Ok(admitted) = next.admit(Arc::new(again)) else {
            return Passing::Nobody;
        };
        progress.put_at(admitted.place(), admitted.owner());
        self.board.pass_on_held(task, &mut progress, next.id(), why);
        drop(progress);
        next.look_if_away();
        Passing::Passed
    }

    /// An agent has fallen silent.
    pub(super) fn went(&self, id: &AgentId) {
        self.directory.note_presence(id);
    }

    /// An agent is heard again.
    pub(super) fn came(&self, id: &AgentId) {
        self.note(id, BTreeSet::new());
        self.directory.note_presence(id);
        self.offer(id);
    }

    /// An agent is there, or has less to do than before: what others have left that it can do may be
    /// given to it.
    pub(super) fn offer(&self, id: &AgentId) {
        fence(Ordering::SeqCst);
        if self.stranded.lock().is_empty() {
            return;
        }
        let Some(entry) = self.directory.get(id.as_str()) else {
            return;
        };
        let capabilities = &entry.profile.capabilities;
        let waiting = self.stranded.lock().waiting_for(capabilities);
        for id in waiting {
            if let Some(entry) = self.directory.get(id.as_str()) {
                entry.agent.door().nudge();
            }
        }
    }

    /// What an agent that is stale could give to nobody.
    fn note(&self, agent: &AgentId, wanted: BTreeSet<Word>) -> BTreeSet<Word> {
        self.stranded.lock().set(agent, wanted)
    }

    #[cfg(test)]
    pub(super) fn is_anybody_stranded(&self) -> bool {
        !self.stranded.lock().is_empty()
    }
}

/// A delegation that waits, and its place.
type Waiting = (Seq, Arc<Envelope>);

/// What a delegation asks for that another agent might have.
fn capability_of(envelope: &Envelope) -> Option<Word> {
    let task = envelope.task.as_ref()?;
    task.for_anyone().cloned()
}

fn capabilities(waiting: &[Waiting]) -> BTreeSet<Word> {
    let words = waiting.iter();
    words
        .filter_map(|(_, envelope)| capability_of(envelope))
        .collect()
}

/// The same delegation for another agent.
fn readdressed(body: &str, task: &Task, to: &AgentId) -> Option<ByteString> {
    let sent: Sent<'_> = serde_json::from_str(body).ok()?;
    let message = Outgoing::TaskDelegation {
        message_id: task.asked.id.as_str(),
        from_agent: &task.asked.from,
        from_name: sent.from_name.as_deref(),
        sender_verified: sent.sender_verified,
        to_agent: to,
        task: sent.task,
        context: sent.context,
        priority: &sent.priority,
        thread_id: task.asked.thread.as_ref(),
        parent_id: task.asked.parent.as_ref(),
        timestamp: &sent.timestamp,
    };
    written(&message).ok()
}
