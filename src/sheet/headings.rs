//! The heading row: what the columns are called, and where to find those that are needed.
//!
//! Headings are trimmed. A column is the one whose heading is exactly what is wanted, or else the
//! only one that is written like it. Everything that is wrong is told at once, for the person
//! mending it should not have to come back.

use std::collections::{BTreeMap, HashMap};

use super::Want;
use super::alike;
use super::cells::{Cells, Shape};
use super::find::{Found, find, help_for_missing, may_be_any, repeated};
use super::invisible::trim;
use super::key::Naming;
use super::problem::{Column, Problem, clipped};
use super::reading::Origin;
use super::records::Record;
use super::report;
use super::skip::Skipping;

/// What the heading row says.
pub(super) struct Headings {
    pub(super) headings: Vec<String>,
    pub(super) names: Vec<String>,
    /// Wanted lists, with the columns that make them.
    pub(super) lists: BTreeMap<String, Vec<usize>>,
    /// Nothing if a column for it is missing, which is then among the problems.
    pub(super) naming: Option<Naming>,
    pub(super) group_by: Option<usize>,
    pub(super) skip: Option<Skipping>,
    /// How many columns behind those are a report's.
    pub(super) report: usize,
}

impl Headings {
    /// Reads the heading row, and finds in it what the batch wants.
    ///
    /// # Errors
    ///
    /// What makes it unreadable. What is wrong with headings that can be read comes beside them.
    pub(super) fn read(
        record: &Record,
        origin: Origin,
        want: &Want<'_>,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut headings = readable(record, origin).map_err(|problem| vec![problem])?;
        let report = report::columns(&headings);
        headings.truncate(headings.len() - report);
        let mut check = Check { row: record.at.row, headings: &headings, problems: Vec::new() };
        check.nameless();
        check.doubled();
        let mut names = check.names(want);
        check.rename(&mut names, want);
        let lists = lists(&names, &headings, want);
        for name in want.required.iter().filter(|name| !lists.contains_key(*name)) {
            check.find(&names, want, (name, Needed::ByTemplate));
        }
        // All are looked for before the first that is missing makes an end.
        let key: Vec<Option<usize>> = want
            .key
            .iter()
            .map(|name| check.find(&names, want, (name, Needed::BySetting("key"))))
            .collect();
        let key: Option<Vec<usize>> = key.into_iter().collect();
        let group_by = want
            .group_by
            .and_then(|name| check.find(&names, want, (name, Needed::BySetting("group_by"))));
        let skip = want.skip.and_then(|skip| {
            let column = check.find(&names, want, (skip.column, Needed::BySetting("skip")))?;
            Some(Skipping::new(column, skip))
        });
        let problems = check.problems;
        let naming = key.map(|key| match group_by {
            _ if !key.is_empty() => Naming::Columns(key),
            Some(column) => Naming::Columns(vec![column]),
            None => Naming::Content,
        });
        Ok((Self { headings, names, lists, naming, group_by, skip, report }, problems))
    }
}

/// Returns the wanted lists for which there are numbered columns and no column of that very name.
fn lists(names: &[String], headings: &[String], want: &Want<'_>) -> BTreeMap<String, Vec<usize>> {
    let missing = want.lists.iter().filter(|name| !names.contains(name));
    let found = missing.map(|name| (name.clone(), repeated(name, headings)));
    found.filter(|(_, columns)| !columns.is_empty()).collect()
}

fn readable(record: &Record, origin: Origin) -> Result<Vec<String>, Problem> {
    let row = record.at.row;
    if let Some(damage) = record.damage {
        return Err(Shape { headings: Vec::new(), origin, report: 0 }.damaged(row, damage));
    }
    let cells = Cells::decode(record)
        .map_err(|column| origin.undecodable(record, column).in_column(column, &[]))?;
    // UTF-16 without its mark: every other byte of a plain letter is zero.
    if let Some(column) = cells.iter().position(|cell| cell.contains('\0')) {
        return Err(origin.undecodable(record, column).in_column(column, &[]));
    }
    Ok(cells.iter().map(|cell| trim(cell).to_owned()).collect())
}

/// Who asks for a column.
#[derive(Clone, Copy)]
enum Needed {
    ByTemplate,
    BySetting(&'static str),
}

/// Looks at the headings from every side and notes what is wrong.
struct Check<'h> {
    row: u64,
    headings: &'h [String],
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// Notes columns without a heading; neighbours together, for there may be hundreds.
    fn nameless(&mut self) {
        let mut column = 0;
        for run in self.headings.chunk_by(|a, b| a.is_empty() == b.is_empty()) {
            if run[0].is_empty() {
                let message = match run.len() {
                    1 => "this column has no heading".to_owned(),
                    many => format!("from here on, {many} columns have no heading"),
                };
                let help = "give each a heading, or delete the column in the spreadsheet";
                self.note(column, message, help);
            }
            column += run.len();
        }
    }

