//! Takes partials in: `{{> name}}` becomes the text of `partials/name.json.hbs`.
//!
//! The result is one template that needs no other file. It is what is hashed and what the ledger
//! keeps, so a changed partial is a changed template, and a run can go on when every file is gone.
//! Values given to a partial (`{{> card text=headline}}`) take the place of the names in it, at the
//! same depth, as if the author had written them there.
//!
//! Invariant: every byte of the result knows the file and the byte it was written at.

mod given;

use std::collections::{BTreeMap, BTreeSet};

use self::given::{Call, Frames, Given};
use super::compile;
use super::tags::tags;
use crate::scene::problem::{At, Origin, Problem, suggest};

/// The most bytes that a template may have with its partials: far beyond any real one, and an end
/// to partials that double each other.
const BYTES_MAX: usize = 4 << 20;
/// The most partials that are taken in, for those that double each other and are empty.
const CALLS_MAX: usize = 10_000;
/// The most partials within partials.
const DEPTH_MAX: usize = 50;

/// The files a template may take in, by the name it calls them.
#[derive(Clone, Debug, Default)]
pub struct Partials(pub BTreeMap<String, Partial>);

/// One such file.
#[derive(Clone, Debug)]
pub struct Partial {
    /// The file as a person is told of it, such as `partials/card.json.hbs`.
    pub file: String,
    /// Its text, or why it cannot be read; that matters only to a template that takes it in.
    pub text: Result<String, String>,
}

impl Partials {
    /// Returns the text of the file of this name, as [`Origin::part`] gives it.
    pub fn text_of(&self, file: &str) -> Option<&str> {
        let partial = self.0.values().find(|partial| partial.file == file)?;
        partial.text.as_deref().ok()
    }
}

/// A template with its partials taken in.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) text: String,
    /// Where each piece begins in `text`, and where it was written; in order.
    pieces: Vec<(usize, Written)>,
    /// The files of the partials, and every text that was used: the template's own first.
    files: Vec<(Option<String>, String)>,
}

#[derive(Clone, Copy)]
struct Written {
    file: usize,
    offset: usize,
    /// Whether the piece is that file's own text, letter for letter.
    verbatim: bool,
}

/// Takes the partials of `source` in, as far as they can be; and says what is wrong with the rest.
///
/// # Errors
///
/// A `source` that cannot be read at all.
pub(super) fn assemble(
    source: &str,
    partials: &Partials,
) -> Result<(Whole, Vec<Problem>), Problem> {
    compile(source)?;
    let whole = Whole::default();
    let mut work = Work { partials, whole, problems: Vec::new(), trail: Vec::new(), calls: 0 };
    work.whole.files.push((None, source.to_owned()));
    work.file(0, source, &Given::default());
    Ok((work.whole, work.problems))
}

impl Whole {
    /// Returns where something in the whole text was written.
    pub(super) fn origin(&self, at: At) -> Origin {
        let offset = at.offset_in(&self.text);
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        let Some((begin, written)) = after.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
            return at.into();
        };
        let further = if written.verbatim { offset - begin } else { 0 };
        self.written(written.file, written.offset + further)
    }

    fn written(&self, file: usize, offset: usize) -> Origin {
        let (part, text) = &self.files[file];
        let At { line, column } = At::of_offset(text, offset);
        Origin { part: part.as_deref().map(Box::from), line, column, cell: None }
    }

    fn push(&mut self, text: &str, file: usize, offset: usize, verbatim: bool) {
        if !text.is_empty() {
            self.pieces.push((self.text.len(), Written { file, offset, verbatim }));
            self.text.push_str(text);
        }
    }

    fn trim_end(&mut self) {
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        self.pieces.retain(|(begin, _)| *begin < end);
    }
}

struct Work<'p> {
    partials: &'p Partials,
    whole: Whole,
    problems: Vec<Problem>,
    /// The partials that are being taken in, outermost first.
    trail: Vec<String>,
    /// How many were taken in.
    calls: usize,
}

