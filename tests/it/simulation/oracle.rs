//! What must be true after every run, judged against the studio's own books and the disk, never
//! against the runner's word.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use callsheet::ledger::{BatchId, Held, JobRow, Ledger, State};
use callsheet::report;
use callsheet::runner::{Ending, Halt, Orders};
use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection};

use super::film::number_of;
use super::night::Night;
use super::setup::Setup;
use super::world::{Bill, World};

/// A version as the ledger's file has it.
#[derive(Debug, FromRow)]
struct Version {
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

/// A submission as the ledger's file has it.
#[derive(Debug, FromRow)]
struct Submission {
    key: String,
    tag: String,
    payload_hash: String,
    version: i64,
    paid_at: Option<i64>,
}

const VERSIONS: &str = "select j.key, v.version, j.version as current, j.state, v.cells,
    v.payload_hash, v.video_file, v.video_hash, v.done_at
    from job j join version v on v.job_id = j.id order by j.id, v.version";

const SUBMISSIONS: &str = "select j.key, s.tag, v.payload_hash, s.version, s.paid_at
    from submission s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = s.version order by s.id";

/// The ledger at the end of a run, and what was reported of it.
pub(super) struct Audit {
    rows: Vec<JobRow>,
    versions: Vec<Version>,
    submissions: Vec<Submission>,
    reported: Vec<String>,
    flaws: Vec<String>,
}

impl Audit {
    pub(super) async fn take(ledger: &Ledger, batch: BatchId, folder: &Path) -> Self {
        let results = report::write_results(ledger, batch, folder).await.unwrap();
        let mut results = csv::Reader::from_path(results.results).unwrap();
        let reported = results.records().map(|record| record.unwrap()[0].to_owned()).collect();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ledger.path());
        let mut db: SqliteConnection = options.read_only(true).connect().await.unwrap();
        let audit = Self {
            rows: ledger.rows(batch, -1, 1000).await.unwrap(),
            versions: sqlx::query_as(VERSIONS).fetch_all(&mut db).await.unwrap(),
            submissions: sqlx::query_as(SUBMISSIONS).fetch_all(&mut db).await.unwrap(),
            reported,
            flaws: ledger.flaws().await.unwrap(),
        };
        db.close().await.unwrap();
        audit
    }

    pub(super) fn judge(&self, night: &Night, now: Timestamp, world: &mut World) {
        let mut wrong = |words: String| world.wrong(now, words);
        for flaw in &self.flaws {
            wrong(format!("the ledger is damaged: {flaw}"));
        }
        let sheet: Vec<&str> = night.sheet.iter().map(|(key, _)| key.as_str()).collect();
        let kept: Vec<_> = self.rows.iter().filter_map(|row| row.key.as_deref()).collect();
        if kept != sheet {
            wrong(format!("a row was lost: {kept:?} in the ledger, {sheet:?} in the sheet"));
        }
        if self.reported != sheet {
            wrong(format!("a row was lost: {:?} in the report, {sheet:?} there", self.reported));
        }
        for wrong in self.unpaid_intents(world) {
            world.wrong(now, wrong);
        }
        for wrong in self.rendered_again(world) {
            world.wrong(now, wrong);
        }
        let wanted: BTreeMap<&str, u32> =
            night.sheet.iter().map(|(key, script)| (key.as_str(), *script)).collect();
        for version in self.versions.iter().filter(|version| version.version == version.current) {
            if let Some(wrong) =
                judge_ending(version, &wanted, &night.path("out"), &self.versions, world)
            {
                world.wrong(now, wrong);
            }
        }
    }

    /// Everything that was billed has its intent in the ledger.
    fn unpaid_intents(&self, world: &World) -> Vec<String> {
        let intent = |name: &str| {
            self.submissions
                .iter()
                .find(|submission| name.contains(&format!("[cs:{}]", submission.tag)))
        };
        // Without a tag, any intent of that row must do.
        let is_tagged = world.setup.kind.is_tagged();
        let of_its_row = |bill: &Bill| {
            let paid = |one: &Submission| one.key == bill.content.0 && one.paid_at.is_some();
            self.submissions.iter().any(paid)
        };
        let is_meant = |bill: &&Bill| match is_tagged {
            true => intent(&world.projects[bill.project].name)
                .is_some_and(|intent| intent.paid_at.is_some()),
            false => of_its_row(bill),
        };
        let unmeant = world.bills.iter().filter(|bill| !is_meant(bill));
        unmeant.map(|bill| format!("billed without an intent: {bill:?}")).collect()
    }

    /// What had been rendered, verified and kept is not rendered again, whatever its version.
    fn rendered_again(&self, world: &World) -> Vec<String> {
        let mut wrongs = Vec::new();
        for bill in &world.bills {
            let project = &world.projects[bill.project];
            let paid = |one: &&Submission| project.name.contains(&format!("[cs:{}]", one.tag));
            let Some(submission) = self.submissions.iter().find(paid) else { continue };
            let began = bill.began.as_millisecond();
            let same = self.versions.iter().find(|version| {
                version.key == submission.key
                    && version.payload_hash == submission.payload_hash
                    && version.version != submission.version
                    && version.done_at.is_some_and(|done| done < began)
            });
            if let Some(same) = same {
                wrongs.push(format!("rendered again though version {} was done", same.version));
            }
        }
        wrongs
    }
}

