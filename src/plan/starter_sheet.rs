//! A sheet to begin with: the columns that a template asks for, and a row that it takes.
//!
//! What a column must hold is not written anywhere; it is found by merging, and by asking of each
//! cell that is refused whether something else will do.

use crate::payload::ColumnMapping;
use crate::template::SceneTemplate;

/// What a cell is tried with, in this order: words, a number, the words that AI Studios knows.
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
    /// The headings: what names a row first, then what the template needs, then what it may use.
    pub headings: Vec<String>,
    /// One row, or two of one group.
    pub rows: Vec<Vec<String>>,
    /// Whether the template takes it as it is. Where not, a person has to fill in what it wants.
    pub is_mergeable: bool,
    /// Whether the rows are one video.
    pub grouped: bool,
}

/// Makes a starter sheet for a template.
pub fn build_starter_sheet(template: &SceneTemplate) -> StarterSheet {
    let needed = template.required_columns();
    // A template may need nothing that tells rows apart.
    let naming = ["id", "key", "row_id"]
        .into_iter()
        .find(|name| !needed.iter().chain(template.optional_columns()).any(|known| known == name));
    let grouped = template.is_grouped();
    let names_itself = !grouped && needed.len() > 1;
    let mut headings: Vec<String> = Vec::new();
    if !names_itself {
        headings.extend(naming.map(str::to_owned));
    }
    headings.extend(needed.iter().chain(template.optional_columns()).cloned());
    let grouped_by = usize::from(!names_itself);
    let mut row = vec![String::new(); headings.len()];
    for (index, cell) in row.iter_mut().enumerate().take(grouped_by + needed.len()) {
        *cell = if index == 0 { "first" } else { CANDIDATE_VALUES[0] }.to_owned();
    }
    let columns = ColumnMapping { names: headings.clone(), grouped, ..ColumnMapping::default() };
    let count = if grouped { 2 } else { 1 };
    let mut merger = template.merger(&columns);
    let mut merges = false;
    // Each round mends one cell, and no cell is tried more often than there are values.
    for _ in 0..=headings.len() * CANDIDATE_VALUES.len() {
        let rows = vec![row.clone(); count];
        let Err(problems) = merger.merge(&rows) else {
            merges = true;
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
    StarterSheet { rows: vec![row; count], headings, is_mergeable: merges, grouped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::PartialFiles;

    fn of(scene: &str) -> StarterSheet {
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
        let plain = of(&avatar(""));
        assert_eq!(plain.headings, ["id", "script"]);
        let more = of(&avatar(
            ", \"top\": {{number top}}, \"opacity\": {{number opacity}}, \
             \"animation\": {\"type\": \"{{move}}\", \"duration\": {{number (default long 3)}}}, \
             \"name\": \"{{sku}}{{#if headline}}{{headline}}{{/if}}\"",
        ));
        assert_eq!(more.headings, ["script", "top", "opacity", "move", "sku", "long", "headline"]);
        assert_eq!(more.rows[0], ["first", "1", "1", "fade-in", CANDIDATE_VALUES[0], "", ""]);
        let group = of(&format!(
            "{{{{#each rows}}}}{}{{{{#unless @last}}}},{{{{/unless}}}}{{{{/each}}}}",
            avatar("")
        ));
        assert_eq!((group.grouped, group.rows.len()), (true, 2));
        assert_eq!(group.headings, ["id", "script"]);
        assert!(plain.is_mergeable && more.is_mergeable && group.is_mergeable);
        assert!(!of(&avatar(", \"isDelete\": \"{{script}}\"")).headings.is_empty());
    }
}
