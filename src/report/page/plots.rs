//! The plots of the page: what a run did over time.
//!
//! Drawing belongs to `svg_chart`, the data to `timeline`. Invariant: keys are the only text from outside, and they
//! are escaped.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::html;

use super::SubmitLimits;
use super::svg_chart::{AxisRange, AxisTick, ChartBar, ChartFrame, ChartPoint, round_step};
use super::timeline::{JobTiming, RunTimeline, TimelineSteps};
use crate::text::{format_duration, format_number, truncate};

/// Jobs with their own line in the timeline.
const TIMELINE_LANES_MAX: usize = 40;
/// Points of a line.
const LINE_POINTS_MAX: usize = 120;
/// Characters of a key beside its line.
const KEY_CHARS_MAX: usize = 20;
/// Bars of the histogram, about.
const HISTOGRAM_BINS: f64 = 16.0;

const FULL_WIDTH: f64 = 920.0;
const HALF_WIDTH: f64 = 450.0;
const PLOT_HEIGHT: f64 = 240.0;
const LANE_HEIGHT: f64 = 16.0;
const NUMBERS_MARGIN: f64 = 36.0;

/// The colours of the bars of a job.
pub(super) const TIMELINE_LEGEND: &[(&str, &str)] =
    &[("w", "waiting"), ("r", "rendering"), ("f", "downloading")];

/// A plot with its text.
#[derive(Clone, Debug)]
pub struct RunPlot {
    /// Its title.
    pub title: &'static str,
    /// The drawing, in which every text is escaped.
    pub svg: String,
    /// The content as text, shown below the plot and read by screen readers.
    pub caption: String,
    /// Whether it needs the whole width of a page.
    pub is_wide: bool,
    /// Its colours: a class in `page.css` and, for the console, in `console.css`; and a name.
    pub legend: &'static [(&'static str, &'static str)],
}

/// Draws all plots; `keys` contains the keys of [`timeline_lanes`] by position.
pub(super) fn draw_plots(
    timeline: &RunTimeline,
    limits: SubmitLimits,
    zone: &TimeZone,
    keys: &BTreeMap<i64, String>,
) -> Vec<RunPlot> {
    if timeline.jobs.is_empty() {
        return Vec::new();
    }
    let steps = TimelineSteps::from_timeline(timeline, LINE_POINTS_MAX);
    let mut plots = vec![
        timeline_plot(timeline, zone, keys),
        in_flight_plot(&steps, limits, zone),
        progress_plot(timeline, &steps, limits, zone),
    ];
    plots.extend(render_time_plot(timeline));
    plots
}

/// Returns the jobs with their own line: all, or every n-th.
pub(super) fn timeline_lanes(timeline: &RunTimeline) -> impl Iterator<Item = &JobTiming> {
    timeline.jobs.iter().step_by(lane_distance(timeline))
}

fn lane_distance(timeline: &RunTimeline) -> usize {
    timeline.jobs.len().div_ceil(TIMELINE_LANES_MAX).max(1)
}

fn timeline_plot(timeline: &RunTimeline, zone: &TimeZone, keys: &BTreeMap<i64, String>) -> RunPlot {
    let lanes: Vec<_> = timeline_lanes(timeline).collect();
    let key = |job: &JobTiming| {
        truncate(keys.get(&job.position).map_or("", String::as_str), KEY_CHARS_MAX)
    };
    let labels: Vec<AxisTick> = (0u32..)
        .zip(&lanes)
        .map(|(lane, job)| AxisTick { value: f64::from(lane) + 0.5, label: key(job).to_string() })
        .collect();
    let count = lanes.len() as f64;
    let frame = ChartFrame {
        width: FULL_WIDTH,
        height: 32.0 + LANE_HEIGHT * count,
        left_margin: 12.0 + labels.iter().map(|tick| label_width(&tick.label)).fold(0.0, f64::max),
        x: AxisRange { first: seconds(timeline.started_at), last: seconds(timeline.ended_at) },
        // The first job is at the top.
        y: AxisRange { first: count, last: 0.0 },
    };
    let bars: Vec<ChartBar> =
        (0u32..).zip(&lanes).flat_map(|(lane, job)| lane_bars(timeline, job, lane)).collect();
    let every = lane_distance(timeline);
    let caption = match (every, lanes.len()) {
        (1, 1) => "The video of this run.".to_owned(),
        (1, shown) => format!("All {shown} videos, in the order of submission."),
        (_, shown) => format!(
            "{shown} of {} videos, one in {every}, in the order of submission; all are in the list \
             of videos.",
            timeline.jobs.len()
        ),
    };
    RunPlot {
        title: "Timeline",
        svg: frame.draw(&frame.x.time_ticks(zone), &labels, frame.bars(&bars)),
        caption,
        is_wide: true,
        legend: TIMELINE_LEGEND,
    }
}

