//! The plan: what a sheet and a template mean to the ledger, before a credit is spent.
//!
//! Every row is merged and checked, whatever the ledger knows already, and all problems are told
//! at once. Rows stream through: a million of them need no more memory than a thousand. Nothing is
//! asked of AI Studios here, and nothing is written until the plan is taken in, whole.

mod choice;
mod edition;
mod estimate;
mod file_name;
mod pipeline;
mod problem;
mod refused;
mod starter;
mod stock;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::batch::Batch;
use crate::ledger::{BatchId, Changed, Compared, Counts, Header, Ledger, LedgerError};
use crate::request::Kind;
use crate::scene::{Columns, FileName, Take, Template};
use crate::sheet;

use pipeline::Ground;

pub use choice::{Choice, Condition, NoCondition, NoSuchColumn, Sieve};
pub use edition::Edition;
pub use estimate::Estimate;
pub use pipeline::Merging;
pub use problem::{Problem, Problems, Source};
pub use starter::{Starter, starter};
pub use stock::{Stock, Taken};
pub use texts::Texts;

/// Changed rows that are told one by one; the rest is counted.
const CHANGES_TOLD: u32 = 20;

/// A plan that was drawn up and can be taken in.
#[derive(Debug)]
pub struct Plan {
    /// What the sheet means to the ledger.
    pub counts: Counts,
    /// What is wrong, row by row.
    pub problems: Problems,
    /// What is probably not meant, and stands in nobody's way.
    pub doubts: Problems,
    /// What its payloads take from the account's catalogues, where that was asked for.
    pub taken: BTreeMap<Take, Taken>,
    /// The first changed rows, and what changed in them.
    pub changes: Vec<Change>,
    /// Rows read, those that the sheet says to leave out not counted.
    pub rows: u64,
    /// How many of them a person named, where a person named some.
    pub named: Option<u64>,
    /// Headings of columns that nothing asks for.
    pub unused: Vec<String>,
    /// How the sheet was read: what was guessed should be said.
    pub reading: sheet::Reading,
    /// The template's files, to show what is wrong in them.
    pub texts: Texts,
    /// How long drawing it up took.
    pub took: Duration,
    compared: Compared,
}

