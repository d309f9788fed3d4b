//! What others may ask of this program over HTTP: at present, AI Studios alone, when a render goes
//! on.
//!
//! A call carries no signature, so whoever knows an address can say anything there, and nothing that
//! is said is believed: it is noted in the ledger, and whoever drives the batch looks for himself.
//! Invariant: what arrives here is bounded in bytes, time and number, and cannot stop a run.

mod callback;
mod listener;
mod receiver;

pub use receiver::WebhookReceiver;
