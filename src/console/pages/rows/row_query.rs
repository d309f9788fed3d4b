//! The filter of the rows page, as the address holds it: `state`, `cause`, `q`, `where`, `sort`, and
//! the place: `after`, `before` or `page`. Pure. `search=cells`
//! searches beyond an exact key, `search=all` also the messages of a large batch.
//!
//! `state` and `where` are those of `callsheet jobs`. `q` is a part of the key, of a cell or of a
//! message, or a whole project id, in any case of its letters.

use crate::console::form::FormFields;
use crate::console::pages::rows::row_texts::TextNeedle;
use crate::ledger::{JobRow, RowStatus};
use crate::payload::ColumnMapping;
use crate::plan::{RowCondition, RowFilter};
use crate::text::suggest_name;

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowSort {
    Sheet,
    Key,
    State,
    Length,
    Credits,
    Attempts,
}

impl RowSort {
    pub(super) const ALL: [Self; 6] =
        [Self::Sheet, Self::Key, Self::State, Self::Length, Self::Credits, Self::Attempts];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sheet => "row",
            Self::Key => "key",
            Self::State => "state",
            Self::Length => "length",
            Self::Credits => "credits",
            Self::Attempts => "attempts",
        }
    }
}

/// A page of the matching rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowPlace {
    /// After a position in the sheet; -1 for the beginning.
    After(i64),
    /// Before a position in the sheet.
    Before(i64),
    /// The page with this number from 0, of sorted rows.
    Page(usize),
}

/// A parsed filter.
#[derive(Clone, Debug)]
pub(super) struct RowQuery {
    pub(super) fields: FormFields,
    pub(super) statuses: Vec<RowStatus>,
    pub(super) cause: Option<String>,
    /// The text to find, in small letters.
    pub(super) text: Option<String>,
    /// The text as it was typed, unless it is to be searched beyond an exact key.
    pub(super) exact_text: Option<String>,
    /// Whether every row is to be read, with its message.
    is_with_messages: bool,
    pub(super) sort: RowSort,
    pub(super) is_descending: bool,
    pub(super) place: RowPlace,
    has_conditions: bool,
    conditions: RowFilter,
    columns: ColumnMapping,
}

impl RowQuery {
    /// Parses the fields of an address.
    ///
    /// # Errors
    /// The field that is wrong, and the right values.
    pub(super) fn parse(
        fields: &FormFields,
        headings: &[String],
        columns: ColumnMapping,
    ) -> Result<Self, String> {
        let mut conditions: Vec<RowCondition> = Vec::new();
        for (_, value) in fields.iter().filter(|(name, value)| name == "where" && !value.is_empty())
        {
            conditions.push(value.parse().map_err(|error| format!("`where`: {error}"))?);
        }
        let filter = RowFilter::new(&conditions, headings, &columns);
        let sort = fields.get("sort").unwrap_or(RowSort::Sheet.as_str());
        let (sort, is_descending) = match sort.strip_prefix('-') {
            Some(sort) => (sort, true),
            None => (sort, false),
        };
        let sort = parse_sort(sort)?;
        Ok(Self {
            statuses: parse_statuses(fields.get("state").unwrap_or_default())?,
            cause: fields.get("cause").map(str::to_owned),
            text: fields.get("q").map(str::to_lowercase),
            exact_text: fields
                .get("q")
                .filter(|_| fields.get("search").is_none())
                .map(str::to_owned),
            is_with_messages: fields.get("search") == Some("all"),
            sort,
            is_descending,
            place: parse_place(fields, sort, is_descending)?,
            has_conditions: !conditions.is_empty(),
            conditions: filter.map_err(|error| error.to_string())?,
            columns,
            fields: fields.clone(),
        })
    }

    /// Returns whether only the status decides which rows match.
    pub(super) fn is_by_status_only(&self) -> bool {
        self.cause.is_none() && self.text.is_none() && !self.has_conditions
    }

    /// Returns what every matching row has in its key or cells; `None` if there is no such text, or
    /// messages are to be searched as well.
    pub(super) fn needle(&self) -> Option<TextNeedle> {
        if self.statuses.contains(&RowStatus::Removed) {
            return None;
        }
        if let Some(cell) = self.conditions.required_cell(&self.columns) {
            return Some(TextNeedle::Cell(cell.to_owned()));
        }
        self.text.clone().filter(|_| !self.is_with_messages).map(TextNeedle::Part)
    }

    /// Returns whether anything restricts the rows.
    pub(super) fn is_restricted(&self) -> bool {
        !self.statuses.is_empty() || !self.is_by_status_only()
    }

    pub(super) fn is_match(&self, row: &JobRow) -> bool {
        let has_status =
            self.statuses.is_empty() || self.statuses.iter().any(|status| has_status(row, *status));
        has_status
            && self.cause.as_ref().is_none_or(|cause| row.cause.as_ref() == Some(cause))
            && self.text.as_ref().is_none_or(|text| contains_text(row, text))
            && self.meets_conditions(row)
    }

    fn meets_conditions(&self, row: &JobRow) -> bool {
        if !self.has_conditions {
            return true;
        }
        let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
        self.conditions.is_match(&cells, &self.columns)
    }

    /// Returns the fields of the address of another page of these rows.
    pub(super) fn fields_at(&self, place: RowPlace) -> FormFields {
        let fields = self.fields.with("after", "").with("before", "").with("page", "");
        match place {
            RowPlace::After(-1) | RowPlace::Page(0) => fields,
            RowPlace::After(position) => fields.with("after", &position.to_string()),
            RowPlace::Before(position) => fields.with("before", &position.to_string()),
            RowPlace::Page(number) => fields.with("page", &(number + 1).to_string()),
        }
    }

