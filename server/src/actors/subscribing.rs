//! Subscribing, behind the face of the [`Relay`].

use super::directory::Entry;
use super::refused::Refused;
use super::relay::{Relay, at_most};
use crate::core::topics::Topics;
use clawlink_protocol::agents::{Subscribe, TOPICS_MAX};
use clawlink_protocol::name::Word;
use std::sync::Arc;

/// Bytes of all topics of an agent.
pub const TOPICS_BYTES_MAX: usize = 4096;

/// Whether so many topics are within their bounds.
pub(super) fn fit(topics: Option<&[Word]>) -> Result<(), Refused> {
    let topics = topics.unwrap_or_default();
    let all: usize = topics.iter().map(|word| word.as_str().len()).sum();
    at_most("topics", topics.len(), TOPICS_MAX, "entries")?;
    at_most("topics", all, TOPICS_BYTES_MAX, "bytes")
}

impl Relay {
    /// From the next broadcast on an agent hears these topics.
    pub async fn subscribe(&self, call: Subscribe) -> Result<Arc<Entry>, Refused> {
        fit(call.topics.as_deref())?;
        let id = call.agent_id.to_string();
        let changed = self
            .registry
            .subscribe(call.agent_id, Topics::of(call.topics));
        changed
            .await
            .ok_or_else(|| Refused::unknown(&id, Vec::new()))
    }
}
