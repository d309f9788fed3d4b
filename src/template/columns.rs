//! Collects the columns that a template uses.
//!
//! A name is *required* if every path through the template uses it. A name that is used only under a
//! condition, or before the fallback of a `default`, is *optional*: the sheet may lack it, and the
//! merge reports a row that needs it after all.
//!
//! Invariant: scopes are those of the engine. In `{{#each rows}}` a name belongs to the row, and a
//! row has the sheet's columns; `../x` and `@root.x` belong to the group.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg};
use serde_json::Value;

use crate::template::positioned_elements;
use crate::template::problem::{LineColumn, TemplateProblem};

/// The name of the list of a group's rows.
pub(crate) const ROWS: &str = "rows";

/// Helpers that accept a list.
const LIST_HELPERS: [&str; 6] = ["len", "json", "lookup", "and", "or", "not"];

/// The columns that a template uses.
#[derive(Debug, Default)]
pub(crate) struct ColumnUsage {
    /// In order of first use, like the optional ones.
    pub(crate) required: Vec<String>,
    pub(crate) optional: Vec<String>,
    pub(crate) first_use: BTreeMap<String, LineColumn>,
    /// The first use of `rows`.
    pub(crate) rows_first_use: Option<LineColumn>,
    /// Names that `each` goes through, with the first use.
    pub(crate) list_uses: BTreeMap<String, LineColumn>,
    /// Names whose text is used, with the first use.
    pub(crate) text_uses: BTreeMap<String, LineColumn>,
    /// Names that decide whether a part is kept by being filled, with the first use.
    pub(crate) conditions: BTreeMap<String, LineColumn>,
    /// Names whose text is compared: their conditions are meant as they are.
    pub(crate) compared: BTreeSet<String>,
    /// Names whose cells `money` writes.
    pub(crate) price_uses: BTreeSet<String>,
    /// Names whose cells `date` writes.
    pub(crate) date_uses: BTreeSet<String>,
    /// Whether whole rows are used, so that no column counts as unused.
    pub(crate) can_use_any_column: bool,
}

impl ColumnUsage {
    /// Collects the names, and reports the tags that would print `[object]` into a video.
    pub(crate) fn from_template(template: &handlebars::Template) -> (Self, Vec<TemplateProblem>) {
        let mut collector = ColumnCollector {
            frames: vec![ScopeFrame { scope: PathScope::Group, params: Vec::new() }],
            use_order: Vec::new(),
            usage: Self::default(),
            problems: Vec::new(),
        };
        let needed = collector.collect_template(template, LineColumn::START);
        let mut usage = collector.usage;
        (usage.required, usage.optional) =
            collector.use_order.into_iter().partition(|name| needed.contains(name));
        (usage, collector.problems)
    }
}

type RequiredNames = BTreeSet<String>;

/// The target of a path.
#[derive(Clone, Debug, PartialEq)]
enum PathScope {
    /// The fields of the video, and `rows`.
    Group,
    /// The list of rows.
    Rows,
    /// The fields of one row.
    Row,
    /// One column.
    Column(String),
    /// A value that is not from the sheet, such as `@index`.
    Other,
}

/// One level of `../`.
struct ScopeFrame {
    scope: PathScope,
    params: Vec<(String, PathScope)>,
}

struct ColumnCollector {
    frames: Vec<ScopeFrame>,
    use_order: Vec<String>,
    usage: ColumnUsage,
    problems: Vec<TemplateProblem>,
}

impl ColumnCollector {
    fn collect_template(
        &mut self,
        template: &handlebars::Template,
        parent: LineColumn,
    ) -> RequiredNames {
        let mut needed = RequiredNames::new();
        for (element, at) in positioned_elements(template, parent) {
            match element {
                TemplateElement::Expression(tag) => self.collect_expression(tag, at, &mut needed),
                TemplateElement::HelperBlock(block) => self.collect_block(block, at, &mut needed),
                // Text and comments; and tags that `calls` refuses, whose columns do not count.
                _ => {}
            }
        }
        needed
    }

