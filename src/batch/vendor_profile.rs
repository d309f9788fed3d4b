//! `[vendor]`: AI Studios behaviour that its documents leave open.
//!
//! Each open question is one field, with a safe default and the reason for it. The batch file
//! overrides a default directly, or through a file written by `callsheet check --probe`, whose
//! `[measured]` table has the same keys. Nothing is measured here; the runner gives its own
//! observations precedence over this profile.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeValue;

use super::limits::BatchLimits;
use super::rate::Rate;
use super::reader::{SettingProblem, SettingsReader};
use super::value;
use crate::text::format_exact_duration;

pub(super) const SECTION: &str = "vendor";
/// The table of a measured file: the same keys, with the day and the host of the measurement.
pub(super) const MEASURED_SECTION: &str = "measured";

text_enum! {
    /// The projects in the account's list.
    ListContents {
        /// Projects that can be downloaded.
        Finished = "finished",
        /// Exported projects, finished or not.
        Exported = "exported",
        /// All projects, drafts included.
        Everything = "everything",
    }
}

text_enum! {
    /// The project id of an export's render.
    ExportIdBehavior {
        /// The draft's id.
        Same = "same",
        /// A new id.
        New = "new",
    }
}

text_enum! {
    /// The effect of a second export of one project.
    SecondExportEffect {
        /// A second render, which is billed.
        Bills = "bills",
        /// A success response without a render.
        Nothing = "nothing",
    }
}

text_enum! {
    /// Whether drafts are billed.
    DraftBilling {
        /// Drafts are free.
        Free = "free",
        /// Drafts cost credits.
        Cost = "cost",
    }
}

text_enum! {
    /// Whether AI Studios keeps the name of a project.
    ProjectNameHandling {
        /// Unchanged, so the tag is kept.
        Kept = "kept",
        /// Changed, so the tag is lost.
        Changed = "changed",
    }
}

/// The source of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorEntrySource {
    /// The safe default.
    Default,
    /// The batch file.
    BatchFile,
    /// A file measured on this day.
    Measured(String),
}

impl fmt::Display for VendorEntrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BatchFile => f.write_str("batch file"),
            Self::Measured(on) => write!(f, "measured on {on}"),
        }
    }
}

/// The day and host of a measurement, with other observations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementInfo {
    /// The day, as written in the file.
    pub date: String,
    /// The base URL of AI Studios.
    pub host: String,
    /// Observations without effect on a run.
    pub facts: Vec<String>,
}

/// One setting of the profile, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorProfileEntry {
    /// Its key in the batch file.
    pub key: &'static str,
    /// The effective value.
    pub value: String,
    /// The source of the value.
    pub source: VendorEntrySource,
    /// The consequence of the value, or the reason for the default.
    pub rationale: &'static str,
}

/// AI Studios behaviour that its documents leave open.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorProfile {
    /// `file`: a measured file, relative to the batch file.
    pub file: Option<String>,
    /// The origin of the measured values.
    pub measured: Option<MeasurementInfo>,
    /// `done_words`: state words of a finished render, in addition to the built-in ones.
    pub done_words: Vec<String>,
    /// `failed_words`: state words of a failed render.
    pub failed_words: Vec<String>,
    /// `draft_words`: state words of a project that was never exported.
    pub draft_words: Vec<String>,
    /// `list`; default: as observed in each list.
    pub list: Option<ListContents>,
    /// `list_lag`: the longest time until an accepted project is in the list.
    pub list_lag: Option<Duration>,
    /// `export_id`; default: as observed in this batch.
    pub export_id: Option<ExportIdBehavior>,
    /// `second_export`; default [`SecondExportEffect::Bills`].
    pub second_export: SecondExportEffect,
    /// `drafts`; default [`DraftBilling::Free`].
    pub drafts: DraftBilling,
    /// `names`; default [`ProjectNameHandling::Kept`].
    pub names: ProjectNameHandling,
    /// `plain_links`: whether videos are downloaded over plain http, too; default no.
    pub plain_links: bool,
    /// `requests`: the account's rate limit for all requests.
    pub requests: Option<Rate>,
    /// `submits`: the account's rate limit for requests that start a render.
    pub submits: Option<Rate>,
    /// `in_flight`: the account's limit of concurrent renders.
    pub in_flight: Option<NonZeroU32>,
    sources: BTreeMap<&'static str, VendorEntrySource>,
}

