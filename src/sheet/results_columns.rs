//! Our own reports as sheets: the user fixes `failures.csv` and runs it.
//!
//! A sheet that ends in the columns of a report is read as one. Invariant: its own columns are read
//! as they were in the original sheet, without the report columns and the apostrophes that escape
//! formulas.

/// The last columns of every report, as `report::results` writes them; earlier programs wrote fewer.
const RESULTS_COLUMNS: [&str; 13] = [
    "status",
    "version",
    "project_id",
    "video_file",
    "video_url",
    "attempts",
    "seconds",
    "credits",
    "error",
    "variant",
    "review",
    "reviewed_by",
    "reviewed_at",
];
/// The place of the variant of the line among them, and the number of columns before there were verdicts.
pub(super) const VARIANT_COLUMN: usize = 9;
const COLUMNS_WITHOUT_REVIEW: usize = VARIANT_COLUMN + 1;

/// The columns by which a report is recognised if some of its columns were deleted.
const TYPICAL_COLUMNS: [&str; 4] = ["project_id", "video_file", "video_url", "attempts"];

/// Returns whether the sheet has columns of a report, but not all of them, or not at its end.
pub(super) fn is_partial_report(headings: &[String]) -> bool {
    let has = |name: &&&str| headings.iter().any(|heading| heading == **name);
    TYPICAL_COLUMNS.iter().filter(has).count() >= 3
}

/// Returns the number of report columns at the end of a sheet.
pub(super) fn count_report_columns(headings: &[String]) -> usize {
    let ends_in = |columns: &usize| {
        let own = headings.len().saturating_sub(*columns);
        own > 0 && headings[own..].iter().eq(&RESULTS_COLUMNS[..*columns])
    };
    [RESULTS_COLUMNS.len(), COLUMNS_WITHOUT_REVIEW].into_iter().find(ends_in).unwrap_or(0)
}
