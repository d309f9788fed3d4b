//! The text of a cell as the spreadsheet shows it.
//!
//! Whole numbers have no `.0`, number formats of zeros and percent are applied, and dates and times
//! are written in ISO 8601. Invariant: the text does not depend on the machine, so formats that
//! depend on its locale (thousands, currencies, names of months) are ignored.

use calamine::{Data, ExcelDateTime};

use super::ERROR_MARKER;

/// Spreadsheets store and show at most this many digits.
const DIGITS: usize = 15;

/// Returns the text of a cell, or [`ERROR_MARKER`] and the name of its error.
pub(super) fn cell_text(value: &Data, format: Option<&str>) -> Vec<u8> {
    let text = match value {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Int(number) => format_number(*number as f64, format).unwrap_or(number.to_string()),
        Data::Float(number) => {
            format_number(*number, format).unwrap_or_else(|| format_general(*number))
        }
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(date_time) => format_date_time(date_time),
        Data::DateTimeIso(iso) => format_iso_date_time(iso),
        Data::DurationIso(iso) => format_iso_duration(iso).unwrap_or_else(|| iso.clone()),
        Data::Error(error) => return error_cell(&error.to_string()),
    };
    text.into_bytes()
}

/// Returns the bytes for a cell with this error; empty for a formula without a value.
pub(super) fn error_cell(error: &str) -> Vec<u8> {
    [&[ERROR_MARKER], error.as_bytes()].concat()
}

/// Returns a number without a format.
fn format_general(number: f64) -> String {
    let digits = format!("{number:.*e}", DIGITS - 1);
    let rounded: f64 = digits.parse().unwrap_or(number);
    // Zero has no sign in a spreadsheet.
    (rounded + 0.0).to_string()
}

/// Returns a number in a format of zeros and percent; `None` for other formats.
fn format_number(number: f64, format: Option<&str>) -> Option<String> {
    let format = format?;
    let (zeros, percent) = match format.strip_suffix('%') {
        Some(zeros) => (zeros, "%"),
        None => (format, ""),
    };
    let (whole, part) = zeros.split_once('.').unwrap_or((zeros, ""));
    let only_zeros = |text: &str| text.bytes().all(|byte| byte == b'0');
    if whole.is_empty() || !only_zeros(whole) || !only_zeros(part) || format.len() > 32 {
        return None;
    }
    let number = if percent.is_empty() { number } else { number * 100.0 };
    // Rounded to the stored digits first, so that 1.005 becomes 1.01 as in a spreadsheet.
    let decimals = part.len();
    let shift = 10_f64.powi(i32::try_from(decimals).ok()?);
    let scaled: f64 = format!("{:.*e}", DIGITS - 1, number.abs() * shift).parse().ok()?;
    let text = format!("{:.decimals$}", scaled.round() / shift);
    let missing = whole.len().saturating_sub(text.split('.').next()?.len());
    let sign = if number < 0.0 && scaled.round() > 0.0 { "-" } else { "" };
    Some(format!("{sign}{}{text}{percent}", "0".repeat(missing)))
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
fn format_iso_date_time(iso: &str) -> String {
    let Some((date, time)) = iso.split_once('T') else { return iso.to_owned() };
    let time = time.split('.').next().unwrap_or(time).trim_end_matches('Z');
    match time.strip_suffix(":00").unwrap_or(time) {
        "00:00" => date.to_owned(),
        time => format!("{date} {time}"),
    }
}

/// Converts `PT14H30M00S` to `14:30`.
fn format_iso_duration(iso: &str) -> Option<String> {
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

    fn text(value: Data, format: Option<&str>) -> String {
        String::from_utf8(cell_text(&value, format)).unwrap()
    }

    #[test]
    fn numbers_are_shown_as_in_the_cell() {
        for (number, format, want) in [
            (7.0, None, "7"),
            (-7.5, None, "-7.5"),
            (0.1 + 0.2, None, "0.3"),
            (-0.0, None, "0"),
            (1_234_567_890_123.0, None, "1234567890123"),
            (7.0, Some("00000"), "00007"),
            (123_456.0, Some("00000"), "123456"),
            (-7.0, Some("000"), "-007"),
            (3.0, Some("0.00"), "3.00"),
            (1.005, Some("0.00"), "1.01"),
            (2.5, Some("0"), "3"),
            (-0.001, Some("0.00"), "0.00"),
            (0.25, Some("0%"), "25%"),
            (0.125, Some("0.0%"), "12.5%"),
            (1234.5, Some("#,##0.00 €"), "1234.5"),
            (7.0, Some("General"), "7"),
        ] {
            assert_eq!(text(Data::Float(number), format), want, "{number} {format:?}");
        }
    }

    #[test]
    fn dates_and_times_are_written_in_iso_8601() {
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
            (Data::Bool(true), "TRUE"),
        ] {
            assert_eq!(text(value, None), want);
        }
    }

    #[test]
    fn an_error_differs_from_any_text() {
        assert_eq!(cell_text(&Data::Error(CellErrorType::NA), None), b"\xfe#N/A");
    }
}
