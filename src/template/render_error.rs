//! Translates rendering errors into problems for the author of the template or the cell.
//!
//! Helpers fail with a [`HelperError`], which keeps the column's name and the hint that the library's
//! own errors lose. All other errors of the library are translated here.

use handlebars::{RenderError, RenderErrorReason};

use crate::template::problem::{LineColumn, TemplateProblem, TemplateProblemLocation};
use crate::text::suggest_name;

/// The error of a helper about its parameters.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct HelperError {
    /// The column of the faulty cell, if the parameter is a column and not a result.
    pub(crate) column: Option<String>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl From<HelperError> for RenderError {
    fn from(error: HelperError) -> Self {
        RenderErrorReason::NestedError(Box::new(error)).into()
    }
}

/// Returns the column's name in a path as the template writes it: `../row.sku` is `sku`.
pub(crate) fn column_in_path(path: &str) -> &str {
    let name = path.rsplit_once(['.', '/']).map_or(path, |(_, name)| name);
    match path.rsplit_once('[') {
        Some((_, bracketed)) => bracketed.trim_end_matches(']'),
        None => name,
    }
}

/// Translates a rendering error. `known` are the names that have a cell or a default.
pub(crate) fn describe_render_error<'n>(
    error: &RenderError,
    known: impl IntoIterator<Item = &'n str> + Clone,
) -> TemplateProblem {
    let at = LineColumn::new(error.line_no.unwrap_or(1), error.column_no.unwrap_or(1));
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) if path.starts_with('@') => {
            TemplateProblem::in_template(
                at,
                format!("`{path}` means something only inside `{{{{#each}}}}`"),
            )
        }
        RenderErrorReason::MissingVariable(Some(path)) => {
            unknown_column(at, column_in_path(path), known)
        }
        RenderErrorReason::NestedError(inner) => match inner.downcast_ref::<HelperError>() {
            Some(error) => helper_problem(at, error),
            None => unfillable_tag(at),
        },
        RenderErrorReason::HelperNotFound(name) => {
            TemplateProblem::in_template(at, format!("there is no helper `{name}`"))
        }
        RenderErrorReason::InvalidJsonIndex(name) => TemplateProblem::in_template(
            at,
            format!("`{name}` is asked of a list, and a list has only numbers"),
        )
        .with_help("write `{{#each rows}}` around it, or `rows.0` for the first row"),
        _ => unfillable_tag(at),
    }
}

/// Returns the problem of a column that the sheet does not have.
pub(crate) fn unknown_column<'n>(
    at: LineColumn,
    name: &str,
    known: impl IntoIterator<Item = &'n str> + Clone,
) -> TemplateProblem {
    TemplateProblem::in_template(at, format!("the sheet has no column `{name}`"))
        .with_help(suggest_name(name, known, "columns"))
}

fn helper_problem(at: LineColumn, error: &HelperError) -> TemplateProblem {
    let location = match &error.column {
        Some(column) => TemplateProblemLocation::Column {
            name: column.clone(),
            origin: Some(Box::new(at.into())),
        },
        None => TemplateProblemLocation::Template(at.into()),
    };
    TemplateProblem { location, message: error.message.clone(), help: error.help.clone() }
}

fn unfillable_tag(at: LineColumn) -> TemplateProblem {
    TemplateProblem::in_template(at, "this tag cannot be filled in")
        .with_help("check the names and the order of what stands in it")
}

#[cfg(test)]
mod tests {
    use crate::template::render_error::column_in_path;

    #[test]
    fn path_ends_in_its_column() {
        for (path, column) in [
            ("sku", "sku"),
            ("this.sku", "sku"),
            ("../sku", "sku"),
            ("row.[Script (EN.v2)]", "Script (EN.v2)"),
            ("[대본]", "대본"),
        ] {
            assert_eq!(column_in_path(path), column, "{path}");
        }
    }
}
