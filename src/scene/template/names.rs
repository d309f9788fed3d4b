//! Which columns does a template need?
//!
//! A name is *required* when every way through the template asks for it. A name that stands only
//! behind a condition, or before the fallback of a `default`, is *optional*: the sheet may do
//! without, and the merge still says so if a row turns out to need it.
//!
//! Invariant: scopes here follow the engine's. In `{{#each rows}}` a name belongs to the row, and a
//! row has the sheet's columns; `../x` and `@root.x` belong to the group.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg};
use serde_json::Value;

use super::elements;
use crate::scene::problem::{At, Problem};

/// The list of a group's rows, where a template can see it.
pub(in crate::scene) const ROWS: &str = "rows";

/// Helpers that can do something with a list.
const TAKE_LISTS: [&str; 6] = ["len", "json", "lookup", "and", "or", "not"];

/// The columns of a template.
#[derive(Debug, Default)]
pub(in crate::scene) struct Names {
    /// In order of first use, as are the optional ones.
    pub(in crate::scene) required: Vec<String>,
    pub(in crate::scene) optional: Vec<String>,
    pub(in crate::scene) first_use: BTreeMap<String, At>,
    /// Where `rows` is first used, if it is.
    pub(in crate::scene) rows: Option<At>,
    /// Names that `each` goes through, with the first place.
    pub(in crate::scene) lists: BTreeMap<String, At>,
    /// Names whose text is used, with the first place.
    pub(in crate::scene) texts: BTreeMap<String, At>,
    /// Whether whole rows are used, so that no column is idle.
    pub(in crate::scene) everything: bool,
}

impl Names {
    /// Collects the names, and the tags that would print `[object]` into a video.
    pub(in crate::scene) fn of(template: &handlebars::Template) -> (Self, Vec<Problem>) {
        let mut walk = Walk {
            frames: vec![Frame { scope: Scope::Group, params: Vec::new() }],
            order: Vec::new(),
            names: Self::default(),
            problems: Vec::new(),
        };
        let needed = walk.template(template, At::START);
        let mut names = walk.names;
        (names.required, names.optional) =
            walk.order.into_iter().partition(|name| needed.contains(name));
        (names, walk.problems)
    }
}

/// Returns the name that a value is, if it is one and nothing else: no path, and not the list of a
/// group's rows. Outside of blocks that go into something, it is one of the video's own.
pub(super) fn own_name(value: &Parameter) -> Option<&str> {
    match value {
        Parameter::Path(Path::Relative((segments, raw))) => match segments.as_slice() {
            [PathSeg::Named(name)] if name == raw && name != ROWS => Some(name),
            _ => None,
        },
        _ => None,
    }
}

type Needed = BTreeSet<String>;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
enum Scope {
    /// The fields of the video, and `rows`.
    Group,
    /// The list of rows.
    Rows,
    /// The fields of one row.
    Row,
    /// One column.
    Column(String),
    /// Something that a sheet knows nothing about, such as `@index`.
    Other,
}

/// One level of `../`.
struct Frame {
    scope: Scope,
    params: Vec<(String, Scope)>,
}

struct Walk {
    frames: Vec<Frame>,
    order: Vec<String>,
    names: Names,
    problems: Vec<Problem>,
}

impl Walk {
    fn template(&mut self, template: &handlebars::Template, parent: At) -> Needed {
        let mut needed = Needed::new();
        for (element, at) in elements(template, parent) {
            match element {
                TemplateElement::Expression(tag) => self.expression(tag, at, &mut needed),
                TemplateElement::HelperBlock(block) => self.block(block, at, &mut needed),
                // Text and comments; and what `calls` refuses, which names no column that counts.
                _ => {}
            }
        }
        needed
    }

    fn expression(&mut self, tag: &HelperTemplate, at: At, needed: &mut Needed) {
        if !tag.params.is_empty() {
            let prints_a_row = tag.name.as_name() == Some("lookup")
                && tag.params.first().is_some_and(|list| self.scope_of(list, at) == Scope::Rows);
            if prints_a_row {
                self.refuse_print(at);
            }
            return self.call(tag, at, needed);
        }
        match self.value(&tag.name, at, needed) {
            Scope::Group | Scope::Rows | Scope::Row => self.refuse_print(at),
            Scope::Column(name) => {
                self.names.texts.entry(name).or_insert(at);
            }
            Scope::Other => {}
        }
    }

    fn refuse_print(&mut self, at: At) {
        let problem = Problem::in_template(at, "a list or a whole row would print as `[object]`")
            .with_help("name a column of it, write `{{#each rows}}`, or `{{json rows}}`");
        self.problems.push(problem);
    }

    fn call(&mut self, tag: &HelperTemplate, at: At, needed: &mut Needed) {
        let last = tag.params.len().saturating_sub(1);
        let helper = tag.name.as_name().unwrap_or_default();
        for (index, value) in tag.params.iter().enumerate() {
            match self.scope_of(value, at) {
                Scope::Column(name) if !TAKE_LISTS.contains(&helper) => {
                    self.names.texts.entry(name).or_insert(at);
                }
                Scope::Group | Scope::Row | Scope::Rows if helper == "json" => {
                    self.names.everything = true;
                }
                Scope::Column(_) | Scope::Group | Scope::Row | Scope::Rows | Scope::Other => {}
            }
            match tag.name.as_name() {
                Some("default") if index < last => self.perhaps(value, at),
                Some("and" | "or" | "not") => self.perhaps(value, at),
                _ => {
                    self.value(value, at, needed);
                }
            }
        }
        if let ("lookup", [list, Parameter::Literal(Value::String(name))]) =
            (tag.name.as_name().unwrap_or_default(), tag.params.as_slice())
            && matches!(self.scope_of(list, at), Scope::Group | Scope::Row)
        {
            self.mention(name, at);
            needed.insert(name.clone());
        } else if helper == "lookup" {
            // Whichever column a value names.
            self.names.everything = true;
        }
    }

