//! The AI Studios client against real sockets.
//!
//! Each test starts its own small server that sends exact bytes and records requests.
//! Nothing is shared with the simulator, so that one mistake cannot hide in both.

mod downloads;
mod free;
mod paid;
mod secrets;
pub(crate) mod server;
mod tls;
mod tokens;
