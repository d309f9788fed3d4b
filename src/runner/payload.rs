//! The bytes to send, made again from what the ledger keeps.
//!
//! A payload is merged when it is planned, to be checked, and once more when it is sent. It must
//! come out the very same, to the byte: what was checked is what is paid for, and nothing else is
//! ever sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::ledger::{ClaimedSubmission, Ledger, LedgerError};
use crate::payload::ColumnMapping;
use crate::request::RequestKind;
use crate::template::{PartialFiles, SceneTemplate};

/// Templates and layouts that were read from the ledger, kept for the run's length. A run meets
/// one of each, or a few when its sheet changed while something was under way. Whoever needs one
/// that is being read waits for it.
#[derive(Debug, Default)]
pub(super) struct Payloads {
    known: Mutex<Known>,
}

/// By template and layout.
type Known = HashMap<(String, i64), Arc<OnceCell<Recipe>>>;

#[derive(Debug)]
struct Recipe {
    template: SceneTemplate,
    columns: ColumnMapping,
}

/// Why a payload could not be made.
#[derive(Debug)]
pub(super) enum Unmade {
    /// The ledger did not answer.
    Ledger(LedgerError),
    /// It does not come out as it was checked.
    Differs(String),
}

impl Payloads {
    /// Returns the merged text of a claimed job, exactly as it was planned.
    pub(super) async fn make(
        &self,
        ledger: &Ledger,
        (claim, kind): (&ClaimedSubmission, &'static RequestKind),
        resolution: Option<&str>,
    ) -> Result<String, Unmade> {
        let place = (claim.template_hash.clone(), claim.variant_mapping_id);
        let known = self.known().entry(place).or_default().clone();
        let recipe = known.get_or_try_init(|| read(ledger, claim)).await?;
        let rows: Vec<Vec<String>> = serde_json::from_str(&claim.cells)
            .map_err(|_| Unmade::Differs("the ledger's copy of its row is damaged".to_owned()))?;
        let Recipe { template, columns } = recipe;
        let planned = (kind, resolution, claim.payload_hash.as_str());
        if let Some(text) = template.merge_unchecked(columns, &rows, planned) {
            return Ok(text);
        }
        Err(Unmade::Differs(match template.merger(columns).with_request_kind(kind).merge(&rows) {
            Ok(_another) => {
                "its payload no longer comes out as it was planned; plan it again".to_owned()
            }
            Err(problems) => {
                let words = problems.first().map(ToString::to_string).unwrap_or_default();
                format!("its payload no longer merges: {words}")
            }
        }))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(ledger: &Ledger, claim: &ClaimedSubmission) -> Result<Recipe, Unmade> {
    let source = ledger.template_source(&claim.template_hash).await.map_err(Unmade::Ledger)?;
    let layout = ledger.variant_mapping(claim.variant_mapping_id).await.map_err(Unmade::Ledger)?;
    let differs = |words: &str| Unmade::Differs(words.to_owned());
    let template = SceneTemplate::parse("template", &source, &PartialFiles::default())
        .map_err(|_| differs("its template no longer compiles"))?;
    let columns = serde_json::from_str(&layout.columns)
        .map_err(|_| differs("the ledger's copy of its columns is damaged"))?;
    Ok(Recipe { template, columns })
}
