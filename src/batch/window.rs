//! When a batch may spend: from this time of day to that, on these days, in a named time zone.
//!
//! Only the calendar: it is told what time it is, and says whether that lies within. What follows
//! is the runner's. A window belongs to the day on which it begins, so that `["fri"]` from 22:00 to
//! 06:00 ends on Saturday morning. On the two days a year when clocks are set, a time that does not
//! exist is the one that the clock shows instead, and a time that comes twice is the first of both.

use std::fmt;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use toml::Spanned;
use toml::de::DeValue;

use super::reader::{SettingProblem, SettingsReader};
use super::value;

const SECTION: &str = "window";
/// Days looked at for the next opening: a week, and one for each side of it.
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

/// When a batch may spend.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeWindow {
    from: Time,
    to: Time,
    /// Weekdays on which it opens; all when empty.
    days: Vec<Weekday>,
    zone: TimeZone,
}

/// Where a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// Within the window, which ends then.
    Open {
        /// Its end.
        until: Timestamp,
    },
    /// Outside of it.
    Closed {
        /// When it opens next; nothing when it never does.
        opens_at: Option<Timestamp>,
    },
}

impl TimeWindow {
    /// Returns where `now` lies.
    pub fn state_at(&self, now: Timestamp) -> WindowState {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut opens = None;
        for days in -1..=DAYS_AHEAD {
            let Ok(date) = today.checked_add(days.days()) else { continue };
            let Some((begins, ends)) = self.interval_on(date) else { continue };
            if begins <= now && now < ends {
                return WindowState::Open { until: ends };
            }
            if now < begins && opens.is_none() {
                opens = Some(begins);
            }
        }
        WindowState::Closed { opens_at: opens }
    }

    /// Returns a moment as the window's own clocks show it.
    pub fn format_local_time(&self, at: Timestamp) -> String {
        let local = at.to_zoned(self.zone.clone());
        format!("{} ({})", local.strftime("%A, %Y-%m-%d %H:%M"), self.zone_name())
    }

    /// Returns when the window that begins on `date` opens and shuts.
    fn interval_on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&date.weekday()) {
            return None;
        }
        let end_date = if self.to <= self.from { date.tomorrow().ok()? } else { date };
        let at = |date: Date, time: Time| {
            self.zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()
        };
        let (begins, ends) = (at(date, self.from)?, at(end_date, self.to)?);
        // Where clocks leap over the whole of it, there is none on that day.
        (begins < ends).then(|| (begins.timestamp(), ends.timestamp()))
    }

    fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        if !reader.has_table(SECTION) {
            return None;
        }
        let from = reader.get_required_in((SECTION, "from"), "22:00", parse_time);
        let to = reader.get_required_in((SECTION, "to"), "06:00", parse_time);
        let zone = reader.get_required_in((SECTION, "zone"), "Asia/Seoul", parse_time_zone);
        let days = reader.get(SECTION, "days", parse_days).unwrap_or_default();
        let (from, to, zone) = (from?, to?, zone?);
        if from == to {
            let complaint = SettingProblem::new("is the same as `from`, so the window never opens");
            reader.reject_value(
                SECTION,
                "to",
                complaint.with_help("leave `[window]` out to run all day"),
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
        let named = DAYS.iter().filter(|(_, day)| self.days.contains(day));
        let named: Vec<_> = named.map(|(word, _)| *word).collect();
        write!(f, ", {}", named.join(" "))
    }
}

fn parse_time(value: &DeValue<'_>) -> Result<Time, SettingProblem> {
    let wrong = || SettingProblem::new("is no time of day").with_help("write it like \"22:00\"");
    let text = value::parse_text(value)?;
    Time::strptime("%H:%M", &text).map_err(|_| wrong())
}