    fn collect_expression(
        &mut self,
        tag: &HelperTemplate,
        at: LineColumn,
        needed: &mut RequiredNames,
    ) {
        if !tag.params.is_empty() {
            let prints_a_row = tag.name.as_name() == Some("lookup")
                && tag
                    .params
                    .first()
                    .is_some_and(|list| self.resolve_scope(list, at) == PathScope::Rows);
            if prints_a_row {
                self.reject_print(at);
            }
            return self.collect_call(tag, at, needed);
        }
        match self.collect_required(&tag.name, at, needed) {
            PathScope::Group | PathScope::Rows | PathScope::Row => self.reject_print(at),
            PathScope::Column(name) => {
                self.usage.text_uses.entry(name).or_insert(at);
            }
            PathScope::Other => {}
        }
    }

    fn reject_print(&mut self, at: LineColumn) {
        let problem =
            TemplateProblem::in_template(at, "a list or a whole row would print as `[object]`")
                .with_help("name a column of it, write `{{#each rows}}`, or `{{json rows}}`");
        self.problems.push(problem);
    }

    fn collect_call(&mut self, tag: &HelperTemplate, at: LineColumn, needed: &mut RequiredNames) {
        let last = tag.params.len().saturating_sub(1);
        let helper = tag.name.as_name().unwrap_or_default();
        for (index, value) in tag.params.iter().enumerate() {
            match self.resolve_scope(value, at) {
                PathScope::Column(name) if !LIST_HELPERS.contains(&helper) => {
                    self.usage.text_uses.entry(name).or_insert(at);
                }
                PathScope::Group | PathScope::Row | PathScope::Rows if helper == "json" => {
                    self.usage.can_use_any_column = true;
                }
                PathScope::Column(_)
                | PathScope::Group
                | PathScope::Row
                | PathScope::Rows
                | PathScope::Other => {}
            }
            if let (Some("eq" | "ne"), PathScope::Column(name)) =
                (tag.name.as_name(), self.resolve_scope(value, at))
            {
                self.usage.compared.insert(name);
            }
            match (helper, index, self.resolve_scope(value, at)) {
                ("money", 0, PathScope::Column(name)) => {
                    self.usage.price_uses.insert(name);
                }
                ("date", 0, PathScope::Column(name)) => {
                    self.usage.date_uses.insert(name);
                }
                _ => {}
            }
            match tag.name.as_name() {
                Some("default") if index < last => self.collect_optional(value, at),
                Some("and" | "or" | "not") => {
                    self.record_condition(value, at);
                    self.collect_optional(value, at);
                }
                _ => {
                    self.collect_required(value, at, needed);
                }
            }
        }
        if let ("lookup", [list, Parameter::Literal(Value::String(name))]) =
            (tag.name.as_name().unwrap_or_default(), tag.params.as_slice())
            && matches!(self.resolve_scope(list, at), PathScope::Group | PathScope::Row)
        {
            self.record_use(name, at);
            needed.insert(name.clone());
        } else if helper == "lookup" {
            // The column depends on a value.
            self.usage.can_use_any_column = true;
        }
    }

    /// Collects the names in a value that must exist.
    fn collect_required(
        &mut self,
        value: &Parameter,
        at: LineColumn,
        needed: &mut RequiredNames,
    ) -> PathScope {
        if let Parameter::Subexpression(inner) = value {
            if let TemplateElement::Expression(tag) = inner.as_element() {
                self.collect_call(tag, at, needed);
            }
            return PathScope::Other;
        }
        let scope = self.resolve_scope(value, at);
        if let PathScope::Column(name) = &scope {
            self.record_use(name, at);
            needed.insert(name.clone());
        }
        scope
    }

    /// Collects the names in a value that may be absent.
    fn collect_optional(&mut self, value: &Parameter, at: LineColumn) {
        self.collect_required(value, at, &mut RequiredNames::new());
    }

    fn record_condition(&mut self, value: &Parameter, at: LineColumn) {
        if let PathScope::Column(name) = self.resolve_scope(value, at) {
            self.usage.conditions.entry(name).or_insert(at);
        }
    }

