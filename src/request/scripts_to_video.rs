//! `scripts-to-video`: AI Studios divides a script into scenes (`scripts-to-video` page); then the
//! project is exported.
//!
//! It has no name field, so it carries no tag. Workspace and resolution are sent with the export.

use super::options::SCRIPT_GENERATION_OPTIONS;
use super::{FieldType, PayloadSchema, PreExportStep, RequestKind, optional, required};

pub(super) static KIND: RequestKind = RequestKind {
    name: "scripts-to-video",
    schema: PayloadSchema::Fields(&[
        required("scripts", FieldType::SpokenText),
        optional("options", FieldType::Object(&SCRIPT_GENERATION_OPTIONS)),
    ]),
    path: "automation/scripts_to_video",
    added_fields: &[],
    pre_export_step: PreExportStep::Generation,
    exclusive_project_field: None,
};
