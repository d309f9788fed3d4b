//! Dates, times and durations in the sections of a format.

use jiff::ToSpan;
use jiff::civil::{self, Date};

use super::{FormatSection, FormatToken};

const DAY_MS: i64 = 86_400_000;
/// The days from 1900 to 9999.
const DAYS_END: f64 = 2_958_466.0;

/// The day from which a workbook counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DateEpoch {
    Year1900,
    Year1904,
}

/// A part of a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateToken {
    Year {
        digits: usize,
    },
    /// Also minutes, until [`resolve_minutes`].
    Month {
        letters: usize,
    },
    Day {
        letters: usize,
    },
    Hour {
        digits: usize,
    },
    Minute {
        digits: usize,
    },
    Second {
        digits: usize,
    },
    AmPm,
    AmPmLetter,
    /// `[h]`: all hours, also more than 24.
    ElapsedHours {
        digits: usize,
    },
    ElapsedMinutes {
        digits: usize,
    },
    ElapsedSeconds {
        digits: usize,
    },
}

impl DateToken {
    /// Parses a run of one letter.
    pub(super) fn parse(letter: char, count: usize) -> Option<Self> {
        match (letter, count) {
            ('y', 1 | 2) => Some(Self::Year { digits: 2 }),
            ('y', 3..) => Some(Self::Year { digits: 4 }),
            ('m', 1..=5) => Some(Self::Month { letters: count }),
            ('d', 1..=4) => Some(Self::Day { letters: count }),
            ('h', 1 | 2) => Some(Self::Hour { digits: count }),
            ('s', 1 | 2) => Some(Self::Second { digits: count }),
            _ => None,
        }
    }

    /// Parses a run of one letter in brackets.
    pub(super) fn parse_elapsed(letter: char, digits: usize) -> Option<Self> {
        match letter {
            'h' => Some(Self::ElapsedHours { digits }),
            'm' => Some(Self::ElapsedMinutes { digits }),
            's' => Some(Self::ElapsedSeconds { digits }),
            _ => None,
        }
    }
}

/// Turns months into minutes behind hours and before seconds.
pub(super) fn resolve_minutes(tokens: &mut [FormatToken]) {
    let dates: Vec<usize> =
        (0..tokens.len()).filter(|index| matches!(tokens[*index], FormatToken::Date(_))).collect();
    for (order, index) in dates.iter().enumerate() {
        let FormatToken::Date(DateToken::Month { letters: digits @ (1 | 2) }) = tokens[*index]
        else {
            continue;
        };
        let neighbour = |at: Option<usize>| at.and_then(|at| dates.get(at)).map(|at| &tokens[*at]);
        let is_behind_hours = matches!(
            neighbour(order.checked_sub(1)),
            Some(FormatToken::Date(DateToken::Hour { .. } | DateToken::ElapsedHours { .. }))
        );
        let is_before_seconds = matches!(
            neighbour(Some(order + 1)),
            Some(FormatToken::Date(DateToken::Second { .. } | DateToken::ElapsedSeconds { .. }))
        );
        if is_behind_hours || is_before_seconds {
            tokens[*index] = FormatToken::Date(DateToken::Minute { digits });
        }
    }
}

/// A moment, split for display.
struct ShownMoment {
    /// `None` for a time without a day.
    date: Option<Date>,
    /// Milliseconds since the beginning of the epoch, and of the day.
    total_ms: i64,
    day_ms: i64,
    is_half_day: bool,
}

/// Returns a serial number as a date; `None` if the section cannot show it.
pub(super) fn format_date(
    section: &FormatSection,
    serial: f64,
    epoch: DateEpoch,
) -> Option<String> {
    let tokens = &section.tokens;
    let subsecond_digits = subsecond_digits(tokens);
    let moment = ShownMoment::new(serial, epoch, tokens, subsecond_digits)?;
    let mut text = String::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        index += 1;
        match token {
            FormatToken::Literal(literal) => text.push_str(literal),
            FormatToken::Point if matches!(tokens.get(index), Some(FormatToken::Digit(_))) => {
                let digits = format!("{:03}", moment.day_ms % 1000);
                text.push(section.locale.decimal());
                text.push_str(digits.get(..subsecond_digits)?);
                index += subsecond_digits;
            }
            FormatToken::Point => text.push('.'),
            FormatToken::Comma => text.push(','),
            FormatToken::Slash => text.push('/'),
            FormatToken::Date(token) => text.push_str(&moment.format_token(*token, section)?),
            // In `yyyy-mm-dd;@` it stands in a section of its own.
            FormatToken::Text => {}
            FormatToken::Digit(_)
            | FormatToken::Percent
            | FormatToken::Exponent { .. }
            | FormatToken::General => return None,
        }
    }
    Some(text)
}

