//! The items of the account's catalogues that a payload uses: models, clothes, workspace, template.
//!
//! They are found by the names of the fields, at any depth, since each kind of request has its own
//! structure. Whether the account has these items is not known here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// An item that a payload names and the account must have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CatalogRef {
    /// An avatar.
    Model(String),
    /// The clothes of an avatar.
    Clothes {
        /// The avatar.
        model: String,
        /// The clothes.
        id: String,
    },
    /// A workspace.
    Workspace(String),
    /// A template of the account.
    Template(String),
}

/// The fields that name a model, each with the field beside it that names the clothes.
const MODEL_FIELDS: [(&str, &str); 4] =
    [("modelId", "clothId"), ("ai_name", "emotion"), ("aiName", "clothId"), ("model", "clothes")];

/// Returns every catalogue item that `payload` uses; none if it is not JSON, which the checks of
/// the payload have reported.
pub fn catalog_refs(payload: &str) -> BTreeSet<CatalogRef> {
    let mut refs = BTreeSet::new();
    if let Ok(value) = serde_json::from_str(payload) {
        collect_refs(&value, &mut refs);
    }
    refs
}

fn collect_refs(value: &Value, refs: &mut BTreeSet<CatalogRef>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_refs(item, refs)),
        Value::Object(fields) => {
            collect_own_refs(fields, refs);
            fields.values().for_each(|field| collect_refs(field, refs));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect_own_refs(fields: &Map<String, Value>, refs: &mut BTreeSet<CatalogRef>) {
    let id = |name: &str| {
        let text = fields.get(name)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    for (model_field, clothes_field) in MODEL_FIELDS {
        let Some(model) = id(model_field) else { continue };
        if let Some(clothes) = id(clothes_field) {
            refs.insert(CatalogRef::Clothes { model: model.clone(), id: clothes });
        }
        refs.insert(CatalogRef::Model(model));
    }
    refs.extend(id("workspaceId").map(CatalogRef::Workspace));
    refs.extend(id("templateId").map(CatalogRef::Template));
}

#[cfg(test)]
mod tests {
    use crate::payload::catalog_refs::*;

    #[test]
    fn catalogue_items_are_found_in_every_kind_of_request() {
        let clothes =
            |model: &str, id: &str| CatalogRef::Clothes { model: model.into(), id: id.into() };
        let model = |id: &str| CatalogRef::Model(id.into());
        for (payload, found) in [
            (
                r#"{"workspaceId":"W","scenes":[{"scripts":[{"modelId":"M","clothId":"B"}],
                    "clips":[{"model":{"ai_name":"N","emotion":"C"}}]}]}"#,
                vec![
                    model("M"),
                    model("N"),
                    clothes("M", "B"),
                    clothes("N", "C"),
                    CatalogRef::Workspace("W".into()),
                ],
            ),
            (r#"{"model":"M","clothes":"B"}"#, vec![model("M"), clothes("M", "B")]),
            (
                r#"{"templateId":"T","aiName":"M","clothId":" "}"#,
                vec![model("M"), CatalogRef::Template("T".into())],
            ),
            (r#"{"model":7,"workspaceId":null}"#, vec![]),
            ("no JSON", vec![]),
        ] {
            assert_eq!(catalog_refs(payload).into_iter().collect::<Vec<_>>(), found, "{payload}");
        }
    }
}
