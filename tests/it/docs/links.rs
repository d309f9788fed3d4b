//! Links between documents: each leads to a file, and to a heading in it.
//!
//! Addresses on the web are not checked.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{documents, files_below, root, split_code, text_of, without_code};

/// Screenshots, which are made by hand; checked as soon as there are any.
const IMAGES: &str = "docs/images";

/// Returns the anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors_of(markdown: &str) -> BTreeSet<String> {
    let (_, prose) = split_code(markdown);
    let headings = prose.into_iter().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Returns the targets of all links and pictures.
fn targets(markdown: &str) -> Vec<String> {
    let prose = without_code(&split_code(markdown).1.join("\n"));
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                assert!(parts.pop(), "{} leaves the repository", path.display());
            }
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}

/// Returns why a link on this page leads nowhere.
fn defect(page: &str, target: &str) -> Option<String> {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(page).parent()?;
    let path = if file.is_empty() { PathBuf::from(page) } else { normal(&folder.join(file)) };
    if path.starts_with(IMAGES) && !root().join(IMAGES).exists() {
        return None;
    }
    if !root().join(&path).exists() {
        return Some(format!("{page}: {target} leads nowhere"));
    }
    let leads_to_heading =
        heading.is_empty() || anchors_of(&text_of(path.to_str()?)).contains(heading);
    (!leads_to_heading).then(|| format!("{page}: there is no heading {target}"))
}

#[test]
fn links_between_documents_lead_somewhere() {
    let (mut checked, mut defects) = (0, Vec::new());
    for (page, text) in documents() {
        let targets = targets(&text).into_iter();
        for target in targets.filter(|target| !target.contains("://")) {
            checked += 1;
            defects.extend(defect(&page, &target));
        }
    }
    assert!(checked > 100, "only {checked} links were found");
    assert!(defects.is_empty(), "{}", defects.join("\n"));
}

#[test]
fn pages_of_the_book_link_only_within_the_book() {
    for (name, text) in documents() {
        if !name.starts_with("docs/") {
            continue;
        }
        for target in targets(&text) {
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let folder = Path::new(&name).parent().unwrap();
            let path = normal(&folder.join(target.split('#').next().unwrap()));
            assert!(path.starts_with("docs"), "{name}: {target} is not a page of the book");
        }
    }
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = text_of("docs/SUMMARY.md");
    let listed: BTreeSet<String> =
        targets(&summary).into_iter().map(|target| format!("docs/{target}")).collect();
    for page in files_below("docs").into_iter().filter(|path| path.ends_with(".md")) {
        let is_listed = page == "docs/SUMMARY.md" || listed.contains(&page);
        assert!(is_listed, "docs/SUMMARY.md does not list {page}");
    }
}
