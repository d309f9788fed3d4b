//! What is said of a sheet that was read: how, where that was a guess, and what of it is idle.
//!
//! Each is one line, said once; a plain CSV whose columns are all used is not worth a word.

use crate::plan::Plan;
use crate::sheet::SheetFormat;
use crate::text::{pluralize, strip_control};

/// Columns and worksheets that are named one by one.
const NAMES_MAX: usize = 6;

/// Returns the lines.
pub(crate) fn sheet_remarks(plan: &Plan) -> Vec<String> {
    format_remark(&plan.sheet_reading)
        .into_iter()
        .chain(unused_columns_remark(&plan.unused_columns))
        .collect()
}

fn format_remark(reading: &SheetFormat) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(encoding) = reading.encoding.filter(|encoding| *encoding != "UTF-8") {
        let guess = match reading.is_guess {
            true => " (a guess; `encoding` in the batch file overrules it)",
            false => "",
        };
        parts.push(format!("as {encoding}{guess}"));
    }
    if let Some(delimiter) = reading.delimiter.filter(|delimiter| *delimiter != "comma") {
        parts.push(format!("with a {delimiter} between cells"));
    }
    if let Some(worksheet) = &reading.worksheet {
        let others = match (worksheet.is_guess, &worksheet.others[..]) {
            (true, others @ [_, ..]) => {
                format!(
                    " (the first; `worksheet` in the batch file can name {})",
                    join_names(others, "or")
                )
            }
            (true, []) | (false, _) => String::new(),
        };
        parts.push(format!("from its worksheet `{}`{others}", strip_control(&worksheet.name)));
    }
    (!parts.is_empty()).then(|| format!("the sheet is read {}", parts.join(", ")))
}

fn unused_columns_remark(headings: &[String]) -> Option<String> {
    match headings {
        [] => None,
        [only] => Some(format!("nothing uses the column `{}`", strip_control(only))),
        several => Some(format!("nothing uses the columns {}", join_names(several, "and"))),
    }
}

fn join_names(names: &[String], last: &str) -> String {
    let mut shown: Vec<String> =
        names.iter().take(NAMES_MAX).map(|name| format!("`{}`", strip_control(name))).collect();
    let untold = names.len().saturating_sub(shown.len());
    if untold > 0 {
        shown.push(pluralize(untold as u64, "other"));
    }
    match shown.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
        None => String::new(),
    }
}

/// Returns how the sheet was read, for programs.
pub(crate) fn sheet_format_json(reading: &SheetFormat) -> serde_json::Value {
    serde_json::json!({
        "encoding": reading.encoding,
        "guessed": reading.is_guess,
        "delimiter": reading.delimiter,
        "worksheet": reading.worksheet.as_ref().map(|worksheet| &worksheet.name),
    })
}
