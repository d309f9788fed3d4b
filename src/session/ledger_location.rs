//! Where the ledger of a command is, and opening it.
//!
//! A ledger that no option names is found as git finds its folder: beside the batch file or in a
//! folder above it, so that the same batch file has the same ledger wherever the command is typed.
//! Nothing is opened or created to find it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::batch;
use crate::ledger::{Durability, JobState, Ledger, LedgerAddress, LedgerAddressError};
use crate::report::io_error_message;
use crate::runner::MarkedLedger;
use crate::session::error::CommandError;
use crate::session::files::output_dir;

/// The variable that names the ledger.
pub(crate) const LEDGER_VAR: &str = "CALLSHEET_LEDGER";
/// The variable that names a file which contains its address.
pub(crate) const LEDGER_FILE_VAR: &str = "CALLSHEET_LEDGER_FILE";
/// Lets a process that this one starts use this ledger. A password is passed in its environment, where
/// no list of processes shows it.
pub(crate) fn pass_ledger_to(command: &mut tokio::process::Command, ledger: &LedgerAddress) {
    match ledger {
        LedgerAddress::File(path) => command.arg("--ledger").arg(path),
        LedgerAddress::Server(server) => match server.password() {
            None => command.arg("--ledger").arg(server.to_string()),
            Some(password) => {
                command.arg("--ledger").arg(server.to_string()).env("PGPASSWORD", password)
            }
        },
    };
}

const LEDGER_NAME: &str = "callsheet.db";
/// How far below the current folder a ledger is looked for.
const FOLDERS_BELOW_MAX: usize = 2;

/// The options that select a ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct LedgerOptions {
    /// Whether it is a ledger of rehearsals. Those have their own: a batch belongs to one host.
    pub(crate) is_rehearsal: bool,
    /// The ledger that `--ledger` or the environment names.
    pub(crate) named: Option<NamedLedger>,
    /// The value of `--ledger` that suggested commands must repeat.
    pub(crate) option: Option<LedgerAddress>,
}

/// The ledger that the user named. What is wrong with the name is reported where it is needed, because
/// not every command uses a ledger.
#[derive(Clone, Debug)]
pub(crate) struct NamedLedger(Result<LedgerAddress, NamedLedgerError>);

/// Why the user's name of a ledger is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NamedLedgerError {
    /// It is not an address.
    #[error(transparent)]
    Address(#[from] LedgerAddressError),
    /// It contains a password, which other users of this machine see in the list of processes.
    #[error(
        "--ledger contains a password, which every user of this machine could read: put the whole \
         address into CALLSHEET_LEDGER or a file that CALLSHEET_LEDGER_FILE names, or only the password \
         into a file that PGPASSFILE names (or ~/.pgpass)"
    )]
    PasswordOnCommandLine,
    /// The file that should contain it cannot be read.
    #[error("cannot read `{}`, which CALLSHEET_LEDGER_FILE names: {reason}", path.display())]
    UnreadableFile { path: PathBuf, reason: &'static str },
}

impl NamedLedger {
    /// Returns the ledger that the command line names.
    pub(crate) fn from_option(given: &OsStr) -> Self {
        Self(match LedgerAddress::parse(given) {
            Ok(LedgerAddress::Server(server)) if server.password().is_some() => {
                Err(NamedLedgerError::PasswordOnCommandLine)
            }
            parsed => parsed.map_err(NamedLedgerError::from),
        })
    }

    /// Returns the ledger that the environment names: `CALLSHEET_LEDGER`, or the text of the file that
    /// `CALLSHEET_LEDGER_FILE` names. Empty variables name none.
    pub(crate) fn from_environment() -> Option<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(given) = variable(LEDGER_VAR) {
            return Some(Self(LedgerAddress::parse(&given).map_err(NamedLedgerError::from)));
        }
        variable(LEDGER_FILE_VAR).map(|file| Self(read_address(Path::new(&file))))
    }

    /// Returns its address.
    ///
    /// # Errors
    /// The name is refused.
    pub(crate) fn address(&self) -> Result<&LedgerAddress, NamedLedgerError> {
        self.0.as_ref().map_err(Clone::clone)
    }
}

fn read_address(file: &Path) -> Result<LedgerAddress, NamedLedgerError> {
    let text = std::fs::read_to_string(file).map_err(|error| NamedLedgerError::UnreadableFile {
        path: file.to_owned(),
        reason: io_error_message(&error),
    })?;
    Ok(LedgerAddress::parse(OsStr::new(text.trim()))?)
}

impl LedgerOptions {
    /// Returns whether the named ledger is one of rehearsals.
    pub(crate) fn names_rehearsals(&self) -> bool {
        let named = self.named.as_ref().and_then(|named| named.address().ok());
        named.is_some_and(|named| named.for_rehearsals() == *named)
    }
}

/// The ledger that a command uses.
#[derive(Clone, Debug)]
pub(crate) struct LedgerLocation {
    pub(crate) address: LedgerAddress,
    pub(crate) options: LedgerOptions,
    /// A hint for users whose batch may be in the ledger of rehearsals; empty if there is none.
    pub(crate) hint: String,
    /// A remark about a ledger that is only found from the current folder.
    pub(crate) notice: Option<String>,
}

