//! `[vendor]`: what AI Studios does where its documents are silent.
//!
//! Every such question that the program has to answer is one field here, with what is assumed until
//! somebody knows better and why that is the careful answer. Who knows better says so in the batch
//! file, or names a file that `callsheet check --probe` wrote, whose `[measured]` table has the same
//! keys. Nothing is measured here, and what a run sees with its own eyes weighs more than any of
//! this: that is the runner's work.

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
/// What a measured file holds: the same keys, and when and where they were measured.
pub(super) const MEASURED_SECTION: &str = "measured";

text_enum! {
    /// Which projects the account's list shows.
    ListContents {
        /// Those that can be downloaded.
        Finished = "finished",
        /// Those that were exported, finished or not.
        Exported = "exported",
        /// Drafts as well.
        Everything = "everything",
    }
}

text_enum! {
    /// Under which id an export renders.
    ExportIdBehavior {
        /// The draft's own.
        Same = "same",
        /// Another.
        New = "new",
    }
}

text_enum! {
    /// What a second export of one project does.
    SecondExportEffect {
        /// Renders, and costs, once more.
        Bills = "bills",
        /// Says yes, and renders nothing.
        Nothing = "nothing",
    }
}

text_enum! {
    /// Whether a draft costs anything.
    DraftBilling {
        /// Nothing.
        Free = "free",
        /// Something.
        Cost = "cost",
    }
}

text_enum! {
    /// Whether a project's name comes back as it was sent.
    ProjectNameHandling {
        /// As it was, with the tag in it.
        Kept = "kept",
        /// Not so, and the tag is lost.
        Changed = "changed",
    }
}

/// Where an answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorEntrySource {
    /// Nobody said anything: the careful answer.
    Default,
    /// The batch file.
    BatchFile,
    /// A measured file of this day.
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

/// When and where answers were measured, and what else was seen then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementInfo {
    /// The day, as the file says it.
    pub date: String,
    /// The address of AI Studios.
    pub host: String,
    /// What was seen and decides nothing.
    pub facts: Vec<String>,
}

/// One question with its answer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorProfileEntry {
    /// Its key in the batch file.
    pub key: &'static str,
    /// What holds.
    pub value: String,
    /// Who says so.
    pub source: VendorEntrySource,
    /// What follows from it, or why it is assumed.
    pub rationale: &'static str,
}

/// What AI Studios does where its documents are silent, as far as anybody said.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorProfile {
    /// `file`: a measured file, relative to the batch file.
    pub file: Option<String>,
    /// What that file says of itself.
    pub measured: Option<MeasurementInfo>,
    /// `done_words`: words for a finished render, besides those that are known.
    pub done_words: Vec<String>,
    /// `failed_words`: words for a failed one.
    pub failed_words: Vec<String>,
    /// `draft_words`: words that a project which was never exported shows.
    pub draft_words: Vec<String>,
    /// `list`; without it, what each look shows.
    pub list: Option<ListContents>,
    /// `list_lag`: the longest until an accepted project is in the list.
    pub list_lag: Option<Duration>,
    /// `export_id`; without it, what this batch has seen.
    pub export_id: Option<ExportIdBehavior>,
    /// `second_export`; default [`SecondExport::Bills`].
    pub second_export: SecondExportEffect,
    /// `drafts`; default [`Drafts::Free`].
    pub drafts: DraftBilling,
    /// `names`; default [`Names::Kept`].
    pub names: ProjectNameHandling,
    /// `requests`: all calls that the account may make.
    pub requests: Option<Rate>,
    /// `submits`: the calls among them that start a render.
    pub submits: Option<Rate>,
    /// `in_flight`: the renders that the account may have under way.
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
            requests: None,
            submits: None,
            in_flight: None,
            sources: BTreeMap::new(),
        }
    }
}

/// Reads each key from the batch file, or else from what was measured, and notes from which.
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
        let said = self.reader.get(SECTION, key, &read);
        let source = match (&said, &measured, &self.measured_on) {
            (Some(_), _, _) => VendorEntrySource::BatchFile,
            (None, Some(_), Some(on)) => VendorEntrySource::Measured(on.clone()),
            (None, Some(_), None) => VendorEntrySource::Measured("an unknown day".to_owned()),
            (None, None, _) => return None,
        };
        self.sources.insert(key, source);
        said.or(measured)
    }
}

impl VendorProfile {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Self {
        let usual = Self::default();
        let file = reader.get(SECTION, "file", value::parse_text);
        let measured = read_measured(reader);
        let measured_on = measured.as_ref().map(|measured| measured.date.clone());
        let mut asked = VendorProfileReader { reader, measured_on, sources: BTreeMap::new() };
        let mut profile = Self {
            file,
            measured,
            done_words: asked.get("done_words", parse_state_words).unwrap_or_default(),
            failed_words: asked.get("failed_words", parse_state_words).unwrap_or_default(),
            draft_words: asked.get("draft_words", parse_state_words).unwrap_or_default(),
            list: asked.get("list", |given| value::parse_choice(ListContents::WORDS)(given)),
            list_lag: asked.get("list_lag", value::parse_duration),
            export_id: asked
                .get("export_id", |given| value::parse_choice(ExportIdBehavior::WORDS)(given)),
            second_export: asked
                .get("second_export", |given| value::parse_choice(SecondExportEffect::WORDS)(given))
                .unwrap_or(usual.second_export),
            drafts: asked
                .get("drafts", |given| value::parse_choice(DraftBilling::WORDS)(given))
                .unwrap_or(usual.drafts),
            names: asked
                .get("names", |given| value::parse_choice(ProjectNameHandling::WORDS)(given))
                .unwrap_or(usual.names),
            requests: asked.get("requests", value::parse_rate),
            submits: asked.get("submits", value::parse_rate),
            in_flight: asked.get("in_flight", value::parse_positive_count),
            sources: BTreeMap::new(),
        };
        profile.sources = asked.sources;
        profile.reject_ambiguous_words(reader);
        profile
    }

