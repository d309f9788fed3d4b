//! `simple-video`: one avatar on a chroma key background speaks one text (`simple-video` page).
//!
//! It has no name field, so it carries no tag. `isExport` is always sent: the reference says that
//! it is `false` by default, but the tutorial omits it and waits for a video.

use super::{
    AddedField, FieldType, PayloadSchema, PreExportStep, RESOLUTIONS, RequestKind, optional,
    required,
};

pub(super) static KIND: RequestKind = RequestKind {
    name: "simple-video",
    schema: PayloadSchema::Fields(&[
        required("language", FieldType::Text),
        required("text", FieldType::SpokenText),
        required("model", FieldType::Text),
        required("clothes", FieldType::Text),
        optional("isExport", FieldType::Bool),
        optional("resolution", FieldType::OneOf(RESOLUTIONS)),
        optional("workspaceId", FieldType::Text),
        optional("webhookUrl", FieldType::Url),
    ]),
    path: "simple/video",
    added_fields: &[
        AddedField::Export,
        AddedField::Resolution,
        AddedField::Workspace,
        AddedField::Webhook,
    ],
    pre_export_step: PreExportStep::Nothing,
    exclusive_project_field: None,
};
