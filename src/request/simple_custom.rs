//! `simple-custom`: one custom avatar speaks one text (`simple-custom` page).
//!
//! It has no name field, so it carries no tag. Custom avatars have no choice of clothes.

use super::{
    AddedField, FieldType, PayloadSchema, PreExportStep, RESOLUTIONS, RequestKind, optional,
    required,
};

pub(super) static KIND: RequestKind = RequestKind {
    name: "simple-custom",
    schema: PayloadSchema::Fields(&[
        required("language", FieldType::Text),
        required("text", FieldType::SpokenText),
        required("model", FieldType::Text),
        optional("isExport", FieldType::Bool),
        optional("resolution", FieldType::OneOf(RESOLUTIONS)),
        optional("workspaceId", FieldType::Text),
        optional("webhookUrl", FieldType::Url),
    ]),
    path: "simple/custom",
    added_fields: &[
        AddedField::Export,
        AddedField::Resolution,
        AddedField::Workspace,
        AddedField::Webhook,
    ],
    pre_export_step: PreExportStep::Nothing,
    exclusive_project_field: None,
};
