//! Finding of `check` about the caps on spending: which of them a schedule that starts the run again does
//! not respect.
//!
//! Only the message: claims apply the caps.

use crate::batch::BatchLimits;
use crate::session::check_finding::CheckFinding;
use crate::text::{format_credits, pluralize};

/// Reports the caps of a batch; `None` if it has none for a run.
pub(super) fn check_caps(limits: &BatchLimits) -> Option<CheckFinding> {
    let videos = limits.max_videos.map(|videos| pluralize(videos.into(), "video"));
    let credits = limits.max_credits.map(format_credits);
    let caps: Vec<String> = videos.into_iter().chain(credits).collect();
    if caps.is_empty() {
        return None;
    }
    let per_day = match limits.max_credits_per_day {
        Some(credits) => format!("{} per day over all of them", format_credits(credits)),
        None => "no cap per day (`max_credits_per_day`)".to_owned(),
    };
    let message = format!("at most {} in each run; {per_day}", caps.join(" and "));
    Some(match limits.max_credits_per_day {
        Some(_) => CheckFinding::ok(TOPIC, message),
        None => CheckFinding::ok(TOPIC, message).with_todo(RESTARTS_HINT),
    })
}

const TOPIC: &str = "caps";
const RESTARTS_HINT: &str =
    "a schedule that starts the run again may spend the cap of a run each time";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::check_finding::FindingGrade;

    fn finding(videos: Option<u32>, credits: Option<f64>, per_day: Option<f64>) -> String {
        let limits = BatchLimits {
            max_videos: videos,
            max_credits: credits,
            max_credits_per_day: per_day,
            ..BatchLimits::default()
        };
        check_caps(&limits).map_or_else(String::new, |finding| {
            assert_eq!(finding.grade, FindingGrade::Ok);
            format!("{} [{}]", finding.message, finding.todo.unwrap_or_default())
        })
    }

    #[test]
    fn caps_of_a_run_are_reported_with_what_limits_its_restarts() {
        assert_eq!(finding(None, None, Some(9.0)), "");
        insta::assert_snapshot!(finding(Some(30), Some(50.0), None), @"at most 30 videos and 50 credits in each run; no cap per day (`max_credits_per_day`) [a schedule that starts the run again may spend the cap of a run each time]");
        insta::assert_snapshot!(finding(None, Some(50.0), Some(80.0)), @"at most 50 credits in each run; 80 credits per day over all of them []");
    }
}
