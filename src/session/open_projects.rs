//! The projects that a run has open at AI Studios, kept beside the ledger: if the ledger is taken
//! away under the run, `run.json` is the only record of what was paid for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::{BatchId, Ledger};
use crate::report::OpenProject;
use crate::runner::RunEvent;

/// Open projects by key. Cloning gives another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenProjects(Arc<Mutex<BTreeMap<String, String>>>);

impl OpenProjects {
    /// Follows the events of the run.
    pub(crate) fn observe(&self, event: &RunEvent) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let RunEvent::Rendering { key, project_id, .. } = event {
            open.insert(key.clone(), project_id.clone());
        } else if let RunEvent::Done { key, .. } = event {
            open.remove(key);
        }
    }

    /// Returns the projects of this run, and those of earlier runs that the ledger can still be
    /// asked for.
    pub(crate) async fn list(&self, ledger: &Ledger, batch: BatchId) -> Vec<OpenProject> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match ledger.open_projects(batch).await {
            Ok(stored) => {
                for (key, project) in stored {
                    open.entry(key).or_insert(project);
                }
            }
            Err(error) => tracing::debug!(%error, "the open projects cannot be read"),
        }
        open.into_iter().map(|(key, project)| OpenProject { key, project }).collect()
    }
}
