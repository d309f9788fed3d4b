//! Planning: rows per second from the sheet to the ledger, and the memory needed.
//!
//! The baseline is a simple program with the same libraries: the `csv` crate, `handlebars`, one JSON
//! pass, BLAKE3, and a prepared `insert` per row, through `sqlx` in one transaction on a durable file.
//! It fills one table with one key; the plan also checks every payload and file name, compares with
//! the ledger, and fills all tables of the ledger. Five rounds are measured, each with a new ledger;
//! the median, the slowest and the fastest are printed. The baseline, which takes ten times as long,
//! runs once. The sheet alone is read as often, beside the `csv` crate. Nothing is asserted, because machines differ.
//!
//! `cargo bench --bench plan -- 1000000` sets the number of rows (default 100,000). With
//! `CALLSHEET_BENCH_SERVER=postgres:///DATABASE?host=FOLDER` the ledgers are schemas of that server, and
//! the baseline is left out.
#![expect(clippy::print_stdout, reason = "a bench is its output")]

mod large_batch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, LedgerAddress};
use callsheet::plan;
use callsheet::sheet::{Sheet, SheetSpec};
use handlebars::{Handlebars, handlebars_helper};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sqlx::{ConnectOptions, Connection};
use sqlx_sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// The program's own, because it is the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

handlebars_helper!(default: |*values| values.into_iter().find(|v| !v.is_null()).cloned());
handlebars_helper!(upper: |text: str| text.to_uppercase());
handlebars_helper!(paragraphs: |text: str| {
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    html.lines().map(|line| format!("<p>{line}</p>")).collect::<String>()
});
handlebars_helper!(truncate: |text: str, length: u64| {
    text.chars().take(usize::try_from(length).unwrap_or(usize::MAX)).collect::<String>()
});

#[tokio::main]
async fn main() {
    let rows = large_batch::count_argument(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let batch = large_batch::write_batch(folder.path(), rows, "");
    let idle = peak_mib();
    let began = Instant::now();
    println!("{rows} rows, {} bytes of sheet", file_size(&batch.sheet));
    let (mut planned, mut committed, mut peak) = (Vec::new(), Vec::new(), 0.0);
    for round in 0..ROUNDS {
        let ledger = open_ledger(folder.path(), round).await;
        let took = time_plan(&batch, &ledger).await;
        planned.push(took.planned);
        committed.push(took.committed);
        if round == 0 {
            peak = peak_mib();
        }
        ledger.close().await;
    }
    let (file, ledger) = (ledger_path(folder.path(), 0), open_ledger(folder.path(), 0).await);
    print_rounds("plan (`callsheet plan`)", rows, &mut planned);
    print_rounds("plan and commit (sheet to ledger)", rows, &mut committed);
    println!("{:<44} {peak:>9.1} MiB (idle {idle:.1})", "peak memory of the first round");
    let (mut planned, mut unchanged) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let took = time_plan(&batch, &ledger).await;
        planned.push(took.planned);
        unchanged.push(took.committed);
    }
    print_rounds("the same sheet again: plan", rows, &mut planned);
    print_rounds("the same sheet again: plan and commit", rows, &mut unchanged);
    ledger.close().await;
    if server().is_some() {
        return;
    }
    println!("{:<44} {:>9.1} MiB", "size of the ledger", file_size(&file) as f64 / MIB);

    let (mut read, mut csv_read) =
        ((0..ROUNDS).map(|_| time_sheet(&batch)).collect::<Vec<_>>(), Vec::new());
    csv_read.extend((0..ROUNDS).map(|_| time_csv(&batch)));
    print_rounds("read the sheet", rows, &mut read);
    print_rounds("csv", rows, &mut csv_read);
    let ratio = csv_read[ROUNDS / 2].as_secs_f64() / read[ROUNDS / 2].as_secs_f64();
    println!("{:<44} {ratio:>9.2}", "ratio to csv");
    let baseline = time_baseline(&batch, &folder.path().join("baseline.db")).await;
    print_rounds("csv + handlebars + serde_json + insert", rows, &mut [baseline]);
    let ratio = baseline.as_secs_f64() / committed[ROUNDS / 2].as_secs_f64();
    println!("{:<44} {ratio:>9.2}", "ratio to the baseline");
    println!("{:<44} {:>9.1} s", "total", began.elapsed().as_secs_f64());
}

const MIB: f64 = (1 << 20) as f64;
/// A single round says little on a shared machine; the median of five counts.
const ROUNDS: usize = 5;

fn ledger_path(folder: &Path, round: usize) -> PathBuf {
    folder.join(format!("{round}.db"))
}

