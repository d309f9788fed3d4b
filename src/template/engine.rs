//! The two Handlebars engines: one for the inside of JSON strings, one for plain text (file names).
//!
//! Both are strict and know only the documented helpers. `log`, `raw` and the number comparisons of
//! the library are removed, so a column of that name is only a column.

use std::io;
use std::sync::LazyLock;

use handlebars::{Context, Handlebars, Output, RenderContext, RenderError, Renderable, no_escape};

use crate::template::{escape, helpers};

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
        template.render(self.registry(), context, &mut state, &mut StringOutput(&mut text))?;
        Ok(text)
    }
}

/// Output directly into a `String`, without a UTF-8 check afterwards.
struct StringOutput<'t>(&'t mut String);

impl Output for StringOutput<'_> {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        self.0.push_str(segment);
        Ok(())
    }
}