/// Returns the number of digits behind a point, up to 3.
fn subsecond_digits(tokens: &[FormatToken]) -> usize {
    let Some(point) = tokens.iter().position(|token| *token == FormatToken::Point) else {
        return 0;
    };
    let digits = tokens[point + 1..].iter();
    digits.take_while(|token| matches!(token, FormatToken::Digit(_))).count()
}

impl ShownMoment {
    fn new(
        serial: f64,
        epoch: DateEpoch,
        tokens: &[FormatToken],
        subsecond_digits: usize,
    ) -> Option<Self> {
        let serial = match epoch {
            DateEpoch::Year1900 => serial,
            DateEpoch::Year1904 => serial + 1462.0,
        };
        if !(0.0..DAYS_END).contains(&serial) || subsecond_digits > 3 {
            return None;
        }
        // Rounded to what is shown of the seconds, as 14:29:59.9999 is half past two.
        let unit = 10_f64.powi(3 - i32::try_from(subsecond_digits).ok()?);
        let total_ms = ((serial * DAY_MS as f64 / unit).round() * unit) as i64;
        let is_half_day = tokens.iter().any(|token| {
            matches!(token, FormatToken::Date(DateToken::AmPm | DateToken::AmPmLetter))
        });
        Some(Self {
            date: day_of_serial(total_ms / DAY_MS),
            total_ms,
            day_ms: total_ms % DAY_MS,
            is_half_day,
        })
    }

    fn format_token(&self, token: DateToken, section: &FormatSection) -> Option<String> {
        let padded = |number: i64, digits: usize| format!("{number:0digits$}");
        let hour = self.day_ms / 3_600_000;
        Some(match token {
            DateToken::Year { digits: 2 } => padded(i64::from(self.date?.year()) % 100, 2),
            DateToken::Year { .. } => padded(i64::from(self.date?.year()), 4),
            DateToken::Month { letters } => self.format_month(letters, section)?,
            DateToken::Day { letters } => self.format_day(letters, section)?,
            DateToken::Hour { digits } if self.is_half_day => padded((hour + 11) % 12 + 1, digits),
            DateToken::Hour { digits } => padded(hour, digits),
            DateToken::Minute { digits } => padded(self.day_ms / 60_000 % 60, digits),
            DateToken::Second { digits } => padded(self.day_ms / 1000 % 60, digits),
            DateToken::AmPm => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            DateToken::AmPmLetter => if hour < 12 { "A" } else { "P" }.to_owned(),
            DateToken::ElapsedHours { digits } => padded(self.total_ms / 3_600_000, digits),
            DateToken::ElapsedMinutes { digits } => padded(self.total_ms / 60_000, digits),
            DateToken::ElapsedSeconds { digits } => padded(self.total_ms / 1000, digits),
        })
    }

    fn format_month(&self, letters: usize, section: &FormatSection) -> Option<String> {
        let month = self.date?.month();
        let name = || section.locale.month_name(usize::try_from(month).ok()?);
        match letters {
            1 | 2 => Some(format!("{month:0letters$}")),
            3 => shorten_name(&name()?, section.locale.short_name_chars()),
            4 => name(),
            _ => shorten_name(&name()?, Some(1)),
        }
    }

    fn format_day(&self, letters: usize, section: &FormatSection) -> Option<String> {
        let date = self.date?;
        let weekday = usize::try_from(date.weekday().to_sunday_zero_offset()).ok()?;
        match letters {
            1 | 2 => Some(format!("{:0letters$}", date.day())),
            3 => {
                let name = section.locale.day_name(weekday)?;
                shorten_name(name, section.locale.short_name_chars())
            }
            _ => section.locale.day_name(weekday).map(str::to_owned),
        }
    }
}

fn shorten_name(name: &str, chars: Option<usize>) -> Option<String> {
    chars.map(|chars| name.chars().take(chars).collect())
}

/// Returns the date of a day. The 29th of February 1900, which Excel invented, has none.
fn day_of_serial(days: i64) -> Option<Date> {
    let start = match days {
        ..=0 | 60 => return None,
        1..=59 => civil::date(1899, 12, 31),
        _ => civil::date(1899, 12, 30),
    };
    start.checked_add(days.days()).ok()
}
