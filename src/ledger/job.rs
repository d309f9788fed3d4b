//! A job as the ledger holds it while it is being changed, and what each piece of news does to it.
//!
//! Pure: rows in, rows out. The one place that decides what is stored beside the state; the schema
//! says the same in CHECKs and refuses anything else.

use super::news::News;
use super::outcome::{Draft, Outcome};
use super::state::{Event, IllegalStep, State, Step, next};

/// Milliseconds since 1970 UTC, as stored.
pub(super) type Millis = i64;

/// The changeable columns of `job`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) state: State,
    pub(super) drafted: Draft,
    /// Read, never written here: whether its row is still in the sheet.
    pub(super) in_sheet: bool,
    pub(super) version: i64,
    pub(super) wanted_version: i64,
    pub(super) due_at: Millis,
    pub(super) submit_failures: i64,
    pub(super) rerenders: i64,
    pub(super) fetch_failures: i64,
    pub(super) polls: i64,
    pub(super) submission_id: Option<i64>,
    pub(super) rendering_at: Option<Millis>,
    pub(super) progress: Option<f64>,
    pub(super) moved_at: Option<Millis>,
    pub(super) stalled: bool,
    pub(super) video_file: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) words: Option<String>,
}

/// The changeable columns of the `submission` that the news is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Submission {
    pub(super) id: i64,
    pub(super) version: i64,
    pub(super) outcome: Outcome,
    pub(super) project_id: Option<String>,
    pub(super) render_id: Option<String>,
    /// The project that was changed to make it.
    pub(super) subject: Option<String>,
    /// The render that the project showed before its own.
    pub(super) mark: Option<String>,
    pub(super) paid_at: Option<Millis>,
    pub(super) settled_at: Option<Millis>,
    pub(super) looks: i64,
    pub(super) video_url: Option<String>,
    pub(super) credits: Option<f64>,
    /// Read, never written here: whether AI Studios called about it, so that it was accepted.
    pub(super) called_about: bool,
}

/// Returns where `news` leads, and changes both rows accordingly.
///
/// # Errors
/// [`IllegalStep`] when the news cannot follow the state; nothing is changed then.
pub(super) fn apply(
    job: &mut Job,
    submission: &mut Submission,
    news: &News,
    now: Millis,
) -> Result<Step, IllegalStep> {
    // Late news beats a wait that saw nothing, and a person who knows nothing of it.
    let is_refuted = submission.called_about && matches!(news, News::ProvenNotMade { .. });
    if is_refuted || is_old(job, submission, news) {
        return Ok(Step::Unchanged);
    }
    let step = match news.event() {
        Some(event) => next(job.state, event)?,
        // News within a state is old news in every other.
        None if news.within() == Some(job.state) => Step::Moved(job.state),
        None => Step::Unchanged,
    };
    let Step::Moved(state) = step else { return Ok(step) };
    job.due_at = news.due_at().unwrap_or(now);
    settle_submission(submission, news, now);
    job.state = state;
    job.drafted = if state == State::Ready { submission.outcome.draft() } else { Draft::None };
    match news {
        News::NotSent { .. } | News::DraftLost { .. } => job.submit_failures += 1,
        News::Rerendered { .. } => job.rerenders += 1,
        News::GenerationFailed { .. } => {
            job.rerenders += 1;
            (job.progress, job.moved_at) = (None, None);
        }
        News::Generating { .. } => {
            (job.progress, job.moved_at) = (Some(0.0), Some(now));
        }
        News::Generated { progress, .. } => {
            if job.progress != Some(*progress) {
                job.moved_at = Some(now);
            }
            job.progress = Some(*progress);
        }
        // A link that never holds must come to an end as well.
        News::FetchTrouble { .. } | News::FreshLink { .. } => job.fetch_failures += 1,
        News::Accepted { .. } => {
            job.submission_id = Some(submission.id);
            job.rendering_at = Some(now);
            job.moved_at = Some(now);
            job.progress = Some(0.0);
            job.polls = 0;
        }
        News::Polled { progress, stalled, .. } => {
            job.polls += 1;
            if job.progress != Some(*progress) {
                job.moved_at = Some(now);
            }
            job.progress = Some(*progress);
            job.stalled = *stalled;
        }
        News::Rendered { .. } => {
            job.submission_id = Some(submission.id);
            job.rendering_at = job.rendering_at.or(Some(now));
            job.progress = Some(100.0);
        }
        News::Fetched(video) => job.video_file = Some(video.file.clone()),
        News::Drafted { .. }
        | News::GenerationEnded
        | News::PutBack { .. }
        | News::Refused { .. }
        | News::SubmitGivenUp { .. }
        | News::AnswerLost { .. }
        | News::Looked { .. }
        | News::ProvenNotMade { .. }
        | News::Abandoned { .. }
        | News::RenderFailed { .. }
        | News::FetchFailed { .. } => {}
    }
    tidy(job, news);
    Ok(step)
}

