//! Finds the part of an XLSX archive that holds a worksheet.
//!
//! The name of a worksheet leads over two parts to the third: package, workbook, worksheet.

use std::fs::File;
use std::io::{BufRead, BufReader};

use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::archive::{open_archive, open_part};
use super::{attribute, damaged_workbook_problem};
use crate::sheet::problem::SheetProblem;

/// Returns the name of the part; `None` if it is not where the workbook says.
pub(super) fn worksheet_part(file: &File, name: &str) -> Result<Option<String>, SheetProblem> {
    let mut archive = open_archive(file)?;
    let package = relations(&mut archive, "_rels/.rels")?;
    let workbook = package.iter().find(|relation| relation.kind.ends_with("/officeDocument"));
    let workbook = workbook.map_or("xl/workbook.xml", |found| &found.target).to_owned();
    let workbook = resolve_target("", &workbook);
    let (folder, base) = workbook.rsplit_once('/').unwrap_or(("", &workbook));
    let relations = relations(&mut archive, &format!("{folder}/_rels/{base}.rels"))?;
    let Some(part) = part_name(&archive, &workbook) else { return Ok(None) };
    let mut id = None;
    for_each_tag(&mut open_part(&mut archive, &part)?, |tag| {
        if tag.local_name().as_ref() == "sheet" && attribute(tag, "name").as_deref() == Some(name) {
            let attributes = tag.attributes().flatten();
            let relation = attributes.into_iter().find(|one| one.key.local_name().as_ref() == "id");
            id = relation.map(|found| found.value.into_owned());
        }
    })?;
    let target = relations.iter().find(|relation| Some(&relation.id) == id.as_ref());
    Ok(target.and_then(|found| part_name(&archive, &resolve_target(folder, &found.target))))
}

struct PartRelation {
    id: String,
    kind: String,
    target: String,
}

fn relations(
    archive: &mut ZipArchive<BufReader<&File>>,
    part: &str,
) -> Result<Vec<PartRelation>, SheetProblem> {
    let mut found = Vec::new();
    let Some(part) = part_name(archive, part.trim_start_matches('/')) else { return Ok(found) };
    for_each_tag(&mut open_part(archive, &part)?, |tag| {
        if tag.local_name().as_ref() == "Relationship" {
            let text = |name| attribute(tag, name).unwrap_or_default();
            found.push(PartRelation { id: text("Id"), kind: text("Type"), target: text("Target") });
        }
    })?;
    Ok(found)
}

fn for_each_tag(
    part: &mut impl BufRead,
    mut visit: impl FnMut(&BytesStart<'_>),
) -> Result<(), SheetProblem> {
    let mut xml = quick_xml::Reader::from_reader(part);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| damaged_workbook_problem())? {
            Event::Start(tag) | Event::Empty(tag) => visit(&tag),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Returns the part of this name as the archive spells it.
fn part_name(archive: &ZipArchive<BufReader<&File>>, wanted: &str) -> Option<String> {
    let mut names = archive.file_names().flatten();
    names.find(|name| name.eq_ignore_ascii_case(wanted)).map(std::borrow::Cow::into_owned)
}

/// Returns a target within the archive; it is relative to `folder`, unless it begins with a slash.
fn resolve_target(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut path: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.join("/")
}
