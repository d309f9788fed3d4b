//! Randomness, handed in: one seed gives one night.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of chance. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Jitter(Arc<Mutex<StdRng>>);

impl Jitter {
    /// Returns dice that nobody can foretell.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Returns dice that fall the same way for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn random_fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Returns `span` more or less by up to `part` of it.
    pub(in crate::runner) fn apply(&self, span: Duration, part: f64) -> Duration {
        span.mul_f64(1.0 + part * (2.0 * self.random_fraction() - 1.0))
    }

    /// Returns the pause before try number `failures + 1`: exponential from `least`, capped at
    /// `most`, with full jitter, so that jobs which failed together do not come back together.
    pub(in crate::runner) fn backoff_delay(
        &self,
        (least, most): (Duration, Duration),
        failures: i64,
    ) -> Duration {
        let doublings = u32::try_from(failures.clamp(0, 30)).unwrap_or(30);
        let span = least.saturating_mul(1 << doublings).min(most);
        span.mul_f64(self.random_fraction()).max(least.min(most) / 2)
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
        let dice = Jitter::from_seed(7);
        let span = (Duration::from_secs(1), Duration::from_secs(120));
        for failures in 0..100 {
            let pause = dice.backoff_delay(span, failures);
            assert!(pause >= Duration::from_millis(500) && pause <= span.1, "{pause:?}");
        }
    }
}
