//! The batch file that a name or a path means, and the one that was probably meant.
//!
//! Invariant: a name that is only similar is suggested, and never used.

use std::fs;
use std::path::{Path, PathBuf};

use super::problem::BatchFileProblem;
use crate::text::{nearest_name, shell_quote};

/// Endings of sheets.
const SHEET_EXTENSIONS: [&str; 8] = ["xlsx", "ods", "csv", "tsv", "xls", "xlsm", "xlsb", "numbers"];

/// The folder in which `new` creates batch files.
pub const BATCH_FOLDER: &str = "jobs";

/// How many folders above the current one are tried.
const FOLDERS_ABOVE_MAX: usize = 2;

/// Returns the problem that a sheet was given instead of a batch file.
pub(super) fn sheet_problem(path: &Path) -> Option<BatchFileProblem> {
    if !has_sheet_extension(path) || !path.is_file() {
        return None;
    }
    let help = match batch_with_sheet(path) {
        Some(file) => format!("give the batch that reads it: `{}`", name_or_path(&file)),
        None => format!("`callsheet new --sheet {}` creates a batch file for it", quote_path(path)),
    };
    let message = "this is a sheet, not a batch file".to_owned();
    Some(BatchFileProblem { message, help: Some(help), span: None })
}

/// Returns whether a path ends as the name of a sheet does.
pub fn has_sheet_extension(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| SHEET_EXTENSIONS.contains(&extension.as_str()))
}

/// Returns a path as a shell accepts it.
fn quote_path(path: &Path) -> String {
    shell_quote(&path.display().to_string()).into_owned()
}

/// Returns the batch file that reads a sheet.
fn batch_with_sheet(sheet: &Path) -> Option<PathBuf> {
    let sheet = fs::canonicalize(sheet).ok()?;
    let reads_it = |file: &PathBuf| {
        let source = fs::read_to_string(file).ok();
        let batch = source.and_then(|source| super::parse(file, source).ok());
        batch.and_then(|batch| fs::canonicalize(batch.sheet).ok()).is_some_and(|path| path == sheet)
    };
    known_batch_files(&sheet).into_iter().find(reads_it).map(short_path)
}

fn short_path(file: PathBuf) -> PathBuf {
    let current = std::env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    let shorter = file.strip_prefix(".").or_else(|_| file.strip_prefix(&current));
    shorter.map(Path::to_owned).unwrap_or(file)
}

/// Returns the batch files beside `path` and in `jobs`.
fn known_batch_files(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folders = [folder.unwrap_or(Path::new(".")).to_owned(), PathBuf::from(BATCH_FOLDER)];
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let files = files.map(|entry| entry.path());
    let is_toml = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "toml");
    let mut files: Vec<PathBuf> = files.filter(is_toml).collect();
    files.sort();
    files
}

/// Returns the names by which users know a batch file: its own, and that of its batch.
fn known_names(file: &Path) -> Vec<String> {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.into_iter().chain(batch_name(file)).collect()
}

fn batch_name(file: &Path) -> Option<String> {
    let source = fs::read_to_string(file).ok()?;
    Some(super::parse(file, source).ok()?.name.to_string())
}

/// Returns the batch file that the user means: a path, or the name of a file here or in `jobs`, with or
/// without its ending, or of its batch. What is not found is returned as it is.
pub fn find_batch_file(given: PathBuf) -> PathBuf {
    if given.is_file() || given.components().count() != 1 {
        return given;
    }
    let file = given.with_added_extension("toml");
    let folder = Path::new(BATCH_FOLDER);
    let places = [file.clone(), folder.join(file), folder.join(&given)];
    let is_batch_file = |place: &PathBuf| place.extension().is_some_and(|end| end == "toml");
    let found = places.into_iter().find(|place| is_batch_file(place) && place.is_file());
    found.or_else(|| find_batch_named(given.to_str()?)).unwrap_or(given)
}

/// Returns what a command may call a batch file, as a shell accepts it: the name of its batch if that leads
/// to this file, and else its path.
pub fn name_or_path(file: &Path) -> String {
    let name = batch_name(file).filter(|name| leads_to(name, file));
    name.map_or_else(|| quote_path(file), |name| shell_quote(&name).into_owned())
}

/// Returns whether a command that is given this name uses this file.
fn leads_to(name: &str, file: &Path) -> bool {
    let found = fs::canonicalize(find_batch_file(PathBuf::from(name))).ok();
    found.is_some_and(|found| fs::canonicalize(file).is_ok_and(|file| file == found))
}

/// Returns the batch file, here or in `jobs`, of the batch `name`; `None` also if there are several.
fn find_batch_named(name: &str) -> Option<PathBuf> {
    let files = known_batch_files(Path::new(name)).into_iter();
    let mut named = files.filter(|file| batch_name(file).as_deref() == Some(name));
    let found = named.next()?;
    named.next().is_none().then(|| short_path(found))
}

/// Returns the batch files of this folder and of `jobs`.
pub fn batch_files_here() -> Vec<PathBuf> {
    let files = known_batch_files(Path::new("")).into_iter();
    files.filter(|file| batch_name(file).is_some()).map(short_path).collect()
}

/// Returns a hint for a path that leads nowhere: the batch file that was probably meant.
pub(super) fn suggest_file(path: &Path) -> Option<String> {
    let meant = find_from_other_folder(path).map(|file| quote_path(&file));
    let meant = meant.or_else(|| suggest_similar(path))?;
    Some(format!("did you mean `{meant}`?"))
}

/// Returns the file to which a path leads from the folder above, or from the folder that it begins with:
/// the command was typed in another folder.
fn find_from_other_folder(path: &Path) -> Option<PathBuf> {
    if path.is_absolute() {
        return None;
    }
    let inside = path.components().skip(1).collect();
    let above = (1..=FOLDERS_ABOVE_MAX).map(|levels| Path::new(&"../".repeat(levels)).join(path));
    std::iter::once(inside).chain(above).find(|file| file.is_file())
}

/// Returns the most similar name; its file, if the user gave a path, or if the name does not lead there.
fn suggest_similar(path: &Path) -> Option<String> {
    let given = path.file_stem()?.to_string_lossy().into_owned();
    let files = known_batch_files(path);
    let names: Vec<(String, &PathBuf)> = files
        .iter()
        .flat_map(|file| known_names(file).into_iter().map(move |name| (name, file)))
        .collect();
    let nearest = nearest_name(&given, names.iter().map(|(name, _)| name.as_str()))?;
    let (name, file) = names.iter().find(|(name, _)| name == nearest)?;
    let is_path = path.components().count() > 1 || path.extension().is_some();
    match !is_path && leads_to(name, file) {
        true => Some(shell_quote(name).into_owned()),
        false => Some(quote_path(file.strip_prefix(".").unwrap_or(file))),
    }
}
