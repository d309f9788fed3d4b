//! Durations as text.

use std::time::Duration;

use jiff::SignedDuration;

/// Returns a duration rounded to one unit, for people: "12 s", "3 min", "1.5 h", "2 days".
pub(crate) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5400 => format!("{} min", (seconds + 30) / 60),
        5400..172_800 => format!("{:.1} h", seconds as f64 / 3600.0),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

/// Returns a duration without rounding, in the spelling of the batch file: "1m 30s".
pub(crate) fn format_exact_duration(duration: Duration) -> String {
    let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    format!("{signed:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_one_unit() {
        for (seconds, text) in [
            (0, "0 s"),
            (89, "89 s"),
            (90, "2 min"),
            (5399, "90 min"),
            (5400, "1.5 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn exact_durations_keep_every_part() {
        assert_eq!(format_exact_duration(Duration::from_millis(5_400_500)), "1h 30m 500ms");
    }
}
