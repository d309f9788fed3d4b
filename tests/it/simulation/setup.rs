//! What a seed decides: the batch, its limits, the studio's habits, and which faults befall the
//! night. One random half of the faults is switched off for each seed, so that rare pairs meet.
//!
//! The bounds of the promise are kept here on purpose: what was sent is acted upon, and can be
//! seen, well before the quiet wait is over. The bug zoo shows what happens beyond them.

use std::num::NonZeroU32;
use std::time::Duration;

use callsheet::batch::{self, Limits, OnUncertain, SecondExport, Submission, VendorProfile};
use callsheet::request::Kind;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The paid or free request never arrived, and nobody knows.
    LostBefore,
    /// It was acted upon, and the answer was lost.
    LostAfter,
    /// It is acted upon minutes after its answer was lost.
    Late,
    /// No answer until the time-out.
    Hang,
    /// Nothing was sent.
    NotSent,
    /// Declined for good.
    Refused,
    /// Too many requests, at a submission or at a poll.
    SlowDown,
    /// The account, for a while.
    Account,
    /// A proxy repeats the free draft: two projects with one tag.
    Twice,
    /// A free call brings nothing.
    FreeFails,
    /// The list comes incomplete.
    HalfList,
    /// A project is not known at first.
    NotThereYet,
    /// Progress goes backwards, or says nothing.
    Regress,
    /// A render stands still for long, or for ever.
    Stuck,
    /// The end comes without a link at first.
    NoLink,
    /// The render fails.
    RenderFails,
    /// Links hold only for seconds.
    LinksExpire,
    /// A download breaks off.
    Cut,
    /// A download ends early and says nothing of it.
    Short,
    /// What arrives is no video.
    Damaged,
    /// The download host refuses.
    FetchRefused,
}

impl Fault {
    const ALL: [Self; 21] = [
        Self::LostBefore,
        Self::LostAfter,
        Self::Late,
        Self::Hang,
        Self::NotSent,
        Self::Refused,
        Self::SlowDown,
        Self::Account,
        Self::Twice,
        Self::FreeFails,
        Self::HalfList,
        Self::NotThereYet,
        Self::Regress,
        Self::Stuck,
        Self::NoLink,
        Self::RenderFails,
        Self::LinksExpire,
        Self::Cut,
        Self::Short,
        Self::Damaged,
        Self::FetchRefused,
    ];
}

/// Under which id an export renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportId {
    /// The draft's own.
    Same,
    /// Another; the draft stays as it was.
    New,
}

/// What a second export of one project does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Renders and bills once more.
    Renders,
    /// Nothing, and says yes.
    Nothing,
    /// Is refused.
    Refused,
}

/// What the account's list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// What can be downloaded.
    Finished,
    /// What was exported, finished or not.
    Exported,
    /// Drafts as well.
    Everything,
}

/// How this night's studio behaves when nothing is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    pub(super) export_id: ExportId,
    pub(super) again: Again,
    pub(super) shows: Shows,
    /// Until what was made can be seen in the list and by its id.
    pub(super) lag: Duration,
    pub(super) answers_in: Duration,
    pub(super) renders_in: (Duration, Duration),
    /// The latest that a request is acted upon whose answer was lost.
    pub(super) late_max: Duration,
}

impl Habits {
    /// Some of these habits, as a batch file tells of them.
    fn told(&self, dice: &mut StdRng) -> VendorProfile {
        let mut vendor = VendorProfile::default();
        if dice.random_bool(0.7) {
            vendor.export_id = Some(match self.export_id {
                ExportId::Same => batch::ExportId::Same,
                ExportId::New => batch::ExportId::New,
            });
        }
        if dice.random_bool(0.7) {
            vendor.second_export = match self.again {
                Again::Nothing => SecondExport::Nothing,
                Again::Renders | Again::Refused => SecondExport::Bills,
            };
        }
        vendor
    }

    /// Tells whether a render leaves no trace before its end once its answer was lost.
    fn is_blind(&self, way: Submission, on_uncertain: OnUncertain) -> bool {
        let no_list = self.shows == Shows::Finished;
        let settles_alone = on_uncertain == OnUncertain::Resubmit;
        let two = way == Submission::TwoStep && self.export_id == ExportId::New;
        let one = way == Submission::OneStep && settles_alone;
        no_list && on_uncertain != OnUncertain::Hold && (two || one)
    }
}

/// Everything that one seed decides before the night begins.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    /// What is asked for each row.
    pub(super) kind: &'static Kind,
    pub(super) rows: usize,
    pub(super) way: Submission,
    pub(super) on_uncertain: OnUncertain,
    pub(super) limits: Limits,
    pub(super) habits: Habits,
    /// What the batch was told of these habits: nothing, or the truth.
    pub(super) vendor: VendorProfile,
    /// The faults of this night, each with how often it befalls a call.
    pub(super) faults: Vec<(Fault, f64)>,
    /// Runs with faults, before the fault-free ones.
    pub(super) bad_runs: u32,
    pub(super) crashes: u32,
    /// Whether somebody edits the sheet between runs.
    pub(super) edits: bool,
    /// Whether runs are asked for some keys, or for so many videos.
    pub(super) orders: bool,
    /// Whether somebody settles, takes out and tries again by hand between runs.
    pub(super) person: bool,
}

