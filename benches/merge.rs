//! The cost of a merge, compared with the least that any merge needs.
//!
//! The baseline is the `handlebars` crate, which renders the same compiled template with the same
//! helpers from data that is already there, plus one `serde_json` pass over the result. The merge
//! also fills the data from cells and checks the payload. Both sides run alternately on the same rows,
//! and the median of the rounds counts. Prints ratios and asserts nothing, because machines differ.
#![expect(clippy::print_stdout, reason = "a bench is its output")]

use std::hint::black_box;
use std::time::Instant;

use callsheet::payload::{ColumnMapping, PayloadMerger};
use callsheet::template::{PartialFiles, SceneTemplate};
use handlebars::{Context, Handlebars, handlebars_helper};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The program's own, because it is the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 41;
const ROWS: usize = 2_000;

handlebars_helper!(default: |*values| values.into_iter().find(|v| !v.is_null()).cloned());
handlebars_helper!(upper: |text: str| text.to_uppercase());
handlebars_helper!(paragraphs: |text: str| {
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    html.lines().map(|line| format!("<p>{line}</p>")).collect::<String>()
});
handlebars_helper!(truncate: |text: str, length: u64| {
    text.chars().take(usize::try_from(length).unwrap_or(usize::MAX)).collect::<String>()
});

fn main() {
    let source = include_str!("../templates/presenter.json.hbs");
    let template = SceneTemplate::parse("presenter", source, &PartialFiles::default());
    let template = template.expect("the seed template is right");
    let (columns, rows) = demo_sheet();
    let mut merger = PayloadMerger::new(&template, &columns);
    let engine = baseline_handlebars(template.source());
    let ready: Vec<Context> = rows
        .iter()
        .map(|row| {
            let fields = merger.template_fields(std::slice::from_ref(row));
            Context::wraps(fields).expect("fields are JSON")
        })
        .collect();
    let render = |row: usize| {
        let context = &ready[row % ready.len()];
        engine.render_with_context("presenter", context).expect("the demo rows are right")
    };

    let bytes = merger.merge(&rows[..1]).expect("the demo rows are right").text().len();
    println!("payload: {bytes} bytes; medians of {ROUNDS} rounds of {ROWS} rows");
    let mut merge = Vec::new();
    let mut ignored = Vec::new();
    let mut valued = Vec::new();
    for _ in 0..ROUNDS {
        merge.push(time_per_row_us(|row| {
            black_box(merger.merge(&rows[row % rows.len()..][..1]).is_ok());
        }));
        ignored.push(time_per_row_us(|row| {
            let text = render(row);
            black_box(serde_json::from_str::<IgnoredAny>(&text).is_ok());
        }));
        valued.push(time_per_row_us(|row| {
            let text = render(row);
            black_box(serde_json::from_str::<Value>(&text).is_ok());
        }));
    }
    let (merge, ignored, valued) = (median(merge), median(ignored), median(valued));
    println!("merge and check                  {merge:>7.2} µs a row ({:.0}/s)", 1e6 / merge);
    println!("handlebars + pass into nothing   {ignored:>7.2} µs a row");
    println!("handlebars + pass into a tree    {valued:>7.2} µs a row");
    println!("ratio to handlebars + nothing    {:>7.2}   (target 0.80)", ignored / merge);
    println!("ratio to handlebars + tree       {:>7.2}", valued / merge);
}

/// The library as anyone would set it up for JSON, with the shortest helpers that do the job.
fn baseline_handlebars(source: &str) -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(|text| {
        let quoted = serde_json::to_string(text).expect("text is JSON");
        quoted[1..quoted.len() - 1].to_owned()
    });
    engine.register_helper("default", Box::new(default));
    engine.register_helper("upper", Box::new(upper));
    engine.register_helper("paragraphs", Box::new(paragraphs));
    engine.register_helper("truncate", Box::new(truncate));
    engine.register_template_string("presenter", source).expect("the seed template is right");
    engine
}

/// The demo sheet, read with as little as its own quoting needs.
fn demo_sheet() -> (ColumnMapping, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(include_bytes!("../jobs/demo.csv").as_slice());
    let names = reader.headers().expect("it has headings").iter().map(str::to_owned).collect();
    let rows = reader
        .records()
        .map(|record| record.expect("it is CSV").iter().map(str::to_owned).collect())
        .collect();
    (ColumnMapping { names, ..ColumnMapping::default() }, rows)
}

/// Returns microseconds a row.
fn time_per_row_us(mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    for row in 0..ROWS {
        work(row);
    }
    start.elapsed().as_secs_f64() * 1e6 / ROWS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