/// The server of the ledgers; `None` if they are files.
fn server() -> Option<String> {
    std::env::var("CALLSHEET_BENCH_SERVER").ok()
}

async fn open_ledger(folder: &Path, round: usize) -> Ledger {
    let address = match server() {
        Some(server) => {
            let schema = format!("{server}&schema=plan_{}_{round}", std::process::id());
            LedgerAddress::parse(schema.as_ref()).expect("an address")
        }
        None => LedgerAddress::File(ledger_path(folder, round)),
    };
    Ledger::open(&address, Durability::PowerLoss).await.expect("a ledger")
}

/// The time until the plan is complete, and until it is committed.
struct PlanTimes {
    planned: Duration,
    committed: Duration,
}

async fn time_plan(batch: &Batch, ledger: &Ledger) -> PlanTimes {
    let began = Instant::now();
    let plan =
        plan::plan_batch(batch, "http://127.0.0.1:1", ledger).await.expect("the sheet is valid");
    let planned = began.elapsed();
    assert!(plan.is_clean(), "{:?}", plan.problems);
    plan.commit(Clock::real().now()).await.expect("the plan is committed");
    PlanTimes { planned, committed: began.elapsed() }
}

/// The time until each row of the sheet was read and has its key.
fn time_sheet(batch: &Batch) -> Duration {
    let began = Instant::now();
    let sheet = Sheet::open(&batch.sheet, &sheet_spec(batch)).expect("it was written just now");
    let entries = sheet.entries().filter(Result::is_ok).count();
    assert!(entries > 0, "no row of the sheet is valid");
    began.elapsed()
}

fn sheet_spec(batch: &Batch) -> SheetSpec<'_> {
    SheetSpec {
        key: &batch.key,
        group_by: None,
        columns: &batch.columns,
        required: &[],
        optional: &[],
        lists: &[],
        skip: None,
        encoding: None,
        worksheet: None,
        header_row: None,
        skip_hidden: false,
        is_link: false,
    }
}

/// The time of the `csv` crate alone for the same records.
fn time_csv(batch: &Batch) -> Duration {
    let began = Instant::now();
    let mut sheet = csv::Reader::from_path(&batch.sheet).expect("it was written just now");
    let mut record = csv::StringRecord::new();
    while sheet.read_record(&mut record).expect("it is CSV") {
        std::hint::black_box(&record);
    }
    began.elapsed()
}

async fn time_baseline(batch: &Batch, path: &Path) -> Duration {
    let began = Instant::now();
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
    engine.register_template_file("scene", &batch.template).expect("the template is valid");
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut db = options.disable_statement_logging().connect().await.expect("a new database");
    let table = "create table job (key text primary key, cells text, hash text, file text);";
    sqlx::raw_sql(table).execute(&mut db).await.expect("it is SQL");
    let mut transaction = db.begin().await.expect("no other connection is open");
    let mut sheet = csv::Reader::from_path(&batch.sheet).expect("it was written just now");
    let headings = sheet.headers().expect("it has headings").clone();
    let mut record = csv::StringRecord::new();
    while sheet.read_record(&mut record).expect("it is CSV") {
        let cells = headings.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        let cells = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell)));
        let cells = Value::Object(cells.collect::<Map<_, _>>());
        let payload = engine.render("scene", &cells).expect("the rows are valid");
        serde_json::from_str::<IgnoredAny>(&payload).expect("it is JSON");
        let hash = blake3::hash(payload.as_bytes()).to_hex();
        sqlx::query("insert into job (key, cells, hash, file) values (?1, ?2, ?3, ?4)")
            .bind(format!("{} {}", &record[0], &record[1]))
            .bind(cells.to_string())
            .bind(hash.as_str())
            .bind(format!("{}-{}.mp4", &record[0], &record[1]))
            .execute(&mut *transaction)
            .await
            .expect("the disk has space");
    }
    transaction.commit().await.expect("the disk has space");
    began.elapsed()
}

/// Prints the median of the rounds; of several, also the slowest and the fastest.
fn print_rounds(what: &str, rows: usize, took: &mut [Duration]) {
    took.sort_unstable();
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    let middle = took[took.len() / 2];
    print!("{what:<44} {:>9.0} rows/s ({:.2} s", rate(middle), middle.as_secs_f64());
    match took {
        [fastest, .., slowest] => println!("; {:.0} to {:.0})", rate(*slowest), rate(*fastest)),
        _ => println!(")"),
    }
}

fn file_size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// Returns the peak memory of this process, if the system reports it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
