//! What ClawLink promises. One module for each promise; a test's name is the promise.

mod announced;
mod bounds;
mod browsers;
mod command_line;
mod documented;
mod ending;
mod hostile;
mod identity;
mod joining;
mod leasing;
mod messaging;
mod original;
mod presence;
mod reach;
mod receiving;
mod returning;
mod sharing;
mod sockets;
mod starting;
mod terminal;
mod token;
mod trust;
mod wire;
mod workflows;