/// A row whose payload is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key.
    pub key: String,
    /// Its row in the sheet.
    pub row_number: i64,
    /// The headings whose cells differ; empty when only the template or the settings do.
    pub columns: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sheet cannot be read at all.
    #[error("the sheet is wrong")]
    Sheet(sheet::Problems),
    /// The template is wrong before any row is merged.
    #[error("the template is wrong")]
    Template {
        /// Its files.
        texts: Texts,
        /// What is wrong.
        problems: Vec<crate::scene::Problem>,
    },
    /// A file cannot be read.
    #[error("cannot read {what} `{}`: {why}", path.display())]
    File {
        /// "the template".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The `file` pattern of the batch file is wrong.
    #[error("`file` in the batch file is wrong")]
    FilePattern(Vec<crate::scene::Problem>),
    /// What a person named is not in the sheet.
    #[error("{0}")]
    Choice(String),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Everything that is read before the first row.
#[derive(Debug)]
pub struct Materials {
    /// The compiled template.
    pub template: Template,
    /// What it was read from.
    pub texts: Texts,
    /// The compiled `file` pattern, if the batch file has one.
    pub video_file: Option<FileName>,
    /// The opened sheet.
    pub sheet: sheet::Sheet,
    /// How its cells become fields, in each way in which a row is made; at least one.
    pub editions: Vec<Edition>,
    /// What is asked of AI Studios for each row.
    pub kind: &'static Kind,
}

impl Materials {
    /// Reads the template and opens the sheet of `batch`.
    ///
    /// # Errors
    /// All problems that show before the first row, of the first file that has any.
    pub fn open(batch: &Batch) -> Result<Self, PlanError> {
        let texts = Texts::read(&batch.template)?;
        let (template, texts) = texts.compile()?;
        let pattern = batch.video_file.as_deref().map(FileName::parse).transpose();
        let video_file = pattern.map_err(PlanError::FilePattern)?;
        let wanted = template.columns().iter();
        let wanted = wanted.chain(video_file.iter().flat_map(FileName::columns));
        let brought = edition::brought(batch);
        let given =
            |name: &&String| batch.defaults.contains_key(*name) || brought.contains(name.as_str());
        let mut required: Vec<String> = wanted.filter(|name| !given(name)).cloned().collect();
        required.sort();
        required.dedup();
        let optional = template.optional_columns().iter();
        let optional = optional.chain(video_file.iter().flat_map(FileName::optional_columns));
        let optional: Vec<String> = optional.chain(batch.defaults.keys()).cloned().collect();
        let lists: Vec<String> = template.lists().cloned().collect();
        let skip = batch.skip.as_ref();
        let want = sheet::Want {
            key: &batch.key,
            group_by: batch.group_by.as_deref(),
            columns: &batch.columns,
            required: &required,
            optional: &optional,
            lists: &lists,
            skip: skip.map(|skip| sheet::Skip { column: &skip.column, values: &skip.values }),
            encoding: batch.encoding.as_deref(),
            worksheet: batch.worksheet.as_deref(),
        };
        let sheet = sheet::Sheet::open(&batch.sheet, &want).map_err(PlanError::Sheet)?;
        let columns = Columns {
            names: sheet.names().to_vec(),
            defaults: batch.defaults.clone(),
            grouped: batch.group_by.is_some(),
            lists: sheet.lists().clone(),
            ..Columns::default()
        };
        let editions =
            edition::of(batch, (&sheet, &template), &columns).map_err(PlanError::Sheet)?;
        let kind = batch.studio.request;
        Ok(Self { template, texts, video_file, sheet, editions, kind })
    }

    /// Returns the headings of columns that nothing asks for: most often one that is misspelt.
    fn unused(&self, sieves: &[Sieve]) -> Vec<String> {
        if self.template.uses_everything() {
            return Vec::new();
        }
        let pattern = self.video_file.iter();
        let names: BTreeSet<&String> = [self.template.columns(), self.template.optional_columns()]
            .into_iter()
            .chain(pattern.flat_map(|pattern| [pattern.columns(), pattern.optional_columns()]))
            .flatten()
            .collect();
        let mut asked: BTreeSet<usize> = self.sheet.asked_for().into_iter().collect();
        asked.extend(sieves.iter().flat_map(Sieve::columns));
        let columns = self.editions.iter().map(|edition| &edition.columns);
        asked.extend(
            columns.flat_map(|one| one.lists.values().flatten().chain(one.assigned.values())),
        );
        let headings = self.sheet.headings().iter().enumerate();
        let idle = headings.filter(|(column, _)| {
            !asked.contains(column) && !names.contains(&self.sheet.names()[*column])
        });
        idle.map(|(_, heading)| heading.clone()).collect()
    }
}

/// Merges every row of the batch's sheet and compares it with the ledger.
///
/// # Errors
/// See [`PlanError`]. Rows that cannot be merged are no error; they are the plan's problems.
pub async fn draw_up(batch: &Batch, base_url: &str, ledger: &Ledger) -> Result<Plan, PlanError> {
    draw_up_some(batch, base_url, ledger, &Choice::default()).await
}

/// The same, with only some rows to be submitted now. All others stay what they are.
///
/// # Errors
/// See [`PlanError`]; and a choice of which the sheet knows nothing.
pub async fn draw_up_some(
    batch: &Batch,
    base_url: &str,
    ledger: &Ledger,
    choice: &Choice,
) -> Result<Plan, PlanError> {
    let began = Instant::now();
    let materials = Materials::open(batch)?;
    let headings = materials.sheet.headings();
    let sieves = materials.editions.iter();
    let sieves = sieves.map(|edition| Sieve::of(&choice.conditions, headings, &edition.columns));
    let sieves: Vec<Sieve> = sieves
        .collect::<Result<_, _>>()
        .map_err(|error: NoSuchColumn| PlanError::Choice(error.to_string()))?;
    let header = Header { selects: !choice.is_everything(), ..header(batch, base_url, &materials) };
    let mut staging = ledger.stage(header).await?;
    let resolution = batch.studio.resolution.map(|resolution| resolution.word().to_owned());
    let headings = headings.to_vec();
    let (reading, texts) = (materials.sheet.reading().clone(), materials.texts.clone());
    let unused = materials.unused(&sieves);
    let mut ground = pipeline::run(materials, resolution, (choice, sieves), &mut staging).await?;
    let shared_files = ground.shared_files();
    let Ground { rows, mut problems, doubts, mut taken, named, strangers, .. } = ground;
    if let (true, Some(id)) = (choice.takes, &batch.studio.workspace_id) {
        stock::count(&mut taken, Take::Workspace(id.clone()), Taken { first: None, rows });
    }
    if let Some(words) = choice.unmet(named, strangers.first()) {
        staging.discard().await;
        return Err(PlanError::Choice(words));
    }
    if !shared_files.is_empty() {
        let is_shared = |name: &str| shared_files.contains(&file_name::hash(name));
        let seen_as = |name: &str| is_shared(name).then(|| file_name::seen_as(name));
        for (file, first, last) in staging.same_files(seen_as).await? {
            problems.add_shared((&file, first, last));
        }
    }
    let mut compared = staging.classify().await?;
    let changed = compared.changed(CHANGES_TOLD).await?;
    let changes = changed.into_iter().map(|row| change(row, &headings)).collect();
    let took = began.elapsed();
    let named = (!choice.is_everything()).then_some(named);
    Ok(Plan {
        counts: compared.counts().clone(),
        problems,
        doubts,
        taken,
        changes,
        rows,
        named,
        unused,
        reading,
        texts,
        took,
        compared,
    })
}

impl Plan {
    /// Tells whether every row could be merged and has a file of its own.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a doubt about whatever the account does not offer.
    pub fn compare(&mut self, stock: &Stock) {
        stock::doubts(&self.taken, stock).into_iter().for_each(|doubt| self.doubts.add(doubt));
    }

    /// Takes the plan into the ledger: all of it, or nothing.
    pub async fn take_in(self, now: Timestamp) -> Result<BatchId, LedgerError> {
        self.compared.commit(now).await
    }

    /// Lets the plan go; the ledger stays as it was.
    pub async fn discard(self) {
        self.compared.discard().await;
    }
}

fn header(batch: &Batch, base_url: &str, materials: &Materials) -> Header {
    let json = |value: &dyn erased::Json| value.json();
    Header {
        name: batch.name.as_str().to_owned(),
        file: batch.file.display().to_string(),
        source: batch.source.clone(),
        base_url: base_url.to_owned(),
        template: materials.template.source().to_owned(),
        template_hash: materials.template.hash().to_owned(),
        headings: json(&materials.sheet.headings()),
        columns: materials.editions.iter().map(|edition| json(&edition.columns)).collect(),
        tool: concat!("callsheet ", env!("CARGO_PKG_VERSION")).to_owned(),
        request: batch.studio.request.word.to_owned(),
        selects: false,
    }
}

mod erased {
    //! Lists and maps of texts as JSON, which cannot fail.

    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).expect("texts and maps of texts always make JSON")
        }
    }
}