impl Default for VendorProfile {
    fn default() -> Self {
        Self {
            file: None,
            measured: None,
            done_words: Vec::new(),
            failed_words: Vec::new(),
            draft_words: Vec::new(),
            list: None,
            list_lag: None,
            export_id: None,
            second_export: SecondExportEffect::Bills,
            drafts: DraftBilling::Free,
            names: ProjectNameHandling::Kept,
            plain_links: false,
            requests: None,
            submits: None,
            in_flight: None,
            sources: BTreeMap::new(),
        }
    }
}

/// Reads each key from the batch file, or else from the measured table, and records the source.
struct VendorProfileReader<'a, 't> {
    reader: &'a mut SettingsReader<'t>,
    measured_on: Option<String>,
    sources: BTreeMap<&'static str, VendorEntrySource>,
}

impl<'t> VendorProfileReader<'_, 't> {
    fn get<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        let measured = self.reader.get(MEASURED_SECTION, key, &read);
        let own = self.reader.get(SECTION, key, &read);
        let source = match (&own, &measured, &self.measured_on) {
            (Some(_), _, _) => VendorEntrySource::BatchFile,
            (None, Some(_), Some(on)) => VendorEntrySource::Measured(on.clone()),
            (None, Some(_), None) => VendorEntrySource::Measured("an unknown day".to_owned()),
            (None, None, _) => return None,
        };
        self.sources.insert(key, source);
        own.or(measured)
    }
}

impl VendorProfile {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Self {
        let defaults = Self::default();
        let file = reader.get(SECTION, "file", value::parse_text);
        let measured = read_measured(reader);
        let measured_on = measured.as_ref().map(|measured| measured.date.clone());
        let mut settings = VendorProfileReader { reader, measured_on, sources: BTreeMap::new() };
        let mut profile = Self {
            file,
            measured,
            done_words: settings.get("done_words", parse_state_words).unwrap_or_default(),
            failed_words: settings.get("failed_words", parse_state_words).unwrap_or_default(),
            draft_words: settings.get("draft_words", parse_state_words).unwrap_or_default(),
            list: settings.get("list", |value| value::parse_choice(ListContents::CHOICES)(value)),
            list_lag: settings.get("list_lag", value::parse_duration),
            export_id: settings
                .get("export_id", |value| value::parse_choice(ExportIdBehavior::CHOICES)(value)),
            second_export: settings
                .get("second_export", |value| {
                    value::parse_choice(SecondExportEffect::CHOICES)(value)
                })
                .unwrap_or(defaults.second_export),
            drafts: settings
                .get("drafts", |value| value::parse_choice(DraftBilling::CHOICES)(value))
                .unwrap_or(defaults.drafts),
            names: settings
                .get("names", |value| value::parse_choice(ProjectNameHandling::CHOICES)(value))
                .unwrap_or(defaults.names),
            plain_links: settings
                .get("plain_links", value::parse_flag)
                .unwrap_or(defaults.plain_links),
            requests: settings.get("requests", value::parse_rate),
            submits: settings.get("submits", value::parse_rate),
            in_flight: settings.get("in_flight", value::parse_positive_count),
            sources: BTreeMap::new(),
        };
        profile.sources = settings.sources;
        profile.reject_ambiguous_words(reader);
        profile
    }

    /// Rejects a state word with two meanings.
    fn reject_ambiguous_words(&self, reader: &mut SettingsReader<'_>) {
        let lists = [
            ("done_words", &self.done_words),
            ("failed_words", &self.failed_words),
            ("draft_words", &self.draft_words),
        ];
        for (index, (key, words)) in lists.iter().enumerate() {
            for (other, others) in &lists[..index] {
                let Some(word) = words.iter().find(|word| others.contains(word)) else { continue };
                let problem = SettingProblem::new(format!("and `{other}` both contain `{word}`"));
                let section = if reader.has_key(SECTION, key) { SECTION } else { MEASURED_SECTION };
                reader.reject_value(
                    section,
                    key,
                    problem.with_help("remove the state word from one of the two"),
                );
            }
        }
    }

    /// Lowers the limits of a batch to those of the account, and raises its quiet wait to twice the
    /// lag of the list.
    pub(super) fn clamp_limits(&self, limits: BatchLimits) -> BatchLimits {
        let slower = |rate: Rate, most: Option<Rate>| most.map_or(rate, |most| rate.slower(most));
        let in_flight = self.in_flight.map_or(limits.in_flight, |most| most.min(limits.in_flight));
        let wait = self.list_lag.unwrap_or_default() * 2;
        BatchLimits {
            requests: slower(limits.requests, self.requests),
            submits: slower(limits.submits, self.submits),
            in_flight,
            settle_after: limits.settle_after.max(wait),
            ..limits
        }
    }

