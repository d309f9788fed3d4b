//! `template`: a project from a template of the account (`create-from-template` page), changed if
//! its payload has `updates`, and then exported.
//!
//! The page calls the avatar `aiName` and `clothId`, its sample `model` and `clothes`; whichever
//! the payload holds is sent as it stands.

use super::{After, Carried, Form, Kind, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "template",
    form: Form::Fields(&[
        required("templateId", Want::Id),
        optional("name", Want::Text),
        optional("aiName", Want::Text),
        optional("clothId", Want::Text),
        optional("model", Want::Text),
        optional("clothes", Want::Text),
        optional("workspaceId", Want::Text),
        optional("updates", Want::Updates),
    ]),
    path: "editor/template/{templateId}",
    carries: &[Carried::Tag, Carried::Workspace],
    after: After::Edit,
    subject: None,
};
