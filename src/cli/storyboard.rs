//! The storyboard of a batch as a file: every row merged, drawn, and beside what the ledger has.
//!
//! It asks AI Studios nothing and changes nothing in the ledger. The file takes its name only when
//! it is whole.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use super::drive::Early;
use super::exit::Exit;
use super::talk::{Talk, counted};
use crate::batch::{Batch, Resolution};
use crate::ledger::{BatchId, Ledger, LedgerError, Planned};
use crate::plan::{Materials, PlanError};
use crate::report::{begin_file, disk_words};
use crate::request::Kind;
use crate::scene::{
    CARDS_MAX, Card, Columns, Hashing, Merger, Partials, Place, Problem, Standing, Template,
    page_foot, page_head,
};
use crate::sheet::Entry;

/// What to draw, and where.
pub(super) struct Board<'a> {
    pub(super) path: &'a Path,
    pub(super) batch: &'a Batch,
    /// Where former versions are; nothing when there is no ledger yet.
    pub(super) ledger: Option<&'a Ledger>,
    /// What the page says of the batch.
    pub(super) lines: Vec<String>,
    /// Whether rows that cannot be read belong on it: nobody knows their keys.
    pub(super) is_whole: bool,
    /// What to say when no row is wanted, and nothing is written; without it, an empty page will do.
    pub(super) nobody: Option<String>,
}

/// Why there is no storyboard.
pub(super) enum Undrawn {
    Plan(PlanError),
    Early(Early),
}

impl From<LedgerError> for Undrawn {
    fn from(error: LedgerError) -> Self {
        Self::Early(Early::new(Exit::Unexpected, error))
    }
}

impl Board<'_> {
    /// Draws the rows that are wanted. Says where, and returns how many of them are wrong.
    pub(super) async fn draw(
        &self,
        wanted: impl Fn(&Entry, &str) -> bool,
        talk: &Talk,
    ) -> Result<u64, Undrawn> {
        let Materials { template, sheet, editions, kind, .. } =
            Materials::open(self.batch).map_err(Undrawn::Plan)?;
        let former = match self.ledger {
            Some(ledger) => Former::of(ledger, self.batch).await?,
            None => None,
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let disk = |error: io::Error| {
            let words = format!("cannot write `{}`: {}", self.path.display(), disk_words(&error));
            Undrawn::Early(Early::new(Exit::Unexpected, words))
        };
        let mut file = io::BufWriter::new(begin_file(folder).map_err(disk)?);
        let title = format!("Storyboard of {}", self.batch.name);
        file.write_all(page_head(&title, &self.lines).as_bytes()).map_err(disk)?;
        let mut artist = Artist {
            mergers: editions
                .iter()
                .map(|edition| template.merger(&edition.columns).of_kind(kind))
                .collect(),
            resolution: self.batch.studio.resolution.map(Resolution::word),
            former,
            wrong: 0,
        };
        let mut jobs = 0;
        let mut put = |html: String| file.write_all(html.as_bytes()).map_err(disk);
        for entry in sheet.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(_) if !self.is_whole => continue,
                Err(problem) => {
                    if jobs < CARDS_MAX {
                        put(artist.unread(&problem))?;
                    }
                    jobs += 1;
                    continue;
                }
            };
            let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
            for (number, edition) in editions.iter().enumerate() {
                let key = edition.key(&entry.key);
                if !edition.makes(&entry, &rows) || !wanted(&entry, &key) {
                    continue;
                }
                if jobs < CARDS_MAX {
                    let row = entry.rows.first().map_or(1, |row| row.number);
                    put(artist.card((&key, row), number, &rows).await?)?;
                }
                jobs += 1;
            }
        }
        if let (0, Some(words)) = (jobs, &self.nobody) {
            return Err(Undrawn::Early(Early::new(Exit::Input, words)));
        }
        let left_out = jobs.saturating_sub(CARDS_MAX);
        file.write_all(page_foot(left_out).as_bytes()).map_err(disk)?;
        let file = file.into_inner().map_err(|error| disk(error.into_error()))?;
        file.persist(self.path).map_err(|error| disk(error.error))?;
        let limit =
            if left_out > 0 { format!(", the first {CARDS_MAX} of them") } else { String::new() };
        talk.say(&format!("{} drawn in {}{limit}", counted(jobs, "job"), self.path.display()));
        Ok(artist.wrong)
    }
}

