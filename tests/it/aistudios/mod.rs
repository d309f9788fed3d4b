//! The AI Studios client against real sockets.
//!
//! Each test brings its own tiny server that answers exact bytes and writes down what it read.
//! Nothing is shared with the simulator, so that one mistake cannot hide in both.

mod downloads;
mod free;
mod paid;
mod secrets;
pub(crate) mod server;
mod tokens;
