//! Runs the real relay on a free port and the real client against it.
//!
//! Every process that a test starts is ended when its handle is dropped. Waiting is done by
//! [`eventually`], which is bounded and says what it waited for.

pub mod binaries;
pub mod client;
pub mod http;
pub mod metrics;
pub mod original;
pub mod pair;
pub mod relay;
pub mod socket;
pub mod stub;
pub mod tls;
pub mod two_hosts;
pub mod watcher;

pub use client::{Client, Outcome};
pub use http::Reply;
pub use metrics::Scrape;
pub use original::Original;
pub use relay::Relay;
pub use serde_json::{Value, json};
pub use stub::{Answer, Stub};
pub use watcher::Watcher;

use std::time::{Duration, Instant};

/// How long anything may take that has no time of its own. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until it succeeds.
///
/// # Panics
/// When it has not within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < end, "this has not come about: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A text of so many lines that it takes long to find what has changed.
pub fn dice(seed: u64) -> String {
    let mut state = seed;
    let mut line = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{}\n", (state >> 33) % 70)
    };
    (0..20_000).map(|_| line()).collect()
}

/// The keys of an object.
pub fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// Whether a value is a time in UTC, as the wire writes them.
pub fn is_rfc3339_utc(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() >= 20
        && text.as_bytes()[10] == b'T'
        && (text.ends_with("+00:00") || text.ends_with('Z'))
}
