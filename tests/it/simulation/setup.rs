//! What a seed decides: the batch, its limits, the studio's habits, and which faults befall the
//! night. One random half of the faults is switched off for each seed, so that rare pairs meet.
//!
//! The bounds of the promise are kept here on purpose: what was sent is acted upon, and can be
//! seen, well before the quiet wait is over. The bug zoo shows what happens beyond them.

use std::num::NonZeroU32;
use std::time::Duration;

use callsheet::batch::{
    self, BatchLimits, OnUncertain, SecondExportEffect, SubmissionMode, VendorProfile,
};
use callsheet::request::RequestKind;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SimulatedFault {
    /// The paid or free request never arrived, and nobody knows.
    RequestLost,
    /// It was acted upon, and the answer was lost.
    ResponseLost,
    /// It is acted upon minutes after its answer was lost.
    ActedLate,
    /// No answer until the time-out.
    Hang,
    /// Nothing was sent.
    NotSent,
    /// Declined for good.
    Refused,
    /// Too many requests, at a submission or at a poll.
    SlowDown,
    /// The account, for a while.
    AccountError,
    /// A proxy repeats the free draft: two projects with one tag.
    DuplicateDraft,
    /// A free call brings nothing.
    FreeCallFails,
    /// The list comes incomplete.
    IncompleteList,
    /// A project is not known at first.
    NotVisibleYet,
    /// Progress goes backwards, or says nothing.
    ProgressRegresses,
    /// A render stands still for long, or for ever.
    StuckRender,
    /// The end comes without a link at first.
    MissingLink,
    /// The render fails.
    RenderFails,
    /// Links hold only for seconds.
    LinksExpire,
    /// A download breaks off.
    DownloadBreaks,
    /// A download ends early and says nothing of it.
    DownloadTruncated,
    /// What arrives is no video.
    NotAVideo,
    /// The download host refuses.
    DownloadRefused,
}

impl SimulatedFault {
    const ALL: [Self; 21] = [
        Self::RequestLost,
        Self::ResponseLost,
        Self::ActedLate,
        Self::Hang,
        Self::NotSent,
        Self::Refused,
        Self::SlowDown,
        Self::AccountError,
        Self::DuplicateDraft,
        Self::FreeCallFails,
        Self::IncompleteList,
        Self::NotVisibleYet,
        Self::ProgressRegresses,
        Self::StuckRender,
        Self::MissingLink,
        Self::RenderFails,
        Self::LinksExpire,
        Self::DownloadBreaks,
        Self::DownloadTruncated,
        Self::NotAVideo,
        Self::DownloadRefused,
    ];
}

/// Under which id an export renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SimulatedExportId {
    /// The draft's own.
    Same,
    /// Another; the draft stays as it was.
    New,
}

/// What a second export of one project does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RepeatedExport {
    /// Renders and bills once more.
    Renders,
    /// Nothing, and says yes.
    Nothing,
    /// Is refused.
    Refused,
}

/// What the account's list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListVisibility {
    /// What can be downloaded.
    Finished,
    /// What was exported, finished or not.
    Exported,
    /// Drafts as well.
    Everything,
}

/// How this night's studio behaves when nothing is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct StudioBehavior {
    pub(super) export_id: SimulatedExportId,
    pub(super) repeated_export: RepeatedExport,
    pub(super) list_visibility: ListVisibility,
    /// Until what was made can be seen in the list and by its id.
    pub(super) visibility_lag: Duration,
    pub(super) response_time: Duration,
    pub(super) render_time: (Duration, Duration),
    /// The latest that a request is acted upon whose answer was lost.
    pub(super) act_delay_max: Duration,
}

impl StudioBehavior {
    /// Some of these habits, as a batch file tells of them.
    fn to_vendor_profile(&self, dice: &mut StdRng) -> VendorProfile {
        let mut vendor = VendorProfile::default();
        if dice.random_bool(0.7) {
            vendor.export_id = Some(match self.export_id {
                SimulatedExportId::Same => batch::ExportIdBehavior::Same,
                SimulatedExportId::New => batch::ExportIdBehavior::New,
            });
        }
        if dice.random_bool(0.7) {
            vendor.second_export = match self.repeated_export {
                RepeatedExport::Nothing => SecondExportEffect::Nothing,
                RepeatedExport::Renders | RepeatedExport::Refused => SecondExportEffect::Bills,
            };
        }
        vendor
    }

    /// Tells whether a render leaves no trace before its end once its answer was lost.
    fn leaves_no_trace(&self, way: SubmissionMode, on_uncertain: OnUncertain) -> bool {
        let no_list = self.list_visibility == ListVisibility::Finished;
        let settles_alone = on_uncertain == OnUncertain::Resubmit;
        let two = way == SubmissionMode::TwoStep && self.export_id == SimulatedExportId::New;
        let one = way == SubmissionMode::OneStep && settles_alone;
        no_list && on_uncertain != OnUncertain::Hold && (two || one)
    }
}

