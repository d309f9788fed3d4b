//! The plots of the page, drawn as SVG by a library.
//!
//! Their colours are words for the style sheet, which gives them the page's own in light and in
//! dark. Nothing in them is text from outside but keys, which the library escapes.

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

/// Jobs that get a line of their own in the timeline.
const TIMELINE_LANES_MAX: usize = 40;
/// Points of a line.
const LINE_POINTS_MAX: usize = 120;
/// Points of a line that counts what happens in a minute: with more, it is all noise.
const RATE_POINTS_MAX: usize = 30;
/// Characters of a key beside its line.
const KEY_CHARS_MAX: usize = 20;

/// Replaced by the style sheet.
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

/// A plot, and what it says in words.
#[derive(Clone, Debug)]
pub(super) struct RunPlot {
    pub(super) title: &'static str,
    pub(super) svg: String,
    /// For who cannot see it, and below it for everybody.
    pub(super) caption: String,
    pub(super) is_wide: bool,
    /// What its colours mean: a class of the style sheet and a name.
    pub(super) legend: &'static [(&'static str, &'static str)],
}

/// Draws what there is to draw; `keys` names the jobs that are shown one by one.
pub(super) fn draw_plots(
    night: &RunTimeline,
    pace: SubmitLimits,
    zone: &TimeZone,
    keys: &BTreeMap<i64, String>,
) -> Vec<RunPlot> {
    if night.jobs.is_empty() {
        return Vec::new();
    }
    let east = Timestamp::from_millisecond(night.started_at)
        .map_or(0, |at| zone.to_offset(at).seconds() / 60);
    [
        timeline_plot(night, east, keys),
        in_flight_plot(&TimelineSteps::from_timeline(night, LINE_POINTS_MAX), pace, east),
        throughput_plot(&TimelineSteps::from_timeline(night, RATE_POINTS_MAX), pace, east),
        render_time_plot(night),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the jobs that get a line of their own: all, or some in equal distances.
pub(super) fn timeline_lanes(
    night: &RunTimeline,
) -> impl Iterator<Item = &super::timeline::JobTiming> {
    night.jobs.iter().step_by(night.jobs.len().div_ceil(TIMELINE_LANES_MAX).max(1))
}

fn timeline_plot(night: &RunTimeline, east: i32, keys: &BTreeMap<i64, String>) -> Option<RunPlot> {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut tasks = Vec::new();
    let mut shown = 0;
    for (number, job) in timeline_lanes(night).enumerate() {
        shown += 1;
        // Two long keys may look alike when clipped, and must not share a line.
        let key = keys.get(&job.position).map_or("", String::as_str);
        let row = format!("{}{}", truncate(key, KEY_CHARS_MAX), "\u{200b}".repeat(number % 7));
        let rendered = job.rendered_at.unwrap_or(night.ended_at);
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
        part("waiting", night.started_at, job.submitted_at, WAITING_COLOR);
        part("rendering", job.submitted_at, rendered, RENDERING_COLOR);
        if job.rendered_at.is_some() {
            part("downloading", rendered, job.done_at.unwrap_or(night.ended_at), DOWNLOADING_COLOR);
        }
    }
    let mut chart = GanttChart::new(tasks);
    style_chart(&mut chart, FULL_WIDTH, 60.0 + 16.0 * shown as f32);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = east;
    chart.x_axis.min = Some(seconds(night.started_at));
    chart.x_axis.max = Some(seconds(night.ended_at));
    chart.series.colors =
        [WAITING_COLOR, RENDERING_COLOR, DOWNLOADING_COLOR].map(Color::from).to_vec();
    chart.label_show = false;
    chart.radius = 2.0;
    chart.y_axis_configs.iter_mut().for_each(style_axis);
    let every = night.jobs.len().div_ceil(TIMELINE_LANES_MAX).max(1);
    let which = if every == 1 {
        format!("All {shown} jobs")
    } else {
        format!("{shown} of {} jobs, one in {every}", night.jobs.len())
    };
    let words =
        format!("{which}, in the order of their requests; each job's own is in its row below.");
    Some(RunPlot {
        title: "Timeline",
        svg: chart.svg().ok()?,
        caption: words,
        is_wide: true,
        legend: &[("w", "waiting"), ("r", "rendering"), ("f", "downloading")],
    })
}

fn in_flight_plot(steps: &TimelineSteps, pace: SubmitLimits, east: i32) -> Option<RunPlot> {
    let mut line = step_series("rendering", &steps.renders_in_flight, 1.0, RENDERING_COLOR);
    line.fill = Some(true);
    let most = steps.renders_in_flight.iter().max().copied().unwrap_or(0);
    let limit = f64::from(pace.in_flight);
    line.mark_lines = limit_mark_lines(limit);
    let top = limit.max(f64::from(most));
    let mut chart = time_chart(vec![line], steps, east, (top, &[RENDERING_COLOR]));
    chart.series.fill_opacity = Some(0.25);
    let words = format!(
        "At most {most} at once; the dashed line is the limit (in_flight = {}).",
        pace.in_flight
    );
    Some(RunPlot {
        title: "Renders under way",
        svg: chart.svg().ok()?,
        caption: words,
        is_wide: false,
        legend: &[],
    })
}

fn throughput_plot(steps: &TimelineSteps, pace: SubmitLimits, east: i32) -> Option<RunPlot> {
    let per_minute = 1.0 / steps.step_minutes;
    let mut begun = step_series("begun", &steps.submitted, per_minute, RENDERING_COLOR);
    let done = step_series("done", &steps.completed, per_minute, DOWNLOADING_COLOR);
    let most = |counts: &[u32]| f64::from(counts.iter().max().copied().unwrap_or(0)) * per_minute;
    let (most_begun, most_done) = (most(&steps.submitted), most(&steps.completed));
    let mut top = most_begun.max(most_done);
    let (begun_told, done_told) = (format_rate(most_begun), format_rate(most_done));
    let mut words = format!("At most {begun_told} begun and {done_told} done in a minute; ");
    // A limit far above everything would leave nothing else to see.
    match pace.submits_per_minute {
        Some(limit) if limit <= 4.0 * top => {
            begun.mark_lines = limit_mark_lines(limit);
            top = top.max(limit);
            let limit = format_number(limit);
            words.push_str(&format!("the dashed line is the limit (submits = {limit}/min)."));
        }
        Some(limit) => {
            let limit = format_number(limit);
            words.push_str(&format!("the limit of {limit}/min (submits) lies far above."));
        }
        None => words.push_str("there is no limit (submits)."),
    }
    let chart =
        time_chart(vec![begun, done], steps, east, (top, &[RENDERING_COLOR, DOWNLOADING_COLOR]));
    Some(RunPlot {
        title: "Videos per minute",
        svg: chart.svg().ok()?,
        caption: words,
        is_wide: false,
        legend: &[("r", "begun"), ("f", "done")],
    })
}

/// Returns a speed with no more digits than anyone asks for: 0.25, 3.5, 114.
fn format_rate(number: f64) -> String {
    match number {
        fast if fast >= 10.0 => format!("{fast:.0}"),
        slow => format_number(slow),
    }
}

fn render_time_plot(night: &RunTimeline) -> Option<RunPlot> {
    let mut took: Vec<i64> = night.render_times_ms().collect();
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
    let in_words = |ms: i64| format_duration(Duration::from_millis(ms.max(0).unsigned_abs()));
    let words = format!(
        "{} renders took {} to {}, half of them no more than {}.",
        took.len(),
        in_words(first),
        in_words(last),
        in_words(took[took.len() / 2])
    );
    Some(RunPlot {
        title: "How long a render takes",
        svg: chart.svg().ok()?,
        caption: words,
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
    east: i32,
    (top, colors): (f64, &[&str]),
) -> LineChart {
    let mut chart = LineChart::new(lines, Vec::new());
    style_chart(&mut chart, HALF_WIDTH, PLOT_HEIGHT);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = east;
    chart.x_axis.values = steps.starts_at.clone();
    chart.series.colors = colors.iter().map(|color| Color::from(*color)).collect();
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

/// Returns a round distance between the marks of an axis from 0 to a little over `top`, and how many
/// of them it takes.
fn axis_ticks(top: f64) -> (f64, usize) {
    let step = round_step(top / 5.0).max(1.0);
    let count = ((top * 1.02) / step).ceil().max(1.0);
    (step, count as usize)
}

/// Returns the next of 1, 2, 5, 10, 20, 50 … or a tenth, hundredth … of them.
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
    // The page writes it: the library measures letters of a font that may not be here.
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

    fn any_night() -> impl Strategy<Value = RunTimeline> {
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

        /// Whatever a ledger tells, even with a clock that went astray, there is a plot.
        #[test]
        fn any_night_can_be_drawn(night in any_night(), key in ".{0,30}", in_flight in 0..50u32) {
            let keys = night.jobs.iter().map(|job| (job.position, key.clone())).collect();
            let pace = SubmitLimits { in_flight, submits_per_minute: Some(30.0) };
            let plots = draw_plots(&night, pace, &TimeZone::UTC, &keys);
            prop_assert_eq!(plots.is_empty(), night.jobs.is_empty());
            for plot in plots {
                prop_assert!(plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>"));
                prop_assert!(!plot.svg.contains("NaN"), "{}", plot.title);
            }
        }
    }

    #[test]
    fn the_marks_of_an_axis_are_round() {
        assert_eq!(axis_ticks(4.0), (1.0, 5));
        assert_eq!(axis_ticks(120.0), (50.0, 3));
        assert_eq!(axis_ticks(0.0), (1.0, 1));
        for (at_least, round) in [(0.8, 1.0), (1.1, 2.0), (30.0, 50.0), (51.0, 100.0), (0.03, 0.05)]
        {
            assert!((round_step(at_least) - round).abs() < 1e-9, "{at_least}");
        }
    }
}
