//! The upgrade of batches that were planned by a program of ledger format 1.
//!
//! Such a ledger has cells and hashes as they were spelled, and no payloads. Before the batch is
//! planned or resumed, each payload is made from its stored cells and template, once, and payload,
//! hash and key are stored in their present form: unchanged rows are then recognised, although the
//! sheet may have been saved by another program. Invariant: only a payload whose former hash is the
//! stored one is trusted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::former_hash::is_former_hash;
use crate::batch::VideoResolution;
use crate::ledger::{Ledger, LedgerError, RestoredPayload, VersionWithoutPayload};
use crate::payload::{ColumnMapping, Payload, PayloadMerger};
use crate::request::RequestKind;
use crate::sheet;
use crate::template::{PartialFiles, SceneTemplate};

/// What some versions are merged with.
struct MergeRecipe {
    template: SceneTemplate,
    columns: ColumnMapping,
}

/// Recipes by template and mapping; `None` for one that cannot be read.
type MergeRecipes = HashMap<(String, i64), Option<MergeRecipe>>;

/// Stores the payloads that a batch does not have yet, if there are any.
///
/// # Errors
/// The ledger failed. Payloads that cannot be made are no error: their rows are planned again as
/// changed, or fail before anything is sent.
pub async fn store_missing_payloads(ledger: &Ledger, batch: &str) -> Result<(), LedgerError> {
    let Some(batch) = ledger.batch_without_payloads(batch).await? else { return Ok(()) };
    let mut recipes = MergeRecipes::new();
    let mut last = None;
    loop {
        let versions = ledger.versions_without_payload(batch, last.as_ref()).await?;
        let Some(end) = versions.last() else { break };
        last = Some(end.clone());
        let mut restored = Vec::with_capacity(versions.len());
        for version in versions {
            let id = (version.template_hash.clone(), version.layout_id);
            let recipe = match recipes.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(read_recipe(ledger, &version).await?),
            };
            restored.extend(recipe.as_ref().and_then(|recipe| recipe.restore(version)));
        }
        ledger.store_payloads(restored).await?;
    }
    ledger.mark_payloads_stored(batch).await
}

async fn read_recipe(
    ledger: &Ledger,
    version: &VersionWithoutPayload,
) -> Result<Option<MergeRecipe>, LedgerError> {
    let source = ledger.template_source(&version.template_hash).await?;
    let mapping = ledger.variant_mapping(version.layout_id).await?;
    let template = SceneTemplate::parse("template", &source, &PartialFiles::default()).ok();
    let columns = serde_json::from_str(&mapping.columns).ok();
    Ok(template.zip(columns).map(|(template, columns)| MergeRecipe { template, columns }))
}

impl MergeRecipe {
    fn restore(&self, version: VersionWithoutPayload) -> Option<RestoredPayload> {
        let kind = RequestKind::from_name(&version.request)?;
        let rows: Vec<Vec<String>> = serde_json::from_str(&version.cells).ok()?;
        let mut merger = PayloadMerger::new(&self.template, &self.columns).with_request_kind(kind);
        let former = merger.merge(&rows).ok()?;
        let resolution = planned_resolution(&version, &former, kind)?;
        let normalize = |row: &Vec<String>| -> Vec<String> {
            row.iter().map(|cell| sheet::normalize_cell(cell).into_owned()).collect()
        };
        let normalized: Vec<_> = rows.iter().map(normalize).collect();
        let payload = merger.merge(&normalized).ok()?;
        let key = if version.is_wanted { present_key(&version, &rows) } else { None };
        let payload_hash = payload.video_hash(resolution);
        Some(RestoredPayload { version, payload: payload.into_text(), payload_hash, key })
    }
}

/// Returns the resolution with which the payload has the stored hash; `None` if it never has it. The
/// batch's resolution at that time is part of the hash, and stored nowhere else.
fn planned_resolution(
    version: &VersionWithoutPayload,
    payload: &Payload,
    kind: &RequestKind,
) -> Option<Option<&'static str>> {
    let known = VideoResolution::CHOICES.iter().map(|(text, _)| Some(*text));
    let mut possible = std::iter::once(None).chain(known);
    possible.find(|resolution| is_former_hash(&version.payload_hash, payload, kind, *resolution))
}

/// Returns the key of a version's row in its present form, if it had another one.
fn present_key(version: &VersionWithoutPayload, rows: &[Vec<String>]) -> Option<String> {
    let row_key = super::row_merger::row_key(&version.key, version.variant.as_deref());
    let present = match rows {
        [cells] if sheet::content_key(cells.iter()) == row_key => {
            sheet::content_key(cells.iter().map(|cell| sheet::normalize_cell(cell)))
        }
        _ => sheet::normalize_name(row_key),
    };
    let key = format!("{present}{}", &version.key[row_key.len()..]);
    (key != version.key && !present.is_empty()).then_some(key)
}
