//! Receiving, behind the face of the [`Relay`]: polls, and what becomes of what they leased.

use super::agent::handle::Gone;
use super::agent::poll::{Action, Ask, Batch, NoMail, Settlement};
use super::agent::turn::{Awaited, Turned};
use super::refused::Refused;
use super::relay::Relay;
use super::speaking::Speaker;
use crate::core::metrics::{Settled, Settling};
use crate::core::receipt::{self, Receipt, Salt};
use clawlink_protocol::messages::Acked;
use futures_util::future::Either::{self, Left, Right};
use smol_str::SmolStr;
use std::time::Duration;

/// Receipts listed in one reply.
const EXPIRED_MAX: usize = 100;

/// Which deliveries are meant.
pub enum Deliveries<'a> {
    /// All of one reply.
    Batch(&'a str),
    /// These.
    Receipts(&'a [SmolStr]),
}

/// What a poll gets.
#[derive(Debug)]
pub struct Polled {
    /// What became of the batch before, where the poll acknowledges one.
    pub acked: Option<Acked>,
    /// `None` where nobody has registered under this id.
    pub batch: Option<Batch>,
}

impl Polled {
    /// With an agent that is not known its batches are not either.
    pub fn nobodys(batch: Option<&str>) -> Polled {
        Polled {
            acked: batch.map(|_| Acked::unknown()),
            batch: None,
        }
    }
}

/// A poll that waits.
pub struct Waits {
    acked: Option<Acked>,
    awaited: Awaited,
    speaker: Speaker,
    ask: Ask,
}

impl Relay {
    /// What waits for an agent, or comes within `wait`, after the batch of an earlier reply is
    /// acknowledged: one question to the agent.
    pub fn poll(
        &self,
        speaker: &Speaker,
        batch: Option<&str>,
        ask: Ask,
        wait: Duration,
    ) -> Result<Either<Polled, Waits>, Refused> {
        let Some(agent) = speaker.agent() else {
            return Ok(Left(Polled::nobodys(batch)));
        };
        let ask = Ask {
            proved: speaker.is_verified(),
            ..ask
        };
        let given = batch.map(|batch| receipt::parse_batch(agent.salt(), batch));
        let turn = agent.turn(given.clone().flatten().unwrap_or_default(), ask, wait);
        let (settlement, turned) = match turn {
            Ok(turn) => turn,
            Err(why) => {
                let acked = batch.map(|_| Acked::unknown());
                return self.poll_anew(speaker, why, acked, ask).map(Left);
            }
        };
        let acked = given.map(|given| match given {
            Some(_) => self.settled(agent.salt(), Action::Ack, settlement, Vec::new()),
            None => Acked::unknown(),
        });
        Ok(match turned {
            Turned::Now(batch) => Left(Polled {
                acked,
                batch: Some(batch),
            }),
            Turned::Later(awaited) => Right(Waits {
                acked,
                awaited,
                speaker: speaker.clone(),
                ask,
            }),
        })
    }

    /// What comes for a poll that waits.
    pub async fn awaited(&self, waits: Waits) -> Result<Polled, Refused> {
        let Waits {
            acked,
            awaited,
            speaker,
            ask,
        } = waits;
        match awaited.batch().await {
            Ok(batch) => Ok(Polled {
                acked,
                batch: Some(batch),
            }),
            Err(why) => self.poll_anew(&speaker, why, acked, ask),
        }
    }

    /// The agent was claimed meanwhile, or is gone for good; somebody may have registered under its id
    /// since, with an inbox of its own.
    #[cold]
    fn poll_anew(
        &self,
        speaker: &Speaker,
        why: NoMail,
        acked: Option<Acked>,
        ask: Ask,
    ) -> Result<Polled, Refused> {
        if why == NoMail::Gone && speaker.agent().is_some_and(|agent| !agent.is_gone()) {
            return Err(Refused::unavailable("the agent's inbox"));
        }
        let speaker = self.may_speak_for(speaker.id(), speaker.proof())?;
        let ask = Ask {
            proved: speaker.is_verified(),
            ..ask
        };
        let turn = speaker
            .agent()
            .map(|agent| agent.turn(0..0, ask, Duration::ZERO));
        let batch = turn.and_then(|turn| match turn {
            Ok((_, Turned::Now(batch))) => Some(batch),
            _ => None,
        });
        Ok(Polled { acked, batch })
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
        let (salt, mut expired) = (agent.salt(), Vec::new());
        let settlement = match which {
            Deliveries::Batch(batch) => match receipt::parse_batch(salt, batch) {
                Some(known) => agent.settle(known, action),
                None => return Ok(Some(Acked::unknown())),
            },
            Deliveries::Receipts(receipts) => {
                let known = receipts.iter().filter_map(|text| {
                    let known = receipt::parse_receipt(salt, text);
                    expired.extend(known.is_none().then(|| text.to_string()));
                    known
                });
                agent.settle(known, action)
            }
        };
        let settlement = match settlement {
            Ok(settlement) => settlement,
            Err(Gone) if agent.is_gone() => return Ok(None),
            Err(Gone) => return Err(Refused::unavailable("the agent's inbox")),
        };
        Ok(Some(self.settled(salt, action, settlement, expired)))
    }

    /// What is told of that; `expired` are receipts that were none of this inbox.
    fn settled(
        &self,
        salt: Salt,
        action: Action,
        settlement: Settlement,
        mut expired: Vec<String>,
    ) -> Acked {
        let over = settlement.expired.iter();
        let receipt = |&delivery| Receipt { salt, delivery }.to_string();
        expired.extend(over.map(receipt));
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