    /// A value that must be there.
    fn value(&mut self, value: &Parameter, at: At, needed: &mut Needed) -> Scope {
        if let Parameter::Subexpression(inner) = value {
            if let TemplateElement::Expression(tag) = inner.as_element() {
                self.call(tag, at, needed);
            }
            return Scope::Other;
        }
        let scope = self.scope_of(value, at);
        if let Scope::Column(name) = &scope {
            self.mention(name, at);
            needed.insert(name.clone());
        }
        scope
    }

    /// A value that may be absent.
    fn perhaps(&mut self, value: &Parameter, at: At) {
        self.value(value, at, &mut Needed::new());
    }

    fn mention(&mut self, name: &str, at: At) {
        if !self.names.first_use.contains_key(name) {
            self.names.first_use.insert(name.to_owned(), at);
            self.order.push(name.to_owned());
        }
    }

    fn block(&mut self, block: &HelperTemplate, at: At, needed: &mut Needed) {
        let subject = block.params.first();
        match (block.name.as_name(), subject) {
            (Some("each"), Some(list)) => {
                let scope = match self.value(list, at, needed) {
                    Scope::Rows => Scope::Row,
                    Scope::Column(name) => {
                        self.names.lists.entry(name).or_insert(at);
                        Scope::Other
                    }
                    Scope::Group | Scope::Row | Scope::Other => Scope::Other,
                };
                self.inside(block, scope, at, needed);
            }
            (Some("with"), Some(subject)) => {
                let scope = self.value(subject, at, needed);
                self.inside(block, scope, at, needed);
            }
            (_, Some(condition)) => {
                match condition {
                    Parameter::Path(_) | Parameter::Name(_) => self.perhaps(condition, at),
                    _ => {
                        self.value(condition, at, needed);
                    }
                }
                let mut branch = |part: &Option<handlebars::Template>| {
                    part.as_ref().map(|part| self.template(part, at)).unwrap_or_default()
                };
                let (then, otherwise) = (branch(&block.template), branch(&block.inverse));
                needed.extend(then.intersection(&otherwise).cloned());
            }
            (_, None) => {}
        }
    }

    /// Walks a block whose names belong to `scope`. A group has at least one row.
    fn inside(&mut self, block: &HelperTemplate, scope: Scope, at: At, needed: &mut Needed) {
        let is_certain = matches!(scope, Scope::Row | Scope::Group);
        let params = match &block.block_param {
            Some(BlockParam::Single(value)) => vec![(value, scope.clone())],
            Some(BlockParam::Pair((value, key))) => {
                vec![(value, scope.clone()), (key, Scope::Other)]
            }
            None | Some(_) => Vec::new(),
        };
        let params = params
            .into_iter()
            .filter_map(|(name, scope)| Some((name.as_name()?.to_owned(), scope)))
            .collect();
        self.frames.push(Frame { scope, params });
        if let Some(part) = &block.template {
            let inner = self.template(part, at);
            if is_certain {
                needed.extend(inner);
            }
        }
        self.frames.pop();
        if let Some(part) = &block.inverse {
            self.template(part, at);
        }
    }

    /// Follows a path, and notes when it leads through `rows`.
    fn scope_of(&mut self, value: &Parameter, at: At) -> Scope {
        let (segments, raw) = match value {
            Parameter::Path(Path::Relative((segments, raw))) => (segments.as_slice(), raw.as_str()),
            // Loop counters, literals, results of helpers.
            _ => return Scope::Other,
        };
        let ruled = segments.iter().take_while(|segment| matches!(segment, PathSeg::Ruled(_)));
        let levels = ruled.count();
        let names: Vec<&str> = segments
            .iter()
            .filter_map(|segment| match segment {
                PathSeg::Named(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let (base, names) = match names.as_slice() {
            names if raw.starts_with("@root") => (Scope::Group, names),
            [first, rest @ ..] if levels == 0 => match self.block_param(first) {
                Some(scope) => (scope.clone(), rest),
                None => (self.frame(0).clone(), names.as_slice()),
            },
            names => (self.frame(levels).clone(), names),
        };
        if base == Scope::Group && names.first() == Some(&ROWS) {
            self.names.rows = self.names.rows.or(Some(at));
        }
        base.descend(names)
    }

    fn block_param(&self, name: &str) -> Option<&Scope> {
        let mut params = self.frames.iter().rev().flat_map(|frame| &frame.params);
        params.find(|(known, _)| known == name).map(|(_, scope)| scope)
    }

    fn frame(&self, levels: usize) -> &Scope {
        let innermost = self.frames.len() - 1;
        &self.frames[innermost.saturating_sub(levels)].scope
    }
}

impl Scope {
    fn descend(&self, names: &[&str]) -> Self {
        let Some((first, rest)) = names.split_first() else { return self.clone() };
        match self {
            Self::Group if *first == ROWS => Self::Rows.descend(rest),
            Self::Rows => Self::Row.descend(rest),
            Self::Group | Self::Row => Self::Column((*first).to_owned()),
            Self::Column(_) | Self::Other => Self::Other,
        }
    }
}
