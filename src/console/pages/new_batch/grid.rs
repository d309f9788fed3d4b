//! The cells of a sheet as a form: each problem at its cell, rows with problems first.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::columns_form::SAVES_ALL;
use crate::console::pages::page_parts::{sentence, with_code};
use crate::session::upload::{CellEdit, UploadFinding, UploadPlan, UploadState};
use crate::sheet::SheetRow;

/// Rows that are shown at once.
const ROWS_MAX: usize = 40;
/// A longer cell is shown in several lines.
const LINE_CHARS_MAX: usize = 32;
/// Lines of an empty cell in a column of long texts.
const EMPTY_LINES: usize = 3;
/// Findings that are listed.
const FINDINGS_MAX: usize = 20;

/// The cells of an uploaded batch.
pub(super) struct GridView<'v> {
    pub(super) state: &'v UploadState,
    pub(super) plan: &'v UploadPlan,
    /// The only row to show.
    pub(super) only: Option<u64>,
}

/// Parses a field of the grid: `c.ROW.COLUMN`.
pub(super) fn parse_cell_field(name: &str, text: &str) -> Option<CellEdit> {
    let (row, column) = name.strip_prefix("c.")?.split_once('.')?;
    Some(CellEdit { row: row.parse().ok()?, column: column.parse().ok()?, text: text.to_owned() })
}

/// Lists findings; rows that are shown below are links.
fn list_findings(view: &GridView<'_>, class: &str, found: &[UploadFinding]) -> Markup {
    let shown: BTreeSet<u64> = view.rows().iter().map(|row| row.number).collect();
    html! {
        ul class={ "findings " (class) } {
            @for finding in found.iter().take(FINDINGS_MAX) {
                li {
                    @if let Some(row) = finding.rows.first() {
                        @if shown.contains(row) { a href={ "#r" (row) } { "row " (row) } }
                        @else { "row " (row) }
                        @if finding.row_count > 1 { " and " (finding.row_count - 1) " more" }
                        ": "
                    }
                    (with_code(&finding.message))
                    @if let Some(help) = finding.help.as_deref().and_then(console_help) {
                        span .muted { ". " (with_code(&sentence(help))) }
                    }
                }
            }
            @if found.len() > FINDINGS_MAX { li .muted { "and " (found.len() - FINDINGS_MAX) " more" } }
        }
    }
}

/// Returns the part of a help that can be done here, where there is neither a batch file nor a template
/// to edit.
fn console_help(help: &str) -> Option<&str> {
    let part = match help.rsplit_once(", or ") {
        Some((part, rest)) if rest.contains("in the template") => part,
        Some(_) | None => help,
    };
    (!part.contains("batch file") && !part.contains("`columns`")).then_some(part)
}

