//! The values that a call gives to a partial, and how they take the place of its names.
//!
//! `{{> card text=headline}}` writes `headline` wherever the partial says `text`; inside its own
//! `{{#each}}` the partial says `../text`, as everywhere in Handlebars, and gets `../headline`. A
//! name that the partial's own loops introduce (`as |text|`) is left alone.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::scene::template::tags::{Kind, Word, words};

/// What was given, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    values: BTreeMap<String, String>,
    /// Names that loops around the call introduced; they need no `../` at any depth.
    around: Vec<String>,
}

impl Given {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }
}

/// A tag that takes a partial in.
pub(super) struct Call<'t> {
    pub(super) name: &'t str,
    /// Whether it asks for the white space before and after it to go.
    pub(super) trims: (bool, bool),
    tag: &'t str,
    values: Vec<Word>,
}

impl<'t> Call<'t> {
    /// Returns the call that a tag's inside makes, if it makes one.
    pub(super) fn of(tag: &'t str) -> Option<Self> {
        let mut all: Vec<Word> = words(tag).collect();
        let is = |word: &Word, sign: &str| &tag[word.range.clone()] == sign;
        let before = all.first().is_some_and(|word| is(word, "~"));
        if before {
            all.remove(0);
        }
        let after = all.last().is_some_and(|word| is(word, "~"));
        if after {
            all.pop();
        }
        let [arrow, name, ..] = all.as_slice() else { return None };
        if !is(arrow, ">") {
            return None;
        }
        let name = tag[name.range.clone()].trim_matches(['"', '\'', '[', ']']);
        Some(Self { name, trims: (before, after), tag, values: all.split_off(2) })
    }

    /// Returns what it gives, or what is wrong with it and what to write.
    pub(super) fn given(&self, frames: &Frames) -> Result<Given, (String, String)> {
        let wrong = |message: &str| {
            let help = format!(
                "write `{{{{> {} name=column}}}}`; without values it sees what the tag's place sees",
                self.name
            );
            Err((message.to_owned(), help))
        };
        if self.name == "(" {
            let help = "write `{{> name}}`, or choose with `{{#if …}}`";
            return Err(("a partial is called by its name".to_owned(), help.to_owned()));
        }
        let mut values = BTreeMap::new();
        let mut rest = self.values.as_slice();
        while let [name, equals, value @ ..] = rest {
            if name.kind != Kind::Name || equals.kind != Kind::Equals {
                return wrong("a partial takes its values by name");
            }
            let length = value_length(value);
            let (Some(first), Some(last)) = (value.first(), value[..length].last()) else {
                return wrong("a value is missing after `=`");
            };
            let text = self.tag[first.range.start..last.range.end].to_owned();
            values.insert(self.tag[name.range.clone()].to_owned(), text);
            rest = &value[length..];
        }
        if !rest.is_empty() {
            return wrong("a partial takes its values by name");
        }
        Ok(Given { values, around: frames.names() })
    }
}

/// Returns how many words make the first value.
fn value_length(words: &[Word]) -> usize {
    let mut depth = 0;
    for (index, word) in words.iter().enumerate() {
        match word.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Name | Kind::Quoted | Kind::Equals | Kind::Bar | Kind::Sign => {}
        }
        if depth <= 0 {
            return index + 1;
        }
    }
    words.len()
}

/// A part of a tag, after what was given has been put in.
pub(super) enum Piece {
    /// As it stands.
    Kept(Range<usize>),
    /// A given value.
    Put { name: String, text: String },
    /// Something that cannot be put there.
    Wrong { at: usize, name: String, message: String, help: String },
}

/// The blocks that are open around a tag.
pub(super) struct Frames {
    around: Vec<String>,
    open: Vec<Frame>,
}

struct Frame {
    /// Whether names inside belong to something else (`each`, `with`).
    shifts: bool,
    /// Names it introduces.
    names: Vec<String>,
}

impl Frames {
    pub(super) fn within(given: &Given) -> Self {
        Self { around: given.around.clone(), open: Vec::new() }
    }

    fn depth(&self) -> usize {
        self.open.iter().filter(|frame| frame.shifts).count()
    }

    fn own_names(&self) -> impl Iterator<Item = &String> {
        self.open.iter().flat_map(|frame| &frame.names)
    }

    fn names(&self) -> Vec<String> {
        self.around.iter().chain(self.own_names()).cloned().collect()
    }

    /// Follows a tag into or out of a block.
    pub(super) fn enter_or_leave(&mut self, tag: &str) {
        let tag = tag.trim_matches(|c: char| c == '~' || c.is_whitespace());
        if let Some(block) = tag.strip_prefix('#') {
            let all: Vec<Word> = words(block).collect();
            let names = |word: &Word| block[word.range.clone()].to_owned();
            let bar = all.iter().position(|word| word.kind == Kind::Bar);
            let introduced = bar.map_or(&[][..], |bar| &all[bar + 1..]);
            let introduced = introduced.iter().take_while(|word| word.kind == Kind::Name);
            self.open.push(Frame {
                shifts: all.first().is_some_and(|name| ["each", "with"].contains(&&*names(name))),
                names: introduced.map(names).collect(),
            });
        } else if tag.starts_with('/') {
            self.open.pop();
        } else if tag == "else" || tag == "^" || tag.starts_with("else ") {
            // What follows is read where the block stands.
            if let Some(frame) = self.open.last_mut() {
                *frame = Frame { shifts: false, names: Vec::new() };
            }
        }
    }

