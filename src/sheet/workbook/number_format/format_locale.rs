//! The language that a format names, as in `[$-407]` and `[$€-407]`: separators and names.
//!
//! A format without one has the separators of the file itself, a decimal point and commas, and English
//! names. Names that differ between programs are left out.

/// A language; by default the file's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FormatLocale {
    /// The Windows language id; 0 for the default.
    lcid: u16,
}

const ENGLISH: u16 = 0x09;
const GERMAN: u16 = 0x07;
const FRENCH: u16 = 0x0c;
const SPANISH: u16 = 0x0a;
const ITALIAN: u16 = 0x10;
const PORTUGUESE: u16 = 0x16;
const DUTCH: u16 = 0x13;
const KOREAN: u16 = 0x12;
const JAPANESE: u16 = 0x11;
const CHINESE: u16 = 0x04;

/// Languages that write 1.234,5; in other countries they may not.
const POINT_GROUPS: &[u16] =
    &[GERMAN, SPANISH, ITALIAN, PORTUGUESE, DUTCH, 0x06, 0x08, 0x18, 0x1a, 0x1f, 0x21, 0x24, 0x2a];
/// Languages that write 1 234,5.
const SPACE_GROUPS: &[u16] = &[FRENCH, 0x02, 0x05, 0x0b, 0x0e, 0x14, 0x15, 0x19, 0x1b, 0x1d, 0x22];
/// Countries that write 1’234.5: Switzerland and Liechtenstein.
const APOSTROPHE_COUNTRIES: &[u16] = &[0x0807, 0x100c, 0x0810, 0x1407];
/// Spanish-speaking countries that write 1,234.5.
const COMMA_COUNTRIES: &[u16] = &[0x080a, 0x100a, 0x1c0a, 0x4c0a, 0x180a, 0x500a, 0x440a, 0x480a];

/// Codes of languages for tags such as `de-DE`.
const LANGUAGE_TAGS: &[(&str, u16)] = &[
    ("en", ENGLISH),
    ("de", GERMAN),
    ("fr", FRENCH),
    ("es", SPANISH),
    ("it", ITALIAN),
    ("pt", PORTUGUESE),
    ("nl", DUTCH),
    ("ko", KOREAN),
    ("ja", JAPANESE),
    ("zh", CHINESE),
];

const MONTHS: &[(u16, [&str; 12])] = &[
    (
        ENGLISH,
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    ),
    (
        GERMAN,
        [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ],
    ),
    (
        FRENCH,
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
    ),
    (
        SPANISH,
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
    ),
    (
        ITALIAN,
        [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
    ),
    (
        PORTUGUESE,
        [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
    ),
    (
        DUTCH,
        [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
    ),
];

/// From Sunday.
const DAYS: &[(u16, [&str; 7])] = &[
    (ENGLISH, ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]),
    (GERMAN, ["Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"]),
    (FRENCH, ["dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"]),
    (SPANISH, ["domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"]),
    (ITALIAN, ["domenica", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato"]),
    (DUTCH, ["zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"]),
    (KOREAN, ["일요일", "월요일", "화요일", "수요일", "목요일", "금요일", "토요일"]),
    (JAPANESE, ["日曜日", "月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日"]),
    (CHINESE, ["星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"]),
];

impl FormatLocale {
    /// Parses a language id in hexadecimal digits, or a tag such as `de-DE`; `None` if it means the
    /// settings of the computer, or other digits or another calendar.
    pub(super) fn parse(tag: &str) -> Option<Self> {
        if let Ok(id) = u32::from_str_radix(tag, 16) {
            let lcid = u16::try_from(id & 0xffff).ok()?;
            let (calendar, digits) = (id >> 16 & 0xff, id >> 24);
            // F800 and F400 are the date and the time of the system.
            let is_fixed = lcid < 0xf000 && calendar <= 1 && digits <= 1;
            // 1 and 2 are the two places of the euro sign, and no language.
            return is_fixed.then_some(Self { lcid: if lcid < 3 { 0 } else { lcid } });
        }
        let language = tag.split(['-', ',']).next().unwrap_or(tag).to_ascii_lowercase();
        let known = LANGUAGE_TAGS.iter().find(|(code, _)| *code == language);
        known.map(|(_, lcid)| Self { lcid: *lcid })
    }

    fn language(self) -> u16 {
        if self.lcid == 0 { ENGLISH } else { self.lcid & 0x3ff }
    }

    pub(super) fn decimal(self) -> char {
        let has_point =
            APOSTROPHE_COUNTRIES.contains(&self.lcid) || COMMA_COUNTRIES.contains(&self.lcid);
        let language = self.language();
        let has_comma = POINT_GROUPS.contains(&language) || SPACE_GROUPS.contains(&language);
        if has_comma && !has_point { ',' } else { '.' }
    }

    pub(super) fn thousands(self) -> char {
        let language = self.language();
        if APOSTROPHE_COUNTRIES.contains(&self.lcid) {
            '’'
        } else if COMMA_COUNTRIES.contains(&self.lcid) {
            ','
        } else if POINT_GROUPS.contains(&language) {
            '.'
        } else if SPACE_GROUPS.contains(&language) {
            '\u{a0}'
        } else {
            ','
        }
    }

    /// Returns the name of a month from 1.
    pub(super) fn month_name(self, month: usize) -> Option<String> {
        match self.language() {
            KOREAN => Some(format!("{month}월")),
            JAPANESE | CHINESE => Some(format!("{month}月")),
            language => {
                let (_, names) = MONTHS.iter().find(|(known, _)| *known == language)?;
                names.get(month.checked_sub(1)?).map(|name| (*name).to_owned())
            }
        }
    }

    /// Returns the name of a day of the week, from 0 for Sunday.
    pub(super) fn day_name(self, day: usize) -> Option<&'static str> {
        let (_, names) = DAYS.iter().find(|(known, _)| *known == self.language())?;
        names.get(day).copied()
    }

    /// Returns how many characters of a name make its short form; `None` where programs differ.
    pub(super) fn short_name_chars(self) -> Option<usize> {
        match self.language() {
            ENGLISH => Some(3),
            _ => None,
        }
    }
}
