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

use super::desk::Desk;
use super::evidence::{Seen, Tagged, is_tagged, judge, told_to_keep_ids, weigh};
use super::halt::Circuit;
use super::happening::Happening;
use super::port::{Project, Studio};
use super::repeat::{Repeated, apart, may_repeat, repeat};
use crate::batch::OnUncertain;
use crate::ledger::{Due, Hearsay, JobId, News, State, Step};

/// Pauses between looks, the design's: 15 s, 60 s, 3 min, 10 min, then slower.
const LOOKS: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(600),
];
/// Pause between looks once those are used up.
const SLOW_LOOK: Duration = Duration::from_secs(1800);
/// Looks claimed together; they share one reading of the list.
const LOOKS_AT_ONCE: u32 = 64;
/// A wall clock that runs this far ahead of awake time means that the machine slept.
const SLEPT: Duration = Duration::from_secs(30);
/// A look that was claimed and not recorded by then is due again.
const LOOK_LEASE: Duration = Duration::from_secs(600);

/// The two reads at a quiet wait's end lie this part of the wait apart.
const APART: u32 = 20;

/// How long a job has been quiet, and what was seen at the end of that.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    since: Duration,
    wall: Timestamp,
    clean_reads: u32,
    last_read: Duration,
}

impl Quiet {
    fn begun(awake: Duration, wall: Timestamp) -> Self {
        Self { since: awake, wall, clean_reads: 0, last_read: awake }
    }

    /// Goes on at `awake` and `wall`; begins anew when the machine slept in between, for then
    /// nobody knows how long others had to send.
    fn on(self, awake: Duration, wall: Timestamp) -> Self {
        let by_wall = Duration::try_from(wall.duration_since(self.wall)).unwrap_or_default();
        let slept = by_wall > awake.saturating_sub(self.since) + SLEPT;
        if slept { Self::begun(awake, wall) } else { self }
    }

    /// Notes a complete read without a trace, as old as `read_at`. It counts once the wait is over,
    /// and if it is some time apart from the one before, so that a list caught between two states
    /// is not believed.
    fn read_clean(&mut self, read_at: Duration, settle_after: Duration) {
        let over = read_at.saturating_sub(self.since) >= settle_after;
        let apart = read_at.saturating_sub(self.last_read) >= settle_after / APART;
        if over && (self.clean_reads == 0 || apart) {
            self.clean_reads += 1;
            self.last_read = read_at;
        }
    }

    /// Returns the pause until the next look: by the design's steps, but no look is later than the
    /// quiet wait's end, and those after it come soon until both clean reads are made.
    fn next_look(&self, awake: Duration, looks: i64, settle_after: Duration) -> Duration {
        let left = (self.since + settle_after).saturating_sub(awake);
        if !left.is_zero() {
            step_after(looks).min(left)
        } else if self.is_settled() {
            step_after(looks)
        } else {
            settle_after / APART
        }
    }

    /// Tells whether the wait and its two reads have shown no trace.
    fn is_settled(&self) -> bool {
        self.clean_reads >= 2
    }
}

/// The quiet waits of this run, which begin anew with every run, on purpose; and the tasks of the
/// projects that were read.
#[derive(Debug, Default)]
struct Waits(Mutex<HashMap<JobId, Quiet>>, Mutex<HashMap<String, String>>);

impl Waits {
    /// Returns the job's quiet wait; it begins now if there is none, or if the machine slept.
    fn of<S>(&self, desk: &Desk<S>, job: JobId) -> Quiet {
        let (awake, wall) = (desk.clock.awake(), desk.clock.now());
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = waits.entry(job).or_insert_with(|| Quiet::begun(awake, wall));
        *quiet = quiet.on(awake, wall);
        *quiet
    }

