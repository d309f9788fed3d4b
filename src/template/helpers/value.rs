//! Helpers for the choice and the form of a value: `json`, `number`, `default`.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonRender, Output, RenderContext,
    RenderError, RenderErrorReason, ScopedJson,
};
use serde_json::Value;

use crate::template::helpers::{
    HelperDoc, TagOutput, is_blank, param_column, required_param, write_escaped,
};
use crate::template::render_error::HelperError;

pub(crate) const JSON: HelperDoc = HelperDoc {
    name: "json",
    usage: "{{json column}}",
    purpose: "writes the value as JSON with its own quotes; stands outside quotes",
    example: "\"text\": {{json headline}} gives \"text\": \"Say \\\"hi\\\"\"",
    arity: (1, 1),
    output: TagOutput::Json,
};

pub(crate) const NUMBER: HelperDoc = HelperDoc {
    name: "number",
    usage: "{{number column}}",
    purpose: "writes a cell as a JSON number and refuses any other cell",
    example: "\"fontSize\": {{number size}} gives \"fontSize\": 72",
    arity: (1, 1),
    output: TagOutput::Scalar,
};

pub(crate) const DEFAULT: HelperDoc = HelperDoc {
    name: "default",
    usage: "{{default column \"else\"}}",
    purpose: "takes the first value that is there and not blank; the last one is the fallback",
    example: "{{default language \"en\"}} gives en where the sheet has no language",
    arity: (2, usize::MAX),
    output: TagOutput::Text,
};

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    engine.register_helper(JSON.name, Box::new(write_json));
    engine.register_helper(NUMBER.name, Box::new(write_number));
    engine.register_helper(DEFAULT.name, Box::new(DefaultHelper));
}

// `json` and `number` write to the output themselves, because their results must not be escaped.

fn write_json(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = serde_json::to_string(required_param(helper, 0)?.value());
    out.write(&text.map_err(RenderErrorReason::from)?)?;
    Ok(())
}

fn write_number(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let given = required_param(helper, 0)?;
    let number_error = |message, help| HelperError { column: param_column(given), message, help };
    match given.value() {
        Value::Number(number) => out.write(&number.to_string())?,
        Value::String(cell) => {
            out.write(parse_json_number(cell).map_err(|error| number_error(error.0, error.1))?)?;
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(number_error("this is not a number".to_owned(), None).into());
        }
    }
    Ok(())
}

/// Returns the cell's text if it is a finite JSON number; else a message and a hint.
///
/// The value is never guessed: `1,5` is one and a half in Berlin and fifteen elsewhere.
fn parse_json_number(cell: &str) -> Result<&str, (String, Option<String>)> {
    const QUOTED_CHARS_MAX: usize = 40;
    let text = cell.trim();
    if text.is_empty() {
        let help = "fill it in, or write `{{number (default column 0)}}`";
        return Err(("the cell is empty and must be a number".to_owned(), Some(help.to_owned())));
    }
    if serde_json::from_str::<f64>(text).is_ok_and(f64::is_finite) {
        return Ok(text);
    }
    let shown = crate::text::truncate(text, QUOTED_CHARS_MAX);
    Err((format!("`{shown}` is not a number"), number_hint(text)))
}

fn number_hint(text: &str) -> Option<String> {
    let write = |right: String| {
        serde_json::from_str::<f64>(&right).is_ok().then(|| format!("write `{right}`"))
    };
    let trimmed = text.trim_end_matches(|c: char| c.is_alphabetic() || "%€$£¥₩ \u{a0}".contains(c));
    if trimmed.len() < text.len() && !trimmed.is_empty() {
        return write(trimmed.to_owned());
    }
    if text.contains(',') && !text.contains('.') && text.matches(',').count() == 1 {
        let hint = format!(
            "write `{}` or, if the comma parts thousands, `{}`",
            text.replace(',', "."),
            text.replace(',', "")
        );
        return write(text.replace(',', ".")).map(|_| hint);
    }
    if let Some(fraction) = text.strip_prefix('.') {
        return write(format!("0.{fraction}"));
    }
    let bare = text.strip_prefix('+').unwrap_or(text).trim_start_matches('0');
    write(if bare.starts_with(['.', 'e', 'E']) || bare.is_empty() {
        format!("0{bare}")
    } else {
        bare.to_owned()
    })
    .or_else(|| Some("write digits, with a point before decimals, such as `1.5`".to_owned()))
}

struct DefaultHelper;

impl HelperDef for DefaultHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(first_non_blank(helper)?.clone()))
    }

    /// Writes the value directly, without copying the text.
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        match first_non_blank(helper)? {
            Value::String(text) => write_escaped(engine, text, out),
            other => write_escaped(engine, &other.render(), out),
        }
    }
}

fn first_non_blank<'h>(helper: &'h Helper<'_>) -> Result<&'h Value, RenderError> {
    let last = helper.params().len().saturating_sub(1);
    let given = helper.params().iter().take(last).find(|value| !is_blank(value.value()));
    match given {
        Some(value) => Ok(value.value()),
        None => Ok(required_param(helper, last)?.value()),
    }
}

#[cfg(test)]
mod tests {
    use crate::template::helpers::value::parse_json_number;

    #[test]
    fn json_numbers_are_accepted() {
        for cell in ["0", "-1", "1.5", " 72 ", "1e3", "0.25"] {
            assert_eq!(parse_json_number(cell), Ok(cell.trim()), "{cell}");
        }
    }

    #[test]
    fn rejected_number_has_a_hint() {
        let told: Vec<String> =
            ["", "1,5", "50%", "72pt", "+3", "007", ".5", "1 000", "NaN", "1e999"]
                .iter()
                .map(|cell| {
                    let (message, help) = parse_json_number(cell).expect_err("not a number");
                    format!("{message}; {}", help.unwrap_or_default())
                })
                .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        the cell is empty and must be a number; fill it in, or write `{{number (default column 0)}}`
        `1,5` is not a number; write `1.5` or, if the comma parts thousands, `15`
        `50%` is not a number; write `50`
        `72pt` is not a number; write `72`
        `+3` is not a number; write `3`
        `007` is not a number; write `7`
        `.5` is not a number; write `0.5`
        `1 000` is not a number; write digits, with a point before decimals, such as `1.5`
        `NaN` is not a number; write digits, with a point before decimals, such as `1.5`
        `1e999` is not a number; write digits, with a point before decimals, such as `1.5`
        ");
    }
}
