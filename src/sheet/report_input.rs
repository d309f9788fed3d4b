//! Our own reports as sheets: `failures.csv` is mended and fed back.
//!
//! A sheet that ends in the columns of a report is one. Its own columns come back as they were:
//! the report's columns are not part of it, and the apostrophe that kept a formula from being one
//! is taken off again.

/// The columns that every report ends in; the last says which variant of its row a line is about.
const REPORT_COLUMNS: [&str; 10] = [
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
];

/// Returns how many of a sheet's last columns belong to a report.
pub(super) fn count_report_columns(headings: &[String]) -> usize {
    let own = headings.len().saturating_sub(REPORT_COLUMNS.len());
    let ends = own > 0 && headings[own..].iter().eq(REPORT_COLUMNS.iter());
    if ends { REPORT_COLUMNS.len() } else { 0 }
}

/// Returns a cell as it was before the report made it harmless.
pub(super) fn unescape_formula(cell: &str) -> &str {
    let Some(rest) = cell.strip_prefix('\'') else { return cell };
    let behind = rest.trim_start_matches('\'');
    let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if behind.starts_with(formula) && behind.parse::<f64>().is_err() { rest } else { cell }
}
