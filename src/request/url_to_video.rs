//! `url-to-video`: AI Studios retells a web page (`url-to-video` page), and then its export.
//!
//! It takes no name, so it carries no tag, and neither workspace nor resolution: those go with the
//! export.

use super::options::GENERATION_OPTIONS;
use super::{FieldType, PayloadSchema, PreExportStep, RequestKind, optional, required};

pub(super) static KIND: RequestKind = RequestKind {
    name: "url-to-video",
    schema: PayloadSchema::Fields(&[
        required("url", FieldType::Url),
        optional("options", FieldType::Object(&GENERATION_OPTIONS)),
    ]),
    path: "automation/url_to_video",
    added_fields: &[],
    pre_export_step: PreExportStep::Generation,
    exclusive_project_field: None,
};