/// Returns the bars of one job: waiting, rendering, and downloading once it was rendered.
fn lane_bars(timeline: &RunTimeline, job: &JobTiming, lane: u32) -> impl Iterator<Item = ChartBar> {
    let rendered = job.rendered_at.unwrap_or(timeline.ended_at);
    let done = job.rendered_at.map(|_| job.done_at.unwrap_or(timeline.ended_at));
    let bar = move |class, from: Timestamp, to: Timestamp| ChartBar {
        from: seconds(from),
        to: seconds(to),
        bottom: f64::from(lane) + 0.85,
        top: f64::from(lane) + 0.15,
        class,
    };
    [
        Some(bar("w", timeline.started_at, job.submitted_at)),
        Some(bar("r", job.submitted_at, rendered)),
        done.map(|done| bar("f", rendered, done)),
    ]
    .into_iter()
    .flatten()
}

fn in_flight_plot(steps: &TimelineSteps, limits: SubmitLimits, zone: &TimeZone) -> RunPlot {
    let most = steps.renders_in_flight.iter().max().copied().unwrap_or(0);
    let frame = time_frame(steps, f64::from(most.max(limits.in_flight)));
    let in_flight = step_points(steps, steps.renders_in_flight.iter().copied());
    let shapes = html! {
        (frame.step_area(&in_flight, "r"))
        (frame.limit_line(f64::from(limits.in_flight)))
    };
    RunPlot {
        title: "In progress",
        svg: frame.draw(&frame.x.time_ticks(zone), &frame.y.count_ticks(), shapes),
        caption: format!(
            "At most {most} at once; the dashed line is the limit (in_flight = {}).",
            limits.in_flight
        ),
        is_wide: false,
        legend: &[],
    }
}

/// Plots how many videos were submitted and done by each time.
fn progress_plot(
    timeline: &RunTimeline,
    steps: &TimelineSteps,
    limits: SubmitLimits,
    zone: &TimeZone,
) -> RunPlot {
    let frame = time_frame(steps, f64::from(steps.submitted.iter().sum::<u32>()));
    let shapes = html! {
        (frame.step_line(&running_totals(steps, &steps.submitted), "r"))
        (frame.step_line(&running_totals(steps, &steps.completed), "f"))
    };
    let total = |counts: &[u32]| counts.iter().sum::<u32>();
    let rate = timeline.most_submitted_in_a_minute().map(|most| submit_rate(most, limits));
    RunPlot {
        title: "Progress",
        svg: frame.draw(&frame.x.time_ticks(zone), &frame.y.count_ticks(), shapes),
        caption: format!(
            "{} submitted, {} done{}.",
            total(&steps.submitted),
            total(&steps.completed),
            rate.unwrap_or_default()
        ),
        is_wide: false,
        legend: &[("r", "submitted"), ("f", "done")],
    }
}

fn running_totals(steps: &TimelineSteps, counts: &[u32]) -> Vec<ChartPoint> {
    let mut total = 0u32;
    let totals = counts.iter().map(|count| {
        total = total.saturating_add(*count);
        total
    });
    step_points(steps, totals)
}

fn step_points(steps: &TimelineSteps, counts: impl Iterator<Item = u32>) -> Vec<ChartPoint> {
    let point = |(start, count): (&f64, u32)| ChartPoint { x: *start, y: f64::from(count) };
    steps.starts_at.iter().zip(counts).map(point).collect()
}

/// Compares the submissions of the busiest minute with their limit.
fn submit_rate(most: u64, limits: SubmitLimits) -> String {
    let limit = limits.submits_per_minute.map_or_else(
        || "there is no limit".to_owned(),
        |limit| format!("the limit is {} per minute (submits)", format_number(limit)),
    );
    format!("; at most {most} submitted in any minute, {limit}")
}

