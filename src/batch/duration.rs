//! Durations as the batch file writes them: `90s`, `1h 30m`.
//!
//! Both settings and rates contain durations; this file knows neither.

use std::time::Duration;

use jiff::SignedDuration;

use super::reader::SettingProblem;
use crate::text::format_exact_duration;

/// The longest duration a batch file may contain: 31 days, so that sums of them never overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 3_600);

/// Parses a positive duration of at most [`DURATION_MAX`].
pub(super) fn parse_duration_text(text: &str) -> Result<Duration, SettingProblem> {
    let signed = text
        .trim()
        .parse::<SignedDuration>()
        .map_err(|_| SettingProblem::new("is not a valid duration"))?;
    match Duration::try_from(signed) {
        Err(_) => Err(SettingProblem::new("must not be negative")),
        Ok(Duration::ZERO) => Err(SettingProblem::new("must be longer than 0")),
        Ok(long) if long > DURATION_MAX => {
            Err(SettingProblem::new("must not be longer than 31 days")
                .with_help(format!("31 days are \"{}\"", format_exact_duration(DURATION_MAX))))
        }
        Ok(duration) => Ok(duration),
    }
}
