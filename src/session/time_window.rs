//! When a run may spend: until a time of day that somebody named, and within the batch file's window.
//!
//! The calendar of a window is the batch's; here it meets the command line. A run does not wait for
//! its window: whoever starts it early (a timer that is set wrong, a person by day) is told when it
//! opens, and what is under way is brought home.

use clap::Args;
use jiff::civil::{Date, Time};
use jiff::{Timestamp, Zoned};

use crate::batch::{TimeWindow, WindowState};

/// The options of `run` and `resume`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WindowArgs {
    /// Submit nothing new after this time of day
    #[arg(long, value_name = "HH:MM", value_parser = parse_time_of_day)]
    until: Option<Time>,
    /// Ignore the `[window]` for this run
    #[arg(long)]
    any_time: bool,
}

/// When one run may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubmissionWindow {
    /// After this nothing is submitted.
    pub(crate) until: Option<Timestamp>,
    /// Why nothing may be submitted now, in words.
    pub(crate) closed_reason: Option<String>,
}

impl WindowArgs {
    /// Returns when a batch with this window may spend, if it is run `now`.
    pub(crate) fn resolve(&self, window: Option<&TimeWindow>, now: &Zoned) -> SubmissionWindow {
        let said = self.until.map(|until| next_occurrence(until, now));
        let Some(window) = window.filter(|_| !self.any_time) else {
            return SubmissionWindow { until: said, closed_reason: None };
        };
        match window.state_at(now.timestamp()) {
            WindowState::Open { until } => {
                let until = said.map_or(until, |said| said.min(until));
                SubmissionWindow { until: Some(until), closed_reason: None }
            }
            WindowState::Closed { opens_at: opens } => SubmissionWindow {
                until: Some(now.timestamp()),
                closed_reason: Some(closed_message(window, opens)),
            },
        }
    }
}

fn closed_message(window: &TimeWindow, opens: Option<Timestamp>) -> String {
    let opens = opens.map_or("again".to_owned(), |opens| window.format_local_time(opens));
    format!(
        "outside of its window ({window}): nothing is submitted before {opens}; what is under way \
         is brought home (--any-time runs it all the same)"
    )
}

/// Reads a time of day, such as `06:00`.
fn parse_time_of_day(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| "write it as HH:MM, for example 06:00".to_owned())
}

/// Returns when it will be `time` next, after `now` and in its time zone.
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

    fn hours(args: (Option<&str>, bool), now: &str) -> SubmissionWindow {
        let until = args.0.map(|text| parse_time_of_day(text).unwrap());
        let args = WindowArgs { until, any_time: args.1 };
        args.resolve(Some(&window()), &now.parse().unwrap())
    }

    #[test]
    fn of_a_time_that_was_named_and_the_window_the_earlier_holds() {
        let at_night = "2026-11-20T14:00:00+00:00[UTC]";
        for (until, then) in [
            (None, "2026-11-20T21:00:00Z"),
            (Some("20:00"), "2026-11-20T20:00:00Z"),
            (Some("23:00"), "2026-11-20T21:00:00Z"),
        ] {
            let hours = hours((until, false), at_night);
            assert_eq!((hours.until, hours.closed_reason), (Some(then.parse().unwrap()), None));
        }
    }

    #[test]
    fn outside_of_the_window_nothing_is_submitted_unless_somebody_insists() {
        let by_day = "2026-11-20T08:00:00+00:00[UTC]";
        let shut = hours((Some("20:00"), false), by_day);
        assert_eq!(shut.until, Some("2026-11-20T08:00:00Z".parse().unwrap()));
        insta::assert_snapshot!(shut.closed_reason.unwrap(), @"outside of its window (22:00 to 06:00 Asia/Seoul): nothing is submitted before Friday, 2026-11-20 22:00 (Asia/Seoul); what is under way is brought home (--any-time runs it all the same)");
        let insisted = hours((None, true), by_day);
        assert_eq!(insisted, SubmissionWindow { until: None, closed_reason: None });
    }

    #[test]
    fn a_time_that_is_past_today_is_tomorrows_also_when_clocks_are_set() {
        let next = |time: &str, now: &str| {
            next_occurrence(parse_time_of_day(time).unwrap(), &now.parse().unwrap()).to_string()
        };
        let evening = "2026-03-28T23:00:00+01:00[Europe/Berlin]";
        assert_eq!(next("06:00", evening), "2026-03-29T04:00:00Z");
        assert_eq!(next("23:30", evening), "2026-03-28T22:30:00Z");
        assert_eq!(next("02:30", evening), "2026-03-29T01:30:00Z");
    }
}
