//! When a run may submit: until a given time of day, and within the batch file's window.
//!
//! A run does not wait for its window. If it is started outside (a wrong timer, a user by day), it
//! submits nothing, reports when the window opens, and still downloads renders in progress.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, Zoned};

use crate::batch::{TimeWindow, WindowState};

/// The options of a run that concern time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WindowOptions {
    /// Nothing is submitted after this time of day.
    pub(crate) until: Option<Time>,
    /// Ignores the batch file's window for this run.
    pub(crate) any_time: bool,
}

/// When one run may submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubmissionWindow {
    /// Nothing is submitted after this time.
    pub(crate) until: Option<Timestamp>,
    /// Why nothing can be submitted now, as a message.
    pub(crate) closed_reason: Option<String>,
}

impl WindowOptions {
    /// Returns when a batch with this window may submit if it is run `now`.
    pub(crate) fn resolve(self, window: Option<&TimeWindow>, now: &Zoned) -> SubmissionWindow {
        let named = self.until.map(|until| next_occurrence(until, now));
        let Some(window) = window.filter(|_| !self.any_time) else {
            return SubmissionWindow { until: named, closed_reason: None };
        };
        match window.state_at(now.timestamp()) {
            WindowState::Open { until } => {
                let until = named.map_or(until, |named| named.min(until));
                SubmissionWindow { until: Some(until), closed_reason: None }
            }
            WindowState::Closed { opens_at } => SubmissionWindow {
                until: Some(now.timestamp()),
                closed_reason: Some(closed_message(window, opens_at)),
            },
        }
    }
}

fn closed_message(window: &TimeWindow, opens_at: Option<Timestamp>) -> String {
    let opens_at =
        opens_at.map_or("it opens".to_owned(), |opens_at| window.format_local_time(opens_at));
    format!(
        "outside the time window ({window}): nothing is submitted before {opens_at}; renders in \
         progress are downloaded (--any-time ignores the window)"
    )
}

/// Parses a time of day, such as `06:00`.
pub(crate) fn parse_time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| "write it as HH:MM, for example 06:00".to_owned())
}

/// Returns the next time after `now`, in its time zone, at which the clock shows `time`.
fn next_occurrence(time: Time, now: &Zoned) -> Timestamp {
    let on = |date: Date| date.to_datetime(time).to_zoned(now.time_zone().clone());
    let today = on(now.date()).ok().filter(|today| today > now);
    let next = today.or_else(|| on(now.date().tomorrow().ok()?).ok());
    next.map_or(Timestamp::MAX, |next| next.timestamp())
}

#[cfg(test)]
mod tests {
    use crate::session::time_window::*;

    fn window() -> TimeWindow {
        let source = "sheet = 's.csv'\ntemplate = 't.hbs'\n[window]\nfrom = '22:00'\nto = '06:00'\n\
                      zone = 'Asia/Seoul'\n";
        let batch = crate::batch::parse("b.toml".as_ref(), source.to_owned());
        batch.unwrap_or_else(|problems| panic!("{problems}")).window.unwrap()
    }

    fn until(time: &str) -> WindowOptions {
        WindowOptions { until: Some(parse_time_of_day(time).unwrap()), any_time: false }
    }

    fn resolve(options: WindowOptions, now: &str) -> SubmissionWindow {
        options.resolve(Some(&window()), &now.parse().unwrap())
    }

    #[test]
    fn the_earlier_of_until_and_the_window_ends_submitting() {
        let in_window = "2026-11-20T14:00:00+00:00[UTC]";
        for (options, end) in [
            (WindowOptions::default(), "2026-11-20T21:00:00Z"),
            (until("20:00"), "2026-11-20T20:00:00Z"),
            (until("23:00"), "2026-11-20T21:00:00Z"),
        ] {
            let resolved = resolve(options, in_window);
            assert_eq!(
                (resolved.until, resolved.closed_reason),
                (Some(end.parse().unwrap()), None)
            );
        }
    }

    #[test]
    fn outside_the_window_nothing_is_submitted_unless_the_window_is_ignored() {
        let by_day = "2026-11-20T08:00:00+00:00[UTC]";
        let closed = resolve(until("20:00"), by_day);
        assert_eq!(closed.until, Some("2026-11-20T08:00:00Z".parse().unwrap()));
        insta::assert_snapshot!(closed.closed_reason.unwrap(), @"outside the time window (22:00 to 06:00 Asia/Seoul): nothing is submitted before Friday, 2026-11-20 22:00 (Asia/Seoul); renders in progress are downloaded (--any-time ignores the window)");
        let ignored = resolve(WindowOptions { any_time: true, ..WindowOptions::default() }, by_day);
        assert_eq!(ignored, SubmissionWindow { until: None, closed_reason: None });
    }

    #[test]
    fn a_time_that_has_passed_today_means_tomorrow_even_when_clocks_change() {
        let next = |time: &str, now: &str| {
            next_occurrence(parse_time_of_day(time).unwrap(), &now.parse().unwrap()).to_string()
        };
        let evening = "2026-03-28T23:00:00+01:00[Europe/Berlin]";
        assert_eq!(next("06:00", evening), "2026-03-29T04:00:00Z");
        assert_eq!(next("23:30", evening), "2026-03-28T22:30:00Z");
        assert_eq!(next("02:30", evening), "2026-03-29T01:30:00Z");
    }
}
