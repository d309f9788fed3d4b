//! `[limits]`: rates, counts and durations.
//!
//! Only the numbers; the runner applies them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::rate::Rate;
use super::reader::{SettingProblem, SettingsReader};
use super::value;
use crate::text::format_exact_duration;

const SECTION: &str = "limits";

/// Rates, counts and durations of a batch. [`BatchLimits::default`] has the documented defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLimits {
    /// All API requests, polls included.
    pub requests: Rate,
    /// Requests that start a render.
    pub submits: Rate,
    /// Concurrent renders.
    pub in_flight: NonZeroU32,
    /// Videos that must be verified before the others are submitted; 0: none.
    pub canary: u32,
    /// Concurrent downloads.
    pub downloads: NonZeroU32,
    /// From sending a request to the last byte of its response.
    pub request_timeout: Duration,
    /// The shortest interval between two polls of one render.
    pub poll_min: Duration,
    /// The longest interval between two polls of one render; not below `poll_min`.
    pub poll_max: Duration,
    /// The quiet wait before an uncertain submission may be treated as not accepted.
    pub settle_after: Duration,
    /// The wait before a reported failure or a declined paid request is checked again, and believed.
    pub confirm_after: Duration,
    /// A render without progress for this long is shown as stalled.
    pub stall_after: Duration,
    /// A render that takes longer fails; it is not resubmitted automatically.
    pub render_timeout: Duration,
    /// The first wait before a retry.
    pub backoff_min: Duration,
    /// The longest wait before a retry; not below `backoff_min`.
    pub backoff_max: Duration,
    /// Retries of free failed submissions, per job.
    pub submit_retries: u32,
    /// Paid renders after a failed render, per job.
    pub rerenders: u32,
    /// Download retries, per job.
    pub fetch_retries: u32,
    /// Consecutive submissions with the same cause of failure that halt the run.
    pub halt_after: NonZeroU32,
    /// Videos submitted per run.
    pub max_videos: Option<u32>,
    /// Credits per run.
    pub max_credits: Option<f64>,
    /// Credits per day.
    pub max_credits_per_day: Option<f64>,
    /// The share of the paid videos that a plan may render again without a confirmation, 0 to 1.
    pub rerender_share: f64,
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
            confirm_after: Duration::from_secs(30),
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
            rerender_share: 0.25,
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
        read_limit(&mut limits.confirm_after, reader, "confirm_after", value::parse_duration);
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
        read_limit(&mut limits.rerender_share, reader, "rerender_share", value::parse_share);
        let keyed = |key, duration| KeyedDuration { key, duration };
        let poll_max = keyed("poll_max", limits.poll_max);
        check_order(reader, keyed("poll_min", limits.poll_min), poll_max);
        let backoff_max = keyed("backoff_max", limits.backoff_max);
        check_order(reader, keyed("backoff_min", limits.backoff_min), backoff_max);
        limits
    }
}

fn read_limit<T>(
    limit: &mut T,
    reader: &mut SettingsReader<'_>,
    key: &str,
    read: fn(&toml::de::DeValue<'_>) -> Result<T, SettingProblem>,
) {
    if let Some(value) = reader.get(SECTION, key, read) {
        *limit = value;
    }
}

/// A duration with its key, for messages.
struct KeyedDuration {
    key: &'static str,
    duration: Duration,
}

impl fmt::Display for KeyedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is \"{}\"", self.key, format_exact_duration(self.duration))
    }
}

/// Rejects `low` if it is above `high`; if the file sets only `high`, rejects `high`.
fn check_order(reader: &mut SettingsReader<'_>, low: KeyedDuration, high: KeyedDuration) {
    if low.duration <= high.duration {
        return;
    }
    let (key, predicate) = if reader.has_key(SECTION, low.key) {
        (low.key, format!("is above `{}`", high.key))
    } else {
        (high.key, format!("is below `{}`", low.key))
    };
    let help = format!("{low} and {high}");
    reader.reject_value(SECTION, key, SettingProblem::new(predicate).with_help(help));
}
