//! The settings of a batch on `/settings`: each with its value and its source.

use std::path::Path;

use maud::{Markup, html};
use serde_json::{Value, json};

use crate::batch;
use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::ledger::StoredBatch;
use crate::session::reports::batch_settings::{
    BATCH_FILE, EffectiveSetting, batch_settings, setting_line,
};

/// The settings of the batch that the address names.
pub(super) struct ShownSettings {
    stored: StoredBatch,
    settings: Vec<EffectiveSetting>,
}

impl ShownSettings {
    /// Reads the settings of `?batch=NAME`. A batch file of an earlier version may no longer parse;
    /// it has none then.
    pub(super) async fn read(page: &PageRequest) -> Result<Option<Self>, PageError> {
        let Some(name) = page.query.get("batch") else { return Ok(None) };
        let stored = page.state.ledger.batch(name).await?;
        let parsed = batch::parse(Path::new(&stored.file), stored.source.clone());
        let settings = parsed.map(|batch| batch_settings(&batch)).unwrap_or_default();
        Ok(Some(Self { stored, settings }))
    }

    /// Returns them as JSON.
    pub(super) fn to_json(&self) -> Value {
        let setting = |setting: &EffectiveSetting| {
            let mut value = setting.to_json();
            value["line"] = json!(self.line(setting));
            value
        };
        self.settings.iter().map(setting).collect()
    }

    fn line(&self, setting: &EffectiveSetting) -> Option<usize> {
        let is_in_file = setting.source == BATCH_FILE;
        setting_line(&self.stored.source, setting.name).filter(|_| is_in_file)
    }

    fn table(&self) -> Markup {
        html! {
            p .muted { "As of the last plan of " code { (self.stored.file) } "." }
            div .scroll {
                table .settings {
                    thead { tr {
                        th scope="col" { "Setting" } th scope="col" { "Value" } th scope="col" { "From" }
                    } }
                    tbody {
                        @for setting in &self.settings {
                            tr {
                                th scope="row" { code { (setting.name) } }
                                td { (setting.value) }
                                td .muted {
                                    (setting.source)
                                    @if let Some(line) = self.line(setting) { ", line " (line) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the list of the batches, with the settings of the one that the address names.
pub(super) fn section(
    page: &PageRequest,
    batches: &[String],
    shown: Option<&ShownSettings>,
) -> Markup {
    html! {
        @if !batches.is_empty() {
            section #batches .card aria-labelledby="h-batches" {
                h2 id="h-batches" { "Settings of a batch" }
                p .actions {
                    @for name in batches {
                        @let is_shown = shown.is_some_and(|shown| shown.stored.name == *name);
                        a .button href={ (page.links().settings_of(name)) "#batches" } aria-current=[is_shown.then_some("true")] { (name) }
                    }
                }
                @if let Some(shown) = shown { (shown.table()) }
            }
        }
    }
}