/// Draws one row after the other.
struct Artist<'t, 'l> {
    /// One for each way in which a row is made.
    mergers: Vec<Merger<'t>>,
    resolution: Option<&'static str>,
    former: Option<Former<'l>>,
    wrong: u64,
}

impl Artist<'_, '_> {
    async fn card(
        &mut self,
        (key, row): (&str, u64),
        edition: usize,
        rows: &[Vec<String>],
    ) -> Result<String, LedgerError> {
        let merger = &mut self.mergers[edition];
        let known = match &self.former {
            Some(former) => former.ledger.planned(former.batch, key).await?,
            None => None,
        };
        let absent = if self.former.is_some() { Standing::New } else { Standing::Unknown };
        let mut card = Card { key, row, standing: absent, ..Card::default() };
        let (text, problems, doubts);
        match merger.merge(rows) {
            Ok(payload) => {
                doubts = merger.doubts(&payload);
                problems = Vec::new();
                if let Some(known) = &known {
                    let hashing = Hashing::of(&known.payload_hash);
                    let hash = payload.video_hash(self.resolution, hashing);
                    let same = hash == known.payload_hash;
                    card.standing = if same { Standing::Unchanged } else { Standing::Changed };
                }
                text = Some(payload.into_text());
            }
            Err(wrong) => {
                // What cannot be sent can often be drawn all the same, with the mistake on it.
                text = merger.readable(rows).ok();
                (problems, doubts) = (wrong, Vec::new());
                self.wrong += 1;
            }
        }
        let before = match (&mut self.former, known) {
            (Some(former), Some(known)) if card.standing == Standing::Changed => {
                former.text(&known).await?.map(|text| (known.version, text))
            }
            _ => None,
        };
        card.text = text.as_deref();
        card.former = before.as_ref().map(|(version, text)| (*version, text.as_str()));
        (card.problems, card.doubts) = (&problems, &doubts);
        Ok(card.html())
    }

    /// A row that cannot be read.
    fn unread(&mut self, problem: &crate::sheet::Problem) -> String {
        self.wrong += 1;
        let (row, message) = (problem.row.unwrap_or(1), problem.message.clone());
        let place = Place::Column { name: String::new(), origin: None };
        let problems = [Problem { place, message, help: problem.help.clone() }];
        let key = problem.column.as_ref().map(ToString::to_string).unwrap_or_default();
        Card { key: &key, row, problems: &problems, ..Card::default() }.html()
    }
}

/// The batch as the ledger knows it.
struct Former<'l> {
    ledger: &'l Ledger,
    batch: BatchId,
    templates: HashMap<String, Option<Template>>,
}

impl<'l> Former<'l> {
    /// Returns nothing for a batch that the ledger does not know.
    async fn of(ledger: &'l Ledger, batch: &Batch) -> Result<Option<Self>, LedgerError> {
        match ledger.batch(batch.name.as_str()).await {
            Ok(stored) => Ok(Some(Self { ledger, batch: stored.id, templates: HashMap::new() })),
            Err(LedgerError::NoBatch { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Merges what was planned again. What an older version of the program merged otherwise is left out.
    async fn text(&mut self, planned: &Planned) -> Result<Option<String>, LedgerError> {
        if !self.templates.contains_key(&planned.template_hash) {
            let source = self.ledger.template(&planned.template_hash).await?;
            let template = Template::parse("template", &source, &Partials::default()).ok();
            self.templates.insert(planned.template_hash.clone(), template);
        }
        let template = self.templates.get(&planned.template_hash).and_then(Option::as_ref);
        let columns: Option<Columns> = serde_json::from_str(&planned.columns).ok();
        let rows: Option<Vec<Vec<String>>> = serde_json::from_str(&planned.cells).ok();
        let (Some(template), Some(columns), Some(rows)) = (template, columns, rows) else {
            return Ok(None);
        };
        let Some(kind) = Kind::named(&planned.request) else { return Ok(None) };
        let merged = template.merger(&columns).of_kind(kind).merge(&rows);
        Ok(merged.ok().map(crate::scene::Payload::into_text))
    }
}