/// A job that is done has its own whole video.
fn judge_ending(
    version: &Version,
    wanted: &BTreeMap<&str, u32>,
    folder: &Path,
    all: &[Version],
    world: &World,
) -> Option<String> {
    let state = State::parse(&version.state)?;
    if state.is_final()
        && state != State::Cancelled
        && let Some(script) = wanted.get(version.key.as_str())
        && !version.cells.contains(&format!("says {script}\""))
    {
        return Some(format!("{} ended as {state} with an old script", version.key));
    }
    let same = |other: &&Version| {
        other.key == version.key
            && other.payload_hash == version.payload_hash
            && other.done_at.is_some()
    };
    let source = match state {
        State::Done => version,
        State::Reused => match all.iter().find(same) {
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
        return Some(format!("{}: `{file}` is not what the ledger says", version.key));
    }
    let bill = number_of(&bytes).and_then(|number| world.bills.get(number));
    let own = bill.is_some_and(|bill| {
        let (key, script, _) = &bill.content;
        *key == version.key && version.cells.contains(script)
    });
    (!own).then(|| format!("{}: `{file}` is not the video that was paid for", version.key))
}

/// Every file under a final name is a whole video of this studio.
pub(super) fn files_are_whole(folder: &Path, now: Timestamp, world: &mut World) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "mp4") {
            continue;
        }
        if number_of(&fs::read(&path).unwrap()).is_none() {
            world.wrong(now, format!("a file is not whole: {}", path.display()));
        }
    }
}

/// A run that ended by itself had nothing left that it could do.
pub(super) fn ending_is_due(
    ending: &Ending,
    orders: &Orders,
    submitted: i64,
    mut wrong: impl FnMut(String),
) {
    if let Some(Halt::Ledger { words } | Halt::Output { words }) = &ending.halt {
        wrong(format!("it tripped over its own ledger or folder: {words}"));
    }
    // Who leaves at once may leave anything behind.
    if ending.halt.is_some() || ending.interrupted || !orders.wait {
        return;
    }
    let jobs = |state| ending.counts.get(&state).copied().unwrap_or(0);
    let under_way = jobs(State::Submitting) + jobs(State::Rendering) + jobs(State::Fetching);
    if under_way > 0 {
        wrong(format!("it ended with {under_way} jobs under way"));
    }
    if jobs(State::Uncertain) > ending.for_people {
        wrong(format!("it did not stay for its uncertain jobs: {ending:?}"));
    }
    if jobs(State::Ready) == 0 || orders.only.is_some() {
        return;
    }
    match (ending.held, orders.limit) {
        (Held::Canary, _) if jobs(State::Uncertain) > 0 => {}
        // Another row of its project waits for a person, even if it left the sheet since.
        (Held::Subject, _) if ending.for_people + jobs(State::Failed) > 0 => {}
        (_, Some(limit)) if submitted >= i64::from(limit) => {}
        (held, _) => wrong(format!("it ended too early: held by {held:?}, {:?}", ending.counts)),
    }
}

/// After enough runs without faults, only what a person must settle is left.
pub(super) fn nothing_is_left(night: &Night, world: &mut World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The last says whether it is still in the sheet: what is paid for holds its project all the same.
    let all: Vec<(String, String, Option<String>, bool)> = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(night.ledger());
        let mut db: SqliteConnection = options.connect().await.unwrap();
        sqlx::query_as("select key, state, words, in_sheet from job")
            .fetch_all(&mut db)
            .await
            .unwrap()
    });
    let now = Timestamp::UNIX_EPOCH;
    let held = all.iter().any(|row| row.1 == "uncertain");
    let rows: Vec<_> = all.into_iter().filter(|row| row.3).collect();
    let with = |state: &str| rows.iter().filter(|row| row.1 == state).count();
    let (uncertain, failed) = (with("uncertain"), with("failed"));
    let in_place = night.setup.kind.subject.is_some();
    for (key, state, words, _) in &rows {
        let fine = match State::parse(state) {
            Some(State::Done | State::Reused) => true,
            Some(State::Failed) => words.is_some(),
            // A list that shows none of our known work is not believed, so a person must look.
            Some(State::Uncertain) => {
                let says = |part| words.as_deref().is_some_and(|words| words.contains(part));
                let blind = !night.setup.kind.is_tagged()
                    && (says("carries no tag") || says("may be an old view"));
                blind || says("proves nothing") || a_person_must_settle(&night.setup)
            }
            Some(State::Ready) => {
                (uncertain > 0 && night.setup.limits.canary > 0)
                    || (in_place && (held || failed > 0))
            }
            Some(State::Submitting | State::Rendering | State::Fetching | State::Cancelled)
            | None => false,
        };
        if !fine {
            world.wrong(now, format!("in the end {key} is {state}: {words:?}"));
        }
    }
}

fn a_person_must_settle(setup: &Setup) -> bool {
    use callsheet::batch::{OnUncertain, Submission};
    match setup.on_uncertain {
        OnUncertain::Settle => setup.way == Submission::OneStep,
        OnUncertain::Resubmit => false,
        OnUncertain::Hold => true,
    }
}
