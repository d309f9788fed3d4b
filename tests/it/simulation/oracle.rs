//! The oracle: the invariants after every run, checked against the studio's own records and the disk,
//! never against the runner's reports.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use callsheet::ledger::{BatchId, ClaimBlock, JobRow, JobState, Ledger};
use callsheet::report;
use callsheet::runner::{Halt, RunOptions, RunOutcome};
use jiff::Timestamp;
use sqlx::FromRow;

use super::sample_video::bill_number_of;
use super::scenario::Simulation;
use super::setup::SimulationSetup;
use super::studio_records::{BilledRender, StudioState};
use crate::support::TestStore;

/// A version, as stored in the ledger's file.
#[derive(Debug, FromRow)]
struct VersionRecord {
    key: String,
    version: i64,
    current: i64,
    state: String,
    cells: String,
    payload_hash: String,
    video_file: Option<String>,
    video_hash: Option<String>,
    done_at: Option<i64>,
}

/// A submission, as stored in the ledger's file.
#[derive(Debug, FromRow)]
struct SubmissionRecord {
    key: String,
    tag: String,
    payload_hash: String,
    version: i64,
    paid_at: Option<i64>,
}

const SELECT_VERSIONS: &str = "select j.key, v.version, j.version as current, j.state, v.cells,
    v.payload_hash, v.video_file, v.video_hash, v.done_at
    from job j join version v on v.job_id = j.id order by j.id, v.version";

const SELECT_SUBMISSIONS: &str =
    "select j.key, s.tag || coalesce('-' || s.seal, '') as tag, v.payload_hash, s.version, s.paid_at
    from submission s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = s.version order by s.id";

/// The ledger at the end of a run, and the results reported from it.
pub(super) struct LedgerAudit {
    rows: Vec<JobRow>,
    versions: Vec<VersionRecord>,
    submissions: Vec<SubmissionRecord>,
    reported_keys: Vec<String>,
    integrity_errors: Vec<String>,
}

impl LedgerAudit {
    pub(super) async fn from_ledger(
        store: &TestStore,
        ledger: &Ledger,
        batch: BatchId,
        folder: &Path,
    ) -> Self {
        let results =
            report::write_results(ledger, batch, folder, &Default::default()).await.unwrap();
        let mut results = csv::Reader::from_path(results.results).unwrap();
        let reported = results.records().map(|record| record.unwrap()[0].to_owned()).collect();
        Self {
            rows: ledger.rows(batch, -1, 1000).await.unwrap(),
            versions: store.fetch_all(SELECT_VERSIONS).await,
            submissions: store.fetch_all(SELECT_SUBMISSIONS).await,
            reported_keys: reported,
            integrity_errors: ledger.find_defects().await.unwrap(),
        }
    }

    pub(super) fn check_invariants(
        &self,
        simulation: &Simulation,
        now: Timestamp,
        studio: &mut StudioState,
    ) {
        let mut violation = |text: String| studio.add_violation(now, text);
        for defect in &self.integrity_errors {
            violation(format!("the ledger is damaged: {defect}"));
        }
        let sheet: Vec<&str> = simulation.sheet.iter().map(|(key, _)| key.as_str()).collect();
        let kept: Vec<_> = self.rows.iter().filter_map(|row| row.key.as_deref()).collect();
        if kept != sheet {
            violation(format!("a row was lost: {kept:?} in the ledger, {sheet:?} in the sheet"));
        }
        if self.reported_keys != sheet {
            violation(format!(
                "a row was lost: {:?} in the report, {sheet:?} in the sheet",
                self.reported_keys
            ));
        }
        for violation in self.renders_without_intent(studio) {
            studio.add_violation(now, violation);
        }
        for violation in self.repeated_renders(studio) {
            studio.add_violation(now, violation);
        }
        let wanted: BTreeMap<&str, u32> =
            simulation.sheet.iter().map(|(key, script)| (key.as_str(), *script)).collect();
        for version in self.versions.iter().filter(|version| version.version == version.current) {
            if let Some(violation) =
                check_final_job(version, &wanted, &simulation.path("out"), &self.versions, studio)
            {
                studio.add_violation(now, violation);
            }
        }
    }

