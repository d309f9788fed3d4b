//! `url-to-video`: AI Studios retells a web page (`url-to-video` page), and then its export.
//!
//! It takes no name, so it carries no tag, and neither workspace nor resolution: those go with the
//! export.

use super::options::OPTIONS;
use super::{After, Form, Kind, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "url-to-video",
    form: Form::Fields(&[
        required("url", Want::Address),
        optional("options", Want::Object(&OPTIONS)),
    ]),
    path: "automation/url_to_video",
    carries: &[],
    after: After::Generation,
    subject: None,
};
