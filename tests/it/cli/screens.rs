//! What a terminal of 80 and of 120 columns shows, one snapshot per screen, to be read as a user reads it.
//!
//! Runs of blanks are shortened: the width of a column depends on the time that a run took.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use callsheet::sandbox;

use crate::human_output::{mixed_outcomes, snapshot_settings};
use crate::support::test_cli::TestCli;

/// The screens in the order in which they are shown: the later ones change the ledger.
const SCREENS: &[(&str, &str)] = &[
    ("new-from-sheet", "new --sheet products.csv --yes"),
    ("new-gallery", "new --list"),
    ("new-questions", "new other --sheet odd.csv </dev/null 2>&1 | cat"),
    ("plan", "plan b.toml --offline"),
    ("plan-variants", "plan products --offline"),
    ("plan-problems", "plan wrong.toml --offline"),
    ("preview", "preview b.toml --row 2"),
    ("preview-variant", "preview products --row 4"),
    ("check", "check b.toml"),
    ("models", "models b.toml"),
    ("status", "status"),
    ("status-batch", "status promo"),
    ("jobs", "jobs promo"),
    ("runs", "runs promo"),
    ("show-failed", "show promo k000"),
    ("show-uncertain", "show promo k001"),
    ("show-done", "show promo k003"),
    ("review", "review promo"),
    ("report", "report promo"),
    ("ledger-check", "ledger check"),
    ("mistake-command", "staus"),
    ("mistake-batch", "run prom"),
    ("mistake-sheet", "run products.csv"),
    ("mistake-option", "run b.toml --dry-run"),
    ("mistake-key", "show promo k00"),
    ("mistake-state", "jobs promo --state finished"),
    ("mistake-column", "plan b.toml --where notes=x"),
    ("mistake-template", "plan pasted.toml --offline"),
    ("login", "login --profile x </dev/null 2>&1 | cat"),
    ("pause", "pause promo"),
    ("unpause", "unpause promo"),
    ("retry", "retry promo --yes"),
    ("cancel", "cancel promo --yes"),
    ("resolve", "resolve promo k001"),
];

fn write_inputs(office: &TestCli) {
    let text = "A text that is long enough to be spoken by an avatar";
    office.write(
        "products.csv",
        &format!(
            "Products of spring,,,,,\n,,,,,\nSKU,Product,Text EN,Text DE,Price,Status\n\
             T-1,Tea,{text},{text} 2,4.90 €,Ready\nT-2,Mug,{text} 3,{text} 4,9.90 €,On hold\n"
        ),
    );
    office.write(
        "odd.csv",
        &format!("Thing,Spot,Status\nTea,{text},Legal\nMug,{text} again,Ready\n"),
    );
    office.write("wrong.csv", "key,script,note\na,Hello,\na,Hello again,\nb,,\n");
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let batch = batch.replace("promo", "wrong").replace("'out'", "'out-wrong'");
    office.write("wrong.toml", &batch.replace("s.csv", "wrong.csv"));
    office.write("pasted.toml", &batch.replace("t.json.hbs", "answer.json"));
    let answer = r#"{"success":true,"data":{"project":{"scenes":[{"scripts":[]}]}}}"#;
    office.write("answer.json", answer);
}

/// Returns what a terminal with this many columns shows.
fn screen(office: &TestCli, columns: usize, args: &str) -> String {
    let line = format!("stty cols {columns} rows 48; {} {args}", env!("CARGO_BIN_EXE_callsheet"));
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(office.dir.path());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", office.dir.path());
    command.env("AISTUDIOS_APP_ID", sandbox::APP_ID).env("AISTUDIOS_USER_KEY", sandbox::USER_KEY);
    let ended = command.stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&ended.stdout).replace('\r', "");
    let code = ended.status.code().unwrap_or(-1);
    let exit = if code == 0 { String::new() } else { format!("[exit {code}]\n") };
    office.normalize(&shown).replace("^D\u{8}\u{8}", "") + &exit
}

#[tokio::test(flavor = "multi_thread")]
async fn screens_of_80_and_120_columns_are_read_before_they_change() {
    let mut shown = BTreeMap::<&str, String>::new();
    for columns in [80, 120] {
        let office = mixed_outcomes().await;
        if office.database().is_some() {
            return;
        }
        write_inputs(&office);
        for (name, args) in SCREENS {
            let text = screen(&office, columns, args);
            let page = format!("-- {columns} columns: callsheet {args}\n{text}\n");
            shown.entry(*name).or_default().push_str(&page);
        }
    }
    let mut settings = snapshot_settings();
    settings.add_filter("\u{1b}\\[[0-9;?]*[a-zA-Z]", "");
    settings.add_filter(r"(\S) {3,}", "$1  ");
    settings.add_filter("retrieved .*", "retrieved [WHEN]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "STUDIO");
    let _settings = settings.bind_to_scope();
    for (name, text) in shown {
        insta::assert_snapshot!(format!("screen-{name}"), text);
    }
}

/// A run writes results and messages through two streams.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_the_verdict_and_the_next_step_after_the_results() {
    let office = TestCli::new(3).await;
    let shown = screen(&office, 100, "run b.toml --yes --limit 1");
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no `{text}` in {shown}"));
    let order = ["This run: 1 video", "Results: ", "stopped at --limit 1", "Next: "];
    let places: Vec<usize> = order.iter().map(|text| at(text)).collect();
    assert!(places.is_sorted(), "{places:?} {shown}");
}
