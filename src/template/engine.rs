//! The two Handlebars engines: one for the inside of JSON strings, one for plain text (file names).
//!
//! Both are strict and know only the documented helpers. `log`, `raw` and the number comparisons of
//! the library are removed, so a column of that name is only a column.
//!
//! Invariant: no template and no row make a text beyond 16 MB, or repeat its loops endlessly.

use std::io;
use std::sync::LazyLock;

use handlebars::template::TemplateElement;
use handlebars::{Context, Handlebars, Output, RenderContext, RenderError, Renderable, no_escape};

use crate::template::render_error::HelperError;
use crate::template::{escape, helpers};

/// The size limit of a rendered text, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// The limit of repetitions of all loops.
const REPEATS_MAX: u32 = 100_000;
/// A piece of text that counts a repetition and is not written. JSON has no such character.
const REPEAT_MARK: &str = "\0repeat\0";

/// Renders into the inside of JSON strings.
static JSON_ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = strict_engine();
    engine.register_escape_fn(escape::escape_json);
    engine
});

/// Renders into plain text.
static PLAIN_ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = strict_engine();
    engine.register_escape_fn(no_escape);
    engine
});

fn strict_engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    // A misspelt column is an error, not an empty line in a paid video.
    engine.set_strict_mode(true);
    for unwanted in ["log", "raw", "gt", "gte", "lt", "lte"] {
        engine.unregister_helper(unwanted);
    }
    helpers::register(&mut engine);
    engine
}

/// The form of the text around a template's tags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateEngine {
    Json,
    Plain,
}

impl TemplateEngine {
    fn registry(self) -> &'static Handlebars<'static> {
        match self {
            Self::Json => &JSON_ENGINE,
            Self::Plain => &PLAIN_ENGINE,
        }
    }

    /// Renders a compiled template into a text for which `capacity` bytes are reserved.
    pub(crate) fn render(
        self,
        template: &handlebars::Template,
        context: &Context,
        capacity: usize,
    ) -> Result<String, RenderError> {
        let mut text = String::with_capacity(capacity);
        let mut state = RenderContext::new(None);
        let mut output = StringOutput { text: &mut text, repeats: 0, limit: None };
        let rendered = template.render(self.registry(), context, &mut state, &mut output);
        match (rendered, output.limit) {
            (Ok(()), _) => Ok(text),
            (Err(error), None) => Err(error),
            (Err(error), Some(limit)) => Err(limit.into_error(&error)),
        }
    }
}

/// Lets each repetition of a loop be counted, also of one that writes nothing.
pub(crate) fn count_repeats(template: &mut handlebars::Template) {
    for element in &mut template.elements {
        let TemplateElement::HelperBlock(block) = element else { continue };
        let is_loop = block.name.as_name() == Some("each");
        for part in [&mut block.template, &mut block.inverse].into_iter().flatten() {
            count_repeats(part);
        }
        if let Some(body) = block.template.as_mut().filter(|_| is_loop) {
            body.elements.insert(0, TemplateElement::RawString(REPEAT_MARK.to_owned()));
            let start = body.mapping.first().cloned();
            body.mapping.splice(0..0, start);
        }
    }
}

/// A limit that a rendering has passed.
#[derive(Clone, Copy)]
enum RenderLimit {
    Size,
    Repeats,
}

/// Checks whether a problem is that of a limit, which no other row or cell explains.
pub(crate) fn is_limit_message(message: &str) -> bool {
    [RenderLimit::Size, RenderLimit::Repeats].iter().any(|limit| limit.message() == message)
}

impl RenderLimit {
    fn message(self) -> String {
        match self {
            Self::Size => format!("the payload grows beyond {} MB", TEXT_BYTES_MAX >> 20),
            Self::Repeats => {
                format!("the loops of the template repeat more than {REPEATS_MAX} times")
            }
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Size => "shorten the cell, or repeat fewer parts",
            Self::Repeats => "go through fewer lists within lists",
        }
    }

    /// Returns the error with the position of `error`.
    fn into_error(self, error: &RenderError) -> RenderError {
        let help = Some(self.help().to_owned());
        let limit = HelperError { column: None, message: self.message(), help };
        let mut located = RenderError::from(limit);
        (located.line_no, located.column_no) = (error.line_no, error.column_no);
        located
    }
}

/// Output directly into a `String`, without a UTF-8 check afterwards.
struct StringOutput<'t> {
    text: &'t mut String,
    repeats: u32,
    limit: Option<RenderLimit>,
}

impl Output for StringOutput<'_> {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        if segment == REPEAT_MARK {
            self.repeats += 1;
        } else {
            self.text.push_str(segment);
        }
        self.limit = match self.text.len() > TEXT_BYTES_MAX {
            true => Some(RenderLimit::Size),
            false => (self.repeats > REPEATS_MAX).then_some(RenderLimit::Repeats),
        };
        // The message is that of the limit.
        self.limit.map_or(Ok(()), |_| Err(io::ErrorKind::FileTooLarge.into()))
    }
}
