//! From batch files to a night: every sheet is read and compared before anything is spent in any
//! batch, and all problems of all of them are told at once.
//!
//! Between [`draw_up`] and [`take_in`] nothing of the plans is in the ledger; [`let_go`] leaves it
//! as it was.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::unexpected;
use super::hours::HoursArgs;
use super::offers;
use super::talk::Talk;
use super::whom::Account;
use super::wrap::Wrap;
use super::{diagnostics, plan, sheet};
use crate::batch::{Batch, SheetFrom, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{BatchId, Lease, Ledger, LedgerError, Selection, StoredBatch, TakenOver};
use crate::plan::{self as planning, Choice, Estimate, Plan, PlanError};
use crate::runner::BatchLock;
use crate::sandbox;

/// A batch whose file was read, and what is done when its run is over.
pub(super) type Batched = (Batch, Arc<Wrap>);

/// A batch whose lock is held, and whom it talks to.
pub(super) struct Taken {
    pub(super) batch: Batch,
    pub(super) lock: BatchLock,
    pub(super) account: Arc<Account>,
    pub(super) wrap: Arc<Wrap>,
}

/// A batch whose sheet was read and compared.
pub(super) struct Drawn {
    taken: Taken,
    lease: Option<(Lease, TakenOver)>,
    plan: Plan,
    /// Whether a person holds the batch back.
    paused: bool,
}

/// A batch that is in the ledger as its sheet says.
pub(super) struct Ready {
    pub(super) taken: Taken,
    pub(super) id: BatchId,
    pub(super) lease: (Lease, TakenOver),
    /// The jobs that a person named, where a person named some.
    pub(super) only: Option<Selection>,
}

/// What became of reading one batch's sheet: a plan, or an exit code whose reason was said.
type Read = Result<Drawn, Exit>;

/// Returns every batch's account; batches of one account have the same.
pub(super) fn accounts(batches: &[Batched]) -> Result<Vec<Arc<Account>>, Early> {
    let mut accounts: Vec<Arc<Account>> = Vec::new();
    for (batch, _) in batches {
        let account = Account::real(batch)?;
        let known = accounts.iter().find(|known| known.is_same(&account)).cloned();
        accounts.push(known.unwrap_or_else(|| Arc::new(account)));
    }
    Ok(accounts)
}

/// Takes every batch's lock; when one is held by another run, none is begun.
pub(super) async fn take(
    batches: Vec<Batched>,
    (mut accounts, studio): (Vec<Arc<Account>>, sandbox::Settings),
    ledger: &Path,
    clock: &Clock,
) -> Result<Vec<Taken>, Early> {
    let mut locks = Vec::new();
    for (batch, _) in &batches {
        locks.push(drive::lock(ledger, batch.name.as_str(), clock)?);
    }
    if accounts.is_empty() {
        let virtual_one = Arc::new(Account::rehearsal(ledger, studio).await?);
        accounts = vec![virtual_one; batches.len()];
    }
    let all = batches.into_iter().zip(locks).zip(accounts);
    let taken = |(((mut batch, wrap), lock), account): ((Batched, _), Arc<Account>)| {
        if account.is_rehearsal() {
            // What was measured of the real service does not hold for the virtual one.
            batch.vendor = VendorProfile::default();
        }
        Taken { batch, lock, account, wrap }
    };
    Ok(all.map(taken).collect())
}

/// Reads and compares every sheet. When one cannot be, all are let go.
pub(super) async fn draw_up(
    all: Vec<Taken>,
    choice: &Choice,
    (ledger, clock): (&Ledger, &Clock),
    talk: &Talk,
) -> Result<Result<Vec<Drawn>, Exit>, Early> {
    let together = all.len() > 1;
    let (mut drawn, mut exits) = (Vec::new(), Vec::new());
    for taken in all {
        match draw_up_one(taken, choice, (ledger, clock), talk).await {
            Ok(Ok(one)) => drawn.push(one),
            Ok(Err(exit)) => exits.push(exit),
            Err(early) if together => exits.push(early.tell(talk)),
            Err(early) => return Err(early),
        }
    }
    if exits.is_empty() {
        return Ok(Ok(drawn));
    }
    let_go(drawn, ledger, clock).await?;
    Ok(Err(Exit::gravest(exits)))
}

async fn draw_up_one(
    taken: Taken,
    choice: &Choice,
    (ledger, clock): (&Ledger, &Clock),
    talk: &Talk,
) -> Result<Read, Early> {
    let former = former(ledger, &taken.batch, &taken.account).await?;
    let (mut lease, mut paused) = (None, false);
    if let Some(former) = &former {
        paused = ledger.is_paused(former.id).await.map_err(unexpected)?;
        // What a former run left in the air is taken over before anything is compared with it.
        let begun = drive::begin(ledger, former.id, clock).await?;
        taken.wrap.in_ledger(ledger, former.id, Some(begun.0));
        lease = Some(begun);
    }
    let (name, shop) = (&taken.account.name, &taken.account.shop);
    let takes = !taken.account.is_rehearsal() && offers::remembers(ledger, shop).await?;
    let choice = Choice { takes, ..choice.clone() };
    let drawn = planning::draw_up_some(&taken.batch, name, ledger, &choice).await;
    match drawn {
        Ok(mut plan) => {
            offers::compare(&mut plan, None, (ledger, shop, clock), talk).await?;
            Ok(Ok(Drawn { taken, lease, plan, paused }))
        }
        Err(PlanError::Choice(words)) => {
            end_before_it_began(ledger, lease, clock).await?;
            Err(Early::new(Exit::Usage, words))
        }
        Err(error) => {
            end_before_it_began(ledger, lease, clock).await?;
            taken.wrap.finds(diagnostics::words(&error));
            Ok(Err(diagnostics::plan(talk, &error, &taken.batch)))
        }
    }
}

/// Returns the batch as the ledger knows it. A batch belongs to one host for ever: its open
/// renders could not be found at another, and would be paid for again.
async fn former(
    ledger: &Ledger,
    batch: &Batch,
    account: &Account,
) -> Result<Option<StoredBatch>, Early> {
    match ledger.batch(batch.name.as_str()).await {
        Ok(stored) if stored.base_url == account.name => Ok(Some(stored)),
        Ok(stored) => Err(Early::new(
            Exit::Usage,
            format!(
                "batch `{}` was begun at {} and cannot go on at {}: give it another name, or \
                 choose another ledger",
                batch.name, stored.base_url, account.name
            ),
        )),
        Err(LedgerError::NoBatch { .. }) => Ok(None),
        Err(error) => Err(Early::new(Exit::Unexpected, error)),
    }
}

/// What a person asks of a run, as far as it decides what a plan comes to.
pub(super) struct Asked<'a> {
    pub(super) skip_invalid: bool,
    pub(super) retry_failed: bool,
    pub(super) limit: Option<u32>,
    pub(super) hours: &'a HoursArgs,
}