fn render_time_plot(timeline: &RunTimeline) -> Option<RunPlot> {
    let mut took: Vec<i64> = timeline.render_times_ms().collect();
    took.sort_unstable();
    let (first, last) = (*took.first()?, *took.last()?);
    let (unit, ms) = if last < 180_000 { (" s", 1000.0) } else { (" min", 60_000.0) };
    let bin = round_step((last - first) as f64 / ms / HISTOGRAM_BINS);
    let mut bins = BTreeMap::<i64, u32>::new();
    for took in &took {
        *bins.entry((*took as f64 / ms / bin) as i64).or_default() += 1;
    }
    let bars: Vec<ChartBar> = bins
        .iter()
        .map(|(number, count)| ChartBar {
            from: *number as f64 * bin,
            to: (*number as f64 + 0.9) * bin,
            bottom: 0.0,
            top: f64::from(*count),
            class: "r",
        })
        .collect();
    let frame = ChartFrame {
        width: HALF_WIDTH,
        height: PLOT_HEIGHT,
        left_margin: NUMBERS_MARGIN,
        x: AxisRange {
            first: (first as f64 / ms / bin).floor() * bin,
            last: (last as f64 / ms / bin).floor() * bin + bin,
        },
        y: AxisRange { first: 0.0, last: f64::from(bins.values().max().copied().unwrap_or(1)) },
    };
    let duration = |ms: i64| format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
    let caption = match took.len() {
        1 => format!("The only render took {}.", duration(first)),
        count => format!(
            "{count} renders took {} to {}, half of them at most {}.",
            duration(first),
            duration(last),
            duration(took[count / 2])
        ),
    };
    Some(RunPlot {
        title: "Render times",
        svg: frame.draw(&frame.x.number_ticks(unit), &frame.y.count_ticks(), frame.bars(&bars)),
        caption,
        is_wide: false,
        legend: &[],
    })
}

/// Returns a frame over the whole run, whose vertical axis ends a little above `top`.
fn time_frame(steps: &TimelineSteps, top: f64) -> ChartFrame {
    let first = steps.starts_at.first().copied().unwrap_or(0.0);
    let last = steps.starts_at.last().copied().unwrap_or(first);
    ChartFrame {
        width: HALF_WIDTH,
        height: PLOT_HEIGHT,
        left_margin: NUMBERS_MARGIN,
        x: AxisRange { first, last: last + steps.step_minutes * 60.0 },
        y: AxisRange { first: 0.0, last: top.max(1.0) * 1.05 },
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// Returns about the width of a label, in pixels; characters beyond ASCII count as wide ones.
fn label_width(label: &str) -> f64 {
    label.chars().map(|c| if c.is_ascii() { 6.5 } else { 11.5 }).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::timeline::JobTiming;
    use super::*;

    fn any_timeline() -> impl Strategy<Value = RunTimeline> {
        let pass = (
            0..i64::from(u32::MAX),
            prop::option::of(0..1i64 << 40),
            prop::option::of(0..1i64 << 40),
        );
        let jobs = prop::collection::vec(pass, 0..120);
        (0..1i64 << 42, 1..1i64 << 36, jobs).prop_map(|(began, length, jobs)| {
            let at = |ms| Timestamp::from_millisecond(began + ms).unwrap();
            let pass =
                |(position, (paid, rendered, done)): (usize, (i64, Option<i64>, _))| JobTiming {
                    position: position as i64,
                    submitted_at: at(paid),
                    rendered_at: rendered.map(|took| at(paid + took)),
                    done_at: rendered.and(done).map(|took: i64| at(paid + took)),
                };
            let mut jobs: Vec<JobTiming> = jobs.into_iter().enumerate().map(pass).collect();
            jobs.sort_by_key(|job| job.submitted_at);
            RunTimeline { run: None, started_at: at(0), ended_at: at(length), jobs }
        })
    }

    #[test]
    fn a_rate_is_counted_over_real_minutes_and_left_out_of_a_shorter_run() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let job = |seconds| JobTiming {
            position: 0,
            submitted_at: at(seconds),
            rendered_at: None,
            done_at: None,
        };
        let caption = |length, submitted: &[i64]| {
            let jobs = submitted.iter().copied().map(job).collect();
            let run = RunTimeline { run: None, started_at: at(0), ended_at: at(length), jobs };
            let limits = SubmitLimits { in_flight: 4, submits_per_minute: Some(30.0) };
            let plots = draw_plots(&run, limits, &TimeZone::UTC, &BTreeMap::new());
            plots.into_iter().find(|plot| plot.title == "Progress").unwrap().caption
        };
        assert_eq!(caption(20, &[1, 2]), "2 submitted, 0 done.");
        assert_eq!(
            caption(200, &[1, 2, 62, 63, 64, 119]),
            "6 submitted, 0 done; at most 4 submitted in any minute, the limit is 30 per minute \
             (submits)."
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Any times in a ledger can be plotted, even of a clock that jumped.
        #[test]
        fn any_timeline_can_be_drawn(timeline in any_timeline(), key in ".{0,30}", in_flight in 0..50u32) {
            let keys = timeline.jobs.iter().map(|job| (job.position, key.clone())).collect();
            let limits = SubmitLimits { in_flight, submits_per_minute: Some(30.0) };
            let plots = draw_plots(&timeline, limits, &TimeZone::UTC, &keys);
            prop_assert_eq!(plots.is_empty(), timeline.jobs.is_empty());
            for plot in plots {
                prop_assert!(plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>"));
                prop_assert!(!plot.svg.contains("NaN"), "{}", plot.title);
            }
        }
    }
}
