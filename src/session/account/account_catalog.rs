//! The catalogue of an account: requested for free, stored in the ledger, and compared with a plan.
//!
//! A comparison only ever warns. AI Studios' lists may be incomplete and the stored ones outdated,
//! so neither they nor a failed request stops a run.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::{ApiClient, CallError, CatalogEntry, CatalogQuery};
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind, Ledger, LedgerError};
use crate::payload::CatalogRef;
use crate::plan::{AccountCatalog, Plan};
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::target::RunTarget;
use crate::session::error::CommandError;

/// An older catalogue is requested again, if that is possible.
const CATALOG_MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// The timeout of one request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The categories and formats of AI Studios' automation templates.
const TEMPLATE_CATEGORIES: [&str; 3] = ["business", "education", "social"];
const TEMPLATE_ORIENTATIONS: [&str; 2] = ["web", "mobile"];
const KINDS: [CatalogKind; 3] =
    [CatalogKind::Models, CatalogKind::Workspaces, CatalogKind::Templates];

/// The account to request catalogues from.
#[derive(Clone, Copy)]
pub(crate) struct CatalogAccess<'a> {
    pub(crate) query: CredentialQuery<'a>,
    /// Whether a command of the batch file may be run for the user key.
    pub(crate) may_run_key_command: bool,
}

impl CatalogAccess<'_> {
    /// Returns the account, if there are credentials for it.
    async fn target(&self) -> Option<RunTarget> {
        match self.may_run_key_command {
            true => RunTarget::for_query(self.query).await.ok(),
            false => RunTarget::without_key_command(self.query),
        }
    }
}

/// A limitation of a comparison, for the user.
#[derive(Clone, Debug)]
pub(crate) enum CatalogNotice {
    /// A catalogue could not be requested; the comparison goes without it.
    Unavailable { kind: CatalogKind, error: String },
    /// A warning rests on a catalogue of this age.
    Outdated { age: Duration },
}

/// The stored catalogues with which a plan is compared.
#[derive(Clone, Copy)]
pub(crate) struct CatalogSource<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) clock: &'a Clock,
    /// The key of the account's catalogues in the ledger.
    pub(crate) account: &'a str,
    /// Where a missing or old catalogue is requested; `None` to send no request.
    pub(crate) access: Option<CatalogAccess<'a>>,
}

