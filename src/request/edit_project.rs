//! `edit-project`: changes to a project that exists, and then its export (`edit-project` page).
//!
//! Whether the project itself changes or a copy of it is not documented, so both are lived with:
//! the id that comes back is followed, and while it is the project's own, one row at a time has it.

use super::{
    AddedField, FieldType, PayloadSchema, PreExportStep, RESOLUTIONS, RequestKind, optional,
    required,
};

pub(super) static KIND: RequestKind = RequestKind {
    name: "edit-project",
    schema: PayloadSchema::Fields(&[
        required("projectId", FieldType::Id),
        required("updates", FieldType::Updates),
        optional("isExport", FieldType::Bool),
        optional("resolution", FieldType::OneOf(RESOLUTIONS)),
        optional("workspaceId", FieldType::Text),
        optional("webhookUrl", FieldType::Url),
    ]),
    path: "editor/project/{projectId}",
    added_fields: &[
        AddedField::Export,
        AddedField::Resolution,
        AddedField::Workspace,
        AddedField::Webhook,
    ],
    pre_export_step: PreExportStep::Nothing,
    exclusive_project_field: Some("projectId"),
};
