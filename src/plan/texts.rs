//! The files of a scene template: its own, and the `partials` folder beside it.
//!
//! They are kept as they were read for as long as somebody may have to be shown a line of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::PlanError;
use crate::scene::{Origin, Partial, Partials, Template};

/// The folder of partials, beside the template.
const FOLDER: &str = "partials";
/// How a partial's file name ends, the longer way first: it wins when there are both.
const ENDINGS: [&str; 2] = [".json.hbs", ".hbs"];

/// A template's files as they were read.
#[derive(Clone, Debug)]
pub struct Texts {
    path: PathBuf,
    source: String,
    partials: Partials,
}

impl Texts {
    /// Reads a template and what it may take in.
    ///
    /// # Errors
    /// [`PlanError::File`] when the template cannot be read. A partial that cannot be read is told
    /// where a template takes it in.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let source = read_text(path).map_err(|why| PlanError::File {
            what: "the template",
            path: path.to_owned(),
            why: why.to_owned(),
        })?;
        Ok(Self { path: path.to_owned(), source, partials: partials_beside(path) })
    }

    /// Compiles the template.
    ///
    /// # Errors
    /// [`PlanError::Template`] with all that is wrong.
    pub fn compile(self) -> Result<(Template, Self), PlanError> {
        let name = self.path.display().to_string();
        match Template::parse(&name, &self.source, &self.partials) {
            Ok(template) => Ok((template, self)),
            Err(problems) => Err(PlanError::Template { texts: self, problems }),
        }
    }

    /// Returns the file that an origin speaks of, as a person is told of it, and its text.
    pub fn of(&self, origin: Option<&Origin>) -> (String, &str) {
        let part = origin.and_then(|origin| origin.part.as_deref());
        match part.and_then(|part| Some((part, self.partials.text_of(part)?))) {
            Some((part, text)) => (self.path.with_file_name(part).display().to_string(), text),
            None => (self.path.display().to_string(), &self.source),
        }
    }

    /// Returns the names of the partials there are.
    pub fn partials(&self) -> impl Iterator<Item = &str> {
        self.partials.0.keys().map(String::as_str)
    }
}

/// Reads the partials that lie beside a template.
fn partials_beside(template: &Path) -> Partials {
    let mut found = BTreeMap::new();
    // No folder, no partials; a template that wants one says which is missing.
    let Ok(entries) = std::fs::read_dir(template.with_file_name(FOLDER)) else {
        return Partials(found);
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(ending) = ENDINGS.iter().find(|ending| file.ends_with(*ending)) else { continue };
        let name = file.trim_end_matches(ending);
        let is_second = *ending == ENDINGS[1] && found.contains_key(name);
        if !name.is_empty() && !file.starts_with('.') && !is_second {
            let text = read_text(&path).map_err(str::to_owned);
            let file = format!("{FOLDER}/{file}");
            found.insert(name.to_owned(), Partial { file, text });
        }
    }
    Partials(found)
}

fn read_text(path: &Path) -> Result<String, &'static str> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file",
        std::io::ErrorKind::PermissionDenied => "permission denied",
        std::io::ErrorKind::IsADirectory => "it is a folder",
        _ => "the disk reported an error",
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text; save it as UTF-8")?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}