impl Work<'_> {
    fn refuse(
        &mut self,
        file: usize,
        offset: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let origin = self.whole.written(file, offset);
        self.problems.push(Problem::in_template(origin, message).with_help(help));
    }

    /// Appends a file's text, with what was given to it, and with the partials in it.
    fn file(&mut self, file: usize, text: &str, given: &Given) -> BTreeSet<String> {
        let mut frames = Frames::within(given);
        let mut used = BTreeSet::new();
        let mut from = 0;
        for tag in tags(text) {
            self.whole.push(&text[from..tag.inside.start], file, from, true);
            from = tag.inside.start;
            let inside = &text[tag.inside.clone()];
            let mut changed = String::new();
            for piece in frames.substituted(inside, given) {
                match piece {
                    given::Piece::Kept(range) => changed.push_str(&inside[range]),
                    given::Piece::Put { name, text } => {
                        used.insert(name);
                        changed.push_str(&text);
                    }
                    given::Piece::Wrong { at, name, message, help } => {
                        used.insert(name);
                        self.refuse(file, from + at, message, help);
                    }
                }
            }
            match Call::of(&changed) {
                None => {
                    let verbatim = changed == inside;
                    self.whole.push(&changed, file, from, verbatim);
                    from = tag.inside.end;
                }
                Some(call) => {
                    // The braces were written already; the partial takes the place of all.
                    let end = self.whole.text.len() - 2;
                    self.whole.text.truncate(end);
                    self.whole.pieces.retain(|(begin, _)| *begin < end);
                    if call.trims.0 {
                        self.whole.trim_end();
                    }
                    self.call(file, tag.whole.start, &call, &frames);
                    from = tag.whole.end;
                    if call.trims.1 {
                        from += text[from..].len() - text[from..].trim_start().len();
                    }
                }
            }
            frames.enter_or_leave(inside);
        }
        self.whole.push(&text[from..], file, from, true);
        used
    }

    fn call(&mut self, file: usize, offset: usize, call: &Call<'_>, frames: &Frames) {
        let given = match call.given(frames) {
            Ok(given) => given,
            Err((message, help)) => return self.refuse(file, offset, message, help),
        };
        let name = call.name;
        let Some(partial) = self.partials.0.get(name) else {
            let message = format!("there is no partial `{name}`");
            let known = self.partials.0.keys().map(String::as_str);
            let help = if self.partials.0.is_empty() {
                format!("write it into `partials/{name}.json.hbs` beside the template")
            } else {
                suggest(name, known, "partials")
            };
            return self.refuse(file, offset, message, help);
        };
        if self.trail.iter().any(|open| open == name) {
            let around = self.trail.join("` takes in `");
            let message = format!("partials go round in a circle: `{around}` takes in `{name}`");
            return self.refuse(file, offset, message, "take one of them out");
        }
        let (part, text) = match &partial.text {
            Ok(text) => (partial.file.clone(), text.trim_start_matches('\u{feff}')),
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", partial.file);
                return self.refuse(file, offset, message, "mend the file, or take the tag out");
            }
        };
        self.calls += 1;
        let is_endless = self.calls > CALLS_MAX || self.trail.len() >= DEPTH_MAX;
        if is_endless || self.whole.text.len() + text.len() > BYTES_MAX {
            let message = "the template's partials take each other in too often";
            if self.problems.is_empty() {
                self.refuse(file, offset, message, "4 MB, 50 deep and 10,000 times is the most");
            }
            return;
        }
        let known = self.whole.files.iter().position(|(known, _)| known.as_ref() == Some(&part));
        let place = known.unwrap_or(self.whole.files.len());
        if known.is_none() {
            self.whole.files.push((Some(part), text.to_owned()));
            if let Err(problem) = compile(text) {
                self.problems.push(self.whole.moved(problem, place));
                return;
            }
        }
        // An editor ends a file with a line break; in a quoted text it would be a mistake.
        let text = text.trim_end_matches(['\n', '\r']);
        self.trail.push(name.to_owned());
        let used = self.file(place, text, &given);
        self.trail.pop();
        if let Some(unused) = given.names().find(|given| !used.contains(*given)) {
            let message = format!("`{}` does not use `{unused}`", partial.file);
            let help = "leave it out, or name a value that the partial uses";
            self.refuse(file, offset, message, help);
        }
    }
}

impl Whole {
    /// Puts a problem of one file's own text in its place.
    fn moved(&self, mut problem: Problem, file: usize) -> Problem {
        if let Some(origin) = problem.place.origin_mut() {
            origin.part = self.files[file].0.as_deref().map(Box::from);
        }
        problem
    }
}

#[cfg(test)]
mod tests;
