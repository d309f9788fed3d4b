//! `[window]`: the times of day, weekdays and time zone in which submissions are allowed.
//!
//! Only the calendar, for a given time; the runner acts on it. A window belongs to the day on which
//! it begins: `["fri"]` from 22:00 to 06:00 ends on Saturday morning. When clocks change, a time
//! that does not exist is moved forward by the gap, and of a time that occurs twice the first
//! applies.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{SettingProblem, SettingsReader};
use super::value;

const SECTION: &str = "window";
/// Days searched for the next opening: a week, and one more because of time zones.
const DAYS_AHEAD: i64 = 8;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The times in which a batch may submit.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeWindow {
    from: Time,
    to: Time,
    /// Weekdays on which it opens; empty: every day.
    days: Vec<Weekday>,
    zone: TimeZone,
}

/// The state of a window at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// Submissions are allowed.
    Open {
        /// The end of the window.
        until: Timestamp,
    },
    /// Submissions are not allowed.
    Closed {
        /// The next opening; `None` if there is none.
        opens_at: Option<Timestamp>,
    },
}

impl TimeWindow {
    /// Returns the state of the window at `now`.
    pub fn state_at(&self, now: Timestamp) -> WindowState {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut opens_at = None;
        for days in -1..=DAYS_AHEAD {
            let Ok(date) = today.checked_add(days.days()) else { continue };
            let Some((begins, ends)) = self.interval_on(date) else { continue };
            if begins <= now && now < ends {
                return WindowState::Open { until: ends };
            }
            if now < begins && opens_at.is_none() {
                opens_at = Some(begins);
            }
        }
        WindowState::Closed { opens_at }
    }

    /// Formats a time in the time zone of the window.
    pub fn format_local_time(&self, at: Timestamp) -> String {
        let local = at.to_zoned(self.zone.clone());
        format!("{} ({})", local.strftime("%A, %Y-%m-%d %H:%M"), self.zone_name())
    }

    /// Returns the start and the end of the window that begins on `date`.
    fn interval_on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&date.weekday()) {
            return None;
        }
        let end_date = if self.to <= self.from { date.tomorrow().ok()? } else { date };
        let at = |date: Date, time: Time| {
            self.zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()
        };
        let (begins, ends) = (at(date, self.from)?, at(end_date, self.to)?);
        // If clocks skip the whole window, there is none on that day.
        (begins < ends).then(|| (begins.timestamp(), ends.timestamp()))
    }

    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        if !reader.has_table(SECTION) {
            return None;
        }
        let from = reader.get_required_in(SECTION, "from", "22:00", parse_time);
        let to = reader.get_required_in(SECTION, "to", "06:00", parse_time);
        let zone = reader.get_required_in(SECTION, "zone", "Asia/Seoul", parse_time_zone);
        let days = reader.get(SECTION, "days", parse_days).unwrap_or_default();
        let (from, to, zone) = (from?, to?, zone?);
        if from == to {
            let problem = SettingProblem::new("is the same as `from`, so the window never opens");
            reader.reject_value(
                SECTION,
                "to",
                problem.with_help("remove `[window]` to run at any time"),
            );
        }
        Some(Self { from, to, days, zone })
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |time: Time| time.strftime("%H:%M").to_string();
        write!(f, "{} to {} {}", clock(self.from), clock(self.to), self.zone_name())?;
        if self.days.is_empty() {
            return Ok(());
        }
        let days = DAYS.iter().filter(|(_, day)| self.days.contains(day));
        let names: Vec<_> = days.map(|(name, _)| *name).collect();
        write!(f, ", {}", names.join(" "))
    }
}

fn parse_time(value: &DeValue<'_>) -> Result<Time, SettingProblem> {
    let wrong = || SettingProblem::new("is not a time of day").with_help("write it like \"22:00\"");
    let text = value::parse_text(value)?;
    Time::strptime("%H:%M", &text).map_err(|_| wrong())
}

fn parse_time_zone(value: &DeValue<'_>) -> Result<TimeZone, SettingProblem> {
    let text = value::parse_text(value)?;
    TimeZone::get(text.trim()).map_err(|_| {
        SettingProblem::new("is not a known time zone").with_help(
            "write continent and city, such as \"Asia/Seoul\" or \"Europe/Berlin\", or \"UTC\"",
        )
    })
}

