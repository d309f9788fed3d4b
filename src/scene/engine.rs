//! Handlebars, set up twice: for the inside of JSON strings, and for plain text (file names).
//!
//! Both are strict and know only the documented helpers; `log`, `raw` and the number comparisons
//! that come with the library are taken out, so that a column of that name is just a column.

use std::io;
use std::sync::LazyLock;

use handlebars::{Context, Handlebars, Output, RenderContext, RenderError, Renderable, no_escape};

use super::{escape, helpers};

/// Renders into the inside of JSON strings.
static JSON: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = strict();
    engine.register_escape_fn(escape::json);
    engine
});

/// Renders into plain text.
static PLAIN: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut engine = strict();
    engine.register_escape_fn(no_escape);
    engine
});

fn strict() -> Handlebars<'static> {
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
pub(super) enum Engine {
    /// In JSON.
    Json,
    /// In plain text.
    Plain,
}

impl Engine {
    fn library(self) -> &'static Handlebars<'static> {
        match self {
            Self::Json => &JSON,
            Self::Plain => &PLAIN,
        }
    }

    /// Renders a compiled template.
    pub(super) fn render(
        self,
        template: &handlebars::Template,
        context: &Context,
        capacity: usize,
    ) -> Result<String, RenderError> {
        let mut text = String::with_capacity(capacity);
        Pen::new(self, context).render(template, &mut text)?;
        Ok(text)
    }
}

/// Writes one thing after another from the same fields.
pub(super) struct Pen<'c> {
    engine: Engine,
    context: &'c Context,
    /// Made when it is first needed: it is costly.
    state: Option<RenderContext<'static, 'c>>,
}

impl<'c> Pen<'c> {
    pub(super) fn new(engine: Engine, context: &'c Context) -> Self {
        Self { engine, context, state: None }
    }

    /// Appends what a compiled template becomes. After an error this pen is of no more use.
    pub(super) fn render(
        &mut self,
        template: &'c handlebars::Template,
        text: &mut String,
    ) -> Result<(), RenderError> {
        let state = self.state.get_or_insert_with(|| RenderContext::new(None));
        template.render(self.engine.library(), self.context, state, &mut Text(text))
    }

    /// Appends a text as the engine writes a value, escaped for where it lands.
    pub(super) fn write(&self, value: &str, text: &mut String) {
        match self.engine {
            Engine::Json => escape::push_json(text, value),
            Engine::Plain => text.push_str(value),
        }
    }
}

/// Output straight into a `String`, which spares proving the bytes UTF-8 afterwards.
struct Text<'t>(&'t mut String);

impl Output for Text<'_> {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        self.0.push_str(segment);
        Ok(())
    }
}