    /// Every billed render has an intent in the ledger.
    fn renders_without_intent(&self, studio: &StudioState) -> Vec<String> {
        let intent = |name: &str| {
            self.submissions
                .iter()
                .find(|submission| name.contains(&format!("[cs:{}]", submission.tag)))
        };
        // Without a tag, any intent of the row suffices.
        let is_tagged = studio.setup.kind.is_tagged();
        let of_its_row = |bill: &BilledRender| {
            let paid = |one: &SubmissionRecord| one.key == bill.content.0 && one.paid_at.is_some();
            self.submissions.iter().any(paid)
        };
        let has_intent = |bill: &&BilledRender| match is_tagged {
            true => intent(&studio.projects[bill.project].name)
                .is_some_and(|intent| intent.paid_at.is_some()),
            false => of_its_row(bill),
        };
        let unintended = studio.billed_renders.iter().filter(|bill| !has_intent(bill));
        unintended.map(|bill| format!("billed without an intent: {bill:?}")).collect()
    }

    /// A payload whose video was already verified is not rendered again, whatever its version.
    fn repeated_renders(&self, studio: &StudioState) -> Vec<String> {
        let mut violations = Vec::new();
        for bill in &studio.billed_renders {
            let project = &studio.projects[bill.project];
            let paid =
                |one: &&SubmissionRecord| project.name.contains(&format!("[cs:{}]", one.tag));
            let Some(submission) = self.submissions.iter().find(paid) else { continue };
            let began = bill.started_at.as_millisecond();
            let same = self.versions.iter().find(|version| {
                version.key == submission.key
                    && version.payload_hash == submission.payload_hash
                    && version.version != submission.version
                    && version.done_at.is_some_and(|done| done < began)
            });
            if let Some(same) = same {
                violations.push(format!("rendered again though version {} was done", same.version));
            }
        }
        violations
    }
}

/// A done job has its own complete video.
fn check_final_job(
    version: &VersionRecord,
    wanted: &BTreeMap<&str, u32>,
    folder: &Path,
    all: &[VersionRecord],
    studio: &StudioState,
) -> Option<String> {
    let state = JobState::parse(&version.state)?;
    if state.is_final()
        && state != JobState::Cancelled
        && let Some(script) = wanted.get(version.key.as_str())
        && !version.cells.contains(&format!("says {script}\""))
    {
        return Some(format!("{} ended as {state} with an old script", version.key));
    }
    let same = |other: &&VersionRecord| {
        other.key == version.key
            && other.payload_hash == version.payload_hash
            && other.done_at.is_some()
    };
    let source = match state {
        JobState::Done => version,
        JobState::Reused => match all.iter().find(same) {
            Some(source) => source,
            None => return Some(format!("{} reuses nothing", version.key)),
        },
        _ => return None,
    };
    let file = source.video_file.as_deref().unwrap_or_default();
    let Ok(bytes) = fs::read(folder.join(file)) else {
        return Some(format!("{} is {state}, but `{file}` is not there", version.key));
    };
    if source.video_hash.as_deref() != Some(&*blake3::hash(&bytes).to_hex()) {
        return Some(format!("{}: `{file}` is not the file in the ledger", version.key));
    }
    let bill = bill_number_of(&bytes).and_then(|number| studio.billed_renders.get(number));
    let own = bill.is_some_and(|bill| {
        let (key, script, _) = &bill.content;
        *key == version.key && version.cells.contains(script)
    });
    (!own).then(|| format!("{}: `{file}` is not the video that was paid", version.key))
}

/// Every file with a final name is a complete video of this studio.
pub(super) fn check_video_files(folder: &Path, now: Timestamp, studio: &mut StudioState) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "mp4") {
            continue;
        }
        if bill_number_of(&fs::read(&path).unwrap()).is_none() {
            studio.add_violation(now, format!("a file is not complete: {}", path.display()));
        }
    }
}

