//! The setup that a seed determines: the batch, its limits, the studio's behavior and the injected
//! faults. A random half of the faults is off for each seed, so that rare pairs occur together.
//!
//! The setup keeps within the documented bounds on purpose: requests take effect, and become visible,
//! well before the quiet wait is over. The seeded bugs show what happens beyond these bounds.

use std::num::NonZeroU32;
use std::time::Duration;

use callsheet::batch::{
    self, BatchLimits, OnUncertain, SecondExportEffect, SubmissionMode, VendorProfile,
};
use callsheet::request::RequestKind;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// A fault that is injected into a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SimulatedFault {
    /// The request never arrives, and there is no response.
    RequestLost,
    /// The request takes effect, and the response is lost.
    ResponseLost,
    /// The request takes effect minutes after its response was lost.
    ActedLate,
    /// No response until the timeout.
    Hang,
    /// The request is not sent.
    NotSent,
    /// The request is refused for good.
    Refused,
    /// Too many requests, at a submission or at a poll.
    SlowDown,
    /// The account is blocked for a while.
    AccountError,
    /// A proxy repeats the draft's request: two projects carry one tag.
    DuplicateDraft,
    /// A free call fails.
    FreeCallFails,
    /// The list is incomplete.
    IncompleteList,
    /// A project is not known at first.
    NotVisibleYet,
    /// Progress goes backwards, or is missing.
    ProgressRegresses,
    /// A render stalls, for long or permanently.
    StuckRender,
    /// A finished render has no link at first.
    MissingLink,
    /// The render fails.
    RenderFails,
    /// Links expire within seconds.
    LinksExpire,
    /// A download breaks off.
    DownloadBreaks,
    /// A download ends early without an error.
    DownloadTruncated,
    /// The downloaded file is not a video.
    NotAVideo,
    /// The download host refuses.
    DownloadRefused,
    /// An export takes effect, and is declined all the same. Its project, or the list, shows it before
    /// the decline is believed.
    DeclinedAfterWork,
    /// An export is declined because its draft is not known yet.
    DraftNotKnownYet,
    /// A poll reports a render as failed, and the next one that it continues.
    FalseFailure,
    /// The list shows only a page, and does not say so.
    PagedList,
    /// The names in the list are escaped, tags included.
    EscapedList,
    /// A response is that of the request before.
    CrossedResponse,
    /// A user copies a project, and exports the copy.
    CopiedProject,
}

impl SimulatedFault {
    const ALL: [Self; 28] = [
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
        Self::DeclinedAfterWork,
        Self::DraftNotKnownYet,
        Self::FalseFailure,
        Self::PagedList,
        Self::EscapedList,
        Self::CrossedResponse,
        Self::CopiedProject,
    ];

    /// Returns whether a list may hide a project, and shows all that the ledger knows.
    fn hides_projects_silently(self) -> bool {
        matches!(self, Self::PagedList | Self::EscapedList)
    }
}

/// The id under which an export renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SimulatedExportId {
    /// The draft's id.
    Same,
    /// A new id; the draft remains unchanged.
    New,
}

/// The effect of a second export of one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RepeatedExport {
    /// Renders and bills once more.
    Renders,
    /// None, although it is accepted.
    Nothing,
    /// It is refused.
    Refused,
}

/// The projects that the account's list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListVisibility {
    /// Finished projects.
    Finished,
    /// Exported projects, finished or not.
    Exported,
    /// Drafts as well.
    Everything,
}

/// The studio's behavior without faults.
#[derive(Clone, Debug)]
pub(super) struct StudioBehavior {
    pub(super) export_id: SimulatedExportId,
    pub(super) repeated_export: RepeatedExport,
    pub(super) list_visibility: ListVisibility,
    /// The delay until a project is visible in the list and by its id.
    pub(super) visibility_lag: Duration,
    pub(super) response_time: Duration,
    pub(super) render_time: (Duration, Duration),
    /// The longest delay until a request takes effect whose response was lost.
    pub(super) act_delay_max: Duration,
}

