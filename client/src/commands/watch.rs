//! `watch`: receives for as long as it is let, and hands each message on.
//!
//! A message is in hand from the moment it is leased until the relay knows what became of it.
//! Signals are put off that long, so that no message is handled and yet comes again.

use super::Done;
use super::mail::{self, Mail, Manner};
use super::poll::PAUSE;
use super::presence::{beat, enroll_again};
use super::receipts::{Fate, settle_batch};
use super::running;
use crate::api::{Reply, Trouble};
use crate::args::Args;
use crate::failure::{Cause, Failure, usage};
use crate::json::Object;
use crate::kept;
use crate::message::Message;
use crate::output;
use crate::session::Session;
use crate::state::Identity;
use crate::unix::{self, Ending};
use crate::url;
use clawlink_protocol::messages::WAIT_MAX;
use std::time::{Duration, Instant};

/// Seconds in which a message in hand is nobody else's.
const LEASE: u64 = 120;
/// Seconds between two signs of life while a command runs: less than the shortest time to live.
const RENEW: u64 = 25;
/// Seconds until a message comes again, after each attempt but the last.
const AGAIN: [u64; 4] = [10, 30, 90, LATER];
const LATER: u64 = 270;
/// The longest pause while the relay is away.
const AWAY: Duration = Duration::from_secs(60);
/// Between two polls of an original, which holds none.
const ORIGINAL: Duration = Duration::from_secs(5);

struct Watch {
    session: Session,
    command: Option<String>,
    /// What is done with and not yet acknowledged.
    batch: Option<String>,
    /// Before the next poll.
    rest: Duration,
    /// The last pause, while the relay is away.
    away: Option<Duration>,
    /// Whether the relay did not know this agent.
    unknown: bool,
    /// Whether nobody reads what is printed.
    unread: bool,
}

pub(super) fn watch(mut session: Session, args: &Args) -> Done {
    if args
        .exec
        .as_ref()
        .is_some_and(|line| line.trim().is_empty())
    {
        let hint = "it would take every message and do nothing with it";
        return Err(usage("--exec is empty", hint));
    }
    session.go_on_alone();
    let mut watch = Watch {
        session,
        command: args.exec.clone(),
        batch: None,
        rest: Duration::ZERO,
        away: None,
        unknown: false,
        unread: false,
    };
    let ended = watch.turns();
    watch.acknowledge();
    ended.map(|()| String::new())
}

/// Whether the relay may be well again later, without anybody's doing.
fn mends(failure: &Failure) -> bool {
    match &**failure {
        Cause::NoReply { trouble, .. } => matches!(
            trouble,
            Trouble::Refused
                | Trouble::NoSuchHost
                | Trouble::Timeout(_)
                | Trouble::Unreachable(_)
                | Trouble::Lost(_)
        ),
        Cause::Refused(refused) => matches!(refused.refusal.status, 408 | 429 | 500..),
        _ => false,
    }
}

impl Watch {
    fn turns(&mut self) -> Result<(), Failure> {
        while self.goes_on() {
            match self.turn() {
                Err(failure) if mends(&failure) => self.back_off(&failure),
                turned => turned?,
            }
        }
        Ok(())
    }

    /// Rests, where a signal ends the process at once unless something is in hand.
    fn goes_on(&mut self) -> bool {
        match self.batch {
            Some(_) => unix::defer(),
            None => unix::allow(),
        }
        if self.unread || unix::came() {
            return false;
        }
        std::thread::sleep(std::mem::take(&mut self.rest));
        true
    }

    /// One poll, and all that its messages want.
    fn turn(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let identity = self.present()?;
        let waits = self.batch.is_none();
        let reply = self.ask(&identity)?.fields;
        unix::defer();
        self.is_back();
        self.tell(&reply);
        let mail = Mail::of(&reply);
        if mail.taken {
            self.rest = ORIGINAL;
        } else if waits && mail.messages.is_empty() && began.elapsed() < PAUSE {
            // Another poll of this agent took our place, or the relay is ending: not at once again.
            self.rest = PAUSE;
        }
        self.unknown = reply.text("status") == "unknown_agent";
        if self.unknown {
            return Ok(());
        }
        self.handle(&identity, &mail)?;
        // What another command wrote meanwhile, a command for this message perhaps, holds.
        let identity = self.session.identity_now()?;
        mail::settle(&self.session, identity, &reply)?;
        Ok(())
    }

    /// Who we are, at a relay that is known for what it is, and that knows us.
    fn present(&mut self) -> Result<Identity, Failure> {
        // Not if this agent was deregistered here since it rested: then the file says so.
        let mut identity = self.session.identity_now()?;
        if std::mem::take(&mut self.unknown) {
            identity = enroll_again(&self.session, identity)?;
        }
        let entry = &identity.entry;
        if entry.text("epoch").is_empty() && !entry.is_true("original") {
            identity = mail::look(&self.session, identity)?;
        }
        mail::known_to_original(&self.session, identity)
    }

    /// A poll that waits; one that does not while there is something to acknowledge, so that this
    /// is known to have been done before signals pass again.
    fn ask(&self, identity: &Identity) -> Result<Reply, Failure> {
        if identity.entry.is_true("original") {
            return mail::ask(&self.session, identity, "", 0);
        }
        let max = self.command.as_ref().map_or("", |_| "&max=1");
        let (ack, wait) = match &self.batch {
            Some(batch) => (["&ack=", &url::encode(batch)].concat(), 0),
            None => (String::new(), WAIT_MAX),
        };
        let query = format!("?lease={LEASE}{max}{ack}");
        mail::ask(&self.session, identity, &query, wait).map_err(|mut failure| {
            // What a lost reply has leased comes again: nothing is in doubt.
            if let Cause::NoReply { maybe_taken, .. } = &mut *failure {
                *maybe_taken = false;
            }
            failure
        })
    }