/// A run that ended by itself had nothing left to do.
pub(super) fn check_run_outcome(
    outcome: &RunOutcome,
    options: &RunOptions,
    submitted: i64,
    mut violation: impl FnMut(String),
) {
    if let Some(Halt::Ledger { message } | Halt::OutputFolder { message }) = &outcome.halt {
        violation(format!("it failed on its own ledger or folder: {message}"));
    }
    // A run that does not wait may leave anything behind.
    if outcome.halt.is_some() || outcome.interrupted || !options.wait {
        return;
    }
    let jobs = |state| outcome.counts.get(&state).copied().unwrap_or(0);
    let in_progress =
        jobs(JobState::Submitting) + jobs(JobState::Rendering) + jobs(JobState::Fetching);
    if in_progress > 0 {
        violation(format!("it ended with {in_progress} jobs in progress"));
    }
    if jobs(JobState::Uncertain) > outcome.jobs_for_operator {
        violation(format!("it did not wait for its uncertain jobs: {outcome:?}"));
    }
    if jobs(JobState::Ready) == 0 || options.only.is_some() {
        return;
    }
    match (outcome.claim_block, options.limit) {
        (ClaimBlock::Canary, _) if jobs(JobState::Uncertain) > 0 => {}
        // Another row of its project waits for the operator, even if it was removed from the sheet.
        (ClaimBlock::ProjectInUse, _) if outcome.jobs_for_operator + jobs(JobState::Failed) > 0 => {
        }
        (_, Some(limit)) if submitted >= i64::from(limit) => {}
        (block, _) => {
            violation(format!("it ended too early: blocked by {block:?}, {:?}", outcome.counts));
        }
    }
}

/// After enough runs without faults, only jobs that wait for the operator are left.
pub(super) fn check_final_state(simulation: &Simulation, studio: &mut StudioState) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The last column: whether the row is in the sheet. A paid submission blocks its project anyway.
    let all: Vec<(String, String, Option<String>, bool)> =
        runtime.block_on(simulation.store.fetch_all("select key, state, words, in_sheet from job"));
    let now = Timestamp::UNIX_EPOCH;
    let held = all.iter().any(|row| row.1 == "uncertain");
    let rows: Vec<_> = all.into_iter().filter(|row| row.3).collect();
    let with = |state: &str| rows.iter().filter(|row| row.1 == state).count();
    let (uncertain, failed) = (with("uncertain"), with("failed"));
    let in_place = simulation.setup.kind.exclusive_project_field.is_some();
    for (key, state, message, _) in &rows {
        let fine = match JobState::parse(state) {
            Some(JobState::Done | JobState::Reused) => true,
            Some(JobState::Failed) => message.is_some(),
            // A list that shows none of the known projects proves nothing, so the operator decides.
            Some(JobState::Uncertain) => {
                let says = |part| message.as_deref().is_some_and(|message| message.contains(part));
                let is_untraceable = !simulation.setup.kind.is_tagged()
                    && (says("carries no tag") || says("from an outdated view"));
                let is_hint = says("callsheet resolve");
                is_untraceable
                    || is_hint
                    || says("proves nothing")
                    || requires_operator(&simulation.setup)
            }
            Some(JobState::Ready) => {
                (uncertain > 0 && simulation.setup.limits.canary > 0)
                    || (in_place && (held || failed > 0))
            }
            Some(
                JobState::Submitting
                | JobState::Rendering
                | JobState::Fetching
                | JobState::Cancelled,
            )
            | None => false,
        };
        if !fine {
            studio.add_violation(now, format!("in the end {key} is {state}: {message:?}"));
        }
    }
}

fn requires_operator(setup: &SimulationSetup) -> bool {
    use callsheet::batch::{OnUncertain, SubmissionMode};
    match setup.on_uncertain {
        OnUncertain::Settle => setup.submission_mode == SubmissionMode::OneStep,
        OnUncertain::Resubmit => false,
        OnUncertain::Hold => true,
    }
}