    fn doubled(&mut self) {
        let mut first = HashMap::new();
        for (column, heading) in self.headings.iter().enumerate() {
            if heading.is_empty() {
                continue;
            }
            if let Some(before) = first.insert(heading, column) {
                first.insert(heading, before);
                let letter = Column { index: before, heading: None }.letter();
                let message = format!("column {letter} has this heading too");
                self.note(column, message, "rename one of the two, or delete it");
            }
        }
    }

    /// Returns the template name of each column.
    fn names(&mut self, want: &Want<'_>) -> Vec<String> {
        let mut names = self.headings.to_vec();
        let mut given: HashMap<usize, &str> = HashMap::new();
        for (name, heading) in want.columns {
            let exact = self.headings.iter().position(|known| known == trim(heading));
            let like = alike::like(heading, self.headings);
            let Some(column) = exact.or_else(|| only(&like)) else {
                if like.len() > 1 {
                    self.undecided(heading, &like, "write it in `columns` as it is here");
                    continue;
                }
                let message = format!(
                    "there is no column `{}`, which `columns` gives to `{name}`",
                    clipped(heading)
                );
                let help = help_for_missing(self.headings, heading, None);
                self.problems.push(Problem::of_row(self.row, message, help));
                continue;
            };
            if let Some(other) = given.insert(column, name) {
                let message = format!("`columns` gives this column to both `{other}` and `{name}`");
                self.note(column, message, "keep one of the two in the batch file");
            }
            names[column].clone_from(name);
        }
        for name in want.columns.keys() {
            let called: Vec<usize> = (0..names.len()).filter(|i| names[*i] == *name).collect();
            if let [first, second, ..] = called[..] {
                let plain = if given.contains_key(&first) { second } else { first };
                let message =
                    format!("`columns` gives the name `{name}` to another column as well");
                self.note(plain, message, "rename this column, or change `columns`");
            }
        }
        names
    }

    /// Gives columns the names that the template has for them, where they are only written
    /// otherwise and nobody else asks for them.
    fn rename(&mut self, names: &mut [String], want: &Want<'_>) {
        let wanted = || want.required.iter().chain(want.optional);
        for name in wanted() {
            if want.columns.contains_key(name) || names.contains(name) {
                continue;
            }
            // A column that has been given a name, or is asked for by its own, is not free.
            let free = |column: &usize| {
                names[*column] == self.headings[*column]
                    && !wanted().any(|other| *other == names[*column])
            };
            let mut like = alike::like(name, self.headings);
            like.retain(free);
            match like[..] {
                [] => {}
                [column] => names[column].clone_from(name),
                _ => self.undecided(name, &like, "rename all but one of them"),
            }
        }
    }

    /// Notes that more than one column may be meant.
    fn undecided(&mut self, wanted: &str, like: &[usize], way_out: &str) {
        let message = may_be_any(wanted, like, self.headings);
        if self.problems.iter().all(|problem| problem.message != message) {
            self.problems.push(Problem::of_row(self.row, message, way_out));
        }
    }

    /// Finds a column by its template name or its heading, or notes that it is missing.
    fn find(
        &mut self,
        names: &[String],
        want: &Want<'_>,
        (name, needed): (&str, Needed),
    ) -> Option<usize> {
        let like = match find(name, names, self.headings) {
            Found::One(column) => return Some(column),
            Found::Like(columns) => columns,
        };
        match (needed, &like[..]) {
            (Needed::BySetting(_), [column]) => return Some(*column),
            (Needed::BySetting(_), [_, _, ..]) => {
                self.undecided(name, &like, "write it in the batch file as it is here");
                return None;
            }
            // What the template needs has been renamed to what it is called there.
            (Needed::ByTemplate, [_, _, ..]) => return None,
            (Needed::BySetting(_), []) | (Needed::ByTemplate, [] | [_]) => {}
        }
        let message = format!("there is no column `{}`", clipped(name));
        let told = self.problems.iter().any(|problem| problem.message.starts_with(&message));
        // That its heading is missing has been told.
        if !told && !want.columns.contains_key(name) {
            let (why, way_out) = match needed {
                Needed::ByTemplate => (
                    "which the template needs".to_owned(),
                    if want.lists.iter().any(|list| list == name) {
                        format!("call them `{name}_1`, `{name}_2` …")
                    } else {
                        format!("rename it, or set `columns = {{ {name} = \"…\" }}`")
                    },
                ),
                Needed::BySetting(setting) => {
                    (format!("which `{setting}` names"), format!("change `{setting}`"))
                }
            };
            let help = help_for_missing(self.headings, name, Some(&way_out));
            self.problems.push(Problem::of_row(self.row, format!("{message}, {why}"), help));
        }
        None
    }

    fn note(&mut self, column: usize, message: impl Into<String>, help: &str) {
        let problem = Problem::of_row(self.row, message, help);
        self.problems.push(problem.in_column(column, self.headings));
    }
}

fn only(columns: &[usize]) -> Option<usize> {
    match columns {
        [column] => Some(*column),
        _ => None,
    }
}