/// Shows a plan and its problems. Returns how many videos the run would submit at most, or says that
/// it ends here.
pub(super) fn show(drawn: &Drawn, asked: &Asked<'_>, talk: &Talk) -> Result<u64, Exit> {
    let (plan, batch) = (&drawn.plan, &drawn.taken.batch);
    drawn.taken.wrap.finds(plan.problems.kept().iter().map(ToString::to_string));
    if !plan.is_clean() {
        let in_sheet = diagnostics::rows(talk, &plan.problems, &plan.texts, batch);
        let hide_rows = plan.problems.hide_rows();
        let share_files = plan.problems.share_files();
        if !asked.skip_invalid || hide_rows || share_files || plan.counts.invalid == 0 {
            // Two rows with one file are both right: neither would be left out.
            let can_skip = plan.counts.invalid > 0 && !share_files && !asked.skip_invalid;
            match (hide_rows, in_sheet, can_skip) {
                (true, ..) => {
                    talk.say("mend the sheet: rows that cannot be seen cannot be left out");
                }
                (false, true, true) => {
                    talk.say("mend the rows, or run with --skip-invalid to leave them out");
                }
                (false, true, false) => talk.say("mend the rows, or `file` in the batch file"),
                (false, false, _) => {}
            }
            return Err(Exit::Input);
        }
    }
    diagnostics::doubts(talk, &plan.doubts, &plan.texts);
    let retries = asked.retry_failed.then(|| plan.counts.with_retries());
    let estimate = Estimate::of(retries.as_ref().unwrap_or(&plan.counts), &batch.limits);
    if talk.is_json() {
        talk.event(json!({ "type": "plan", "plan": plan::document(plan, batch) }));
    } else {
        sheet::remarks(plan).iter().for_each(|line| talk.say(&talk.named(line)));
        talk.say(&plan::headline(plan, batch));
    }
    if drawn.paused {
        // The run says so itself; nobody needs to be asked whether it may spend.
        return Ok(0);
    }
    if let Some(words) = asked.hours.of(batch.window.as_ref(), &jiff::Zoned::now()).shut {
        talk.say(&talk.named(&words));
        return Ok(0);
    }
    let submits = capped(estimate.videos, [asked.limit, batch.limits.max_videos]);
    if estimate.videos + estimate.under_way > 0 {
        let is_rehearsal = drawn.taken.account.is_rehearsal();
        let of = if is_rehearsal { " of a real night" } else { "" };
        let expectation = drive::expectation(&estimate, of);
        let most = match submits < estimate.videos {
            true => format!("; this run submits {submits} at most"),
            false => String::new(),
        };
        talk.say(&talk.named(&format!("{expectation}{most}")));
    }
    Ok(submits)
}

