//! The files of a scene template: its own, and the `partials` folder beside it.
//!
//! The texts are kept as they were read, so that diagnostics can quote their lines.
//!
//! Invariant: no link leads out of the `partials` folder, so a template from elsewhere shows no other
//! file of this machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::PlanError;
use crate::template::{
    Origin, PartialFile, PartialFiles, SceneTemplate, TemplateProblem, is_wrapped_project,
};
use crate::text::shell_quote;

/// The folder of partials, beside the template.
const PARTIALS_FOLDER: &str = "partials";
/// The size limit of one file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Extensions of a partial; the longer one wins if both files exist.
const PARTIAL_EXTENSIONS: [&str; 2] = [".json.hbs", ".hbs"];

/// A template's files as they were read.
#[derive(Clone, Debug)]
pub struct TemplateFiles {
    path: PathBuf,
    source: String,
    partials: PartialFiles,
}

impl TemplateFiles {
    /// Reads a template and its partials.
    ///
    /// # Errors
    /// [`PlanError::File`] if the template cannot be read. An unreadable partial is reported where
    /// the template includes it.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let source = read_text(path).map_err(|why| PlanError::File {
            what: "the template",
            path: path.to_owned(),
            why: why.to_owned(),
        })?;
        Ok(Self { path: path.to_owned(), source, partials: read_partials(path) })
    }

    /// Compiles the template.
    ///
    /// # Errors
    /// [`PlanError::Template`] with all problems.
    pub fn compile(self) -> Result<(SceneTemplate, Self), PlanError> {
        if is_wrapped_project(&self.source) {
            let problem = wrapped_project_problem(&self.path);
            return Err(PlanError::Template { files: self, problems: vec![problem] });
        }
        let name = self.path.display().to_string();
        match SceneTemplate::parse(&name, &self.source, &self.partials) {
            Ok(template) => Ok((template, self)),
            Err(problems) => Err(PlanError::Template { files: self, problems }),
        }
    }

    /// Returns the path and the text of the file that contains `origin`.
    pub fn file_of_origin(&self, origin: Option<&Origin>) -> (String, &str) {
        let part = origin.and_then(|origin| origin.partial_file.as_deref());
        match part.and_then(|part| Some((part, self.partials.file_text(part)?))) {
            Some((part, text)) => (self.path.with_file_name(part).display().to_string(), text),
            None => (self.path.display().to_string(), &self.source),
        }
    }

    /// Returns the names of all partials.
    pub fn partial_names(&self) -> impl Iterator<Item = &str> {
        self.partials.0.keys().map(String::as_str)
    }
}

/// A response of AI Studios that contains a project has other fields than a template, and no tags.
fn wrapped_project_problem(path: &Path) -> TemplateProblem {
    let origin = Origin { partial_file: None, line: 1, column: 1, sheet_column: None };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let output = path.with_file_name(format!("{stem}.json.hbs"));
    TemplateProblem::in_template(
        origin,
        "this is a response from AI Studios that contains a project, not a template",
    )
    .with_help(format!(
        "turn it into a template: callsheet pull {} -o {}\n  and set `template` in the batch file \
         to the new file",
        shell_quote(&path.display().to_string()),
        shell_quote(&output.display().to_string())
    ))
}

/// Returns the paths of the files that a template may insert.
pub fn partial_files(template: &Path) -> Vec<PathBuf> {
    let files = read_partials(template).0.into_values();
    files.map(|partial| template.with_file_name(partial.file)).collect()
}

/// Reads the partials beside a template.
fn read_partials(template: &Path) -> PartialFiles {
    let mut found = BTreeMap::new();
    // A missing folder means no partials; a template that includes one reports it.
    let folder = template.with_file_name(PARTIALS_FOLDER);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return PartialFiles(found);
    };
    let real_folder = real_folder_beside(template, &folder);
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(ending) = PARTIAL_EXTENSIONS.iter().find(|ending| file.ends_with(*ending)) else {
            continue;
        };
        let name = file.trim_end_matches(ending);
        let is_second = *ending == PARTIAL_EXTENSIONS[1] && found.contains_key(name);
        if !name.is_empty() && !file.starts_with('.') && !is_second {
            let text = match &real_folder {
                Some(folder) if path.canonicalize().is_ok_and(|real| real.starts_with(folder)) => {
                    read_text(&path)
                }
                Some(_) | None => Err("a link leads out of the folder of partials"),
            };
            let text = text.map_err(str::to_owned);
            let file = format!("{PARTIALS_FOLDER}/{file}");
            found.insert(name.to_owned(), PartialFile { file, text });
        }
    }
    PartialFiles(found)
}

/// Returns a folder beside the template without links; `None` if it is elsewhere in truth.
fn real_folder_beside(template: &Path, folder: &Path) -> Option<PathBuf> {
    let parent = template.parent().filter(|parent| !parent.as_os_str().is_empty());
    let real_parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
    folder.canonicalize().ok().filter(|real| real.parent() == Some(&real_parent))
}

fn read_text(path: &Path) -> Result<String, &'static str> {
    let describe = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::IsADirectory => "it is a folder",
        _ => "the disk reported an error",
    };
    // Opening a pipe waits for its other end.
    let kind = std::fs::metadata(path).map_err(describe)?.file_type();
    if !kind.is_file() {
        return Err(if kind.is_dir() { "it is a folder" } else { "it is not a file" });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(describe)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(describe)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err("it is larger than 4 MB");
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text; save it as UTF-8")?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}
