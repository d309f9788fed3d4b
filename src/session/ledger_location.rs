//! Where the ledger of a command is, and opening it.
//!
//! A ledger that no option names is found as git finds its folder: beside the batch file or in a
//! folder above it, so that the same batch file has the same ledger wherever the command is typed.
//! Nothing is opened or created to find it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::batch;
use crate::ledger::{Durability, Ledger};
use crate::runner::MarkedLedger;
use crate::session::error::CommandError;
use crate::session::files::output_dir;

const LEDGER_NAME: &str = "callsheet.db";
/// Suffix of the file name of the ledger for rehearsals.
const REHEARSAL_SUFFIX: &str = "-sandbox";
/// How far below the current folder a ledger is looked for.
const FOLDERS_BELOW_MAX: usize = 2;

/// The options that select a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerOptions {
    /// Whether it is a ledger of rehearsals. Those have their own: a batch belongs to one host.
    pub(crate) is_rehearsal: bool,
    /// The file that `--ledger` or the environment names.
    pub(crate) named: Option<PathBuf>,
    /// The value of `--ledger` that suggested commands must repeat.
    pub(crate) option: Option<PathBuf>,
}

impl LedgerOptions {
    /// Returns whether the named file is a ledger of rehearsals.
    pub(crate) fn names_rehearsals(&self) -> bool {
        self.named.as_ref().is_some_and(|named| rehearsal_name(named) == *named)
    }
}

/// The ledger that a command uses.
#[derive(Clone, Debug)]
pub(crate) struct LedgerLocation {
    pub(crate) path: PathBuf,
    pub(crate) options: LedgerOptions,
    /// A hint for users whose batch may be in the ledger of rehearsals; empty if there is none.
    pub(crate) hint: String,
    /// A remark about a ledger that is only found from the current folder.
    pub(crate) notice: Option<String>,
}

impl LedgerLocation {
    /// Finds the ledger of some batch files, or without one, that of the current folder.
    pub(crate) fn find(options: LedgerOptions, files: &[PathBuf]) -> Result<Self, CommandError> {
        let mut location = search(&options, files)?;
        if !options.is_rehearsal {
            let rehearsals = rehearsal_name(&location.path);
            if rehearsals != location.path && rehearsals.exists() {
                location.hint =
                    format!("; rehearsals are in `{}`: add --sandbox", rehearsals.display());
            }
        }
        Ok(location)
    }

    /// Finds the ledger of a batch that is given by its name or its batch file.
    pub(crate) fn find_for(options: LedgerOptions, batch: &str) -> Result<Self, CommandError> {
        let file = batch.ends_with(".toml").then(|| PathBuf::from(batch));
        Self::find(options, file.as_slice())
    }

    fn new(path: PathBuf, options: &LedgerOptions) -> Self {
        Self { path, options: options.clone(), hint: String::new(), notice: None }
    }
}

fn search(options: &LedgerOptions, files: &[PathBuf]) -> Result<LedgerLocation, CommandError> {
    let at = |path: PathBuf| LedgerLocation::new(path, options);
    if let Some(named) = &options.named {
        let path = if options.is_rehearsal { rehearsal_name(named) } else { named.clone() };
        return Ok(at(path));
    }
    let name = ledger_name(options.is_rehearsal);
    if let Some(found) = find_by_files(options, files)? {
        return Ok(at(shorten(found)));
    }
    let here = Path::new(&name);
    if here.exists() {
        let mut location = at(here.to_owned());
        location.notice = (!files.is_empty()).then(|| {
            format!(
                "The ledger is `{}` in the current folder: there is none beside the batch file or \
                 above it",
                here.display()
            )
        });
        return Ok(location);
    }
    if files.is_empty() {
        if let Some(found) = nearest_above(&current_folder(), &name)? {
            return Ok(at(shorten(found)));
        }
        if let Some(found) = find_below(&name)? {
            return Ok(at(shorten(found)));
        }
    }
    if options.is_rehearsal {
        // A new one lies beside the real one.
        let real = LedgerOptions { is_rehearsal: false, ..options.clone() };
        return Ok(at(rehearsal_name(&search(&real, files)?.path)));
    }
    Ok(at(new_ledger_folder(files).join(name)))
}

