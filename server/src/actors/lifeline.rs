//! The end of the process when a hub is gone. A relay that half works is worse than one that a
//! service manager starts again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Held by each hub actor. A hub that stops while the relay is not ending cuts it.
#[derive(Debug, Clone, Default)]
pub struct Lifeline(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ending: AtomicBool,
    cut: Notify,
    ended: Notify,
    hub: parking_lot::Mutex<Option<&'static str>>,
}

impl Lifeline {
    /// The relay is ending: from now on hubs may stop.
    pub fn end(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
        self.0.ended.notify_waiters();
    }

    /// Waits until the relay ends.
    pub async fn ending(&self) {
        let ended = self.0.ended.notified();
        if !self.is_ending() {
            ended.await;
        }
    }

    /// Whether the relay is ending.
    pub fn is_ending(&self) -> bool {
        self.0.ending.load(Ordering::SeqCst)
    }

    /// Called by a hub that has stopped.
    pub fn hub_stopped(&self, hub: &'static str) {
        if !self.is_ending() {
            self.0.hub.lock().get_or_insert(hub);
            self.0.cut.notify_one();
        }
    }

    /// Waits until a hub is gone, and says which.
    pub async fn cut(&self) -> &'static str {
        self.0.cut.notified().await;
        self.0.hub.lock().unwrap_or("a hub")
    }
}
