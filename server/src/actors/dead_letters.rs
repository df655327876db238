//! Where mail goes that died, and who tells its senders. One actor for all: death is rare, and the
//! letters of an agent outlive it.

use super::board::Board;
use super::clock::{Clock, timestamp};
use super::directory::Directory;
use super::lifeline::Lifeline;
use super::refused::Refused;
use crate::core::dead_letters::{DeadLetters, Letter, LetterLimits, Place};
use crate::core::identity::{Owner, Reader};
use crate::core::inbox::{Dead, NotAdmitted, Reason};
use crate::core::message::{Envelope, Kind, Origin};
use crate::core::metrics::{Metrics, NotTold, What};
use crate::core::presence::millis;
use crate::core::task::Step;
use actix::{Actor, Addr, Context, Handler, Message};
use clawlink_protocol::dead_letters::{NotRedelivered, Redelivered};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::messages::{FAILED_MAX, MESSAGE_TTL, Outgoing, Priority};
use clawlink_protocol::name::AgentId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info};

/// The actor.
pub struct DeadLetterOffice {
    letters: DeadLetters,
    directory: Arc<Directory>,
    board: Arc<Board>,
    clock: Clock,
    lifeline: Lifeline,
    metrics: Arc<Metrics>,
}

impl DeadLetterOffice {
    /// Starts the office.
    pub fn start(
        limits: LetterLimits,
        directory: Arc<Directory>,
        board: Arc<Board>,
        clock: Clock,
        lifeline: Lifeline,
        metrics: Arc<Metrics>,
    ) -> DeadLettersHandle {
        let address = Actor::start(DeadLetterOffice {
            letters: DeadLetters::new(limits),
            directory,
            board: board.clone(),
            clock,
            lifeline,
            metrics,
        });
        DeadLettersHandle { address, board }
    }

    /// Tells each sender what of its mail has died here, and keeps the mail.
    fn bury(&mut self, to: &AgentId, owner: &Owner, dead: Vec<Dead>) {
        let now = timestamp();
        for Dead {
            envelope, reason, ..
        } in &dead
        {
            let what = What::from(&envelope.kind);
            self.metrics.died.of(what, *reason).inc();
        }
        let mut told: BTreeMap<(AgentId, &'static str), Vec<String>> = BTreeMap::new();
        let letters = dead.into_iter();
        for mut letter in letters.filter_map(|dead| Letter::new(dead, to, owner, &now)) {
            let (sender, reason) = (&letter.origin.from_agent, letter.reason.as_str());
            if letter.sender.is_none() {
                let entry = self.directory.get(sender.as_str());
                letter.sender = entry.map(|entry| entry.agent.owner().clone());
            }
            info!(agent = %to, %sender, reason, attempts = letter.attempts, "a message has died");
            let of_sender = told.entry((sender.clone(), reason)).or_default();
            of_sender.push(letter.origin.message_id.clone());
            let gone = self.letters.push(letter);
            self.metrics.dead_letters_dropped.add(gone as u64);
            if gone > 0 {
                debug!(gone, "the oldest dead letters made room");
            }
        }
        self.note_held();
        for ((sender, reason), ids) in told {
            for ids in ids.chunks(FAILED_MAX) {
                self.tell(&sender, to, reason, ids, &now);
            }
        }
    }

    fn note_held(&self) {
        let (count, bytes) = self.letters.held();
        self.metrics.dead_letters.set(count);
        self.metrics.dead_letters_bytes.set(bytes);
    }

    /// Sends a letter to the inbox it died in, as if it had come just now.
    fn again(&self, letter: &Letter) -> Result<(), Refused> {
        let unknown = || Refused::unknown(letter.to.as_str(), Vec::new());
        let entry = self.directory.get(letter.to.as_str()).ok_or_else(unknown)?;
        let Envelope { body, priority, .. } = &*letter.envelope;
        let ttl = millis(Duration::from_secs(MESSAGE_TTL));
        let envelope = |task| {
            Arc::new(Envelope {
                body: body.clone(),
                kind: Kind::Mail,
                priority: *priority,
                accepted_at: timestamp(),
                expires: Some(self.clock.now() + ttl),
                task,
            })
        };
        let refused = |why| Refused::not_admitted(why, letter.to.as_str());
        let admit = |task| entry.agent.admit(envelope(task)).map_err(refused);
        if let Some(task) = &letter.envelope.task {
            // Before anybody can be handed it.
            let mut progress = task.progress();
            if self.board.reopen_held(task, &mut progress) {
                match admit(Some(task.clone())) {
                    Ok(admitted) => progress.put_at(admitted.place(), admitted.owner()),
                    Err(why) => {
                        self.board.close_held(task);
                        return Err(why);
                    }
                }
                self.board.step_held(task, &mut progress, Step::SentAgain);
                drop(progress);
                // If it is away, another agent might have it.
                entry.agent.look_if_away();
                return Ok(());
            }
        }
        admit(None).map(drop)
    }

    fn tell(&self, sender: &AgentId, to: &AgentId, reason: &str, ids: &[String], now: &str) {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let several = ids.len() > 1;
        let notice = Outgoing::DeliveryFailed {
            message_id: ids.first().copied().filter(|_| !several),
            message_ids: several.then_some(&ids),
            count: several.then_some(ids.len()),
            to_agent: to,
            sender_verified: true,
            reason,
            timestamp: now,
        };
        let told = match (
            serde_json::to_string(&notice),
            self.directory.get(sender.as_str()),
        ) {
            (Ok(body), Some(entry)) => entry.agent.notify(Arc::new(Envelope {
                body: body.into(),
                kind: Kind::Failure,
                priority: Priority::Normal,
                accepted_at: now.to_owned(),
                expires: None,
                task: None,
            })),
            _ => {
                self.metrics.not_told.of(NotTold::Unknown).inc();
                return debug!(%sender, "nobody is there to be told of its dead mail");
            }
        };
        if let Err(why) = told {
            let why_not = match why {
                NotAdmitted::Closed => NotTold::Unknown,
                NotAdmitted::Full | NotAdmitted::NoRoom => NotTold::Full,
            };
            self.metrics.not_told.of(why_not).inc();
            info!(%sender, ?why, "a sender could not be told of its dead mail");
        }
    }
}

impl Actor for DeadLetterOffice {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.lifeline.hub_stopped("the dead letters");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Died {
    to: AgentId,
    owner: Owner,
    dead: Vec<Dead>,
}

impl Handler<Died> for DeadLetterOffice {
    type Result = ();
    fn handle(&mut self, died: Died, _: &mut Self::Context) {
        self.bury(&died.to, &died.owner, died.dead);
    }
}

/// A letter as it is listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it stands.
    pub place: Place,
    /// The message.
    pub envelope: Arc<Envelope>,
    /// Whose inbox it was in.
    pub to: AgentId,
    /// Who sent it, and how that agent calls it.
    pub origin: Origin,
    /// Whether who asked may read it.
    pub readable: bool,
    /// Why it died.
    pub reason: Reason,
    /// RFC 3339, UTC.
    pub died_at: String,
    /// Leased deliveries before.
    pub attempts: u32,
}

#[derive(Message)]
#[rtype(result = "Vec<Listed>")]
struct List {
    to: Option<AgentId>,
    after: Option<Place>,
    limit: usize,
    reader: Reader,
}

impl Handler<List> for DeadLetterOffice {
    type Result = Vec<Listed>;
    fn handle(&mut self, list: List, _: &mut Self::Context) -> Vec<Listed> {
        let List {
            to,
            after,
            limit,
            reader,
        } = list;
        let letters = self.letters.after(after, to.as_ref().map(AgentId::as_str));
        let listed = letters.take(limit).map(|(place, letter)| Listed {
            place,
            envelope: letter.envelope.clone(),
            to: letter.to.clone(),
            origin: letter.origin.clone(),
            readable: reader.may_read(letter.parties()),
            reason: letter.reason,
            died_at: letter.died_at.clone(),
            attempts: letter.attempts,
        });
        listed.collect()
    }
}

#[derive(Message)]
#[rtype(result = "Redelivered")]
struct Redeliver {
    ids: Vec<String>,
    reader: Reader,
}

impl Handler<Redeliver> for DeadLetterOffice {
    type Result = actix::MessageResult<Redeliver>;

