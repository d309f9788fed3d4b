//! Rates as the batch file writes them: `30/min`, `50/s`, `unlimited`.
//!
//! Parses, formats and compares; the runner applies them. Invariant: a period is never zero.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::duration::parse_duration_text;
use crate::text::format_exact_duration;

/// A rate limiter counts in nanoseconds per request, so a rate must leave it some.
const PER_SECOND_MAX: u128 = 1_000_000;

/// The names of periods. Of equal periods, the first is used for output.
const PERIODS: &[(&str, Duration)] = &[
    ("s", Duration::from_secs(1)),
    ("sec", Duration::from_secs(1)),
    ("second", Duration::from_secs(1)),
    ("min", Duration::from_secs(60)),
    ("minute", Duration::from_secs(60)),
    ("h", Duration::from_secs(3_600)),
    ("hour", Duration::from_secs(3_600)),
];

/// The number of requests that are allowed in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// No limit.
    Unlimited,
    /// At most `count` times in any `period`.
    Per {
        /// Requests.
        count: NonZeroU32,
        /// Never zero.
        period: Duration,
    },
}

/// The text is not a [`Rate`]; the message shows the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRate {
    /// Not of the form `30/min`.
    #[error("a rate is written like `30/min`, `50/s`, `10/h` or `unlimited`")]
    Malformed,
    /// A rate of zero, which would never allow a request.
    #[error("a rate of zero would wait forever")]
    Zero,
    /// More requests than a rate limiter can count.
    #[error("a rate of more than {PER_SECOND_MAX}/s is written `unlimited`")]
    TooFast,
}

impl Rate {
    /// Returns the slower of two rates. Of two rates that are equal in the long run, returns the
    /// one with the shorter period, because it allows smaller bursts.
    pub fn slower(self, other: Self) -> Self {
        let (Self::Per { count, period }, Self::Per { count: other_count, period: other_period }) =
            (self, other)
        else {
            return if self == Self::Unlimited { other } else { self };
        };
        let scaled = u128::from(count.get()) * other_period.as_nanos();
        let other_scaled = u128::from(other_count.get()) * period.as_nanos();
        match scaled.cmp(&other_scaled) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => std::cmp::min_by_key(self, other, |rate| match rate {
                Self::Unlimited => Duration::MAX,
                Self::Per { period, .. } => *period,
            }),
        }
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let text = text.trim();
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let (count, period) = text.split_once('/').ok_or(InvalidRate::Malformed)?;
        let (count, period) = (count.trim_end(), period.trim_start());
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidRate::Malformed);
        }
        let count = count.parse::<u32>().map_err(|_| InvalidRate::TooFast)?;
        let count = NonZeroU32::new(count).ok_or(InvalidRate::Zero)?;
        let named = PERIODS.iter().find(|(name, _)| *name == period).map(|(_, period)| *period);
        let period = match named {
            Some(period) => period,
            None => parse_duration_text(period).map_err(|_| InvalidRate::Malformed)?,
        };
        if u128::from(count.get()) * 1_000_000_000 > period.as_nanos() * PER_SECOND_MAX {
            return Err(InvalidRate::TooFast);
        }
        Ok(Self::Per { count, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Per { count, period } => {
                match PERIODS.iter().find(|(_, named)| named == period) {
                    Some((name, _)) => write!(f, "{count}/{name}"),
                    None => write!(f, "{count}/{}", format_exact_duration(*period)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn per(count: u32, seconds: u64) -> Result<Rate, InvalidRate> {
        let count = NonZeroU32::new(count).unwrap();
        Ok(Rate::Per { count, period: Duration::from_secs(seconds) })
    }

    #[test]
    fn slower_rate_is_found_in_either_order() {
        for (one, other, slower) in [
            ("30/min", "unlimited", "30/min"),
            ("unlimited", "unlimited", "unlimited"),
            ("30/min", "1/s", "30/min"),
            ("3600/h", "1/s", "1/s"),
            ("1/h", "1/min", "1/h"),
        ] {
            let (a, b): (Rate, Rate) = (one.parse().unwrap(), other.parse().unwrap());
            let slower: Rate = slower.parse().unwrap();
            assert_eq!((a.slower(b), b.slower(a)), (slower, slower), "{one}, {other}");
        }
    }

    #[test]
    fn rates_are_parsed_from_text() {
        let cases = [
            ("30/min", per(30, 60)),
            ("50/s", per(50, 1)),
            (" 10 / hour ", per(10, 3_600)),
            ("3/10s", per(3, 10)),
            ("unlimited", Ok(Rate::Unlimited)),
            ("0/s", Err(InvalidRate::Zero)),
            ("2000000/s", Err(InvalidRate::TooFast)),
            ("99999999999/h", Err(InvalidRate::TooFast)),
            ("1/0s", Err(InvalidRate::Malformed)),
            ("30", Err(InvalidRate::Malformed)),
            ("-3/s", Err(InvalidRate::Malformed)),
            ("+3/s", Err(InvalidRate::Malformed)),
            ("30/", Err(InvalidRate::Malformed)),
            ("30/fortnight", Err(InvalidRate::Malformed)),
            ("", Err(InvalidRate::Malformed)),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Rate>(), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn formatted_rate_parses_back(count in 1..1_000_000u32, seconds in 1..100_000u64) {
            let rate = per(count, seconds).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Rate>(), Ok(rate));
        }
    }
}
