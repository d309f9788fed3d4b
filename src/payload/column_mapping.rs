//! The mapping from a sheet's columns to the fields of a template.

use std::collections::BTreeMap;

use handlebars::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::template::ROWS;
use crate::text::is_blank_text;

/// The mapping from a sheet's columns to the fields of a template.
///
/// The ledger stores it with every job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMapping {
    /// The template's name for each of the sheet's columns, in the sheet's order.
    pub names: Vec<String>,
    /// The text of an empty cell, or of a column that the sheet does not have.
    pub defaults: BTreeMap<String, String>,
    /// Whether one video is made of several rows, which the template then sees as `rows`.
    pub grouped: bool,
    /// Lists that are made of several columns, such as `script` of `script_1` and `script_2`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, Vec<usize>>,
    /// Names that take their text from a column other than the one of that name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assigned: BTreeMap<String, usize>,
    /// Names whose text is the same in every row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

impl ColumnMapping {
    /// Returns every name that has a value, the sheet's columns first.
    pub(crate) fn known_names(&self) -> Vec<&str> {
        let added = self.defaults.keys().filter(|name| !self.names.contains(name));
        let special = self.lists.keys().chain(self.assigned.keys()).chain(self.values.keys());
        self.names.iter().chain(added).chain(special).map(String::as_str).collect()
    }

    /// Returns the text of a name, as the template sees it; `None` for a name without one.
    pub fn name_text<'v>(&'v self, name: &str, row: &'v [String]) -> Option<&'v str> {
        if let Some(value) = self.values.get(name) {
            return Some(value);
        }
        let column = self.column_index(name)?;
        Some(self.cell_or_default(name, row.get(column).map_or("", String::as_str)))
    }

    /// Returns the column that a name takes its text from.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        if self.values.contains_key(name) {
            return None;
        }
        let column = self.assigned.get(name).copied();
        column.or_else(|| self.names.iter().position(|known| known == name))
    }

    /// Returns the text of a cell. A blank cell is empty, and an empty cell takes the default; without
    /// a mapping there are no defaults.
    pub fn cell_text<'v>(&'v self, index: usize, row: &'v [String]) -> &'v str {
        let name = self.names.get(index).map_or("", String::as_str);
        self.cell_or_default(name, row.get(index).map_or("", String::as_str))
    }

    fn cell_or_default<'v>(&'v self, name: &str, cell: &'v str) -> &'v str {
        if !is_blank_text(cell) {
            return cell;
        }
        self.defaults.get(name).map_or("", String::as_str)
    }

    /// Returns the texts of a list, without the empty cells at its end.
    fn list_items(&self, columns: &[usize], row: &[String]) -> Value {
        let mut texts: Vec<&str> =
            columns.iter().map(|column| self.cell_text(*column, row)).collect();
        let last_filled = texts.iter().rposition(|text| !is_blank_text(text));
        texts.truncate(last_filled.map_or(0, |last| last + 1));
        texts.into_iter().map(Value::from).collect()
    }

    fn fill_fields(&self, fields: &mut Map<String, Value>, row: &[String]) {
        for (index, name) in self.names.iter().enumerate() {
            let text = self.cell_text(index, row);
            match fields.get_mut(name) {
                Some(Value::String(field)) => {
                    field.clear();
                    field.push_str(text);
                }
                _ => {
                    fields.insert(name.clone(), Value::String(text.to_owned()));
                }
            }
        }
        for (name, columns) in &self.lists {
            fields.insert(name.clone(), self.list_items(columns, row));
        }
        for name in self.assigned.keys().chain(self.values.keys()) {
            let text = self.name_text(name, row).unwrap_or_default();
            fields.insert(name.clone(), Value::from(text));
        }
    }

    /// Overwrites the fields of [`Self::default_context`] with those of a row, or of a group's rows.
    pub(crate) fn fill_context(&self, context: &mut Context, rows: &[Vec<String>]) {
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        let Some(fields) = context.data_mut().as_object_mut() else { return };
        self.fill_fields(fields, first);
        if !self.grouped {
            return;
        }
        if !matches!(fields.get(ROWS), Some(Value::Array(_))) {
            fields.insert(ROWS.to_owned(), Value::Array(Vec::new()));
        }
        let Some(Value::Array(items)) = fields.get_mut(ROWS) else { return };
        items.resize_with(rows.len(), || Value::Object(self.default_fields()));
        for (item, row) in items.iter_mut().zip(rows) {
            if let Value::Object(fields) = item {
                self.fill_fields(fields, row);
            }
        }
    }

    /// Returns the context of a rendering before any row is known: the defaults alone.
    pub(crate) fn default_context(&self) -> Context {
        let mut context = Context::null();
        *context.data_mut() = Value::Object(self.default_fields());
        context
    }

    /// Returns the defaults as fields, including those of columns that the sheet does not have.
    fn default_fields(&self) -> Map<String, Value> {
        self.defaults.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect()
    }
}
