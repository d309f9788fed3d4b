//! Number formats with the texts that spreadsheet programs display.

use super::*;

fn displayed(code: &str, value: f64) -> Option<String> {
    NumberFormat::parse(code)?.format_number(value, DateEpoch::Year1900)
}

#[test]
fn numbers_are_shown_as_in_the_cell() {
    for (code, value, want) in [
        ("00000", 7.0, "00007"),
        ("00000", 123_456.0, "123456"),
        ("000", -7.0, "-007"),
        ("0.00", 1.005, "1.01"),
        ("0", 2.5, "3"),
        ("0.00", -0.001, "0.00"),
        ("0%", 0.25, "25%"),
        ("0.0%", 0.125, "12.5%"),
        ("0.##", 7.0, "7"),
        ("#.##", 0.0, ""),
        ("#,##0.00 \"€\"", 1234.5, "1,234.50 €"),
        ("#,##0.00\\ [$€-407]", 1234.5, "1.234,50 €"),
        ("[$-407]#,##0.00", -4.9, "-4,90"),
        ("[$€-2]\\ #,##0.00", 4.9, "€ 4.90"),
        ("[$$-409]#,##0.00", 1_234_567.891, "$1,234,567.89"),
        ("#,##0\\ [$₩-412]", 1234.5, "1,235 ₩"),
        ("#,##0.00\\ [$CHF-807]", 1234.5, "1’234.50 CHF"),
        ("[$R$-416]\\ #,##0.00", 1234.5, "R$ 1.234,50"),
        ("#,##0.00\\ [$€-40C]", 1234.5, "1\u{a0}234,50 €"),
        ("\"SKU-\"0000", 42.0, "SKU-0042"),
        ("\"SKU-\"0000", -42.0, "-SKU-0042"),
        ("000-000", 1_234_567.0, "1234-567"),
        ("(000) 000-0000", 5_551_234_567.0, "(555) 123-4567"),
        ("00\\.00\\.00", 10_203.0, "01.02.03"),
        ("0 \"of\" 5", 3.0, "3 of 5"),
        ("#,##0.0,\"k\"", 1_234_567.0, "1,234.6k"),
        ("0.0,,\"M\"", 1_250_000.0, "1.3M"),
        ("$#,##0.00_);[Red]($#,##0.00)", -4.95, "($4.95)"),
        ("0.00;[Red]-0.00", -4.95, "-4.95"),
        ("0;-0;\"none\"", 0.0, "none"),
        ("_(* #,##0.00_);_(* (#,##0.00);_(* \"-\"??_);_(@_)", 0.0, " -   "),
        ("[>=1000]0.0,\"k\";0", 1500.0, "1.5k"),
        ("[>=1000]0.0,\"k\";0", -7.0, "-7"),
        ("[<100]\"low \"0;\"high \"0", 100.0, "high 100"),
        ("[<0](0);0", -5.0, "(5)"),
        ("+0;-0;0", 7.0, "+7"),
        ("# ?/?", 4.9, "4 8/9"),
        ("# ??/??", 0.25, "  1/4 "),
        ("# ?/8", 2.5, "2 4/8"),
        ("0/100", 0.5, "50/100"),
        ("# ?/?", 0.999, "1    "),
        ("0.00E+00", 1234.5, "1.23E+03"),
        ("##0.0E+0", 46_082.0, "46.1E+3"),
        ("0.0E-0", 0.000_25, "2.5E-4"),
        ("0E+0", 9.7, "1E+1"),
        ("???.??", 0.25, "   .25"),
        ("General \"pcs\"", 12.5, "12.5 pcs"),
        ("\"No. \"General", 7.0, "No. 7"),
        ("@", 7.5, "7.5"),
        ("[Color3]0", 7.0, "7"),
        ("0*-", 7.0, "7"),
    ] {
        assert_eq!(displayed(code, value).as_deref(), Some(want), "{code} {value}");
    }
}

#[test]
fn dates_and_times_are_shown_as_in_the_cell() {
    let moment = 46_082.604_178_240_74;
    for (code, want) in [
        ("yyyy-mm-dd", "2026-03-01"),
        ("dd.mm.yyyy", "01.03.2026"),
        ("dd/mm/yy;@", "01/03/26"),
        ("d mmm yyyy", "1 Mar 2026"),
        ("[$-407]d. mmmm yyyy", "1. März 2026"),
        ("[$-40C]dddd d mmmm yyyy", "dimanche 1 mars 2026"),
        ("[$-de-DE]dddd", "Sonntag"),
        ("yyyy\"년\" m\"월\" d\"일\"", "2026년 3월 1일"),
        ("[$-412]mmmm", "3월"),
        ("ddd, mmmm d", "Sun, March 1"),
        ("mmmmm", "M"),
        ("h:mm AM/PM", "2:30 PM"),
        ("hh:mm:ss", "14:30:01"),
        ("mm:ss.0", "30:01.0"),
        ("h \"h\" m \"min\"", "14 h 30 min"),
        ("[h]:mm", "1105982:30"),
        ("[$-F400]h:mm:ss", ""),
        ("m/d/yy h:mm", ""),
        ("mm-dd-yy", ""),
        ("[$-407]d. mmm yyyy", ""),
        ("[$-411]ggge", ""),
        ("[$-D07041E]dd/mm/yyyy", ""),
        ("aaaa", ""),
    ] {
        assert_eq!(displayed(code, moment).unwrap_or_default(), want, "{code}");
    }
    for (serial, want) in [(0.25, "06:00"), (0.999_999_9, "24:00"), (1.0 / 3.0, "08:00")] {
        let want = if want == "24:00" { "00:00" } else { want };
        assert_eq!(displayed("hh:mm", serial).as_deref(), Some(want), "{serial}");
    }
    assert_eq!(displayed("yyyy-mm-dd", -1.0), None);
    let format = NumberFormat::parse("yyyy-mm-dd").unwrap();
    let since_1904 = format.format_number(44_620.0, DateEpoch::Year1904);
    assert_eq!(since_1904.as_deref(), Some("2026-03-01"));
}

#[test]
fn texts_are_shown_with_what_their_format_adds() {
    for (code, want) in [
        ("@", Some("tea")),
        ("\"SKU \"@", Some("SKU tea")),
        ("0;-0;0;\"[\"@\"]\"", Some("[tea]")),
        ("0;@\"!\"", Some("tea!")),
        ("0.00", None),
    ] {
        assert_eq!(
            NumberFormat::parse(code).unwrap().format_text("tea").as_deref(),
            want,
            "{code}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_format_and_number_end_without_a_panic(
        code in "([0#?.,%/@E+;dmyhs\\[\\]$\"*_\\\\A-Z -]|General|\\[\\$€-407\\]|AM/PM){0,24}",
        value in proptest::num::f64::ANY,
    ) {
        if let Some(format) = NumberFormat::parse(&code) {
            let _ = format.format_number(value, DateEpoch::Year1904);
            let _ = format.format_text("x");
        }
    }
}
