//! What the account offers: models with their clothes, workspaces, templates.
//!
//! These pages break the envelope: a bare list, a list under `data`, one under a name of its own,
//! or an object with numbers for keys (`AISTUDIOS_V3 §1.5`, `§6.1`). All are read the same way. They
//! cost nothing and decide nothing. Invariant: what is no list is never returned as an empty one.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::aistudios::classify::{BodyEnd, HttpResponse};
use crate::aistudios::client::{ApiClient, free_call};
use crate::aistudios::envelope;
use crate::aistudios::error::ApiError;
use crate::aistudios::exchange::{ApiCall, V3Endpoint};
use crate::aistudios::submit_outcome::UnknownReason;

/// Something that can be named in a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogEntry {
    /// What a payload calls it.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What kind of it, where that is said.
    pub kind: Option<String>,
    /// A model's clothes, where they are said.
    pub clothes: Option<Vec<Self>>,
}

/// A page that lists offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogQuery {
    /// Models by id and name.
    Models,
    /// Models with their clothes. An older page, which may be gone.
    ModelsWithClothes,
    /// Workspaces.
    Workspaces,
    /// The account's own templates.
    Templates,
    /// Templates for what the vendor writes itself.
    AutomationTemplates {
        /// The vendor's word, such as `business`.
        category: &'static str,
        /// `web` or `mobile`.
        orientation: &'static str,
    },
}

impl CatalogQuery {
    fn api_call(self) -> ApiCall<'static> {
        let get = |path| free_call(Method::GET, V3Endpoint::Catalog(path));
        match self {
            Self::Models => get("/api/odin/v3/dropdown/models"),
            Self::ModelsWithClothes => get("/api/odin/v3/model"),
            Self::Workspaces => get("/api/odin/v3/dropdown/workspaces"),
            Self::Templates => get("/api/odin/v3/dropdown/templates_business"),
            Self::AutomationTemplates { category, orientation } => {
                let body = json!({
                    "category": category, "orientation": orientation, "fileBackground": false,
                });
                let body = Some(body.to_string().into());
                let endpoint = V3Endpoint::Catalog("/api/odin/v3/dropdown/templates_automation");
                ApiCall { body, ..free_call(Method::POST, endpoint) }
            }
        }
    }
}

impl ApiClient {
    /// Returns one of the account's catalogues, each offer once. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]; a page that this service does not have is [`Trouble::NotFound`].
    pub async fn fetch_catalog(&self, which: CatalogQuery) -> Result<Vec<CatalogEntry>, ApiError> {
        let verdict = self.send_with_token(&which.api_call()).await?;
        let whole = |reply: &&HttpResponse| {
            (200..300).contains(&reply.status) && reply.body_end == BodyEnd::Complete
        };
        let body = verdict.exchange.response().filter(whole).map(|reply| reply.body.as_slice());
        match body.and_then(parse_catalog) {
            Some(offers) => Ok(offers),
            None => verdict
                .and_then(|_no_list| Err(UnknownReason::Incomplete))
                .into_project_result(self.transport()),
        }
    }
}

/// The names under which the vendor may wrap a list; others will do if there is only one.
const LIST_KEYS: &[&str] = &["models", "workspaces", "templates", "list", "items"];

/// Reads a catalogue; `None` if what came is none.
fn parse_catalog(body: &[u8]) -> Option<Vec<CatalogEntry>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let root: Value = serde_json::from_slice(body).ok()?;
    let mut offers: Vec<CatalogEntry> = Vec::new();
    for entry in find_entries(&root)? {
        let Some(offer) = CatalogEntry::parse(entry) else { continue };
        if !offers.iter().any(|known| known.id == offer.id) {
            offers.push(offer);
        }
    }
    Some(offers)
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
        return Some(Vec::new()); // the numbered shape with nothing in it
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
    /// Reads an entry; `None` without an id to name it by.
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

/// A name, or the English one (else the first) of several.
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

    use crate::aistudios::catalog::*;

    fn ids(text: &str) -> Option<String> {
        let offers = parse_catalog(text.as_bytes())?;
        Some(offers.iter().map(|offer| offer.id.as_str()).collect::<Vec<_>>().join(" "))
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
    fn what_is_no_catalogue_is_never_an_empty_one() {
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
    fn names_come_in_one_language_or_several_and_clothes_with_their_model() {
        let text = r#"[{"id":"M1","label":{"ko":"앤","en":"Ann"},"avatarType":"studio",
            "clothes":[{"id":"B1","label":{"ko":"정장"}},{"no":1}]},
            {"workspaceId":7,"workspaceName":"Team"}]"#;
        let offer = |id: &str, name: &str| CatalogEntry {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            kind: None,
            clothes: None,
        };
        let ann = CatalogEntry {
            kind: Some("studio".to_owned()),
            clothes: Some(vec![offer("B1", "정장")]),
            ..offer("M1", "Ann")
        };
        assert_eq!(parse_catalog(text.as_bytes()).unwrap(), [ann, offer("7", "Team")]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_catalogue_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            parse_catalog(bytes.as_slice());
        }
    }
}
