//! The rows page: the form of the filter, the table, and the links to other pages.

use maud::{Markup, html};

use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{
    counts_by_status, number, row_chip, row_link, video_length, with_code,
};
use crate::console::pages::rows::row_query::{RowPlace, RowQuery, RowSort};
use crate::console::pages::rows::row_search::FoundRows;
use crate::ledger::{ConsoleRole, JobRow, JobState, RowStatus};
use crate::session::batch_status::BatchStatus;
use crate::text::{format_credit_number, pluralize, truncate};

/// Characters of the cells and of the message of a row.
const TEXT_CHARS_MAX: usize = 120;

/// What the page shows.
pub(super) struct RowsView<'v> {
    pub(super) page: &'v PageRequest,
    pub(super) status: &'v BatchStatus,
    pub(super) query: &'v RowQuery,
    pub(super) headings: &'v [String],
}

impl RowsView<'_> {
    fn batch(&self) -> &str {
        &self.status.batch.name
    }

    /// Returns the address of another page of these rows.
    pub(super) fn place_address(&self, place: Option<RowPlace>) -> Option<String> {
        let query = self.query.fields_at(place?).to_query();
        Some(self.page.links().rows(self.batch(), &query))
    }

    /// Returns the number of rows that match, if it is known without reading them.
    pub(super) fn count_matching(&self) -> Option<u64> {
        if !self.query.is_by_status_only() {
            return None;
        }
        if self.query.statuses.is_empty() {
            return Some(self.status.count_all());
        }
        let mut total = 0;
        for status in &self.query.statuses {
            total += match status {
                RowStatus::State(state) => self.status.count_in_state(*state),
                RowStatus::Invalid => self.status.invalid,
                RowStatus::Skipped => self.status.skipped,
                RowStatus::Stalled => self.status.count_stalled(),
                RowStatus::Generating => self.status.generating,
                RowStatus::Removed => self.status.removed.values().sum(),
                RowStatus::Open => {
                    self.status.count_open() + self.status.count_in_state(JobState::Uncertain)
                }
            };
        }
        // Groups of statuses overlap.
        (self.query.statuses.len() == 1).then_some(total)
    }

    pub(super) fn filter_form(&self) -> Markup {
        let fields = &self.query.fields;
        let links = self.page.links();
        let conditions: Vec<_> =
            fields.iter().filter(|(name, value)| name == "where" && !value.is_empty()).collect();
        html! {
            form .filter method="get" action=(links.rows(self.batch(), "")) role="search" {
                input type="search" name="q" value=(fields.get("q").unwrap_or_default())
                    placeholder="Key, cell, message or project id" aria-label="Find rows";
                (self.state_select())
                (self.cause_select())
                input .where name="where" value="" placeholder="Column=value"
                    title="The heading of a column, =, and its cell, such as Language=de; != for all others"
                    aria-label="Only rows whose cell has this value, such as Language=de";
                @for (_, value) in &conditions { input type="hidden" name="where" value=(value); }
                @if let Some(sort) = fields.get("sort") { input type="hidden" name="sort" value=(sort); }
                button type="submit" { "Filter" }
                @if self.query.is_restricted() { a href=(links.rows(self.batch(), "")) { "Clear" } }
            }
            @if !conditions.is_empty() {
                p .conditions { @for (_, value) in &conditions { span .chip { (value) } } }
            }
        }
    }

    fn state_select(&self) -> Markup {
        let chosen = self.query.fields.get("state").unwrap_or_default();
        let present = counts_by_status(self.status);
        let others = [RowStatus::Open, RowStatus::Stalled, RowStatus::Removed];
        let is_listed = |text: &str| {
            present.iter().map(|(status, _)| *status).chain(others).any(|one| one.as_str() == text)
        };
        html! {
            select name="state" aria-label="State" {
                option value="" { "All states" }
                @for (status, rows) in &present {
                    option value=(status) selected[chosen == status.as_str()] { (status.label()) " (" (number(*rows)) ")" }
                }
                @for status in others {
                    option value=(status) selected[chosen == status.as_str()] { (status.label()) }
                }
                @if !chosen.is_empty() && !is_listed(chosen) { option value=(chosen) selected { (chosen) } }
            }
        }
    }

    fn cause_select(&self) -> Markup {
        let chosen = self.query.cause.as_deref().unwrap_or_default();
        let groups = self.status.attention_groups.iter();
        let causes: Vec<&str> = groups.filter_map(|group| group.cause.as_deref()).collect();
        html! {
            @if !causes.is_empty() || !chosen.is_empty() {
                select name="cause" aria-label="Cause" {
                    option value="" { "All causes" }
                    @for cause in &causes { option value=(cause) selected[*cause == chosen] { (cause) } }
                    @if !chosen.is_empty() && !causes.contains(&chosen) { option value=(chosen) selected { (chosen) } }
                }
            }
        }
    }

    pub(super) fn results(&self, found: &FoundRows) -> Markup {
        html! {
            div .row.results {
                (self.result_count(found))
                span .spacer {}
                a href=(self.csv_address()) download { "Download CSV" }
            }
            @if found.is_exact {
                p { a href=(self.search_address("cells")) { "Search the cells of all rows for this text" } }
            }
            @if found.is_by_texts {
                p { a href=(self.search_address("all")) { "Search the messages for this text as well" } }
            }
            @if found.is_unsorted { p .muted { "Too many rows to sort: these are in the order of the sheet. Narrow the filter." } }
            @if found.rows.is_empty() && !found.is_cut { (self.empty_state()) }
            @else { (self.table(&found.rows)) }
            (self.pager(found))
        }
    }

    fn result_count(&self, found: &FoundRows) -> Markup {
        let shown = found.rows.len() as u64;
        html! {
            p role="status" {
                @match self.count_matching() {
                    Some(all) if all == shown => { (pluralize(all, "row")) },
                    Some(all) => { (number(shown)) " of " (number(all)) " rows" },
                    None => { (pluralize(shown, "row")) @if found.later.is_some() { " on this page" } },
                }
                @if found.is_cut { span .muted { " · not all rows were searched yet" } }
            }
        }
    }

    fn search_address(&self, search: &str) -> String {
        let query = self.query.fields_at(RowPlace::Page(0)).with("search", search).to_query();
        self.page.links().rows(self.batch(), &query)
    }

    fn csv_address(&self) -> String {
        let query = self.query.fields_at(RowPlace::Page(0)).to_query();
        format!("{}/rows.csv{query}", self.page.links().batch(self.batch()))
    }

    fn empty_state(&self) -> Markup {
        html! {
            div .empty {
                @if self.query.is_restricted() {
                    h2 { "No row matches" }
                    p { a href=(self.page.links().rows(self.batch(), "")) { "Show all rows" } }
                } @else {
                    h2 { "No rows" }
                    p { "The sheet of this batch has no rows." }
                }
            }
        }
    }

    fn table(&self, rows: &[JobRow]) -> Markup {
        html! {
            div .scroll tabindex="0" role="region" aria-label="Rows" {
                table .rows {
                    thead { tr {
                        (self.heading(RowSort::Sheet, "Row"))
                        (self.heading(RowSort::Key, "Key"))
                        (self.heading(RowSort::State, "State"))
                        th scope="col" { "Cells" }
                        th scope="col" { "Message" }
                        (self.heading(RowSort::Length, "Length"))
                        (self.heading(RowSort::Credits, "Credits"))
                    } }
                    tbody { @for row in rows { (self.table_row(row)) } }
                }
            }
        }
    }

    fn heading(&self, sort: RowSort, title: &str) -> Markup {
        let address = self.query.fields_sorted_by(sort).to_query();
        let order = (self.query.sort == sort).then_some(if self.query.is_descending {
            "descending"
        } else {
            "ascending"
        });
        let is_number = matches!(sort, RowSort::Length | RowSort::Credits);
        html! {
            th scope="col" aria-sort=[order] .number[is_number] {
                a href=(self.page.links().rows(self.batch(), &address)) { (title) }
            }
        }
    }

    fn table_row(&self, row: &JobRow) -> Markup {
        let is_rendering = row.state == Some(JobState::Rendering) || row.generating;
        html! {
            tr {
                td .figure { (row.row_number) }
                td { (row_link(&self.page.links(), self.batch(), row)) }
                td .nowrap {
                    (row_chip(row))
                    // Without any progress, a figure would show a standstill.
                    @if let Some(progress) = row.progress.filter(|progress| is_rendering && *progress >= 0.5) {
                        span .muted { (format!(" {progress:.0} %")) }
                    }
                    (self.decision(row))
                }
                td .cells { (self.cells_excerpt(row)) }
                td .message {
                    @if let Some(cause) = row.cause.as_ref().filter(|_| row.state.is_some()) { strong { (cause) } " " }
                    (with_code(&truncate(row.message.as_deref().unwrap_or_default(), TEXT_CHARS_MAX)))
                }
                td .number { @if let Some(ms) = row.video_ms { (video_length(ms)) } }
                td .number { @if let Some(credits) = row.credits { (format_credit_number(credits)) } }
            }
        }
    }

    /// Returns the way to the decision about an uncertain row, for those who may take it.
    fn decision(&self, row: &JobRow) -> Markup {
        let is_operator = self.page.requester.has_role(ConsoleRole::Operator);
        let key = row.key.as_ref().filter(|_| row.state == Some(JobState::Uncertain));
        html! {
            @if let Some(key) = key.filter(|_| is_operator) {
                " " a href=(self.page.links().resolve(self.batch(), key)) aria-label={ "Decide about " (key) } { "Decide" }
            }
        }
    }

    /// Returns the beginning of the cells, without the key and empty ones.
    fn cells_excerpt(&self, row: &JobRow) -> String {
        let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
        let first = cells.first().map(Vec::as_slice).unwrap_or_default();
        let is_shown = |cell: &&String| !cell.is_empty() && Some(*cell) != row.key.as_ref();
        let named = first.iter().zip(self.headings).map(|(cell, _)| cell).filter(is_shown);
        let text = named.map(String::as_str).collect::<Vec<_>>().join(" · ");
        truncate(&text, TEXT_CHARS_MAX)
    }

    fn pager(&self, found: &FoundRows) -> Markup {
        html! {
            nav .pager aria-label="Pages" {
                @if let Some(address) = self.place_address(found.earlier) { a rel="prev" href=(address) { "← Earlier" } }
                span .spacer {}
                @if let Some(address) = self.place_address(found.later) {
                    a rel="next" href=(address) { @if found.is_cut { "Search on →" } @else { "Later →" } }
                }
            }
        }
    }
}