    /// Returns the fields of the address of these rows in another order: the same one reversed, if
    /// they are in that order already.
    pub(super) fn fields_sorted_by(&self, sort: RowSort) -> FormFields {
        let is_reversed = self.sort == sort && !self.is_descending;
        let value = match (sort, is_reversed) {
            (RowSort::Sheet, false) => String::new(),
            (_, false) => sort.as_str().to_owned(),
            (_, true) => format!("-{}", sort.as_str()),
        };
        self.fields_at(RowPlace::Page(0)).with("sort", &value)
    }
}

fn has_status(row: &JobRow, status: RowStatus) -> bool {
    // Removed rows come from their own list.
    status == RowStatus::Removed || row.has_status(status)
}

fn contains_text(row: &JobRow, text: &str) -> bool {
    let contains = |field: &str| field.to_lowercase().contains(text);
    let is_project = |id: &String| id.to_lowercase() == text;
    row.key.as_deref().is_some_and(contains)
        || row.message.as_deref().is_some_and(contains)
        || row.project_id.as_ref().is_some_and(is_project)
        || contains(&row.cells) && contains_in_cells(row, text)
        || text.contains(['"', '\\', '\n']) && contains_in_cells(row, text)
}

/// Decides what the JSON of the cells only suggests: its punctuation is no text of a cell.
fn contains_in_cells(row: &JobRow, text: &str) -> bool {
    let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    cells.iter().flatten().any(|cell| cell.to_lowercase().contains(text))
}

fn parse_statuses(text: &str) -> Result<Vec<RowStatus>, String> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            RowStatus::parse(word).ok_or_else(|| {
                let all: Vec<&str> = RowStatus::all().map(RowStatus::as_str).collect();
                format!("unknown `state`; {}", suggest_name(word, all, "states"))
            })
        })
        .collect()
}

fn parse_sort(text: &str) -> Result<RowSort, String> {
    RowSort::ALL.into_iter().find(|sort| sort.as_str() == text).ok_or_else(|| {
        let all: Vec<&str> = RowSort::ALL.into_iter().map(RowSort::as_str).collect();
        format!("unknown `sort`; {}", suggest_name(text, all, "orders"))
    })
}

fn parse_place(
    fields: &FormFields,
    sort: RowSort,
    is_descending: bool,
) -> Result<RowPlace, String> {
    let number = |name: &str| {
        let parsed = fields.get(name).map(|text| text.parse::<i64>().ok().filter(|n| *n >= 0));
        parsed.map(|number| number.ok_or_else(|| format!("`{name}` must be a whole number")))
    };
    if sort != RowSort::Sheet {
        let page = number("page").transpose()?.unwrap_or(1).max(1) - 1;
        return Ok(RowPlace::Page(usize::try_from(page).unwrap_or(usize::MAX)));
    }
    let (after, before) = (number("after").transpose()?, number("before").transpose()?);
    Ok(match (after, before) {
        (_, Some(before)) => RowPlace::Before(before),
        (Some(after), None) => RowPlace::After(after),
        (None, None) if is_descending => RowPlace::Before(i64::MAX),
        (None, None) => RowPlace::After(-1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, cells: &str) -> JobRow {
        JobRow {
            position: 0,
            row_number: 2,
            key: Some(key.to_owned()),
            variant: None,
            cells: cells.to_owned(),
            state: None,
            version: 1,
            project_id: Some("P-77".to_owned()),
            video_file: None,
            video_url: None,
            attempts: 0,
            video_ms: None,
            credits: None,
            cause: Some("refused".to_owned()),
            message: Some("Voice not found".to_owned()),
            progress: None,
            stalled: false,
            skipped: false,
            generating: false,
            verdict: None,
        }
    }

    fn matches(query: &str, row: &JobRow) -> bool {
        let headings = ["key".to_owned(), "text".to_owned()];
        let fields = FormFields::parse(query.as_bytes());
        let query = RowQuery::parse(&fields, &headings, ColumnMapping::default());
        query.unwrap_or_else(|error| panic!("{error}")).is_match(row)
    }

    #[test]
    fn text_is_found_in_keys_cells_messages_and_as_a_project_id() {
        let row = row("Ann-1", r#"[["Ann-1","Say \"hi\", ✨ Straße"]]"#);
        for found in ["ann", "-1", "say+%22HI%22", "stra%C3%9Fe", "voice", "p-77", "%E2%9C%A8"] {
            assert!(matches(&format!("q={found}"), &row), "{found}");
        }
        for missing in ["bob", "%22%2C%22", "%5B%5B", "p-7", "%5C%22hi"] {
            assert!(!matches(&format!("q={missing}"), &row), "{missing}");
        }
    }

    #[test]
    fn every_part_of_the_filter_must_match() {
        let row = row("a", r#"[["a","x"]]"#);
        let parts = ["state=invalid,failed", "cause=refused", "q=a", "where=text%3Dx"];
        assert!(matches(&parts.join("&"), &row));
        for (place, other) in
            ["state=done", "cause=other", "q=b", "where=text%3Dy"].iter().enumerate()
        {
            let mut parts = parts;
            parts[place] = other;
            assert!(!matches(&parts.join("&"), &row), "{other}");
        }
    }

    #[test]
    fn a_wrong_field_is_reported_with_the_right_values() {
        for (query, part) in [
            ("state=faild", "failed"),
            ("sort=keys", "key"),
            ("after=x", "whole number"),
            ("where=text", "COLUMN=VALUE"),
            ("where=txt%3Dx", "text"),
        ] {
            let fields = FormFields::parse(query.as_bytes());
            let headings = ["key".to_owned(), "text".to_owned()];
            let error = RowQuery::parse(&fields, &headings, ColumnMapping::default()).unwrap_err();
            assert!(error.contains(part), "{query}: {error}");
        }
    }
}
