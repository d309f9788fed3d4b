//! The reconcile loop: determines whether uncertain submissions were accepted.
//!
//! Evidence first: the project itself and the account's project list are read repeatedly. Absence
//! proves nothing by itself. Only after a complete quiet wait may a submission be taken as not
//! accepted, and only if the batch allows it. Otherwise the job stays uncertain: a late video is
//! better than one paid twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::{ProjectDetails, StudioApi};
use crate::batch::OnUncertain;
use crate::clock::ClockMoment;
use crate::ledger::{
    CallbackReport, DueClaim, DueJob, JobId, JobState, JobUpdate, LedgerError, Transition,
};
use crate::runner::callbacks::has_working_callbacks;
use crate::runner::claims::lock_claims;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::gather::{has_hidden_project, read_projects};
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::quiet_wait::{QuietWait, check_interval};
use crate::runner::evidence::resend_export::{ResendOutcome, can_resend_export, resend_export};
use crate::runner::evidence::sent_name::sent_project_name;
use crate::runner::evidence::{
    Observation, SubmissionEvidence, is_tagged, judge_submission, needs_task_search,
    profile_keeps_export_id,
};
use crate::runner::limits::circuit_breaker::CircuitKind;
use crate::runner::loops::operator_requests::take_turn;
use crate::runner::operator_changes::ChangeMark;

mod rechecked;

/// Checks claimed together; they share one read of the project list.
const CHECKS_PER_CLAIM: u32 = 64;
/// A claimed check is due again after this if it was not recorded.
const CHECK_BUSY_TIME: Duration = Duration::from_secs(600);
/// The shortest delay between two checks of a job.
const CHECK_DELAY_MIN: Duration = Duration::from_millis(20);
/// Checks of a declined request, before only the operator can resolve it: a project that seems to be its
/// render may be that of another row whose response is still on its way.
const DECLINED_LOOKS_MIN: i64 = 3;
/// Projects read per check, to find the one whose render task a callback named.
const TASK_READS_MAX: usize = 32;

/// Reconciles uncertain submissions until they are no longer followed.
pub(in crate::runner) async fn reconcile_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let mut reconciler = Reconciler::new(run.clone());
    while run.can_follow() {
        reconciler.forget_changed_jobs();
        let claim = DueClaim {
            max: CHECKS_PER_CLAIM,
            excluded: Vec::new(),
            now: run.clock.now(),
            busy_until: run.timestamp_after(CHECK_BUSY_TIME),
        };
        let claimed = run.lease.claim_due_jobs(JobState::Uncertain, claim).await?;
        if claimed.is_empty() {
            let next = run.ledger.next_due_at(run.batch, JobState::Uncertain).await?;
            run.wait_for_work(&run.wakeups.reconcile, next, run.following_stopped()).await;
            continue;
        }
        // A check may find new work, so the run must not end during one.
        let check = reconciler.check_all(&claimed);
        run.progress.ledger_changes.track(check, |_| false).await?;
        run.wakeups.run_end.notify_one();
    }
    Ok(())
}

/// The checks of one run, with what they need to remember.
struct Reconciler<S> {
    run: Arc<RunContext<S>>,
    quiet_waits: HashMap<JobId, QuietWait>,
    /// The render tasks of projects that were read; those are not read again.
    tasks_by_project: HashMap<String, String>,
    /// Finished projects of this ledger that no longer exist.
    deleted_projects: HashSet<String>,
    /// The progress of renders that were given up, as first seen.
    watched_progress: HashMap<JobId, f64>,
    /// Up to where the operator's changes are known: those after it void a check.
    change_mark: ChangeMark,
}

/// One submission to check. Its observations are as old as `read_at`, in awake time: a wait for a
/// permit must not make them look newer.
#[derive(Clone, Copy)]
struct Check<'a> {
    due: &'a DueJob,
    quiet_wait: QuietWait,
    read_at: ClockMoment,
}

impl<S: StudioApi> Reconciler<S> {
    fn new(run: Arc<RunContext<S>>) -> Self {
        Self {
            run,
            quiet_waits: HashMap::new(),
            tasks_by_project: HashMap::new(),
            deleted_projects: HashSet::new(),
            watched_progress: HashMap::new(),
            change_mark: ChangeMark::default(),
        }
    }

