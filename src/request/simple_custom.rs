//! `simple-custom`: one custom avatar says one text (`simple-custom` page).
//!
//! It has no name field, so it carries no tag. A custom avatar wears what it wears.

use super::{After, Carried, Form, Kind, RESOLUTIONS, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "simple-custom",
    form: Form::Fields(&[
        required("language", Want::Text),
        required("text", Want::Spoken),
        required("model", Want::Text),
        optional("isExport", Want::Flag),
        optional("resolution", Want::Among(RESOLUTIONS)),
        optional("workspaceId", Want::Text),
        optional("webhookUrl", Want::Address),
    ]),
    path: "simple/custom",
    carries: &[Carried::Export, Carried::Resolution, Carried::Workspace, Carried::Webhook],
    after: After::Nothing,
    subject: None,
};