fn parse_time_zone(value: &DeValue<'_>) -> Result<TimeZone, SettingProblem> {
    let text = value::parse_text(value)?;
    TimeZone::get(text.trim()).map_err(|_| {
        SettingProblem::new("is no time zone that is known").with_help(
            "name it by continent and city, like \"Asia/Seoul\" or \"Europe/Berlin\", or UTC",
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
        let day = DAYS.iter().find(|(word, _)| text.get(..3) == Some(*word));
        let Some((_, day)) = day else {
            return Err(SettingProblem::new(format!("has no day `{text}`"))
                .with_help("the days are mon, tue, wed, thu, fri, sat and sun"));
        };
        if days.contains(day) {
            return Err(SettingProblem::new(format!("names `{text}` twice")));
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

    /// Returns where a moment lies, in the words of UTC.
    fn describe_state(window: &TimeWindow, now: &str) -> String {
        let short = |at: Timestamp| at.strftime("%a %d %H:%M").to_string();
        match window.state_at(now.parse().unwrap()) {
            WindowState::Open { until } => format!("open until {}", short(until)),
            WindowState::Closed { opens_at: opens } => {
                format!("shut until {}", opens.map_or("never".to_owned(), short))
            }
        }
    }

    #[test]
    fn a_night_begins_in_the_evening_and_ends_on_the_next_morning_of_its_own_zone() {
        let night = new_window("22:00", "06:00", "Asia/Seoul", &[]);
        for (now, told_then) in [
            ("2026-11-20T12:59:59Z", "shut until Fri 20 13:00"),
            ("2026-11-20T13:00:00Z", "open until Fri 20 21:00"),
            ("2026-11-20T15:30:00Z", "open until Fri 20 21:00"),
            ("2026-11-20T20:59:59Z", "open until Fri 20 21:00"),
            ("2026-11-20T21:00:00Z", "shut until Sat 21 13:00"),
        ] {
            assert_eq!(describe_state(&night, now), told_then, "{now}");
        }
        let day = new_window("09:00", "17:00", "UTC", &[]);
        assert_eq!(describe_state(&day, "2026-11-20T08:00:00Z"), "shut until Fri 20 09:00");
        assert_eq!(describe_state(&day, "2026-11-20T12:00:00Z"), "open until Fri 20 17:00");
    }

    #[test]
    fn a_window_belongs_to_the_day_on_which_it_begins() {
        let fridays = new_window("22:00", "06:00", "UTC", &[Weekday::Friday]);
        assert_eq!(describe_state(&fridays, "2026-11-21T05:00:00Z"), "open until Sat 21 06:00");
        assert_eq!(describe_state(&fridays, "2026-11-20T05:00:00Z"), "shut until Fri 20 22:00");
        assert_eq!(describe_state(&fridays, "2026-11-21T06:00:00Z"), "shut until Fri 27 22:00");
    }

    #[test]
    fn on_the_nights_when_clocks_are_set_the_window_is_an_hour_shorter_or_longer() {
        let night = new_window("22:00", "06:00", "Europe/Berlin", &[]);
        // Forward on 29 March 2026, back on 25 October.
        assert_eq!(describe_state(&night, "2026-03-28T21:00:00Z"), "open until Sun 29 04:00");
        assert_eq!(describe_state(&night, "2026-10-24T20:00:00Z"), "open until Sun 25 05:00");
        let small = new_window("02:15", "02:45", "Europe/Berlin", &[]);
        // The hour from two to three does not exist, and the clock shows three to four instead.
        assert_eq!(describe_state(&small, "2026-03-29T00:00:00Z"), "shut until Sun 29 01:15");
        assert_eq!(describe_state(&small, "2026-03-29T01:20:00Z"), "open until Sun 29 01:45");
        // It comes twice in autumn, and the first of both counts.
        assert_eq!(describe_state(&small, "2026-10-25T00:20:00Z"), "open until Sun 25 00:45");
        assert_eq!(describe_state(&small, "2026-10-25T01:20:00Z"), "shut until Mon 26 01:15");
        let leapt_over = new_window("02:30", "03:10", "Europe/Berlin", &[]);
        assert_eq!(describe_state(&leapt_over, "2026-03-29T00:59:00Z"), "shut until Mon 30 00:30");
    }

    #[test]
    fn whatever_the_window_it_shuts_when_it_said_and_opens_when_it_said() {
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
                    WindowState::Closed { opens_at: opens } => {
                        let opens = opens.unwrap();
                        assert!(
                            now < opens
                                && matches!(window.state_at(opens), WindowState::Open { .. })
                        );
                        openings += 1;
                        opens
                    }
                };
            }
            assert!((104..=106).contains(&openings), "{zone} {from}: {openings}");
        }
    }
}
