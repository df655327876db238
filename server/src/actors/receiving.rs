//! Receiving, behind the face of the [`Relay`]: polls, and what becomes of what they leased.

use super::agent::handle::Gone;
use super::agent::poll::{Action, Ask, Batch, NoMail, Settlement};
use super::refused::Refused;
use super::relay::Relay;
use super::speaking::Speaker;
use crate::core::metrics::{Settled, Settling};
use crate::core::receipt;
use clawlink_protocol::messages::Acked;
use std::time::Duration;

/// Receipts listed in one reply.
const EXPIRED_MAX: usize = 100;

/// Which deliveries are meant.
pub enum Deliveries<'a> {
    /// All of one reply.
    Batch(&'a str),
    /// These.
    Receipts(&'a [String]),
}

impl Relay {
    /// What waits for an agent, or comes within `wait`; `None` where nobody has registered under
    /// this id.
    pub async fn poll(
        &self,
        speaker: &Speaker,
        ask: Ask,
        wait: Duration,
    ) -> Result<Option<Batch>, Refused> {
        let Some(agent) = speaker.agent() else {
            return Ok(None);
        };
        let proved = |speaker: &Speaker| Ask {
            proved: speaker.is_verified(),
            ..ask
        };
        match agent.poll(proved(speaker), wait).await {
            Ok(batch) => return Ok(Some(batch)),
            Err(NoMail::Gone) if !agent.is_gone() => {
                return Err(Refused::unavailable("the agent's inbox"));
            }
            Err(_) => {}
        }
        // Claimed meanwhile, or gone for good; somebody may have registered under its id since, with
        // an inbox of its own.
        let speaker = self.may_speak_for(speaker.id(), speaker.proof())?;
        let Some(agent) = speaker.agent() else {
            return Ok(None);
        };
        Ok(agent.poll(proved(&speaker), Duration::ZERO).await.ok())
    }

    /// The same, after the batch of an earlier reply is acknowledged: one question to the agent.
    pub async fn turn(
        &self,
        speaker: &Speaker,
        batch: &str,
        ask: Ask,
        wait: Duration,
    ) -> Result<(Option<Acked>, Option<Batch>), Refused> {
        if let Some(agent) = speaker.agent()
            && let Some(known) = receipt::parse_batch(agent.salt(), batch)
        {
            let known: Vec<_> = known.collect();
            let ask = Ask {
                proved: speaker.is_verified(),
                ..ask
            };
            if let Ok((settlement, batch)) = agent.turn(&known, ask, wait).await {
                let acked = self.settled(agent.salt(), Action::Ack, settlement, Vec::new());
                return Ok((Some(acked), Some(batch)));
            }
        }
        let which = Deliveries::Batch(batch);
        let acked = self.settle(speaker, &which, Action::Ack)?;
        Ok((acked, self.poll(speaker, ask, wait).await?))
    }

    /// Acknowledges, gives back or prolongs deliveries; `None` where nobody has registered under
    /// this id.
    pub fn settle(
        &self,
        speaker: &Speaker,
        which: &Deliveries<'_>,
        action: Action,
    ) -> Result<Option<Acked>, Refused> {
        let Some(agent) = speaker.agent() else {
            return Ok(None);
        };
        let salt = agent.salt();
        let (mut known, mut expired) = (Vec::new(), Vec::new());
        match which {
            Deliveries::Batch(batch) => match receipt::parse_batch(salt, batch) {
                Some(deliveries) => known.extend(deliveries),
                None => {
                    let unknown_batch = Some(true);
                    return Ok(Some(Acked {
                        unknown_batch,
                        ..Acked::default()
                    }));
                }
            },
            Deliveries::Receipts(receipts) => {
                for text in *receipts {
                    match receipt::parse_receipt(salt, text) {
                        Some(delivery) => known.push(delivery),
                        None => expired.push(text.clone()),
                    }
                }
            }
        }
        let settlement = match agent.settle(&known, action) {
            Ok(settlement) => settlement,
            Err(Gone) if agent.is_gone() => return Ok(None),
            Err(Gone) => return Err(Refused::unavailable("the agent's inbox")),
        };
        Ok(Some(self.settled(salt, action, settlement, expired)))
    }

    /// What is told of that; `expired` are receipts that were none of this inbox.
    fn settled(
        &self,
        salt: &str,
        action: Action,
        settlement: Settlement,
        mut expired: Vec<String>,
    ) -> Acked {
        let over = settlement.expired.iter();
        expired.extend(over.map(|&delivery| receipt::receipt(salt, delivery)));
        let asked = match action {
            Action::Ack => Settling::Ack,
            Action::Nack(_) => Settling::Nack,
            Action::Extend(_) => Settling::Extend,
        };
        let count = |what, times: usize| self.metrics.settled.of(asked, what).add(times as u64);
        count(Settled::Done, settlement.done);
        count(Settled::Expired, expired.len());
        let expired_count = (expired.len() > EXPIRED_MAX).then_some(expired.len());
        expired.truncate(EXPIRED_MAX);
        Acked {
            done: settlement.done,
            expired,
            expired_count,
            ..Acked::default()
        }
    }
}
