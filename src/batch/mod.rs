//! The batch file: which sheet, which template, which limits.
//!
//! Parses `jobs/<name>.toml` into a valid [`Batch`], or into all problems of the file at once, each
//! with its position. It does not open the sheet or the template, read options or the environment,
//! or hold secrets: a batch file is shared, kept in the ledger and shown, so one that contains a
//! secret is rejected.
//!
//! Invariant: no count that would make a run wait forever is zero, every duration is between 1 ns
//! and [`DURATION_MAX`], the lower end of a pair is not above the upper one, and the host is https
//! unless it is this machine.

mod access;
mod duration;
mod keys;
mod limits;
mod metrics;
mod name;
mod notify;
mod paths;
mod problem;
mod rate;
mod reader;
mod redact;
mod review;
mod sheet;
mod suggested_file;
#[macro_use]
mod studio_section;
mod measured_vendor_file;
#[cfg(test)]
mod tests;
mod toml_error;
mod value;
mod variant;
mod vendor_profile;
mod webhook;
mod window;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use self::access::{AccessTarget, BatchAccess, CREDENTIAL_VARS};
pub use self::duration::DURATION_MAX;
pub use self::limits::BatchLimits;
pub use self::measured_vendor_file::render_measured_file;
pub use self::metrics::MetricsSettings;
pub use self::name::{BatchName, InvalidBatchName};
pub use self::notify::{
    EmailSettings, NotifyCondition, NotifySettings, NotifyUrl, SecretRef, SmtpTls,
};
pub use self::problem::{BatchFileProblem, BatchFileProblems, FilePosition};
pub use self::rate::{InvalidRate, Rate};
pub use self::review::{OnDoneSettings, ReviewSettings};
pub use self::sheet::SheetSource;
pub use self::studio_section::{
    HostOrigin, InvalidStudioHost, OnUncertain, ProxySetting, StudioHost, StudioSettings,
    VideoResolution,
};
pub use self::suggested_file::{
    BATCH_FOLDER, batch_files_here, find_batch_file, has_sheet_extension, name_or_path,
};
pub use self::variant::Variant;
pub use self::vendor_profile::{
    DraftBilling, ExportIdBehavior, ListContents, MeasurementInfo, ProjectNameHandling,
    SecondExportEffect, VendorEntrySource, VendorProfile, VendorProfileEntry,
};
pub use self::webhook::WebhookSettings;
pub use self::window::{TimeWindow, WindowState};
pub use crate::request::SubmissionMode;

use self::paths::resolve_path;
use self::reader::{SettingProblem, SettingsReader};
use self::suggested_file::{sheet_problem, suggest_file};

/// A batch file fits on a page; a larger file was given by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A parsed batch file.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The batch file's own path, as it was given.
    pub file: PathBuf,
    /// Its text. [`parse`] returns an equal batch from `file` and this text.
    pub source: String,
    /// The batch's name in the ledger; default: the file name without its extension.
    pub name: BatchName,
    /// The path of the sheet. If `sheet_source` is not a file, the sheet is first copied to a file
    /// elsewhere.
    pub sheet: PathBuf,
    /// Where the sheet comes from.
    pub sheet_source: SheetSource,
    /// The sheet's encoding; default: detected. The sheet reader checks whether it exists.
    pub encoding: Option<String>,
    /// The worksheet of a workbook; default: the first.
    pub worksheet: Option<String>,
    /// The row of the headings, as the spreadsheet counts; default: the first that is not blank.
    pub header_row: Option<u32>,
    /// The scene template.
    pub template: PathBuf,
    /// The folder for videos and reports; default: `out/<name>` beside the batch file.
    pub output: PathBuf,
    /// The columns that identify a row. Empty: rows are identified by their content.
    pub key: Vec<String>,
    /// Rows with the same value in this column become one video.
    pub group_by: Option<String>,
    /// Headings in the sheet by template name, where the two differ.
    pub columns: BTreeMap<String, String>,
    /// The rows to skip.
    pub skip: Option<SkipSetting>,
    /// Whether rows that the spreadsheet hides are skipped.
    pub skip_hidden: bool,
    /// The texts that replace empty cells, by template name.
    pub defaults: BTreeMap<String, String>,
    /// The variants made from each row. Empty: one video per row.
    pub variants: Vec<Variant>,
    /// The template for video file names.
    pub video_file: Option<String>,
    /// Host, request kind and submission mode.
    pub studio: StudioSettings,
    /// Rates, counts and durations.
    pub limits: BatchLimits,
    /// Notifications about the outcome of a run.
    pub notify: NotifySettings,
    /// Metrics for Prometheus.
    pub metrics: MetricsSettings,
    /// What has to be approved.
    pub review: ReviewSettings,
    /// The command that each finished video is handed to.
    pub on_done: Option<OnDoneSettings>,
    /// When submissions are allowed; default: always.
    pub window: Option<TimeWindow>,
    /// AI Studios behaviour that its documents leave open.
    pub vendor: VendorProfile,
    /// Where AI Studios sends callbacks; without it, progress is only polled.
    pub webhook: Option<WebhookSettings>,
}

/// The rows of the sheet to skip, by the value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipSetting {
    /// The column, by template name or heading.
    pub column: String,
    /// The values that skip a row; empty if the batch file names only the column.
    pub values: Vec<String>,
}

/// Reads the batch file at `path`, with its measured file.
///
/// # Errors
///
/// All problems of the file, or the reason why it cannot be read.
pub fn read(path: &Path) -> Result<Batch, BatchFileProblems> {
    let source = match sheet_problem(path) {
        Some(problem) => Err(problem),
        None => read_source(path),
    };
    match source {
        Ok(source) => measured_vendor_file::merge_measured_file(path, parse(path, source)?),
        Err(problem) => {
            let (file, source) = (path.to_owned(), String::new());
            Err(BatchFileProblems { file, source, problems: vec![problem] })
        }
    }
}

