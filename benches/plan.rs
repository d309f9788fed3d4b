//! From the sheet to the ledger: rows a second, and the memory that takes.
//!
//! The rival is what anyone would write with the same libraries on one evening: the `csv` crate,
//! `handlebars`, one JSON pass, BLAKE3, and a prepared `insert` for each row, through `sqlx` in one
//! transaction on a durable file. It keeps one table with one key; the plan also checks every
//! payload and file name, compares with what the ledger knows, and fills the ledger's own tables.
//! Prints figures and asserts nothing: machines differ. Of five rounds, each into a new ledger, the
//! middle one is said, and the slowest and the fastest; the rival, which takes ten times as long, runs
//! once.
//!
//! `cargo bench --bench plan -- 1000000` takes another number of rows than 100,000.
#![expect(clippy::print_stdout, reason = "a bench is its output")]

mod large_batch;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger};
use callsheet::plan;
use handlebars::{Handlebars, handlebars_helper};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

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
    let (mut drawn, mut whole, mut peak) = (Vec::new(), Vec::new(), 0.0);
    for round in 0..ROUNDS {
        let ledger = open_ledger(folder.path(), round).await;
        let took = time_plan(&batch, &ledger).await;
        drawn.push(took.0);
        whole.push(took.1);
        if round == 0 {
            peak = peak_mib();
        }
        ledger.close().await;
    }
    let (file, ledger) = (ledger_path(folder.path(), 0), open_ledger(folder.path(), 0).await);
    print_rounds("plan alone (what `callsheet plan` does)", rows, &mut drawn);
    print_rounds("plan and take in (sheet to ledger)", rows, &mut whole);
    println!("{:<44} {peak:>9.1} MiB (idle {idle:.1})", "peak memory of the first");
    let (mut drawn, mut unchanged) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let took = time_plan(&batch, &ledger).await;
        drawn.push(took.0);
        unchanged.push(took.1);
    }
    print_rounds("the same sheet again: plan", rows, &mut drawn);
    print_rounds("the same sheet again: plan and take in", rows, &mut unchanged);
    ledger.close().await;
    println!("{:<44} {:>9.1} MiB", "the ledger", file_size(&file) as f64 / MIB);

    let rival = time_baseline(&batch, &folder.path().join("rival.db")).await;
    print_rounds("csv + handlebars + serde_json + insert", rows, &mut [rival]);
    let ratio = rival.as_secs_f64() / whole[ROUNDS / 2].as_secs_f64();
    println!("{:<44} {ratio:>9.2}", "ratio to it");
    println!("{:<44} {:>9.1} s", "altogether", began.elapsed().as_secs_f64());
}

const MIB: f64 = (1 << 20) as f64;
/// One second tells little of a machine that others use as well; of five, the middle one counts.
const ROUNDS: usize = 5;

fn ledger_path(folder: &Path, round: usize) -> PathBuf {
    folder.join(format!("{round}.db"))
}

async fn open_ledger(folder: &Path, round: usize) -> Ledger {
    Ledger::open(&ledger_path(folder, round), Durability::PowerLoss).await.expect("a ledger")
}

/// Returns how long drawing a plan up takes, and how long with taking it in.
async fn time_plan(batch: &Batch, ledger: &Ledger) -> (Duration, Duration) {
    let began = Instant::now();
    let plan = plan::plan_batch(batch, "", ledger).await.expect("the sheet is right");
    let drawn = began.elapsed();
    assert!(plan.is_clean(), "{:?}", plan.problems);
    plan.commit(Clock::real().now()).await.expect("the ledger takes it");
    (drawn, began.elapsed())
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
    engine.register_template_file("scene", &batch.template).expect("the template is right");
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut db = options.disable_statement_logging().connect().await.expect("a new database");
    let table = "create table job (key text primary key, cells text, hash text, file text);";
    sqlx::raw_sql(table).execute(&mut db).await.expect("it is SQL");
    let mut transaction = db.begin().await.expect("nobody else is there");
    let mut sheet = csv::Reader::from_path(&batch.sheet).expect("it was written just now");
    let headings = sheet.headers().expect("it has headings").clone();
    let mut record = csv::StringRecord::new();
    while sheet.read_record(&mut record).expect("it is CSV") {
        let cells = headings.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        let cells = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell)));
        let cells = Value::Object(cells.collect::<Map<_, _>>());
        let payload = engine.render("scene", &cells).expect("the rows are right");
        serde_json::from_str::<IgnoredAny>(&payload).expect("it is JSON");
        let hash = blake3::hash(payload.as_bytes()).to_hex();
        sqlx::query("insert into job (key, cells, hash, file) values (?1, ?2, ?3, ?4)")
            .bind(format!("{} {}", &record[0], &record[1]))
            .bind(cells.to_string())
            .bind(hash.as_str())
            .bind(format!("{}-{}.mp4", &record[0], &record[1]))
            .execute(&mut *transaction)
            .await
            .expect("the disk has room");
    }
    transaction.commit().await.expect("the disk has room");
    began.elapsed()
}

/// Sorts what the rounds took, and says the middle one; of several, the slowest and the fastest too.
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

/// Returns the most memory this process ever had, where the system says it.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
