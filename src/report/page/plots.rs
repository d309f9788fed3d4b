//! The plots of the page, drawn as SVG by a library.
//!
//! Their colours are placeholders that the style sheet replaces, in light and in dark mode. Invariant:
//! keys are the only text from outside, and the library escapes them.

use std::collections::BTreeMap;
use std::time::Duration;

use charts_rs::{
    AxisType, ChartBase, Color, GanttChart, GanttTask, HistogramChart, LineChart, LineStep,
    MarkLine, MarkLineCategory, Series, Symbol, YAxisConfig,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::SubmitLimits;
use super::timeline::{RunTimeline, TimelineSteps};
use crate::text::{format_duration, format_number, truncate};

/// Jobs with their own line in the timeline.
const TIMELINE_LANES_MAX: usize = 40;
/// Points of a line.
const LINE_POINTS_MAX: usize = 120;
/// Points of a line that counts events per minute; more would only show noise.
const RATE_POINTS_MAX: usize = 30;
/// Characters of a key beside its line.
const KEY_CHARS_MAX: usize = 20;

/// Placeholders, replaced by the style sheet.
const WAITING_COLOR: &str = "#0A0A01";
const RENDERING_COLOR: &str = "#0A0A02";
const DOWNLOADING_COLOR: &str = "#0A0A03";
const LIMIT_COLOR: &str = "#0A0A04";
const GRID_COLOR: &str = "#0A0A05";
const AXIS_COLOR: &str = "#0A0A06";
const BACKGROUND_COLOR: &str = "#0A0A07";

const FULL_WIDTH: f32 = 920.0;
const HALF_WIDTH: f32 = 450.0;
const PLOT_HEIGHT: f32 = 240.0;

/// A plot with its text.
#[derive(Clone, Debug)]
pub(super) struct RunPlot {
    pub(super) title: &'static str,
    pub(super) svg: String,
    /// The content as text, shown below the plot and read by screen readers.
    pub(super) caption: String,
    pub(super) is_wide: bool,
    /// Its colours: a class of the style sheet and a name.
    pub(super) legend: &'static [(&'static str, &'static str)],
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
    let utc_offset_minutes = Timestamp::from_millisecond(timeline.started_at)
        .map_or(0, |at| zone.to_offset(at).seconds() / 60);
    [
        timeline_plot(timeline, utc_offset_minutes, keys),
        in_flight_plot(
            &TimelineSteps::from_timeline(timeline, LINE_POINTS_MAX),
            limits,
            utc_offset_minutes,
        ),
        throughput_plot(
            &TimelineSteps::from_timeline(timeline, RATE_POINTS_MAX),
            limits,
            utc_offset_minutes,
        ),
        render_time_plot(timeline),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the jobs with their own line: all, or every n-th.
pub(super) fn timeline_lanes(
    timeline: &RunTimeline,
) -> impl Iterator<Item = &super::timeline::JobTiming> {
    timeline.jobs.iter().step_by(timeline.jobs.len().div_ceil(TIMELINE_LANES_MAX).max(1))
}

fn timeline_plot(
    timeline: &RunTimeline,
    utc_offset_minutes: i32,
    keys: &BTreeMap<i64, String>,
) -> Option<RunPlot> {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut tasks = Vec::new();
    let mut shown = 0;
    for (number, job) in timeline_lanes(timeline).enumerate() {
        shown += 1;
        // Two long keys may be equal when truncated, and must not share a line.
        let key = keys.get(&job.position).map_or("", String::as_str);
        let row = format!("{}{}", truncate(key, KEY_CHARS_MAX), "\u{200b}".repeat(number % 7));
        let rendered = job.rendered_at.unwrap_or(timeline.ended_at);
        let mut part = |category: &str, from: i64, to: i64, color: &str| {
            tasks.push(GanttTask {
                name: category.to_owned(),
                start: seconds(from),
                end: seconds(to.max(from + 1)),
                row: Some(row.clone()),
                category: Some(category.to_owned()),
                progress: None,
                color: Some(color.into()),
            });
        };
        part("waiting", timeline.started_at, job.submitted_at, WAITING_COLOR);
        part("rendering", job.submitted_at, rendered, RENDERING_COLOR);
        if job.rendered_at.is_some() {
            part(
                "downloading",
                rendered,
                job.done_at.unwrap_or(timeline.ended_at),
                DOWNLOADING_COLOR,
            );
        }
    }
    let mut chart = GanttChart::new(tasks);
    style_chart(&mut chart, FULL_WIDTH, 60.0 + 16.0 * shown as f32);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = utc_offset_minutes;
    chart.x_axis.min = Some(seconds(timeline.started_at));
    chart.x_axis.max = Some(seconds(timeline.ended_at));
    chart.series.colors =
        [WAITING_COLOR, RENDERING_COLOR, DOWNLOADING_COLOR].map(Color::from).to_vec();
    chart.label_show = false;
    chart.radius = 2.0;
    chart.y_axis_configs.iter_mut().for_each(style_axis);
    let every = timeline.jobs.len().div_ceil(TIMELINE_LANES_MAX).max(1);
    let which = if every == 1 {
        format!("All {shown} jobs")
    } else {
        format!("{shown} of {} jobs, one in {every}", timeline.jobs.len())
    };
    let caption = format!("{which}, in the order of their requests; all are in the table below.");
    Some(RunPlot {
        title: "Timeline",
        svg: chart.svg().ok()?,
        caption,
        is_wide: true,
        legend: &[("w", "waiting"), ("r", "rendering"), ("f", "downloading")],
    })
}

fn in_flight_plot(
    steps: &TimelineSteps,
    limits: SubmitLimits,
    utc_offset_minutes: i32,
) -> Option<RunPlot> {
    let mut line = step_series("rendering", &steps.renders_in_flight, 1.0, RENDERING_COLOR);
    line.fill = Some(true);
    let most = steps.renders_in_flight.iter().max().copied().unwrap_or(0);
    let limit = f64::from(limits.in_flight);
    line.mark_lines = limit_mark_lines(limit);
    let top = limit.max(f64::from(most));
    let mut chart = time_chart(vec![line], steps, utc_offset_minutes, top);
    chart.series.fill_opacity = Some(0.25);
    let caption = format!(
        "At most {most} at once; the dashed line is the limit (in_flight = {}).",
        limits.in_flight
    );
    Some(RunPlot {
        title: "In progress",
        svg: chart.svg().ok()?,
        caption,
        is_wide: false,
        legend: &[],
    })
}

fn throughput_plot(
    steps: &TimelineSteps,
    limits: SubmitLimits,
    utc_offset_minutes: i32,
) -> Option<RunPlot> {
    let per_minute = 1.0 / steps.step_minutes;
    let mut started = step_series("started", &steps.submitted, per_minute, RENDERING_COLOR);
    let done = step_series("done", &steps.completed, per_minute, DOWNLOADING_COLOR);
    let most = |counts: &[u32]| f64::from(counts.iter().max().copied().unwrap_or(0)) * per_minute;
    let (most_started, most_done) = (most(&steps.submitted), most(&steps.completed));
    let mut top = most_started.max(most_done);
    let (started_rate, done_rate) = (format_rate(most_started), format_rate(most_done));
    let mut caption = format!("At most {started_rate} started and {done_rate} done per minute; ");
    // A limit far above the data would hide it.
    match limits.submits_per_minute {
        Some(limit) if limit <= 4.0 * top => {
            started.mark_lines = limit_mark_lines(limit);
            top = top.max(limit);
            let limit = format_number(limit);
            caption.push_str(&format!("the dashed line is the limit (submits = {limit}/min)."));
        }
        Some(limit) => {
            let limit = format_number(limit);
            caption.push_str(&format!("the limit of {limit}/min (submits) is far higher."));
        }
        None => caption.push_str("there is no limit (submits)."),
    }
    let chart = time_chart(vec![started, done], steps, utc_offset_minutes, top);
    Some(RunPlot {
        title: "Videos per minute",
        svg: chart.svg().ok()?,
        caption,
        is_wide: false,
        legend: &[("r", "started"), ("f", "done")],
    })
}

/// Returns a rate with few digits: 0.25, 3.5, 114.
fn format_rate(number: f64) -> String {
    match number {
        fast if fast >= 10.0 => format!("{fast:.0}"),
        slow => format_number(slow),
    }
}

fn render_time_plot(timeline: &RunTimeline) -> Option<RunPlot> {
    let mut took: Vec<i64> = timeline.render_times_ms().collect();
    took.sort_unstable();
    let (first, last) = (*took.first()?, *took.last()?);
    let (unit, ms) = if last < 180_000 { ("s", 1000.0) } else { ("min", 60_000.0) };
    let data: Vec<f32> = took.iter().map(|took| (*took as f64 / ms) as f32).collect();
    let mut chart = HistogramChart::new(vec![Series::new("renders".to_owned(), data)]);
    style_chart(&mut chart, HALF_WIDTH, PLOT_HEIGHT);
    chart.bin_width = Some(round_step((last - first) as f64 / ms / 16.0) as f32);
    chart.series.colors = vec![RENDERING_COLOR.into()];
    chart.y_axis_configs.iter_mut().for_each(style_axis);
    chart.x_axis.formatter = Some(format!("{{c}} {unit}"));
    let duration = |ms: i64| format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
    let caption = format!(
        "{} renders took {} to {}, half of them at most {}.",
        took.len(),
        duration(first),
        duration(last),
        duration(took[took.len() / 2])
    );
    Some(RunPlot {
        title: "How long a render takes",
        svg: chart.svg().ok()?,
        caption,
        is_wide: false,
        legend: &[],
    })
}

fn step_series(name: &str, counts: &[u32], factor: f64, color: &str) -> Series {
    let data = counts.iter().map(|count| (f64::from(*count) * factor) as f32).collect();
    let mut series = Series::new(name.to_owned(), data);
    series.step = Some(LineStep::Start);
    series.symbol = Some(Symbol::None);
    series.colors = Some(vec![Some(color.into())]);
    series
}

fn limit_mark_lines(limit: f64) -> Vec<MarkLine> {
    vec![MarkLine {
        category: MarkLineCategory::Value(limit as f32),
        color: Some(LIMIT_COLOR.into()),
        stroke_width: Some(1.5),
        stroke_dash_array: None,
    }]
}

fn time_chart(
    lines: Vec<Series>,
    steps: &TimelineSteps,
    utc_offset_minutes: i32,
    top: f64,
) -> LineChart {
    let mut chart = LineChart::new(lines, Vec::new());
    style_chart(&mut chart, HALF_WIDTH, PLOT_HEIGHT);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = utc_offset_minutes;
    chart.x_axis.values = steps.starts_at.clone();
    chart.series.colors = [RENDERING_COLOR, DOWNLOADING_COLOR].map(Color::from).to_vec();
    chart.series.stroke_width = 2.0;
    for axis in &mut chart.y_axis_configs {
        style_axis(axis);
        let (step, count) = axis_ticks(top);
        axis.min = Some(0.0);
        axis.max = Some((step * count as f64) as f32);
        axis.split_number = count;
    }
    chart
}

/// Returns the round distance between the ticks of an axis that ends a little above `top`, and
/// their number.
fn axis_ticks(top: f64) -> (f64, usize) {
    let step = round_step(top / 5.0).max(1.0);
    let count = ((top * 1.02) / step).ceil().max(1.0);
    (step, count as usize)
}

/// Returns the next higher of 1, 2, 5, 10, 20, 50 … or of their tenths, hundredths ….
fn round_step(at_least: f64) -> f64 {
    if !(at_least.is_finite() && at_least > 0.0) {
        return 1.0;
    }
    let ten = 10f64.powf(at_least.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * ten >= at_least * 0.999);
    round.unwrap_or(10.0) * ten
}

fn style_chart(chart: &mut ChartBase, width: f32, height: f32) {
    (chart.width, chart.height) = (width, height);
    chart.background_color = BACKGROUND_COLOR.into();
    chart.font_family = "system-ui".to_owned();
    chart.compact = true;
    chart.grid.stroke_color = GRID_COLOR.into();
    chart.x_axis.stroke_color = AXIS_COLOR.into();
    chart.x_axis.font.color = AXIS_COLOR.into();
    chart.x_axis.font.size = 11.0;
    // The page contains the legend: the library would measure a font that may be missing.
    chart.legend.show = Some(false);
    chart.series.label.font.color = AXIS_COLOR.into();
    chart.series.label.font.size = 11.0;
}

fn style_axis(axis: &mut YAxisConfig) {
    axis.stroke_color = AXIS_COLOR.into();
    axis.font.color = AXIS_COLOR.into();
    axis.font.size = 11.0;
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
            let pass =
                |(position, (paid, rendered, done)): (usize, (i64, Option<i64>, _))| JobTiming {
                    position: position as i64,
                    submitted_at: began + paid,
                    rendered_at: rendered.map(|took| began + paid + took),
                    done_at: rendered.and(done).map(|took: i64| began + paid + took),
                };
            let mut jobs: Vec<JobTiming> = jobs.into_iter().enumerate().map(pass).collect();
            jobs.sort_by_key(|job| job.submitted_at);
            RunTimeline { run: None, started_at: began, ended_at: began + length, jobs }
        })
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

    #[test]
    fn axis_ticks_are_round_numbers() {
        assert_eq!(axis_ticks(4.0), (1.0, 5));
        assert_eq!(axis_ticks(120.0), (50.0, 3));
        assert_eq!(axis_ticks(0.0), (1.0, 1));
        for (at_least, round) in [(0.8, 1.0), (1.1, 2.0), (30.0, 50.0), (51.0, 100.0), (0.03, 0.05)]
        {
            assert!((round_step(at_least) - round).abs() < 1e-9, "{at_least}");
        }
    }
}
