//! `[[variants]]`: one row of the sheet, made into a video for each of several languages or looks.
//!
//! Reads what is written; whether its columns are in the sheet is for the sheet's reader to say.
//! A variant's name is part of its jobs' keys, behind a `/` that no name contains, so that a key
//! tells row and variant apart for ever.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::SettingProblem;
use super::value;
use crate::text::nearest_name;

/// Characters of a name: it goes into keys and file names.
const NAME_CHARACTERS_MAX: usize = 32;
const VARIANT_KEYS: [&str; 4] = ["name", "columns", "values", "needs"];
const EXAMPLE: &str = "write `[[variants]]` on a line of its own, and below it `name = \"ko\"`, \
                       `columns = { script = \"Script (KO)\" }`, `values = { language = \"ko\" }`";

/// One way in which each row is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// What it is known by: the last part of its jobs' keys.
    pub name: String,
    /// Template name to heading in the sheet, where it is not that of the other variants.
    pub columns: BTreeMap<String, String>,
    /// Template name to a text that is the same in every row.
    pub values: BTreeMap<String, String>,
    /// Template names that must be filled; a row where one is not is left out of this variant.
    pub needs: Vec<String>,
}

/// Reads the list of variants.
pub(super) fn parse_variants(value: &DeValue<'_>) -> Result<Vec<Variant>, SettingProblem> {
    let DeValue::Array(items) = value else {
        return Err(SettingProblem::new("must be a list of tables").with_help(EXAMPLE));
    };
    let mut variants: Vec<Variant> = Vec::new();
    for (number, item) in items.iter().map(Spanned::get_ref).enumerate() {
        let read = parse_variant(item).and_then(|variant| ensure_unique_name(variant, &variants));
        variants.push(read.map_err(|complaint| SettingProblem {
            predicate: format!("is wrong: number {} {}", number + 1, complaint.predicate),
            help: complaint.help.or_else(|| Some(EXAMPLE.to_owned())),
            ..complaint
        })?);
    }
    Ok(variants)
}

fn parse_variant(value: &DeValue<'_>) -> Result<Variant, SettingProblem> {
    let DeValue::Table(table) = value else { return Err(SettingProblem::new("is no table")) };
    let mut variant = Variant::default();
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        let within = |complaint: SettingProblem| SettingProblem {
            predicate: format!("has a `{key}` that {}", complaint.predicate),
            ..complaint
        };
        match key {
            "name" => variant.name = parse_variant_name(value).map_err(within)?,
            "columns" => {
                variant.columns = parse_string_map(value, value::parse_text).map_err(within)?
            }
            "values" => {
                variant.values =
                    parse_string_map(value, value::parse_text_or_empty).map_err(within)?
            }
            "needs" => variant.needs = value::parse_text_list(value).map_err(within)?,
            other => {
                let near = nearest_name(other, VARIANT_KEYS.into_iter());
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let complaint = SettingProblem::new(format!("has no setting `{other}`"));
                return Err(SettingProblem { help, ..complaint });
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
    let is_odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if name.contains(is_odd) || name.chars().count() > NAME_CHARACTERS_MAX {
        let words =
            format!("must be one word of at most {NAME_CHARACTERS_MAX} characters without `/`");
        return Err(
            SettingProblem::new(words).with_help("write a short one, such as `name = \"ko\"`")
        );
    }
    Ok(name)
}

/// File systems do not tell `KO` from `ko`, and neither do people.
fn ensure_unique_name(variant: Variant, others: &[Variant]) -> Result<Variant, SettingProblem> {
    let same = |other: &Variant| other.name.to_lowercase() == variant.name.to_lowercase();
    match others.iter().any(same) {
        true => Err(SettingProblem::new(format!("has the name `{}` of another", variant.name))
            .with_help("give each a name of its own")),
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
