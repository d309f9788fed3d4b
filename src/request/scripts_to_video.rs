//! `scripts-to-video`: AI Studios divides a script into scenes (`scripts-to-video` page), and then its export.
//!
//! It takes no name, so it carries no tag, and neither workspace nor resolution: those go with the
//! export.

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
