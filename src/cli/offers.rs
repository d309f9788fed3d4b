//! What an account offers: asked for free, remembered in the ledger, and compared with a plan.
//!
//! A comparison only ever warns. The vendor's lists are not known to be complete, and a memory may
//! be old: neither may stop a night, and no trouble with them does.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::drive::Early;
use super::hold::unexpected;
use super::talk::{Talk, span};
use super::whom::Account;
use crate::clock::Clock;
use crate::ledger::{Article, Ledger, Shelf};
use crate::plan::{Plan, Stock};
use crate::scene::Take;
use crate::studio::{Catalogue, Client, Offer, Trouble};

/// A memory that is older is refreshed where that can be done.
const FRESH: SignedDuration = SignedDuration::from_hours(24);
/// How long one call for a hint may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What the vendor's automation has templates for, and in which formats.
const CATEGORIES: [&str; 3] = ["business", "education", "social"];
const ORIENTATIONS: [&str; 2] = ["web", "mobile"];

/// Returns an account that may be asked, if there is one.
pub(super) type Asking<'a> = &'a (dyn Fn() -> Option<Account> + Sync);

/// Asks an account for one of its catalogues. Costs nothing.
pub(super) async fn ask(client: &Client, shelf: Shelf) -> Result<Vec<Article>, Trouble> {
    let pages: Vec<Catalogue> = match shelf {
        Shelf::Models => vec![Catalogue::Models, Catalogue::Wardrobe],
        Shelf::Workspaces => vec![Catalogue::Workspaces],
        Shelf::Templates => {
            let each = CATEGORIES.into_iter().flat_map(|category| {
                ORIENTATIONS
                    .map(|orientation| Catalogue::AutomationTemplates { category, orientation })
            });
            [Catalogue::Templates].into_iter().chain(each).collect()
        }
    };
    let (mut articles, mut missing, mut found) = (Vec::new(), None, false);
    for page in pages {
        match client.catalogue(page).await {
            Ok(offers) => {
                found = true;
                offers.into_iter().for_each(|offer| add(&mut articles, article(offer)));
            }
            // One page that is not there is another's place; half an answer is no catalogue.
            Err(trouble @ (Trouble::NotFound | Trouble::Refused(_))) => missing = Some(trouble),
            Err(trouble) => return Err(trouble),
        }
    }
    match missing {
        Some(trouble) if !found => Err(trouble),
        Some(_) | None => Ok(articles),
    }
}

fn article(offer: Offer) -> Article {
    let Offer { id, name, kind, clothes } = offer;
    let clothes = clothes.map(|all| all.into_iter().map(article).collect());
    Article { id, name, kind, clothes }
}

/// Two pages may tell of one thing, each its own half.
fn add(articles: &mut Vec<Article>, article: Article) {
    let Some(known) = articles.iter_mut().find(|known| known.id == article.id) else {
        return articles.push(article);
    };
    known.name = known.name.take().or(article.name);
    known.kind = known.kind.take().or(article.kind);
    known.clothes = known.clothes.take().or(article.clothes);
}

/// Tells whether anything is known of what an account offers.
pub(super) async fn remembers(ledger: &Ledger, account: &str) -> Result<bool, Early> {
    for shelf in [Shelf::Models, Shelf::Workspaces, Shelf::Templates] {
        if ledger.catalogue(account, shelf).await.map_err(unexpected)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns how old a memory is.
pub(super) fn age(heard_at: Timestamp, clock: &Clock) -> SignedDuration {
    clock.now().duration_since(heard_at).max(SignedDuration::ZERO)
}

/// Doubts whatever a plan takes and the account does not offer. What is not known, or was heard
/// long ago, is asked for where `asking` gives an account.
pub(super) async fn compare(
    plan: &mut Plan,
    asking: Option<Asking<'_>>,
    (ledger, account, clock): (&Ledger, &str, &Clock),
    talk: &Talk,
) -> Result<(), Early> {
    let shelves: BTreeSet<&'static str> =
        plan.taken.keys().map(|take| shelf_of(take).word()).collect();
    let (mut stock, mut client, mut oldest) = (Stock::default(), None, SignedDuration::ZERO);
    for shelf in [Shelf::Models, Shelf::Workspaces, Shelf::Templates] {
        if !shelves.contains(shelf.word()) {
            continue;
        }
        let mut known = ledger.catalogue(account, shelf).await.map_err(unexpected)?;
        let fresh = known.as_ref().is_some_and(|(_, at)| age(*at, clock) < FRESH);
        if !fresh && let Some(asking) = asking {
            let client = client.get_or_insert_with(|| asking()?.client(PATIENCE, clock).ok());
            if let Some(client) = client {
                match ask(client, shelf).await {
                    Ok(articles) => {
                        let now = clock.now();
                        let kept = ledger.keep_catalogue((account, shelf), &articles, now).await;
                        kept.map_err(unexpected)?;
                        known = Some((articles, now));
                    }
                    Err(trouble) => talk.say(&format!(
                        "the account's {} could not be asked for ({trouble}); go on without",
                        shelf.word()
                    )),
                }
            }
        }
        let Some((articles, heard_at)) = known else { continue };
        oldest = oldest.max(age(heard_at, clock));
        let place = match shelf {
            Shelf::Models => &mut stock.models,
            Shelf::Workspaces => &mut stock.workspaces,
            Shelf::Templates => &mut stock.templates,
        };
        *place = Some(articles);
    }
    let doubts = plan.doubts.count();
    plan.compare(&stock);
    if plan.doubts.count() > doubts && oldest >= FRESH {
        let old = span(oldest.unsigned_abs());
        talk.say(&format!(
            "what the account offers was heard {old} ago; `callsheet models` and the like ask anew"
        ));
    }
    Ok(())
}

fn shelf_of(take: &Take) -> Shelf {
    match take {
        Take::Model(_) | Take::Clothes { .. } => Shelf::Models,
        Take::Workspace(_) => Shelf::Workspaces,
        Take::Template(_) => Shelf::Templates,
    }
}
