//! Remarks about a sheet: encoding, delimiter, guessed worksheet, and unused columns.
//!
//! One line each. A plain CSV without unused columns has no remark.

use crate::plan::Plan;
use crate::sheet::SheetFormat;
use crate::text::{pluralize, strip_control};

/// Columns and worksheets that are listed by name.
const NAMES_MAX: usize = 6;

/// Returns the remarks.
pub(crate) fn sheet_remarks(plan: &Plan) -> Vec<String> {
    format_remarks(&plan.sheet_reading)
        .into_iter()
        .chain(unused_columns_remark(&plan.unused_columns))
        .collect()
}

fn format_remarks(reading: &SheetFormat) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(encoding) = reading.encoding.filter(|encoding| *encoding != "UTF-8") {
        remarks.push(format!("Encoding: {encoding}"));
    }
    if let Some(delimiter) = reading.delimiter.filter(|delimiter| *delimiter != "comma") {
        remarks.push(format!("Delimiter: {delimiter}"));
    }
    if let Some(worksheet) = &reading.worksheet {
        let others = match (worksheet.is_guess, &worksheet.others[..]) {
            (true, others @ [_, ..]) => {
                format!(" (for {}, set `worksheet`)", join_names(others, "or"))
            }
            (true, []) | (false, _) => String::new(),
        };
        remarks.push(format!("Worksheet: {}{others}", strip_control(&worksheet.name)));
    }
    remarks
}

fn unused_columns_remark(headings: &[String]) -> Option<String> {
    match headings {
        [] => None,
        [only] => Some(format!("Unused column: {}", strip_control(only))),
        several => Some(format!("Unused columns: {}", join_names(several, "and"))),
    }
}

fn join_names(names: &[String], last: &str) -> String {
    let mut shown: Vec<String> =
        names.iter().take(NAMES_MAX).map(|name| strip_control(name).into_owned()).collect();
    let omitted = names.len().saturating_sub(shown.len());
    if omitted > 0 {
        shown.push(pluralize(omitted as u64, "other"));
    }
    match shown.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
        None => String::new(),
    }
}

/// Returns the format of the sheet as JSON.
pub(crate) fn sheet_format_json(reading: &SheetFormat) -> serde_json::Value {
    serde_json::json!({
        "encoding": reading.encoding,
        "guessed": reading.is_guess,
        "delimiter": reading.delimiter,
        "worksheet": reading.worksheet.as_ref().map(|worksheet| &worksheet.name),
    })
}
