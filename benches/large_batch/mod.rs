//! A batch of any size for the benches: the demo's template, and its rows with fresh keys.
//!
//! The rows are the demo's own scripts in their languages, with quotes, line breaks and emoji, each
//! made unlike all others by its number, so that nothing can be fast by having seen it before.

use std::fmt::Write;
use std::path::Path;

use callsheet::batch::{self, Batch};

/// Writes a batch of `rows` rows into `folder` and reads its batch file back. `settings` are lines
/// of that file.
pub(crate) fn write_batch(folder: &Path, rows: usize, settings: &str) -> Batch {
    write_sheet(&folder.join("night.csv"), rows);
    let template = include_str!("../../templates/presenter.json.hbs");
    std::fs::write(folder.join("presenter.json.hbs"), template).expect("the folder is writable");
    let source = format!(
        "name = 'night'\nsheet = 'night.csv'\ntemplate = 'presenter.json.hbs'\n\
         key = ['sku', 'language']\ndefaults = {{ language = 'en' }}\noutput = 'out'\n\
         file = '{{{{sku}}}}-{{{{language}}}}.mp4'\n{settings}\n"
    );
    let file = folder.join("night.toml");
    std::fs::write(&file, &source).expect("the folder is writable");
    batch::parse(&file, source).expect("the batch file is right")
}

fn write_sheet(path: &Path, rows: usize) {
    let mut demo = csv::Reader::from_reader(include_bytes!("../../jobs/demo.csv").as_slice());
    let headings = demo.headers().expect("it has headings").clone();
    let scripts: Vec<csv::StringRecord> =
        demo.records().map(|record| record.expect("it is CSV")).collect();
    let mut sheet = csv::Writer::from_path(path).expect("the folder is writable");
    sheet.write_record(&headings).expect("the disk has room");
    let mut text = String::new();
    for number in 0..rows {
        let script = &scripts[number % scripts.len()];
        sheet.write_field(format!("{}-{number:07}", &script[0])).expect("the disk has room");
        for (place, cell) in script.iter().enumerate().skip(1) {
            text.clear();
            text.push_str(cell);
            if place == script.len() - 1 {
                write!(text, " No. {number}.").expect("a `String` takes everything");
            }
            sheet.write_field(&text).expect("the disk has room");
        }
        sheet.write_record(None::<&[u8]>).expect("the disk has room");
    }
    sheet.flush().expect("the disk has room");
}

/// Returns the number on the command line, as in `cargo bench --bench plan -- 1000000`.
pub(crate) fn count_argument(usual: usize) -> usize {
    std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(usual)
}
