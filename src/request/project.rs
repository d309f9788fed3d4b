//! `project`: a whole project with scenes, avatars and scripts (`create-project` page).

use super::{AddedField, PayloadSchema, PreExportStep, RequestKind};

/// A whole project.
pub static KIND: RequestKind = RequestKind {
    name: "project",
    schema: PayloadSchema::Scenes,
    path: "editor/project",
    added_fields: &[
        AddedField::Tag,
        AddedField::Export,
        AddedField::Resolution,
        AddedField::Workspace,
        AddedField::Webhook,
    ],
    pre_export_step: PreExportStep::Nothing,
    exclusive_project_field: None,
};
