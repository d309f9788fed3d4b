//! A text that a tag writes, made from cells without asking the engine.
//!
//! Only helpers that make one text of another are known here, by the very functions that the engine
//! calls. A value that is no text, or one that is missing where it must be there, is the engine's to
//! judge.

use std::borrow::Cow;

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::{Map, Value};

use crate::template::columns::bare_name;
use crate::template::helpers;
use crate::template::helpers::{PureHelper, TextFunction};
use crate::template::parts::Unfit;

/// A text, as a tag asks for it.
#[derive(Debug)]
pub(crate) enum Wording {
    /// A cell by its name.
    Cell(String),
    /// A literal.
    Fixed(String),
    /// What a helper makes of one text.
    Made(TextFunction, Box<Self>),
    /// The beginning of a text, so many characters.
    Cut(Box<Self>, usize),
    /// The first that is there and not blank; else the last.
    First(Vec<Self>, Box<Self>),
}

impl Wording {
    /// Returns what a tag writes, if it is one of these.
    pub(crate) fn of_tag(tag: &HelperTemplate) -> Option<Self> {
        if !tag.hash.is_empty() || tag.block_param.is_some() {
            return None;
        }
        if tag.params.is_empty() {
            // It is no helper's name: `calls` has refused those.
            return bare_name(&tag.name).map(|name| Self::Cell(name.to_owned()));
        }
        match (helpers::find_pure_helper(tag.name.as_name()?)?, tag.params.as_slice()) {
            (PureHelper::TextFunction(make), [text]) => {
                Some(Self::Made(make, Box::new(Self::of(text)?)))
            }
            (PureHelper::Truncate, [text, Parameter::Literal(Value::Number(length))]) => {
                let length = length.as_u64().filter(|length| *length > 0)?;
                Some(Self::Cut(Box::new(Self::of(text)?), usize::try_from(length).ok()?))
            }
            (PureHelper::FirstNonBlank, [first @ .., last]) => {
                let first = first.iter().map(Self::of).collect::<Option<Vec<_>>>()?;
                let last = Self::of(last)?;
                // The engine works out every value before it takes one, and a helper may fail.
                let is_lazy = first.iter().skip(1).chain([&last]).all(Self::never_fails);
                is_lazy.then(|| Self::First(first, Box::new(last)))
            }
            (PureHelper::TextFunction(_) | PureHelper::Truncate | PureHelper::FirstNonBlank, _) => {
                None
            }
        }
    }

    fn of(value: &Parameter) -> Option<Self> {
        match value {
            Parameter::Literal(Value::String(text)) => Some(Self::Fixed(text.clone())),
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(tag) if !tag.params.is_empty() => Self::of_tag(tag),
                _ => None,
            },
            other => bare_name(other).map(|name| Self::Cell(name.to_owned())),
        }
    }

    /// Tells whether it is the same to the engine, where it is not taken, as if it were not there.
    fn never_fails(&self) -> bool {
        match self {
            Self::Cell(_) | Self::Fixed(_) => true,
            Self::Made(..) | Self::Cut(..) | Self::First(..) => false,
        }
    }

    /// Returns the text for these fields.
    ///
    /// # Errors
    /// [`Unfit`] for what the engine would refuse, and for what is no text.
    pub(crate) fn text<'t>(
        &'t self,
        fields: &'t Map<String, Value>,
    ) -> Result<Cow<'t, str>, Unfit> {
        self.find(fields)?.ok_or(Unfit)
    }

    /// Returns the text; nothing for a cell that is not there.
    fn find<'t>(&'t self, fields: &'t Map<String, Value>) -> Result<Option<Cow<'t, str>>, Unfit> {
        let text = match self {
            Self::Fixed(text) => Cow::Borrowed(text.as_str()),
            Self::Cell(name) => match fields.get(name) {
                Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
                Some(_) => return Err(Unfit),
                None => return Ok(None),
            },
            Self::Made(make, text) => Cow::Owned(make(&text.text(fields)?)),
            Self::Cut(text, length) => Cow::Owned(helpers::truncate(&text.text(fields)?, *length)),
            Self::First(first, last) => {
                for wording in first {
                    match wording.find(fields)? {
                        Some(text) if !text.trim().is_empty() => return Ok(Some(text)),
                        Some(_) | None => {}
                    }
                }
                last.text(fields)?
            }
        };
        Ok(Some(text))
    }
}
