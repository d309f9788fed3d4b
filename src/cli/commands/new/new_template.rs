//! The template of a new batch: one of the gallery, or a file of the user.
//!
//! A template of the gallery is copied to `templates/`; a file there with its name is used as it is.

use std::path::{Path, PathBuf};

use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::plan::{PlanError, TemplateFiles};
use crate::scaffold::{
    GALLERY, GalleryTemplate, NewFileError, find_gallery_template, write_new_file,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::template::{PartialFiles, SceneTemplate};
use crate::text::suggest_name;

use super::NewBatchError;

/// Folder of templates.
const TEMPLATES_FOLDER: &str = "templates";

/// A compiled template, and the file that the batch names.
pub(super) struct NewTemplate {
    pub(super) path: PathBuf,
    pub(super) template: SceneTemplate,
    /// The text to write, if the file does not exist.
    source: Option<&'static str>,
}

impl NewTemplate {
    /// Writes the file if it does not exist.
    pub(super) fn write(&self, printer: &Printer) -> Result<(), NewFileError> {
        let Some(source) = self.source else { return Ok(()) };
        write_new_file(&self.path, source)?;
        printer.status(&format!("Created {}", self.path.display()));
        Ok(())
    }
}

/// Opens the template that the user named, or else `fallback`.
pub(super) fn open(
    given: Option<&str>,
    fallback: &'static GalleryTemplate,
) -> Result<NewTemplate, NewBatchError> {
    let Some(given) = given else { return open_gallery_template(fallback) };
    let path = Path::new(given);
    if path.is_file() {
        return open_file(path.to_owned());
    }
    if let Some(found) = find_gallery_template(given) {
        return open_gallery_template(found);
    }
    let names = GALLERY.iter().map(|template| template.name);
    let hint = suggest_name(given, names, "templates");
    let is_file_name = given.contains(['.', '/', '\\']);
    Err(CommandError::usage(match is_file_name {
        true => format!("there is no template `{given}`: check the path"),
        false => format!("there is no template `{given}`: {hint}"),
    })
    .into())
}

fn open_gallery_template(found: &'static GalleryTemplate) -> Result<NewTemplate, NewBatchError> {
    let path = Path::new(TEMPLATES_FOLDER).join(found.file_name());
    if path.exists() {
        return open_file(path);
    }
    let template = SceneTemplate::parse(found.name, found.source, &PartialFiles::default());
    let template =
        template.map_err(|_| CommandError::unexpected("a template of the gallery is invalid"))?;
    Ok(NewTemplate { path, template, source: Some(found.source) })
}

fn open_file(path: PathBuf) -> Result<NewTemplate, NewBatchError> {
    let (template, _) = TemplateFiles::read(&path)?.compile()?;
    Ok(NewTemplate { path, template, source: None })
}

/// Prints the problems of a template.
pub(super) fn print_problems(error: &PlanError, printer: &Printer) -> ExitReason {
    diagnostics::print_template_error(printer, error)
}