/// Returns the ledger of rehearsals that belongs to a ledger, which may be one itself.
fn rehearsal_name(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_stem().unwrap_or_default().to_owned();
    if name.to_string_lossy().ends_with(REHEARSAL_SUFFIX) {
        return ledger.to_owned();
    }
    name.push(REHEARSAL_SUFFIX);
    if let Some(extension) = ledger.extension() {
        name.push(".");
        name.push(extension);
    }
    ledger.with_file_name(name)
}

fn ledger_name(is_rehearsal: bool) -> OsString {
    let ledger = PathBuf::from(LEDGER_NAME);
    if is_rehearsal { rehearsal_name(&ledger).into() } else { ledger.into() }
}

/// Returns the one ledger of the batch files that have any.
fn find_by_files(
    options: &LedgerOptions,
    files: &[PathBuf],
) -> Result<Option<PathBuf>, CommandError> {
    let name = ledger_name(options.is_rehearsal);
    let mut found: Option<(PathBuf, &Path)> = None;
    for file in files {
        let above = nearest_above(&folder_of(file), &name)?;
        let Some(ledger) = above.or_else(|| marked_ledger(file, options.is_rehearsal)) else {
            continue;
        };
        match &found {
            Some((other, other_file)) if *other != ledger => {
                return Err(CommandError::usage(format!(
                    "`{}` has the ledger `{}`, and `{}` has `{}`: run them separately, or choose \
                     one with --ledger",
                    other_file.display(),
                    other.display(),
                    file.display(),
                    ledger.display()
                )));
            }
            Some(_) => {}
            None => found = Some((ledger, file)),
        }
    }
    Ok(found.map(|(ledger, _)| ledger))
}

/// Returns the nearest ledger in `folder` or above it, up to the home folder.
///
/// # Errors
/// The nearest one belongs to another user, who could have put it there for others to use.
fn nearest_above(folder: &Path, name: &OsString) -> Result<Option<PathBuf>, CommandError> {
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    for above in folder.ancestors() {
        let ledger = above.join(name);
        if ledger.exists() {
            if above != folder && !has_trusted_owner(&ledger, folder) {
                return Err(CommandError::usage(format!(
                    "`{}`, the ledger above `{}`, belongs to another user: to use it, name it with \
                     --ledger",
                    ledger.display(),
                    folder.display()
                )));
            }
            return Ok(Some(ledger));
        }
        if home.as_deref() == Some(above) {
            break;
        }
    }
    Ok(None)
}

#[cfg(unix)]
fn has_trusted_owner(ledger: &Path, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| path.metadata().map(|file| file.uid()).ok();
    matches!((owner(ledger), owner(folder)), (Some(a), Some(b)) if a == b || a == 0)
}

#[cfg(not(unix))]
fn has_trusted_owner(_: &Path, _: &Path) -> bool {
    true
}

/// Returns the ledger that wrote the output folder of a batch file, if it is still there.
fn marked_ledger(file: &Path, is_rehearsal: bool) -> Option<PathBuf> {
    let batch = batch::read(file).ok()?;
    let output = output_dir::output_dir(&batch, is_rehearsal);
    let marked = MarkedLedger::read(&output, batch.name.as_str()).ok().flatten()?;
    marked.path_from(&output).canonicalize().ok()
}

/// Returns the only ledger in the folders below the current one.
fn find_below(name: &OsString) -> Result<Option<PathBuf>, CommandError> {
    let mut found = Vec::new();
    collect_below(&current_folder(), name, FOLDERS_BELOW_MAX, &mut found);
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => {
            let list: Vec<String> = several
                .iter()
                .map(|ledger| format!("`{}`", shorten(ledger.clone()).display()))
                .collect();
            Err(CommandError::usage(format!(
                "there are several ledgers: {}; choose one with --ledger",
                list.join(", ")
            )))
        }
    }
}