    /// Returns whether a limit of the batch has its value because of this profile.
    pub fn is_binding_for(&self, limits: &BatchLimits, name: &str) -> bool {
        match name {
            "requests" => self.requests == Some(limits.requests),
            "submits" => self.submits == Some(limits.submits),
            "in_flight" => self.in_flight == Some(limits.in_flight),
            "settle_after" => self.list_lag.is_some_and(|lag| lag * 2 == limits.settle_after),
            _ => false,
        }
    }

    /// Returns all settings for display, with their sources and rationales.
    pub fn entries(&self) -> Vec<VendorProfileEntry> {
        // No `..`: a setting that is added must be displayed.
        let Self {
            file: _,
            measured: _,
            done_words,
            failed_words,
            draft_words,
            list,
            list_lag,
            export_id,
            second_export,
            drafts,
            names,
            plain_links,
            requests,
            submits,
            in_flight,
            sources,
        } = self;
        let source = |key: &str| sources.get(key).cloned().unwrap_or(VendorEntrySource::Default);
        let list_words = |words: &[String]| {
            if words.is_empty() { "no extra words".to_owned() } else { words.join(", ") }
        };
        let not_known = || "not known".to_owned();
        let rate = |rate: &Option<Rate>| rate.map_or_else(not_known, |rate| rate.to_string());
        let entry = |key: &'static str, value: String, rationale: &'static str| {
            VendorProfileEntry { key, value, source: source(key), rationale }
        };
        let mut entries = vec![
            entry("done_words", list_words(done_words), DONE_WORDS),
            entry("failed_words", list_words(failed_words), FAILED_WORDS),
            entry("draft_words", list_words(draft_words), DRAFT_WORDS),
            entry("list", list.map_or_else(not_known, |list| list.to_string()), LIST),
            entry("list_lag", list_lag.map_or_else(not_known, format_exact_duration), LIST_LAG),
            entry("export_id", export_id.map_or_else(not_known, |id| id.to_string()), EXPORT_ID),
            entry("second_export", second_export.to_string(), SECOND_EXPORT),
            entry("drafts", drafts.to_string(), DRAFTS),
            entry("names", names.to_string(), NAMES),
            entry("requests", rate(requests), RATES),
            entry("submits", rate(submits), RATES),
            entry("in_flight", in_flight.map_or_else(not_known, |most| most.to_string()), RATES),
        ];
        // Only where it is set: it is no open question, but a risk that the user has accepted.
        if *plain_links {
            entries.push(entry("plain_links", "true".to_owned(), PLAIN_LINKS));
        }
        entries
    }
}

const DONE_WORDS: &str =
    "built in: exported, finish, finished, complete, completed; the link decides";
const FAILED_WORDS: &str = "built in: `cancelled`, `*fail*`, `*error*`; others mean in progress";
const DRAFT_WORDS: &str = "built in: draft, created, new and similar; others indicate an export";
const LIST: &str = "presence is proof; with `finished`, absence proves little";
const LIST_LAG: &str = "the quiet wait is at least twice as long";
const EXPORT_ID: &str = "both are tracked; without a tag, a batch waits until it is observed";
const SECOND_EXPORT: &str = "the expensive assumption; with `nothing`, a lost export is resent";
const DRAFTS: &str = "not documented; with `cost`, a lost draft is not made again";
const NAMES: &str = "with `kept`, a lost request is found by the tag in the name";
const PLAIN_LINKS: &str = "with `true`, a network can read and replace the videos on their way";
const RATES: &str = "not documented; the lower of this and `[limits]` applies";

fn read_measured(reader: &mut SettingsReader<'_>) -> Option<MeasurementInfo> {
    if !reader.has_table(MEASURED_SECTION) {
        return None;
    }
    let on = reader.get_required_in(MEASURED_SECTION, "on", "2026-11-21", value::parse_text);
    let example = "https://app.aistudios.com";
    let host = reader.get_required_in(MEASURED_SECTION, "host", example, value::parse_text);
    let facts = reader.get(MEASURED_SECTION, "facts", value::parse_text_list).unwrap_or_default();
    Some(MeasurementInfo { date: on?, host: host?, facts })
}

/// Parses state words, in the form for comparison.
fn parse_state_words(value: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let words = value::parse_text_list(value)?;
    Ok(words.into_iter().map(|word| word.trim().to_lowercase()).collect())
}
