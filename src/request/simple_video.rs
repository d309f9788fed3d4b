//! `simple-video`: one avatar on a chroma key background says one text (`simple-video` page).
//!
//! It has no name field, so it carries no tag. `isExport` is always sent: the reference says that
//! it is `false` by default, and the tutorial leaves it out and waits for a video.

use super::{After, Carried, Form, Kind, RESOLUTIONS, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "simple-video",
    form: Form::Fields(&[
        required("language", Want::Text),
        required("text", Want::Spoken),
        required("model", Want::Text),
        required("clothes", Want::Text),
        optional("isExport", Want::Flag),
        optional("resolution", Want::Among(RESOLUTIONS)),
        optional("workspaceId", Want::Text),
        optional("webhookUrl", Want::Address),
    ]),
    path: "simple/video",
    carries: &[Carried::Export, Carried::Resolution, Carried::Workspace, Carried::Webhook],
    after: After::Nothing,
    subject: None,
};
