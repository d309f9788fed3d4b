//! Workbooks that are made here: bombs, and cells that calamine does not report.

use super::*;

#[test]
fn ranges_are_parsed_and_named_as_the_spreadsheet_does() {
    for (text, want) in [
        ("C2:C4", Some("C2:C4")),
        ("$A$1:AB10", Some("A1:AB10")),
        ("B7", Some("B7:B7")),
        ("A0:C5", None),
        ("A:C", None),
        ("C5:A1", None),
        ("AAAAAAAAAAAA1", None),
        ("", None),
    ] {
        assert_eq!(MergedRange::parse(text).map(|range| range.name()).as_deref(), want, "{text}");
    }
}
