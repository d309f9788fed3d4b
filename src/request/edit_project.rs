//! `edit-project`: changes to a project that exists, and then its export (`edit-project` page).
//!
//! Whether the project itself changes or a copy of it is not documented, so both are lived with:
//! the id that comes back is followed, and while it is the project's own, one row at a time has it.

use super::{After, Carried, Form, Kind, RESOLUTIONS, Want, optional, required};

pub(super) static KIND: Kind = Kind {
    word: "edit-project",
    form: Form::Fields(&[
        required("projectId", Want::Id),
        required("updates", Want::Updates),
        optional("isExport", Want::Flag),
        optional("resolution", Want::Among(RESOLUTIONS)),
        optional("workspaceId", Want::Text),
        optional("webhookUrl", Want::Address),
    ]),
    path: "editor/project/{projectId}",
    carries: &[Carried::Export, Carried::Resolution, Carried::Workspace, Carried::Webhook],
    after: After::Nothing,
    subject: Some("projectId"),
};
