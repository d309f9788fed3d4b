//! What a plan takes from the account's catalogues, held against what the account offers.
//!
//! It only ever doubts: the vendor's lists are not known to be complete, and what is remembered of
//! them may be old. Pure. What is not known is not compared.

use std::collections::BTreeMap;

use super::problem::{PlanProblem, PlanProblemSource};
use crate::ledger::CatalogItem;
use crate::payload::CatalogRef;
use crate::text::nearest_name;

/// What an account offers, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct AccountCatalog {
    /// Models, with their clothes where those are known.
    pub models: Option<Vec<CatalogItem>>,
    /// Workspaces.
    pub workspaces: Option<Vec<CatalogItem>>,
    /// Templates.
    pub templates: Option<Vec<CatalogItem>>,
}

/// How many rows take something, and which is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogUse {
    /// The first row, as the spreadsheet counts; none where the batch file takes it for all.
    pub first_row: Option<u64>,
    /// How many.
    pub rows: u64,
}

/// Different things of which a plan keeps count.
const CATALOG_USES_MAX: usize = 10_000;

/// Counts what a row takes.
pub(super) fn record_use(
    taken: &mut BTreeMap<CatalogRef, CatalogUse>,
    take: CatalogRef,
    more: CatalogUse,
) {
    if let Some(known) = taken.get_mut(&take) {
        known.rows += more.rows;
        known.first_row = known.first_row.min(more.first_row);
    } else if taken.len() < CATALOG_USES_MAX {
        taken.insert(take, more);
    }
}

/// Returns a doubt about each thing that is not on offer.
pub(super) fn catalog_warnings(
    taken: &BTreeMap<CatalogRef, CatalogUse>,
    stock: &AccountCatalog,
) -> Vec<PlanProblem> {
    let doubt = |(take, taken): (&CatalogRef, &CatalogUse)| {
        let (words, help) = stock.describe_missing(take)?;
        Some(PlanProblem {
            source: PlanProblemSource::Template,
            row: taken.first_row,
            rows: taken.rows,
            message: words,
            help,
            column: None,
            template_problem: None,
            can_hide_rows: false,
        })
    };
    taken.iter().filter_map(doubt).collect()
}

impl AccountCatalog {
    /// Says that something is not on offer, and what may be meant instead.
    fn describe_missing(&self, take: &CatalogRef) -> Option<(String, Option<String>)> {
        match take {
            CatalogRef::Model(id) => {
                describe_missing_item(self.models.as_ref()?, id, "the account's models")
            }
            CatalogRef::Workspace(id) => {
                describe_missing_item(self.workspaces.as_ref()?, id, "the account's workspaces")
            }
            CatalogRef::Template(id) => {
                describe_missing_item(self.templates.as_ref()?, id, "the account's templates")
            }
            CatalogRef::Clothes { model, id } => {
                let model = self.models.as_ref()?.iter().find(|known| known.id == *model)?;
                let list = format!("the clothes of {}", display_item(model));
                describe_missing_item(model.clothes.as_ref()?, id, &list)
            }
        }
    }
}

fn describe_missing_item(
    articles: &[CatalogItem],
    id: &str,
    list: &str,
) -> Option<(String, Option<String>)> {
    if articles.iter().any(|known| known.id == id) {
        return None;
    }
    let words = format!("`{id}` is not among {list}");
    let help = match (nearest_item(articles, id), articles) {
        (Some(near), _) => Some(format!("did you mean {}?", display_item(near))),
        (None, []) => None,
        (None, few) if few.len() <= LISTED_ITEMS_MAX => {
            let few: Vec<String> = few.iter().map(display_item).collect();
            Some(format!("there {} {}", if few.len() == 1 { "is" } else { "are" }, few.join(", ")))
        }
        (None, _) => None,
    };
    Some((words, help))
}

/// So many are told when none is near.
const LISTED_ITEMS_MAX: usize = 4;
/// Returns the item that was probably meant: by its id, its name, or the first word of its name.
fn nearest_item<'a>(items: &'a [CatalogItem], given: &str) -> Option<&'a CatalogItem> {
    let texts = |item: &'a CatalogItem| {
        let name = item.name.as_deref().unwrap_or_default();
        [item.id.as_str(), name, name.split_whitespace().next().unwrap_or_default()]
    };
    let nearest = nearest_name(given, items.iter().flat_map(texts))?;
    items.iter().find(|item| texts(item).contains(&nearest))
}

fn display_item(article: &CatalogItem) -> String {
    match &article.name {
        Some(name) => format!("`{}` {name}", article.id),
        None => format!("`{}`", article.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(id: &str, name: &str) -> CatalogItem {
        CatalogItem { id: id.into(), name: Some(name.into()), kind: None, clothes: None }
    }

    fn stock() -> AccountCatalog {
        let suit = vec![article("BG00002320", "Suit"), article("BG00002321", "Knitwear")];
        let jonathan =
            CatalogItem { clothes: Some(suit), ..article("M000045058", "Jonathan (Suit)") };
        let models = vec![jonathan, article("M000004017", "Hannah")];
        AccountCatalog { models: Some(models), workspaces: Some(Vec::new()), templates: None }
    }

    fn said(take: CatalogRef) -> String {
        match stock().describe_missing(&take) {
            Some((words, help)) => format!("{words}; {}", help.unwrap_or_default()),
            None => "fine".to_owned(),
        }
    }

    #[test]
    fn a_slip_in_an_id_and_a_name_in_its_place_are_answered_with_the_nearest() {
        let clothes =
            |model: &str, id: &str| CatalogRef::Clothes { model: model.into(), id: id.into() };
        for (take, words) in [
            (CatalogRef::Model("M000045058".into()), "fine"),
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
            (clothes("M000045058", "BG00002321"), "fine"),
            (
                clothes("M000045058", "BG00002399"),
                "`BG00002399` is not among the clothes of `M000045058` Jonathan (Suit); did you \
                 mean `BG00002320` Suit?",
            ),
            // Of what is not known, nothing is said.
            (clothes("M000004017", "B"), "fine"),
            (clothes("X", "B"), "fine"),
            (CatalogRef::Template("T".into()), "fine"),
            (CatalogRef::Workspace("W".into()), "`W` is not among the account's workspaces; "),
        ] {
            assert_eq!(said(take.clone()), words, "{take:?}");
        }
    }
}
