//! How long a batch will speak, and how long its limits will let it take. Pure.

use std::time::Duration;

use crate::batch::{BatchLimits, Rate};
use crate::ledger::PlanCounts;

/// The vendor's own words on how long a render takes.
const RENDER_TIME_MIN: Duration = Duration::from_secs(60);
const RENDER_TIME_MAX: Duration = Duration::from_secs(600);

/// What is to be expected of the videos that still have to be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderEstimate {
    /// How many.
    pub videos: u64,
    /// How many were submitted already, and only have to be brought home.
    pub under_way: u64,
    /// How long they speak, all together.
    pub speech_duration: Duration,
    /// How long the limits let the night take at least.
    pub duration_min: Duration,
    /// How long when every render takes as long as the vendor says it may.
    pub duration_max: Duration,
}

impl RenderEstimate {
    /// Estimates from a plan's counts and the batch's limits.
    pub fn from_counts(counts: &PlanCounts, limits: &BatchLimits) -> Self {
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
            speech_duration: Duration::from_millis(counts.spoken_ms),
            duration_min: submitting.max(rendering(RENDER_TIME_MIN)),
            duration_max: submitting.saturating_add(rendering(RENDER_TIME_MAX)),
        }
    }
}
