//! `topic-to-video`: AI Studios writes about a topic (`topic-to-video` page), and then its export.
//!
//! It takes no name, so it carries no tag, and neither workspace nor resolution: those go with the
//! export.

use super::options::OPTIONS;
use super::{After, Form, Kind, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "topic-to-video",
    form: Form::Fields(&[
        required("topic", Want::Text),
        optional("options", Want::Object(&OPTIONS)),
    ]),
    path: "automation/topic_to_video",
    carries: &[],
    after: After::Generation,
    subject: None,
};
