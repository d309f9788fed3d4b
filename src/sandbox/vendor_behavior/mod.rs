//! Every question about AI Studios that the documents leave open, as a switch.
//!
//! They do not say which HTTP status a failure has, whether an export returns a new id, or when credits
//! are charged. Each such question is one field here. The defaults are the "documented" profile: the
//! documents where they are explicit, and a plain choice where they are silent
//! (`docs/internals/vendor-api.md`). Faults, which are never right, are not here; see
//! [`FaultRules`](super::FaultRules).
//!
//! Invariant: `SandboxSwitches` is plain data. It serialises to JSON with every key present, so a
//! partial document can be merged into it (`POST /__sandbox/switches`).

mod answers;
mod money;
mod renders;

pub use answers::{
    AuthErrorShape, AuthSwitches, CatalogSwitches, ErrorCodeType, ErrorHttpStatus, ErrorShape,
    ErrorSwitches, HtmlHandling, ListFilter, ListOrder, ListResponseShape, ListSwitches,
    NameSwitches, RateLimitSwitches, RetryAfterFormat, ScriptSwitches, TemplateParamNames,
    TemplateParamSource, TemplateSwitches, TokenSwitches, ValidationLevel,
};
pub use money::{
    ChargeAt, CreditSwitches, DownloadSwitches, ETagMode, InsufficientCreditPolicy,
    WebhookEncoding, WebhookMethod, WebhookMode, WebhookSwitches,
};
pub use renders::{
    AutomationSwitches, DuplicateExport, ExportSwitches, FailureMode, FailureSwitches,
    ProgressCurve, ProgressNumberType, ProgressSwitches, QueueSwitches, ReturnedId,
    UnknownIdResponse,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the sandbox behaves. A name in `_s` counts virtual seconds, one in `_ms` real milliseconds. A
/// group without a comment here is described at its own type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxSwitches {
    /// Virtual seconds per real second. `0` stops the clock: only
    /// [`Sandbox::advance`](super::Sandbox::advance) moves it then.
    pub time_scale: f64,
    /// Real milliseconds added to every API response.
    pub latency_ms: u64,
    pub auth: AuthSwitches,
    pub token: TokenSwitches,
    pub errors: ErrorSwitches,
    /// No limit when absent.
    pub rate_limit: Option<RateLimitSwitches>,
    pub queue: QueueSwitches,
    pub catalogue: CatalogSwitches,
    pub list: ListSwitches,
    pub validate: ValidationLevel,
    pub script: ScriptSwitches,
    pub names: NameSwitches,
    /// What `simple/video` does when `isExport` is not sent. The reference says `false`; the
    /// chroma-key tutorial leaves the field out and polls to 100, as if it were `true`.
    pub simple_video_exports: bool,
    /// The id in the response to an edit.
    pub edit_id: ReturnedId,
    pub export: ExportSwitches,
    pub template: TemplateSwitches,
    pub progress: ProgressSwitches,
    pub failure: FailureSwitches,
    pub unknown_id: UnknownIdResponse,
    pub automation: AutomationSwitches,
    pub webhook: WebhookSwitches,
    pub download: DownloadSwitches,
    pub credit: CreditSwitches,
}

impl Default for SandboxSwitches {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            latency_ms: 0,
            auth: AuthSwitches::default(),
            token: TokenSwitches::default(),
            errors: ErrorSwitches::default(),
            rate_limit: None,
            queue: QueueSwitches::default(),
            catalogue: CatalogSwitches::default(),
            list: ListSwitches::default(),
            validate: ValidationLevel::default(),
            script: ScriptSwitches::default(),
            names: NameSwitches::default(),
            simple_video_exports: false,
            edit_id: ReturnedId::default(),
            export: ExportSwitches::default(),
            template: TemplateSwitches::default(),
            progress: ProgressSwitches::default(),
            failure: FailureSwitches::default(),
            unknown_id: UnknownIdResponse::default(),
            automation: AutomationSwitches::default(),
            webhook: WebhookSwitches::default(),
            download: DownloadSwitches::default(),
            credit: CreditSwitches::default(),
        }
    }
}

impl SandboxSwitches {
    /// Returns these switches with a partial JSON document merged into them.
    ///
    /// # Errors
    /// A sentence that names the unknown switch or the value that does not fit.
    pub fn with_patch(&self, patch: &Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).expect("switches are plain data");
        apply_patch(&mut whole, patch, "")?;
        serde_json::from_value(whole)
            .map_err(|_| format!("a value in `{patch}` does not fit its switch"))
    }
}

fn apply_patch(base: &mut Value, patch: &Value, path: &str) -> Result<(), String> {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *base, patch) else {
        *base = patch.clone();
        return Ok(());
    };
    for (key, change) in changes {
        let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(field) = fields.get_mut(key) else {
            let known: Vec<_> = fields.keys().map(String::as_str).collect();
            return Err(format!("`{here}` is not a switch; there are: {}", known.join(", ")));
        };
        apply_patch(field, change, &here)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partial_document_changes_only_what_it_names() {
        let before = SandboxSwitches::default();
        let after = before
            .with_patch(&json!({"credit": {"balance": 5}, "list": {"order": "oldest"}}))
            .unwrap();
        let mut expected = before;
        expected.credit.balance = Some(5.0);
        expected.list.order = ListOrder::Oldest;
        assert_eq!(after, expected);
    }

    #[test]
    fn an_unknown_switch_is_named_with_its_path() {
        let error =
            SandboxSwitches::default().with_patch(&json!({"token": {"tll_s": 5}})).unwrap_err();
        insta::assert_snapshot!(
            error,
            @"`token.tll_s` is not a switch; there are: opaque, single_active, ttl_s"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_rejected_with_our_own_message() {
        let error =
            SandboxSwitches::default().with_patch(&json!({"latency_ms": "soon"})).unwrap_err();
        insta::assert_snapshot!(
            error,
            @r#"a value in `{"latency_ms":"soon"}` does not fit its switch"#
        );
    }
}