impl StudioBehavior {
    /// Returns a vendor profile that states a part of this behavior.
    fn to_vendor_profile(&self, rng: &mut StdRng) -> VendorProfile {
        let mut vendor = VendorProfile::default();
        if rng.random_bool(0.7) {
            vendor.export_id = Some(match self.export_id {
                SimulatedExportId::Same => batch::ExportIdBehavior::Same,
                SimulatedExportId::New => batch::ExportIdBehavior::New,
            });
        }
        if rng.random_bool(0.7) {
            vendor.second_export = match self.repeated_export {
                RepeatedExport::Nothing => SecondExportEffect::Nothing,
                RepeatedExport::Renders | RepeatedExport::Refused => SecondExportEffect::Bills,
            };
        }
        vendor
    }

    /// Returns whether an export is visible before a decline of it is believed, in the project itself or
    /// under another id in the list.
    fn shows_declined_exports(&self, confirm_after: Duration) -> bool {
        let is_shown = self.export_id == SimulatedExportId::Same
            || self.list_visibility != ListVisibility::Finished;
        is_shown && self.visibility_lag + self.response_time < confirm_after
    }

    /// Returns whether a render is invisible until its end once its response was lost.
    fn leaves_no_trace(&self, mode: SubmissionMode, on_uncertain: OnUncertain) -> bool {
        let no_list = self.list_visibility == ListVisibility::Finished;
        let settles_alone = on_uncertain == OnUncertain::Resubmit;
        let two = mode == SubmissionMode::TwoStep && self.export_id == SimulatedExportId::New;
        let one = mode == SubmissionMode::OneStep && settles_alone;
        no_list && on_uncertain != OnUncertain::Hold && (two || one)
    }
}

/// Everything that a seed determines before the simulation.
#[derive(Clone, Debug)]
pub(super) struct SimulationSetup {
    pub(super) seed: u64,
    /// The kind of request of every row.
    pub(super) kind: &'static RequestKind,
    pub(super) rows: usize,
    pub(super) submission_mode: SubmissionMode,
    pub(super) on_uncertain: OnUncertain,
    pub(super) limits: BatchLimits,
    pub(super) behavior: StudioBehavior,
    /// The batch's vendor profile: empty, or true.
    pub(super) vendor: VendorProfile,
    /// The injected faults, each with its probability per call.
    pub(super) faults: Vec<(SimulatedFault, f64)>,
    /// The number of runs with faults, before those without.
    pub(super) bad_runs: u32,
    pub(super) crashes: u32,
    /// Whether the sheet is edited between runs.
    pub(super) edits_sheet: bool,
    /// Whether runs select keys, or limit the number of videos.
    pub(super) varies_run_options: bool,
    /// Whether the operator resolves, cancels and retries jobs between runs.
    pub(super) has_operator: bool,
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl SimulationSetup {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let kind = kind_for_seed(seed);
        let mut submission_mode =
            *[SubmissionMode::TwoStep, SubmissionMode::OneStep].choose(&mut rng).unwrap();
        if !kind.can_submit_in_one_step() {
            submission_mode = SubmissionMode::TwoStep;
        }
        let on_uncertain = *[OnUncertain::Settle, OnUncertain::Resubmit, OnUncertain::Hold]
            .choose_weighted(&mut rng, |on| if *on == OnUncertain::Hold { 1 } else { 3 })
            .unwrap();
        let limits = random_limits(&mut rng);
        let mut kinds = SimulatedFault::ALL;
        kinds.shuffle(&mut rng);
        let half = &kinds[..kinds.len() / 2];
        let mut faults: Vec<_> =
            half.iter().map(|fault| (*fault, rng.random_range(0.01..0.3))).collect();
        let behavior =
            random_behavior(&mut rng, limits.settle_after, submission_mode, on_uncertain);
        // Without a tag, a project under the wrong row cannot be recognized.
        faults.retain(|(fault, _)| kind.is_tagged() || *fault != SimulatedFault::CrossedResponse);
        let list_hides = faults.iter().any(|(fault, _)| fault.hides_projects_silently());
        let is_hidden = list_hides && behavior.export_id == SimulatedExportId::New;
        if is_hidden || !behavior.shows_declined_exports(limits.confirm_after) {
            faults.retain(|(fault, _)| *fault != SimulatedFault::DeclinedAfterWork);
        }
        if behavior.leaves_no_trace(submission_mode, on_uncertain) {
            // A render that fails or never ends would remain invisible.
            faults.retain(|(fault, _)| {
                !matches!(fault, SimulatedFault::RenderFails | SimulatedFault::StuckRender)
            });
        }
        Self {
            seed,
            kind,
            rows: rng.random_range(1..=12),
            submission_mode,
            on_uncertain,
            limits,
            faults,
            bad_runs: rng.random_range(1..=5),
            crashes: if rng.random_bool(0.75) { rng.random_range(1..=6) } else { 0 },
            edits_sheet: rng.random_bool(0.4),
            varies_run_options: rng.random_bool(0.25),
            has_operator: rng.random_bool(0.4),
            vendor: if rng.random_bool(0.4) {
                behavior.to_vendor_profile(&mut rng)
            } else {
                Default::default()
            },
            behavior,
        }
    }

