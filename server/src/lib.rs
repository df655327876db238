//! The relay.
pub mod core;
