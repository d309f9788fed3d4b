//! The payload to send, merged again from the stored row and template.
//!
//! A payload is merged once when it is planned and checked, and once more when it is sent. Both must
//! be equal to the byte: only a checked payload is ever sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::ledger::{ClaimedSubmission, Ledger, LedgerError};
use crate::payload::{ColumnMapping, HashAlgorithm, PayloadMerger};
use crate::request::RequestKind;
use crate::template::{PartialFiles, SceneTemplate};

/// The templates and variant mappings read from the ledger, cached for the length of the run. A run
/// needs one of each, or a few if its sheet changed while jobs were in progress. Concurrent readers
/// of one entry share one read.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    recipes: Mutex<RecipesById>,
}

/// By template hash and variant mapping.
type RecipesById = HashMap<(String, i64), Arc<OnceCell<MergeRecipe>>>;

#[derive(Debug)]
struct MergeRecipe {
    template: SceneTemplate,
    columns: ColumnMapping,
}

/// Why a payload could not be merged.
#[derive(Debug)]
pub(super) enum Unmade {
    /// The ledger failed.
    Ledger(LedgerError),
    /// It differs from the checked payload.
    Differs(String),
}

impl Payloads {
    /// Returns the merged text of a claimed job, equal to the planned one.
    pub(super) async fn make(
        &self,
        ledger: &Ledger,
        claim: &ClaimedSubmission,
        kind: &'static RequestKind,
        resolution: Option<&str>,
    ) -> Result<String, Unmade> {
        let id = (claim.template_hash.clone(), claim.variant_mapping_id);
        let cell = self.recipes().entry(id).or_default().clone();
        let recipe = cell.get_or_try_init(|| read_recipe(ledger, claim)).await?;
        let rows: Vec<Vec<String>> = serde_json::from_str(&claim.cells)
            .map_err(|_| Unmade::Differs("its row is damaged in the ledger".to_owned()))?;
        let MergeRecipe { template, columns } = recipe;
        let merged = PayloadMerger::new(template, columns).with_request_kind(kind).merge(&rows);
        match merged {
            Ok(payload) => {
                let hashing = HashAlgorithm::from_hash(&claim.payload_hash);
                if payload.video_hash(resolution, hashing) == claim.payload_hash {
                    return Ok(payload.into_text());
                }
                let message = "its payload differs from the planned one; plan it again";
                Err(Unmade::Differs(message.to_owned()))
            }
            Err(problems) => {
                let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                Err(Unmade::Differs(format!("its payload no longer merges: {problem}")))
            }
        }
    }

    fn recipes(&self) -> MutexGuard<'_, RecipesById> {
        self.recipes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_recipe(ledger: &Ledger, claim: &ClaimedSubmission) -> Result<MergeRecipe, Unmade> {
    let source = ledger.template_source(&claim.template_hash).await.map_err(Unmade::Ledger)?;
    let mapping = ledger.variant_mapping(claim.variant_mapping_id).await.map_err(Unmade::Ledger)?;
    let differs = |message: &str| Unmade::Differs(message.to_owned());
    let template = SceneTemplate::parse("template", &source, &PartialFiles::default())
        .map_err(|_| differs("its template no longer compiles"))?;
    let columns = serde_json::from_str(&mapping.columns)
        .map_err(|_| differs("its columns are damaged in the ledger"))?;
    Ok(MergeRecipe { template, columns })
}
