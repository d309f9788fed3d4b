//! The templates that come with the program, and its demo batch.
//!
//! They are part of the program, so that a new batch needs no other file. Invariant: each one renders,
//! which a test shows.

use super::column_role::{ColumnRole, role_of_heading};
use crate::payload::{ColumnMapping, PayloadMerger};
use crate::template::{PartialFiles, SceneTemplate};

/// A template of the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GalleryTemplate {
    /// Its name, and its file's without `.json.hbs`.
    pub name: &'static str,
    /// What its videos show.
    pub summary: &'static str,
    /// Its text.
    pub source: &'static str,
    /// The roles of columns for which it is the better choice.
    roles: &'static [ColumnRole],
}

/// The batch file of the demo: a copy of `jobs/demo.toml`, so that a user who changes a row there does not
/// compile the program again.
pub const DEMO_BATCH: &str = include_str!("demo/demo.toml");
/// The sheet of the demo.
pub const DEMO_SHEET: &str = include_str!("demo/demo.csv");

/// All templates; the first is the default.
pub const GALLERY: &[GalleryTemplate] = &[
    GalleryTemplate {
        name: "presenter",
        summary: "one avatar, one script, and a headline",
        source: include_str!("../../templates/presenter.json.hbs"),
        roles: &[],
    },
    GalleryTemplate {
        name: "product",
        summary: "an avatar with headline, price, picture and logo, if the sheet has them",
        source: include_str!("../../templates/product.json.hbs"),
        roles: &[ColumnRole::Price, ColumnRole::Logo, ColumnRole::Picture, ColumnRole::Subtitle],
    },
    GalleryTemplate {
        name: "portrait",
        summary: "upright for phones: an avatar with headline, price and logo",
        source: include_str!("../../templates/portrait.json.hbs"),
        roles: &[],
    },
    GalleryTemplate {
        name: "multi-scene",
        summary: "a long script in several scenes, an avatar and a picture",
        source: include_str!("../../templates/multi-scene.json.hbs"),
        roles: &[],
    },
    GalleryTemplate {
        name: "picture-in-picture",
        summary: "a picture that fills the screen, and a small avatar",
        source: include_str!("../../templates/picture-in-picture.json.hbs"),
        roles: &[],
    },
];

/// The row that the pictures of the gallery show.
const SAMPLE: &[(&str, &str)] = &[
    ("sku", "TEA-001"),
    ("script", "Our first spring harvest has arrived."),
    ("headline", "Spring tea"),
    ("subtitle", "Light and floral"),
    ("price", "€4.90"),
    ("picture", "https://example.org/tea.png"),
    ("logo", "https://example.org/logo.png"),
];

impl GalleryTemplate {
    /// Returns the payload of a sample row, to be drawn.
    pub fn sample_payload(&self) -> Option<String> {
        let template =
            SceneTemplate::parse(self.name, self.source, &PartialFiles::default()).ok()?;
        let names = SAMPLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        let columns = ColumnMapping { names, ..ColumnMapping::default() };
        let row: Vec<String> = SAMPLE.iter().map(|(_, text)| (*text).to_owned()).collect();
        let payload = PayloadMerger::new(&template, &columns).merge(&[row]).ok()?;
        Some(payload.into_text())
    }

    /// Returns the name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.json.hbs", self.name)
    }
}

/// Returns the template of this name.
pub fn find_gallery_template(name: &str) -> Option<&'static GalleryTemplate> {
    GALLERY.iter().find(|template| template.name == name)
}

/// Returns the template that uses most of what a sheet with these headings has.
pub fn choose_template<'h>(headings: impl Iterator<Item = &'h str>) -> &'static GalleryTemplate {
    let role = |heading| role_of_heading(heading).map(|found| found.role);
    let roles: Vec<ColumnRole> = headings.filter_map(role).collect();
    let uses = |template: &&GalleryTemplate| {
        template.roles.iter().filter(|role| roles.contains(role)).count()
    };
    // Of equal ones the first, which is the plainer one: `max_by_key` takes the last.
    GALLERY.iter().rev().max_by_key(uses).unwrap_or(&GALLERY[0])
}
