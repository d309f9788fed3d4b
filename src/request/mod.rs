//! The kinds of requests that AI Studios accepts for one video, one small file per kind.
//!
//! A kind is plain data: the fields of its payload (`schema`), its endpoint and the fields that are
//! added to the request (`path`, `added_fields`), and the step before its export
//! (`pre_export_step`). A tagged request can be found again after a lost response. `payload` checks
//! and completes requests, `aistudios` sends them, and `runner` performs the steps.
//!
//! Invariant: this module has no behaviour of its own and imports no other module. A new kind is a
//! file and two lines below; all other code reads [`REQUEST_KINDS`]. Source: the vendor's V3
//! reference.

mod edit_project;
mod options;
mod project;
mod scripts_to_video;
mod simple_custom;
mod simple_video;
mod submission_mode;
mod template;
mod topic_to_video;
mod url_to_video;

use std::fmt;

pub use project::KIND as PROJECT;
pub use submission_mode::SubmissionMode;

/// All kinds, in the order in which they are displayed.
pub static REQUEST_KINDS: &[&RequestKind] = &[
    &project::KIND,
    &simple_video::KIND,
    &simple_custom::KIND,
    &edit_project::KIND,
    &template::KIND,
    &scripts_to_video::KIND,
    &topic_to_video::KIND,
    &url_to_video::KIND,
];

/// One kind of request.
pub struct RequestKind {
    /// Its name in batch files and in the ledger.
    pub name: &'static str,
    /// The content of its payload.
    pub schema: PayloadSchema,
    /// The path of the first request, relative to the API's root. `{field}` is taken from the
    /// payload and omitted from the body.
    pub path: &'static str,
    /// The fields added to the first request.
    pub added_fields: &'static [AddedField],
    /// The step before the export.
    pub pre_export_step: PreExportStep,
    /// The field with the id of an existing project, which is changed in place.
    pub exclusive_project_field: Option<&'static str>,
}

/// The content of a payload.
pub enum PayloadSchema {
    /// A whole project: scenes, clips, scripts.
    Scenes,
    /// A fixed set of fields.
    Fields(&'static [FieldSpec]),
}

/// One field of a payload.
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// The values it accepts.
    pub field_type: FieldType,
    /// Whether it is required.
    pub required: bool,
}

/// The values that a field accepts.
pub enum FieldType {
    /// Text that is not blank.
    Text,
    /// Text that is not blank and is spoken by the avatar.
    SpokenText,
    /// An id at AI Studios, which becomes part of a URL.
    Id,
    /// The URL of a page.
    Url,
    /// True or false.
    Bool,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number between the two, both included.
    NumberRange(f64, f64),
    /// The approximate length of the video in seconds: one of these.
    DurationSeconds(&'static [u32]),
    /// An object of fields.
    Object(&'static [FieldSpec]),
    /// Changes to scenes, `{"value": […]}`.
    Updates,
}

/// A field that is added to the payload of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedField {
    /// Our tag, at the end of `name`.
    Tag,
    /// Whether the request starts a render (`isExport`).
    Export,
    /// The resolution from the batch file.
    Resolution,
    /// The workspace from the batch file.
    Workspace,
    /// The URL for callbacks.
    Webhook,
}

/// The step between the first request and the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreExportStep {
    /// No step.
    Nothing,
    /// The payload's `updates`, if any, are applied to the project.
    Edit,
    /// AI Studios generates the project and reports when it is complete.
    Generation,
}

impl RequestKind {
    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        REQUEST_KINDS.iter().copied().find(|kind| kind.name == name)
    }

    /// Returns whether `field` is added to the first request.
    pub fn has_added_field(&self, field: AddedField) -> bool {
        self.added_fields.contains(&field)
    }

    /// Returns whether an uncertain request can be found in the account's list by its tag.
    pub fn is_tagged(&self) -> bool {
        self.has_added_field(AddedField::Tag)
    }

    /// Returns whether one request may start the render. If it changes an existing project, the
    /// project must be read before its export: its former render looks the same as the new one.
    pub fn can_submit_in_one_step(&self) -> bool {
        self.has_added_field(AddedField::Export)
            && self.pre_export_step == PreExportStep::Nothing
            && self.exclusive_project_field.is_none()
    }

    /// Returns the payload fields that are part of the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(field, _)| field)
    }
}

impl PartialEq for RequestKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RequestKind {}

impl fmt::Debug for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn required(name: &'static str, field_type: FieldType) -> FieldSpec {
    FieldSpec { name, field_type, required: true }
}

const fn optional(name: &'static str, field_type: FieldType) -> FieldSpec {
    FieldSpec { name, field_type, required: false }
}

/// The texts for the height of the video.
const RESOLUTIONS: &[&str] = &["4k", "1080", "720", "480"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_unique_name() {
        for kind in REQUEST_KINDS {
            assert_eq!(RequestKind::from_name(kind.name), Some(*kind));
        }
        assert_eq!(RequestKind::from_name("movie"), None);
        let mut names: Vec<&str> = REQUEST_KINDS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REQUEST_KINDS.len());
    }

    #[test]
    fn path_fields_are_required_ids_of_the_payload() {
        for kind in REQUEST_KINDS {
            let PayloadSchema::Fields(fields) = kind.schema else {
                assert_eq!(kind.path_fields().count(), 0, "{kind}");
                continue;
            };
            for name in kind.path_fields().chain(kind.exclusive_project_field) {
                let field = fields.iter().find(|field| field.name == name);
                let is_required_id =
                    |field: &FieldSpec| field.required && matches!(field.field_type, FieldType::Id);
                assert!(field.is_some_and(is_required_id), "{kind}: {name}");
            }
        }
    }

    /// A paid request without a tag and without a draft could never be reconciled.
    #[test]
    fn only_kinds_with_an_export_field_can_be_submitted_in_one_step() {
        let one_step: Vec<&str> = REQUEST_KINDS
            .iter()
            .filter(|kind| kind.can_submit_in_one_step())
            .map(|kind| kind.name)
            .collect();
        assert_eq!(one_step, ["project", "simple-video", "simple-custom"]);
    }
}
