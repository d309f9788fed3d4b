//! The settle loop: finds out what became of paid requests whose answer was lost.
//!
//! Evidence first: the project itself, and the account's list, are read again and again. Absence
//! proves nothing by itself. Only after a quiet wait, counted in time that this process was awake
//! and held the batch's lock without a break, and only with two complete, working reads at its end
//! that show no trace, may a request be taken as never accepted, and only where the batch allows
//! it. Until then, and where it is not allowed, the job stays uncertain: late is better than twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::aistudios::{ProjectDetails, StudioApi};
use crate::batch::OnUncertain;
use crate::ledger::{CallbackReport, DueClaim, DueJob, JobId, JobState, JobUpdate, Transition};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::resend_export::{
    ResendOutcome, can_resend_export, lock_claims, resend_export,
};
use crate::runner::evidence::{
    ProjectIndex, SubmissionEvidence, assess_submission, combine_with_callback, is_tagged,
    profile_keeps_export_id,
};
use crate::runner::limits::halt::CircuitKind;

/// Pauses between looks, the design's: 15 s, 60 s, 3 min, 10 min, then slower.
const CHECK_INTERVALS: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(600),
];
/// Pause between looks once those are used up.
const SLOW_CHECK_INTERVAL: Duration = Duration::from_secs(1800);
/// Looks claimed together; they share one reading of the list.
const CHECKS_AT_ONCE: u32 = 64;
/// A wall clock that runs this far ahead of awake time means that the machine slept.
const SUSPEND_THRESHOLD: Duration = Duration::from_secs(30);
/// A look that was claimed and not recorded by then is due again.
const CHECK_LEASE: Duration = Duration::from_secs(600);

/// The two reads at a quiet wait's end lie this part of the wait apart.
const CLEAN_READ_SPACING: u32 = 20;

/// How long a job has been quiet, and what was seen at the end of that.
#[derive(Clone, Copy, Debug)]
struct QuietWait {
    started_at: Duration,
    started_wall: Timestamp,
    clean_reads: u32,
    last_clean_read: Duration,
}

impl QuietWait {
    fn new(awake: Duration, started_wall: Timestamp) -> Self {
        Self { started_at: awake, started_wall, clean_reads: 0, last_clean_read: awake }
    }

    /// Goes on at `awake` and `wall`; begins anew when the machine slept in between, for then
    /// nobody knows how long others had to send.
    fn restarted_if_suspended(self, awake: Duration, wall: Timestamp) -> Self {
        let by_wall =
            Duration::try_from(wall.duration_since(self.started_wall)).unwrap_or_default();
        let slept = by_wall > awake.saturating_sub(self.started_at) + SUSPEND_THRESHOLD;
        if slept { Self::new(awake, wall) } else { self }
    }

    /// Notes a complete read without a trace, as old as `read_at`. It counts once the wait is over,
    /// and if it is some time apart from the one before, so that a list caught between two states
    /// is not believed.
    fn record_clean_read(&mut self, read_at: Duration, settle_after: Duration) {
        let over = read_at.saturating_sub(self.started_at) >= settle_after;
        let apart =
            read_at.saturating_sub(self.last_clean_read) >= settle_after / CLEAN_READ_SPACING;
        if over && (self.clean_reads == 0 || apart) {
            self.clean_reads += 1;
            self.last_clean_read = read_at;
        }
    }

    /// Returns the pause until the next look: by the design's steps, but no look is later than the
    /// quiet wait's end, and those after it come soon until both clean reads are made.
    fn next_check_delay(&self, awake: Duration, looks: i64, settle_after: Duration) -> Duration {
        let left = (self.started_at + settle_after).saturating_sub(awake);
        if !left.is_zero() {
            check_interval(looks).min(left)
        } else if self.is_complete() {
            check_interval(looks)
        } else {
            settle_after / CLEAN_READ_SPACING
        }
    }

    /// Tells whether the wait and its two reads have shown no trace.
    fn is_complete(&self) -> bool {
        self.clean_reads >= 2
    }
}

/// The quiet waits of this run, which begin anew with every run, on purpose; and the tasks of the
/// projects that were read.
#[derive(Debug, Default)]
struct QuietWaits(Mutex<HashMap<JobId, QuietWait>>, Mutex<HashMap<String, String>>);

impl QuietWaits {
    /// Returns the job's quiet wait; it begins now if there is none, or if the machine slept.
    fn get_or_start<S>(&self, desk: &RunContext<S>, job: JobId) -> QuietWait {
        let (awake, wall) = (desk.clock.awake_time(), desk.clock.now());
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = waits.entry(job).or_insert_with(|| QuietWait::new(awake, wall));
        *quiet = quiet.restarted_if_suspended(awake, wall);
        *quiet
    }

