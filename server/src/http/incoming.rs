//! The bytes of a socket's client, as far as they obey.

use super::alarm::{Alarm, after};
use super::flow::{Flow, Load, count};
use super::line::Line;
use crate::core::Millis;
use crate::core::frames::{FrameGuard, Violation};
use crate::core::metrics::Metrics;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How often one looks whether there is room for a message again.
const RETRY: Duration = Duration::from_millis(100);

/// The stream.
pub struct Incoming {
    guard: FrameGuard,
    line: Rc<Line>,
    flow: Arc<Flow>,
    /// A message that has come in part, and when it is late.
    unfinished: Option<(u64, Millis)>,
    /// Its bytes.
    load: Load,
    /// What waits until there is room for it.
    waiting: Option<Bytes>,
    alarm: Alarm,
    metrics: Arc<Metrics>,
    /// Whether nothing is read, as too much waits.
    paused: bool,
}

impl Incoming {
    /// `limit` bounds a message, in bytes.
    pub fn new(limit: usize, line: Rc<Line>, flow: Arc<Flow>, metrics: Arc<Metrics>) -> Self {
        Incoming {
            guard: FrameGuard::new(limit),
            line,
            unfinished: None,
            load: flow.load(),
            waiting: None,
            alarm: Alarm::default(),
            flow,
            metrics,
            paused: false,
        }
    }

    /// Judges what has come and notes what of it is no whole message.
    fn take_in(&mut self, chunk: &Bytes) -> Bytes {
        let (good, violation) = self.guard.pass(chunk);
        self.line.verdict.set(violation);
        let unfinished = self.guard.unfinished();
        let (frames, whole) = (self.guard.frames(), unfinished.is_none());
        self.line.took(frames, whole);
        if self.unfinished.map(|(which, _)| which) != unfinished {
            self.load.clear();
            let due = || after(&self.flow.clock, self.flow.limits.body_total);
            self.unfinished = unfinished.map(|which| (which, due()));
        }
        chunk.slice(..good)
    }

    /// Whether there is room for as much of a message as has come.
    fn has_room(&mut self) -> bool {
        let held = self.guard.held();
        self.load.add(held.saturating_sub(self.load.bytes()))
    }

    /// Nothing can go on now.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let Some((_, due)) = self.unfinished else {
            return Poll::Pending;
        };
        if self.alarm.is_over(&self.flow.clock, due, context) {
            return self.too_late();
        }
        Poll::Pending
    }

    fn is_late(&self) -> bool {
        let late = |(_, due)| self.flow.clock.now() >= due;
        self.unfinished.is_some_and(late)
    }

    fn too_late<T>(&mut self) -> Poll<Option<T>> {
        count(&self.flow.counts.late_messages);
        self.waiting = None;
        self.line.verdict.set(Some(Violation::Late));
        Poll::Ready(None)
    }

    /// Goes on with what waited, when there is room.
    fn resume(&mut self, bytes: Bytes, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.has_room() {
            return Poll::Ready(Some(bytes));
        }
        self.waiting = Some(bytes);
        let soon = after(&self.flow.clock, RETRY);
        let _ = self.alarm.is_over(&self.flow.clock, soon, context);
        Poll::Pending
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.line.verdict.get().is_some() && this.waiting.is_none() {
            return Poll::Ready(None);
        }
        // The codec takes in whatever there is before it gives out a frame, and a session works off
        // a few of them at a time: without this a peer could fill the memory in between.
        let ahead = this.guard.frames().saturating_sub(this.line.done.get());
        let full = ahead >= this.flow.limits.frames_ahead;
        if full && !this.paused {
            this.metrics.reads_paused.inc();
        }
        this.paused = full;
        if full {
            return Poll::Pending;
        }
        // Also while bytes come without a pause.
        if this.is_late() {
            return this.too_late();
        }
        let bytes = match this.waiting.take() {
            Some(bytes) => bytes,
            None => match this.line.feed.poll_next(context) {
                Poll::Pending => return this.wait(context),
                Poll::Ready(Some(chunk)) => this.take_in(&chunk),
                Poll::Ready(None) => return Poll::Ready(None),
            },
        };
        this.resume(bytes, context).map(|bytes| bytes.map(Ok))
    }
}