    /// Forgets what was known about jobs that the operator has changed: a job that becomes uncertain
    /// later is another paid request, with a quiet wait of its own.
    fn forget_changed_jobs(&mut self) {
        let changes = self.run.progress.operator_changes();
        let is_known = |job: JobId| !changes.is_changed_since(job, self.change_mark);
        self.quiet_waits.retain(|job, _| is_known(*job));
        self.watched_progress.retain(|job, _| is_known(*job));
        self.change_mark = changes.mark();
    }

    /// Checks claimed submissions against one read of the project list.
    async fn check_all(&mut self, claimed: &[DueJob]) -> Result<(), LedgerError> {
        let read_at = self.run.clock.moment();
        // A quiet wait starts when a job is first claimed, before anything is read.
        let checks: Vec<Check<'_>> = claimed
            .iter()
            .map(|due| Check { due, quiet_wait: self.quiet_wait(due.job), read_at })
            .collect();
        let Some(index) = self.read_project_index().await? else { return Ok(()) };
        for check in checks {
            let Some(observation) = self.gather(check.due, &index).await? else { return Ok(()) };
            let evidence = judge_submission(check.due, &index, &observation);
            let run = self.run.clone();
            let _turn = take_turn(&run).await;
            if run.progress.operator_changes().is_changed_since(check.due.job, self.change_mark) {
                self.check_later(check.due).await?;
                continue;
            }
            self.act(check, &index, &observation, evidence).await?;
        }
        Ok(())
    }

    /// Checks a job again that the operator changed during this check, if it is still uncertain.
    async fn check_later(&self, due: &DueJob) -> Result<(), LedgerError> {
        self.run.progress.clear_doubted(due.submission);
        let due_at = self.run.timestamp_after(CHECK_DELAY_MIN);
        let message = "checked again after a request of the operator".to_owned();
        let update = JobUpdate::Inconclusive { due_at, message };
        self.run.record(due.job, due.submission, update).await?;
        Ok(())
    }

    /// Reads everything that can be known about one submission. `None` if the run ends first.
    async fn gather(
        &mut self,
        due: &DueJob,
        index: &Result<ProjectIndex, String>,
    ) -> Result<Option<Observation>, LedgerError> {
        let Some(mut observation) = read_projects(&self.run, due, index).await else {
            return Ok(None);
        };
        let ledger = &self.run.ledger;
        observation.sent_name = sent_project_name(ledger, due.submission, &due.tag).await?;
        observation.callbacks = self.run.ledger.callback_report(due.submission).await?;
        observation.project_by_task = match (&observation.callbacks, index) {
            (Some(callbacks), Ok(index)) if needs_task_search(due, index) => {
                self.find_project_by_task(callbacks, index).await?
            }
            _ => None,
        };
        Ok(Some(observation))
    }

    /// Follows an accepted submission, and reports other projects with its tag.
    async fn follow(
        &mut self,
        due: &DueJob,
        evidence: SubmissionEvidence,
    ) -> Result<(), LedgerError> {
        let SubmissionEvidence::Accepted { project_id, render_id, message, duplicate_warning } =
            evidence
        else {
            return Ok(());
        };
        if let Some(message) = duplicate_warning {
            self.run.observer.notify(RunEvent::Alarm { message });
        }
        let update = self.accepted(project_id, render_id, message);
        self.record_accepted(due, update).await
    }

    /// Records the conclusion, or resends the export if that cannot be paid twice.
    async fn act(
        &mut self,
        check: Check<'_>,
        index: &Result<ProjectIndex, String>,
        observation: &Observation,
        evidence: SubmissionEvidence,
    ) -> Result<(), LedgerError> {
        if check.due.recheck.is_some() {
            return self.act_on_recheck(check, index, observation, evidence).await;
        }
        let is_accepted = matches!(evidence, SubmissionEvidence::Accepted { .. });
        if !is_accepted
            && index.as_ref().is_ok_and(|index| can_resend_export(&self.run, check.due, index))
            && self.resend(check).await?
        {
            return Ok(());
        }
        match evidence {
            accepted @ SubmissionEvidence::Accepted { .. } => {
                self.follow(check.due, accepted).await
            }
            SubmissionEvidence::Absent => self.on_absent(check).await,
            SubmissionEvidence::Inconclusive { message } => {
                self.on_inconclusive(check, observation.callbacks.is_some(), message).await
            }
        }
    }

