//! The time, handed in.
//!
//! Nothing else in the crate asks the machine what time it is, so that a whole night can be
//! driven in simulated time. Two readings are kept apart: the wall clock, which may jump, for what
//! people read, and awake time, which only grows while this process can run, for every decision
//! that money hangs on.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time. Cloning gives another handle on the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Returns the machine's own clock.
    pub fn real() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the wall clock's reading.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Returns how long this process has been awake since the clock was made.
    pub fn awake(&self) -> Duration {
        self.started.elapsed()
    }
}
