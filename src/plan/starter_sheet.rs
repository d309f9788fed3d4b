//! A starter sheet for a template: its columns, and one row that merges.
//!
//! No template declares what its columns must contain, so the values are found by trial: each cell
//! that the merge rejects is replaced by the next candidate.

use crate::payload::{ColumnMapping, PayloadMerger};
use crate::template::SceneTemplate;

/// Candidates for a cell, in this order: text, numbers, keywords of AI Studios, a URL.
const CANDIDATE_VALUES: [&str; 7] = [
    "Hello, and welcome.",
    "1",
    "100",
    "landscape",
    "1080",
    "fade-in",
    "https://example.org/picture.png",
];

/// A starter sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StarterSheet {
    /// The headings: first the key, then the required columns, then the optional ones.
    pub headings: Vec<String>,
    /// One row, or the two rows of a group.
    pub rows: Vec<Vec<String>>,
    /// Whether the row merges; if not, the user must fill in other values.
    pub is_mergeable: bool,
    /// Whether the rows are one group.
    pub grouped: bool,
}

/// Builds a starter sheet for a template.
pub fn build_starter_sheet(template: &SceneTemplate) -> StarterSheet {
    let needed = template.required_columns();
    // A template may require no column that identifies a row.
    let key = ["id", "key", "row_id"]
        .into_iter()
        .find(|name| !needed.iter().chain(template.optional_columns()).any(|known| known == name));
    let grouped = template.is_grouped();
    let has_own_key = !grouped && needed.len() > 1;
    let mut headings: Vec<String> = Vec::new();
    if !has_own_key {
        headings.extend(key.map(str::to_owned));
    }
    headings.extend(needed.iter().chain(template.optional_columns()).cloned());
    let key_columns = usize::from(!has_own_key);
    let mut row = vec![String::new(); headings.len()];
    for (index, cell) in row.iter_mut().enumerate().take(key_columns + needed.len()) {
        *cell = if index == 0 { "first" } else { CANDIDATE_VALUES[0] }.to_owned();
    }
    let columns = ColumnMapping { names: headings.clone(), grouped, ..ColumnMapping::default() };
    let count = if grouped { 2 } else { 1 };
    let mut merger = PayloadMerger::new(template, &columns);
    let mut is_mergeable = false;
    // Each round changes one cell to its next candidate.
    for _ in 0..=headings.len() * CANDIDATE_VALUES.len() {
        let rows = vec![row.clone(); count];
        let Err(problems) = merger.merge(&rows) else {
            is_mergeable = true;
            break;
        };
        let cell = problems.iter().find_map(|problem| problem.location.sheet_column());
        let index = cell.and_then(|cell| headings.iter().position(|name| name == cell));
        let Some(index) = index else { break };
        let next = match CANDIDATE_VALUES.iter().position(|value| *value == row[index]) {
            Some(tried) => CANDIDATE_VALUES.get(tried + 1),
            None => CANDIDATE_VALUES.first(),
        };
        let Some(next) = next else { break };
        row[index] = (*next).to_owned();
    }
    StarterSheet { rows: vec![row; count], headings, is_mergeable, grouped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::PartialFiles;

    fn starter_sheet(scene: &str) -> StarterSheet {
        let source = format!("{{\"scenes\": [{scene}]}}");
        build_starter_sheet(
            &SceneTemplate::parse("test", &source, &PartialFiles::default()).expect("it is right"),
        )
    }

    #[test]
    fn a_starter_sheet_has_the_templates_columns_and_a_row_that_merges() {
        let avatar = |more: &str| {
            format!(
                "{{\"clips\": [{{\"type\": \"aiModel\", \"model\": {{\"ai_name\": \"M\", \
                 \"emotion\": \"B\"}}, \"script\": {{\"org\": \"{{{{script}}}}\"}}{more}}}]}}"
            )
        };
        let plain = starter_sheet(&avatar(""));
        assert_eq!(plain.headings, ["id", "script"]);
        let more = starter_sheet(&avatar(
            ", \"top\": {{number top}}, \"opacity\": {{number opacity}}, \
             \"animation\": {\"type\": \"{{move}}\", \"duration\": {{number (default long 3)}}}, \
             \"name\": \"{{sku}}{{#if headline}}{{headline}}{{/if}}\"",
        ));
        assert_eq!(more.headings, ["script", "top", "opacity", "move", "sku", "long", "headline"]);
        assert_eq!(more.rows[0], ["first", "1", "1", "fade-in", CANDIDATE_VALUES[0], "", ""]);
        let group = starter_sheet(&format!(
            "{{{{#each rows}}}}{}{{{{#unless @last}}}},{{{{/unless}}}}{{{{/each}}}}",
            avatar("")
        ));
        assert_eq!((group.grouped, group.rows.len()), (true, 2));
        assert_eq!(group.headings, ["id", "script"]);
        assert!(plain.is_mergeable && more.is_mergeable && group.is_mergeable);
        assert!(!starter_sheet(&avatar(", \"isDelete\": \"{{script}}\"")).headings.is_empty());
    }
}