    /// Resends a lost export. Returns whether it was sent, and the result recorded.
    async fn resend(&mut self, check: Check<'_>) -> Result<bool, LedgerError> {
        let run = self.run.clone();
        let _claim_lock = lock_claims(&run).await;
        match resend_export(&run, check.due, check.read_at).await? {
            ResendOutcome::Accepted { render_id } => {
                let message = "resent and accepted; a second export renders nothing again";
                let project_id = check.due.project_id.clone().unwrap_or_default();
                let update = self.accepted(project_id, render_id, message.to_owned());
                self.record_accepted(check.due, update).await?;
            }
            ResendOutcome::Unknown { message } => {
                // A request was sent just now, so the quiet wait starts again.
                self.quiet_waits.remove(&check.due.job);
                let quiet_wait = self.quiet_wait(check.due.job);
                let message = format!("resent, and again no response: {message}");
                self.schedule_check(check.due, quiet_wait, message).await?;
            }
            ResendOutcome::NotSent => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the job's quiet wait; it starts now if there is none, or after a suspend.
    fn quiet_wait(&mut self, job: JobId) -> QuietWait {
        let (awake, wall) = (self.run.clock.awake_time(), self.run.clock.now());
        let wait = self.quiet_waits.entry(job).or_insert_with(|| QuietWait::new(awake, wall));
        *wait = wait.restarted_if_suspended(awake, wall);
        *wait
    }

    /// Reads the account's project list, once for all claimed submissions. `None` if the run ends
    /// first.
    async fn read_project_index(
        &mut self,
    ) -> Result<Option<Result<ProjectIndex, String>>, LedgerError> {
        let run = self.run.clone();
        let list = match run.call_api(run.studio.list_projects()).await {
            Some(Ok(list)) => list,
            Some(Err(error)) => {
                let message = format!("the project list could not be read: {error}");
                return Ok(Some(Err(message)));
            }
            None => return Ok(None),
        };
        let vendor = &run.settings.vendor;
        let mut index = ProjectIndex::from_list(list).with_profile(vendor);
        index.shows_known_projects = run.ledger.has_any_project(&index.tagged_ids).await?;
        let stated = profile_keeps_export_id(vendor);
        index.keeps_ids = run.ledger.has_stable_export_ids(run.batch, stated).await?;
        index.shows_unknown_projects =
            !index.keeps_ids && run.ledger.has_unknown_project(&index.untagged_ids).await?;
        let finished = run.ledger.finished_projects(run.batch).await?;
        let missing = index.compare_with(&finished);
        let Some(hides_any) = has_hidden_project(&run, missing, &mut self.deleted_projects).await
        else {
            return Ok(None);
        };
        index.hides_known_projects = hides_any;
        Ok(Some(Ok(index)))
    }

    /// Returns the project, not yet ours, whose render task a callback named. It is the only way to
    /// find the project of a request without a tag.
    async fn find_project_by_task(
        &mut self,
        callbacks: &CallbackReport,
        index: &ProjectIndex,
    ) -> Result<Option<String>, LedgerError> {
        let Some(task) = &callbacks.task else { return Ok(None) };
        let known = &self.tasks_by_project;
        let unread = index.untagged_ids.iter().filter(|id| !known.contains_key(*id));
        let unread: Vec<String> = unread.take(TASK_READS_MAX).cloned().collect();
        for id in unread {
            match self.run.call_api(self.run.studio.read_project(&id)).await {
                Some(Ok(ProjectDetails { task_id: Some(task), .. })) => {
                    self.tasks_by_project.insert(id, task);
                }
                // A project without a task may still get one.
                Some(Ok(ProjectDetails { task_id: None, .. }) | Err(_)) => {}
                None => return Ok(None),
            }
        }
        let mut projects = self.tasks_by_project.iter();
        let Some((id, _)) = projects.find(|(_, found)| *found == task) else { return Ok(None) };
        let is_ours = self.run.ledger.has_any_project(std::slice::from_ref(id)).await?;
        Ok((!is_ours).then(|| id.clone()))
    }

    fn accepted(
        &self,
        project_id: String,
        render_id: Option<String>,
        message: String,
    ) -> JobUpdate {
        JobUpdate::Accepted { project_id, render_id, due_at: self.run.clock.now(), message }
    }

    async fn record_accepted(
        &mut self,
        due: &DueJob,
        update: JobUpdate,
    ) -> Result<(), LedgerError> {
        self.quiet_waits.remove(&due.job);
        let polled_id = match &update {
            JobUpdate::Accepted { project_id, render_id, .. } => {
                render_id.clone().unwrap_or_else(|| project_id.clone())
            }
            _ => return Ok(()),
        };
        self.run.limits.breakers.record_success(CircuitKind::Paid);
        self.run.record(due.job, due.submission, update).await?;
        self.run.progress.jobs_for_operator().remove(&due.job);
        self.run.observer.notify(RunEvent::Rendering {
            key: due.key.clone(),
            project_id: polled_id,
            is_found: true,
        });
        Ok(())
    }

    /// Resubmits a job at the end of its quiet wait, if the batch allows it.
    async fn on_absent(&mut self, check: Check<'_>) -> Result<(), LedgerError> {
        let Check { due, mut quiet_wait, read_at } = check;
        quiet_wait.record_clean_read(read_at.awake(), self.run.settings.limits.settle_after);
        self.quiet_waits.insert(due.job, quiet_wait);
        let may_resubmit = match self.run.settings.on_uncertain {
            OnUncertain::Settle => due.project_id.is_some(),
            OnUncertain::Resubmit => true,
            OnUncertain::Hold => false,
        };
        if quiet_wait.is_complete() && may_resubmit {
            return self.record_absent(due).await;
        }
        if quiet_wait.is_complete() {
            self.leave_to_operator(due.job);
        }
        self.schedule_check(due, quiet_wait, "no trace of it yet".to_owned()).await
    }

    async fn record_absent(&mut self, due: &DueJob) -> Result<(), LedgerError> {
        self.quiet_waits.remove(&due.job);
        let due_at = self.run.clock.now();
        let message = "no trace of it after the quiet wait, in two complete reads".to_owned();
        let update = JobUpdate::ProvenAbsent { due_at, message: message.clone() };
        let recorded = self.run.record(due.job, due.submission, update).await?;
        // Unchanged if a callback about it arrived at this very moment.
        if recorded.transition != Transition::Unchanged {
            self.run.progress.jobs_for_operator().remove(&due.job);
            self.run.observer.notify(RunEvent::Retry { key: due.key.clone(), message, due_at });
        }
        Ok(())
    }

    /// A check that proves nothing never completes a quiet wait. If none has proved anything for
    /// twice the quiet wait, only the operator can resolve the job.
    async fn on_inconclusive(
        &mut self,
        check: Check<'_>,
        has_callback: bool,
        message: String,
    ) -> Result<(), LedgerError> {
        let Check { due, mut quiet_wait, .. } = check;
        quiet_wait.discard_clean_reads();
        self.quiet_waits.insert(due.job, quiet_wait);
        // Without an id and a tag, or after a decline without a tag, no check of the job itself will ever
        // prove anything; only a callback can.
        let expects_callback = has_callback || has_working_callbacks(&self.run);
        let was_declined = due.decline.is_some() && due.looks >= DECLINED_LOOKS_MIN;
        let is_hidden = due.project_id.is_none() || was_declined;
        let is_unfindable = is_hidden && !is_tagged(due) && !expects_callback;
        let waited = quiet_wait.elapsed(self.run.clock.awake_time());
        if is_unfindable || waited >= self.run.settings.limits.settle_after * 2 {
            self.leave_to_operator(due.job);
        }
        self.schedule_check(due, quiet_wait, message).await
    }

    fn leave_to_operator(&self, job: JobId) {
        self.run.progress.jobs_for_operator().insert(job);
        self.run.wakeups.run_end.notify_one();
    }

    /// Schedules the next check. A job that is left to the operator is checked rarely: its checks
    /// would otherwise use permits of the account without end.
    async fn schedule_check(
        &self,
        due: &DueJob,
        quiet_wait: QuietWait,
        message: String,
    ) -> Result<(), LedgerError> {
        let run = &self.run;
        let is_for_operator = run.progress.jobs_for_operator().contains(&due.job);
        let delay = if is_for_operator {
            check_interval(due.looks)
        } else {
            let settle_after = run.settings.limits.settle_after;
            quiet_wait.next_check_delay(run.clock.awake_time(), due.looks, settle_after)
        };
        let due_at = run.timestamp_after(delay.max(CHECK_DELAY_MIN));
        let update = JobUpdate::Inconclusive { due_at, message };
        run.record(due.job, due.submission, update).await?;
        Ok(())
    }
}
