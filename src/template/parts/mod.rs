//! A template as what a row is made of: text that stays, cells, and what the engine is asked for.
//!
//! Most tags are a cell, as it is or with a helper for texts, and most blocks ask whether a cell is
//! empty. Both are answered here, from the very fields that the engine would look at; everything
//! else is left to it, piece by piece, in the same order. So the bytes are those that the engine
//! makes of the whole template: a property holds them to it. What does not fit is not decided here
//! but given up, and the engine makes the whole of it, mistakes included.
//!
//! Beside the text stands what of it is read (`unread`): the same without values that no check
//! asks for.

mod unread;
mod wording;

use handlebars::template::{HelperTemplate, TemplateElement};
use handlebars::{Context, JsonTruthy};
use serde_json::{Map, Value};

use crate::template::columns::bare_name;
use crate::template::engine::{TemplateEngine, TemplateRenderer};
use crate::template::parts::wording::Wording;

/// A template's parts, in their order.
pub(crate) struct Parts(Vec<Part>);

enum Part {
    /// The same in every row; and what of it is read.
    Text { text: String, read: String },
    /// A text made of cells, escaped for where it lands.
    Words(Wording),
    /// One or the other, by whether a cell is empty.
    Choice { cell: String, then: Parts, otherwise: Parts },
    /// What only the engine can make.
    Tags(handlebars::Template),
}

/// What is made of the parts.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) text: String,
    /// The same, without what no check asks for.
    pub(crate) read: String,
}

/// Something does not fit; what that is, the engine says of the whole template.
#[derive(Debug)]
pub(crate) struct Unfit;

impl Parts {
    /// Takes a template of JSON apart.
    pub(crate) fn of_json(template: &handlebars::Template) -> Self {
        let mut parts = Self::of(template);
        unread::leave_out(&mut parts);
        parts
    }

    /// Takes a template apart.
    pub(crate) fn of(template: &handlebars::Template) -> Self {
        let mut parts = Self(Vec::new());
        for element in &template.elements {
            parts.push(element);
        }
        parts
    }

    fn push(&mut self, element: &TemplateElement) {
        let part = match element {
            TemplateElement::RawString(more) => {
                if let Some(Part::Text { text, read }) = self.0.last_mut() {
                    text.push_str(more);
                    read.push_str(more);
                    return;
                }
                Part::Text { text: more.clone(), read: more.clone() }
            }
            TemplateElement::Comment(_) => return,
            TemplateElement::Expression(tag) => match Wording::of_tag(tag) {
                Some(wording) => Part::Words(wording),
                None => return self.push_tag(element),
            },
            TemplateElement::HelperBlock(block) => match choice(block) {
                Some(choice) => choice,
                None => return self.push_tag(element),
            },
            // Refused in a template; the engine would know them.
            _ => return self.push_tag(element),
        };
        self.0.push(part);
    }

    fn push_tag(&mut self, element: &TemplateElement) {
        if !matches!(self.0.last(), Some(Part::Tags(_))) {
            self.0.push(Part::Tags(handlebars::Template::default()));
        }
        if let Some(Part::Tags(tags)) = self.0.last_mut() {
            tags.elements.push(element.clone());
        }
    }

    /// Makes the text for these fields.
    ///
    /// # Errors
    /// [`Unfit`] when the engine has to make the whole of it.
    pub(crate) fn make(
        &self,
        engine: TemplateEngine,
        fields: &Context,
        made: &mut Made,
    ) -> Result<(), Unfit> {
        let cells = fields.data().as_object().ok_or(Unfit)?;
        self.add(&mut TemplateRenderer::new(engine, fields), cells, made)
    }

    fn add<'p>(
        &'p self,
        pen: &mut TemplateRenderer<'p>,
        cells: &'p Map<String, Value>,
        made: &mut Made,
    ) -> Result<(), Unfit> {
        for part in &self.0 {
            let begin = made.text.len();
            match part {
                Part::Text { text, read } => {
                    made.text.push_str(text);
                    made.read.push_str(read);
                    continue;
                }
                Part::Choice { cell, then, otherwise } => {
                    let holds = cells.get(cell).is_some_and(|value| value.is_truthy(false));
                    let chosen = if holds { then } else { otherwise };
                    chosen.add(pen, cells, made)?;
                    continue;
                }
                Part::Words(wording) => pen.push_value(&wording.text(cells)?, &mut made.text),
                Part::Tags(tags) => pen.render(tags, &mut made.text).map_err(|_| Unfit)?,
            }
            made.read.push_str(&made.text[begin..]);
        }
        Ok(())
    }
}

/// Returns a block as a choice, if it asks of one name whether there is something.
fn choice(block: &HelperTemplate) -> Option<Part> {
    let [asked] = block.params.as_slice() else { return None };
    let cell = bare_name(asked)?.to_owned();
    let is_plain = block.hash.is_empty() && block.block_param.is_none();
    let part = |part: &Option<_>| part.as_ref().map_or(Parts(Vec::new()), Parts::of);
    let (holds, fails) = (part(&block.template), part(&block.inverse));
    match block.name.as_name()? {
        "if" if is_plain => Some(Part::Choice { cell, then: holds, otherwise: fails }),
        "unless" if is_plain => Some(Part::Choice { cell, then: fails, otherwise: holds }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
