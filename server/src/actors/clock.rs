//! The relay's two clocks: a monotonic one for deadlines, the wall clock for people.

use crate::core::Millis;
use chrono::{SecondsFormat, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// Time since the relay's start. Reads [`tokio::time`], so that a test may pause it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> Millis {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall-clock time of a moment on this clock, as Unix seconds.
    pub fn unix(&self, at: Millis) -> f64 {
        let ago = self.now().saturating_sub(at);
        (Utc::now().timestamp_millis() - i64::try_from(ago).unwrap_or(i64::MAX)) as f64 / 1000.0
    }
}

/// The wall-clock time so far from now, as [`timestamp`] writes it.
pub fn timestamp_in(time: Duration) -> String {
    (Utc::now() + time).to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// The wall-clock time, RFC 3339 with microseconds. UTC is written `+00:00`, which every
/// version of Python reads.
pub fn timestamp() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, false)
}
