//! Tasks: what became of what was delegated.

use crate::name::AgentId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A task as the relay shows it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskView<'a> {
    /// As its message is called.
    pub message_id: &'a str,
    /// Its sender.
    pub from_agent: &'a str,
    /// Its assignee.
    pub to_agent: &'a str,
    /// What it was sent to, where its sender named no agent. This, what follows but `state` and `rev`,
    /// and the result are not there for who may not read the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_capability: Option<&'a str>,
    /// As sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'a RawValue>,
    /// As sent; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a RawValue>,
    /// As sent, else `normal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<&'a str>,
    /// `queued`, `delivered`, `in_progress`, `input_required`, `completed`, `failed`, `rejected`,
    /// `canceled`, `expired` or `undeliverable`.
    pub state: &'a str,
    /// Counts the steps made; 1 at first.
    pub rev: u64,
    /// Of the last answer that moved it; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a RawValue>,
    /// The group that its sender put it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<&'a str>,
    /// The task that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<&'a str>,
    /// RFC 3339, UTC: when it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339, UTC: when it was moved last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The steps made, at most 100; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<TaskStep>>,
    /// How many there were, where `history` was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_count: Option<usize>,
}

/// A step of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskStep {
    /// Where it led.
    pub state: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// To whom it went by that, where the relay has chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_agent: Option<String>,
    /// Why it went to another: the one before it was `stale`, or `removed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The reply to `GET /tasks/{message_id}`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OneTask<'a> {
    /// The task.
    pub task: TaskView<'a>,
}

/// The reply to `GET /tasks`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskList<'a> {
    /// Newest first.
    pub tasks: Vec<TaskView<'a>>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on, if there are older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /tasks/{message_id}/cancel`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cancel {
    /// The task's sender.
    pub from_agent: AgentId,
}

/// `POST /tasks/{message_id}/input`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Input<'a> {
    /// The task's sender.
    pub from_agent: AgentId,
    /// Any JSON value but `null`.
    #[serde(borrow)]
    pub content: &'a RawValue,
}

/// The reply to both.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskMoved {
    /// `canceled`, `input_sent`.
    pub status: String,
    /// Where the task is now.
    pub task_state: String,
}