/// Requests one of an account's catalogues. Costs nothing.
pub(crate) async fn request_catalog(
    client: &ApiClient,
    kind: CatalogKind,
) -> Result<Vec<CatalogItem>, CallError> {
    let (mut items, mut missing, mut is_found) = (Vec::new(), None, false);
    for query in catalog_queries(kind) {
        match client.fetch_catalog(query).await {
            Ok(entries) => {
                is_found = true;
                let entries = entries.into_iter().map(to_catalog_item);
                entries.for_each(|item| merge_item(&mut items, item));
            }
            // Not every account has every page; any other error would leave half a catalogue.
            Err(error @ (CallError::NotFound | CallError::Refused { .. })) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if !is_found => Err(error),
        Some(_) | None => Ok(items),
    }
}

fn catalog_queries(kind: CatalogKind) -> Vec<CatalogQuery> {
    match kind {
        CatalogKind::Models => vec![CatalogQuery::Models, CatalogQuery::ModelsWithClothes],
        CatalogKind::Workspaces => vec![CatalogQuery::Workspaces],
        CatalogKind::Templates => {
            let automation = TEMPLATE_CATEGORIES.into_iter().flat_map(|category| {
                TEMPLATE_ORIENTATIONS
                    .map(|orientation| CatalogQuery::AutomationTemplates { category, orientation })
            });
            [CatalogQuery::Templates].into_iter().chain(automation).collect()
        }
    }
}

fn to_catalog_item(entry: CatalogEntry) -> CatalogItem {
    let CatalogEntry { id, name, kind, clothes } = entry;
    let clothes = clothes.map(|all| all.into_iter().map(to_catalog_item).collect());
    CatalogItem { id, name, kind, clothes }
}

/// Adds an item. Two pages may each contain a part of its fields.
fn merge_item(items: &mut Vec<CatalogItem>, item: CatalogItem) {
    let Some(known) = items.iter_mut().find(|known| known.id == item.id) else {
        return items.push(item);
    };
    known.name = known.name.take().or(item.name);
    known.kind = known.kind.take().or(item.kind);
    known.clothes = known.clothes.take().or(item.clothes);
}

/// Returns whether the ledger has any catalogue of the account.
pub(crate) async fn has_catalog(ledger: &Ledger, account: &str) -> Result<bool, LedgerError> {
    for kind in KINDS {
        if ledger.catalog(account, kind).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn catalog_age(requested_at: Timestamp, clock: &Clock) -> SignedDuration {
    clock.now().duration_since(requested_at).max(SignedDuration::ZERO)
}

/// Adds a warning to the plan for everything that it uses and the account does not have.
pub(crate) async fn compare_plan(
    plan: &mut Plan,
    source: CatalogSource<'_>,
) -> Result<Vec<CatalogNotice>, CommandError> {
    let used: BTreeSet<&'static str> =
        plan.catalog_uses.keys().map(|reference| catalog_kind(reference).as_str()).collect();
    let mut reader = CatalogReader { source, client: None, notices: Vec::new() };
    let (mut catalog, mut oldest) = (AccountCatalog::default(), SignedDuration::ZERO);
    for kind in KINDS {
        if !used.contains(kind.as_str()) {
            continue;
        }
        let Some((items, requested_at)) = reader.read(kind).await? else { continue };
        oldest = oldest.max(catalog_age(requested_at, source.clock));
        let field = match kind {
            CatalogKind::Models => &mut catalog.models,
            CatalogKind::Workspaces => &mut catalog.workspaces,
            CatalogKind::Templates => &mut catalog.templates,
        };
        *field = Some(items);
    }
    let warnings = plan.warnings.count();
    plan.compare_with_catalog(&catalog);
    let mut notices = reader.notices;
    if plan.warnings.count() > warnings && oldest >= CATALOG_MAX_AGE {
        notices.push(CatalogNotice::Outdated { age: oldest.unsigned_abs() });
    }
    Ok(notices)
}

/// Reads catalogues from the ledger, and requests those that are missing or old.
struct CatalogReader<'a> {
    source: CatalogSource<'a>,
    /// `Some(None)` if there is no account to request from.
    client: Option<Option<std::sync::Arc<ApiClient>>>,
    notices: Vec<CatalogNotice>,
}

impl CatalogReader<'_> {
    async fn read(
        &mut self,
        kind: CatalogKind,
    ) -> Result<Option<(Vec<CatalogItem>, Timestamp)>, CommandError> {
        let CatalogSource { ledger, clock, account, access } = self.source;
        let stored = ledger.catalog(account, kind).await?;
        let is_fresh = stored
            .as_ref()
            .is_some_and(|(_, requested_at)| catalog_age(*requested_at, clock) < CATALOG_MAX_AGE);
        let Some(access) = access.filter(|_| !is_fresh) else { return Ok(stored) };
        if self.client.is_none() {
            let target = access.target().await;
            self.client =
                Some(target.and_then(|target| target.client(REQUEST_TIMEOUT, clock).ok()));
        }
        let Some(Some(client)) = &self.client else { return Ok(stored) };
        match request_catalog(client, kind).await {
            Ok(items) => {
                let now = clock.now();
                ledger.save_catalog(account, kind, &items, now).await?;
                Ok(Some((items, now)))
            }
            Err(error) => {
                let error = error.to_string();
                self.notices.push(CatalogNotice::Unavailable { kind, error });
                Ok(stored)
            }
        }
    }
}

fn catalog_kind(reference: &CatalogRef) -> CatalogKind {
    match reference {
        CatalogRef::Model(_) | CatalogRef::Clothes { .. } => CatalogKind::Models,
        CatalogRef::Workspace(_) => CatalogKind::Workspaces,
        CatalogRef::Template(_) => CatalogKind::Templates,
    }
}
