//! Randomness, handed in: one seed gives one night.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of chance. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    /// Returns dice that nobody can foretell.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Returns dice that fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn fraction(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Returns `span` more or less by up to `part` of it.
    pub(super) fn around(&self, span: Duration, part: f64) -> Duration {
        span.mul_f64(1.0 + part * (2.0 * self.fraction() - 1.0))
    }

    /// Returns the pause before try number `failures + 1`: exponential from `least`, capped at
    /// `most`, with full jitter, so that jobs which failed together do not come back together.
    pub(super) fn back_off(&self, (least, most): (Duration, Duration), failures: i64) -> Duration {
        let doublings = u32::try_from(failures.clamp(0, 30)).unwrap_or(30);
        let span = least.saturating_mul(1 << doublings).min(most);
        span.mul_f64(self.fraction()).max(least.min(most) / 2)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_cap_and_never_vanishes() {
        let dice = Dice::seeded(7);
        let span = (Duration::from_secs(1), Duration::from_secs(120));
        for failures in 0..100 {
            let pause = dice.back_off(span, failures);
            assert!(pause >= Duration::from_millis(500) && pause <= span.1, "{pause:?}");
        }
    }
}