fn parse_days(value: &DeValue<'_>) -> Result<Vec<Weekday>, SettingProblem> {
    let items: Vec<&DeValue<'_>> = match value {
        DeValue::Array(items) => items.iter().map(Spanned::get_ref).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => vec![value],
    };
    let mut days = Vec::new();
    for item in items {
        let text = value::parse_text(item)?.to_lowercase();
        let day = DAYS.iter().find(|(name, _)| text.get(..3) == Some(*name));
        let Some((_, day)) = day else {
            return Err(SettingProblem::new(format!("contains the unknown day `{text}`"))
                .with_help("the days are mon, tue, wed, thu, fri, sat and sun"));
        };
        if days.contains(day) {
            return Err(SettingProblem::new(format!("contains `{text}` twice")));
        }
        days.push(*day);
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_window(from: &str, to: &str, zone: &str, days: &[Weekday]) -> TimeWindow {
        let time = |text| Time::strptime("%H:%M", text).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        TimeWindow { from: time(from), to: time(to), days: days.to_vec(), zone }
    }

    /// Returns the state of the window as text, in UTC.
    fn describe_state(window: &TimeWindow, now: &str) -> String {
        let short = |at: Timestamp| at.strftime("%a %d %H:%M").to_string();
        match window.state_at(now.parse().unwrap()) {
            WindowState::Open { until } => format!("open until {}", short(until)),
            WindowState::Closed { opens_at } => {
                format!("closed until {}", opens_at.map_or("never".to_owned(), short))
            }
        }
    }

    #[test]
    fn window_over_midnight_ends_the_next_day_in_its_time_zone() {
        let window = new_window("22:00", "06:00", "Asia/Seoul", &[]);
        for (now, expected) in [
            ("2026-11-20T12:59:59Z", "closed until Fri 20 13:00"),
            ("2026-11-20T13:00:00Z", "open until Fri 20 21:00"),
            ("2026-11-20T15:30:00Z", "open until Fri 20 21:00"),
            ("2026-11-20T20:59:59Z", "open until Fri 20 21:00"),
            ("2026-11-20T21:00:00Z", "closed until Sat 21 13:00"),
        ] {
            assert_eq!(describe_state(&window, now), expected, "{now}");
        }
        let day = new_window("09:00", "17:00", "UTC", &[]);
        assert_eq!(describe_state(&day, "2026-11-20T08:00:00Z"), "closed until Fri 20 09:00");
        assert_eq!(describe_state(&day, "2026-11-20T12:00:00Z"), "open until Fri 20 17:00");
    }

    #[test]
    fn window_belongs_to_the_day_on_which_it_begins() {
        let fridays = new_window("22:00", "06:00", "UTC", &[Weekday::Friday]);
        assert_eq!(describe_state(&fridays, "2026-11-21T05:00:00Z"), "open until Sat 21 06:00");
        assert_eq!(describe_state(&fridays, "2026-11-20T05:00:00Z"), "closed until Fri 20 22:00");
        assert_eq!(describe_state(&fridays, "2026-11-21T06:00:00Z"), "closed until Fri 27 22:00");
    }

    #[test]
    fn window_is_an_hour_shorter_or_longer_when_clocks_change() {
        let long = new_window("22:00", "06:00", "Europe/Berlin", &[]);
        // Forward on 29 March 2026, back on 25 October.
        assert_eq!(describe_state(&long, "2026-03-28T21:00:00Z"), "open until Sun 29 04:00");
        assert_eq!(describe_state(&long, "2026-10-24T20:00:00Z"), "open until Sun 25 05:00");
        let small = new_window("02:15", "02:45", "Europe/Berlin", &[]);
        // The hour from two to three does not exist and is moved to three to four.
        assert_eq!(describe_state(&small, "2026-03-29T00:00:00Z"), "closed until Sun 29 01:15");
        assert_eq!(describe_state(&small, "2026-03-29T01:20:00Z"), "open until Sun 29 01:45");
        // In autumn it occurs twice, and the first applies.
        assert_eq!(describe_state(&small, "2026-10-25T00:20:00Z"), "open until Sun 25 00:45");
        assert_eq!(describe_state(&small, "2026-10-25T01:20:00Z"), "closed until Mon 26 01:15");
        let skipped = new_window("02:30", "03:10", "Europe/Berlin", &[]);
        assert_eq!(describe_state(&skipped, "2026-03-29T00:59:00Z"), "closed until Mon 30 00:30");
    }

    #[test]
    fn windows_open_and_close_at_the_announced_times() {
        let zones = ["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"];
        for (zone, hour) in zones.into_iter().flat_map(|zone| (0..24).map(move |hour| (zone, hour)))
        {
            let (from, to) = (format!("{hour:02}:30"), format!("{:02}:00", (hour + 7) % 24));
            let window = new_window(&from, &to, zone, &[Weekday::Sunday, Weekday::Wednesday]);
            let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let (mut openings, year) = (0, "2027-01-01T00:00:00Z".parse().unwrap());
            while now < year {
                now = match window.state_at(now) {
                    WindowState::Open { until } => {
                        assert!(now < until);
                        until
                    }
                    WindowState::Closed { opens_at } => {
                        let opens_at = opens_at.unwrap();
                        assert!(now < opens_at);
                        assert!(matches!(window.state_at(opens_at), WindowState::Open { .. }));
                        openings += 1;
                        opens_at
                    }
                };
            }
            assert!((104..=106).contains(&openings), "{zone} {from}: {openings}");
        }
    }
}
