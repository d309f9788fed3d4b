//! `[limits]`: how much, how often, how long.
//!
//! The numbers only; what they limit is the runner's work.

use std::num::NonZeroU32;
use std::time::Duration;

use super::rate::Rate;
use super::reader::{SettingProblem, SettingsReader};
use super::value;
use crate::text::format_exact_duration;

const SECTION: &str = "limits";

/// How much, how often, how long. [`Limits::default`] is what holds where the file says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLimits {
    /// Every API call; the vendor counts polls too.
    pub requests: Rate,
    /// Calls that start a render.
    pub submits: Rate,
    /// Renders under way at once.
    pub in_flight: NonZeroU32,
    /// Videos that must be done and verified before the rest is released; 0 for none.
    pub canary: u32,
    /// Downloads at once.
    pub downloads: NonZeroU32,
    /// From sending a request to the last byte of its answer.
    pub request_timeout: Duration,
    /// The least between two polls of one render.
    pub poll_min: Duration,
    /// The most between two polls of one render; not below `poll_min`.
    pub poll_max: Duration,
    /// The quiet wait before a submission without a trace may count as not made.
    pub settle_after: Duration,
    /// Without progress for so long, a render is shown as stalled.
    pub stall_after: Duration,
    /// Unfinished after so long, a render is given up; never submitted again by itself.
    pub render_timeout: Duration,
    /// The first wait before a retry.
    pub backoff_min: Duration,
    /// The longest wait before a retry; not below `backoff_min`.
    pub backoff_max: Duration,
    /// Submissions that failed free of charge, per job.
    pub submit_retries: u32,
    /// Paid renders after one that failed at the vendor, per job.
    pub rerenders: u32,
    /// Downloads that failed, per job.
    pub fetch_retries: u32,
    /// Submissions in a row that fail for one cause before the run halts.
    pub halt_after: NonZeroU32,
    /// Videos per run.
    pub max_videos: Option<u32>,
    /// Credits per run.
    pub max_credits: Option<f64>,
    /// Credits per day.
    pub max_credits_per_day: Option<f64>,
}

impl Default for BatchLimits {
    fn default() -> Self {
        let per_minute = |count| Rate::Per { count, period: Duration::from_secs(60) };
        Self {
            requests: per_minute(const { NonZeroU32::new(120).expect("not zero") }),
            submits: per_minute(const { NonZeroU32::new(30).expect("not zero") }),
            in_flight: const { NonZeroU32::new(10).expect("not zero") },
            canary: 2,
            downloads: const { NonZeroU32::new(4).expect("not zero") },
            request_timeout: Duration::from_secs(30),
            poll_min: Duration::from_secs(3),
            poll_max: Duration::from_secs(60),
            settle_after: Duration::from_secs(20 * 60),
            stall_after: Duration::from_secs(30 * 60),
            render_timeout: Duration::from_secs(6 * 3_600),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(2 * 60),
            submit_retries: 8,
            rerenders: 1,
            fetch_retries: 10,
            halt_after: const { NonZeroU32::new(5).expect("not zero") },
            max_videos: None,
            max_credits: None,
            max_credits_per_day: None,
        }
    }
}

impl BatchLimits {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Self {
        let mut limits = Self::default();
        read_limit(&mut limits.requests, reader, "requests", value::parse_rate);
        read_limit(&mut limits.submits, reader, "submits", value::parse_rate);
        read_limit(&mut limits.in_flight, reader, "in_flight", value::parse_positive_count);
        read_limit(&mut limits.canary, reader, "canary", value::parse_count);
        read_limit(&mut limits.downloads, reader, "downloads", value::parse_positive_count);
        read_limit(&mut limits.request_timeout, reader, "request_timeout", value::parse_duration);
        read_limit(&mut limits.poll_min, reader, "poll_min", value::parse_duration);
        read_limit(&mut limits.poll_max, reader, "poll_max", value::parse_duration);
        read_limit(&mut limits.settle_after, reader, "settle_after", value::parse_duration);
        read_limit(&mut limits.stall_after, reader, "stall_after", value::parse_duration);
        read_limit(&mut limits.render_timeout, reader, "render_timeout", value::parse_duration);
        read_limit(&mut limits.backoff_min, reader, "backoff_min", value::parse_duration);
        read_limit(&mut limits.backoff_max, reader, "backoff_max", value::parse_duration);
        read_limit(&mut limits.submit_retries, reader, "submit_retries", value::parse_count);
        read_limit(&mut limits.rerenders, reader, "rerenders", value::parse_count);
        read_limit(&mut limits.fetch_retries, reader, "fetch_retries", value::parse_count);
        read_limit(&mut limits.halt_after, reader, "halt_after", value::parse_positive_count);
        limits.max_videos = reader.get(SECTION, "max_videos", value::parse_count);
        limits.max_credits = reader.get(SECTION, "max_credits", value::parse_credits);
        limits.max_credits_per_day =
            reader.get(SECTION, "max_credits_per_day", value::parse_credits);
        check_order(reader, ("poll_min", limits.poll_min), ("poll_max", limits.poll_max));
        check_order(
            reader,
            ("backoff_min", limits.backoff_min),
            ("backoff_max", limits.backoff_max),
        );
        limits
    }
}

fn read_limit<T>(
    limit: &mut T,
    reader: &mut SettingsReader<'_>,
    key: &str,
    read: fn(&toml::de::DeValue<'_>) -> Result<T, SettingProblem>,
) {
    if let Some(given) = reader.get(SECTION, key, read) {
        *limit = given;
    }
}

/// Complains unless `low` is at most `high`, at whichever of the two the file does give.
fn check_order(reader: &mut SettingsReader<'_>, low: (&str, Duration), high: (&str, Duration)) {
    if low.1 <= high.1 {
        return;
    }
    let words = |(name, length): (&str, Duration)| {
        format!("`{name}` is \"{}\"", format_exact_duration(length))
    };
    let (key, predicate) = if reader.has_key(SECTION, low.0) {
        (low.0, format!("is above `{}`", high.0))
    } else {
        (high.0, format!("is below `{}`", low.0))
    };
    let complaint = SettingProblem::new(predicate);
    let help = format!("{} and {}", words(low), words(high));
    reader.reject_value(SECTION, key, complaint.with_help(help));
}
