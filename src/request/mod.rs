//! What can be asked of AI Studios for one video, one small file for each kind.
//!
//! A kind is plain data: how its payload is built (`form`), where it is sent and what is added on
//! the way (`path`, `carries`), how it is followed until it can be exported (`after`), and how it
//! is recognised when an answer was lost (a tag, if it carries one; its own id otherwise). The
//! rooms above carry that out: `scene` checks and seals, `studio` sends, `runner` takes the steps.
//!
//! Nothing here does anything, and nothing here knows those rooms. Adding a kind is a file and its
//! two lines below; everything else reads [`KINDS`]. Facts are those of the vendor's V3 reference.

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

/// Every kind, in the order in which people are told of them.
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
    /// The word for it in a batch file and in the ledger.
    pub name: &'static str,
    /// What its payload holds.
    pub schema: PayloadSchema,
    /// Where the first request goes, below the API's root. `{field}` is taken from the payload and
    /// is not sent in the body.
    pub path: &'static str,
    /// What is added to the first request.
    pub added_fields: &'static [AddedField],
    /// What has to happen before what was made can be exported.
    pub pre_export_step: PreExportStep,
    /// The field that names a project which is not ours alone, and which is changed in place.
    pub exclusive_project_field: Option<&'static str>,
}

/// What a payload holds.
pub enum PayloadSchema {
    /// A whole project: scenes, clips, scripts.
    Scenes,
    /// Fields, each with a meaning.
    Fields(&'static [FieldSpec]),
}

/// One field of a payload.
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What may stand in it.
    pub field_type: FieldType,
    /// Whether it must be there.
    pub required: bool,
}

/// What may stand in a field.
pub enum FieldType {
    /// Text that says something.
    Text,
    /// The same, and the avatar speaks it.
    SpokenText,
    /// The id of something at AI Studios: it becomes part of an address.
    Id,
    /// The address of a page.
    Url,
    /// True or false.
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A number from the first to the second.
    NumberRange(f64, f64),
    /// About how many seconds the video shall take: one of these.
    DurationSeconds(&'static [u32]),
    /// An object of fields.
    Object(&'static [FieldSpec]),
    /// Changes to scenes, `{"value": […]}`.
    Updates,
}

/// What a request carries besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedField {
    /// Our tag, at the end of `name`.
    Tag,
    /// Whether a render starts at once (`isExport`).
    Export,
    /// The resolution of the batch file.
    Resolution,
    /// The workspace of the batch file.
    Workspace,
    /// Where AI Studios may call back.
    Webhook,
}

/// What has to happen before what was made can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreExportStep {
    /// Nothing.
    Nothing,
    /// The payload's `updates`, if it has any, are laid over it.
    Edit,
    /// AI Studios writes and builds it, and says when it is there.
    Generation,
}

impl RequestKind {
    /// Returns the kind that `word` names.
    pub fn from_name(word: &str) -> Option<&'static Self> {
        REQUEST_KINDS.iter().copied().find(|kind| kind.name == word)
    }

    /// Tells whether the first request carries `what`.
    pub fn has_added_field(&self, what: AddedField) -> bool {
        self.added_fields.contains(&what)
    }

    /// Tells whether a lost request can be found in the account's list.
    pub fn is_tagged(&self) -> bool {
        self.has_added_field(AddedField::Tag)
    }

    /// Tells whether one request alone may start the render. Where an existing project is changed,
    /// its former render could not be told from the new one without a look in between.
    pub fn can_submit_in_one_step(&self) -> bool {
        self.has_added_field(AddedField::Export)
            && self.pre_export_step == PreExportStep::Nothing
            && self.exclusive_project_field.is_none()
    }

    /// Returns the fields of the payload that are part of the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|found| found.0)
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

const fn required(name: &'static str, want: FieldType) -> FieldSpec {
    FieldSpec { name, field_type: want, required: true }
}

const fn optional(name: &'static str, want: FieldType) -> FieldSpec {
    FieldSpec { name, field_type: want, required: false }
}

/// The words for the height of the picture.
const RESOLUTIONS: &[&str] = &["4k", "1080", "720", "480"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word_and_by_no_other() {
        for kind in REQUEST_KINDS {
            assert_eq!(RequestKind::from_name(kind.name), Some(*kind));
        }
        assert_eq!(RequestKind::from_name("movie"), None);
        let mut words: Vec<&str> = REQUEST_KINDS.iter().map(|kind| kind.name).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), REQUEST_KINDS.len());
    }

    #[test]
    fn what_stands_in_a_path_is_a_required_id_of_the_payload() {
        for kind in REQUEST_KINDS {
            let PayloadSchema::Fields(fields) = kind.schema else {
                assert_eq!(kind.path_fields().count(), 0, "{kind}");
                continue;
            };
            for name in kind.path_fields().chain(kind.exclusive_project_field) {
                let field = fields.iter().find(|field| field.name == name);
                let fits =
                    |field: &FieldSpec| field.required && matches!(field.field_type, FieldType::Id);
                assert!(field.is_some_and(fits), "{kind}: {name}");
            }
        }
    }

    /// What can neither be tagged nor looked at before it is paid for could never be settled.
    #[test]
    fn only_what_says_whether_it_exports_can_be_paid_for_in_one_request() {
        let at_once: Vec<&str> = REQUEST_KINDS
            .iter()
            .filter(|kind| kind.can_submit_in_one_step())
            .map(|kind| kind.name)
            .collect();
        assert_eq!(at_once, ["project", "simple-video", "simple-custom"]);
    }
}