    /// A word that means two things means neither.
    fn reject_ambiguous_words(&self, reader: &mut SettingsReader<'_>) {
        let lists = [
            ("done_words", &self.done_words),
            ("failed_words", &self.failed_words),
            ("draft_words", &self.draft_words),
        ];
        for (at, (key, words)) in lists.iter().enumerate() {
            for (other, others) in &lists[..at] {
                let Some(twice) = words.iter().find(|word| others.contains(word)) else { continue };
                let complaint = SettingProblem::new(format!("has `{twice}`, and so has `{other}`"));
                let section = if reader.has_key(SECTION, key) { SECTION } else { MEASURED_SECTION };
                reader.reject_value(
                    section,
                    key,
                    complaint.with_help("a state word means one of them"),
                );
            }
        }
    }

    /// Holds the limits of a batch to those of the account, and its quiet wait to what the list
    /// takes to show a project.
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

    /// Tells whether a limit of the batch is what it is because of this.
    pub fn is_binding_for(&self, limits: &BatchLimits, name: &str) -> bool {
        match name {
            "requests" => self.requests == Some(limits.requests),
            "submits" => self.submits == Some(limits.submits),
            "in_flight" => self.in_flight == Some(limits.in_flight),
            "settle_after" => self.list_lag.is_some_and(|lag| lag * 2 == limits.settle_after),
            _ => false,
        }
    }

    /// Returns every question with the answer that holds, who gave it, and what follows from it.
    pub fn entries(&self) -> Vec<VendorProfileEntry> {
        // Without a pattern for the rest: a question that is added must be shown.
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
            requests,
            submits,
            in_flight,
            sources,
        } = self;
        let from = |key: &str| sources.get(key).cloned().unwrap_or(VendorEntrySource::Default);
        let words = |words: &[String]| {
            if words.is_empty() { "none besides".to_owned() } else { words.join(", ") }
        };
        let not_known = || "not known".to_owned();
        let rate = |rate: &Option<Rate>| rate.map_or_else(not_known, |rate| rate.to_string());
        let answer = |key: &'static str, value: String, why: &'static str| VendorProfileEntry {
            key,
            value,
            source: from(key),
            rationale: why,
        };
        vec![
            answer("done_words", words(done_words), DONE_WORDS),
            answer("failed_words", words(failed_words), FAILED_WORDS),
            answer("draft_words", words(draft_words), DRAFT_WORDS),
            answer("list", list.map_or_else(not_known, |list| list.to_string()), LIST),
            answer("list_lag", list_lag.map_or_else(not_known, format_exact_duration), LIST_LAG),
            answer("export_id", export_id.map_or_else(not_known, |id| id.to_string()), EXPORT_ID),
            answer("second_export", second_export.to_string(), SECOND_EXPORT),
            answer("drafts", drafts.to_string(), DRAFTS),
            answer("names", names.to_string(), NAMES),
            answer("requests", rate(requests), RATES),
            answer("submits", rate(submits), RATES),
            answer("in_flight", in_flight.map_or_else(not_known, |most| most.to_string()), RATES),
        ]
    }
}

const DONE_WORDS: &str = "known: exported, finish, finished, complete, completed; the link decides";
const FAILED_WORDS: &str = "known: cancelled, and all with fail or error; others mean under way";
const DRAFT_WORDS: &str = "known: draft, created, new and the like; others are a sign of an export";
const LIST: &str = "to be in it proves; with `finished`, to be missing proves little";
const LIST_LAG: &str = "the quiet wait lasts at least twice as long";
const EXPORT_ID: &str = "both are followed; without a tag, a batch waits to see which";
const SECOND_EXPORT: &str = "the dear reading; with `nothing`, a lost export is sent again";
const DRAFTS: &str = "no page says; with `cost`, a lost draft is not made again";
const NAMES: &str = "the tag in a name finds a lost request; with `changed` it does not";
const RATES: &str = "none is documented; the lower of this and `[limits]` holds";

fn read_measured(reader: &mut SettingsReader<'_>) -> Option<MeasurementInfo> {
    if !reader.has_table(MEASURED_SECTION) {
        return None;
    }
    let on = reader.get_required_in((MEASURED_SECTION, "on"), "2026-11-21", value::parse_text);
    let example = "https://app.aistudios.com";
    let host = reader.get_required_in((MEASURED_SECTION, "host"), example, value::parse_text);
    let facts = reader.get(MEASURED_SECTION, "facts", value::parse_text_list).unwrap_or_default();
    Some(MeasurementInfo { date: on?, host: host?, facts })
}

/// Reads state words, in the form in which they are compared.
fn parse_state_words(given: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let words = value::parse_text_list(given)?;
    Ok(words.into_iter().map(|word| word.trim().to_lowercase()).collect())
}
