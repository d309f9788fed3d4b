//! The plots of the page, drawn as SVG by a library.
//!
//! Their colours are words for the style sheet, which gives them the page's own in light and in
//! dark. Nothing in them is text from outside but keys, which the library escapes.

use std::collections::BTreeMap;

use charts_rs::{
    AxisType, ChartBase, Color, GanttChart, GanttTask, HistogramChart, LineChart, LineStep,
    MarkLine, MarkLineCategory, Series, Symbol, YAxisConfig,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Pace;
use super::body::amount;
use super::night::{Night, Steps};

/// Jobs that get a line of their own in the timeline.
const LANES: usize = 40;
/// Points of a line.
const STEPS: usize = 120;
/// Points of a line that counts what happens in a minute: with more, it is all noise.
const MINUTES: usize = 30;
/// Characters of a key beside its line.
const KEY_MAX: usize = 20;

/// Replaced by the style sheet.
const WAITING: &str = "#0A0A01";
const RENDERING: &str = "#0A0A02";
const FETCHING: &str = "#0A0A03";
const LIMIT: &str = "#0A0A04";
const GRID: &str = "#0A0A05";
const AXIS: &str = "#0A0A06";
const PAPER: &str = "#0A0A07";

const WIDTH: f32 = 920.0;
const HALF: f32 = 450.0;
const HEIGHT: f32 = 240.0;

/// A plot, and what it says in words.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) svg: String,
    /// For who cannot see it, and below it for everybody.
    pub(super) words: String,
    pub(super) wide: bool,
    /// What its colours mean: a class of the style sheet and a name.
    pub(super) legend: &'static [(&'static str, &'static str)],
}