    fn keep(&self, job: JobId, quiet: Quiet) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, quiet);
    }

    fn forget(&self, job: JobId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

/// Looks for evidence until nothing is followed any more.
pub(super) async fn settle_loop<S: Studio>(desk: Arc<Desk<S>>) {
    let waits = Waits::default();
    while desk.may_follow() {
        let window = (desk.clock.now(), desk.after(LOOK_LEASE));
        let what = (desk.batch, State::Uncertain);
        match desk.ledger.claim_due(desk.lease, what, (LOOKS_AT_ONCE, Vec::new()), window).await {
            Ok(due) if due.is_empty() => {
                let next = desk.ledger.next_due(desk.batch, State::Uncertain, None).await;
                let next = next.ok().flatten();
                desk.rest(&desk.bells.settle, next, desk.no_more_following()).await;
            }
            Ok(due) => {
                // Whatever it finds may be work: a run must not end while somebody looks.
                desk.changes.make(look(&desk, &waits, due), |()| false).await;
                desk.bells.end.notify_one();
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

async fn look<S: Studio>(desk: &Desk<S>, waits: &Waits, due: Vec<Due>) {
    // The quiet wait begins when a job is first seen here, never later.
    let quiets: Vec<Quiet> = due.iter().map(|one| waits.of(desk, one.job)).collect();
    // What is seen is as old as this: a wait for one's turn must not make it look newer.
    let read_at = desk.clock.awake();
    let Some(list) = read_list(desk).await else { return };
    for (one, quiet) in due.iter().zip(quiets) {
        let draft = match &one.project_id {
            Some(id) => match desk.ask(desk.studio.project(id)).await {
                Some(read) => Some(read.map_err(|trouble| {
                    format!("its project could not be read: {}", trouble.words())
                })),
                None => return,
            },
            None => None,
        };
        let heard = match desk.ledger.hearsay(one.submission).await {
            Ok(heard) => heard,
            Err(error) => return desk.ledger_failed(&error),
        };
        let keeps_ids = list.as_ref().is_ok_and(|list| list.keeps_ids);
        let mut seen = weigh(one, judge(one, &list, draft.as_ref()), heard.as_ref(), keeps_ids);
        if let (Seen::Nothing { .. }, None, Some(heard), Ok(list)) =
            (&seen, &one.project_id, &heard, &list)
            && let Some(found) = called_by_its_task(desk, waits, (heard, list)).await
        {
            seen = found;
        }
        let repeats = list.as_ref().is_ok_and(|list| may_repeat(desk, one, list));
        if repeats && !matches!(seen, Seen::Evidence { .. }) {
            let _apart = apart(desk).await;
            match repeat(desk, one, read_at).await {
                Repeated::Accepted(render_id) => {
                    waits.forget(one.job);
                    let id = one.project_id.clone().unwrap_or_default();
                    let words = "sent once more, which renders nothing again, and answered";
                    adopt(desk, one, (id, render_id), words.to_owned()).await;
                    continue;
                }
                Repeated::Unknown(words) => {
                    // Something was sent just now: what is quiet has to be waited for anew.
                    waits.forget(one.job);
                    let quiet = waits.of(desk, one.job);
                    let words = format!("sent once more, and that answer was lost too: {words}");
                    look_again(desk, one, quiet, words).await;
                    continue;
                }
                Repeated::Not => {}
            }
        }
        match seen {
            Seen::Evidence { project_id, render_id, words, alarm } => {
                waits.forget(one.job);
                if let Some(words) = alarm {
                    desk.observer.tell(Happening::Alarm { words });
                }
                adopt(desk, one, (project_id, render_id), words).await;
            }
            Seen::NoTrace => wait_or_settle(desk, waits, one, (quiet, read_at)).await,
            Seen::Nothing { words } => {
                learn_nothing(desk, waits, (one, heard.is_some()), (quiet, words)).await;
            }
        }
    }
}

/// Projects read in one look, to find the one that a call named by its task.
const READS_AT_ONCE: usize = 32;

/// A kind of request without a name can be found in one way alone: AI Studios called about it by the
/// task of its render, and a project of the account, which is not ours yet, has that very task. A
/// project whose task is known is not read again.
async fn called_by_its_task<S: Studio>(
    desk: &Desk<S>,
    waits: &Waits,
    (heard, list): (&Hearsay, &Tagged),
) -> Option<Seen> {
    let task = heard.task.as_ref()?;
    let unread: Vec<String> = {
        let read = waits.1.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = list.untagged.iter().filter(|id| !read.contains_key(*id));
        unread.take(READS_AT_ONCE).cloned().collect()
    };
    for id in unread {
        // A project without a task may get one yet.
        if let Ok(Project { task: Some(task), .. }) = desk.ask(desk.studio.project(&id)).await? {
            waits.1.lock().unwrap_or_else(PoisonError::into_inner).insert(id, task);
        }
    }
    let found = {
        let read = waits.1.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter().find(|(_, found)| *found == task).map(|(id, _)| id.clone())?
    };
    match desk.ledger.knows_any(std::slice::from_ref(&found)).await {
        Ok(false) => Some(Seen::Evidence {
            project_id: found,
            render_id: None,
            words: "its project has the task that AI Studios called about".to_owned(),
            alarm: None,
        }),
        Ok(true) => None,
        Err(error) => {
            desk.ledger_failed(&error);
            None
        }
    }
}

/// Reads the account's list, once for all jobs that are looked for. Nothing comes back when the
/// run ends first.
async fn read_list<S: Studio>(desk: &Desk<S>) -> Option<Result<Tagged, String>> {
    let list = match desk.ask(desk.studio.list()).await? {
        Ok(list) => list,
        Err(trouble) => {
            let words = trouble.words();
            return Some(Err(format!("the project list could not be read: {words}")));
        }
    };
    let vendor = &desk.settings.vendor;
    let mut tagged = Tagged::of(list).known_from(vendor);
    match desk.ledger.knows_any(&tagged.ids).await {
        Ok(known) => tagged.proven = known,
        Err(error) => desk.ledger_failed(&error),
    }
    let told = told_to_keep_ids(vendor);
    match desk.ledger.exports_keep_their_id(desk.batch, told).await {
        Ok(keeps_ids) => tagged.keeps_ids = keeps_ids,
        Err(error) => desk.ledger_failed(&error),
    }
    Some(Ok(tagged))
}

/// A look that says nothing never brings a quiet wait to its end. When even after the wait no look
/// has said anything, only a person can.
async fn learn_nothing<S: Studio>(
    desk: &Desk<S>,
    waits: &Waits,
    (due, was_called_about): (&Due, bool),
    (quiet, words): (Quiet, String),
) {
    waits.keep(due.job, Quiet { clean_reads: 0, ..quiet });
    let waited = desk.clock.awake().saturating_sub(quiet.since);
    // Without an id and without a tag no look will ever say anything, but for what calls bring.
    let hears = was_called_about || desk.is_told();
    let is_blind = due.project_id.is_none() && !is_tagged(due) && !hears;
    if is_blind || waited >= desk.settings.limits.settle_after * 2 {
        desk.for_people().insert(due.job);
        desk.bells.end.notify_one();
    }
    look_again(desk, due, quiet, words).await;
}

async fn adopt<S: Studio>(
    desk: &Desk<S>,
    due: &Due,
    (project_id, render_id): (String, Option<String>),
    words: String,
) {
    desk.halts.went_well(Circuit::Paid);
    let asked = render_id.clone().unwrap_or_else(|| project_id.clone());
    let due_at = desk.clock.now();
    let news = News::Accepted { project_id, render_id, due_at, words };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.for_people().remove(&due.job);
        desk.observer.tell(Happening::Rendering { key: due.key.clone(), project_id: asked });
    }
}

async fn wait_or_settle<S: Studio>(
    desk: &Desk<S>,
    waits: &Waits,
    due: &Due,
    (mut quiet, read_at): (Quiet, Duration),
) {
    quiet.read_clean(read_at, desk.settings.limits.settle_after);
    waits.keep(due.job, quiet);
    let may_settle = match desk.settings.on_uncertain {
        OnUncertain::Settle => due.project_id.is_some(),
        OnUncertain::Resubmit => true,
        OnUncertain::Hold => false,
    };
    if quiet.is_settled() && may_settle {
        waits.forget(due.job);
        let words = "no trace of it after the quiet wait, in two complete reads".to_owned();
        let news = News::ProvenNotMade { due_at: desk.clock.now(), words: words.clone() };
        let recorded = desk.record((due.job, due.submission), news).await;
        // Unchanged: AI Studios called about it in this very moment.
        if recorded.is_some_and(|recorded| recorded.step != Step::Unchanged) {
            desk.for_people().remove(&due.job);
            let due_at = desk.clock.now();
            desk.observer.tell(Happening::Retry { key: due.key.clone(), words, due_at });
        }
        return;
    }
    if quiet.is_settled() {
        desk.for_people().insert(due.job);
        desk.bells.end.notify_one();
    }
    look_again(desk, due, quiet, "no trace of it yet".to_owned()).await;
}

/// Schedules the next look. What is left to a person is looked at rarely: looks in vain would take
/// the permits of those who pay, for ever where the rate is low.
async fn look_again<S: Studio>(desk: &Desk<S>, due: &Due, quiet: Quiet, words: String) {
    let settle_after = desk.settings.limits.settle_after;
    let left_to_a_person = desk.for_people().contains(&due.job);
    let pause = if left_to_a_person {
        step_after(due.looks)
    } else {
        quiet.next_look(desk.clock.awake(), due.looks, settle_after)
    };
    let due_at = desk.after(pause.max(Duration::from_millis(20)));
    desk.record((due.job, due.submission), News::Looked { due_at, words }).await;
}

/// Returns the design's pause after so many looks.
fn step_after(looks: i64) -> Duration {
    let step = usize::try_from(looks + 1).ok().and_then(|at| LOOKS.get(at));
    step.copied().unwrap_or(SLOW_LOOK)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const WAIT: Duration = Duration::from_secs(1200);

    fn quiet() -> Quiet {
        Quiet::begun(Duration::from_secs(100), Timestamp::UNIX_EPOCH)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(100 + seconds)
    }

    #[test]
    fn two_clean_reads_some_time_apart_after_the_whole_wait_settle_and_nothing_less_does() {
        let mut quiet = quiet();
        for (seconds, settled) in [(15, false), (1199, false), (1200, false), (1210, false)] {
            quiet.read_clean(at(seconds), WAIT);
            assert_eq!(quiet.is_settled(), settled, "after {seconds} s");
        }
        quiet.read_clean(at(1260), WAIT);
        assert!(quiet.is_settled());
    }

    /// Found by the simulation: a read that had waited long for its turn counted as new.
    #[test]
    fn a_read_is_as_old_as_its_question() {
        let mut quiet = quiet();
        quiet.read_clean(at(1190), WAIT);
        quiet.read_clean(at(1195), WAIT);
        quiet.read_clean(at(1300), WAIT);
        assert!(!quiet.is_settled(), "asked before the wait was over: {quiet:?}");
    }

    #[test]
    fn looks_follow_the_steps_and_miss_neither_the_waits_end_nor_the_second_read() {
        let mut quiet = quiet();
        let next = |quiet: &Quiet, seconds, looks| quiet.next_look(at(seconds), looks, WAIT);
        assert_eq!(next(&quiet, 0, 0), Duration::from_secs(60));
        assert_eq!(next(&quiet, 1000, 9), Duration::from_secs(200), "the wait's end");
        assert_eq!(next(&quiet, 1200, 9), Duration::from_secs(60), "the second read");
        quiet.read_clean(at(1200), WAIT);
        quiet.read_clean(at(1260), WAIT);
        assert_eq!(next(&quiet, 1260, 9), SLOW_LOOK);
    }

    #[test]
    fn a_machine_that_slept_waits_anew() {
        let later = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let awake = quiet().on(at(600), later(610));
        assert_eq!(awake.since, at(0), "clocks differ by seconds");
        let slept = quiet().on(at(600), later(8 * 3600));
        assert_eq!((slept.since, slept.clean_reads), (at(600), 0));
        let set_back = quiet().on(at(600), later(-3600));
        assert_eq!(set_back.since, at(0), "a clock that was set back hides no sleep of ours");
    }
}
