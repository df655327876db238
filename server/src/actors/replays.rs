//! Calls that their senders may repeat: done once, answered each time. No actor: a short lock, and
//! only calls with a key take it.

use super::clock::Clock;
use crate::core::replay::{Begun, Digest, Key, Replay};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::Notify;

/// The keys, and who waits for a twin.
#[derive(Debug)]
pub struct Replays {
    clock: Clock,
    kept: Mutex<Replay>,
    /// A call has ended.
    ended: Notify,
    hasher: RandomState,
}

/// What a call with a key is.
#[derive(Debug)]
pub enum Turn {
    /// The first of its key: it is to be done.
    First(First),
    /// It was done; this was the reply.
    Done(Arc<str>),
    /// The key was used with another body.
    Mismatch,
}

/// The first call of a key. Dropped unfinished, it leaves the key free.
#[derive(Debug)]
pub struct First {
    replays: Arc<Replays>,
    key: Key,
    finished: bool,
}

impl First {
    /// The call has succeeded with this reply.
    pub fn finish(mut self, reply: &str) {
        self.replays.kept.lock().finish(&self.key, reply.into());
        self.finished = true;
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if !self.finished {
            self.replays.kept.lock().abandon(&self.key);
        }
        self.replays.ended.notify_waiters();
    }
}

impl Replays {
    /// None yet; all together may have so many bytes.
    pub fn new(limit: usize, clock: Clock) -> Arc<Self> {
        Arc::new(Replays {
            clock,
            kept: Mutex::new(Replay::new(limit)),
            ended: Notify::new(),
            hasher: RandomState::new(),
        })
    }

    /// How many keys there are, their bytes, and how many were forgotten before their time.
    pub fn held(&self) -> (usize, usize, u64) {
        self.kept.lock().held()
    }

    /// Tells bodies apart: what two different ones have in common is chance, and nobody's choice.
    pub fn digest(&self, body: &[u8]) -> Digest {
        self.hasher.hash_one(body)
    }

    /// A call with this key has come. Where a twin of it is being done, waits for its end.
    pub async fn turn(self: &Arc<Self>, key: Key, digest: Digest) -> Turn {
        loop {
            // Before the look, so that no end falls in between.
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            let begun = self.kept.lock().begin(&key, digest, self.clock.now());
            match begun {
                Begun::Running => ended.await,
                Begun::Done(reply) => return Turn::Done(reply),
                Begun::Mismatch => return Turn::Mismatch,
                Begun::First => {
                    return Turn::First(First {
                        replays: self.clone(),
                        key,
                        finished: false,
                    });
                }
            }
        }
    }
}
