//! The spoken text of a script, and its length.

use proptest::prelude::*;

use crate::payload::speech::measure::SpeechCounter;
use crate::payload::speech::*;

fn spoken_text(text: &str, syntax: ScriptSyntax) -> String {
    SpokenChars::new(text, syntax).collect()
}

proptest! {
    #[test]
    fn ascii_run_is_counted_like_its_characters(
        texts in prop::collection::vec("[ \t\n\u{b}a-c\u{1c}]{0,300}", 0..4)
    ) {
        let (mut one, mut other) = (SpeechCounter::default(), SpeechCounter::default());
        for text in texts {
            one.add_ascii(text.as_bytes());
            text.chars().for_each(|character| other.add_char(character));
            let counts = |count: &SpeechCounter| (count.characters, count.micros, count.after_space);
            prop_assert_eq!(counts(&one), counts(&other), "{:?}", text);
        }
    }
}

#[test]
fn markup_is_not_spoken() {
    for (text, words) in [
        ("<p>Hello,   world.</p>", "Hello, world."),
        ("<p>One.</p><p>Two.</p>", "One. Two."),
        ("one<br/>two", "one two"),
        ("in<span style=\"x\">side</span>", "inside"),
        ("Tea &amp; cake &lt;3 &#233;&#x1F600;", "Tea & cake <3 é😀"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("AT&T &unknown; &", "AT&T &unknown; &"),
        ("<p> </p>\n<p></p>", ""),
        ("a <open", "a <open"),
        ("<<<<", "<<<<"),
        ("", ""),
    ] {
        assert_eq!(spoken_text(text, ScriptSyntax::Markup), words, "{text}");
    }
}

#[test]
fn a_script_is_the_same_in_either_placement() {
    for (plain, html) in [
        ("Hello.\nTea & cake.", "<p>Hello.</p><p>Tea &amp; cake.</p>"),
        ("x <b> y", "<p>x &lt;b&gt; y</p>"),
        ("&amp;", "<p>&amp;amp;</p>"),
    ] {
        assert!(is_same_speech(plain, html), "{plain}");
        assert!(is_same_speech(html, plain), "{plain}");
    }
    assert!(!is_same_speech("Hello.", "<p>Goodbye.</p>"));
}

#[test]
fn script_without_spoken_characters_is_silent() {
    for (text, silent) in [("", true), ("<p>&nbsp;</p>", true), ("\u{3000}", true), (".", false)] {
        assert_eq!(is_silent(text), silent, "{text}");
    }
}

#[test]
fn invisible_characters_are_silent() {
    for invisible in
        "\u{200b}\u{feff}\u{ad}\u{2060}\u{180e}\u{fe0f}\u{1}\u{7f}\u{85}\u{200f}\u{3164}".chars()
    {
        for text in [format!("{invisible}"), format!("<p>{invisible} {invisible}</p>")] {
            assert!(is_silent(&text), "{text:?}");
        }
        assert!(!is_silent(&format!("{invisible}a")), "{invisible:?}");
    }
    assert!(is_silent("&#x200B;&#173;"));
    for visible in ["é", "안", "❤\u{fe0f}", "\u{e000}", "\u{fffd}"] {
        assert!(!is_silent(visible), "{visible:?}");
    }
}

#[test]
fn estimate_depends_on_the_writing_system() {
    let seconds = |text: &str| SpeechLength::from_script(text).duration.as_secs_f64();
    for (text, expected) in [
        ("<p>abcdefghijklmno</p>", 1.0),
        ("가나다라마바사아자차카타파", 2.0),
        ("春夏秋冬春夏秋冬春", 2.0),
        ("あいうえおあいうえおあいうえお", 2.0),
        ("абвгдежзийклм", 1.0),
        ("", 0.0),
    ] {
        assert!((seconds(text) - expected).abs() < 0.001, "{text}: {}", seconds(text));
    }
    assert_eq!(SpeechLength::from_script(" a \n b ").characters, 3);
}

proptest! {
    #[test]
    fn quick_comparison_implies_the_full_one(
        plain in "[ab&<>\n \u{a0}]{0,12}",
        html in "(<p>[ab \u{a0}]{0,3}(&amp;|&lt;|&nbsp;|&)?[ab ]{0,2}</p>){0,3}",
    ) {
        let is_same = SpokenChars::new(&plain, ScriptSyntax::Literal).eq(SpokenChars::new(&html, ScriptSyntax::Markup));
        prop_assert!(is_same || !is_paragraph_markup_of(&html, &plain));
    }

    #[test]
    fn counted_characters_are_the_spoken_ones(text in "[a봄 \n<>/p&;lt]{0,30}") {
        let spoken = spoken_text(&text, ScriptSyntax::Markup).chars().count();
        prop_assert_eq!(SpeechLength::from_script(&text).characters, spoken);
    }

    #[test]
    fn plain_text_has_the_length_of_its_markup(text in "[a봄春 \n\u{3000}.]{0,20}") {
        let marked = SpeechLength::from_script(&format!("<p>{text}</p>"));
        prop_assert_eq!(SpeechLength::from_script(&text), marked);
    }
}

#[test]
fn many_open_brackets_take_linear_time() {
    assert!(!is_silent(&"<a".repeat(500_000)));
}
