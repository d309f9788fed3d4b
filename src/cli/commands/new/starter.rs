//! A batch without a sheet: a starter sheet with the columns of the template, and one row that merges.

use std::path::Path;

use super::{
    NewArgs, NewBatchError, ensure_absent, new_template, parse_name, path_beside_batch,
    print_next_step,
};
use crate::batch::{BATCH_FOLDER, BatchName};
use crate::cli::output::printer::Printer;
use crate::plan::{StarterSheet, build_starter_sheet};
use crate::scaffold::{GALLERY, toml_string, write_new_file};
use crate::text::escape_formula;

/// Writes the batch file, the sheet, and the template if it does not exist.
pub(super) fn write_batch(
    args: &NewArgs,
    name: &str,
    printer: &Printer,
) -> Result<(), NewBatchError> {
    let name = parse_name(name)?;
    let batch_path = Path::new(BATCH_FOLDER).join(format!("{name}.toml"));
    let sheet_path = Path::new(BATCH_FOLDER).join(format!("{name}.csv"));
    ensure_absent(&[&batch_path, &sheet_path])?;
    let template = new_template::open(args.template.as_deref(), &GALLERY[0])?;
    template.write(printer)?;
    let starter = build_starter_sheet(&template.template);
    write_new_file(&sheet_path, &sheet_text(&starter))?;
    write_new_file(&batch_path, &batch_file_text(&name, &template.path, &starter))?;
    printer.status(&format!("Created {} and {}", batch_path.display(), sheet_path.display()));
    if starter.is_mergeable {
        print_next_step(printer, &format!("callsheet plan {}", batch_path.display()));
    } else {
        printer.status(&format!(
            "fill in {}: the template needs values that have no example",
            sheet_path.display()
        ));
    }
    Ok(())
}

fn sheet_text(starter: &StarterSheet) -> String {
    let line = |cells: &Vec<String>| {
        let quoted = |cell: &String| {
            let cell = escape_formula(cell);
            match cell.contains(['"', ',', '\r', '\n', ';']) {
                true => format!("\"{}\"", cell.replace('"', "\"\"")),
                false => cell.into_owned(),
            }
        };
        cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n"
    };
    std::iter::once(&starter.headings).chain(&starter.rows).map(line).collect()
}

fn batch_file_text(name: &BatchName, template: &Path, starter: &StarterSheet) -> String {
    let key = toml_string(&starter.headings[0]);
    let naming = match starter.grouped {
        true => {
            format!("# rows with the same value form one video\ngroup_by = {key}")
        }
        false => format!("# identifies a row; must be unique\nkey = {key}"),
    };
    format!(
        "# callsheet plan {BATCH_FOLDER}/{name}.toml     checks the rows; spends nothing\n\
         # callsheet run {BATCH_FOLDER}/{name}.toml --sandbox     rehearses; spends nothing\n\
         # callsheet run {BATCH_FOLDER}/{name}.toml --limit 3     renders three videos\n\n\
         name = {}\n\
         # paths are relative to this file\n\
         sheet = {}\n\
         template = {}\n\
         {naming}\n\n\
         [studio]\n\
         # or \"china\"\n\
         region = \"global\"\n\
         resolution = \"1080\"\n",
        toml_string(name.as_str()),
        toml_string(&format!("{name}.csv")),
        toml_string(&path_beside_batch(template)),
    )
}
