//! `scripts-to-video`: AI Studios divides a script into scenes (`scripts-to-video` page), and then its export.
//!
//! It takes no name, so it carries no tag, and neither workspace nor resolution: those go with the
//! export.

use super::options::OPTIONS_OF_SCRIPTS;
use super::{After, Form, Kind, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "scripts-to-video",
    form: Form::Fields(&[
        required("scripts", Want::Spoken),
        optional("options", Want::Object(&OPTIONS_OF_SCRIPTS)),
    ]),
    path: "automation/scripts_to_video",
    carries: &[],
    after: After::Generation,
    subject: None,
};
