//! Back-off and jitter, with a source of randomness that is passed in: the same seed gives the same
//! run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of randomness. Clones share the same source.
#[derive(Clone, Debug)]
pub struct Jitter(Arc<Mutex<StdRng>>);

/// The shortest and the longest back-off of a batch.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct BackoffRange {
    pub(in crate::runner) min: Duration,
    pub(in crate::runner) max: Duration,
}

impl Jitter {
    /// Returns an unpredictable source, seeded by the operating system.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Returns a source that repeats itself for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn random_fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Returns `span`, varied by up to `part` of it in both directions.
    pub(in crate::runner) fn apply(&self, span: Duration, part: f64) -> Duration {
        span.mul_f64(1.0 + part * (2.0 * self.random_fraction() - 1.0))
    }

    /// Returns the pause before try number `failures + 1`: exponential within `range`, with full
    /// jitter, so that jobs which failed together are not retried together.
    pub(in crate::runner) fn backoff_delay(&self, range: BackoffRange, failures: i64) -> Duration {
        let doublings = u32::try_from(failures.clamp(0, 30)).unwrap_or(30);
        let span = range.min.saturating_mul(1 << doublings).min(range.max);
        span.mul_f64(self.random_fraction()).max(range.min.min(range.max) / 2)
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::limits::backoff::*;

    #[test]
    fn back_off_grows_to_its_cap_and_never_vanishes() {
        let jitter = Jitter::from_seed(7);
        let range = BackoffRange { min: Duration::from_secs(1), max: Duration::from_secs(120) };
        for failures in 0..100 {
            let pause = jitter.backoff_delay(range, failures);
            assert!(pause >= Duration::from_millis(500) && pause <= range.max, "{pause:?}");
        }
    }
}
