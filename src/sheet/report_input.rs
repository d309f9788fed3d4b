//! Our own reports as sheets: the user fixes `failures.csv` and runs it.
//!
//! A sheet that ends in the columns of a report is treated as one. Invariant: its own columns are read
//! as they were in the original sheet, without the report columns and the apostrophes that escape
//! formulas.

/// The last columns of every report; the last one is the variant of the line.
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

/// Returns the number of report columns at the end of a sheet.
pub(super) fn count_report_columns(headings: &[String]) -> usize {
    let own = headings.len().saturating_sub(REPORT_COLUMNS.len());
    let is_report = own > 0 && headings[own..].iter().eq(REPORT_COLUMNS.iter());
    if is_report { REPORT_COLUMNS.len() } else { 0 }
}

/// Returns a cell as it was before the report escaped it.
pub(super) fn unescape_formula(cell: &str) -> &str {
    let Some(rest) = cell.strip_prefix('\'') else { return cell };
    let formula_text = rest.trim_start_matches('\'');
    let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if formula_text.starts_with(formula) && formula_text.parse::<f64>().is_err() {
        rest
    } else {
        cell
    }
}
