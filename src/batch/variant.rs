//! `[[variants]]`: several videos per row, such as one per language.
//!
//! Parses the setting; the sheet reader checks its columns. Invariant: a variant's name contains no
//! `/`, because a job's key is the row's key, `/`, and the variant's name.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::SettingProblem;
use super::value;
use crate::text::nearest_name;

/// Characters of a name, which is part of keys and file names.
const NAME_CHARACTERS_MAX: usize = 32;
const VARIANT_KEYS: [&str; 4] = ["name", "columns", "values", "needs"];
const EXAMPLE: &str = "write `[[variants]]` on a line of its own, and below it `name = \"ko\"`, \
                       `columns = { script = \"Script (KO)\" }`, `values = { language = \"ko\" }`";

/// One of several videos made from a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// The last part of its jobs' keys.
    pub name: String,
    /// Headings in the sheet by template name, where they differ from the other variants.
    pub columns: BTreeMap<String, String>,
    /// Texts that are the same in every row, by template name.
    pub values: BTreeMap<String, String>,
    /// Template names that must not be empty; other rows have no video of this variant.
    pub needs: Vec<String>,
}

/// Parses the list of variants.
pub(super) fn parse_variants(value: &DeValue<'_>) -> Result<Vec<Variant>, SettingProblem> {
    let DeValue::Array(items) = value else {
        return Err(SettingProblem::new("must be a list of tables").with_help(EXAMPLE));
    };
    let mut variants: Vec<Variant> = Vec::new();
    for (number, item) in items.iter().map(Spanned::get_ref).enumerate() {
        let result = parse_variant(item).and_then(|variant| ensure_unique_name(variant, &variants));
        variants.push(result.map_err(|problem| SettingProblem {
            predicate: format!("is invalid: number {} {}", number + 1, problem.predicate),
            help: problem.help.or_else(|| Some(EXAMPLE.to_owned())),
            ..problem
        })?);
    }
    Ok(variants)
}

fn parse_variant(value: &DeValue<'_>) -> Result<Variant, SettingProblem> {
    let DeValue::Table(table) = value else { return Err(SettingProblem::new("is not a table")) };
    let mut variant = Variant::default();
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        let in_key = |problem: SettingProblem| SettingProblem {
            predicate: format!("has a `{key}` that {}", problem.predicate),
            ..problem
        };
        match key {
            "name" => variant.name = parse_variant_name(value).map_err(in_key)?,
            "columns" => {
                variant.columns = parse_string_map(value, value::parse_text).map_err(in_key)?;
            }
            "values" => {
                variant.values =
                    parse_string_map(value, value::parse_text_or_empty).map_err(in_key)?;
            }
            "needs" => variant.needs = value::parse_text_list(value).map_err(in_key)?,
            other => {
                let near = nearest_name(other, VARIANT_KEYS);
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let problem = SettingProblem::new(format!("has the unknown setting `{other}`"));
                return Err(SettingProblem { help, ..problem });
            }
        }
    }
    if variant.name.is_empty() {
        return Err(SettingProblem::new("has no `name`"));
    }
    Ok(variant)
}

fn parse_variant_name(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    let name = value::parse_text(value)?;
    let is_forbidden = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if name.contains(is_forbidden) || name.chars().count() > NAME_CHARACTERS_MAX {
        let predicate =
            format!("must be one word of at most {NAME_CHARACTERS_MAX} characters without `/`");
        return Err(SettingProblem::new(predicate)
            .with_help("choose a short name, such as `name = \"ko\"`"));
    }
    Ok(name)
}

/// Rejects a name that differs from another only in case, as on some file systems.
fn ensure_unique_name(variant: Variant, others: &[Variant]) -> Result<Variant, SettingProblem> {
    let has_same_name = |other: &Variant| other.name.to_lowercase() == variant.name.to_lowercase();
    match others.iter().any(has_same_name) {
        true => Err(SettingProblem::new(format!("repeats the name `{}`", variant.name))
            .with_help("give each variant a different name")),
        false => Ok(variant),
    }
}

fn parse_string_map(
    value: &DeValue<'_>,
    read: fn(&DeValue<'_>) -> Result<String, SettingProblem>,
) -> Result<BTreeMap<String, String>, SettingProblem> {
    let DeValue::Table(table) = value else {
        return Err(SettingProblem::new("must be a table of names and texts"));
    };
    let pair = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        Ok((key.as_ref().to_owned(), read(value.get_ref())?))
    };
    table.iter().map(pair).collect()
}
