//! The line that estimates a run: speech, duration, price. The headline of the plan has the videos.

use std::time::Duration;

use crate::plan::RenderEstimate;
use crate::text::{format_credit_number, format_credits, format_duration};

/// Returns the line; in a rehearsal, it is about the real run that is rehearsed.
pub(crate) fn describe_estimate(estimate: &RenderEstimate, is_rehearsal: bool) -> String {
    if estimate.videos == 0 {
        return "nothing new to render".to_owned();
    }
    let (min, max) =
        (format_duration(estimate.duration_min), format_duration(estimate.duration_max));
    let duration = if min == max { min } else { format!("{min} to {max}") };
    let context = if is_rehearsal { "a real run: " } else { "" };
    format!(
        "{context}{} of speech; rendering takes {duration}; about {}{}",
        format_duration(at_least_one_second(estimate.speech_duration)),
        format_credits(estimate.credits),
        describe_price(estimate),
    )
}

/// Returns the rule by which the credits are estimated: a short video costs as much as one of a minute.
fn describe_price(estimate: &RenderEstimate) -> String {
    let price = format_credit_number(estimate.credits_per_minute);
    match estimate.credits > 0.0 {
        true => format!(" ({price} per started minute, at least {price} per video)"),
        false => String::new(),
    }
}

/// Rounds a very short script up to one second; only no script takes no time.
fn at_least_one_second(speech: Duration) -> Duration {
    if speech.is_zero() { speech } else { speech.max(Duration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use crate::cli::output::estimate::*;

    fn estimate(videos: u64, speech_ms: u64) -> RenderEstimate {
        RenderEstimate {
            videos,
            under_way: 1,
            credits: 3.0,
            credits_per_minute: 1.0,
            speech_duration: Duration::from_millis(speech_ms),
            duration_min: Duration::from_secs(60),
            duration_max: Duration::from_secs(600),
        }
    }

    #[test]
    fn an_estimate_repeats_no_count_of_the_headline() {
        assert_eq!(describe_estimate(&estimate(0, 0), true), "nothing new to render");
        assert_eq!(
            describe_estimate(&estimate(3, 61_000), true),
            "a real run: 61 s of speech; rendering takes 60 s to 10 min; about 3 credits \
             (1 per started minute, at least 1 per video)"
        );
    }

    #[test]
    fn a_very_short_script_counts_as_one_second_of_speech() {
        let line = |speech_ms| describe_estimate(&estimate(1, speech_ms), false);
        assert!(line(300).starts_with("1 s of speech"), "{}", line(300));
        assert!(line(0).starts_with("0 s of speech"), "{}", line(0));
    }
}
