//! Compares the catalogue items used by a plan with the catalogue of the account.
//!
//! Missing items are only warnings: AI Studios does not promise complete lists, and the stored
//! catalogue may be old. A list that is not known is not compared. Pure.

use std::collections::BTreeMap;

use super::problem::{PlanProblem, PlanProblemSource};
use crate::ledger::CatalogItem;
use crate::payload::CatalogRef;
use crate::text::nearest_name;

/// The catalogue of an account, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct AccountCatalog {
    /// Models, with their clothes if known.
    pub models: Option<Vec<CatalogItem>>,
    /// Workspaces.
    pub workspaces: Option<Vec<CatalogItem>>,
    /// Templates.
    pub templates: Option<Vec<CatalogItem>>,
}

/// The rows that use a catalogue item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogUse {
    /// The first row, as the spreadsheet counts; `None` if the batch file names it for all rows.
    pub first_row: Option<u64>,
    /// The number of rows.
    pub rows: u64,
}

/// Items listed if none is near.
const LISTED_ITEMS_MAX: usize = 4;
/// Different items counted by one plan.
const CATALOG_USES_MAX: usize = 10_000;

/// The message about an item that is not in the catalogue.
struct MissingItem {
    message: String,
    help: Option<String>,
}

/// Adds the use of an item.
pub(super) fn record_use(
    uses: &mut BTreeMap<CatalogRef, CatalogUse>,
    item: CatalogRef,
    added: CatalogUse,
) {
    if let Some(known) = uses.get_mut(&item) {
        known.rows += added.rows;
        known.first_row = known.first_row.min(added.first_row);
    } else if uses.len() < CATALOG_USES_MAX {
        uses.insert(item, added);
    }
}

/// Returns a warning for each used item that is not in the catalogue.
pub(super) fn catalog_warnings(
    uses: &BTreeMap<CatalogRef, CatalogUse>,
    catalog: &AccountCatalog,
) -> Vec<PlanProblem> {
    let warning = |(item, used): (&CatalogRef, &CatalogUse)| {
        let MissingItem { message, help } = catalog.find_missing(item)?;
        Some(PlanProblem {
            source: PlanProblemSource::Template,
            row: used.first_row,
            last_row: used.first_row,
            row_numbers: Vec::new(),
            rows: used.rows,
            variants: Vec::new(),
            message,
            help,
            column: None,
            template_problem: None,
            can_hide_rows: false,
        })
    };
    uses.iter().filter_map(warning).collect()
}

impl AccountCatalog {
    /// Returns a message if `item` is not in the catalogue.
    fn find_missing(&self, item: &CatalogRef) -> Option<MissingItem> {
        match item {
            CatalogRef::Model(id) => {
                find_missing_item(self.models.as_ref()?, id, "the account's models")
            }
            CatalogRef::Workspace(id) => {
                find_missing_item(self.workspaces.as_ref()?, id, "the account's workspaces")
            }
            CatalogRef::Template(id) => {
                find_missing_item(self.templates.as_ref()?, id, "the account's templates")
            }
            CatalogRef::Clothes { model, id } => {
                let model = self.models.as_ref()?.iter().find(|known| known.id == *model)?;
                let list = format!("the clothes of {}", display_item(model));
                find_missing_item(model.clothes.as_ref()?, id, &list)
            }
        }
    }
}

fn find_missing_item(items: &[CatalogItem], id: &str, list: &str) -> Option<MissingItem> {
    if items.iter().any(|known| known.id == id) {
        return None;
    }
    let message = format!("`{id}` is not among {list}");
    let help = match (nearest_item(items, id), items) {
        (Some(near), _) => Some(format!("did you mean {}?", display_item(near))),
        (None, []) => None,
        (None, few) if few.len() <= LISTED_ITEMS_MAX => {
            let few: Vec<String> = few.iter().map(display_item).collect();
            Some(format!("there {} {}", if few.len() == 1 { "is" } else { "are" }, few.join(", ")))
        }
        (None, _) => None,
    };
    Some(MissingItem { message, help })
}

/// Returns the item that was probably meant: by its id, its name, or the first word of its name.
fn nearest_item<'a>(items: &'a [CatalogItem], given: &str) -> Option<&'a CatalogItem> {
    let texts = |item: &'a CatalogItem| {
        let name = item.name.as_deref().unwrap_or_default();
        [item.id.as_str(), name, name.split_whitespace().next().unwrap_or_default()]
    };
    let nearest = nearest_name(given, items.iter().flat_map(texts))?;
    items.iter().find(|item| texts(item).contains(&nearest))
}

fn display_item(item: &CatalogItem) -> String {
    match &item.name {
        Some(name) => format!("`{}` {name}", item.id),
        None => format!("`{}`", item.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, name: &str) -> CatalogItem {
        CatalogItem { id: id.into(), name: Some(name.into()), kind: None, clothes: None }
    }

    fn catalog() -> AccountCatalog {
        let suit = vec![item("BG00002320", "Suit"), item("BG00002321", "Knitwear")];
        let jonathan = CatalogItem { clothes: Some(suit), ..item("M000045058", "Jonathan (Suit)") };
        let models = vec![jonathan, item("M000004017", "Hannah")];
        AccountCatalog { models: Some(models), workspaces: Some(Vec::new()), templates: None }
    }

    fn warning(item: CatalogRef) -> String {
        match catalog().find_missing(&item) {
            Some(MissingItem { message, help }) => {
                format!("{message}; {}", help.unwrap_or_default())
            }
            None => "none".to_owned(),
        }
    }

    #[test]
    fn a_missing_item_is_reported_with_the_nearest_id_or_name() {
        let clothes =
            |model: &str, id: &str| CatalogRef::Clothes { model: model.into(), id: id.into() };
        for (used, expected) in [
            (CatalogRef::Model("M000045058".into()), "none"),
            (
                CatalogRef::Model("M000045085".into()),
                "`M000045085` is not among the account's models; did you mean `M000045058` \
                 Jonathan (Suit)?",
            ),
            (
                CatalogRef::Model("jonathan".into()),
                "`jonathan` is not among the account's models; did you mean `M000045058` \
                 Jonathan (Suit)?",
            ),
            (
                CatalogRef::Model("X".into()),
                "`X` is not among the account's models; there are `M000045058` Jonathan (Suit), \
                 `M000004017` Hannah",
            ),
            (clothes("M000045058", "BG00002321"), "none"),
            (
                clothes("M000045058", "BG00002399"),
                "`BG00002399` is not among the clothes of `M000045058` Jonathan (Suit); did you \
                 mean `BG00002320` Suit?",
            ),
            // Unknown lists are not compared.
            (clothes("M000004017", "B"), "none"),
            (clothes("X", "B"), "none"),
            (CatalogRef::Template("T".into()), "none"),
            (CatalogRef::Workspace("W".into()), "`W` is not among the account's workspaces; "),
        ] {
            assert_eq!(warning(used.clone()), expected, "{used:?}");
        }
    }
}