    fn record_use(&mut self, name: &str, at: LineColumn) {
        if !self.usage.first_use.contains_key(name) {
            self.usage.first_use.insert(name.to_owned(), at);
            self.use_order.push(name.to_owned());
        }
    }

    fn collect_block(
        &mut self,
        block: &HelperTemplate,
        at: LineColumn,
        needed: &mut RequiredNames,
    ) {
        let subject = block.params.first();
        match (block.name.as_name(), subject) {
            (Some("each"), Some(list)) => {
                let scope = match self.collect_required(list, at, needed) {
                    PathScope::Rows => PathScope::Row,
                    PathScope::Column(name) => {
                        self.usage.list_uses.entry(name).or_insert(at);
                        PathScope::Other
                    }
                    PathScope::Group | PathScope::Row | PathScope::Other => PathScope::Other,
                };
                self.collect_scoped_block(block, scope, at, needed);
            }
            (Some("with"), Some(subject)) => {
                let scope = self.collect_required(subject, at, needed);
                self.collect_scoped_block(block, scope, at, needed);
            }
            (_, Some(condition)) => {
                match condition {
                    Parameter::Path(_) | Parameter::Name(_) => {
                        self.record_condition(condition, at);
                        self.collect_optional(condition, at);
                    }
                    _ => {
                        self.collect_required(condition, at, needed);
                    }
                }
                let mut branch = |part: &Option<handlebars::Template>| {
                    part.as_ref().map(|part| self.collect_template(part, at)).unwrap_or_default()
                };
                let (then, otherwise) = (branch(&block.template), branch(&block.inverse));
                needed.extend(then.intersection(&otherwise).cloned());
            }
            (_, None) => {}
        }
    }

    /// Collects the names in a block whose names belong to `scope`. A group has at least one row.
    fn collect_scoped_block(
        &mut self,
        block: &HelperTemplate,
        scope: PathScope,
        at: LineColumn,
        needed: &mut RequiredNames,
    ) {
        let is_certain = matches!(scope, PathScope::Row | PathScope::Group);
        let params = match &block.block_param {
            Some(BlockParam::Single(value)) => vec![(value, scope.clone())],
            Some(BlockParam::Pair((value, key))) => {
                vec![(value, scope.clone()), (key, PathScope::Other)]
            }
            None | Some(_) => Vec::new(),
        };
        let params = params
            .into_iter()
            .filter_map(|(name, scope)| Some((name.as_name()?.to_owned(), scope)))
            .collect();
        self.frames.push(ScopeFrame { scope, params });
        if let Some(part) = &block.template {
            let inner = self.collect_template(part, at);
            if is_certain {
                needed.extend(inner);
            }
        }
        self.frames.pop();
        if let Some(part) = &block.inverse {
            self.collect_template(part, at);
        }
    }

    /// Returns the target of a path, and records a use of `rows`.
    fn resolve_scope(&mut self, value: &Parameter, at: LineColumn) -> PathScope {
        let (segments, raw) = match value {
            Parameter::Path(Path::Relative((segments, raw))) => (segments.as_slice(), raw.as_str()),
            // Loop counters, literals, results of helpers.
            _ => return PathScope::Other,
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
            names if raw.starts_with("@root") => (PathScope::Group, names),
            [first, rest @ ..] if levels == 0 => match self.find_block_param(first) {
                Some(scope) => (scope.clone(), rest),
                None => (self.scope_at(0).clone(), names.as_slice()),
            },
            names => (self.scope_at(levels).clone(), names),
        };
        if base == PathScope::Group && names.first() == Some(&ROWS) {
            self.usage.rows_first_use = self.usage.rows_first_use.or(Some(at));
        }
        base.descend(names)
    }

    fn find_block_param(&self, name: &str) -> Option<&PathScope> {
        let mut params = self.frames.iter().rev().flat_map(|frame| &frame.params);
        params.find(|(known, _)| known == name).map(|(_, scope)| scope)
    }

    fn scope_at(&self, levels: usize) -> &PathScope {
        let innermost = self.frames.len() - 1;
        &self.frames[innermost.saturating_sub(levels)].scope
    }
}

impl PathScope {
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