    fn set(&self, job: JobId, quiet: QuietWait) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, quiet);
    }

    fn remove(&self, job: JobId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

/// Looks for evidence until nothing is followed any more.
pub(in crate::runner) async fn reconcile_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    let waits = QuietWaits::default();
    while desk.can_follow() {
        let claim = DueClaim {
            max: CHECKS_AT_ONCE,
            excluded: Vec::new(),
            now: desk.clock.now(),
            busy_until: desk.timestamp_after(CHECK_LEASE),
        };
        match desk.lease.claim_due_jobs(JobState::Uncertain, claim).await {
            Ok(due) if due.is_empty() => {
                let next = desk.ledger.next_due_at(desk.batch, JobState::Uncertain).await;
                let next = next.ok().flatten();
                desk.wait_for_work(&desk.wakeups.reconcile, next, desk.following_stopped()).await;
            }
            Ok(due) => {
                // Whatever it finds may be work: a run must not end while somebody looks.
                desk.quiescence.track(reconcile_due(&desk, &waits, due), |()| false).await;
                desk.wakeups.run_end.notify_one();
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

async fn reconcile_due<S: StudioApi>(desk: &RunContext<S>, waits: &QuietWaits, due: Vec<DueJob>) {
    // The quiet wait begins when a job is first seen here, never later.
    let quiets: Vec<QuietWait> = due.iter().map(|one| waits.get_or_start(desk, one.job)).collect();
    // What is seen is as old as this: a wait for one's turn must not make it look newer.
    let read_at = desk.clock.awake_time();
    let Some(list) = read_project_index(desk).await else { return };
    for (one, quiet) in due.iter().zip(quiets) {
        let draft = match &one.project_id {
            Some(id) => match desk.call_api(desk.studio.read_project(id)).await {
                Some(read) => Some(read.map_err(|trouble| {
                    format!("its project could not be read: {}", trouble.message())
                })),
                None => return,
            },
            None => None,
        };
        let heard = match desk.ledger.callback_report(one.submission).await {
            Ok(heard) => heard,
            Err(error) => return desk.halt_on_ledger_error(&error),
        };
        let keeps_ids = list.as_ref().is_ok_and(|list| list.keeps_ids);
        let mut seen = combine_with_callback(
            one,
            assess_submission(one, &list, draft.as_ref()),
            heard.as_ref(),
            keeps_ids,
        );
        if let (SubmissionEvidence::Inconclusive { .. }, None, Some(heard), Ok(list)) =
            (&seen, &one.project_id, &heard, &list)
            && let Some(found) = find_project_by_task(desk, waits, (heard, list)).await
        {
            seen = found;
        }
        let repeats = list.as_ref().is_ok_and(|list| can_resend_export(desk, one, list));
        if repeats && !matches!(seen, SubmissionEvidence::Accepted { .. }) {
            let _apart = lock_claims(desk).await;
            match resend_export(desk, one, read_at).await {
                ResendOutcome::Accepted(render_id) => {
                    waits.remove(one.job);
                    let id = one.project_id.clone().unwrap_or_default();
                    let words = "sent once more, which renders nothing again, and answered";
                    record_accepted(desk, one, (id, render_id), words.to_owned()).await;
                    continue;
                }
                ResendOutcome::Unknown(words) => {
                    // Something was sent just now: what is quiet has to be waited for anew.
                    waits.remove(one.job);
                    let quiet = waits.get_or_start(desk, one.job);
                    let words = format!("sent once more, and that answer was lost too: {words}");
                    schedule_check(desk, one, quiet, words).await;
                    continue;
                }
                ResendOutcome::NotSent => {}
            }
        }
        match seen {
            SubmissionEvidence::Accepted {
                project_id,
                render_id,
                message: words,
                duplicate_warning: alarm,
            } => {
                waits.remove(one.job);
                if let Some(words) = alarm {
                    desk.observer.notify(RunEvent::Alarm { words });
                }
                record_accepted(desk, one, (project_id, render_id), words).await;
            }
            SubmissionEvidence::Absent => on_absent(desk, waits, one, (quiet, read_at)).await,
            SubmissionEvidence::Inconclusive { message: words } => {
                on_inconclusive(desk, waits, (one, heard.is_some()), (quiet, words)).await;
            }
        }
    }
}

/// Projects read in one look, to find the one that a call named by its task.
const PROJECT_READS_MAX: usize = 32;

/// A kind of request without a name can be found in one way alone: AI Studios called about it by the
/// task of its render, and a project of the account, which is not ours yet, has that very task. A
/// project whose task is known is not read again.
async fn find_project_by_task<S: StudioApi>(
    desk: &RunContext<S>,
    waits: &QuietWaits,
    (heard, list): (&CallbackReport, &ProjectIndex),
) -> Option<SubmissionEvidence> {
    let task = heard.task.as_ref()?;
    let unread: Vec<String> = {
        let read = waits.1.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = list.untagged_ids.iter().filter(|id| !read.contains_key(*id));
        unread.take(PROJECT_READS_MAX).cloned().collect()
    };
    for id in unread {
        // A project without a task may get one yet.
        if let Ok(ProjectDetails { task_id: Some(task), .. }) =
            desk.call_api(desk.studio.read_project(&id)).await?
        {
            waits.1.lock().unwrap_or_else(PoisonError::into_inner).insert(id, task);
        }
    }
    let found = {
        let read = waits.1.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().find(|(_, found)| *found == task).map(|(id, _)| id.clone())?
    };
    match desk.ledger.has_any_project(std::slice::from_ref(&found)).await {
        Ok(false) => Some(SubmissionEvidence::Accepted {
            project_id: found,
            render_id: None,
            message: "its project has the task that AI Studios called about".to_owned(),
            duplicate_warning: None,
        }),
        Ok(true) => None,
        Err(error) => {
            desk.halt_on_ledger_error(&error);
            None
        }
    }
}

/// Reads the account's list, once for all jobs that are looked for. Nothing comes back when the
/// run ends first.
async fn read_project_index<S: StudioApi>(
    desk: &RunContext<S>,
) -> Option<Result<ProjectIndex, String>> {
    let list = match desk.call_api(desk.studio.list_projects()).await? {
        Ok(list) => list,
        Err(trouble) => {
            let words = trouble.message();
            return Some(Err(format!("the project list could not be read: {words}")));
        }
    };
    let vendor = &desk.settings.vendor;
    let mut tagged = ProjectIndex::from_list(list).with_profile(vendor);
    match desk.ledger.has_any_project(&tagged.tagged_ids).await {
        Ok(known) => tagged.shows_known_projects = known,
        Err(error) => desk.halt_on_ledger_error(&error),
    }
    let told = profile_keeps_export_id(vendor);
    match desk.ledger.has_stable_export_ids(desk.batch, told).await {
        Ok(keeps_ids) => tagged.keeps_ids = keeps_ids,
        Err(error) => desk.halt_on_ledger_error(&error),
    }
    Some(Ok(tagged))
}

/// A look that says nothing never brings a quiet wait to its end. When even after the wait no look
/// has said anything, only a person can.
async fn on_inconclusive<S: StudioApi>(
    desk: &RunContext<S>,
    waits: &QuietWaits,
    (due, was_called_about): (&DueJob, bool),
    (quiet, words): (QuietWait, String),
) {
    waits.set(due.job, QuietWait { clean_reads: 0, ..quiet });
    let waited = desk.clock.awake_time().saturating_sub(quiet.started_at);
    // Without an id and without a tag no look will ever say anything, but for what calls bring.
    let hears = was_called_about || desk.has_working_callbacks();
    let is_blind = due.project_id.is_none() && !is_tagged(due) && !hears;
    if is_blind || waited >= desk.settings.limits.settle_after * 2 {
        desk.jobs_for_operator().insert(due.job);
        desk.wakeups.run_end.notify_one();
    }
    schedule_check(desk, due, quiet, words).await;
}

async fn record_accepted<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    (project_id, render_id): (String, Option<String>),
    words: String,
) {
    desk.breakers.record_success(CircuitKind::Paid);
    let asked = render_id.clone().unwrap_or_else(|| project_id.clone());
    let due_at = desk.clock.now();
    let news = JobUpdate::Accepted { project_id, render_id, due_at, message: words };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.jobs_for_operator().remove(&due.job);
        desk.observer.notify(RunEvent::Rendering { key: due.key.clone(), project_id: asked });
    }
}

async fn on_absent<S: StudioApi>(
    desk: &RunContext<S>,
    waits: &QuietWaits,
    due: &DueJob,
    (mut quiet, read_at): (QuietWait, Duration),
) {
    quiet.record_clean_read(read_at, desk.settings.limits.settle_after);
    waits.set(due.job, quiet);
    let may_settle = match desk.settings.on_uncertain {
        OnUncertain::Settle => due.project_id.is_some(),
        OnUncertain::Resubmit => true,
        OnUncertain::Hold => false,
    };
    if quiet.is_complete() && may_settle {
        waits.remove(due.job);
        let words = "no trace of it after the quiet wait, in two complete reads".to_owned();
        let news = JobUpdate::ProvenAbsent { due_at: desk.clock.now(), message: words.clone() };
        let recorded = desk.record((due.job, due.submission), news).await;
        // Unchanged: AI Studios called about it in this very moment.
        if recorded.is_some_and(|recorded| recorded.transition != Transition::Unchanged) {
            desk.jobs_for_operator().remove(&due.job);
            let due_at = desk.clock.now();
            desk.observer.notify(RunEvent::Retry { key: due.key.clone(), words, due_at });
        }
        return;
    }
    if quiet.is_complete() {
        desk.jobs_for_operator().insert(due.job);
        desk.wakeups.run_end.notify_one();
    }
    schedule_check(desk, due, quiet, "no trace of it yet".to_owned()).await;
}

/// Schedules the next look. What is left to a person is looked at rarely: looks in vain would take
/// the permits of those who pay, for ever where the rate is low.
async fn schedule_check<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    quiet: QuietWait,
    words: String,
) {
    let settle_after = desk.settings.limits.settle_after;
    let left_to_a_person = desk.jobs_for_operator().contains(&due.job);
    let pause = if left_to_a_person {
        check_interval(due.looks)
    } else {
        quiet.next_check_delay(desk.clock.awake_time(), due.looks, settle_after)
    };
    let due_at = desk.timestamp_after(pause.max(Duration::from_millis(20)));
    desk.record((due.job, due.submission), JobUpdate::Inconclusive { due_at, message: words })
        .await;
}

/// Returns the design's pause after so many looks.
fn check_interval(looks: i64) -> Duration {
    let step = usize::try_from(looks + 1).ok().and_then(|at| CHECK_INTERVALS.get(at));
    step.copied().unwrap_or(SLOW_CHECK_INTERVAL)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use crate::runner::loops::reconcile::*;

    const WAIT: Duration = Duration::from_secs(1200);

    fn quiet() -> QuietWait {
        QuietWait::new(Duration::from_secs(100), Timestamp::UNIX_EPOCH)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(100 + seconds)
    }

    #[test]
    fn two_clean_reads_some_time_apart_after_the_whole_wait_settle_and_nothing_less_does() {
        let mut quiet = quiet();
        for (seconds, settled) in [(15, false), (1199, false), (1200, false), (1210, false)] {
            quiet.record_clean_read(at(seconds), WAIT);
            assert_eq!(quiet.is_complete(), settled, "after {seconds} s");
        }
        quiet.record_clean_read(at(1260), WAIT);
        assert!(quiet.is_complete());
    }

    /// Found by the simulation: a read that had waited long for its turn counted as new.
    #[test]
    fn a_read_is_as_old_as_its_question() {
        let mut quiet = quiet();
        quiet.record_clean_read(at(1190), WAIT);
        quiet.record_clean_read(at(1195), WAIT);
        quiet.record_clean_read(at(1300), WAIT);
        assert!(!quiet.is_complete(), "asked before the wait was over: {quiet:?}");
    }

    #[test]
    fn looks_follow_the_steps_and_miss_neither_the_waits_end_nor_the_second_read() {
        let mut quiet = quiet();
        let next =
            |quiet: &QuietWait, seconds, looks| quiet.next_check_delay(at(seconds), looks, WAIT);
        assert_eq!(next(&quiet, 0, 0), Duration::from_secs(60));
        assert_eq!(next(&quiet, 1000, 9), Duration::from_secs(200), "the wait's end");
        assert_eq!(next(&quiet, 1200, 9), Duration::from_secs(60), "the second read");
        quiet.record_clean_read(at(1200), WAIT);
        quiet.record_clean_read(at(1260), WAIT);
        assert_eq!(next(&quiet, 1260, 9), SLOW_CHECK_INTERVAL);
    }

    #[test]
    fn a_machine_that_slept_waits_anew() {
        let later = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let awake = quiet().restarted_if_suspended(at(600), later(610));
        assert_eq!(awake.started_at, at(0), "clocks differ by seconds");
        let slept = quiet().restarted_if_suspended(at(600), later(8 * 3600));
        assert_eq!((slept.started_at, slept.clean_reads), (at(600), 0));
        let set_back = quiet().restarted_if_suspended(at(600), later(-3600));
        assert_eq!(set_back.started_at, at(0), "a clock that was set back hides no sleep of ours");
    }
}
