//! Updates of a job: each arrow of the state machine, and any sequence of them.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::ledger::model::job::*;
use crate::ledger::model::job_update::VerifiedVideo;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn any_update() -> impl Strategy<Value = JobUpdate> {
    let due_at = Timestamp::UNIX_EPOCH;
    let message = || "said".to_owned();
    let id = prop_oneof![Just("p1".to_owned()), Just("p2".to_owned())];
    prop_oneof![
        id.clone().prop_map(|project_id| JobUpdate::Drafted {
            project_id,
            exclusive_project: None,
            previous_render_identity: None,
        }),
        id.clone().prop_map(move |project_id| JobUpdate::Generating { project_id, due_at }),
        Just(JobUpdate::GenerationPolled { progress: 50.0, due_at }),
        Just(JobUpdate::GenerationFinished),
        Just(JobUpdate::GenerationFailed { due_at, message: message() }),
        Just(JobUpdate::DraftLost { due_at, message: message() }),
        Just(JobUpdate::NotSent { due_at, message: message() }),
        Just(JobUpdate::Requeued { due_at, message: message() }),
        Just(JobUpdate::Refused { message: message() }),
        Just(JobUpdate::SubmitGivenUp { message: message() }),
        Just(JobUpdate::Uncertain { due_at, message: message() }),
        Just(JobUpdate::Inconclusive { due_at, message: message() }),
        id.prop_map(move |project_id| JobUpdate::Accepted {
            project_id,
            render_id: None,
            due_at,
            message: "said".to_owned(),
        }),
        Just(JobUpdate::ProvenAbsent { due_at, message: message() }),
        Just(JobUpdate::Abandoned { message: message() }),
        (0.0..100.0).prop_map(move |progress| JobUpdate::Polled {
            progress,
            due_at,
            stalled: progress < 10.0,
        }),
        Just(JobUpdate::Rendered { video_url: "http://x".to_owned() }),
        Just(JobUpdate::Rerendered { due_at, message: message() }),
        Just(JobUpdate::RenderFailed { message: message() }),
        Just(JobUpdate::LinkRefreshed { video_url: "http://y".to_owned() }),
        Just(JobUpdate::FetchAttemptFailed { due_at, message: message() }),
        Just(JobUpdate::FetchFailed { message: message() }),
        Just(JobUpdate::Fetched(VerifiedVideo {
            file: "a.mp4".to_owned(),
            bytes: 1,
            hash: "h".to_owned(),
            duration_ms: 1,
        })),
    ]
}

fn sent_job() -> (Job, Submission) {
    let job = Job { state: JobState::Submitting, submission_id: Some(1), ..new_version_of(1, NOW) };
    let submission = Submission {
        id: 1,
        version: 1,
        outcome: SubmissionOutcome::Sent,
        project_id: None,
        render_id: None,
        exclusive_project: None,
        previous_render_identity: None,
        paid_at: Some(NOW),
        settled_at: None,
        evidence_checks: 0,
        video_url: None,
        credits: None,
        recheck: None,
        decline: None,
        has_callback: false,
    };
    (job, submission)
}

#[test]
fn submission_with_a_callback_is_never_reconciled_as_absent() {
    let (mut job, mut submission) = sent_job();
    let due_at = Timestamp::UNIX_EPOCH;
    let lost = JobUpdate::Uncertain { due_at, message: "cut".to_owned() };
    apply_update(&mut job, &mut submission, &lost, NOW).unwrap();
    submission.has_callback = true;
    let quiet = JobUpdate::ProvenAbsent { due_at, message: "no trace".to_owned() };
    assert_eq!(
        apply_update(&mut job, &mut submission, &quiet, NOW).unwrap(),
        Transition::Unchanged
    );
    assert_eq!(
        (job.state, submission.outcome),
        (JobState::Uncertain, SubmissionOutcome::Uncertain)
    );
}

proptest! {
    /// After any sequence of updates, a job carries the columns of its state, leaves a final
    /// state only for a late success, and is unchanged by an update that cannot follow.
    #[test]
    fn no_sequence_of_updates_breaks_a_job(all in prop::collection::vec(any_update(), 0..40)) {
        let (mut job, mut submission) = sent_job();
        for update in all {
            let before = (job.clone(), submission.clone());
            match apply_update(&mut job, &mut submission, &update, NOW) {
                Err(_) | Ok(Transition::Unchanged) => {
                    prop_assert_eq!(&before, &(job.clone(), submission.clone()));
                    continue;
                }
                Ok(Transition::Moved(state)) => prop_assert_eq!(state, job.state),
            }
            let late = matches!(update, JobUpdate::Accepted { .. } | JobUpdate::Rendered { .. });
            prop_assert!(!before.0.state.is_final() || late || job.state == before.0.state);
            prop_assert_eq!(job.submission_id.is_some(), job.state.is_open() || job.draft != DraftStatus::None);
            prop_assert_eq!(job.video_file.is_some(), job.state == JobState::Done);
            prop_assert_eq!(job.cause.is_some(), job.state == JobState::Failed);
            prop_assert!(!job.stalled || job.state == JobState::Rendering);
            let following = matches!(job.state, JobState::Rendering | JobState::Fetching);
            prop_assert_eq!(job.rendering_at.is_some(), following);
            prop_assert!(job.draft == DraftStatus::None || job.state == JobState::Ready);
        }
    }
}
