//! Checks that a sheet's columns fit a template. These problems are the same for every row.

use crate::payload::ColumnMapping;
use crate::template::problem::{LineColumn, TemplateProblem, TemplateProblemLocation};
use crate::template::{ROWS, SceneTemplate, render_error};

/// Returns missing columns, unexpected or missing groups, and lists that are used as text.
pub(crate) fn find_template_problems(
    template: &SceneTemplate,
    columns: &ColumnMapping,
) -> Vec<TemplateProblem> {
    let known = columns.known_names();
    let usage = template.column_usage();
    let mut problems = Vec::new();
    problems.extend(grouping_problem(template, columns));
    if columns.grouped && known.contains(&ROWS) {
        problems.push(TemplateProblem {
            location: TemplateProblemLocation::Column { name: ROWS.to_owned(), origin: None },
            message: "a column has the name that a group's rows have".to_owned(),
            help: Some("rename it, or give it another name under `columns`".to_owned()),
        });
    }
    problems.extend(list_misuse(template, columns));
    for name in usage.required.iter().filter(|name| !known.contains(&name.as_str())) {
        let at = usage.first_use.get(name).copied().unwrap_or(LineColumn::START);
        problems.push(render_error::unknown_column(at, name, known.clone()));
    }
    problems.into_iter().map(|problem| template.resolve_location(problem)).collect()
}

fn grouping_problem(template: &SceneTemplate, columns: &ColumnMapping) -> Option<TemplateProblem> {
    match (template.column_usage().rows_first_use, columns.grouped) {
        (Some(_), true) | (None, false) => None,
        (Some(at), false) => Some(
            TemplateProblem::in_template(at, "the template makes one video of several rows")
                .with_help("set `group_by` in the batch file to the column that names the video"),
        ),
        // All rows of a group but the first would be lost without notice.
        (None, true) => Some(
            TemplateProblem::in_template(
                LineColumn::START,
                "the batch groups rows, and the template uses only one",
            )
            .with_help("write `{{#each rows}}…{{/each}}`, or remove `group_by`"),
        ),
    }
}

/// Returns lists that are used as text, and texts that `each` goes through.
fn list_misuse(template: &SceneTemplate, columns: &ColumnMapping) -> Vec<TemplateProblem> {
    let usage = template.column_usage();
    let mut problems = Vec::new();
    for (name, at) in usage.text_uses.iter().filter(|(name, _)| columns.lists.contains_key(*name)) {
        let count = columns.lists[name].len();
        let message = format!("`{name}` is a list of {count} columns here, and is used as text");
        let help = format!("write `{{{{#each {name}}}}}{{{{this}}}}{{{{/each}}}}`");
        problems.push(TemplateProblem::in_template(*at, message).with_help(help));
    }
    for (name, at) in usage.list_uses.iter().filter(|(name, _)| columns.names.contains(name)) {
        let message = format!("`{name}` is a single column, and `each` goes through a list");
        let help = format!(
            "call the columns `{name}_1`, `{name}_2` …, or write \
             `{{{{#each (sentences {name} 300)}}}}` to split a long text"
        );
        problems.push(TemplateProblem::in_template(*at, message).with_help(help));
    }
    problems
}
