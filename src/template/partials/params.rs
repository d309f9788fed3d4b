//! The values that a call gives to a partial, and how they replace its names.
//!
//! `{{> card text=headline}}` writes `headline` wherever the partial says `text`; inside its own
//! `{{#each}}` the partial says `../text`, as everywhere in Handlebars, and gets `../headline`. A
//! name that the partial's own loops introduce (`as |text|`) is left alone.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::template::tags::{TagToken, TagTokenKind, tokenize_tag};

/// The given values, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartialParams {
    values: BTreeMap<String, String>,
    /// Names that loops around the call introduced; they need no `../` at any depth.
    outer_names: Vec<String>,
}

impl PartialParams {
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }
}

/// A tag that inserts a partial.
pub(crate) struct PartialCall<'t> {
    pub(crate) name: &'t str,
    /// Whether it removes the white space before and after it.
    pub(crate) trims_space: (bool, bool),
    tag: &'t str,
    values: Vec<TagToken>,
}

impl<'t> PartialCall<'t> {
    /// Returns the call in a tag's inside, if it is one.
    pub(crate) fn parse(tag: &'t str) -> Option<Self> {
        let mut all: Vec<TagToken> = tokenize_tag(tag).collect();
        let is = |word: &TagToken, sign: &str| &tag[word.range.clone()] == sign;
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
        Some(Self { name, trims_space: (before, after), tag, values: all.split_off(2) })
    }

    /// Returns the given values, or a message and a hint.
    pub(crate) fn params(&self, frames: &BlockStack) -> Result<PartialParams, (String, String)> {
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
            if name.kind != TagTokenKind::Name || equals.kind != TagTokenKind::Equals {
                return wrong("a partial takes its values by name");
            }
            let length = value_word_count(value);
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
        Ok(PartialParams { values, outer_names: frames.visible_names() })
    }
}

/// Returns the number of tokens of the first value.
fn value_word_count(words: &[TagToken]) -> usize {
    let mut depth = 0;
    for (index, word) in words.iter().enumerate() {
        match word.kind {
            TagTokenKind::Open => depth += 1,
            TagTokenKind::Close => depth -= 1,
            TagTokenKind::Name
            | TagTokenKind::Quoted
            | TagTokenKind::Equals
            | TagTokenKind::Bar
            | TagTokenKind::Sign => {}
        }
        if depth <= 0 {
            return index + 1;
        }
    }
    words.len()
}

/// A part of a tag, after what was given has been put in.
pub(crate) enum TagPiece {
    /// As it stands.
    Kept(Range<usize>),
    /// A given value.
    Substituted { name: String, text: String },
    /// Something that cannot be put there.
    Invalid { at: usize, name: String, message: String, help: String },
}

/// The blocks that are open around a tag.
pub(crate) struct BlockStack {
    outer_names: Vec<String>,
    open_blocks: Vec<BlockFrame>,
}

struct BlockFrame {
    /// Whether names inside belong to something else (`each`, `with`).
    shifts_scope: bool,
    /// Names it introduces.
    introduced_names: Vec<String>,
}

impl BlockStack {
    pub(crate) fn from_params(given: &PartialParams) -> Self {
        Self { outer_names: given.outer_names.clone(), open_blocks: Vec::new() }
    }

    fn scope_depth(&self) -> usize {
        self.open_blocks.iter().filter(|frame| frame.shifts_scope).count()
    }

    fn introduced_names(&self) -> impl Iterator<Item = &String> {
        self.open_blocks.iter().flat_map(|frame| &frame.introduced_names)
    }

    fn visible_names(&self) -> Vec<String> {
        self.outer_names.iter().chain(self.introduced_names()).cloned().collect()
    }

    /// Enters or leaves the block that a tag opens or closes.
    pub(crate) fn track_block(&mut self, tag: &str) {
        let tag = tag.trim_matches(|c: char| c == '~' || c.is_whitespace());
        if let Some(block) = tag.strip_prefix('#') {
            let all: Vec<TagToken> = tokenize_tag(block).collect();
            let names = |word: &TagToken| block[word.range.clone()].to_owned();
            let bar = all.iter().position(|word| word.kind == TagTokenKind::Bar);
            let introduced = bar.map_or(&[][..], |bar| &all[bar + 1..]);
            let introduced = introduced.iter().take_while(|word| word.kind == TagTokenKind::Name);
            self.open_blocks.push(BlockFrame {
                shifts_scope: all
                    .first()
                    .is_some_and(|name| ["each", "with"].contains(&&*names(name))),
                introduced_names: introduced.map(names).collect(),
            });
        } else if tag.starts_with('/') {
            self.open_blocks.pop();
        } else if tag == "else" || tag == "^" || tag.starts_with("else ") {
            // The part after `else` is read in the scope around the block.
            if let Some(frame) = self.open_blocks.last_mut() {
                *frame = BlockFrame { shifts_scope: false, introduced_names: Vec::new() };
            }
        }
    }

