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

/// Renders a compiled template whose tags stand in JSON.
pub(super) fn render_json(
    template: &handlebars::Template,
    context: &Context,
    capacity: usize,
) -> Result<String, RenderError> {
    render(&JSON, template, context, capacity)
}

/// Renders a compiled template whose tags stand in plain text.
pub(super) fn render_plain(
    template: &handlebars::Template,
    context: &Context,
) -> Result<String, RenderError> {
    render(&PLAIN, template, context, 0)
}

fn render(
    engine: &'static Handlebars<'static>,
    template: &handlebars::Template,
    context: &Context,
    capacity: usize,
) -> Result<String, RenderError> {
    let mut out = Text(String::with_capacity(capacity));
    template.render(engine, context, &mut RenderContext::new(None), &mut out)?;
    Ok(out.0)
}

/// Output straight into a `String`, which spares proving the bytes UTF-8 afterwards.
struct Text(String);

impl Output for Text {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        self.0.push_str(segment);
        Ok(())
    }
}