    /// A setup without any fault.
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

/// Half of all seeds use whole projects; the others use one of four other kinds.
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
    // A separate random source, so that everything else of a seed stays the same.
    kind_by_name(KINDS.choose(&mut StdRng::seed_from_u64(seed ^ 0x6b69_6e64)).unwrap())
}

pub(super) fn kind_by_name(name: &str) -> &'static RequestKind {
    RequestKind::from_name(name).unwrap()
}

fn random_limits(rng: &mut StdRng) -> BatchLimits {
    let count = |most: u32, rng: &mut StdRng| {
        NonZeroU32::new(rng.random_range(1..=most)).expect("the range begins at one")
    };
    let rate = |rates: &[&str], rng: &mut StdRng| rates.choose(rng).unwrap().parse().unwrap();
    let least = seconds(rng.random_range(1..=5));
    BatchLimits {
        requests: rate(&["unlimited", "600/min", "120/min", "20/min"], rng),
        submits: rate(&["unlimited", "unlimited", "30/min", "6/min"], rng),
        in_flight: count(6, rng),
        canary: rng.random_range(0..=3),
        downloads: count(3, rng),
        request_timeout: seconds(30),
        poll_min: seconds(3),
        poll_max: seconds(60),
        settle_after: seconds(rng.random_range(120..=1200)),
        stall_after: seconds(rng.random_range(60..=600)),
        render_timeout: seconds(rng.random_range(1500..=4000)),
        backoff_min: least,
        backoff_max: least + seconds(rng.random_range(1..=100)),
        submit_retries: rng.random_range(0..=8),
        rerenders: rng.random_range(0..=2),
        fetch_retries: rng.random_range(1..=8),
        halt_after: count(6, rng),
        ..BatchLimits::default()
    }
}

fn random_behavior(
    rng: &mut StdRng,
    settle_after: Duration,
    mode: SubmissionMode,
    on_uncertain: OnUncertain,
) -> StudioBehavior {
    let part = |part: f64, rng: &mut StdRng| settle_after.mul_f64(part * rng.random::<f64>());
    let mut behavior = StudioBehavior {
        export_id: *[SimulatedExportId::Same, SimulatedExportId::New].choose(rng).unwrap(),
        repeated_export: *[
            RepeatedExport::Renders,
            RepeatedExport::Renders,
            RepeatedExport::Nothing,
            RepeatedExport::Refused,
        ]
        .choose(rng)
        .unwrap(),
        list_visibility: *[
            ListVisibility::Finished,
            ListVisibility::Exported,
            ListVisibility::Everything,
        ]
        .choose(rng)
        .unwrap(),
        visibility_lag: if rng.random_bool(0.5) { Duration::ZERO } else { part(0.2, rng) },
        response_time: Duration::from_millis(rng.random_range(1..=3000)),
        render_time: (seconds(5), seconds(rng.random_range(20..=1200))),
        act_delay_max: part(0.7, rng),
    };
    if behavior.leaves_no_trace(mode, on_uncertain) {
        // Its end is then the first visible sign, so the quiet wait must be longer than the render.
        behavior.act_delay_max = part(0.3, rng);
        behavior.render_time.1 = seconds(6).max(settle_after.mul_f64(0.4));
    }
    behavior
}
