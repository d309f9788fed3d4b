//! The expected speech and duration of a batch, from its plan and its limits. Pure.

use std::time::Duration;

use crate::batch::{BatchLimits, Rate};
use crate::ledger::PlanCounts;

/// The duration of one render, as documented by AI Studios.
const RENDER_TIME_MIN: Duration = Duration::from_secs(60);
const RENDER_TIME_MAX: Duration = Duration::from_secs(600);

/// An estimate for the videos that are still to be rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenderEstimate {
    /// Videos to render.
    pub videos: u64,
    /// Videos already submitted, which only have to be downloaded.
    pub under_way: u64,
    /// What they cost, by the prices that AI Studios reported so far.
    pub credits: f64,
    /// The price of a started minute of a video, by which they are estimated.
    pub credits_per_minute: f64,
    /// The total length of their speech.
    pub speech_duration: Duration,
    /// The shortest duration that the limits allow.
    pub duration_min: Duration,
    /// The duration if every render takes as long as documented.
    pub duration_max: Duration,
}

impl RenderEstimate {
    /// Estimates from a plan's counts, the batch's limits and the price of a started minute.
    pub fn from_counts(counts: &PlanCounts, limits: &BatchLimits, credits_per_minute: f64) -> Self {
        let videos = counts.to_render;
        let submitting = match limits.submits {
            Rate::Unlimited => Duration::ZERO,
            Rate::Per { count, period } => period.mul_f64(videos as f64 / f64::from(count.get())),
        };
        let rounds = videos.div_ceil(u64::from(limits.in_flight.get()));
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let rendering = |each: Duration| each.saturating_mul(rounds);
        Self {
            videos,
            under_way: counts.under_way,
            credits: counts.minutes as f64 * credits_per_minute,
            credits_per_minute,
            speech_duration: Duration::from_millis(counts.spoken_ms),
            duration_min: submitting.max(rendering(RENDER_TIME_MIN)),
            duration_max: submitting.saturating_add(rendering(RENDER_TIME_MAX)),
        }
    }

    /// Returns what the first of the videos cost, if only so many are submitted.
    pub fn credits_for(&self, videos: u64) -> f64 {
        match self.videos {
            0 => 0.0,
            all => self.credits * videos.min(all) as f64 / all as f64,
        }
    }
}