impl GridView<'_> {
    /// Returns findings with their heading.
    pub(super) fn findings(&self, title: &str, class: &str, found: &[UploadFinding]) -> Markup {
        html! {
            @if !found.is_empty() {
                h2 { (title) " (" (found.len()) ")" }
                (list_findings(self, class, found))
            }
        }
    }

    /// Returns the cells as fields.
    pub(super) fn table(&self) -> Markup {
        let rows = self.rows();
        let all = self.state.proposal.rows;
        html! {
            h2 { "Cells" @if rows.len() < all { " (" (rows.len()) " of " (all) " rows)" } }
            p .muted { (self.order()) }
            input type="hidden" name="sheet" value=(self.state.sheet_hash);
            @if let Some(row) = self.only { input type="hidden" name="row" value=(row); }
            // The button floats over the grid alone: this is its frame.
            div {
                div .scroll {
                    table .grid {
                        thead { tr {
                            th scope="col" { "Row" }
                            @for heading in &self.state.proposal.headings { th scope="col" { (heading) } }
                        } }
                        tbody { @for row in &rows { (self.row(row)) } }
                    }
                }
                p .save.row { button type="submit" name="part" value="cells" { "Save all" } span .muted { (SAVES_ALL) } }
            }
        }
    }

    /// Returns the order of the rows, in words.
    fn order(&self) -> &'static str {
        let has_marked = self.findings_by_row().next().is_some();
        match (self.only, has_marked) {
            (Some(_), _) => "Only the row that you opened.",
            (None, true) => "Rows with a problem or a warning first, then the order of the sheet.",
            (None, false) => "In the order of the sheet.",
        }
    }

    /// Returns the numbers of the rows with findings.
    fn findings_by_row(&self) -> impl Iterator<Item = u64> {
        let found = self.plan.problems.iter().chain(&self.plan.warnings);
        found.flat_map(|finding| finding.rows.iter().copied())
    }

    /// Returns the rows to show, those with findings first.
    fn rows(&self) -> Vec<&SheetRow> {
        let heading_row = self.state.proposal.heading_row;
        let rows = self.state.sheet.rows.iter().filter(|row| row.number > heading_row);
        if let Some(only) = self.only {
            return rows.filter(|row| row.number == only).collect();
        }
        let marked: BTreeSet<u64> = self.findings_by_row().collect();
        let (first, rest): (Vec<&SheetRow>, Vec<&SheetRow>) =
            rows.partition(|row| marked.contains(&row.number));
        first.into_iter().chain(rest).take(ROWS_MAX).collect()
    }

    /// Returns whether a column has a long text in another row, as a column of scripts has.
    fn is_long(&self, column: usize) -> bool {
        let cells = self.state.sheet.rows.iter().filter_map(|row| row.cells.get(column));
        cells.take(ROWS_MAX).any(|cell| cell.chars().count() > LINE_CHARS_MAX)
    }

    fn row(&self, row: &SheetRow) -> Markup {
        let columns = self.state.proposal.headings.len().max(row.cells.len());
        html! {
            tr id={ "r" (row.number) } {
                th scope="row" { (row.number) }
                @for column in 0..columns { (self.cell(row, column)) }
            }
        }
    }

    fn cell(&self, row: &SheetRow, column: usize) -> Markup {
        let text = row.cells.get(column).map_or("", String::as_str);
        let name = format!("c.{}.{column}", row.number);
        let heading = self.state.proposal.headings.get(column).map_or("", String::as_str);
        let label = format!("{heading}, row {}", row.number);
        let problem = finding_at(&self.plan.problems, row.number, column);
        let warning = finding_at(&self.plan.warnings, row.number, column);
        let lines = text.lines().count().max(text.chars().count() / LINE_CHARS_MAX + 1).min(6);
        let lines = if text.is_empty() && self.is_long(column) { EMPTY_LINES } else { lines };
        html! {
            td data-heading=(heading) .problem[problem.is_some()] .warning[problem.is_none() && warning.is_some()] {
                @if lines > 1 {
                    textarea name=(name) aria-label=(label) rows=(lines) aria-invalid=[problem.map(|_| "true")] { (text) }
                } @else {
                    input name=(name) value=(text) aria-label=(label) aria-invalid=[problem.map(|_| "true")];
                }
                @if let Some(finding) = problem.or(warning) { p .finding { (with_code(cell_message(&finding.message))) } }
            }
        }
    }
}

/// Returns a message without its cell, at which it is shown, and without the template's line.
fn cell_message(message: &str) -> &str {
    let (place, rest) = message.split_once(": ").unwrap_or(("", message));
    let message = if place.starts_with("column ") { rest } else { message };
    message.rsplit_once(" (template line ").map_or(message, |(message, _)| message)
}

fn finding_at(found: &[UploadFinding], row: u64, column: usize) -> Option<&UploadFinding> {
    found.iter().find(|finding| finding.column == Some(column) && finding.rows.contains(&row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_nothing_that_the_browser_has_not() {
        for (help, shown) in [
            (
                "fill in the cell, or leave this avatar out everywhere: `\"isDelete\": true` in the template",
                Some("fill in the cell"),
            ),
            ("keep one of the two in the batch file", None),
            ("rename this column, or change `columns`", None),
            ("write a web address", Some("write a web address")),
        ] {
            assert_eq!(console_help(help), shown, "{help}");
        }
    }

    #[test]
    fn a_message_at_its_cell_does_not_repeat_where_it_is() {
        for (message, shown) in [
            ("column D `Script`: the script is empty (template line 23)", "the script is empty"),
            ("column B: the price: 3 is no price", "the price: 3 is no price"),
            ("the key: is used twice", "the key: is used twice"),
            ("", ""),
        ] {
            assert_eq!(cell_message(message), shown);
        }
    }
}
