//! Pure logic: no actor, no clock, no I/O. Time comes in as an argument, as [`Millis`] on the
//! relay's own monotonic clock, so that every rule can be tested without waiting.

pub mod budget;
pub mod content;
pub mod dead_letters;
pub mod delegation;
pub mod frames;
pub mod glob;
pub mod identity;
pub mod ids;
pub mod inbox;
pub mod joined;
pub mod json;
pub mod knowledge;
pub mod ledger;
pub mod merge;
pub mod message;
pub mod metrics;
pub mod numbered;
pub mod presence;
pub mod quoted;
pub mod rate;
pub mod receipt;
pub mod replay;
pub mod reservation;
pub mod shelf;
pub mod similar;
pub mod spread;
pub mod stranded;
pub mod task;
pub mod text;
pub mod topics;
pub mod window;

/// Milliseconds on the relay's monotonic clock, counted from its start.
pub type Millis = u64;