    /// Replaces the parameters in a tag's inside by their values.
    pub(crate) fn substitute(&self, tag: &str, given: &PartialParams) -> Vec<TagPiece> {
        let mut pieces = Vec::new();
        let mut kept = 0;
        if !given.values.is_empty() {
            let all: Vec<TagToken> = tokenize_tag(tag).collect();
            for (index, word) in all.iter().enumerate() {
                let Some(path) = value_word(&all, index, tag) else { continue };
                let Some((name, rest)) = self.find_param(path, given) else { continue };
                let result = self.substituted_value(
                    &given.values[name],
                    rest,
                    given,
                    is_only_word(&all, tag),
                );
                pieces.push(TagPiece::Kept(kept..word.range.start));
                kept = word.range.end;
                pieces.push(match result {
                    Ok(text) => TagPiece::Substituted { name: name.to_owned(), text },
                    Err(help) => TagPiece::Invalid {
                        at: word.range.start,
                        name: name.to_owned(),
                        message: format!("`{name}` is one value and has no parts"),
                        help,
                    },
                });
            }
        }
        pieces.push(TagPiece::Kept(kept..tag.len()));
        pieces
    }

    /// Returns the parameter that a path names here, and the rest of the path.
    fn find_param<'t>(&self, path: &'t str, given: &PartialParams) -> Option<(&'t str, &'t str)> {
        let mut levels = 0;
        let mut path = path;
        while let Some(above) = path.strip_prefix("../") {
            (path, levels) = (above, levels + 1);
        }
        let path = path.strip_prefix("this.").or(path.strip_prefix("./")).unwrap_or(path);
        let end = path.find(['.', '/']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let shadowed = levels == 0 && self.introduced_names().any(|own| own == name);
        let here = levels == self.scope_depth() && !shadowed && given.values.contains_key(name);
        here.then_some((name, rest))
    }

    /// Returns a value as it must be written here, or a hint if it cannot be.
    fn substituted_value(
        &self,
        value: &str,
        rest: &str,
        given: &PartialParams,
        alone: bool,
    ) -> Result<String, String> {
        let is_call = value.starts_with('(');
        let is_literal = is_literal(value);
        if (is_call || is_literal) && !rest.is_empty() {
            return Err("give the partial a column or a row".to_owned());
        }
        let shifted = shift_paths(value, self.scope_depth(), &given.outer_names);
        Ok(match alone {
            // A tag cannot begin with a literal or a bracket.
            true if is_literal => format!("default {shifted} {shifted}"),
            true if is_call => shifted[1..shifted.len() - 1].trim().to_owned(),
            true | false => format!("{shifted}{rest}"),
        })
    }
}

/// Returns the word at `index` if it is a value, and not a helper's name, an option's, or a sign.
fn value_word<'t>(all: &[TagToken], index: usize, tag: &'t str) -> Option<&'t str> {
    let text = |word: &TagToken| &tag[word.range.clone()];
    let word = &all[index];
    let is_option = all.get(index + 1).is_some_and(|next| next.kind == TagTokenKind::Equals);
    let introduces = all[..index].iter().any(|before| before.kind == TagTokenKind::Bar);
    if word.kind != TagTokenKind::Name || is_option || introduces || is_literal(text(word)) {
        return None;
    }
    let values_follow = all.get(index + 1).is_some_and(|next| {
        matches!(next.kind, TagTokenKind::Name | TagTokenKind::Quoted | TagTokenKind::Open)
            && text(next) != "~"
    });
    let is_called = match index.checked_sub(1).map(|before| &all[before]) {
        None => values_follow,
        Some(before) => match (before.kind, text(before)) {
            (TagTokenKind::Open, _) => true,
            (TagTokenKind::Sign, "~") => values_follow,
            (TagTokenKind::Sign, "#" | ">" | "/" | "^") => true,
            (TagTokenKind::Name, "else") if index == 1 => true,
            _ => false,
        },
    };
    let is_word = matches!(text(word), "else" | "as");
    (!is_called && !is_word).then(|| text(word))
}

fn is_only_word(all: &[TagToken], tag: &str) -> bool {
    all.iter().filter(|word| &tag[word.range.clone()] != "~").count() == 1
}

fn is_literal(value: &str) -> bool {
    let first = value.chars().next().unwrap_or(' ');
    let is_number =
        value.strip_prefix('-').unwrap_or(value).starts_with(|c: char| c.is_ascii_digit())
            && value.parse::<f64>().is_ok();
    matches!(first, '"' | '\'') || is_number || matches!(value, "true" | "false" | "null")
}

/// Returns a value as it must be written `depth` loops further in.
fn shift_paths(value: &str, depth: usize, around: &[String]) -> String {
    if depth == 0 {
        return value.to_owned();
    }
    let all: Vec<TagToken> = tokenize_tag(value).collect();
    let mut out = String::new();
    let mut kept = 0;
    for (index, word) in all.iter().enumerate() {
        let Some(path) = value_or_only_word(&all, index, value) else { continue };
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

/// Returns the token if the value is a single one, else the values in its brackets.
fn value_or_only_word<'t>(all: &[TagToken], index: usize, value: &'t str) -> Option<&'t str> {
    match all {
        [only] if only.kind == TagTokenKind::Name && !is_literal(value) => Some(value),
        _ => value_word(all, index, value),
    }
}
