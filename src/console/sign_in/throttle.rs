//! Delays for a name whose password was wrong several times.
//!
//! An attempt counts before its password is checked, so that attempts at the same time count as
//! well. Invariant: the memory is bounded, however many names are tried.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Wrong passwords without a delay.
pub(crate) const FREE_FAILURES: u32 = 5;
const DELAY_MAX: Duration = Duration::from_secs(300);
const NAMES_MAX: usize = 10_000;

/// The failed attempts by name.
#[derive(Debug, Default)]
pub(crate) struct SignInThrottle {
    attempts: Mutex<BTreeMap<String, SignInAttempts>>,
}

#[derive(Clone, Copy, Debug)]
struct SignInAttempts {
    failed: u32,
    next_at: Timestamp,
}

impl SignInThrottle {
    /// Begins an attempt, which counts as failed until [`Self::clear`].
    ///
    /// # Errors
    /// The time to wait before another attempt.
    pub(crate) fn begin(&self, name: &str, now: Timestamp) -> Result<(), Duration> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= NAMES_MAX && !attempts.contains_key(name) {
            attempts.retain(|_, one| one.next_at > now);
            // All of them are delayed: an attack, during which unknown names wait as well.
            if attempts.len() >= NAMES_MAX {
                return Err(DELAY_MAX);
            }
        }
        let first = SignInAttempts { failed: 0, next_at: now };
        let one = attempts.entry(name.to_owned()).or_insert(first);
        if let Ok(left) = Duration::try_from(one.next_at.duration_since(now))
            && !left.is_zero()
        {
            return Err(left);
        }
        one.failed = one.failed.saturating_add(1);
        one.next_at = now + SignedDuration::try_from(delay_after(one.failed)).unwrap_or_default();
        Ok(())
    }

    /// Forgets the failures of a name, whose password was right.
    pub(crate) fn clear(&self, name: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn delay_after(failed: u32) -> Duration {
    match failed.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(10)).min(DELAY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_waits_longer_after_each_failure_beyond_the_fifth() {
        let throttle = SignInThrottle::default();
        let mut now = Timestamp::UNIX_EPOCH;
        for _ in 0..FREE_FAILURES {
            assert_eq!(throttle.begin("ann", now), Ok(()));
        }
        assert_eq!(throttle.begin("ann", now), Err(Duration::from_secs(1)));
        assert_eq!(throttle.begin("bob", now), Ok(()), "another name");
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.begin("ann", now), Err(Duration::from_secs(seconds)));
            now += SignedDuration::from_secs(seconds.try_into().unwrap());
            assert_eq!(throttle.begin("ann", now), Ok(()));
        }
        throttle.clear("ann");
        assert_eq!(throttle.begin("ann", now), Ok(()));
    }

    #[test]
    fn the_names_of_an_attack_take_bounded_memory() {
        let throttle = SignInThrottle::default();
        for round in 0..NAMES_MAX * 2 {
            let _ = throttle.begin(&format!("name-{round}"), Timestamp::UNIX_EPOCH);
        }
        assert!(throttle.attempts.lock().unwrap().len() <= NAMES_MAX);
    }
}
