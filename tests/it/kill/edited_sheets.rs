//! Sheets that are edited while runs are killed and answers are lost: rows are changed, changed back,
//! moved, removed and put back. Each text is paid for at most once, and each row has its own video.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::test_cli::TestCli;

const ROWS: usize = 40;
const EDITS: u32 = 10;
const COMMAND: [&str; 4] = ["run", "b.toml", "--yes", "--accept-changes"];
/// Each row has one of so many texts.
const TEXTS: u32 = 3;

/// The rows of a sheet, each with the number of its text, and those that were removed.
#[derive(Debug)]
struct EditedSheet {
    rows: Vec<(String, u32)>,
    removed: Vec<(String, u32)>,
}

impl EditedSheet {
    fn new() -> Self {
        let rows = (0..ROWS).map(|row| (format!("k{row:03}"), 0)).collect();
        Self { rows, removed: Vec::new() }
    }

    fn text((key, text): &(String, u32)) -> String {
        format!("{key} says {text}")
    }

    fn edit(&mut self, rng: &mut StdRng) {
        for _ in 0..6 {
            let position = rng.random_range(0..self.rows.len());
            self.rows[position].1 = (self.rows[position].1 + rng.random_range(1..TEXTS)) % TEXTS;
        }
        let (from, to) =
            (rng.random_range(0..self.rows.len()), rng.random_range(0..self.rows.len()));
        self.rows.swap(from, to);
        let back = self.removed.split_off(self.removed.len() / 2);
        for row in back {
            self.rows.insert(rng.random_range(0..=self.rows.len()), row);
        }
        let position = rng.random_range(0..self.rows.len());
        let removed = self.rows.remove(position);
        self.removed.push(removed);
    }

    fn write(&self, cli: &TestCli) {
        let lines = self.rows.iter().map(|row| format!("{},{}\n", row.0, Self::text(row)));
        cli.write("s.csv", &format!("key,script\n{}", lines.collect::<String>()));
    }
}

/// Checks by the bill and the files that each row of the sheet has the video of its own text.
fn assert_own_videos(cli: &TestCli, sheet: &EditedSheet, seed: u64) {
    let texts: BTreeMap<String, String> =
        sheet.rows.iter().map(|row| (row.0.clone(), EditedSheet::text(row))).collect();
    let bill = cli.sandbox.bill();
    let results = cli.results("out");
    let column = |name| results[0].iter().position(|heading| heading == name).unwrap();
    let (status, file) = (column("status"), column("video_file"));
    assert_eq!(results.len(), sheet.rows.len() + 1, "seed {seed}: rows were lost");
    for row in &results[1..] {
        assert!(matches!(row[status].as_str(), "done" | "reused"), "seed {seed}: {row:?}");
        let video = std::fs::read(cli.path("out").join(&row[file])).unwrap();
        let is_in_video = |id: &str| video.windows(id.len()).any(|part| part == id.as_bytes());
        let line = bill.lines.iter().find(|line| is_in_video(&line.project_id)).unwrap();
        let expected = format!("{} [cs:", texts[&row[0]]);
        assert!(line.name.starts_with(&expected), "seed {seed}: {} has {}", row[0], line.name);
    }
}

async fn edit_and_kill_at_random(mode: &str, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let place = if mode == "two-step" { "export" } else { "create" };
    let cli = TestCli::with_settings(0, &format!("submission = '{mode}'"), |settings| {
        settings.seed = rng.random();
        settings.faults.add(&format!("lost-answer={place}:8%")).unwrap();
        settings.switches.list.include = callsheet::sandbox::ListFilter::All;
    })
    .await;
    let template = crate::support::TEMPLATE.replace("\"{{key}}\"", "\"{{script}}\"");
    cli.write("t.json.hbs", &template);
    let mut sheet = EditedSheet::new();
    for _ in 0..EDITS {
        sheet.write(&cli);
        let mut run = cli.start(&mut cli.command(&COMMAND));
        // The random wait is the experiment, so it waits for no event.
        tokio::time::sleep(Duration::from_millis(rng.random_range(5..=900))).await;
        if run.is_running() {
            run.child.kill().unwrap();
        }
        let end = run.wait();
        cli.end_leases();
        assert!(matches!(end.code, None | Some(0 | 5 | 6)), "{mode}, seed {seed}: {end:?}");
        sheet.edit(&mut rng);
    }
    sheet.write(&cli);
    let mut end = cli.run(&COMMAND);
    for _ in 0..12 {
        if end.code == Some(0) {
            break;
        }
        assert!(matches!(end.code, Some(5 | 6)), "{mode}, seed {seed}: {end:?}");
        end = cli.run(&COMMAND);
    }
    assert_eq!(cli.sandbox.bill().paid_twice(), [], "{mode}, seed {seed}");
    if mode == "two-step" {
        assert_eq!(end.code, Some(0), "seed {seed}: {end:?}");
        assert_own_videos(&cli, &sheet, seed);
    }
}

#[test]
fn texts_changed_and_changed_back_while_runs_are_killed_are_paid_once_each() {
    std::thread::scope(|scope| {
        for (mode, seed) in [("two-step", 1), ("two-step", 2), ("one-step", 3)] {
            scope.spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(edit_and_kill_at_random(mode, seed));
            });
        }
    });
}
