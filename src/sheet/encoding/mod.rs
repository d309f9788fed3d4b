//! Detects the encoding of a text.
//!
//! A byte order mark decides, then the batch file, then the bytes of the whole file. A file that is
//! UTF-8 except for some rows stays UTF-8, and those rows are reported: in any other encoding the
//! other rows would be garbled, unnoticed until the video speaks them. A guess is always reported, and
//! rejected if its words are not plausible.

mod letter_sets;
mod plausibility;
mod seven_bit;
mod text_encoding;
mod transcode;

use std::io::{self, BufRead, BufReader, Read};
use std::ops::RangeInclusive;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

use self::plausibility::GuessJudge;
use super::problem::{SheetProblem, shorten_for_message};

pub(super) use self::plausibility::GuessEvidence;
pub(super) use self::seven_bit::{SevenBitEncoding, seven_bit_encoding};
pub(super) use self::text_encoding::TextEncoding;
pub(super) use self::transcode::copy_to_utf8;

/// The longest piece of a file that is treated as one line.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// More text than this would not change the guess.
const GUESS_BYTES_MAX: usize = 4 << 20;

/// Common names in addition to the labels of the Encoding Standard (WHATWG).
const ALIASES: &[(&str, &str)] = &[
    ("cp949", "euc-kr"),
    ("ms949", "euc-kr"),
    ("uhc", "euc-kr"),
    ("cp932", "shift_jis"),
    ("cp936", "gb18030"),
    ("ms936", "gb18030"),
    ("cp950", "big5"),
    ("cp874", "windows-874"),
    ("ansi", "windows-1252"),
    ("utf16", "utf-16le"),
    ("utf-16", "utf-16le"),
    ("macroman", "macintosh"),
    ("mac-roman", "macintosh"),
];

/// Returns the encoding named in the batch file.
pub(super) fn encoding_from_name(name: &str) -> Result<TextEncoding, SheetProblem> {
    let plain = name.trim().to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == plain).map(|(_, label)| *label);
    let found = Encoding::for_label(alias.unwrap_or(&plain).as_bytes());
    let found = found.filter(|encoding| *encoding != REPLACEMENT && *encoding != X_USER_DEFINED);
    let code_page = || TextEncoding::from_code_page_name(&plain);
    found.map(TextEncoding::Standard).or_else(code_page).ok_or_else(|| {
        SheetProblem::for_sheet(
            format!("`encoding = \"{}\"` is not a known encoding", shorten_for_message(name)),
            "one of `utf-8`, `utf-16`, `windows-1252`, `cp850`, `cp949`, `gb18030`, `shift_jis`, \
             `big5`; or leave it out to have it detected",
        )
    })
}

/// Returns the encoding declared by a byte order mark, or UTF-16 if zeros alternate with ASCII.
pub(super) fn declared_encoding(sample: &[u8]) -> Option<&'static Encoding> {
    if let Some((marked, _)) = Encoding::for_bom(sample) {
        return Some(marked);
    }
    let units = |zero: usize, letters: RangeInclusive<u8>| {
        let pairs = sample.chunks_exact(2).map(|pair| (pair[zero], pair[1 - zero]));
        pairs.filter(|(zero, letter)| *zero == 0 && letters.contains(letter)).count()
    };
    // Every line of a sheet contains ASCII: its delimiters and its line end. A stray zero in another
    // encoding is not beside a line end.
    let breaks = sample.iter().filter(|byte| (10..=13).contains(*byte)).count();
    let is = |zero: usize| {
        let (plain, other) = (units(zero, 9..=126), units(1 - zero, 9..=126));
        let ends = units(zero, 10..=13);
        ends > 0 && ends * 2 >= breaks && plain >= sample.len() / 64 && plain > 8 * other
    };
    if is(1) {
        Some(UTF_16LE)
    } else if is(0) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Returns whether the whole text is UTF-8.
