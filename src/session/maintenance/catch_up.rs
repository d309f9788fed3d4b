//! `ledger catch-up`: compares the projects of the ledger's accounts with a ledger that may lack records.
//!
//! The quiet wait is over before the project list is read, so that no request of a former run can still
//! be under way. What is found is stored and adopted before a batch counts as compared; output folders
//! are marked again before the gap is closed. Invariant: every step may be repeated, and until the last
//! one nothing is paid.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::{CallError, ListedProject, StudioApi};
use crate::batch;
use crate::batch::Batch;
use crate::clock::Clock;
use crate::ledger::{
    BatchComparison, ComparedJobs, FinishedProject, Ledger, LedgerGap, RunEnding, StoredBatch, Tag,
    TaggedProject,
};
use crate::runner::{OutputMarker, ProjectIndex};
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::account::target;
use crate::session::account::target::{RehearsalOptions, RunTarget};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::{LedgerLocation, open_existing_ledger};
use crate::session::ledger_match::{LedgerMatch, MatchOverrides};
use crate::session::locked_batch;
use crate::session::locked_batch::{begin_run, lock_batch};

/// The time of the last record of a ledger without any.
const NO_RECORD: Timestamp = Timestamp::constant(0, 1_000_000);

/// The arguments of `ledger catch-up`.
#[derive(Clone, Debug)]
pub(crate) struct CatchUpRequest {
    pub(crate) location: LedgerLocation,
    /// Batch files whose batches may not be in the ledger at all.
    pub(crate) files: Vec<PathBuf>,
    /// Whether the operator has compared the rest by hand.
    pub(crate) is_checked: bool,
    pub(crate) trusts: bool,
}

/// What happens during a catch-up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CatchUpEvent {
    /// Requests of a former run may be under way until then.
    Waiting { until: Timestamp },
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct CatchUpReport {
    /// The gaps that were open.
    pub(crate) gaps: Vec<LedgerGap>,
    /// Projects with a tag that the ledger does not know.
    pub(crate) found_projects: u64,
    pub(crate) batches: Vec<ComparedBatch>,
    /// Whether nothing holds payments back any more.
    pub(crate) is_complete: bool,
}

/// The comparison of one batch.
#[derive(Clone, Debug)]
pub(crate) struct ComparedBatch {
    pub(crate) name: String,
    pub(crate) jobs: ComparedJobs,
    /// Why the account does not show everything; `None` if it does.
    pub(crate) objection: Option<String>,
}

/// What the account of one batch shows.
struct AccountProjects {
    tagged: Vec<TaggedProject>,
    objection: Option<&'static str>,
}

/// The reason why an account could not be read.
struct UnreadAccount {
    message: String,
    /// Whether another try may succeed. No statement of the operator replaces it.
    may_be_read_later: bool,
}

impl UnreadAccount {
    fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), may_be_read_later: false }
    }

    fn from_call(error: &CallError) -> Self {
        let may_be_read_later = match error {
            CallError::Transient { .. } | CallError::RateLimited { .. } => true,
            CallError::Account { .. }
            | CallError::Refused { .. }
            | CallError::Moved { .. }
            | CallError::NotFound => false,
        };
        let advice = if may_be_read_later { "; try again" } else { "" };
        let message = format!("its projects cannot be listed: {error}{advice}");
        Self { message, may_be_read_later }
    }
}

struct CatchUp<'c> {
    ledger: Ledger,
    clock: &'c Clock,
    request: &'c CatchUpRequest,
    gaps: Vec<LedgerGap>,
}

/// Compares the ledger with its accounts.
pub(crate) async fn catch_up(
    request: &CatchUpRequest,
    clock: &Clock,
    notify: impl Fn(CatchUpEvent),
    confirm: impl AsyncFn(TrustQuestion) -> bool,
) -> Result<CatchUpReport, CommandError> {
    let ledger = open_existing_ledger(&request.location.address).await?;
    let mut locks = Vec::new();
    let mut stored = Vec::new();
    for row in ledger.batches().await? {
        locks.push(lock_batch(&ledger, &row.name, clock).await?);
        stored.push(ledger.batch(&row.name).await?);
    }
    let mut batches = Vec::new();
    for one in &stored {
        batches.push((one, parse_stored(one)));
    }
    let new = request.read_new_files(&stored)?;
    let parsed = || batches.iter().filter_map(|(_, batch)| batch.as_ref().ok()).chain(&new);
    for batch in parsed() {
        record_older_copy(&ledger, batch, request, clock).await?;
    }
    ledger.notice_backup(clock.now()).await?;
    let gaps = ledger.open_gaps().await?;
    let mut report = CatchUpReport { gaps: gaps.clone(), ..CatchUpReport::default() };
    if gaps.is_empty() {
        report.is_complete = true;
        ledger.close().await;
        return Ok(report);
    }
    let catching_up = CatchUp { ledger, clock, request, gaps };
    catching_up.wait_until_quiet(parsed(), &notify).await;
    for batch in &new {
        let (found, objection) = catching_up.compare_new(batch).await?;
        report.found_projects += found;
        report.batches.extend(objection.map(|objection| ComparedBatch {
            name: batch.name.as_str().to_owned(),
            jobs: ComparedJobs::default(),
            objection: Some(objection),
        }));
    }
    for (one, batch) in &batches {
        if catching_up.ledger.gap_of_batch(&one.name).await?.is_none() {
            continue;
        }
        let (found, compared) = catching_up.compare_stored(one, batch, &confirm).await?;
        report.found_projects += found;
        report.batches.push(compared);
    }
    catching_up.mark_folders(parsed()).await?;
    let has_uncompared_files = report.batches.iter().any(|one| one.objection.is_some());
    report.is_complete =
        !has_uncompared_files && catching_up.ledger.close_gaps(clock.now()).await?;
    catching_up.ledger.close().await;
    drop(locks);
    Ok(report)
}

