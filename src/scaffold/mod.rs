//! A new batch from a sheet and a template: what the columns are for, and the files to begin with.
//!
//! The command line and the console ask the user and write the files; everything that is guessed is
//! guessed here, without a terminal and without a network. Invariant: what is not certain is a
//! question, never a silent choice.

mod answers;
mod batch_draft;
mod column_choice;
mod column_role;
mod default_language;
mod gallery;
mod heading_row;
mod heading_unit;
mod heading_words;
mod key_choice;
mod language_heading;
mod new_file;
mod project_template;
mod script_languages;
mod sheet_columns;
mod sheet_link;
mod sheet_setup;
mod skip_values;
#[cfg(test)]
mod tests;

pub use self::answers::{QuestionSubject, SetupAnswers, SetupQuestion, SkipAnswer};
pub(crate) use self::batch_draft::toml_string;
pub use self::batch_draft::{BatchDraft, DraftPlaces};
pub use self::column_role::ColumnRole;
pub(crate) use self::column_role::{is_currency_name, is_shown_name, is_title_heading};
pub use self::gallery::{
    DEMO_BATCH, DEMO_SHEET, GALLERY, GalleryTemplate, choose_template, find_gallery_template,
};
pub use self::new_file::{NewFileError, batch_name_from_title, write_new_file};
pub use self::project_template::{ProjectTemplate, ProjectTemplateError, ProposedTag};
pub use self::sheet_link::download_link;
pub use self::sheet_setup::{SetupProposal, choose_worksheet, propose_batch};
