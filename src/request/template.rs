//! `template`: creates a project from a template of the account (`create-from-template` page),
//! applies the payload's `updates`, if any, and exports it.
//!
//! The page calls the avatar `aiName` and `clothId`, its sample `model` and `clothes`; the names in
//! the payload are sent unchanged.

use super::{AddedField, FieldType, PayloadSchema, PreExportStep, RequestKind, optional, required};

pub(super) static KIND: RequestKind = RequestKind {
    name: "template",
    schema: PayloadSchema::Fields(&[
        required("templateId", FieldType::Id),
        optional("name", FieldType::Text),
        optional("aiName", FieldType::Text),
        optional("clothId", FieldType::Text),
        optional("model", FieldType::Text),
        optional("clothes", FieldType::Text),
        optional("workspaceId", FieldType::Text),
        optional("updates", FieldType::Updates),
    ]),
    path: "editor/template/{templateId}",
    added_fields: &[AddedField::Tag, AddedField::Workspace],
    pre_export_step: PreExportStep::Edit,
    exclusive_project_field: None,
};
