//! The actors: each owns one piece of [`crate::core`] and turns messages into calls on it.
//!
//! Callers use the typed handles and [`relay::Relay`]; no address leaves this module.

pub mod agent;
pub mod arbiters;
pub mod board;
pub mod clock;
pub mod dead_letters;
pub mod directory;
pub mod filing;
pub mod herald;
pub mod library;
pub mod lifeline;
pub mod merging;
pub mod receiving;
pub mod refused;
pub mod registry;
pub mod relay;
pub mod replays;
pub mod reservations;
pub mod routing;
pub mod socket;
pub mod speaking;
pub mod subscribing;
pub mod tasks;

#[cfg(test)]
mod tests;
