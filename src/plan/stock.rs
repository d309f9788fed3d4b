//! What a plan takes from the account's catalogues, held against what the account offers.
//!
//! It only ever doubts: the vendor's lists are not known to be complete, and what is remembered of
//! them may be old. Pure. What is not known is not compared.

use std::collections::BTreeMap;

use super::problem::{Problem, Source};
use crate::ledger::Article;
use crate::scene::Take;

/// What an account offers, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    /// Models, with their clothes where those are known.
    pub models: Option<Vec<Article>>,
    /// Workspaces.
    pub workspaces: Option<Vec<Article>>,
    /// Templates.
    pub templates: Option<Vec<Article>>,
}

/// How many rows take something, and which is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The first row, as the spreadsheet counts; none where the batch file takes it for all.
    pub first: Option<u64>,
    /// How many.
    pub rows: u64,
}

/// Different things of which a plan keeps count.
const KEPT_MAX: usize = 10_000;

/// Counts what a row takes.
pub(super) fn count(taken: &mut BTreeMap<Take, Taken>, take: Take, more: Taken) {
    if let Some(known) = taken.get_mut(&take) {
        known.rows += more.rows;
        known.first = known.first.min(more.first);
    } else if taken.len() < KEPT_MAX {
        taken.insert(take, more);
    }
}

/// Returns a doubt about each thing that is not on offer.
pub(super) fn doubts(taken: &BTreeMap<Take, Taken>, stock: &Stock) -> Vec<Problem> {
    let doubt = |(take, taken): (&Take, &Taken)| {
        let (words, help) = stock.lacks(take)?;
        Some(Problem {
            source: Source::Scene,
            row: taken.first,
            rows: taken.rows,
            words,
            help,
            column: None,
            scene: None,
            hides_rows: false,
        })
    };
    taken.iter().filter_map(doubt).collect()
}

impl Stock {
    /// Says that something is not on offer, and what may be meant instead.
    fn lacks(&self, take: &Take) -> Option<(String, Option<String>)> {
        match take {
            Take::Model(id) => lacks(self.models.as_ref()?, id, "the account's models"),
            Take::Workspace(id) => lacks(self.workspaces.as_ref()?, id, "the account's workspaces"),
            Take::Template(id) => lacks(self.templates.as_ref()?, id, "the account's templates"),
            Take::Clothes { model, id } => {
                let model = self.models.as_ref()?.iter().find(|known| known.id == *model)?;
                let list = format!("the clothes of {}", shown(model));
                lacks(model.clothes.as_ref()?, id, &list)
            }
        }
    }
}

fn lacks(articles: &[Article], id: &str, list: &str) -> Option<(String, Option<String>)> {
    if articles.iter().any(|known| known.id == id) {
        return None;
    }
    let words = format!("`{id}` is not among {list}");
    let help = match (nearest(articles, id), articles) {
        (Some(near), _) => Some(format!("did you mean {}?", shown(near))),
        (None, []) => None,
        (None, few) if few.len() <= FEW => {
            let few: Vec<String> = few.iter().map(shown).collect();
            Some(format!("there {} {}", if few.len() == 1 { "is" } else { "are" }, few.join(", ")))
        }
        (None, _) => None,
    };
    Some((words, help))
}

/// So many are told when none is near.
const FEW: usize = 4;
/// Ids differ in a few digits only, so that likeness means little below this.
const ALIKE_MIN: f64 = 0.75;

/// Returns the one that was most likely meant: by a slip in its id, or by its name.
fn nearest<'a>(articles: &'a [Article], given: &str) -> Option<&'a Article> {
    let given = given.to_lowercase();
    let alike = |text: &str| strsim::normalized_damerau_levenshtein(&given, &text.to_lowercase());
    let likeness = |article: &Article| {
        let name = article.name.as_deref().unwrap_or_default();
        let first_word = name.split_whitespace().next().unwrap_or_default();
        [article.id.as_str(), name, first_word].into_iter().map(alike).fold(0.0, f64::max)
    };
    articles
        .iter()
        .map(|article| (likeness(article), article))
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, article)| article)
}

fn shown(article: &Article) -> String {
    match &article.name {
        Some(name) => format!("`{}` {name}", article.id),
        None => format!("`{}`", article.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(id: &str, name: &str) -> Article {
        Article { id: id.into(), name: Some(name.into()), kind: None, clothes: None }
    }

    fn stock() -> Stock {
        let suit = vec![article("BG00002320", "Suit"), article("BG00002321", "Knitwear")];
        let jonathan = Article { clothes: Some(suit), ..article("M000045058", "Jonathan (Suit)") };
        let models = vec![jonathan, article("M000004017", "Hannah")];
        Stock { models: Some(models), workspaces: Some(Vec::new()), templates: None }
    }

    fn said(take: Take) -> String {
        match stock().lacks(&take) {
            Some((words, help)) => format!("{words}; {}", help.unwrap_or_default()),
            None => "fine".to_owned(),
        }
    }

    #[test]
    fn a_slip_in_an_id_and_a_name_in_its_place_are_answered_with_the_nearest() {
        let clothes = |model: &str, id: &str| Take::Clothes { model: model.into(), id: id.into() };
        for (take, words) in [
            (Take::Model("M000045058".into()), "fine"),
            (
                Take::Model("M000045085".into()),
                "`M000045085` is not among the account's models; did you mean `M000045058` \
                 Jonathan (Suit)?",
            ),
            (
                Take::Model("jonathan".into()),
                "`jonathan` is not among the account's models; did you mean `M000045058` \
                 Jonathan (Suit)?",
            ),
            (
                Take::Model("X".into()),
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
            (Take::Template("T".into()), "fine"),
            (Take::Workspace("W".into()), "`W` is not among the account's workspaces; "),
        ] {
            assert_eq!(said(take.clone()), words, "{take:?}");
        }
    }
}
