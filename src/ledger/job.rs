//! A job as the ledger holds it while it is being changed, and what each piece of news does to it.
//!
//! Pure: rows in, rows out. The one place that decides what is stored beside the state; the schema
//! says the same in CHECKs and refuses anything else.

use super::state::{Event, IllegalStep, State, Step, next};

/// Milliseconds since 1970 UTC, as stored.
pub(super) type Millis = i64;

/// The changeable columns of `job`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) state: State,
    pub(super) drafted: bool,
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
    pub(super) paid_at: Option<Millis>,
    pub(super) settled_at: Option<Millis>,
    pub(super) looks: i64,
    pub(super) video_url: Option<String>,
    pub(super) credits: Option<f64>,
}

/// What became of a submission; one word each in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The free draft is being made.
    Drafting,
    /// The draft exists; its paid step has not begun.
    Drafted,
    /// The paid request's intent is durable; its answer is not.
    Sent,
    /// The paid request's answer was lost.
    Uncertain,
    /// AI Studios renders it.
    Accepted,
    /// The render ended well.
    Rendered,
    /// The render ended badly, or not in time.
    RenderFailed,
    /// Nothing that costs money left this machine.
    NotSent,
    /// AI Studios declined.
    Refused,
    /// A draft whose answer was lost, or that nobody needs any more; free, and can be swept.
    Stray,
    /// Settled as never accepted.
    Absent,
    /// Closed by a person without a verdict.
    Abandoned,
}

impl Outcome {
    const ALL: [Self; 12] = [
        Self::Drafting,
        Self::Drafted,
        Self::Sent,
        Self::Uncertain,
        Self::Accepted,
        Self::Rendered,
        Self::RenderFailed,
        Self::NotSent,
        Self::Refused,
        Self::Stray,
        Self::Absent,
        Self::Abandoned,
    ];

