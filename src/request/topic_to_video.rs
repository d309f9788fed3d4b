//! `topic-to-video`: AI Studios writes about a topic (`topic-to-video` page); then the project
//! is exported.
//!
//! It has no name field, so it carries no tag. Workspace and resolution are sent with the export.

use super::options::GENERATION_OPTIONS;
use super::{FieldType, PayloadSchema, PreExportStep, RequestKind, optional, required};

pub(super) static KIND: RequestKind = RequestKind {
    name: "topic-to-video",
    schema: PayloadSchema::Fields(&[
        required("topic", FieldType::Text),
        optional("options", FieldType::Object(&GENERATION_OPTIONS)),
    ]),
    path: "automation/topic_to_video",
    added_fields: &[],
    pre_export_step: PreExportStep::Generation,
    exclusive_project_field: None,
};
