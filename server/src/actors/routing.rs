//! Who does what anybody may do: a delegation to a capability goes to one agent that has it, and to
//! another, once, if that one is away before it has begun.

use super::agent::handle::AgentHandle;
use super::board::Board;
use super::clock::timestamp;
use super::directory::{Directory, Entry};
use super::relay::written;
use crate::core::message::{Envelope, Sent};
use crate::core::metrics::Metrics;
use crate::core::task::{Away, State, Task};
use bytestring::ByteString;
use clawlink_protocol::messages::Outgoing;
use clawlink_protocol::name::{AgentId, Word};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Agents online that are compared for one delegation; where more have the capability, the next so
/// many have their turn at the next.
const COMPARED_MAX: usize = 1024;

/// Finds agents by what they can do.
#[derive(Debug)]
pub struct Router {
    directory: Arc<Directory>,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    /// Who was found last.
    last: Mutex<Option<AgentId>>,
    /// Agents that are away with what nobody else could take, by what it needs.
    stranded: Mutex<HashMap<Word, BTreeSet<AgentId>>>,
}

impl Router {
    /// One that has found nobody yet.
    pub fn new(directory: Arc<Directory>, board: Arc<Board>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Router {
            directory,
            board,
            metrics,
            last: Mutex::default(),
            stranded: Mutex::default(),
        })
    }

    /// The agent online with this capability that has the fewest open tasks; among equals the one
    /// that was given one longest ago. None of `but`.
    pub fn pick(&self, capability: &Word, but: &[&AgentId]) -> Option<Arc<Entry>> {
        let last = self.last.lock().clone();
        let mut able = self
            .directory
            .able(capability, last.as_ref(), COMPARED_MAX + 1);
        if able.len() > COMPARED_MAX {
            self.metrics.partial_picks.inc();
        }
        able.retain(|entry| !but.contains(&entry.agent.id()));
        let picked = self.board.least_busy(able)?;
        *self.last.lock() = Some(picked.agent.id().clone());
        Some(picked)
    }

    /// Gives a delegation that waits for an agent that is away to another, if anybody might have
    /// it and somebody takes it. Only for who holds the message: it is to be given up then.
    pub(super) fn pass_on(&self, envelope: &Envelope, why: Away) -> bool {
        let Some(task) = &envelope.task else {
            return false;
        };
        let Some(capability) = task.for_anyone() else {
            return false;
        };
        let before = task.to().clone();
        let passed = self
            .pick(capability, &[&task.asked.from, &before])
            .is_some_and(|next| self.give(envelope, task, &next.agent, why));
        if !passed {
            let mut stranded = self.stranded.lock();
            let of = stranded.entry(capability.clone()).or_default();
            of.insert(before);
        }
        passed
    }

    fn give(&self, envelope: &Envelope, task: &Arc<Task>, next: &AgentHandle, why: Away) -> bool {
        let Some(body) = readdressed(&envelope.body, task, next.id()) else {
            return false;
        };
        let mut progress = task.progress();
        if !matches!(progress.state(), State::Queued | State::Delivered) {
            return false;
        }
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
            return false;
        };
        progress.put_at(admitted.place());
        self.board.pass_on_held(task, &mut progress, next.id(), why);
        drop(progress);
        next.look_if_away();
        true
    }

    /// An agent is there: what others have left that only it can do may be given to it.
    pub(super) fn came(&self, id: &AgentId) {
        if self.stranded.lock().is_empty() {
            return;
        }
        let Some(entry) = self.directory.get(id.as_str()) else {
            return;
        };
        let capabilities = entry.profile.capabilities.iter();
        let left: Vec<_> = {
            let mut stranded = self.stranded.lock();
            capabilities
                .filter_map(|word| stranded.remove(word))
                .collect()
        };
        for id in left.into_iter().flatten() {
            if let Some(entry) = self.directory.get(id.as_str()) {
                entry.agent.door().nudge();
            }
        }
    }
}

/// The same delegation for another agent.
fn readdressed(body: &str, task: &Task, to: &AgentId) -> Option<ByteString> {
    let sent: Sent<'_> = serde_json::from_str(body).ok()?;
    let message = Outgoing::TaskDelegation {
        message_id: task.asked.id.as_str(),
        from_agent: &task.asked.from,
        from_name: sent.from_name.as_deref(),
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
