//! The fields of a query or of a form, in the order in which they were sent. Pure.

use url::form_urlencoded;

/// Fields with their values; a name may occur several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormFields(Vec<(String, String)>);

impl FormFields {
    /// Parses `a=1&b=2`.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Returns the first value with this name, trimmed, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// Returns the first value with this name as it was sent.
    pub(crate) fn get_raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Returns every field.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter()
    }

    /// Returns the encoded fields with one of them replaced, or removed if `value` is empty.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut fields: Vec<_> =
            self.0.iter().filter(|(found, _)| found != name).cloned().collect();
        if !value.is_empty() {
            fields.push((name.to_owned(), value.to_owned()));
        }
        Self(fields)
    }

    /// Returns the fields with one more.
    pub(crate) fn and(&self, name: &str, value: &str) -> Self {
        let mut fields = self.0.clone();
        fields.push((name.to_owned(), value.to_owned()));
        Self(fields)
    }

    /// Returns `?a=1&b=2`, or nothing if there are no fields.
    pub(crate) fn to_query(&self) -> String {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(set);
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_their_encoding() {
        let fields = FormFields::parse(b"state=failed&q=a%26b+%22c%22&empty=");
        assert_eq!(fields.get("q"), Some("a&b \"c\""));
        assert_eq!((fields.get("empty"), fields.get("none")), (None, None));
        assert_eq!(fields.to_query(), "?state=failed&q=a%26b+%22c%22");
        assert_eq!(fields.with("q", "").to_query(), "?state=failed");
        assert_eq!(FormFields::default().to_query(), "");
    }
}
