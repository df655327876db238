//! One turn of an agent at its inbox: what was given before is acknowledged, and what waits is taken, or
//! waited for.

use super::door::Door;
use super::handle::AgentHandle;
use super::poll::{Action, Ask, Batch, Given, NoMail, Settlement};
use crate::core::inbox::Delivery;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// Before a poll whose place was taken is answered.
const REPLACED_PAUSE: Duration = Duration::from_secs(1);

/// What comes of a poll.
pub enum Turned {
    /// What waited.
    Now(Batch),
    /// Nothing so far.
    Later(Awaited),
}

/// A poll that waits. Dropped, it takes nothing with it.
pub struct Awaited {
    agent: AgentHandle,
    ask: Ask,
    deadline: Instant,
    later: oneshot::Receiver<Batch>,
    _present: Option<Present>,
}

impl Awaited {
    /// What comes until its deadline.
    pub async fn batch(mut self) -> Result<Batch, NoMail> {
        let door = &self.agent.0;
        let lifeline = &door.common.lifeline;
        let answered = tokio::select! {
            biased;
            batch = &mut self.later => Some(batch),
            () = sleep_until(self.deadline) => None,
            () = lifeline.ending() => None,
        };
        match answered {
            Some(Ok(batch)) => return Ok(batch),
            Some(Err(_)) if door.is_gone() => return Err(NoMail::Gone),
            // A newer poll took its place, or the actor panicked. Told at once, nine that wait would
            // chase each other.
            Some(Err(_)) => {
                let pause = Instant::now() + REPLACED_PAUSE;
                tokio::select! {
                    () = sleep_until(pause.min(self.deadline)) => {}
                    () = lifeline.ending() => {}
                }
            }
            None => {
                // From here on mail goes to whoever asks next; what is on its way is ours.
                self.later.close();
                if let Ok(batch) = self.later.try_recv() {
                    return Ok(batch);
                }
            }
        }
        // Agents of workers that were idle are gone already when the relay ends.
        if lifeline.is_ending() {
            return Ok(Batch::default());
        }
        let wait = false;
        let given = door.visit()?.give(Ask { wait, ..self.ask });
        match given {
            Given::Now(batch) => Ok(batch),
            Given::Later(_) => Ok(Batch::default()),
            Given::NotYours => Err(NoMail::NotYours),
        }
    }
}

/// A poll that waits: while it lives, its agent is heard.
struct Present(Arc<Door>);

impl Present {
    fn of(door: &Arc<Door>) -> Present {
        door.polls.fetch_add(1, Ordering::SeqCst);
        door.common.metrics.polls_waiting.add(1);
        Present(door.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.heard.store(self.0.now(), Ordering::Relaxed);
        self.0.polls.fetch_sub(1, Ordering::SeqCst);
        self.0.common.metrics.polls_waiting.sub(1);
        self.0.nudge();
    }
}

impl AgentHandle {
    /// What waits, after deliveries of the reply before are acknowledged; where nothing does, what comes
    /// within `wait`. Counts as heard, all the while it waits.
    pub fn turn(
        &self,
        acked: Range<Delivery>,
        ask: Ask,
        wait: Duration,
    ) -> Result<(Settlement, Turned), NoMail> {
        self.heard();
        let ask = Ask {
            wait: !wait.is_zero(),
            ..ask
        };
        let present = ask.wait.then(|| Present::of(&self.0));
        let mut inside = self.0.step_in()?;
        let settled = inside.deal(acked, Action::Ack);
        let turned = match inside.give(ask) {
            Given::Now(batch) => Turned::Now(batch),
            Given::Later(later) => Turned::Later(Awaited {
                agent: self.clone(),
                ask,
                deadline: Instant::now() + wait,
                later,
                _present: present,
            }),
            Given::NotYours => return Err(NoMail::NotYours),
        };
        Ok((settled, turned))
    }
}