    /// Returns the word for this outcome: in SQL, in JSON and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Drafting => "drafting",
            Self::Drafted => "drafted",
            Self::Sent => "sent",
            Self::Uncertain => "uncertain",
            Self::Accepted => "accepted",
            Self::Rendered => "rendered",
            Self::RenderFailed => "render-failed",
            Self::NotSent => "not-sent",
            Self::Refused => "refused",
            Self::Stray => "stray",
            Self::Absent => "absent",
            Self::Abandoned => "abandoned",
        }
    }

    /// Returns the outcome that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// What a loop, a callback or a person found out about one job.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The free draft exists.
    Drafted {
        /// The draft's id.
        project_id: String,
    },
    /// The draft's answer was lost; another will be made at `due_at`.
    DraftLost {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Nothing that costs money was sent.
    NotSent {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Declined for now, through no fault of this job: it costs no attempt.
    PutBack {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Declined for good.
    Refused {
        /// The vendor's words.
        words: String,
    },
    /// The free submit failures are used up.
    SubmitGivenUp {
        /// What was seen last.
        words: String,
    },
    /// The paid request's answer was lost.
    AnswerLost {
        /// When to look for the first time.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// A look found neither proof nor disproof.
    Looked {
        /// When to look again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// AI Studios has the render.
    Accepted {
        /// The project as made.
        project_id: String,
        /// The project as rendered, where the export answered another id.
        render_id: Option<String>,
        /// When to poll for the first time.
        due_at: jiff::Timestamp,
        /// How it is known.
        words: String,
    },
    /// Settled: the paid request was never accepted.
    ProvenNotMade {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// How it is known.
        words: String,
    },
    /// A person closed the job.
    Abandoned {
        /// The person's reason.
        words: String,
    },
    /// A poll saw the render under way.
    Polled {
        /// 0 to 100.
        progress: f64,
        /// When to poll again.
        due_at: jiff::Timestamp,
        /// Whether progress has stood still for too long.
        stalled: bool,
    },
    /// The render is finished.
    Rendered {
        /// Where its file is.
        video_url: String,
    },
    /// The render failed, and the batch allows one more.
    Rerendered {
        /// When to submit again.
        due_at: jiff::Timestamp,
        /// The vendor's words.
        words: String,
    },
    /// The render failed for good.
    RenderFailed {
        /// The vendor's words.
        words: String,
    },
    /// The link had expired and a fresh one is known.
    FreshLink {
        /// Where the file is now.
        video_url: String,
    },
    /// The file could not be fetched this time.
    FetchTrouble {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// The file could not be fetched within the budget.
    FetchFailed {
        /// What was seen last.
        words: String,
    },
    /// The file lies verified in the output folder.
    Fetched(Video),
}

/// A verified file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// Its name within the output folder.
    pub file: String,
    /// Its length in bytes.
    pub bytes: i64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub hash: String,
    /// How long it plays, in milliseconds.
    pub plays_ms: i64,
}

impl News {
    /// Returns the event of the state machine, or nothing for news within a state.
    pub(super) fn event(&self) -> Option<Event> {
        match self {
            Self::Drafted { .. } => Some(Event::Drafted),
            Self::DraftLost { .. } => Some(Event::DraftLost),
            Self::NotSent { .. } => Some(Event::NotSent),
            Self::PutBack { .. } => Some(Event::PutBack),
            Self::Refused { .. } => Some(Event::Refused),
            Self::SubmitGivenUp { .. } => Some(Event::SubmitGivenUp),
            Self::AnswerLost { .. } => Some(Event::AnswerLost),
            Self::Accepted { .. } => Some(Event::Accepted),
            Self::ProvenNotMade { .. } => Some(Event::ProvenNotMade),
            Self::Abandoned { .. } => Some(Event::Abandoned),
            Self::Rendered { .. } => Some(Event::Rendered),
            Self::Rerendered { .. } => Some(Event::Rerendered),
            Self::RenderFailed { .. } => Some(Event::RenderFailed),
            Self::Fetched(_) => Some(Event::Fetched),
            Self::FetchFailed { .. } => Some(Event::FetchFailed),
            Self::Looked { .. }
            | Self::Polled { .. }
            | Self::FreshLink { .. }
            | Self::FetchTrouble { .. } => None,
        }
    }

    /// Returns the word that the history keeps.
    pub(super) fn word(&self) -> &'static str {
        match self.event() {
            Some(event) => event.word(),
            None => match self {
                Self::Looked { .. } => "looked",
                Self::FreshLink { .. } => "fresh-link",
                Self::FetchTrouble { .. } => "fetch-trouble",
                _ => "polled",
            },
        }
    }

    /// Returns what was seen, for the history.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::DraftLost { words, .. }
            | Self::NotSent { words, .. }
            | Self::PutBack { words, .. }
            | Self::Refused { words }
            | Self::SubmitGivenUp { words }
            | Self::AnswerLost { words, .. }
            | Self::Looked { words, .. }
            | Self::Accepted { words, .. }
            | Self::ProvenNotMade { words, .. }
            | Self::Abandoned { words }
            | Self::Rerendered { words, .. }
            | Self::RenderFailed { words }
            | Self::FetchTrouble { words, .. }
            | Self::FetchFailed { words } => Some(words),
            Self::Drafted { project_id } => Some(project_id),
            Self::Polled { .. }
            | Self::Rendered { .. }
            | Self::FreshLink { .. }
            | Self::Fetched(_) => None,
        }
    }

    /// Tells whether the history keeps a line of it. Polls are many and say little.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self, Self::Polled { .. })
    }

    fn due_at(&self) -> Option<Millis> {
        match self {
            Self::DraftLost { due_at, .. }
            | Self::NotSent { due_at, .. }
            | Self::PutBack { due_at, .. }
            | Self::AnswerLost { due_at, .. }
            | Self::Looked { due_at, .. }
            | Self::Accepted { due_at, .. }
            | Self::ProvenNotMade { due_at, .. }
            | Self::Polled { due_at, .. }
            | Self::Rerendered { due_at, .. }
            | Self::FetchTrouble { due_at, .. } => Some(due_at.as_millisecond()),
            Self::Drafted { .. }
            | Self::Refused { .. }
            | Self::SubmitGivenUp { .. }
            | Self::Abandoned { .. }
            | Self::Rendered { .. }
            | Self::RenderFailed { .. }
            | Self::FreshLink { .. }
            | Self::FetchFailed { .. }
            | Self::Fetched(_) => None,
        }
    }
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
    if is_old(job, submission, news) {
        return Ok(Step::Unchanged);
    }
    let step = match news.event() {
        Some(event) => next(job.state, event)?,
        None => Step::Moved(job.state),
    };
    let Step::Moved(state) = step else { return Ok(step) };
    job.due_at = news.due_at().unwrap_or(now);
    settle_submission(submission, news, now);
    job.state = state;
    job.drafted = submission.outcome == Outcome::Drafted;
    match news {
        News::NotSent { .. } | News::DraftLost { .. } => job.submit_failures += 1,
        News::Rerendered { .. } => job.rerenders += 1,
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
        News::FreshLink { .. } | News::FetchTrouble { .. } => State::Fetching,
        News::Drafted { .. }
        | News::DraftLost { .. }
        | News::NotSent { .. }
        | News::PutBack { .. }
        | News::Refused { .. }
        | News::SubmitGivenUp { .. }
        | News::AnswerLost { .. }
        | News::Accepted { .. }
        | News::ProvenNotMade { .. }
        | News::Abandoned { .. }
        | News::Rendered { .. }
        | News::FetchFailed { .. }
        | News::Fetched(_) => return false,
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
    if submission.outcome == Outcome::Drafted {
        submission.outcome = Outcome::Stray;
        submission.settled_at = Some(now);
    }
    Ok(Some((event, successor)))
}

/// The cause by which planning knows a row again that comes back into the sheet.
const ROW_REMOVED: &str = "row-removed";

fn removed(job: &Job) -> Job {
    let (state, cause) = (State::Cancelled, Some(ROW_REMOVED.to_owned()));
    Job { state, cause, drafted: false, submission_id: None, ..job.clone() }
}

/// Clears what the new state does not carry, and says why where it must.
fn tidy(job: &mut Job, news: &News) {
    if job.state != State::Rendering {
        job.stalled = false;
    }
    if !matches!(job.state, State::Rendering | State::Fetching) {
        job.rendering_at = None;
    }
    if !job.state.is_open() && !job.drafted {
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
        drafted: false,
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
        News::Drafted { project_id } => {
            submission.project_id = Some(project_id.clone());
            Outcome::Drafted
        }
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
        News::SubmitGivenUp { .. } if submission.project_id.is_some() => Outcome::Stray,
        News::NotSent { .. } | News::PutBack { .. } | News::SubmitGivenUp { .. } => {
            Outcome::NotSent
        }
        News::Refused { .. } => Outcome::Refused,
        News::AnswerLost { .. } => Outcome::Uncertain,
        News::ProvenNotMade { .. } => Outcome::Absent,
        News::Abandoned { .. } => Outcome::Abandoned,
        News::Rerendered { .. } | News::RenderFailed { .. } => Outcome::RenderFailed,
        News::Polled { .. }
        | News::FetchTrouble { .. }
        | News::FetchFailed { .. }
        | News::Fetched(_) => submission.outcome,
    };
    if outcome != submission.outcome {
        submission.outcome = outcome;
        submission.settled_at = Some(now);
    }
}
