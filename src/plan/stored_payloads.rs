//! Payloads of batches that an earlier program planned without storing them.
//!
//! They are made once, from the stored template and cells, before the batch is planned or resumed.
//! Invariant: a payload is stored only if its hash is the one that was planned.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::batch::VideoResolution;
use crate::ledger::{Ledger, LedgerError, RestoredPayload, VersionWithoutPayload};
use crate::payload::{ColumnMapping, HashAlgorithm, PayloadMerger};
use crate::request::RequestKind;
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
            let key = (version.template_hash.clone(), version.layout_id);
            let recipe = match recipes.entry(key) {
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
        let payload = merger.merge(&rows).ok()?;
        let hashing = HashAlgorithm::from_hash(&version.payload_hash);
        // The resolution of the batch at that time is part of the hash, and stored nowhere else.
        let resolutions = VideoResolution::CHOICES.iter().map(|(text, _)| Some(*text));
        let is_planned = |resolution: Option<&str>| {
            payload.video_hash(resolution, hashing) == version.payload_hash
        };
        let is_same = is_planned(None) || resolutions.into_iter().any(is_planned);
        is_same.then(|| RestoredPayload { version, payload: payload.into_text() })
    }
}