    /// Puts what was given into a tag's inside.
    pub(super) fn substituted(&self, tag: &str, given: &Given) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut kept = 0;
        if !given.values.is_empty() {
            let all: Vec<Word> = words(tag).collect();
            for (index, word) in all.iter().enumerate() {
                let Some(path) = value_at(&all, index, tag) else { continue };
                let Some((name, rest)) = self.parameter(path, given) else { continue };
                let put = self.put(&given.values[name], rest, given, is_alone(&all, tag));
                pieces.push(Piece::Kept(kept..word.range.start));
                kept = word.range.end;
                pieces.push(match put {
                    Ok(text) => Piece::Put { name: name.to_owned(), text },
                    Err(help) => Piece::Wrong {
                        at: word.range.start,
                        name: name.to_owned(),
                        message: format!("`{name}` is one value and has no parts"),
                        help,
                    },
                });
            }
        }
        pieces.push(Piece::Kept(kept..tag.len()));
        pieces
    }

    /// Returns the parameter that a path names here, and what follows the name.
    fn parameter<'t>(&self, path: &'t str, given: &Given) -> Option<(&'t str, &'t str)> {
        let mut levels = 0;
        let mut path = path;
        while let Some(above) = path.strip_prefix("../") {
            (path, levels) = (above, levels + 1);
        }
        let path = path.strip_prefix("this.").or(path.strip_prefix("./")).unwrap_or(path);
        let end = path.find(['.', '/']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let shadowed = levels == 0 && self.own_names().any(|own| own == name);
        let here = levels == self.depth() && !shadowed && given.values.contains_key(name);
        here.then_some((name, rest))
    }

    /// Returns a given value as it is written here, or what to do instead.
    fn put(&self, value: &str, rest: &str, given: &Given, alone: bool) -> Result<String, String> {
        let is_call = value.starts_with('(');
        let is_literal = is_literal(value);
        if (is_call || is_literal) && !rest.is_empty() {
            return Err("give the partial a column or a row".to_owned());
        }
        let shifted = shifted(value, self.depth(), &given.around);
        Ok(match alone {
            // A tag cannot begin with a literal or a bracket.
            true if is_literal => format!("default {shifted} {shifted}"),
            true if is_call => shifted[1..shifted.len() - 1].trim().to_owned(),
            true | false => format!("{shifted}{rest}"),
        })
    }
}

/// Returns the word at `index` if it is a value, and not a helper's name, an option's, or a sign.
fn value_at<'t>(all: &[Word], index: usize, tag: &'t str) -> Option<&'t str> {
    let text = |word: &Word| &tag[word.range.clone()];
    let word = &all[index];
    let is_option = all.get(index + 1).is_some_and(|next| next.kind == Kind::Equals);
    let introduces = all[..index].iter().any(|before| before.kind == Kind::Bar);
    if word.kind != Kind::Name || is_option || introduces || is_literal(text(word)) {
        return None;
    }
    let values_follow = all.get(index + 1).is_some_and(|next| {
        matches!(next.kind, Kind::Name | Kind::Quoted | Kind::Open) && text(next) != "~"
    });
    let is_called = match index.checked_sub(1).map(|before| &all[before]) {
        None => values_follow,
        Some(before) => match (before.kind, text(before)) {
            (Kind::Open, _) => true,
            (Kind::Sign, "~") => values_follow,
            (Kind::Sign, "#" | ">" | "/" | "^") => true,
            (Kind::Name, "else") if index == 1 => true,
            _ => false,
        },
    };
    let is_word = matches!(text(word), "else" | "as");
    (!is_called && !is_word).then(|| text(word))
}

fn is_alone(all: &[Word], tag: &str) -> bool {
    all.iter().filter(|word| &tag[word.range.clone()] != "~").count() == 1
}

fn is_literal(value: &str) -> bool {
    let first = value.chars().next().unwrap_or(' ');
    let is_number =
        value.strip_prefix('-').unwrap_or(value).starts_with(|c: char| c.is_ascii_digit())
            && value.parse::<f64>().is_ok();
    matches!(first, '"' | '\'') || is_number || matches!(value, "true" | "false" | "null")
}

/// Returns a value as it reads `depth` loops further in.
fn shifted(value: &str, depth: usize, around: &[String]) -> String {
    if depth == 0 {
        return value.to_owned();
    }
    let all: Vec<Word> = words(value).collect();
    let mut out = String::new();
    let mut kept = 0;
    for (index, word) in all.iter().enumerate() {
        let Some(path) = value_at_or_alone(&all, index, value) else { continue };
        out.push_str(&value[kept..word.range.start]);
        kept = word.range.end;
        let first = path.split(['.', '/']).next().unwrap_or(path);
        let up = "../".repeat(depth);
        if path.starts_with("@root") || around.iter().any(|name| name == first) {
            out.push_str(path);
        } else if let Some(local) = path.strip_prefix('@') {
            out.push_str(&format!("@{up}{local}"));
        } else {
            let path = path.strip_prefix("this.").or(path.strip_prefix("./")).unwrap_or(path);
            out.push_str(&format!("{up}{path}"));
        }
    }
    out.push_str(&value[kept..]);
    out
}

/// Of a value that is one word, that word; else the values in its brackets.
fn value_at_or_alone<'t>(all: &[Word], index: usize, value: &'t str) -> Option<&'t str> {
    match all {
        [only] if only.kind == Kind::Name && !is_literal(value) => Some(value),
        _ => value_at(all, index, value),
    }
}