pub(super) fn is_utf8(mut text: impl Read) -> io::Result<bool> {
    let mut buffer = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = text.read(&mut buffer[kept..])?;
        let held = kept + read;
        match str::from_utf8(&buffer[..held]) {
            Ok(_) => kept = 0,
            // The buffer may end inside a character.
            Err(err) if err.error_len().is_none() && read > 0 => {
                buffer.copy_within(err.valid_up_to()..held, 0);
                kept = held - err.valid_up_to();
            }
            Err(_) => return Ok(false),
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Guesses the encoding of a text that is not entirely UTF-8.
///
/// # Errors
///
/// The inner error is an encoding that no spreadsheet writes: the guess is wrong, and the text
/// would be garbled.
pub(super) fn guess_encoding(
    text: impl Read,
) -> io::Result<Result<&'static Encoding, &'static Encoding>> {
    let mut text = BufReader::new(text);
    let mut votes = EncodingVotes::new();
    let (mut whole, mut torn) = (0_u64, 0_u64);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        if (&mut text).take(LINE_BYTES_MAX).read_until(b'\n', &mut piece)? == 0 {
            break;
        }
        for line in piece.split_inclusive(|byte| *byte == b'\r').filter(|line| !line.is_ascii()) {
            *(if str::from_utf8(line).is_ok() { &mut whole } else { &mut torn }) += 1;
            votes.feed(line);
        }
    }
    let guess = votes.winner();
    // A line in a single-byte encoding is never UTF-8 by chance; a short one in a double-byte
    // encoding may be.
    let is_torn_utf8 = if guess.is_single_byte() { whole > 0 } else { whole >= torn };
    if is_torn_utf8 {
        return Ok(Ok(UTF_8));
    }
    let written = !guess.is_single_byte() || guess.name().starts_with("windows-");
    Ok(if written { Ok(guess) } else { Err(guess) })
}

/// Returns whether the words of a text in a guessed encoding are plausible.
pub(super) fn judge_guess(text: impl Read, guess: TextEncoding) -> io::Result<GuessEvidence> {
    let mut text = BufReader::new(text);
    let mut judge = GuessJudge::new(guess);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut text).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(judge.finish());
        }
        let is_escaped = guess == TextEncoding::Standard(encoding_rs::ISO_2022_JP);
        if !line.is_ascii() || is_escaped {
            judge.feed(&line);
        }
    }
}

/// One detector that reads every line, and eight that read every eighth line.
///
/// A detector rules out an encoding at the first invalid byte, so one damaged line would turn a
/// Korean sheet into Cyrillic; the detectors that did not read that line outvote it.
struct EncodingVotes {
    full_detector: EncodingDetector,
    sampled_detectors: [(EncodingDetector, usize); 8],
    lines_fed: usize,
    bytes_fed: usize,
}

impl EncodingVotes {
    fn new() -> Self {
        let detector = || EncodingDetector::new(Iso2022JpDetection::Deny);
        let sampled_detectors = std::array::from_fn(|_| (detector(), 0));
        Self { full_detector: detector(), sampled_detectors, lines_fed: 0, bytes_fed: 0 }
    }

    fn feed(&mut self, line: &[u8]) {
        if self.bytes_fed > GUESS_BYTES_MAX {
            return;
        }
        self.full_detector.feed(line, false);
        let (detector, weight) = &mut self.sampled_detectors[self.lines_fed % 8];
        detector.feed(line, false);
        *weight += line.iter().filter(|byte| !byte.is_ascii()).count();
        self.lines_fed += 1;
        self.bytes_fed += line.len();
    }

