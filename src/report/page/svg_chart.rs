//! Charts as SVG: a frame with axes, round ticks and grid lines, and the bars and lines inside it.
//!
//! Colours are classes of the style sheet, so charts follow light and dark mode. The data and the captions belong
//! to `plots`. Invariant: every coordinate is finite and inside the drawing, whatever the values are.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::text::format_number;

const TOP_MARGIN: f64 = 8.0;
const RIGHT_MARGIN: f64 = 16.0;
const BOTTOM_MARGIN: f64 = 24.0;
/// Ticks of an axis, at most.
const TICKS_MAX: f64 = 6.0;
/// Distances between ticks of a time axis, in seconds; longer ones are round numbers of days.
const TIME_STEPS: [f64; 15] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0,
    43_200.0,
];
const SECONDS_PER_DAY: f64 = 86_400.0;

/// The values at the ends of an axis. The first one is left or at the bottom.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisRange {
    pub(super) first: f64,
    pub(super) last: f64,
}

/// A labelled position of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AxisTick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// A rectangle in the values of the axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChartBar {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) bottom: f64,
    pub(super) top: f64,
    /// Its colour: a class of the style sheet.
    pub(super) class: &'static str,
}

/// The area between the axes.
#[derive(Clone, Debug)]
pub(super) struct ChartFrame {
    /// The whole drawing, in pixels.
    pub(super) width: f64,
    pub(super) height: f64,
    /// The space for the labels of the vertical axis, in pixels.
    pub(super) left_margin: f64,
    pub(super) x: AxisRange,
    pub(super) y: AxisRange,
}

impl AxisRange {
    /// Returns the share of the way from the first value to the last, between 0 and 1.
    fn share(self, value: f64) -> f64 {
        let share = (value - self.first) / (self.last - self.first);
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Returns ticks at round numbers.
    pub(super) fn number_ticks(self, unit: &str) -> Vec<AxisTick> {
        let step = round_step((self.last - self.first).abs() / TICKS_MAX);
        ticks(self, step, 0.0, |value| format!("{}{unit}", format_number(value)))
    }

    /// Returns ticks at round whole numbers.
    pub(super) fn count_ticks(self) -> Vec<AxisTick> {
        let step = round_step((self.last - self.first).abs() / TICKS_MAX).max(1.0);
        ticks(self, step, 0.0, format_number)
    }

    /// Returns ticks at round times of day; values are seconds since 1970.
    pub(super) fn time_ticks(self, zone: &TimeZone) -> Vec<AxisTick> {
        let at_least = (self.last - self.first) / TICKS_MAX;
        let days = || round_step(at_least / SECONDS_PER_DAY).max(1.0) * SECONDS_PER_DAY;
        let step = TIME_STEPS.into_iter().find(|step| *step >= at_least).unwrap_or_else(days);
        let time = |value: f64| Timestamp::from_second(value as i64).unwrap_or_default();
        let offset = f64::from(zone.to_offset(time(self.first)).seconds());
        let format = match step {
            step if step < 60.0 => "%H:%M:%S",
            step if step < SECONDS_PER_DAY => "%H:%M",
            _ => "%Y-%m-%d",
        };
        let label = |value| time(value).to_zoned(zone.clone()).strftime(format).to_string();
        ticks(self, step, offset, label)
    }
}

/// Returns the multiples of a step within a range, counted from `-offset`.
fn ticks(range: AxisRange, step: f64, offset: f64, label: impl Fn(f64) -> String) -> Vec<AxisTick> {
    let first = ((range.first + offset) / step).ceil();
    let count = ((range.last + offset) / step).floor() - first;
    let tick = |number: u32| {
        let value = (first + f64::from(number)) * step - offset;
        AxisTick { value, label: label(value) }
    };
    (0..=count.clamp(0.0, 2.0 * TICKS_MAX) as u32).map(tick).collect()
}

/// Returns the next higher of 1, 2, 5, 10, 20, 50 … or of their tenths, hundredths ….
pub(super) fn round_step(at_least: f64) -> f64 {
    if !(at_least.is_finite() && at_least > 0.0) {
        return 1.0;
    }
    let ten = 10f64.powf(at_least.log10().floor());
    let round = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * ten >= at_least * 0.999);
    round.unwrap_or(10.0) * ten
}

impl ChartFrame {
    /// Draws the axes below the given shapes.
    pub(super) fn draw(
        &self,
        x_ticks: &[AxisTick],
        y_ticks: &[AxisTick],
        shapes: Markup,
    ) -> String {
        let (right, bottom) = (self.width - RIGHT_MARGIN, self.height - BOTTOM_MARGIN);
        let view = format!("0 0 {} {}", self.width, self.height);
        let drawing = html! {
            svg viewBox=(view) width=(self.width) height=(self.height) {
                @for tick in y_ticks {
                    @let y = self.pixel_y(tick.value);
                    line .grid x1=(self.left_margin) x2=(right) y1=(y) y2=(y) {}
                    text x=(self.left_margin - 6.0) y=(y + 4.0) text-anchor="end" { (tick.label) }
                }
                (shapes)
                line .axis x1=(self.left_margin) x2=(right) y1=(bottom) y2=(bottom) {}
                @for tick in x_ticks {
                    @let x = self.pixel_x(tick.value);
                    line .axis x1=(x) x2=(x) y1=(bottom) y2=(bottom + 4.0) {}
                    text x=(x) y=(bottom + 16.0) text-anchor="middle" { (tick.label) }
                }
            }
        };
        drawing.into_string()
    }

