//! The batch file: which sheet, which template, which limits.
//!
//! Reads `jobs/<name>.toml` into a [`Batch`] that cannot be wrong, or into every problem of the
//! file at once, each with the bytes it is about. It opens neither the sheet nor the template,
//! knows no flags and no environment, and holds no secrets: a batch file is passed around, kept in
//! the ledger and shown, so one that contains a secret is refused.
//!
//! What holds afterwards: no count that would hang a loop is zero, every duration lies between a
//! moment and [`DURATION_MAX`], the lower end of a pair is not above the upper one, and the host
//! is https unless it is this machine.

mod duration;
mod keys;
mod limits;
mod name;
mod notify;
mod paths;
mod problem;
mod rate;
mod reader;
mod redact;
mod sheet;
#[macro_use]
mod studio;
#[cfg(test)]
mod tests;
mod toml_error;
mod value;
mod variant;
mod vendor;
mod vendor_file;
mod webhook;
mod window;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use self::duration::DURATION_MAX;
pub use self::limits::BatchLimits;
pub use self::name::{BatchName, InvalidBatchName};
pub use self::notify::{
    EmailSettings, NotifyCondition, NotifySettings, NotifyUrl, SecretRef, SmtpTls,
};
pub use self::problem::{BatchFileProblem, BatchFileProblems, FilePosition};
pub use self::rate::{InvalidRate, Rate};
pub use self::sheet::SheetSource;
pub use self::studio::{
    InvalidStudioHost, OnUncertain, StudioHost, StudioSettings, VideoResolution,
};
pub use self::variant::Variant;
pub use self::vendor::{
    DraftBilling, ExportIdBehavior, ListContents, MeasurementInfo, ProjectNameHandling,
    SecondExportEffect, VendorEntrySource, VendorProfile, VendorProfileEntry,
};
pub use self::vendor_file::render_measured_file;
pub use self::webhook::WebhookSettings;
pub use self::window::{TimeWindow, WindowState};
pub use crate::request::SubmissionMode;

use self::paths::resolve_path;
use self::reader::{SettingProblem, SettingsReader};

/// Settings fill a page. Past this, something else was given by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One batch file, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The batch file's own path, as it was given.
    pub file: PathBuf,
    /// Its text: with `file`, all that [`parse`] needs to give this very batch again.
    pub source: String,
    /// The batch's name in the ledger; the file's stem unless it says otherwise.
    pub name: BatchName,
    /// The file that the sheet of scripts is read from. Where `sheet_from` is no file, whoever
    /// reads the sheet copies it into one first.
    pub sheet: PathBuf,
    /// Where the sheet comes from.
    pub sheet_source: SheetSource,
    /// The sheet's encoding, where it is not to be found by looking; whether there is such an
    /// encoding is for the sheet's reader to say.
    pub encoding: Option<String>,
    /// The worksheet of a workbook, where it is not the first.
    pub worksheet: Option<String>,
    /// The scene template.
    pub template: PathBuf,
    /// The folder for videos and reports; `out/<name>` beside the file unless it says otherwise.
    pub output: PathBuf,
    /// The columns that name a row. Empty: the row's content does.
    pub key: Vec<String>,
    /// The column whose equal values make one video of several rows.
    pub group_by: Option<String>,
    /// Template name to heading in the sheet, where the two differ.
    pub columns: BTreeMap<String, String>,
    /// Which rows of the sheet are left out.
    pub skip: Option<SkipSetting>,
    /// Template name to the text that stands in for an empty cell.
    pub defaults: BTreeMap<String, String>,
    /// The ways in which each row is made into a video of its own; none: in one way.
    pub variants: Vec<Variant>,
    /// The template for the name of each video's file.
    pub video_file: Option<String>,
    /// How AI Studios is asked.
    pub studio: StudioSettings,
    /// How much, how often, how long.
    pub limits: BatchLimits,
    /// Who is told how a run ended.
    pub notify: NotifySettings,
    /// When it may spend; at any time when there is none.
    pub window: Option<TimeWindow>,
    /// What AI Studios does where its documents are silent.
    pub vendor: VendorProfile,
    /// Where AI Studios may call; it is asked again and again when there is none.
    pub webhook: Option<WebhookSettings>,
}

/// Which rows of the sheet are left out, because they say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipSetting {
    /// The column, by template name or heading.
    pub column: String,
    /// What it says then; empty where the batch file names only the column.
    pub values: Vec<String>,
}