impl CatchUpRequest {
    /// Reads the given batch files whose batches the ledger does not have.
    fn read_new_files(&self, stored: &[StoredBatch]) -> Result<Vec<Batch>, CommandError> {
        let mut new = Vec::new();
        for file in &self.files {
            let mut batch = batch::read(file)
                .map_err(|problems| CommandError::new(ExitReason::Input, problems))?;
            target::override_host(&mut batch, None)?;
            if stored.iter().all(|one| one.name != batch.name.as_str()) {
                new.push(batch);
            }
        }
        Ok(new)
    }

    fn folder_match<'a>(&'a self, batch: &'a Batch) -> LedgerMatch<'a> {
        LedgerMatch::new(batch, &self.location, MatchOverrides::default())
    }
}

fn parse_stored(stored: &StoredBatch) -> Result<Batch, String> {
    let parsed = batch::parse(Path::new(&stored.file), stored.source.clone());
    parsed.map_err(|problems| format!("its batch file is not valid: {problems}"))
}

async fn record_older_copy(
    ledger: &Ledger,
    batch: &Batch,
    request: &CatchUpRequest,
    clock: &Clock,
) -> Result<(), CommandError> {
    if let Some(detail) = request.folder_match(batch).find_older_copy(ledger).await? {
        ledger.record_older_copy(detail, clock.now()).await?;
    }
    Ok(())
}

