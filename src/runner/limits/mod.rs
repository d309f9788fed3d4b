//! Everything that holds requests back: rate limiters, pauses after throttling, back-off, permits
//! for paid requests, and halts that stop a run or an account.

pub(super) mod account_limits;
pub(super) mod backoff;
pub(super) mod circuit_breaker;
pub(super) mod halt;
pub(super) mod permits;
pub(super) mod rate_limiter;
mod reserved_slots;
pub(super) mod run_limits;
pub(super) mod throttle;