/// Parses `source`, the text of the batch file at `path`. Reads no file.
///
/// # Errors
///
/// All problems of the text. Secrets are redacted in the [`BatchFileProblems`].
pub fn parse(path: &Path, source: String) -> Result<Batch, BatchFileProblems> {
    let mut problems = Vec::new();
    let mut batch = None;
    let mut confidential = Vec::new();
    match DeTable::parse(&source) {
        Ok(root) => {
            let mut reader = SettingsReader::new(root.get_ref());
            reader.check_keys();
            batch = assemble_batch(path, &source, &mut reader);
            (problems, confidential) = reader.finish();
        }
        Err(error) => problems.push(toml_error::explain_syntax_error(&error, &source)),
    }
    match batch {
        Some(batch) if problems.is_empty() => Ok(batch),
        Some(_) | None => {
            problems.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |at| at.start));
            let source = redact::redact(source, &confidential);
            Err(BatchFileProblems { file: path.to_owned(), source, problems })
        }
    }
}

/// Assembles a batch; `None` if a required setting is missing, which `reader` has then recorded.
fn assemble_batch(path: &Path, source: &str, reader: &mut SettingsReader<'_>) -> Option<Batch> {
    let beside = |text: String| resolve_path(path, &text);
    let name = read_name(path, reader);
    let sheet_source = reader.get_required("sheet", sheet::parse_sheet_source);
    let encoding = reader.get("", "encoding", value::parse_text);
    let worksheet = reader.get("", "worksheet", value::parse_text);
    let header_row = reader.get("", "header_row", value::parse_row_number);
    let template = reader.get_required("template", value::parse_path).map(beside);
    let output = reader.get("", "output", value::parse_path).map(beside);
    let key = reader.get("", "key", value::parse_text_list).unwrap_or_default();
    let group_by = reader.get("", "group_by", value::parse_text);
    let columns = reader.get_string_map("columns", value::parse_text);
    let skip = reader.get("", "skip", value::parse_skip);
    let skip_hidden = reader.get("", "skip_hidden", value::parse_flag).unwrap_or_default();
    let defaults = reader.get_string_map("defaults", value::parse_text_or_empty);
    let variants = reader.get("", "variants", variant::parse_variants).unwrap_or_default();
    let video_file = reader.get("", "file", value::parse_text);
    let studio = StudioSettings::read(reader);
    let vendor = VendorProfile::read(reader);
    let limits = vendor.clamp_limits(BatchLimits::read(reader));
    let proxy = studio.proxy.clone();
    let notify = NotifySettings { proxy, ..NotifySettings::read(reader, path) };
    let metrics = MetricsSettings::read(reader, path);
    let review = ReviewSettings::read(reader, &limits);
    let on_done = OnDoneSettings::read(reader);
    let window = TimeWindow::read(reader);
    let webhook = WebhookSettings::read(reader);
    let (name, sheet_source, template) = (name?, sheet_source?, template?);
    let sheet = match &sheet_source {
        SheetSource::File(file) => beside(file.clone()),
        SheetSource::Stdin | SheetSource::Link(_) => PathBuf::from(sheet_source.to_string()),
    };
    let output = output.unwrap_or_else(|| beside(format!("out/{name}")));
    let (file, source) = (path.to_owned(), source.to_owned());
    Some(Batch {
        file,
        source,
        name,
        sheet,
        sheet_source,
        encoding,
        worksheet,
        header_row,
        template,
        output,
        key,
        group_by,
        columns,
        skip,
        skip_hidden,
        defaults,
        variants,
        video_file,
        studio,
        limits,
        notify,
        metrics,
        review,
        on_done,
        window,
        vendor,
        webhook,
    })
}

fn read_name(path: &Path, reader: &mut SettingsReader<'_>) -> Option<BatchName> {
    if reader.has_key("", "name") {
        return reader.get("", "name", |value| {
            value::parse_text(value)?
                .parse()
                .map_err(|err| SettingProblem::new(format!("is invalid: {err}")))
        });
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.parse::<BatchName>();
    if name.is_err() {
        reader.add_problem(BatchFileProblem {
            message: format!("`name` is missing, and the file name `{stem}` is not a batch name"),
            help: Some("add a name, such as `name = \"spring-launch\"`".to_owned()),
            span: None,
        });
    }
    name.ok()
}

fn read_source(path: &Path) -> Result<String, BatchFileProblem> {
    let mut bytes = Vec::new();
    // One byte beyond the limit reveals a file that is too large.
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|err| read_problem(path, err.kind()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BatchFileProblem {
            message: "the file is larger than 1 MB, so it is probably not a batch file".to_owned(),
            help: Some("name the `.toml` file, not the sheet or the template".to_owned()),
            span: None,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| BatchFileProblem {
        message: "the file is not UTF-8 text".to_owned(),
        help: Some("save it as UTF-8 in a text editor".to_owned()),
        span: None,
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn read_problem(path: &Path, kind: io::ErrorKind) -> BatchFileProblem {
    let (message, help) = match kind {
        io::ErrorKind::NotFound => (
            "there is no such batch or batch file",
            Some("check the path; `callsheet new` creates a batch file"),
        ),
        io::ErrorKind::PermissionDenied => ("no permission to read the file", None),
        io::ErrorKind::IsADirectory => ("this is a folder", Some("name the `.toml` file in it")),
        _ => ("the file cannot be read", None),
    };
    let suggested = (kind == io::ErrorKind::NotFound).then(|| suggest_file(path)).flatten();
    let help = suggested.or_else(|| help.map(str::to_owned));
    BatchFileProblem { message: message.to_owned(), help, span: None }
}