/// Everything that one seed decides before the night begins.
#[derive(Clone, Debug)]
pub(super) struct SimulationSetup {
    pub(super) seed: u64,
    /// What is asked for each row.
    pub(super) kind: &'static RequestKind,
    pub(super) rows: usize,
    pub(super) submission_mode: SubmissionMode,
    pub(super) on_uncertain: OnUncertain,
    pub(super) limits: BatchLimits,
    pub(super) behavior: StudioBehavior,
    /// What the batch was told of these habits: nothing, or the truth.
    pub(super) vendor: VendorProfile,
    /// The faults of this night, each with how often it befalls a call.
    pub(super) faults: Vec<(SimulatedFault, f64)>,
    /// Runs with faults, before the fault-free ones.
    pub(super) bad_runs: u32,
    pub(super) crashes: u32,
    /// Whether somebody edits the sheet between runs.
    pub(super) edits_sheet: bool,
    /// Whether runs are asked for some keys, or for so many videos.
    pub(super) varies_run_options: bool,
    /// Whether somebody settles, takes out and tries again by hand between runs.
    pub(super) has_operator: bool,
}

fn seconds(of: u64) -> Duration {
    Duration::from_secs(of)
}

impl SimulationSetup {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let kind = kind_for_seed(seed);
        let mut submission_mode =
            *[SubmissionMode::TwoStep, SubmissionMode::OneStep].choose(&mut dice).unwrap();
        if !kind.can_submit_in_one_step() {
            submission_mode = SubmissionMode::TwoStep;
        }
        let on_uncertain = *[OnUncertain::Settle, OnUncertain::Resubmit, OnUncertain::Hold]
            .choose_weighted(&mut dice, |on| if *on == OnUncertain::Hold { 1 } else { 3 })
            .unwrap();
        let limits = random_limits(&mut dice);
        let mut kinds = SimulatedFault::ALL;
        kinds.shuffle(&mut dice);
        let half = &kinds[..kinds.len() / 2];
        let mut faults: Vec<_> =
            half.iter().map(|fault| (*fault, dice.random_range(0.01..0.3))).collect();
        let behavior =
            random_behavior(&mut dice, limits.settle_after, (submission_mode, on_uncertain));
        if behavior.leaves_no_trace(submission_mode, on_uncertain) {
            // A render that failed or never ends would leave no trace at all.
            faults.retain(|(fault, _)| {
                !matches!(fault, SimulatedFault::RenderFails | SimulatedFault::StuckRender)
            });
        }
        Self {
            seed,
            kind,
            rows: dice.random_range(1..=12),
            submission_mode,
            on_uncertain,
            limits,
            faults,
            bad_runs: dice.random_range(1..=5),
            crashes: if dice.random_bool(0.75) { dice.random_range(1..=6) } else { 0 },
            edits_sheet: dice.random_bool(0.4),
            varies_run_options: dice.random_bool(0.25),
            has_operator: dice.random_bool(0.4),
            vendor: if dice.random_bool(0.4) {
                behavior.to_vendor_profile(&mut dice)
            } else {
                Default::default()
            },
            behavior,
        }
    }

    /// A night on which nothing at all goes wrong.
    pub(super) fn without_faults(seed: u64) -> Self {
        let mut setup = Self::from_seed(seed);
        setup.kind = kind_by_name("project");
        setup.faults.clear();
        (setup.crashes, setup.edits_sheet, setup.varies_run_options, setup.bad_runs) =
            (0, false, false, 1);
        setup.has_operator = false;
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

fn kind_for_seed(seed: u64) -> &'static RequestKind {
    // Dice of its own, so that all else of a seed's night stays what it was.
    kind_by_name(KINDS.choose(&mut StdRng::seed_from_u64(seed ^ 0x6b69_6e64)).unwrap())
}

fn kind_by_name(word: &str) -> &'static RequestKind {
    RequestKind::from_name(word).unwrap()
}

fn random_limits(dice: &mut StdRng) -> BatchLimits {
    let count = |most: u32, dice: &mut StdRng| {
        NonZeroU32::new(dice.random_range(1..=most)).expect("the range begins at one")
    };
    let rate = |rates: &[&str], dice: &mut StdRng| rates.choose(dice).unwrap().parse().unwrap();
    let least = seconds(dice.random_range(1..=5));
    BatchLimits {
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
        ..BatchLimits::default()
    }
}

fn random_behavior(
    dice: &mut StdRng,
    settle_after: Duration,
    (way, on_uncertain): (SubmissionMode, OnUncertain),
) -> StudioBehavior {
    let part = |part: f64, dice: &mut StdRng| settle_after.mul_f64(part * dice.random::<f64>());
    let mut habits = StudioBehavior {
        export_id: *[SimulatedExportId::Same, SimulatedExportId::New].choose(dice).unwrap(),
        repeated_export: *[
            RepeatedExport::Renders,
            RepeatedExport::Renders,
            RepeatedExport::Nothing,
            RepeatedExport::Refused,
        ]
        .choose(dice)
        .unwrap(),
        list_visibility: *[
            ListVisibility::Finished,
            ListVisibility::Exported,
            ListVisibility::Everything,
        ]
        .choose(dice)
        .unwrap(),
        visibility_lag: if dice.random_bool(0.5) { Duration::ZERO } else { part(0.2, dice) },
        response_time: Duration::from_millis(dice.random_range(1..=3000)),
        render_time: (seconds(5), seconds(dice.random_range(20..=1200))),
        act_delay_max: part(0.7, dice),
    };
    if habits.leaves_no_trace(way, on_uncertain) {
        // Its end is then the first thing to be seen: the quiet wait must outlast it.
        habits.act_delay_max = part(0.3, dice);
        habits.render_time.1 = seconds(6).max(settle_after.mul_f64(0.4));
    }
    habits
}
