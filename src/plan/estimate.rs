//! How long a batch will speak, and how long its limits will let it take. Pure.

use std::time::Duration;

use crate::batch::{Limits, Rate};
use crate::ledger::Counts;

/// The vendor's own words on how long a render takes.
const RENDER_LEAST: Duration = Duration::from_secs(60);
const RENDER_MOST: Duration = Duration::from_secs(600);

/// What is to be expected of the videos that still have to be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// How many.
    pub videos: u64,
    /// How many were submitted already, and only have to be brought home.
    pub under_way: u64,
    /// How long they speak, all together.
    pub spoken: Duration,
    /// How long the limits let the night take at least.
    pub least: Duration,
    /// How long when every render takes as long as the vendor says it may.
    pub most: Duration,
}

impl Estimate {
    /// Estimates from a plan's counts and the batch's limits.
    pub fn of(counts: &Counts, limits: &Limits) -> Self {
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
            spoken: Duration::from_millis(counts.spoken_ms),
            least: submitting.max(rendering(RENDER_LEAST)),
            most: submitting.saturating_add(rendering(RENDER_MOST)),
        }
    }
}
