//! What a failed rendering means for the person who wrote the template or the cell.
//!
//! Helpers fail with a [`Fault`], which keeps the column's name and the hint that the library's own
//! errors lose. Everything else the library can say is translated here, once.

use handlebars::{RenderError, RenderErrorReason};

use super::problem::{At, Place, Problem, suggest};

/// A helper's complaint about what it was given.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Fault {
    /// The column whose cell is at fault, when the helper was given a column and not a result.
    pub(super) column: Option<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl From<Fault> for RenderError {
    fn from(fault: Fault) -> Self {
        RenderErrorReason::NestedError(Box::new(fault)).into()
    }
}

/// Returns the column's name in a path as the template writes it: `../row.sku` is `sku`.
pub(super) fn column_of(path: &str) -> &str {
    let name = path.rsplit_once(['.', '/']).map_or(path, |(_, name)| name);
    match path.rsplit_once('[') {
        Some((_, bracketed)) => bracketed.trim_end_matches(']'),
        None => name,
    }
}

/// Translates a rendering error; `known` are the names that a cell or a default exists for.
pub(super) fn explain<'n>(
    error: &RenderError,
    known: impl IntoIterator<Item = &'n str> + Clone,
) -> Problem {
    let at = At::new(error.line_no.unwrap_or(1), error.column_no.unwrap_or(1));
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) if path.starts_with('@') => {
            Problem::in_template(
                at,
                format!("`{path}` means something only inside `{{{{#each}}}}`"),
            )
        }
        RenderErrorReason::MissingVariable(Some(path)) => no_column(at, column_of(path), known),
        RenderErrorReason::NestedError(inner) => match inner.downcast_ref::<Fault>() {
            Some(fault) => faulty(at, fault),
            None => unnamed(at),
        },
        RenderErrorReason::HelperNotFound(name) => {
            Problem::in_template(at, format!("there is no helper `{name}`"))
        }
        RenderErrorReason::InvalidJsonIndex(name) => Problem::in_template(
            at,
            format!("`{name}` is asked of a list, and a list has only numbers"),
        )
        .with_help("write `{{#each rows}}` around it, or `rows.0` for the first row"),
        _ => unnamed(at),
    }
}

/// Says that the template names a column that the sheet does not have.
pub(super) fn no_column<'n>(
    at: At,
    name: &str,
    known: impl IntoIterator<Item = &'n str> + Clone,
) -> Problem {
    Problem::in_template(at, format!("the sheet has no column `{name}`"))
        .with_help(suggest(name, known, "columns"))
}

fn faulty(at: At, fault: &Fault) -> Problem {
    let place = match &fault.column {
        Some(column) => Place::Column { name: column.clone(), origin: Some(Box::new(at.into())) },
        None => Place::Template(at.into()),
    };
    Problem { place, message: fault.message.clone(), help: fault.help.clone() }
}

fn unnamed(at: At) -> Problem {
    Problem::in_template(at, "this tag cannot be filled in")
        .with_help("check the names and the order of what stands in it")
}

#[cfg(test)]
mod tests {
    use super::column_of;

    #[test]
    fn a_path_ends_in_its_column() {
        for (path, column) in [
            ("sku", "sku"),
            ("this.sku", "sku"),
            ("../sku", "sku"),
            ("row.[Script (EN.v2)]", "Script (EN.v2)"),
            ("[대본]", "대본"),
        ] {
            assert_eq!(column_of(path), column, "{path}");
        }
    }
}