/// Reads the batch file at `path`.
///
/// # Errors
///
/// Everything that is wrong with it, or that it cannot be read at all.
pub fn read(path: &Path) -> Result<Batch, BatchFileProblems> {
    match read_source(path) {
        Ok(source) => vendor_file::merge_measured_file(path, parse(path, source)?),
        Err(problem) => {
            let (file, source) = (path.to_owned(), String::new());
            Err(BatchFileProblems { file, source, problems: vec![problem] })
        }
    }
}

/// Understands `source`, the text of the batch file at `path`, without touching the disk.
///
/// # Errors
///
/// Everything that is wrong with it. In the [`Problems`], values that are secret are blotted out.
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

/// Puts a batch together. Whatever is missing has been complained of when this returns `None`.
fn assemble_batch(path: &Path, source: &str, reader: &mut SettingsReader<'_>) -> Option<Batch> {
    let beside = |text: String| resolve_path(path, &text);
    let name = read_name(path, reader);
    let sheet_from = reader.get_required("sheet", sheet::parse_sheet_source);
    let encoding = reader.get("", "encoding", value::parse_text);
    let worksheet = reader.get("", "worksheet", value::parse_text);
    let template = reader.get_required("template", value::parse_text).map(beside);
    let output = reader.get("", "output", value::parse_text).map(beside);
    let key = reader.get("", "key", value::parse_text_list).unwrap_or_default();
    let group_by = reader.get("", "group_by", value::parse_text);
    let columns = reader.get_string_map("columns", value::parse_text);
    let skip = reader.get("", "skip", value::parse_skip);
    let defaults = reader.get_string_map("defaults", value::parse_text_or_empty);
    let variants = reader.get("", "variants", variant::parse_variants).unwrap_or_default();
    let video_file = reader.get("", "file", value::parse_text);
    let studio = StudioSettings::read(reader);
    let vendor = VendorProfile::read(reader);
    let limits = vendor.clamp_limits(BatchLimits::read(reader));
    let notify = NotifySettings::read(reader, path);
    let window = TimeWindow::read(reader);
    let webhook = WebhookSettings::read(reader);
    let (name, sheet_from, template) = (name?, sheet_from?, template?);
    let sheet = match &sheet_from {
        SheetSource::File(file) => beside(file.clone()),
        SheetSource::Stdin | SheetSource::Link(_) => PathBuf::from(sheet_from.to_string()),
    };
    let output = output.unwrap_or_else(|| beside(format!("out/{name}")));
    let (file, source) = (path.to_owned(), source.to_owned());
    Some(Batch {
        file,
        source,
        name,
        sheet,
        sheet_source: sheet_from,
        encoding,
        worksheet,
        template,
        output,
        key,
        group_by,
        columns,
        skip,
        defaults,
        variants,
        video_file,
        studio,
        limits,
        notify,
        window,
        vendor,
        webhook,
    })
}

fn read_name(path: &Path, reader: &mut SettingsReader<'_>) -> Option<BatchName> {
    if reader.has_key("", "name") {
        return reader.get("", "name", |given| {
            value::parse_text(given)?
                .parse()
                .map_err(|err| SettingProblem::new(format!("is wrong: {err}")))
        });
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.parse::<BatchName>();
    if name.is_err() {
        reader.add_problem(BatchFileProblem {
            message: format!("`name` is missing, and the file's own name `{stem}` cannot stand in"),
            help: Some("give the batch a name, as in `name = \"spring-launch\"`".to_owned()),
            span: None,
        });
    }
    name.ok()
}

fn read_source(path: &Path) -> Result<String, BatchFileProblem> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that goes on.
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|err| read_problem(err.kind()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BatchFileProblem {
            message: "the file is larger than 1 MB, so it is hardly a batch file".to_owned(),
            help: Some("give the `.toml` file, not the sheet or the template".to_owned()),
            span: None,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| BatchFileProblem {
        message: "the file is not UTF-8 text".to_owned(),
        help: Some("save it again in a text editor, with the encoding UTF-8".to_owned()),
        span: None,
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn read_problem(kind: io::ErrorKind) -> BatchFileProblem {
    let (message, help) = match kind {
        io::ErrorKind::NotFound => {
            ("there is no such file", Some("check the path; `jobs/demo.toml` is one to begin from"))
        }
        io::ErrorKind::PermissionDenied => ("this user may not read the file", None),
        io::ErrorKind::IsADirectory => ("this is a folder", Some("name the `.toml` file in it")),
        _ => ("the disk did not give the file", None),
    };
    BatchFileProblem { message: message.to_owned(), help: help.map(str::to_owned), span: None }
}
