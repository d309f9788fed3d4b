//! The account's catalogues: models with their clothes, workspaces, templates.
//!
//! These endpoints break the envelope: a bare list, a list under `data`, one under a name of its own,
//! or an object with numbers for keys (docs/internals/vendor-api.md, "Catalogues"). All are parsed
//! the same way. They cost nothing. Invariant: a response without a list is never returned as an
//! empty one.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::call_error::CallError;
use super::classify::{BodyEnd, HttpResponse};
use super::client::ApiClient;
use super::envelope;
use super::exchange::{ApiCall, V3Endpoint};
use super::submit_outcome::UnknownReason;

/// An item that a payload can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The id that payloads use.
    pub id: String,
    /// The display name.
    pub name: Option<String>,
    /// The kind, such as `studio`, if the vendor reports one.
    pub kind: Option<String>,
    /// The clothes of a model, if the vendor lists them.
    pub clothes: Option<Vec<Self>>,
}

/// An endpoint that lists a catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogQuery {
    /// Models by id and name.
    Models,
    /// Models with their clothes. An older endpoint, which may no longer exist.
    ModelsWithClothes,
    /// Workspaces.
    Workspaces,
    /// The account's own templates.
    Templates,
    /// Templates for videos that the vendor writes by itself.
    AutomationTemplates {
        /// The vendor's category, such as `business`.
        category: &'static str,
        /// `web` or `mobile`.
        orientation: &'static str,
    },
}

impl CatalogQuery {
    fn api_call(self) -> ApiCall<'static> {
        let get = |path| ApiCall::free(Method::GET, V3Endpoint::Catalog(path));
        match self {
            Self::Models => get("dropdown/models"),
            Self::ModelsWithClothes => get("model"),
            Self::Workspaces => get("dropdown/workspaces"),
            Self::Templates => get("dropdown/templates_business"),
            Self::AutomationTemplates { category, orientation } => {
                let body = json!({
                    "category": category, "orientation": orientation, "fileBackground": false,
                });
                let body = Some(body.to_string().into());
                let endpoint = V3Endpoint::Catalog("dropdown/templates_automation");
                ApiCall { body, ..ApiCall::free(Method::POST, endpoint) }
            }
        }
    }
}

impl ApiClient {
    /// Returns one of the account's catalogues, each item once. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`]; an endpoint that this service does not have is [`CallError::NotFound`].
    pub async fn fetch_catalog(&self, query: CatalogQuery) -> Result<Vec<CatalogEntry>, CallError> {
        let exchange = self.send_with_token(&query.api_call()).await?;
        let is_complete = |response: &&HttpResponse| {
            (200..300).contains(&response.status) && response.body_end == BodyEnd::Complete
        };
        let body = exchange
            .exchange
            .response()
            .filter(is_complete)
            .map(|response| response.body.as_slice());
        match body.and_then(parse_catalog) {
            Some(entries) => Ok(entries),
            None => exchange
                .and_then(|_no_list| Err(UnknownReason::Incomplete))
                .into_project_result(self.transport()),
        }
    }
}

/// The names under which the vendor may wrap a list; others are accepted if there is only one.
const LIST_KEYS: &[&str] = &["models", "workspaces", "templates", "list", "items"];

/// Parses a catalogue; `None` if the body is not one.
fn parse_catalog(body: &[u8]) -> Option<Vec<CatalogEntry>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let root: Value = serde_json::from_slice(body).ok()?;
    let mut entries: Vec<CatalogEntry> = Vec::new();
    for node in find_entries(&root)? {
        let Some(entry) = CatalogEntry::parse(node) else { continue };
        if !entries.iter().any(|known| known.id == entry.id) {
            entries.push(entry);
        }
    }
    Some(entries)
}

fn find_entries(node: &Value) -> Option<Vec<&Value>> {
    let fields = match node {
        Value::Array(entries) => return Some(entries.iter().collect()),
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    if is_failure(node, fields) {
        return None;
    }
    if let Some(data) = fields.get("data") {
        return find_entries(data);
    }
    let numbered: BTreeMap<u64, &Value> = fields
        .iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value)))
        .filter(|(_, value)| value.is_object())
        .collect();
    if !numbered.is_empty() {
        return Some(numbered.into_values().collect());
    }
    if fields.is_empty() {
        return Some(Vec::new()); // the numbered shape, empty
    }
    let known = LIST_KEYS.iter().find_map(|key| fields.get(*key));
    let mut lists = fields.values().filter(|value| value.is_array());
    match (known, lists.next(), lists.next()) {
        (Some(known), _, _) => find_entries(known),
        (None, Some(only), None) => find_entries(only),
        (None, _, _) => None,
    }
}