/// Returns how many of so many videos one run may submit.
fn capped(videos: u64, limits: [Option<u32>; 2]) -> u64 {
    limits.into_iter().flatten().map(u64::from).fold(videos, u64::min)
}

impl Drawn {
    /// Tells whether standard input was its sheet, and so can answer no question.
    pub(super) fn took_stdin(&self) -> bool {
        self.taken.batch.sheet_from == SheetFrom::Stdin
    }

    pub(super) fn name(&self) -> &str {
        self.taken.batch.name.as_str()
    }
}

/// Takes every plan into the ledger.
pub(super) async fn take_in(
    all: Vec<Drawn>,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<Vec<Ready>, Early> {
    let mut ready = Vec::new();
    for Drawn { taken, lease, plan, .. } in all {
        let narrowed = plan.named.is_some();
        let id =
            plan.take_in(clock.now()).await.map_err(|error| Early::new(Exit::Unexpected, error))?;
        let lease = match lease {
            Some(lease) => lease,
            None => drive::begin(ledger, id, clock).await?,
        };
        taken.wrap.in_ledger(ledger, id, Some(lease.0));
        let only = match narrowed {
            true => Some(ledger.last_selection(id).await.map_err(unexpected)?),
            false => None,
        };
        ready.push(Ready { taken, id, lease, only });
    }
    Ok(ready)
}

/// Lets plans go; the ledger stays as it was.
pub(super) async fn let_go(all: Vec<Drawn>, ledger: &Ledger, clock: &Clock) -> Result<(), Early> {
    for Drawn { lease, plan, .. } in all {
        plan.discard().await;
        end_before_it_began(ledger, lease, clock).await?;
    }
    Ok(())
}

async fn end_before_it_began(
    ledger: &Ledger,
    lease: Option<(Lease, TakenOver)>,
    clock: &Clock,
) -> Result<(), Early> {
    let Some((lease, _)) = lease else { return Ok(()) };
    let ended = ledger.end_run(lease, drive::NOT_BEGUN, clock.now()).await;
    ended.map_err(|error| Early::new(Exit::Unexpected, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_a_run_may_submit() {
        for (limits, videos) in [
            ([None, None], 12),
            ([Some(2), None], 2),
            ([None, Some(3)], 3),
            ([Some(5), Some(3)], 3),
            ([Some(20), None], 12),
            ([Some(0), Some(3)], 0),
        ] {
            assert_eq!(capped(12, limits), videos, "{limits:?}");
        }
    }
}