    /// Draws rectangles, each at least one pixel wide.
    pub(super) fn bars(&self, bars: &[ChartBar]) -> Markup {
        html! {
            @for bar in bars {
                @let (left, right) = (self.pixel_x(bar.from), self.pixel_x(bar.to));
                @let (top, bottom) = (self.pixel_y(bar.top), self.pixel_y(bar.bottom));
                @let width = (right - left).max(1.0);
                rect class=(bar.class) x=(left) y=(top) width=(pixel(width)) height=(pixel(bottom - top)) {}
            }
        }
    }

    /// Draws a line that keeps each value until the next one, up to the right edge.
    pub(super) fn step_line(&self, points: &[ChartPoint], class: &'static str) -> Markup {
        html! { path .line.(class) d=(self.step_path(points)) {} }
    }

    /// Fills the area below such a line.
    pub(super) fn step_area(&self, points: &[ChartPoint], class: &'static str) -> Markup {
        let bottom = self.pixel_y(self.y.first);
        let path = format!("{}V{bottom}H{}Z", self.step_path(points), self.pixel_x(self.x.first));
        html! { path .(class) d=(path) {} }
    }

    fn step_path(&self, points: &[ChartPoint]) -> String {
        let start = points.first().map_or(self.y.first, |point| point.y);
        let mut path = format!("M{} {}", self.pixel_x(self.x.first), self.pixel_y(start));
        for point in points {
            path.push_str(&format!("H{}V{}", self.pixel_x(point.x), self.pixel_y(point.y)));
        }
        path.push_str(&format!("H{}", self.pixel_x(self.x.last)));
        path
    }

    /// Draws a dashed line across the chart.
    pub(super) fn limit_line(&self, value: f64) -> Markup {
        let (left, right) = (self.pixel_x(self.x.first), self.pixel_x(self.x.last));
        let y = self.pixel_y(value);
        html! { line .limit x1=(left) x2=(right) y1=(y) y2=(y) {} }
    }

    fn pixel_x(&self, value: f64) -> f64 {
        let length = self.width - self.left_margin - RIGHT_MARGIN;
        pixel(self.left_margin + self.x.share(value) * length)
    }

    fn pixel_y(&self, value: f64) -> f64 {
        let length = self.height - TOP_MARGIN - BOTTOM_MARGIN;
        pixel(self.height - BOTTOM_MARGIN - self.y.share(value) * length)
    }
}

/// A point of a line, in the values of the axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChartPoint {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Rounds to a tenth of a pixel, which keeps the page small.
fn pixel(position: f64) -> f64 {
    (position * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[AxisTick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn number_ticks_are_round_numbers() {
        let ticks = |last| AxisRange { first: 0.0, last }.number_ticks("");
        assert_eq!(labels(&ticks(4.0)), ["0", "1", "2", "3", "4"]);
        assert_eq!(labels(&ticks(120.0)), ["0", "20", "40", "60", "80", "100", "120"]);
        assert_eq!(
            labels(&AxisRange { first: 0.0, last: 3.0 }.count_ticks()),
            ["0", "1", "2", "3"]
        );
        assert_eq!(labels(&AxisRange { first: 0.0, last: 0.0 }.number_ticks(" s")), ["0 s"]);
        for (at_least, round) in [(0.8, 1.0), (1.1, 2.0), (30.0, 50.0), (51.0, 100.0), (0.03, 0.05)]
        {
            assert!((round_step(at_least) - round).abs() < 1e-9, "{at_least}");
        }
    }

    #[test]
    fn time_ticks_are_round_times_of_the_local_day() {
        let india =
            TimeZone::fixed(jiff::tz::offset(5).saturating_add(jiff::Span::new().minutes(30)));
        let from = |seconds: f64| AxisRange { first: 1000.0, last: 1000.0 + seconds };
        assert_eq!(
            labels(&from(20.0).time_ticks(&TimeZone::UTC)),
            ["00:16:40", "00:16:45", "00:16:50", "00:16:55", "00:17:00"]
        );
        assert_eq!(labels(&from(3600.0).time_ticks(&india))[..2], ["05:50", "06:00"]);
        assert_eq!(
            labels(&from(2.0 * SECONDS_PER_DAY).time_ticks(&TimeZone::UTC))[..2],
            ["12:00", "00:00"]
        );
        assert_eq!(
            labels(&from(40.0 * SECONDS_PER_DAY).time_ticks(&TimeZone::UTC))[0],
            "1970-01-11"
        );
    }
}
