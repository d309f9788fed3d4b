//! The text of an XLSX cell as the spreadsheet shows it.
//!
//! Number formats are followed. Where one depends on the settings of a computer, as the short date does,
//! dates and times are written in ISO 8601 and numbers without a format. Invariant: the text does not
//! depend on the machine, and whether the format was followed is returned with it.

use calamine::{Data, ExcelDateTime};

use super::ERROR_MARKER;
use super::number_format::{DateEpoch, NumberFormat, format_general};
use crate::text::trim_invisible;

/// The number format of a style.
#[derive(Debug)]
pub(super) enum CellFormatRule {
    General,
    Parsed(NumberFormat),
    /// A format that depends on the machine, or is not understood.
    NotFollowed,
}

/// A cell as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CellText {
    /// UTF-8, or [`ERROR_MARKER`] and the name of an error.
    pub(super) bytes: Vec<u8>,
    /// Whether the number format was followed.
    pub(super) is_followed: bool,
}

impl CellFormatRule {
    /// Returns the rule for a code; `None` stands for a built-in format without one.
    pub(super) fn new(code: Option<&str>) -> Self {
        match code {
            None | Some("" | "General") => Self::General,
            Some(code) => NumberFormat::parse(code).map_or(Self::NotFollowed, Self::Parsed),
        }
    }

    fn format_number(&self, number: f64, epoch: DateEpoch) -> Option<String> {
        match self {
            Self::General => Some(format_general(number)),
            Self::Parsed(format) => format.format_number(number, epoch),
            Self::NotFollowed => None,
        }
    }

    /// Returns a text with what the format adds to it, except blanks.
    fn format_text(&self, text: &str) -> String {
        let shown = match self {
            Self::Parsed(format) => format.format_text(text),
            Self::General | Self::NotFollowed => None,
        };
        let is_same = |shown: &String| trim_invisible(shown) == trim_invisible(text);
        shown.filter(|shown| !is_same(shown)).unwrap_or_else(|| text.to_owned())
    }
}

/// Returns the text of a cell.
pub(super) fn cell_text(value: &Data, format: &CellFormatRule, epoch: DateEpoch) -> CellText {
    let number = |number: f64, fallback: String| {
        let shown = format.format_number(number, epoch);
        let is_followed = shown.is_some();
        CellText { bytes: shown.unwrap_or(fallback).into_bytes(), is_followed }
    };
    let text = match value {
        Data::Empty => String::new(),
        Data::String(text) => format.format_text(text),
        Data::Int(whole) => return number(*whole as f64, whole.to_string()),
        Data::Float(value) => return number(*value, format_general(*value)),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(moment) => {
            let fallback = format_date_time(moment);
            return match format {
                // A built-in format without a code depends on the machine.
                CellFormatRule::General => {
                    CellText { bytes: fallback.into_bytes(), is_followed: false }
                }
                CellFormatRule::Parsed(_) | CellFormatRule::NotFollowed => {
                    number(moment.as_f64(), fallback)
                }
            };
        }
        Data::DateTimeIso(iso) => format_iso_date_time(iso),
        Data::DurationIso(iso) => format_iso_duration(iso).unwrap_or_else(|| iso.clone()),
        Data::Error(error) => {
            return CellText { bytes: error_cell(&error.to_string()), is_followed: true };
        }
    };
    let is_iso = matches!(value, Data::DateTimeIso(_) | Data::DurationIso(_));
    CellText { bytes: text.into_bytes(), is_followed: !is_iso }
}

/// Returns the bytes for a cell with this error; empty for a formula without a value.
pub(super) fn error_cell(error: &str) -> Vec<u8> {
    [&[ERROR_MARKER], error.as_bytes()].concat()
}

fn format_date_time(moment: &ExcelDateTime) -> String {
    if moment.is_duration() {
        let seconds = (moment.as_f64() * 86_400.0).round();
        let sign = if seconds < 0.0 { "-" } else { "" };
        let seconds = seconds.abs() as u64;
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let time = match second {
        0 => format!("{hour:02}:{minute:02}"),
        _ => format!("{hour:02}:{minute:02}:{second:02}"),
    };
    if (0.0..1.0).contains(&moment.as_f64()) {
        return time;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) { date } else { format!("{date} {time}") }
}

/// Converts `2026-11-21T14:30:00.000` to `2026-11-21 14:30`.
pub(super) fn format_iso_date_time(iso: &str) -> String {
    let Some((date, time)) = iso.split_once('T') else { return iso.to_owned() };
    let time = time.split('.').next().unwrap_or(time).trim_end_matches('Z');
    match time.strip_suffix(":00").unwrap_or(time) {
        "00:00" => date.to_owned(),
        time => format!("{date} {time}"),
    }
}

/// Converts `PT14H30M00S` to `14:30`.
pub(super) fn format_iso_duration(iso: &str) -> Option<String> {
    let (hours, rest) = iso.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?.split(['.', ',']).next()?;
    let number = |text: &str| text.parse::<u32>().ok();
    let (hours, minutes, seconds) = (number(hours)?, number(minutes)?, number(seconds)?);
    Some(match seconds {
        0 => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    })
}

#[cfg(test)]
mod tests {
    use calamine::{CellErrorType, ExcelDateTimeType};

    use super::*;

    fn text(value: Data, code: Option<&str>) -> CellText {
        cell_text(&value, &CellFormatRule::new(code), DateEpoch::Year1900)
    }

    #[test]
    fn dates_without_a_format_that_can_be_followed_are_written_in_iso_8601() {
        let excel = |value, kind| Data::DateTime(ExcelDateTime::new(value, kind, false));
        let moment = |value| excel(value, ExcelDateTimeType::DateTime);
        for (value, want) in [
            (moment(46_347.0), "2026-11-21"),
            (moment(46_347.604_166_666_664), "2026-11-21 14:30"),
            (moment(46_347.604_178_240_74), "2026-11-21 14:30:01"),
            (moment(0.25), "06:00"),
            (excel(1.5, ExcelDateTimeType::TimeDelta), "36:00:00"),
            (Data::DateTimeIso("2026-11-21".to_owned()), "2026-11-21"),
            (Data::DateTimeIso("2026-11-21T00:00:00".to_owned()), "2026-11-21"),
            (Data::DateTimeIso("2026-11-21T14:30:05.000".to_owned()), "2026-11-21 14:30:05"),
            (Data::DurationIso("PT14H30M00S".to_owned()), "14:30"),
            (Data::DurationIso("P1D".to_owned()), "P1D"),
        ] {
            for code in [None, Some("mm-dd-yy"), Some("[$-F800]dddd, mmmm dd, yyyy")] {
                let shown = text(value.clone(), code);
                assert_eq!((shown.bytes, shown.is_followed), (want.into(), false), "{code:?}");
            }
        }
    }

    #[test]
    fn an_error_differs_from_any_text() {
        assert_eq!(text(Data::Error(CellErrorType::NA), None).bytes, b"\xfe#N/A");
    }
}