/// Says which columns differ between two rows, by heading, wherever they stand: a column that moved
/// is the same. One that only one of the two sheets has is told where nothing else explains the
/// change, as when it was renamed.
fn change(row: Changed, headings: &[String]) -> Change {
    let cells = |text: &str| -> Vec<Vec<String>> { serde_json::from_str(text).unwrap_or_default() };
    let (before, after) = (cells(&row.before.0), cells(&row.after));
    let former: Vec<String> = serde_json::from_str(&row.before.1).unwrap_or_default();
    let column = |rows: &[Vec<String>], place: usize| -> Vec<Option<String>> {
        rows.iter().map(|cells| cells.get(place).cloned()).collect()
    };
    let differs = |(place, heading): &(usize, &String)| {
        let known = former.iter().position(|known| known == *heading);
        known.is_some_and(|known| column(&before, known) != column(&after, *place))
    };
    let mut columns: Vec<String> =
        headings.iter().enumerate().filter(differs).map(|(_, heading)| heading.clone()).collect();
    if columns.is_empty() && !row.template_changed {
        let only_in = |(ours, rows): (&[String], &[Vec<String>]),
                       theirs: &[String]|
         -> Vec<String> {
            let filled = |place| column(rows, place).iter().flatten().any(|cell| !cell.is_empty());
            let own = ours.iter().enumerate().filter(|(_, heading)| !theirs.contains(heading));
            own.filter(|(place, _)| filled(*place)).map(|(_, heading)| heading.clone()).collect()
        };
        columns.extend(only_in((headings, &after), &former));
        columns.extend(only_in((&former, &before), headings));
    }
    Change { key: row.key, row_number: row.row_number, columns }
}
