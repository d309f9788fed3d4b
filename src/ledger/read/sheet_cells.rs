//! The cells of a version under the headings that its batch has now.
//!
//! A version keeps the cells that its video is made from, and the headings of the sheet at that time. A row
//! that is skipped, or whose render is in flight, keeps an older version when a column is added, moved or
//! removed. Invariant: no cell is shown under another heading than its own.

use std::collections::HashMap;

/// Both lists of headings as one JSON text, for a version `v` of a job `j`; null if they are the same.
macro_rules! former_headings {
    () => {
        "(select '[' || own.headings || ',' || sheet.headings || ']' from batch b
            join layout sheet on sheet.id = b.layout_id join layout own on own.id = v.layout_id
            where b.id = j.batch_id and own.id <> sheet.id and own.headings <> sheet.headings
           ) as former_headings"
    };
}
pub(in crate::ledger) use former_headings;

/// Returns the cells, as JSON, in the order of the batch's headings. A column that the version does not
/// have is empty.
pub(in crate::ledger) fn align_cells(cells: String, former_headings: Option<&str>) -> String {
    let Some(headings) = former_headings else { return cells };
    let headings = serde_json::from_str::<(Vec<String>, Vec<String>)>(headings);
    let rows = serde_json::from_str::<Vec<Vec<String>>>(&cells);
    // A damaged text is shown as it is.
    let (Ok((own, sheet)), Ok(rows)) = (headings, rows) else { return cells };
    let own: HashMap<_, _> = numbered(&own).into_iter().zip(0_usize..).collect();
    let columns: Vec<Option<usize>> =
        numbered(&sheet).iter().map(|heading| own.get(heading).copied()).collect();
    let aligned: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            let cell = |column: &Option<usize>| column.and_then(|column| row.get(column));
            columns.iter().map(|column| cell(column).map_or("", String::as_str)).collect()
        })
        .collect();
    serde_json::to_string(&aligned).unwrap_or_default()
}

/// Returns the headings, each with the number of the same headings before it.
fn numbered(headings: &[String]) -> Vec<(&str, usize)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let number = |heading| {
        let before = seen.entry(heading).or_default();
        *before += 1;
        (heading, *before - 1)
    };
    headings.iter().map(String::as_str).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_follow_their_headings() {
        let headings = r#"[["sku","script","note","note"],["note","sku","price","note"]]"#;
        let cells = r#"[["a","Hello","n1","n2"],["b"]]"#.to_owned();
        assert_eq!(
            align_cells(cells.clone(), Some(headings)),
            r#"[["n1","a","","n2"],["","b","",""]]"#
        );
        assert_eq!(align_cells(cells.clone(), None), cells);
    }
}