    fn winner(self) -> &'static Encoding {
        let guess = |mut detector: EncodingDetector| {
            // Completes a character that the last line may have left open.
            detector.feed(b"\n", true);
            detector.guess(None, Utf8Detection::Deny)
        };
        let every = guess(self.full_detector);
        let weights: usize = self.sampled_detectors.iter().map(|(_, weight)| *weight).sum();
        let mut tally: Vec<(&'static Encoding, usize)> = Vec::new();
        for (detector, weight) in self.sampled_detectors {
            if weight == 0 {
                continue;
            }
            let vote = guess(detector);
            match tally.iter_mut().find(|(known, _)| *known == vote) {
                Some((_, sum)) => *sum += weight,
                None => tally.push((vote, weight)),
            }
        }
        let most = tally.into_iter().max_by_key(|(_, sum)| *sum);
        match most {
            Some((vote, sum))
                if every.is_single_byte() && !vote.is_single_byte() && sum * 2 > weights =>
            {
                vote
            }
            _ => every,
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_KR, GBK, SHIFT_JIS, WINDOWS_1252};

    use super::*;

    #[test]
    fn common_encodings_are_detected_from_a_few_rows() {
        let cases = [
            (WINDOWS_1252, "id;texte\n1;Café crème à l'été\n2;Voilà, déjà prêt\n"),
            (WINDOWS_1252, "id;Text\n1;Grüße aus München\n2;Schöne Straße\n"),
            (WINDOWS_1252, "id;texto\n1;¿Qué tal, señor?\n2;mañana “vemos” – sí…\n"),
            (EUC_KR, "id,대본\n1,안녕하세요 여러분\n2,오늘의 소식입니다\n"),
            (EUC_KR, "번호,이름\n1,뷁똠방각하\n2,가\n"),
            (GBK, "id,脚本\n1,大家好，欢迎收看今天的节目\n2,谢谢观看\n"),
            (SHIFT_JIS, "id,台本\n1,こんにちは、皆さん\n2,ありがとうございます\n"),
            (BIG5, "id,腳本\n1,大家好，歡迎收看今天的節目\n2,謝謝觀看\n"),
        ];
        for (encoding, text) in cases {
            let (bytes, _, lost) = encoding.encode(text);
            assert!(!lost, "{text}");
            assert!(!is_utf8(&bytes[..]).unwrap(), "{text}");
            assert_eq!(guess_encoding(&bytes[..]).unwrap(), Ok(encoding), "{text}");
        }
    }

    #[test]
    fn utf_8_with_damaged_rows_stays_utf_8() {
        for text in [
            &b"id,text\n1,caf\xc3\xa9\n2,caf\xe9\n3,na\xefve\n"[..],
            "1,안녕하세요\n2,반갑습니다\n3,\u{1f3ac}\n".as_bytes().split_last().unwrap().1,
            &[&b"1,\xb0\xa1\n"[..], "2,안녕\n".as_bytes()].concat(),
        ] {
            let torn = [text, b"\xff\n"].concat();
            assert!(!is_utf8(&torn[..]).unwrap());
            assert_eq!(guess_encoding(&torn[..]).unwrap(), Ok(UTF_8), "{text:?}");
        }
    }

    #[test]
    fn one_damaged_line_does_not_change_the_detected_encoding() {
        for (encoding, text) in [
            (EUC_KR, "번호,대본\n1,안녕하세요 여러분\n2,오늘의 소식입니다\n"),
            (GBK, "编号,脚本\n1,大家好，欢迎收看今天的节目\n2,谢谢观看\n"),
            (SHIFT_JIS, "番号,台本\n1,こんにちは、皆さん\n2,ありがとうございます\n"),
        ] {
            let torn = [&encoding.encode(text).0[..], b"3,\xb0\n4,\xff\n"].concat();
            assert_eq!(guess_encoding(&torn[..]).unwrap(), Ok(encoding), "{text}");
        }
    }

    #[test]
    fn utf_16_is_detected_with_and_without_a_byte_order_mark() {
        let text = "이름,글\r\n1,안녕하세요 여러분, 반갑습니다\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(
            (declared_encoding(&little), declared_encoding(&big)),
            (Some(UTF_16LE), Some(UTF_16BE))
        );
        assert_eq!(declared_encoding(&[b"\xff\xfe", &little[..]].concat()), Some(UTF_16LE));
        assert_eq!(declared_encoding(&[b"\xfe\xff", &big[..]].concat()), Some(UTF_16BE));
        assert_eq!(declared_encoding("\u{feff}id".as_bytes()), Some(UTF_8));
        for text in ["", "id,text\n1,a\0b\n2,c\n", "\0\0\0\0\0\0", text] {
            assert_eq!(declared_encoding(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn utf_8_is_recognized_wherever_a_read_ends() {
        /// Returns a few bytes per read.
        struct ShortReads<'t>(&'t [u8], usize);
        impl Read for ShortReads<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let some = self.1.min(into.len());
                self.0.read(&mut into[..some])
            }
        }
        for step in 1..6 {
            assert!(is_utf8(ShortReads("é한🎬 a".as_bytes(), step)).unwrap());
            assert!(!is_utf8(ShortReads(b"\xed\x95\x9c\xf0\x9f\x8e", step)).unwrap());
            assert!(!is_utf8(ShortReads(b"a\xe9b", step)).unwrap());
        }
    }

    #[test]
    fn common_encoding_names_are_known() {
        for (name, want) in [
            ("CP949", EUC_KR),
            ("euc-kr", EUC_KR),
            ("windows-949", EUC_KR),
            (" latin1 ", WINDOWS_1252),
            ("cp1252", WINDOWS_1252),
            ("SJIS", SHIFT_JIS),
            ("cp932", SHIFT_JIS),
            ("gb2312", GBK),
            ("cp950", BIG5),
            ("UTF-16", UTF_16LE),
            ("utf8", UTF_8),
        ] {
            let found = encoding_from_name(name).unwrap();
            assert_eq!(found, TextEncoding::Standard(want), "{name}");
        }
        for (name, want) in
            [("cp850", "cp850"), ("IBM-437", "cp437"), ("852", "cp852"), ("cp866", "IBM866")]
        {
            assert_eq!(encoding_from_name(name).unwrap().name(), want, "{name}");
        }
        for name in ["", "klingon", "hz-gb-2312", "x-user-defined", "cp1", "utf-850"] {
            assert!(encoding_from_name(name).is_err(), "{name}");
        }
    }
}
