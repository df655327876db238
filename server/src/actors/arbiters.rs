//! Where agents live: on the arbiters of the HTTP workers, in turn. A request that is answered
//! by an agent on its own worker wakes no other thread.

use actix::ArbiterHandle;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The arbiters that agents are spread over.
#[derive(Debug, Default)]
pub struct Arbiters {
    all: RwLock<Vec<ArbiterHandle>>,
    turn: AtomicUsize,
}

impl Arbiters {
    /// A worker has started.
    pub fn join(&self, arbiter: ArbiterHandle) {
        self.all.write().push(arbiter);
    }

    /// The next in turn; the caller's own while no worker has started.
    pub fn next(&self) -> ArbiterHandle {
        let all = self.all.read();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match all.len() {
            0 => actix::Arbiter::current(),
            n => all[turn % n].clone(),
        }
    }
}
