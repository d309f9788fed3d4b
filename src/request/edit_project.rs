//! `edit-project`: changes an existing project and exports it (`edit-project` page).
//!
//! It is not documented whether the project itself or a copy is changed, so both are supported: the
//! returned id is polled, and one row at a time has exclusive use of the project.

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
