//! A timer on the relay's clock, for what is polled.

use crate::actors::clock::Clock;
use crate::core::Millis;
use crate::core::presence::millis;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Wakes its task when a deadline may have come. A standstill of the relay is nobody's delay.
#[derive(Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer goes off, if it runs.
    armed: Option<Millis>,
}

impl Alarm {
    /// Whether this time has come. If not, the task is woken when it has.
    pub fn is_over(&mut self, clock: &Clock, due: Millis, context: &mut Context<'_>) -> bool {
        loop {
            // One that goes off too early is wound up again: deadlines move on far more often
            // than they are reached.
            if let (Some(armed), Some(timer)) = (self.armed, &mut self.timer)
                && armed <= due
            {
                // Wound up, it was polled once, and the task stays the same.
                if !timer.is_elapsed() {
                    return false;
                }
                self.armed = None;
            }
            let now = clock.now();
            if now >= due {
                return true;
            }
            let left = Duration::from_millis(due - now);
            let timer = match &mut self.timer {
                Some(timer) => {
                    timer.as_mut().reset(Instant::now() + left);
                    timer
                }
                None => self.timer.insert(Box::pin(sleep(left))),
            };
            self.armed = Some(due);
            // Not as one of the steps that a task may take at a time: without them it would not run.
            let timer = &mut unconstrained(timer.as_mut());
            if Pin::new(timer).poll(context).is_pending() {
                return false;
            }
        }
    }
}

/// What a future gives if it does by this time.
pub async fn by<F: Future + Unpin>(clock: &Clock, due: Millis, mut future: F) -> Option<F::Output> {
    loop {
        let left = due.saturating_sub(clock.now());
        if let Ok(given) = timeout(Duration::from_millis(left), &mut future).await {
            return Some(given);
        }
        if clock.now() >= due {
            return None;
        }
    }
}

/// What a future gives if it does at once, or when its task comes around once more: the layer below
/// hands a request on first, and then what has come of its body.
pub async fn soon<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    let mut again = true;
    poll_fn(move |context| match Pin::new(&mut future).poll(context) {
        Poll::Ready(given) => Poll::Ready(Some(given)),
        Poll::Pending if again => {
            again = false;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// So far from now.
pub fn after(clock: &Clock, time: Duration) -> Millis {
    clock.now().saturating_add(millis(time))
}