    /// Says what the reply tells of messages that are no longer in hand.
    fn tell(&mut self, reply: &Object) {
        let late = !reply.object("acked").texts("expired").is_empty();
        if self.batch.take().is_some() && late {
            output::note("acknowledged too late, as the lease was over: it comes again");
        }
        mail::tell_missed(reply);
    }

    fn handle(&mut self, identity: &Identity, mail: &Mail<'_>) -> Result<(), Failure> {
        if mail.messages.is_empty() {
            return Ok(());
        }
        if unix::came() {
            self.give_up(identity, mail, 0, 0);
            return Ok(());
        }
        if self.command.is_some() {
            return self.run_all(identity, mail);
        }
        match mail::print(&self.session, identity, Manner::default(), mail)? {
            true => self.batch = mail.batch.clone(),
            false => self.unread = true,
        }
        Ok(())
    }

    /// Lets go of messages that nothing was done with: they come again after a delay. Where they are
    /// nowhere else they are kept, from this one on.
    fn give_up(&self, identity: &Identity, mail: &Mail<'_>, from: usize, delay: u64) {
        if let Some(batch) = &mail.batch {
            settle_batch(&self.session, identity, batch, Fate::Again(delay));
        } else {
            mail::rescue(self.session.store(), &mail.messages[from..]);
        }
    }

    /// Runs the command for each message. Of a relay with leases it is one.
    fn run_all(&mut self, identity: &Identity, mail: &Mail<'_>) -> Result<(), Failure> {
        for (n, raw) in mail.messages.iter().enumerate() {
            if n > 0 && unix::came() {
                self.give_up(identity, mail, n, 0);
                return Ok(());
            }
            match self.run(identity, mail, raw) {
                Ok(true) => {}
                Ok(false) if mail.batch.is_some() => return Ok(()),
                Ok(false) => {}
                Err(failure) => {
                    // Not the message's fault: it waits until somebody has seen to it.
                    self.give_up(identity, mail, n, LATER);
                    return Err(failure);
                }
            }
        }
        self.batch = mail.batch.clone();
        Ok(())
    }

    /// Runs the command for a message. Whether it did its work; if not, the message is seen to.
    fn run(&self, identity: &Identity, mail: &Mail<'_>, raw: &str) -> Result<bool, Failure> {
        let (session, line) = (&self.session, self.command.as_deref().unwrap_or_default());
        let message = Message::parse(raw);
        let delivery = message.fields.object("delivery");
        let lease = delivery.number("lease_seconds").unwrap_or(LEASE);
        let every = Duration::from_secs((lease / 4).clamp(1, RENEW));
        let ending = running::run(session.store(), line, raw, every, || {
            if let Some(batch) = &mail.batch {
                settle_batch(session, identity, batch, Fate::Longer(lease));
            }
            // To acknowledge is no sign of life. Neither call is worth giving up for.
            let _ = beat(session, identity);
        })?;
        let how = match ending {
            Ending::Code(0) => return Ok(true),
            Ending::Code(code) => format!("exited with {code}"),
            Ending::Signal(signal) => format!("was ended by signal {signal}"),
        };
        let attempt = delivery.number("attempt").unwrap_or(1);
        let becomes = match &mail.batch {
            Some(batch) => self.comes_again(identity, batch, attempt),
            None => self.kept(raw),
        };
        output::note(&format!("{}: the command {how}; {becomes}", message.name()));
        Ok(false)
    }

    /// Gives a message back: what becomes of it.
    fn comes_again(&self, identity: &Identity, batch: &str, attempt: u64) -> String {
        let delay = AGAIN.get(attempt.saturating_sub(1) as usize);
        let fate = Fate::Again(delay.copied().unwrap_or_default());
        let told = settle_batch(&self.session, identity, batch, fate);
        match delay {
            _ if !told => "the relay could not be told, it comes again after its lease".to_owned(),
            Some(delay) => format!("it comes again in {delay} s"),
            None => format!("it came {attempt} times, the relay gives it up"),
        }
    }

    /// Keeps a message that an original has no more: how to see it.
    fn kept(&self, raw: &str) -> String {
        kept::tidy(self.session.store());
        match mail::keep(self.session.store(), raw) {
            Some(command) => format!("this relay cannot send it again, it is kept: {command}"),
            None => "it could not be kept".to_owned(),
        }
    }

    fn back_off(&mut self, failure: &Failure) {
        let pause = match self.away {
            Some(pause) => (pause * 2).min(AWAY),
            None => {
                let report = failure.report();
                let what = report.lines().next().unwrap_or_default();
                output::note(&[what, "; trying again until it is well"].concat());
                PAUSE
            }
        };
        self.away = Some(pause);
        // Nothing can be done for what is in hand.
        unix::allow();
        if !unix::came() {
            std::thread::sleep(pause);
        }
    }

    fn is_back(&mut self) {
        if self.away.take().is_some() {
            output::note(&[self.session.relay(), " answers again"].concat());
        }
    }

    /// The last word on what is done with.
    fn acknowledge(&mut self) {
        let Some(batch) = self.batch.take() else {
            return;
        };
        let told = self
            .session
            .identity()
            .is_ok_and(|identity| settle_batch(&self.session, &identity, &batch, Fate::Done));
        if !told {
            output::note("the relay could not be told in time: what was handled last comes again");
        }
    }
}