impl LedgerLocation {
    /// Returns how many videos of a batch were finished in rehearsals; `None` if there are none, or
    /// if their ledger cannot be read, which concerns rehearsals alone.
    pub(crate) async fn rehearsed_videos(&self, batch: &str) -> Option<u64> {
        let rehearsals = self.address.for_rehearsals();
        if rehearsals == self.address || !rehearsals.as_file()?.is_file() {
            return None;
        }
        let ledger = Ledger::open(&rehearsals, Durability::PowerLoss).await.ok()?;
        let counts = match ledger.batch(batch).await {
            Ok(stored) => ledger.state_counts(stored.id).await.ok(),
            Err(_) => None,
        };
        ledger.close().await;
        let counts = counts?;
        let finished = [JobState::Done, JobState::Reused].map(|state| counts.get(&state).copied());
        Some(finished.into_iter().flatten().sum()).filter(|videos| *videos > 0)
    }

    /// Finds the ledger of some batch files, or without one, that of the current folder.
    pub(crate) fn find(options: LedgerOptions, files: &[PathBuf]) -> Result<Self, CommandError> {
        let mut location = search(&options, files)?;
        if !options.is_rehearsal {
            let rehearsals = location.address.for_rehearsals();
            let is_file = |path: &Path| rehearsals != location.address && path.exists();
            if rehearsals.as_file().is_some_and(is_file) {
                location.hint = format!("; rehearsals are in `{rehearsals}`: add --sandbox");
            }
        }
        Ok(location)
    }

    /// Finds the ledger of a batch that is given by its name or its batch file.
    pub(crate) fn find_for(options: LedgerOptions, batch: &str) -> Result<Self, CommandError> {
        let file = batch.ends_with(".toml").then(|| PathBuf::from(batch));
        Self::find(options, file.as_slice())
    }

    fn new(address: LedgerAddress, options: &LedgerOptions) -> Self {
        Self { address, options: options.clone(), hint: String::new(), notice: None }
    }
}

fn search(options: &LedgerOptions, files: &[PathBuf]) -> Result<LedgerLocation, CommandError> {
    let at = |path: PathBuf| LedgerLocation::new(LedgerAddress::File(path), options);
    if let Some(named) = &options.named {
        let named = named.address().map_err(CommandError::usage)?;
        let address = if options.is_rehearsal { named.for_rehearsals() } else { named.clone() };
        return Ok(LedgerLocation::new(address, options));
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
        let address = search(&real, files)?.address.for_rehearsals();
        return Ok(LedgerLocation::new(address, options));
    }
    Ok(at(new_ledger_folder(files).join(name)))
}

fn ledger_name(is_rehearsal: bool) -> OsString {
    let ledger = LedgerAddress::File(PathBuf::from(LEDGER_NAME));
    let ledger = if is_rehearsal { ledger.for_rehearsals() } else { ledger };
    ledger.as_file().map(|name| name.as_os_str().to_owned()).unwrap_or_default()
}

/// Returns the one ledger of the batch files that have any.
fn find_by_files(
    options: &LedgerOptions,
    files: &[PathBuf],
) -> Result<Option<PathBuf>, CommandError> {
    let name = ledger_name(options.is_rehearsal);
    let mut found: Option<(PathBuf, &Path)> = None;
    for file in files {
        let folder = folder_of(file);
        // That the batch file is missing is reported where it is read.
        if !folder.exists() {
            continue;
        }
        let above = nearest_above(&folder, &name)?;
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
    marked.address_from(&output).as_file()?.canonicalize().ok()
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
pub(crate) async fn open_ledger(address: &LedgerAddress) -> Result<Ledger, CommandError> {
    Ok(Ledger::open(address, Durability::PowerLoss).await?)
}

/// Opens a ledger that must exist: a command that only reads creates none.
pub(crate) async fn open_existing_ledger(address: &LedgerAddress) -> Result<Ledger, CommandError> {
    if !address.may_exist() {
        let message = format!(
            "there is no ledger `{address}`, so nothing was run here: change to the folder in \
             which you ran the batch, or name its ledger with --ledger"
        );
        return Err(CommandError::usage(message));
    }
    open_ledger(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_on_the_command_line_is_refused_and_not_shown() {
        let named = NamedLedger::from_option(OsStr::new("postgres://ann:s3cret@db.example/d"));
        let options = LedgerOptions { named: Some(named), ..LedgerOptions::default() };
        let error = LedgerLocation::find(options, &[]).unwrap_err();
        let message = error.message().unwrap();
        assert!(message.contains("CALLSHEET_LEDGER"), "{message}");
        assert!(!format!("{message} {error:?}").contains("s3cret"), "{message}");
    }

    #[test]
    fn a_file_with_the_address_of_a_server_may_contain_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ledger");
        std::fs::write(&file, "postgres://ann:s3cret@db.example/d\n").unwrap();
        let address = read_address(&file).unwrap();
        assert_eq!(address.to_string(), "postgres://ann@db.example/d");
        assert_eq!(address.as_server().unwrap().password(), Some("s3cret"));
        let error = read_address(&dir.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("CALLSHEET_LEDGER_FILE"), "{error}");
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
            LedgerLocation::find(LedgerOptions::default(), &files)
                .map(|found| found.address.as_file().unwrap().to_owned())
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
