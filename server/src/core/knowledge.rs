//! The log of broadcasts: the newest of them, bounded in number and bytes.

use super::message::Envelope;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much the log keeps.
#[derive(Debug, Clone, Copy)]
pub struct LogLimits {
    /// Broadcasts.
    pub count: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// The log itself, oldest first.
#[derive(Debug)]
pub struct Log {
    limits: LogLimits,
    kept: VecDeque<Arc<Envelope>>,
    bytes: usize,
}

impl Log {
    /// An empty one.
    pub fn new(limits: LogLimits) -> Self {
        Log {
            limits,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds the newest; the oldest leave until the rest fits.
    pub fn push(&mut self, envelope: Arc<Envelope>) {
        self.bytes += envelope.size();
        self.kept.push_back(envelope);
        while self.kept.len() > self.limits.count || self.bytes > self.limits.bytes {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
        }
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<Envelope>> {
        self.kept.iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Kind;
    use super::*;
    use clawlink_protocol::messages::Priority;

    fn broadcast(size: usize) -> Arc<Envelope> {
        Arc::new(Envelope {
            body: "x".repeat(size).into(),
            kind: Kind::Broadcast,
            priority: Priority::Normal,
            accepted_at: String::new(),
            expires: None,
            task: None,
        })
    }

    fn sizes(log: &Log) -> Vec<usize> {
        log.newest().map(|e| e.size()).collect()
    }

    #[test]
    fn the_oldest_leaves_first_by_count_and_by_bytes() {
        let mut log = Log::new(LogLimits {
            count: 3,
            bytes: 100,
        });
        for size in [10, 20, 30, 40] {
            log.push(broadcast(size));
        }
        assert_eq!(sizes(&log), [40, 30, 20]);
        log.push(broadcast(60));
        assert_eq!(sizes(&log), [60, 40]);
        log.push(broadcast(101));
        assert!(
            sizes(&log).is_empty(),
            "what is longer than the log is not kept"
        );
    }
}