/// Tells whether news from within a state comes too late: the job has gone on, perhaps with
/// another submission, since it was asked about. Two polls of one render may cross.
fn is_old(job: &Job, submission: &Submission, news: &News) -> bool {
    let within = match news {
        News::Looked { .. } => State::Uncertain,
        News::Polled { .. } | News::Rerendered { .. } | News::RenderFailed { .. } => {
            State::Rendering
        }
        News::FreshLink { .. }
        | News::FetchTrouble { .. }
        | News::FetchFailed { .. }
        | News::Fetched(_) => State::Fetching,
        News::Generated { .. } | News::GenerationEnded | News::GenerationFailed { .. } => {
            if submission.outcome != Outcome::Generating {
                return true;
            }
            State::Ready
        }
        News::Drafted { .. }
        | News::Generating { .. }
        | News::DraftLost { .. }
        | News::NotSent { .. }
        | News::PutBack { .. }
        | News::Refused { .. }
        | News::SubmitGivenUp { .. }
        | News::AnswerLost { .. }
        | News::Accepted { .. }
        | News::ProvenNotMade { .. }
        | News::Abandoned { .. } => return false,
        // The job has gone on with another request: taking this one's video would leave that one
        // without a job that follows it.
        News::Rendered { .. } => return job.submission_id.is_some_and(|own| own != submission.id),
    };
    job.state != within || job.submission_id != Some(submission.id)
}

/// Returns how a job goes on that has come free, by an ending or by being due again: with the
/// version that the sheet wants by now, or not at all when its row has left the sheet. The job
/// itself then wants nothing more, and a draft of what nobody wants is a stray.
///
/// # Errors
/// [`IllegalStep`], never in practice: whatever is free may be replaced or cancelled.
pub(super) fn succeed(
    job: &mut Job,
    submission: &mut Submission,
    now: Millis,
) -> Result<Option<(Event, Job)>, IllegalStep> {
    let is_free = job.state.is_final() || job.state == State::Ready;
    if !is_free {
        return Ok(None);
    }
    let wanted = std::mem::replace(&mut job.wanted_version, job.version);
    let (event, successor) = if !job.in_sheet && job.state == State::Ready {
        (Event::Cancelled, removed(job))
    } else if job.in_sheet && wanted != job.version {
        (Event::Replaced, first_steps_of(wanted, now))
    } else {
        return Ok(None);
    };
    next(job.state, event)?;
    if matches!(submission.outcome, Outcome::Drafted | Outcome::Generating) {
        submission.outcome = Outcome::Stray;
        submission.settled_at = Some(now);
    }
    Ok(Some((event, successor)))
}

/// The cause by which planning knows a row again that comes back into the sheet.
const ROW_REMOVED: &str = "row-removed";

fn removed(job: &Job) -> Job {
    let (state, cause) = (State::Cancelled, Some(ROW_REMOVED.to_owned()));
    Job { state, cause, drafted: Draft::None, submission_id: None, ..job.clone() }
}

