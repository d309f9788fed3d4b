//! The receiver of AI Studios' callbacks.
//!
//! A callback carries no signature, so any caller that knows an address can send anything. Nothing in
//! it is trusted: it is recorded in the ledger, and the run that drives the batch checks the
//! project itself. Invariant: requests are bounded in bytes, time and number, and cannot stop a
//! run.

mod callback;
mod listener;
mod receiver;

pub use receiver::WebhookReceiver;
