//! Everything about AI Studios that nobody outside can know, as a switch.
//!
//! The vendor's documents leave much open: which HTTP status a failure has, whether an export
//! answers with a new id, when credits are taken. Each such question is one field here. The
//! defaults are the "documented" profile (`AISTUDIOS_V3` §14): what the documents say where they
//! speak, and a plain choice where they are silent. Faults, which are never right, are not here;
//! see [`Faults`](super::Faults).
//!
//! Invariant: `Switches` is plain data. It serialises to JSON with every key present, so a partial
//! document can be laid over it (`POST /__sandbox/switches`).

mod answers;
mod money;
mod renders;

pub use answers::{
    Auth, Carrier, Catalogue, CodeType, ErrorHttp, ErrorShape, Errors, Html, Include, List,
    NameSet, Names, Order, RateLimit, Refusal, RetryAfter, Script, Shape, Template, Token,
    Validate,
};
pub use money::{ChargeAt, Credit, Download, ETag, Encoding, Insufficient, Method, Mode, Webhook};
pub use renders::{
    Automation, Curve, Duplicate, Export, Failure, FailureMode, Id, NumberType, Progress, Queue,
    UnknownId,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the virtual AI Studios behaves. A name in `_s` counts virtual seconds, one in `_ms` real
/// milliseconds. A group without a line here is described at its own type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Virtual seconds that pass in one real second. `0` stops the clock: only
    /// [`Sandbox::advance`](super::Sandbox::advance) moves it then.
    pub time_scale: f64,
    /// Real milliseconds that every API answer takes.
    pub latency_ms: u64,
    pub auth: Auth,
    pub token: Token,
    pub errors: Errors,
    /// No limit when absent.
    pub rate_limit: Option<RateLimit>,
    pub queue: Queue,
    pub catalogue: Catalogue,
    pub list: List,
    pub validate: Validate,
    pub script: Script,
    pub names: Names,
    /// What `simple/video` does when `isExport` is not sent. The reference says `false`; the
    /// chroma-key tutorial leaves the field out and polls to 100, as if it were `true`.
    pub simple_video_exports: bool,
    /// Which id an edit answers with.
    pub edit_id: Id,
    pub export: Export,
    pub template: Template,
    pub progress: Progress,
    pub failure: Failure,
    pub unknown_id: UnknownId,
    pub automation: Automation,
    pub webhook: Webhook,
    pub download: Download,
    pub credit: Credit,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            latency_ms: 0,
            auth: Auth::default(),
            token: Token::default(),
            errors: Errors::default(),
            rate_limit: None,
            queue: Queue::default(),
            catalogue: Catalogue::default(),
            list: List::default(),
            validate: Validate::default(),
            script: Script::default(),
            names: Names::default(),
            simple_video_exports: false,
            edit_id: Id::default(),
            export: Export::default(),
            template: Template::default(),
            progress: Progress::default(),
            failure: Failure::default(),
            unknown_id: UnknownId::default(),
            automation: Automation::default(),
            webhook: Webhook::default(),
            download: Download::default(),
            credit: Credit::default(),
        }
    }
}

impl Switches {
    /// Returns these switches with a partial JSON document laid over them.
    ///
    /// # Errors
    /// A sentence that names the switch that is unknown or the value that does not fit.
    pub fn patched(&self, patch: &Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).expect("switches are plain data");
        lay_over(&mut whole, patch, "")?;
        serde_json::from_value(whole)
            .map_err(|_| format!("a value in `{patch}` is not of a kind its switch can take"))
    }
}

fn lay_over(base: &mut Value, patch: &Value, path: &str) -> Result<(), String> {
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
        lay_over(field, change, &here)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partial_document_changes_only_what_it_names() {
        let before = Switches::default();
        let after = before
            .patched(&json!({"credit": {"balance": 5}, "list": {"order": "oldest"}}))
            .unwrap();
        let mut expected = before;
        expected.credit.balance = Some(5.0);
        expected.list.order = Order::Oldest;
        assert_eq!(after, expected);
    }

    #[test]
    fn an_unknown_switch_is_named_with_its_path() {
        let error = Switches::default().patched(&json!({"token": {"tll_s": 5}})).unwrap_err();
        insta::assert_snapshot!(
            error,
            @"`token.tll_s` is not a switch; there are: opaque, single_active, ttl_s"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_in_our_own_words() {
        let error = Switches::default().patched(&json!({"latency_ms": "soon"})).unwrap_err();
        insta::assert_snapshot!(
            error,
            @r#"a value in `{"latency_ms":"soon"}` is not of a kind its switch can take"#
        );
    }
}
