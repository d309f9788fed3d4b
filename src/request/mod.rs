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
mod template;
mod topic_to_video;
mod url_to_video;

use std::fmt;

pub use project::KIND as PROJECT;

/// Every kind, in the order in which people are told of them.
pub static KINDS: &[&Kind] = &[
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
pub struct Kind {
    /// The word for it in a batch file and in the ledger.
    pub word: &'static str,
    /// What its payload holds.
    pub form: Form,
    /// Where the first request goes, below the API's root. `{field}` is taken from the payload and
    /// is not sent in the body.
    pub path: &'static str,
    /// What is added to the first request.
    pub carries: &'static [Carried],
    /// What has to happen before what was made can be exported.
    pub after: After,
    /// The field that names a project which is not ours alone, and which is changed in place.
    pub subject: Option<&'static str>,
}

/// What a payload holds.
pub enum Form {
    /// A whole project: scenes, clips, scripts.
    Scenes,
    /// Fields, each with a meaning.
    Fields(&'static [Field]),
}

/// One field of a payload.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What may stand in it.
    pub want: Want,
    /// Whether it must be there.
    pub required: bool,
}

/// What may stand in a field.
pub enum Want {
    /// Text that says something.
    Text,
    /// The same, and the avatar speaks it.
    Spoken,
    /// The id of something at AI Studios: it becomes part of an address.
    Id,
    /// The address of a page.
    Address,
    /// True or false.
    Flag,
    /// One of these words.
    Among(&'static [&'static str]),
    /// A number from the first to the second.
    Between(f64, f64),
    /// About how many seconds the video shall take: one of these.
    Seconds(&'static [u32]),
    /// An object of fields.
    Object(&'static [Field]),
    /// Changes to scenes, `{"value": […]}`.
    Updates,
}

/// What a request carries besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
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
pub enum After {
    /// Nothing.
    Nothing,
    /// The payload's `updates`, if it has any, are laid over it.
    Edit,
    /// AI Studios writes and builds it, and says when it is there.
    Generation,
}

impl Kind {
    /// Returns the kind that `word` names.
    pub fn named(word: &str) -> Option<&'static Self> {
        KINDS.iter().copied().find(|kind| kind.word == word)
    }

    /// Tells whether the first request carries `what`.
    pub fn carries(&self, what: Carried) -> bool {
        self.carries.contains(&what)
    }

    /// Tells whether a lost request can be found in the account's list.
    pub fn is_tagged(&self) -> bool {
        self.carries(Carried::Tag)
    }

    /// Tells whether one request alone may start the render. Where an existing project is changed,
    /// its former render could not be told from the new one without a look in between.
    pub fn renders_at_once(&self) -> bool {
        self.carries(Carried::Export) && self.after == After::Nothing && self.subject.is_none()
    }

    /// Returns the fields of the payload that are part of the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|found| found.0)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

const fn required(name: &'static str, want: Want) -> Field {
    Field { name, want, required: true }
}

const fn optional(name: &'static str, want: Want) -> Field {
    Field { name, want, required: false }
}

/// The words for the height of the picture.
const RESOLUTIONS: &[&str] = &["4k", "1080", "720", "480"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word_and_by_no_other() {
        for kind in KINDS {
            assert_eq!(Kind::named(kind.word), Some(*kind));
        }
        assert_eq!(Kind::named("movie"), None);
        let mut words: Vec<&str> = KINDS.iter().map(|kind| kind.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), KINDS.len());
    }

    #[test]
    fn what_stands_in_a_path_is_a_required_id_of_the_payload() {
        for kind in KINDS {
            let Form::Fields(fields) = kind.form else {
                assert_eq!(kind.path_fields().count(), 0, "{kind}");
                continue;
            };
            for name in kind.path_fields().chain(kind.subject) {
                let field = fields.iter().find(|field| field.name == name);
                let fits = |field: &Field| field.required && matches!(field.want, Want::Id);
                assert!(field.is_some_and(fits), "{kind}: {name}");
            }
        }
    }

    /// What can neither be tagged nor looked at before it is paid for could never be settled.
    #[test]
    fn only_what_says_whether_it_exports_can_be_paid_for_in_one_request() {
        let at_once: Vec<&str> =
            KINDS.iter().filter(|kind| kind.renders_at_once()).map(|kind| kind.word).collect();
        assert_eq!(at_once, ["project", "simple-video", "simple-custom"]);
    }
}