fn collect_below(folder: &Path, name: &OsString, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if is_hidden || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let (folder, ledger) = (entry.path(), entry.path().join(name));
        if ledger.is_file() {
            found.push(ledger);
        }
        if depth > 1 {
            collect_below(&folder, name, depth - 1, found);
        }
    }
}

/// Returns the folder of a new ledger: the current one if all batch files are typed as files below
/// it, as in a project; otherwise the folder that they share.
fn new_ledger_folder(files: &[PathBuf]) -> PathBuf {
    let here = current_folder();
    let is_below = |file: &PathBuf| !file.is_absolute() && folder_of(file).starts_with(&here);
    if files.iter().all(is_below) {
        return PathBuf::new();
    }
    let mut folders = files.iter().map(|file| folder_of(file));
    let first = folders.next().unwrap_or(here);
    let shared = folders.fold(first, |shared, folder| {
        let common = shared.ancestors().find(|above| folder.starts_with(above));
        common.map_or_else(PathBuf::new, Path::to_owned)
    });
    shorten(shared)
}

/// Returns the real folder of a file, so that a link to it leads to the same ledger.
fn folder_of(file: &Path) -> PathBuf {
    let file = file.canonicalize().or_else(|_| std::path::absolute(file));
    file.ok().and_then(|file| file.parent().map(Path::to_owned)).unwrap_or_default()
}

fn current_folder() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    here.canonicalize().unwrap_or(here)
}

/// Returns a path below the current folder without that folder.
fn shorten(path: PathBuf) -> PathBuf {
    path.strip_prefix(current_folder()).map(Path::to_owned).unwrap_or(path)
}

/// Opens a ledger; creates it if it does not exist.
pub(crate) async fn open_ledger(path: &Path) -> Result<Ledger, CommandError> {
    Ok(Ledger::open(path, Durability::PowerLoss).await?)
}

/// Opens a ledger that must exist: a command that only reads creates none.
pub(crate) async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let message = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(CommandError::usage(message));
    }
    open_ledger(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_has_its_own_ledger_beside_the_real_one() {
        for (given, rehearsal) in [
            ("/var/lib/spring.db", "/var/lib/spring-sandbox.db"),
            ("spring", "spring-sandbox"),
            ("callsheet-sandbox.db", "callsheet-sandbox.db"),
        ] {
            let named = Some(PathBuf::from(given));
            let options = LedgerOptions { is_rehearsal: true, named, option: None };
            let found = LedgerLocation::find(options, &[]).unwrap();
            assert_eq!(found.path, PathBuf::from(rehearsal));
        }
    }

    #[test]
    fn a_batch_file_has_the_nearest_ledger_above_it_or_a_new_one_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in ["a/jobs", "b/jobs"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("x.toml"), "").unwrap();
        }
        let (a, b) = (root.join("a/jobs/x.toml"), root.join("b/jobs/x.toml"));
        let find = |files: &[&PathBuf]| {
            let files: Vec<PathBuf> = files.iter().copied().cloned().collect();
            LedgerLocation::find(LedgerOptions::default(), &files).map(|found| found.path)
        };
        assert_eq!(find(&[&a]).unwrap(), root.join("a/jobs/callsheet.db"));
        assert_eq!(find(&[&a, &b]).unwrap(), root.join("callsheet.db"));
        std::fs::write(root.join("a/callsheet.db"), "").unwrap();
        assert_eq!(find(&[&a]).unwrap(), root.join("a/callsheet.db"));
        assert_eq!(find(&[&a, &b]).unwrap(), root.join("a/callsheet.db"));
        std::fs::write(root.join("b/jobs/callsheet.db"), "").unwrap();
        let error = find(&[&a, &b]).unwrap_err();
        assert!(error.message().unwrap().contains("run them separately"));
    }
}