impl CatchUp<'_> {
    /// Waits until no request that was sent before can still be under way.
    async fn wait_until_quiet<'b>(
        &self,
        batches: impl Iterator<Item = &'b Batch>,
        notify: &impl Fn(CatchUpEvent),
    ) {
        let now = self.clock.now();
        let quiet_wait = batches.map(|batch| batch.limits.settle_after).max().unwrap_or_default();
        let until = self.time_after_gap(quiet_wait);
        if until > now {
            notify(CatchUpEvent::Waiting { until });
            self.clock.sleep((until - now).try_into().unwrap_or_default()).await;
        }
    }

    /// Returns the time `pause` after the last moment at which a lost request can have been sent.
    fn time_after_gap(&self, pause: Duration) -> Timestamp {
        let now = self.clock.now();
        let found_at = self.gaps.iter().map(|gap| gap.found_at).max().unwrap_or(now);
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        found_at.min(now).saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Returns why the list does not show every lost project of a batch; `None` if it does, or if the
    /// operator has compared the rest by hand.
    fn list_objection(
        &self,
        index: &ProjectIndex,
        batch: &Batch,
        finished: &[FinishedProject],
    ) -> Option<&'static str> {
        if self.request.is_checked {
            return None;
        }
        let are_renders_over = self.time_after_gap(batch.limits.render_timeout) <= self.clock.now();
        if !batch.studio.request.is_tagged() {
            Some("its kind of request carries no tag")
        } else if !index.shows_unfinished_renders() && !are_renders_over {
            Some(
                "the project list may show a render only when it is finished: try again after \
                 `render_timeout`, or state what it shows as `list` under [vendor]",
            )
        } else {
            index.silence_objection(finished)
        }
    }

    /// Returns why an account that was not read holds its batch back; `None` if the operator has compared
    /// it by hand.
    fn objection_to(&self, unread: UnreadAccount) -> Option<String> {
        let is_accepted = self.request.is_checked && !unread.may_be_read_later;
        (!is_accepted).then_some(unread.message)
    }

    fn last_record_at(&self) -> Timestamp {
        self.gaps.iter().map(|gap| gap.last_record_at).min().unwrap_or(NO_RECORD)
    }

    /// Stores the lost projects of an account whose batch the ledger does not have. Returns their number,
    /// and why there may be more.
    async fn compare_new(&self, batch: &Batch) -> Result<(u64, Option<String>), CommandError> {
        let target = RunTarget::for_batch(batch).await?;
        let studio = target.ai_studios(batch, self.clock)?;
        let list = match studio.list_projects().await {
            Ok(list) => list,
            Err(error) => return Ok((0, self.objection_to(UnreadAccount::from_call(&error)))),
        };
        let index = ProjectIndex::from_list(list).with_profile(&batch.vendor);
        let objection = self.list_objection(&index, batch, &[]);
        let found = self.store(tagged_projects(&index)).await?;
        Ok((found, objection.map(str::to_owned)))
    }

    async fn compare_stored(
        &self,
        stored: &StoredBatch,
        batch: &Result<Batch, String>,
        confirm: &impl AsyncFn(TrustQuestion) -> bool,
    ) -> Result<(u64, ComparedBatch), CommandError> {
        let read = match batch {
            Ok(batch) => self.read_account(stored, batch, confirm).await,
            Err(message) => Err(UnreadAccount::lasting(message)),
        };
        let (tagged, objection) = match read {
            Ok(projects) => (projects.tagged, projects.objection.map(str::to_owned)),
            Err(unread) => (Vec::new(), self.objection_to(unread)),
        };
        let found = self.store(tagged).await?;
        let mode = batch.as_ref().map_or(batch::SubmissionMode::TwoStep, |b| b.studio.submission);
        let comparison = BatchComparison {
            batch_name: stored.name.clone(),
            mode,
            last_record_at: self.last_record_at(),
            is_conclusive: objection.is_none(),
        };
        let lease = begin_run(&self.ledger, stored.id, self.clock).await?;
        let jobs = lease.compare_with_found(comparison, self.clock.now()).await?;
        lease.end_run(RunEnding::ByHand, self.clock.now()).await?;
        Ok((found, ComparedBatch { name: stored.name.clone(), jobs, objection }))
    }

    /// Reads the account's projects.
    async fn read_account(
        &self,
        stored: &StoredBatch,
        batch: &Batch,
        confirm: &impl AsyncFn(TrustQuestion) -> bool,
    ) -> Result<AccountProjects, UnreadAccount> {
        let lasting =
            |error: CommandError| UnreadAccount::lasting(error.message().unwrap_or_default());
        let address = self.ledger.address();
        let is_rehearsal = target::is_rehearsal_host(&stored.base_url);
        if !is_rehearsal
            && let Some(question) = TrustQuestion::about(batch, address)
            && !self.request.trusts
        {
            let message = question.message();
            if !confirm(question).await {
                return Err(UnreadAccount::lasting(format!("{message}; confirm it with --trust")));
            }
        }
        let rehearsal = is_rehearsal.then(RehearsalOptions::default);
        let loaded = locked_batch::load_target(address, stored, rehearsal).await;
        let (batch, target) = loaded.map_err(lasting)?;
        let studio = target.ai_studios(&batch, self.clock).map_err(lasting)?;
        let list = studio.list_projects().await;
        target.close().await;
        let list = list.map_err(|error| UnreadAccount::from_call(&error))?;
        let finished = self.ledger.finished_projects(stored.id).await;
        let finished = finished.map_err(|error| UnreadAccount {
            message: error.to_string(),
            may_be_read_later: true,
        })?;
        let mut index = ProjectIndex::from_list(list).with_profile(&batch.vendor);
        index.compare_with(&finished);
        let tagged = tagged_projects(&index);
        // Also of a batch without ready jobs: its next plan may add rows that were paid for since.
        Ok(AccountProjects { tagged, objection: self.list_objection(&index, &batch, &finished) })
    }

    async fn store(&self, projects: Vec<TaggedProject>) -> Result<u64, CommandError> {
        let (since, now) = (self.last_record_at(), self.clock.now());
        Ok(self.ledger.store_found_projects(projects, since, now).await?)
    }

    /// Lets the output folders know how far the ledger is now, so that it no longer counts as an older
    /// copy.
    async fn mark_folders<'b>(
        &self,
        batches: impl Iterator<Item = &'b Batch>,
    ) -> Result<(), CommandError> {
        let marked: Vec<_> = batches
            .map(|batch| (batch, self.request.folder_match(batch)))
            .filter_map(|(batch, folder)| {
                let generation = folder.marked_generation(&self.ledger)?;
                Some((batch, folder.folder().to_owned(), generation))
            })
            .collect();
        let highest = marked.iter().map(|(_, _, generation)| *generation).max();
        if let Some(highest) = highest {
            self.ledger.raise_generation(highest).await?;
        }
        for (batch, folder, _) in marked {
            OutputMarker::new(&folder, batch.name.as_str(), &self.ledger).record().await?;
        }
        Ok(())
    }
}

fn tagged_projects(index: &ProjectIndex) -> Vec<TaggedProject> {
    let project = |(tag, listed): (&Tag, &ListedProject)| {
        let id = listed.id.to_string();
        TaggedProject { id, tag: tag.clone(), is_exported: listed.is_exported() }
    };
    index.tagged().map(project).collect()
}