    fn handle(&mut self, redeliver: Redeliver, _: &mut Self::Context) -> Self::Result {
        let Redeliver { ids, reader } = redeliver;
        let (mut failed, mut taken) = (Vec::new(), Vec::new());
        for id in ids {
            let letters = self.letters.take(&id);
            if letters.is_empty() {
                let why = Refused::new(ErrorCode::NotFound, "no dead letter has this id");
                failed.push(not_redelivered(id, &why));
            }
            taken.extend(letters);
        }
        let mut done = 0;
        for (place, letter) in taken {
            let sent = match reader.may_read(letter.parties()) {
                true => self.again(&letter),
                false => Err(Refused::not_readable()),
            };
            match sent {
                Ok(()) => done += 1,
                Err(why) => {
                    let id = letter.origin.message_id.clone();
                    failed.push(not_redelivered(id, &why));
                    self.letters.restore(place, letter);
                }
            }
        }
        self.note_held();
        let status = "ok".to_owned();
        actix::MessageResult(Redelivered {
            status,
            done,
            failed,
        })
    }
}

fn not_redelivered(message_id: String, why: &Refused) -> NotRedelivered {
    NotRedelivered {
        message_id,
        error: why.0.error.clone(),
        code: why.0.code.unwrap_or(ErrorCode::Other),
    }
}

/// The typed handle of the office.
#[derive(Debug, Clone)]
pub struct DeadLettersHandle {
    address: Addr<DeadLetterOffice>,
    board: Arc<Board>,
}

impl DeadLettersHandle {
    /// Messages have died in an agent's inbox. Does not wait; bounded by that inbox.
    pub(in crate::actors) fn died(&self, to: &AgentId, owner: &Owner, dead: Vec<Dead>) {
        for dead in &dead {
            if let Some(task) = &dead.envelope.task {
                self.board.step(task, Step::Died(dead.reason));
            }
        }
        let (to, owner) = (to.clone(), owner.clone());
        self.address.do_send(Died { to, owner, dead });
    }

    /// Up to `limit` letters after a place, of one recipient or of all, oldest first, each with
    /// whether this reader may read it. `None` if the office is gone.
    pub async fn list(
        &self,
        to: Option<AgentId>,
        after: Option<Place>,
        limit: usize,
        reader: Reader,
    ) -> Option<Vec<Listed>> {
        let list = List {
            to,
            after,
            limit,
            reader,
        };
        self.address.send(list).await.ok()
    }

    /// Sends letters to their recipients again, those that this reader may read. `None` if the
    /// office is gone.
    pub async fn redeliver(&self, ids: Vec<String>, reader: Reader) -> Option<Redelivered> {
        self.address.send(Redeliver { ids, reader }).await.ok()
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<DeadLetterOffice> {
        self.address.clone()
    }
}
