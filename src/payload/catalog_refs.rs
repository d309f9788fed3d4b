//! What a payload takes from the account's catalogues: models, clothes, workspace, template.
//!
//! Read off any payload by the names of its fields, wherever they stand, since each kind of request
//! has its own places for them. It judges nothing; whether the account has them is not known here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::payload::outline::Key;

/// Something that a payload names and the account must have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CatalogRef {
    /// An avatar.
    Model(String),
    /// What an avatar wears.
    Clothes {
        /// The avatar.
        model: String,
        /// Its clothes.
        id: String,
    },
    /// A workspace.
    Workspace(String),
    /// A template of the account.
    Template(String),
}

/// The fields that name something.
const ID_FIELDS: [&str; 9] = [
    "modelId",
    "clothId",
    "ai_name",
    "emotion",
    "aiName",
    "model",
    "clothes",
    "workspaceId",
    "templateId",
];
/// Which of them name a model, and beside each the one that names its clothes.
const MODEL_FIELDS: [(usize, usize); 4] = [(0, 1), (2, 3), (4, 1), (5, 6)];
const WORKSPACE_FIELD: usize = 7;
const TEMPLATE_FIELD: usize = 8;

/// Returns everything that `payload` takes; nothing of what comes after a slip in its JSON.
pub fn catalog_refs(payload: &str) -> BTreeSet<CatalogRef> {
    let mut found = BTreeSet::new();
    let mut json = serde_json::Deserializer::from_str(payload);
    // What is no JSON was refused long before; there is nothing to say of it here.
    let _ = CatalogRefCollector(&mut found).deserialize(&mut json);
    found
}

/// Walks through a value without building it. Gives back the text, where it is one.
struct CatalogRefCollector<'f>(&'f mut BTreeSet<CatalogRef>);

impl<'de> DeserializeSeed<'de> for CatalogRefCollector<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CatalogRefCollector<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element_seed(CatalogRefCollector(self.0))?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut named: [Option<Cow<'de, str>>; ID_FIELDS.len()] = Default::default();
        while let Some(Key(key)) = fields.next_key()? {
            let text = fields.next_value_seed(CatalogRefCollector(self.0))?;
            if let Some(place) = ID_FIELDS.iter().position(|name| *name == key) {
                named[place] = text;
            }
        }
        let text = |place: usize| {
            let text = named[place].as_deref()?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        for (model, clothes) in MODEL_FIELDS {
            let Some(model) = text(model) else { continue };
            if let Some(id) = text(clothes) {
                self.0.insert(CatalogRef::Clothes { model: model.clone(), id });
            }
            self.0.insert(CatalogRef::Model(model));
        }
        self.0.extend(text(WORKSPACE_FIELD).map(CatalogRef::Workspace));
        self.0.extend(text(TEMPLATE_FIELD).map(CatalogRef::Template));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use crate::payload::catalog_refs::*;

    #[test]
    fn what_is_named_is_found_in_every_kind_of_request() {
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
