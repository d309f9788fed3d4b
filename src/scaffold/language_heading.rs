//! Headings that name a language: `Script DE`, `Text (German)`, `Deutsch`.
//!
//! A short word may be something else (`ID`, `No`), so a language counts only where several columns
//! differ in nothing but theirs.

use super::heading_words::HeadingWords;

/// A heading, divided into its language and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LanguageHeading {
    /// The code of the language, such as `de` or `pt-br`.
    pub(super) language: String,
    /// The heading without the language.
    pub(super) rest: HeadingWords,
}

impl LanguageHeading {
    /// Divides a heading; `None` if none of its words is a language.
    pub(super) fn parse(words: &HeadingWords) -> Option<Self> {
        let at_end =
            (0..words.0.len()).rev().find_map(|at| Some((at, find_language(&words.0[at])?)));
        let (at, code) = at_end?;
        let mut rest = words.0.clone();
        let mut language = code.to_owned();
        // `pt br` and `en us`: the region follows its language.
        let region = at.checked_sub(1).and_then(|before| find_language(&words.0[before]));
        match (region, words.0.get(at + 1)) {
            (Some(before), _) if is_region(&words.0[at]) => {
                language = format!("{before}-{}", words.0[at]);
                rest.drain(at - 1..=at);
            }
            (_, Some(after)) if is_region(after) => {
                language = format!("{code}-{after}");
                rest.drain(at..=at + 1);
            }
            _ => {
                rest.remove(at);
            }
        }
        Some(Self { language, rest: HeadingWords(rest) })
    }
}

fn is_region(word: &str) -> bool {
    REGIONS.contains(&word)
}

/// Returns the code of the language that a word names.
pub(super) fn find_language(word: &str) -> Option<&'static str> {
    LANGUAGES
        .iter()
        .find(|(code, names)| *code == word || names.contains(&word))
        .map(|(code, _)| *code)
}

/// Returns whether a cell is the code of a language, as AI Studios expects one.
pub(super) fn is_language_code(cell: &str) -> bool {
    let first = cell.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    LANGUAGES.iter().any(|(code, _)| *code == first)
}

const REGIONS: &[&str] = &["us", "gb", "uk", "br", "mx", "cn", "tw", "hk", "ca", "at", "ch", "au"];

/// Codes with other words for the same language.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("en", &["eng", "english", "englisch", "anglais", "inglés", "inglese", "영어", "英語", "英语"]),
    (
        "de",
        &["ger", "deu", "german", "deutsch", "allemand", "alemán", "tedesco", "독일어", "ドイツ語"],
    ),
    ("fr", &["fra", "french", "französisch", "français", "francés", "francese", "프랑스어"]),
    ("es", &["spa", "spanish", "spanisch", "español", "espagnol", "spagnolo", "스페인어"]),
    ("it", &["ita", "italian", "italienisch", "italiano", "italien"]),
    ("pt", &["por", "portuguese", "portugiesisch", "português", "portugais"]),
    ("nl", &["dutch", "niederländisch", "nederlands"]),
    ("pl", &["pol", "polish", "polnisch", "polski"]),
    ("sv", &["se", "swedish", "schwedisch", "svenska"]),
    ("da", &["dk", "danish", "dänisch", "dansk"]),
    ("nb", &["no", "norwegian", "norwegisch", "norsk"]),
    ("fi", &["finnish", "finnisch", "suomi"]),
    ("cs", &["cz", "czech", "tschechisch", "čeština"]),
    ("sk", &["slovak", "slowakisch", "slovenčina"]),
    ("hu", &["hungarian", "ungarisch", "magyar"]),
    ("ro", &["romanian", "rumänisch", "română"]),
    ("bg", &["bulgarian", "bulgarisch", "български"]),
    ("el", &["gr", "greek", "griechisch", "ελληνικά"]),
    ("tr", &["turkish", "türkisch", "türkçe"]),
    ("ru", &["rus", "russian", "russisch", "русский"]),
    ("uk", &["ua", "ukrainian", "ukrainisch", "українська"]),
    ("ar", &["arabic", "arabisch", "العربية"]),
    ("he", &["hebrew", "hebräisch", "עברית"]),
    ("hi", &["hindi", "हिन्दी"]),
    ("th", &["thai", "ไทย"]),
    ("vi", &["vn", "vietnamese", "vietnamesisch"]),
    ("id", &["indonesian", "indonesisch", "bahasa"]),
    ("ms", &["malay", "malaiisch", "melayu"]),
    ("ja", &["jp", "jpn", "japanese", "japanisch", "日本語", "일본어", "日语"]),
    ("ko", &["kr", "kor", "korean", "koreanisch", "한국어", "韓国語", "韩语"]),
    ("zh", &["cn", "chinese", "chinesisch", "中文", "중국어", "中国語", "汉语"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_heading_is_divided_from_its_rest() {
        for (heading, language, rest) in [
            ("Script EN", "en", "script"),
            ("Text (German)", "de", "text"),
            ("DE Skript", "de", "skript"),
            ("script_pt-BR", "pt-br", "script"),
            ("Headline EN-UK", "en-uk", "headline"),
            ("Deutsch", "de", ""),
            ("대본 한국어", "ko", "대본"),
        ] {
            let found = LanguageHeading::parse(&HeadingWords::parse(heading)).unwrap();
            assert_eq!((found.language.as_str(), found.rest.joined().as_str()), (language, rest));
        }
        assert_eq!(LanguageHeading::parse(&HeadingWords::parse("Script")), None);
    }
}
