//! Batches whose runs are approved in the console: their plan and the start of their runs. Most begin
//! with a sheet that was sent to it: its folder and its settings are here as well.
//!
//! Each such batch has a folder of its own, named like the batch: `sheet.csv`, `template.json.hbs`, the batch
//! file, and `setup.json` with the user's decisions. The sheet is kept as CSV, so that its cells can be
//! edited in the browser. Invariants: no name of a file comes from outside, nothing outside the folder
//! is written, no link is followed, and nothing is spent before a plan was approved.

mod approved_start;
mod console_batch;
mod edit_audit;
pub(crate) mod plan_approval;
mod start_progress;
mod upload_error;
mod upload_folder;
mod upload_plan;
mod uploaded_sheet;

use std::ops::Deref;

use serde::{Deserialize, Serialize};

pub(crate) use self::approved_start::{ApprovedStart, StartOutcome};
pub(crate) use self::console_batch::{BatchReach, ConsoleBatch};
pub(crate) use self::start_progress::StartProgress;
pub(crate) use self::upload_error::UploadError;
pub(crate) use self::upload_folder::UploadRoot;
pub(crate) use self::upload_plan::{PlanOffer, UploadFinding, UploadPlan};
pub(crate) use self::uploaded_sheet::CellEdit;

use self::upload_folder::{read_text, write_file};
use crate::scaffold::{
    DraftPlaces, GalleryTemplate, ProjectTemplate, SetupAnswers, SetupProposal, propose_batch,
};
use crate::sheet::SheetPreview;
use crate::template::{PartialFiles, SceneTemplate};

const SETUP_FILE: &str = "setup.json";
const SHEET_FILE: &str = "sheet.csv";
const TEMPLATE_FILE: &str = "template.json.hbs";

/// The user's decisions about an uploaded batch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UploadSetup {
    /// The title, as it was typed.
    pub(crate) title: String,
    /// The template of the gallery; empty for one of the user's own.
    pub(crate) template: String,
    pub(crate) answers: SetupAnswers,
    /// Whether the sheet came as a workbook, whose rows end with their last filled cell.
    pub(crate) is_workbook: bool,
}

/// Where the template of an uploaded batch comes from.
pub(crate) enum UploadTemplate<'t> {
    Gallery(&'static GalleryTemplate),
    /// The JSON of a project, or the text of a template.
    Pasted(&'t str),
}

/// An uploaded batch.
#[derive(Debug)]
pub(crate) struct UploadedBatch {
    console_batch: ConsoleBatch,
    pub(crate) setup: UploadSetup,
}

impl Deref for UploadedBatch {
    type Target = ConsoleBatch;

    fn deref(&self) -> &ConsoleBatch {
        &self.console_batch
    }
}

/// An uploaded batch, as its sheet and its settings are now.
pub(crate) struct UploadState {
    pub(crate) sheet: SheetPreview,
    /// The hash of the sheet, so that edits of another one are refused.
    pub(crate) sheet_hash: String,
    pub(crate) template: SceneTemplate,
    pub(crate) proposal: SetupProposal,
}

impl UploadedBatch {
    /// Returns it as any other batch of the console.
    pub(crate) fn into_console_batch(self) -> ConsoleBatch {
        self.console_batch
    }

    /// Takes a template.
    ///
    /// # Errors
    /// The text is neither a project nor a template.
    pub(crate) fn set_template(&mut self, template: UploadTemplate<'_>) -> Result<(), UploadError> {
        let source = match template {
            UploadTemplate::Gallery(found) => {
                found.name.clone_into(&mut self.setup.template);
                found.source.to_owned()
            }
            UploadTemplate::Pasted(text) => {
                self.setup.template.clear();
                pasted_template(text)?
            }
        };
        write_file(&self.path(TEMPLATE_FILE), &source)
    }

    /// Reads the sheet and derives the batch.
    ///
    /// # Errors
    /// The sheet or the template cannot be read, or the sheet has no rows.
    pub(crate) fn read_state(&self) -> Result<UploadState, UploadError> {
        let template = self.read_template()?;
        let (sheet, sheet_hash) = self.read_sheet()?;
        let proposal = propose_batch(&sheet, &template, &self.setup.answers);
        let proposal =
            proposal.ok_or_else(|| UploadError::Invalid("the sheet has no rows".to_owned()))?;
        Ok(UploadState { sheet, sheet_hash, template, proposal })
    }

    /// Saves the settings and the batch file that follows from them and the sheet.
    ///
    /// # Errors
    /// As [`Self::read_state`].
    pub(crate) fn save(&self) -> Result<(), UploadError> {
        let mut state = self.read_state()?;
        self.pad_workbook_rows(&mut state)?;
        let file = self.batch_file();
        let text = state.proposal.draft.to_text(&DraftPlaces {
            name: self.batch_name(),
            batch_file: &file.display().to_string(),
            sheet: SHEET_FILE,
            template: TEMPLATE_FILE,
        });
        write_file(file, &text)?;
        let setup = serde_json::to_string_pretty(&self.setup).unwrap_or_default();
        write_file(&self.path(SETUP_FILE), &setup)
    }

    fn read_template(&self) -> Result<SceneTemplate, UploadError> {
        let source = read_text(&self.path(TEMPLATE_FILE))?;
        let parsed = SceneTemplate::parse("template", &source, &PartialFiles::default());
        parsed.map_err(|problems| {
            let first = problems.into_iter().next().map(|problem| problem.message);
            UploadError::Invalid(format!("the template: {}", first.unwrap_or_default()))
        })
    }
}

/// Returns the template in a pasted text: a project, alone or in a response, or a template.
fn pasted_template(text: &str) -> Result<String, UploadError> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && !text.contains("{{") {
        let made = ProjectTemplate::from_text(text);
        return made
            .map(|made| made.source)
            .map_err(|error| UploadError::Invalid(error.to_string()));
    }
    match SceneTemplate::parse("template", text, &PartialFiles::default()) {
        Ok(_) => Ok(text.to_owned()),
        Err(problems) => {
            let first = problems.into_iter().next().map(|problem| problem.message);
            Err(UploadError::Invalid(format!("the template: {}", first.unwrap_or_default())))
        }
    }
}