fn seconds(of: u64) -> Duration {
    Duration::from_secs(of)
}

impl Setup {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let kind = kind(seed);
        let mut way = *[Submission::TwoStep, Submission::OneStep].choose(&mut dice).unwrap();
        if !kind.renders_at_once() {
            way = Submission::TwoStep;
        }
        let on_uncertain = *[OnUncertain::Settle, OnUncertain::Resubmit, OnUncertain::Hold]
            .choose_weighted(&mut dice, |on| if *on == OnUncertain::Hold { 1 } else { 3 })
            .unwrap();
        let limits = limits(&mut dice);
        let mut kinds = Fault::ALL;
        kinds.shuffle(&mut dice);
        let half = &kinds[..kinds.len() / 2];
        let mut faults: Vec<_> =
            half.iter().map(|fault| (*fault, dice.random_range(0.01..0.3))).collect();
        let habits = habits(&mut dice, limits.settle_after, (way, on_uncertain));
        if habits.is_blind(way, on_uncertain) {
            // A render that failed or never ends would leave no trace at all.
            faults.retain(|(fault, _)| !matches!(fault, Fault::RenderFails | Fault::Stuck));
        }
        Self {
            seed,
            kind,
            rows: dice.random_range(1..=12),
            way,
            on_uncertain,
            limits,
            faults,
            bad_runs: dice.random_range(1..=5),
            crashes: if dice.random_bool(0.75) { dice.random_range(1..=6) } else { 0 },
            edits: dice.random_bool(0.4),
            orders: dice.random_bool(0.25),
            person: dice.random_bool(0.4),
            vendor: if dice.random_bool(0.4) { habits.told(&mut dice) } else { Default::default() },
            habits,
        }
    }

    /// A night on which nothing at all goes wrong.
    pub(super) fn fair(seed: u64) -> Self {
        let mut setup = Self::of(seed);
        setup.kind = named("project");
        setup.faults.clear();
        (setup.crashes, setup.edits, setup.orders, setup.bad_runs) = (0, false, false, 1);
        setup.person = false;
        setup
    }
}

/// Half of all nights are of whole projects; the others are of one of four kinds each.
const KINDS: [&str; 8] = [
    "project",
    "project",
    "project",
    "project",
    "template",
    "scripts-to-video",
    "simple-video",
    "edit-project",
];

fn kind(seed: u64) -> &'static Kind {
    // Dice of its own, so that all else of a seed's night stays what it was.
    named(KINDS.choose(&mut StdRng::seed_from_u64(seed ^ 0x6b69_6e64)).unwrap())
}

fn named(word: &str) -> &'static Kind {
    Kind::named(word).unwrap()
}

fn limits(dice: &mut StdRng) -> Limits {
    let count = |most: u32, dice: &mut StdRng| {
        NonZeroU32::new(dice.random_range(1..=most)).expect("the range begins at one")
    };
    let rate = |rates: &[&str], dice: &mut StdRng| rates.choose(dice).unwrap().parse().unwrap();
    let least = seconds(dice.random_range(1..=5));
    Limits {
        requests: rate(&["unlimited", "600/min", "120/min", "20/min"], dice),
        submits: rate(&["unlimited", "unlimited", "30/min", "6/min"], dice),
        in_flight: count(6, dice),
        canary: dice.random_range(0..=3),
        downloads: count(3, dice),
        request_timeout: seconds(30),
        poll_min: seconds(3),
        poll_max: seconds(60),
        settle_after: seconds(dice.random_range(120..=1200)),
        stall_after: seconds(dice.random_range(60..=600)),
        render_timeout: seconds(dice.random_range(1500..=4000)),
        backoff_min: least,
        backoff_max: least + seconds(dice.random_range(1..=100)),
        submit_retries: dice.random_range(0..=8),
        rerenders: dice.random_range(0..=2),
        fetch_retries: dice.random_range(1..=8),
        halt_after: count(6, dice),
        ..Limits::default()
    }
}

fn habits(
    dice: &mut StdRng,
    settle_after: Duration,
    (way, on_uncertain): (Submission, OnUncertain),
) -> Habits {
    let part = |part: f64, dice: &mut StdRng| settle_after.mul_f64(part * dice.random::<f64>());
    let mut habits = Habits {
        export_id: *[ExportId::Same, ExportId::New].choose(dice).unwrap(),
        again: *[Again::Renders, Again::Renders, Again::Nothing, Again::Refused]
            .choose(dice)
            .unwrap(),
        shows: *[Shows::Finished, Shows::Exported, Shows::Everything].choose(dice).unwrap(),
        lag: if dice.random_bool(0.5) { Duration::ZERO } else { part(0.2, dice) },
        answers_in: Duration::from_millis(dice.random_range(1..=3000)),
        renders_in: (seconds(5), seconds(dice.random_range(20..=1200))),
        late_max: part(0.7, dice),
    };
    if habits.is_blind(way, on_uncertain) {
        // Its end is then the first thing to be seen: the quiet wait must outlast it.
        habits.late_max = part(0.3, dice);
        habits.renders_in.1 = seconds(6).max(settle_after.mul_f64(0.4));
    }
    habits
}