/// Draws what there is to draw; `keys` names the jobs that are shown one by one.
pub(super) fn draw(
    night: &Night,
    pace: Pace,
    zone: &TimeZone,
    keys: &BTreeMap<i64, String>,
) -> Vec<Plot> {
    if night.jobs.is_empty() {
        return Vec::new();
    }
    let east =
        Timestamp::from_millisecond(night.began).map_or(0, |at| zone.to_offset(at).seconds() / 60);
    [
        timeline(night, east, keys),
        under_way(&Steps::of(night, STEPS), pace, east),
        speed(&Steps::of(night, MINUTES), pace, east),
        spread(night),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the jobs that get a line of their own: all, or some in equal distances.
pub(super) fn lanes(night: &Night) -> impl Iterator<Item = &super::night::Pass> {
    night.jobs.iter().step_by(night.jobs.len().div_ceil(LANES).max(1))
}

fn timeline(night: &Night, east: i32, keys: &BTreeMap<i64, String>) -> Option<Plot> {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut tasks = Vec::new();
    let mut shown = 0;
    for (number, job) in lanes(night).enumerate() {
        shown += 1;
        // Two long keys may look alike when clipped, and must not share a line.
        let key = keys.get(&job.position).map_or("", String::as_str);
        let row = format!("{}{}", clipped(key), "\u{200b}".repeat(number % 7));
        let rendered = job.rendered.unwrap_or(night.ended);
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
        part("waiting", night.began, job.paid, WAITING);
        part("rendering", job.paid, rendered, RENDERING);
        if job.rendered.is_some() {
            part("downloading", rendered, job.done.unwrap_or(night.ended), FETCHING);
        }
    }
    let mut chart = GanttChart::new(tasks);
    dress(&mut chart, WIDTH, 60.0 + 16.0 * shown as f32);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = east;
    chart.x_axis.min = Some(seconds(night.began));
    chart.x_axis.max = Some(seconds(night.ended));
    chart.series.colors = [WAITING, RENDERING, FETCHING].map(Color::from).to_vec();
    chart.label_show = false;
    chart.radius = 2.0;
    chart.y_axis_configs.iter_mut().for_each(dress_axis);
    let every = night.jobs.len().div_ceil(LANES).max(1);
    let which = if every == 1 {
        format!("All {shown} jobs")
    } else {
        format!("{shown} of {} jobs, one in {every}", night.jobs.len())
    };
    let words =
        format!("{which}, in the order of their requests; each job's own is in its row below.");
    Some(Plot {
        title: "Timeline",
        svg: chart.svg().ok()?,
        words,
        wide: true,
        legend: &[("w", "waiting"), ("r", "rendering"), ("f", "downloading")],
    })
}

fn under_way(steps: &Steps, pace: Pace, east: i32) -> Option<Plot> {
    let mut line = series("rendering", &steps.rendering, 1.0, RENDERING);
    line.fill = Some(true);
    let most = steps.rendering.iter().max().copied().unwrap_or(0);
    let limit = f64::from(pace.in_flight);
    line.mark_lines = mark(limit);
    let top = limit.max(f64::from(most));
    let mut chart = over_time(vec![line], steps, east, (top, &[RENDERING]));
    chart.series.fill_opacity = Some(0.25);
    let words = format!(
        "At most {most} at once; the dashed line is the limit (in_flight = {}).",
        pace.in_flight
    );
    Some(Plot {
        title: "Renders under way",
        svg: chart.svg().ok()?,
        words,
        wide: false,
        legend: &[],
    })
}

fn speed(steps: &Steps, pace: Pace, east: i32) -> Option<Plot> {
    let per_minute = 1.0 / steps.minutes;
    let mut begun = series("begun", &steps.begun, per_minute, RENDERING);
    let done = series("done", &steps.done, per_minute, FETCHING);
    let most = |counts: &[u32]| f64::from(counts.iter().max().copied().unwrap_or(0)) * per_minute;
    let (most_begun, most_done) = (most(&steps.begun), most(&steps.done));
    let mut top = most_begun.max(most_done);
    let (begun_told, done_told) = (rate(most_begun), rate(most_done));
    let mut words = format!("At most {begun_told} begun and {done_told} done in a minute; ");
    // A limit far above everything would leave nothing else to see.
    match pace.submits_per_minute {
        Some(limit) if limit <= 4.0 * top => {
            begun.mark_lines = mark(limit);
            top = top.max(limit);
            let limit = amount(limit);
            words.push_str(&format!("the dashed line is the limit (submits = {limit}/min)."));
        }
        Some(limit) => {
            let limit = amount(limit);
            words.push_str(&format!("the limit of {limit}/min (submits) lies far above."));
        }
        None => words.push_str("there is no limit (submits)."),
    }
    let chart = over_time(vec![begun, done], steps, east, (top, &[RENDERING, FETCHING]));
    Some(Plot {
        title: "Videos per minute",
        svg: chart.svg().ok()?,
        words,
        wide: false,
        legend: &[("r", "begun"), ("f", "done")],
    })
}

/// Returns a speed with no more digits than anyone asks for: 0.25, 3.5, 114.
fn rate(number: f64) -> String {
    match number {
        fast if fast >= 10.0 => format!("{fast:.0}"),
        slow => amount(slow),
    }
}

fn spread(night: &Night) -> Option<Plot> {
    let mut took: Vec<i64> = night.render_ms().collect();
    took.sort_unstable();
    let (first, last) = (*took.first()?, *took.last()?);
    let (unit, ms) = if last < 180_000 { ("s", 1000.0) } else { ("min", 60_000.0) };
    let data: Vec<f32> = took.iter().map(|took| (*took as f64 / ms) as f32).collect();
    let mut chart = HistogramChart::new(vec![Series::new("renders".to_owned(), data)]);
    dress(&mut chart, HALF, HEIGHT);
    chart.bin_width = Some(round_step((last - first) as f64 / ms / 16.0) as f32);
    chart.series.colors = vec![RENDERING.into()];
    chart.y_axis_configs.iter_mut().for_each(dress_axis);
    chart.x_axis.formatter = Some(format!("{{c}} {unit}"));
    let in_words = |ms: i64| super::body::span(ms);
    let words = format!(
        "{} renders took {} to {}, half of them no more than {}.",
        took.len(),
        in_words(first),
        in_words(last),
        in_words(took[took.len() / 2])
    );
    Some(Plot {
        title: "How long a render takes",
        svg: chart.svg().ok()?,
        words,
        wide: false,
        legend: &[],
    })
}

fn series(name: &str, counts: &[u32], factor: f64, color: &str) -> Series {
    let data = counts.iter().map(|count| (f64::from(*count) * factor) as f32).collect();
    let mut series = Series::new(name.to_owned(), data);
    series.step = Some(LineStep::Start);
    series.symbol = Some(Symbol::None);
    series.colors = Some(vec![Some(color.into())]);
    series
}

fn mark(limit: f64) -> Vec<MarkLine> {
    vec![MarkLine {
        category: MarkLineCategory::Value(limit as f32),
        color: Some(LIMIT.into()),
        stroke_width: Some(1.5),
        stroke_dash_array: None,
    }]
}

fn over_time(
    lines: Vec<Series>,
    steps: &Steps,
    east: i32,
    (top, colors): (f64, &[&str]),
) -> LineChart {
    let mut chart = LineChart::new(lines, Vec::new());
    dress(&mut chart, HALF, HEIGHT);
    chart.x_axis.kind = AxisType::Time;
    chart.x_axis.time_offset = east;
    chart.x_axis.values = steps.at.clone();
    chart.series.colors = colors.iter().map(|color| Color::from(*color)).collect();
    chart.series.stroke_width = 2.0;
    for axis in &mut chart.y_axis_configs {
        dress_axis(axis);
        let (step, count) = ticks(top);
        axis.min = Some(0.0);
        axis.max = Some((step * count as f64) as f32);
        axis.split_number = count;
    }
    chart
}

/// Returns a round distance between the marks of an axis from 0 to a little over `top`, and how many
/// of them it takes.
fn ticks(top: f64) -> (f64, usize) {
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

fn dress(chart: &mut ChartBase, width: f32, height: f32) {
    (chart.width, chart.height) = (width, height);
    chart.background_color = PAPER.into();
    chart.font_family = "system-ui".to_owned();
    chart.compact = true;
    chart.grid.stroke_color = GRID.into();
    chart.x_axis.stroke_color = AXIS.into();
    chart.x_axis.font.color = AXIS.into();
    chart.x_axis.font.size = 11.0;
    // The page writes it: the library measures letters of a font that may not be here.
    chart.legend.show = Some(false);
    chart.series.label.font.color = AXIS.into();
    chart.series.label.font.size = 11.0;
}

fn dress_axis(axis: &mut YAxisConfig) {
    axis.stroke_color = AXIS.into();
    axis.font.color = AXIS.into();
    axis.font.size = 11.0;
}

fn clipped(key: &str) -> String {
    let mut letters = key.chars();
    let mut out: String = letters.by_ref().take(KEY_MAX).collect();
    if letters.next().is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::night::Pass;
    use super::*;

    fn any_night() -> impl Strategy<Value = Night> {
        let pass = (
            0..i64::from(u32::MAX),
            prop::option::of(0..1i64 << 40),
            prop::option::of(0..1i64 << 40),
        );
        let jobs = prop::collection::vec(pass, 0..120);
        (0..1i64 << 42, 1..1i64 << 36, jobs).prop_map(|(began, length, jobs)| {
            let pass = |(position, (paid, rendered, done)): (usize, (i64, Option<i64>, _))| Pass {
                position: position as i64,
                paid: began + paid,
                rendered: rendered.map(|took| began + paid + took),
                done: rendered.and(done).map(|took: i64| began + paid + took),
            };
            let mut jobs: Vec<Pass> = jobs.into_iter().enumerate().map(pass).collect();
            jobs.sort_by_key(|job| job.paid);
            Night { run: None, began, ended: began + length, jobs }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever a ledger tells, even with a clock that went astray, there is a plot.
        #[test]
        fn any_night_can_be_drawn(night in any_night(), key in ".{0,30}", in_flight in 0..50u32) {
            let keys = night.jobs.iter().map(|job| (job.position, key.clone())).collect();
            let pace = Pace { in_flight, submits_per_minute: Some(30.0) };
            let plots = draw(&night, pace, &TimeZone::UTC, &keys);
            prop_assert_eq!(plots.is_empty(), night.jobs.is_empty());
            for plot in plots {
                prop_assert!(plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>"));
                prop_assert!(!plot.svg.contains("NaN"), "{}", plot.title);
            }
        }
    }

    #[test]
    fn the_marks_of_an_axis_are_round() {
        assert_eq!(ticks(4.0), (1.0, 5));
        assert_eq!(ticks(120.0), (50.0, 3));
        assert_eq!(ticks(0.0), (1.0, 1));
        for (at_least, round) in [(0.8, 1.0), (1.1, 2.0), (30.0, 50.0), (51.0, 100.0), (0.03, 0.05)]
        {
            assert!((round_step(at_least) - round).abs() < 1e-9, "{at_least}");
        }
    }
}
