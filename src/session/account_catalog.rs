//! What an account offers: asked for free, remembered in the ledger, and compared with a plan.
//!
//! A comparison only ever warns. The vendor's lists are not known to be complete, and a memory may
//! be old: neither may stop a night, and no trouble with them does.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::{ApiClient, CallError, CatalogEntry, CatalogQuery};
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind, Ledger};
use crate::payload::CatalogRef;
use crate::plan::{AccountCatalog, Plan};
use crate::session::locked_batch::ledger_error;
use crate::session::open_batch::CommandError;
use crate::session::target::RunTarget;
use crate::text::format_duration;

/// A memory that is older is refreshed where that can be done.
const CATALOG_MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How long one call for a hint may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What the vendor's automation has templates for, and in which formats.
const TEMPLATE_CATEGORIES: [&str; 3] = ["business", "education", "social"];
const TEMPLATE_ORIENTATIONS: [&str; 2] = ["web", "mobile"];

/// Returns an account that may be asked, if there is one.
pub(crate) type TargetProvider<'a> = &'a (dyn Fn() -> Option<RunTarget> + Sync);

/// Asks an account for one of its catalogues. Costs nothing.
pub(crate) async fn request_catalog(
    client: &ApiClient,
    shelf: CatalogKind,
) -> Result<Vec<CatalogItem>, CallError> {
    let pages: Vec<CatalogQuery> = match shelf {
        CatalogKind::Models => vec![CatalogQuery::Models, CatalogQuery::ModelsWithClothes],
        CatalogKind::Workspaces => vec![CatalogQuery::Workspaces],
        CatalogKind::Templates => {
            let each = TEMPLATE_CATEGORIES.into_iter().flat_map(|category| {
                TEMPLATE_ORIENTATIONS
                    .map(|orientation| CatalogQuery::AutomationTemplates { category, orientation })
            });
            [CatalogQuery::Templates].into_iter().chain(each).collect()
        }
    };
    let (mut articles, mut missing, mut found) = (Vec::new(), None, false);
    for page in pages {
        match client.fetch_catalog(page).await {
            Ok(offers) => {
                found = true;
                offers
                    .into_iter()
                    .for_each(|offer| merge_item(&mut articles, to_catalog_item(offer)));
            }
            // One page that is not there is another's place; half an answer is no catalogue.
            Err(trouble @ (CallError::NotFound | CallError::Refused { .. })) => {
                missing = Some(trouble)
            }
            Err(trouble) => return Err(trouble),
        }
    }
    match missing {
        Some(trouble) if !found => Err(trouble),
        Some(_) | None => Ok(articles),
    }
}

fn to_catalog_item(offer: CatalogEntry) -> CatalogItem {
    let CatalogEntry { id, name, kind, clothes } = offer;
    let clothes = clothes.map(|all| all.into_iter().map(to_catalog_item).collect());
    CatalogItem { id, name, kind, clothes }
}

/// Two pages may tell of one thing, each its own half.
fn merge_item(articles: &mut Vec<CatalogItem>, article: CatalogItem) {
    let Some(known) = articles.iter_mut().find(|known| known.id == article.id) else {
        return articles.push(article);
    };
    known.name = known.name.take().or(article.name);
    known.kind = known.kind.take().or(article.kind);
    known.clothes = known.clothes.take().or(article.clothes);
}

/// Tells whether anything is known of what an account offers.
pub(crate) async fn has_catalog(ledger: &Ledger, account: &str) -> Result<bool, CommandError> {
    for shelf in [CatalogKind::Models, CatalogKind::Workspaces, CatalogKind::Templates] {
        if ledger.catalog(account, shelf).await.map_err(ledger_error)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns how old a memory is.
pub(crate) fn catalog_age(heard_at: Timestamp, clock: &Clock) -> SignedDuration {
    clock.now().duration_since(heard_at).max(SignedDuration::ZERO)
}

/// Doubts whatever a plan takes and the account does not offer. What is not known, or was heard
/// long ago, is asked for where `asking` gives an account.
pub(crate) async fn compare_plan(
    plan: &mut Plan,
    asking: Option<TargetProvider<'_>>,
    (ledger, account, clock): (&Ledger, &str, &Clock),
    talk: &Printer,
) -> Result<(), CommandError> {
    let shelves: BTreeSet<&'static str> =
        plan.catalog_uses.keys().map(|take| catalog_kind(take).as_str()).collect();
    let (mut stock, mut client, mut oldest) =
        (AccountCatalog::default(), None, SignedDuration::ZERO);
    for shelf in [CatalogKind::Models, CatalogKind::Workspaces, CatalogKind::Templates] {
        if !shelves.contains(shelf.as_str()) {
            continue;
        }
        let mut known = ledger.catalog(account, shelf).await.map_err(ledger_error)?;
        let fresh = known.as_ref().is_some_and(|(_, at)| catalog_age(*at, clock) < CATALOG_MAX_AGE);
        if !fresh && let Some(asking) = asking {
            let client =
                client.get_or_insert_with(|| asking()?.client(REQUEST_TIMEOUT, clock).ok());
            if let Some(client) = client {
                match request_catalog(client, shelf).await {
                    Ok(articles) => {
                        let now = clock.now();
                        let kept = ledger.save_catalog(account, shelf, &articles, now).await;
                        kept.map_err(ledger_error)?;
                        known = Some((articles, now));
                    }
                    Err(trouble) => talk.status(&format!(
                        "the account's {} could not be asked for ({trouble}); go on without",
                        shelf.as_str()
                    )),
                }
            }
        }
        let Some((articles, heard_at)) = known else { continue };
        oldest = oldest.max(catalog_age(heard_at, clock));
        let place = match shelf {
            CatalogKind::Models => &mut stock.models,
            CatalogKind::Workspaces => &mut stock.workspaces,
            CatalogKind::Templates => &mut stock.templates,
        };
        *place = Some(articles);
    }
    let doubts = plan.warnings.count();
    plan.compare_with_catalog(&stock);
    if plan.warnings.count() > doubts && oldest >= CATALOG_MAX_AGE {
        let old = format_duration(oldest.unsigned_abs());
        talk.status(&format!(
            "what the account offers was heard {old} ago; `callsheet models` and the like ask anew"
        ));
    }
    Ok(())
}

fn catalog_kind(take: &CatalogRef) -> CatalogKind {
    match take {
        CatalogRef::Model(_) | CatalogRef::Clothes { .. } => CatalogKind::Models,
        CatalogRef::Workspace(_) => CatalogKind::Workspaces,
        CatalogRef::Template(_) => CatalogKind::Templates,
    }
}
