//! Handlebars, set up twice: for the inside of JSON strings, and for plain text (file names).
//!
//! Both are strict and know only the documented helpers; `log`, `raw` and the number comparisons
//! that come with the library are taken out, so that a column of that name is just a column.

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
    // A misspelt column is an error here, and not an empty line in a paid video.
    engine.set_strict_mode(true);
    for unwanted in ["log", "raw", "gt", "gte", "lt", "lte"] {
        engine.unregister_helper(unwanted);
    }
    helpers::register(&mut engine);
    engine
}

/// For where a template's tags stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TemplateEngine {
    /// In JSON.
    Json,
    /// In plain text.
    Plain,
}

impl TemplateEngine {
    fn registry(self) -> &'static Handlebars<'static> {
        match self {
            Self::Json => &JSON_ENGINE,
            Self::Plain => &PLAIN_ENGINE,
        }
    }

    /// Renders a compiled template.
    pub(crate) fn render(
        self,
        template: &handlebars::Template,
        context: &Context,
        capacity: usize,
    ) -> Result<String, RenderError> {
        let mut text = String::with_capacity(capacity);
        TemplateRenderer::new(self, context).render(template, &mut text)?;
        Ok(text)
    }
}

/// Writes one thing after another from the same fields.
pub(crate) struct TemplateRenderer<'c> {
    engine: TemplateEngine,
    context: &'c Context,
    /// Made when it is first needed: it is costly.
    render_context: Option<RenderContext<'static, 'c>>,
}

impl<'c> TemplateRenderer<'c> {
    pub(crate) fn new(engine: TemplateEngine, context: &'c Context) -> Self {
        Self { engine, context, render_context: None }
    }

    /// Appends what a compiled template becomes. After an error this pen is of no more use.
    pub(crate) fn render(
        &mut self,
        template: &'c handlebars::Template,
        text: &mut String,
    ) -> Result<(), RenderError> {
        let state = self.render_context.get_or_insert_with(|| RenderContext::new(None));
        template.render(self.engine.registry(), self.context, state, &mut StringOutput(text))
    }

    /// Appends a text as the engine writes a value, escaped for where it lands.
    pub(crate) fn push_value(&self, value: &str, text: &mut String) {
        match self.engine {
            TemplateEngine::Json => escape::push_json_escaped(text, value),
            TemplateEngine::Plain => text.push_str(value),
        }
    }
}

/// Output straight into a `String`, which spares proving the bytes UTF-8 afterwards.
struct StringOutput<'t>(&'t mut String);

impl Output for StringOutput<'_> {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        self.0.push_str(segment);
        Ok(())
    }
}
