//! What ClawLink promises. One module for each promise; a test's name is the promise.

mod announced;
mod bounds;
mod browsers;
mod command_line;
mod documented;
mod ending;
mod hostile;
mod identity;
mod presence;
mod sockets;
mod starting;
mod token;
mod wire;
