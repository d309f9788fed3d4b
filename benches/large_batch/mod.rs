//! A batch of any size for the benchmarks: the template of the demo, and its rows with new keys.
//!
//! The rows are the scripts of the demo in several languages, with quotes, line breaks and emoji.
//! Invariant: each contains its number, so that no row is fast because it was merged before.

use std::fmt::Write;
use std::path::Path;

use callsheet::batch::{self, Batch};

/// Writes a batch with `rows` rows into `folder` and parses its batch file. `settings` are further
/// lines of that file.
pub(crate) fn write_batch(folder: &Path, rows: usize, settings: &str) -> Batch {
    write_sheet(&folder.join("large.csv"), rows);
    let template = include_str!("../../templates/presenter.json.hbs");
    std::fs::write(folder.join("presenter.json.hbs"), template).expect("the folder is writable");
    let source = format!(
        "name = 'large'\nsheet = 'large.csv'\ntemplate = 'presenter.json.hbs'\n\
         key = ['sku', 'language']\ndefaults = {{ language = 'en' }}\noutput = 'out'\n\
         file = '{{{{sku}}}}-{{{{language}}}}.mp4'\n{settings}\n"
    );
    let file = folder.join("large.toml");
    std::fs::write(&file, &source).expect("the folder is writable");
    batch::parse(&file, source).expect("the batch file is valid")
}

fn write_sheet(path: &Path, rows: usize) {
    let mut demo = csv::Reader::from_reader(include_bytes!("../../jobs/demo.csv").as_slice());
    let headings = demo.headers().expect("it has headings").clone();
    let scripts: Vec<csv::StringRecord> =
        demo.records().map(|record| record.expect("it is CSV")).collect();
    let mut sheet = csv::Writer::from_path(path).expect("the folder is writable");
    sheet.write_record(&headings).expect("the disk has space");
    let mut text = String::new();
    for number in 0..rows {
        let script = &scripts[number % scripts.len()];
        sheet.write_field(format!("{}-{number:07}", &script[0])).expect("the disk has space");
        for (column, cell) in script.iter().enumerate().skip(1) {
            text.clear();
            text.push_str(cell);
            if column == script.len() - 1 {
                write!(text, " No. {number}.").expect("writing to a `String` never fails");
            }
            sheet.write_field(&text).expect("the disk has space");
        }
        sheet.write_record(None::<&[u8]>).expect("the disk has space");
    }
    sheet.flush().expect("the disk has space");
}

/// Returns the number on the command line, as in `cargo bench --bench plan -- 1000000`.
pub(crate) fn count_argument(default: usize) -> usize {
    std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(default)
}