fn is_failure(node: &Value, fields: &Map<String, Value>) -> bool {
    let error = fields.get("error");
    envelope::parse_flag(node, "success") == Some(false)
        || !matches!(error, None | Some(Value::Null | Value::Bool(false)))
}

impl CatalogEntry {
    /// Parses an entry; `None` without an id.
    fn parse(entry: &Value) -> Option<Self> {
        let ids = ["id", "modelId", "workspaceId", "templateId", "_id", "key"];
        let names = ["label", "name", "workspaceName", "title"];
        let id = ids.iter().find_map(|key| parse_text(entry.get(key)?))?;
        let clothes = entry.get("clothes").and_then(Value::as_array);
        let kind = envelope::first_text(entry, &["avatarType", "type"]).map(str::to_owned);
        Some(Self {
            id,
            name: names.iter().find_map(|key| parse_display_name(entry.get(key)?)),
            kind,
            clothes: clothes.map(|all| all.iter().filter_map(Self::parse).collect()),
        })
    }
}

/// Returns the name, or the English one (else the first) of several.
fn parse_display_name(value: &Value) -> Option<String> {
    match value {
        Value::Object(names) => {
            names.get("en").and_then(parse_text).or_else(|| names.values().find_map(parse_text))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Number(_) | Value::String(_) => {
            parse_text(value)
        }
    }
}

fn parse_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(text: &str) -> Option<String> {
        let entries = parse_catalog(text.as_bytes())?;
        Some(entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_catalogue_is_found_in_each_of_its_shapes() {
        let (ann, ben) = (r#"{"id":"M1","label":"Ann"}"#, r#"{"modelId":"M2"}"#);
        for (text, found) in [
            (format!("[{ann},{ben}]"), "M1 M2"),
            (format!("\u{feff}[{ann}]"), "M1"),
            (format!(r#"{{"success":true,"data":[{ann},{ben}]}}"#), "M1 M2"),
            (format!(r#"{{"success":true,"data":{{"models":[{ann}]}}}}"#), "M1"),
            (format!(r#"{{"success":true,"data":{{"odd":[{ann}],"n":1}}}}"#), "M1"),
            (format!(r#"{{"success":true,"data":{{"models":{{"0":{ann}}}}}}}"#), "M1"),
            (format!(r#"{{"10":{ben},"9":{ann}}}"#), "M1 M2"),
            (format!(r#"{{"success":true,"0":{ann},"1":{ben},"2":"x"}}"#), "M1 M2"),
            (format!("[{ann},{ann},null,7]"), "M1"),
            ("[]".to_owned(), ""),
            ("{}".to_owned(), ""),
        ] {
            assert_eq!(ids(&text).as_deref(), Some(found), "{text}");
        }
    }

    #[test]
    fn a_response_without_a_list_is_never_an_empty_catalogue() {
        for text in [
            "",
            "null",
            "<html>",
            r#"{"success":true}"#,
            r#"{"success":false,"data":[]}"#,
            r#"{"error":{"msg":"x"},"data":[]}"#,
            r#"{"data":null}"#,
            r#"{"a":[],"b":[]}"#,
        ] {
            assert_eq!(ids(text), None, "{text}");
        }
    }

    #[test]
    fn names_may_have_several_languages_and_models_have_clothes() {
        let text = r#"[{"id":"M1","label":{"ko":"앤","en":"Ann"},"avatarType":"studio",
            "clothes":[{"id":"B1","label":{"ko":"정장"}},{"no":1}]},
            {"workspaceId":7,"workspaceName":"Team"}]"#;
        let entry = |id: &str, name: &str| CatalogEntry {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            kind: None,
            clothes: None,
        };
        let ann = CatalogEntry {
            kind: Some("studio".to_owned()),
            clothes: Some(vec![entry("B1", "정장")]),
            ..entry("M1", "Ann")
        };
        assert_eq!(parse_catalog(text.as_bytes()).unwrap(), [ann, entry("7", "Team")]);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_as_a_catalogue_or_as_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_catalog(bytes.as_slice());
        }
    }
}
