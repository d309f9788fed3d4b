//! What holds requests back: rate limiters, pauses after throttling, back-off, and halts that stop a
//! run or an account.

pub(super) mod account_limits;
pub(super) mod backoff;
pub(super) mod halt;
pub(super) mod rate_limiter;
pub(super) mod throttle;