/// Clears what the new state does not carry, and says why where it must.
fn tidy(job: &mut Job, news: &News) {
    if job.state != State::Rendering {
        job.stalled = false;
    }
    if !matches!(job.state, State::Rendering | State::Fetching) {
        job.rendering_at = None;
    }
    if !job.state.is_open() && job.drafted == Draft::None {
        job.submission_id = None;
    }
    if job.state == State::Failed {
        job.cause = Some(news.word().to_owned());
    } else {
        job.cause = None;
    }
    job.words = news.words().map(str::to_owned).or_else(|| job.words.take());
    if job.state == State::Done {
        job.words = None;
    }
}

/// A version that nothing has happened to: none of the former one's counts or endings stays.
fn first_steps_of(version: i64, now: Millis) -> Job {
    Job {
        state: State::Ready,
        drafted: Draft::None,
        in_sheet: true,
        version,
        wanted_version: version,
        due_at: now,
        submit_failures: 0,
        rerenders: 0,
        fetch_failures: 0,
        polls: 0,
        submission_id: None,
        rendering_at: None,
        progress: None,
        moved_at: None,
        stalled: false,
        video_file: None,
        cause: None,
        words: None,
    }
}

fn settle_submission(submission: &mut Submission, news: &News, now: Millis) {
    let outcome = match news {
        News::Drafted { project_id, edited, mark } => {
            submission.project_id = Some(project_id.clone());
            submission.subject = edited.clone().or_else(|| submission.subject.take());
            submission.mark.clone_from(mark);
            Outcome::Drafted
        }
        News::Generating { project_id, .. } => {
            submission.project_id = Some(project_id.clone());
            Outcome::Generating
        }
        News::GenerationEnded => Outcome::Drafted,
        News::GenerationFailed { .. } => Outcome::Stray,
        News::Accepted { project_id, render_id, .. } => {
            submission.project_id = Some(project_id.clone());
            submission.render_id.clone_from(render_id);
            Outcome::Accepted
        }
        News::Rendered { video_url } => {
            submission.video_url = Some(video_url.clone());
            Outcome::Rendered
        }
        News::FreshLink { video_url } => {
            submission.video_url = Some(video_url.clone());
            submission.outcome
        }
        News::Looked { .. } => {
            submission.looks += 1;
            submission.outcome
        }
        News::DraftLost { .. } => Outcome::Stray,
        // A draft that exists is kept for the next try of its paid step.
        News::NotSent { .. } | News::PutBack { .. } | News::ProvenNotMade { .. }
            if submission.project_id.is_some() =>
        {
            submission.paid_at = None;
            Outcome::Drafted
        }
        // What was free and is given up may still have been made.
        News::SubmitGivenUp { .. }
            if submission.project_id.is_some() || submission.paid_at.is_none() =>
        {
            Outcome::Stray
        }
        News::NotSent { .. } | News::PutBack { .. } | News::SubmitGivenUp { .. } => {
            Outcome::NotSent
        }
        News::Refused { .. } => Outcome::Refused,
        News::AnswerLost { .. } => Outcome::Uncertain,
        News::ProvenNotMade { .. } => Outcome::Absent,
        News::Abandoned { .. } => Outcome::Abandoned,
        News::Rerendered { .. } | News::RenderFailed { .. } => Outcome::RenderFailed,
        News::Polled { .. }
        | News::Generated { .. }
        | News::FetchTrouble { .. }
        | News::FetchFailed { .. }
        | News::Fetched(_) => submission.outcome,
    };
    if outcome != submission.outcome {
        submission.outcome = outcome;
        submission.settled_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::super::news::Video;
    use super::*;

    fn any_news() -> impl Strategy<Value = News> {
        let due_at = Timestamp::UNIX_EPOCH;
        let words = || "said".to_owned();
        let id = prop_oneof![Just("p1".to_owned()), Just("p2".to_owned())];
        prop_oneof![
            id.clone().prop_map(|project_id| News::Drafted {
                project_id,
                edited: None,
                mark: None,
            }),
            id.clone().prop_map(move |project_id| News::Generating { project_id, due_at }),
            Just(News::Generated { progress: 50.0, due_at }),
            Just(News::GenerationEnded),
            Just(News::GenerationFailed { due_at, words: words() }),
            Just(News::DraftLost { due_at, words: words() }),
            Just(News::NotSent { due_at, words: words() }),
            Just(News::PutBack { due_at, words: words() }),
            Just(News::Refused { words: words() }),
            Just(News::SubmitGivenUp { words: words() }),
            Just(News::AnswerLost { due_at, words: words() }),
            Just(News::Looked { due_at, words: words() }),
            id.prop_map(move |project_id| News::Accepted {
                project_id,
                render_id: None,
                due_at,
                words: "said".to_owned(),
            }),
            Just(News::ProvenNotMade { due_at, words: words() }),
            Just(News::Abandoned { words: words() }),
            (0.0..100.0).prop_map(move |progress| News::Polled {
                progress,
                due_at,
                stalled: progress < 10.0,
            }),
            Just(News::Rendered { video_url: "http://x".to_owned() }),
            Just(News::Rerendered { due_at, words: words() }),
            Just(News::RenderFailed { words: words() }),
            Just(News::FreshLink { video_url: "http://y".to_owned() }),
            Just(News::FetchTrouble { due_at, words: words() }),
            Just(News::FetchFailed { words: words() }),
            Just(News::Fetched(Video {
                file: "a.mp4".to_owned(),
                bytes: 1,
                hash: "h".to_owned(),
                plays_ms: 1,
            })),
        ]
    }

    fn sent() -> (Job, Submission) {
        let job = Job { state: State::Submitting, submission_id: Some(1), ..first_steps_of(1, 0) };
        let submission = Submission {
            id: 1,
            version: 1,
            outcome: Outcome::Sent,
            project_id: None,
            render_id: None,
            subject: None,
            mark: None,
            paid_at: Some(0),
            settled_at: None,
            looks: 0,
            video_url: None,
            credits: None,
            called_about: false,
        };
        (job, submission)
    }

    #[test]
    fn what_was_called_about_is_never_taken_as_not_made() {
        let (mut job, mut submission) = sent();
        let due_at = Timestamp::UNIX_EPOCH;
        let lost = News::AnswerLost { due_at, words: "cut".to_owned() };
        apply(&mut job, &mut submission, &lost, 1).unwrap();
        submission.called_about = true;
        let quiet = News::ProvenNotMade { due_at, words: "no trace".to_owned() };
        assert_eq!(apply(&mut job, &mut submission, &quiet, 2).unwrap(), Step::Unchanged);
        assert_eq!((job.state, submission.outcome), (State::Uncertain, Outcome::Uncertain));
    }

    proptest! {
        /// Whatever is thrown at it, a job carries what its state says, a final state is left only
        /// by late success, and news that cannot follow changes nothing.
        #[test]
        fn no_sequence_of_news_breaks_a_job(all in prop::collection::vec(any_news(), 0..40)) {
            let (mut job, mut submission) = sent();
            for news in all {
                let before = (job.clone(), submission.clone());
                match apply(&mut job, &mut submission, &news, 7) {
                    Err(_) | Ok(Step::Unchanged) => {
                        prop_assert_eq!(&before, &(job.clone(), submission.clone()));
                        continue;
                    }
                    Ok(Step::Moved(state)) => prop_assert_eq!(state, job.state),
                }
                let late = matches!(news, News::Accepted { .. } | News::Rendered { .. });
                prop_assert!(!before.0.state.is_final() || late || job.state == before.0.state);
                prop_assert_eq!(job.submission_id.is_some(), job.state.is_open() || job.drafted != Draft::None);
                prop_assert_eq!(job.video_file.is_some(), job.state == State::Done);
                prop_assert_eq!(job.cause.is_some(), job.state == State::Failed);
                prop_assert!(!job.stalled || job.state == State::Rendering);
                let following = matches!(job.state, State::Rendering | State::Fetching);
                prop_assert_eq!(job.rendering_at.is_some(), following);
                prop_assert!(job.drafted == Draft::None || job.state == State::Ready);
            }
        }
    }
}
