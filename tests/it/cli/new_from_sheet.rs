//! `new --sheet`: from a sheet that a team already has to a batch that plans without an edit.

use callsheet::scaffold::GALLERY;

use crate::support::terminal_session::TerminalSession;
use crate::support::test_cli::{CommandOutput, TestCli};

/// A sheet with a title, two languages, a status, a price and a date.
const CAMPAIGN: &str = "\
Spring campaign 2026,,,,,,,
Product No.,Product,Script EN,Script DE,Price,Launch date,Status,Owner
TEA-001,Spring tea,\"Our first spring harvest has arrived, light and floral.\",\"Unsere erste Frühlingsernte ist da, leicht und blumig.\",\"4,90 €\",2026-03-01,Approved,Ana
MUG-014,Monday mug,\"It holds 400 ml, and it survives the dishwasher.\",\"Er fasst 400 ml und verträgt die Spülmaschine.\",\"12,50 €\",2026-03-08,Approved,Ben
BAG-207,Sail bag,\"One bag, three pockets, and not a single logo on it.\",,\"39,00 €\",2026-03-15,Approved,Ana
HAT-003,Sun hat,\"This one waits for its photographs until the summer.\",\"Dieser wartet bis zum Sommer auf seine Fotos.\",\"19,00 €\",2026-06-01,On hold,Ben
";

fn run_new(office: &TestCli, args: &[&str]) -> CommandOutput {
    let mut all = vec!["new"];
    all.extend(args);
    office.start(&mut office.command_without_credentials(&all)).wait()
}

fn read(office: &TestCli, path: &str) -> String {
    std::fs::read_to_string(office.path(path)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sheet_of_a_campaign_becomes_a_batch_that_plans_and_runs_without_an_edit() {
    let office = TestCli::new(1).await;
    office.write("Spring Campaign.csv", CAMPAIGN);
    let args = ["--sheet", "Spring Campaign.csv", "--template", "presenter"];
    let created = run_new(&office, &args);
    assert_eq!(created.code, Some(0), "{created:?}");
    insta::assert_snapshot!(created.stderr, @r"
    Sheet: 4 rows, headings in row 2
    Key, which identifies a row: column Product No.
    headline: column Product
    sku: column Product No.
    Language en: column Script EN
    Language de: column Script DE
    Skipped: rows whose Status is On hold
    Unused columns: Price, Launch date, Owner
    Created templates/presenter.json.hbs
    Created jobs/spring-campaign.toml (the batch file; edit it to change these choices)
    Next:
    ");
    assert_eq!(created.stdout, "callsheet plan jobs/spring-campaign.toml\n");
    insta::assert_snapshot!("batch-file", read(&office, "jobs/spring-campaign.toml"));
    let planned = office.run(&["plan", "spring-campaign", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    insta::assert_snapshot!(planned.stdout, @"
    spring-campaign: 5 videos (3 rows): 5 to render
    3 videos skipped
      row 5 BAG-207/de: `Script DE` is empty
      row 6 HAT-003/en, HAT-003/de: `Status` is `On hold`
    16 s of speech; rendering takes 60 s to 10 min; about 5 credits (1 per started minute, at least 1 per video)
    ");
    let again = run_new(&office, &args);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert_eq!(
        again.stderr,
        "error: `jobs/spring-campaign.toml` exists: give another name: callsheet new NAME --sheet 'Spring Campaign.csv'\n"
    );
    let ran = office.run(&["run", "spring-campaign", "--sandbox", "--speed", "3000"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(office.path("jobs/out/spring-campaign-rehearsal/TEA-001-en.mp4").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn uncertain_sheet_is_refused_without_a_terminal_with_the_options_that_decide() {
    let office = TestCli::new(1).await;
    let text = "A text that is long enough to be spoken by an avatar";
    office.write(
        "odd.csv",
        &format!("Thing,Spot,Status\nTea,{text},Legal\nMug,{text} again,Ready\n"),
    );
    let refused = run_new(&office, &["--sheet", "odd.csv"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    insta::assert_snapshot!(refused.stderr, @r"
    error: 4 questions about the sheet. Answer with these options, which show the guesses, or take all guesses with --yes:
      Which column identifies a row? No two rows may have the same value, and it must not change later
          --key Thing
      Which column is the script, the text that is spoken?
          --column script=Spot
      In which language are the scripts? The sheet has no column for it; a code such as en, de or ko
          --set language=en
      Which values of `Status` mean that a row gets no video? Rows with each: Legal (1), Ready (1)
          --skip Status=Legal, or --no-skip
    ");
    assert!(!office.path("jobs").exists() && !office.path("templates").exists());

    let accepted = run_new(&office, &["one", "--sheet", "odd.csv", "--yes"]);
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    let planned = office.run(&["plan", "one", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.stdout.contains("1 video skipped"), "a status that is not known: {planned:?}");

    let options = ["--key", "thing", "--column", "script=Spot", "--no-skip", "--set"];
    let options = [&["two", "--sheet", "odd.csv"], &options[..], &["language=de"]].concat();
    let decided = run_new(&office, &options);
    assert_eq!(decided.code, Some(0), "{decided:?}");
    let planned = office.run(&["plan", "two", "--offline"]);
    assert!(planned.stdout.contains("2 to render"), "{planned:?}");

    let unknown = run_new(&office, &["three", "--sheet", "odd.csv", "--yes", "--key", "Thnig"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert_eq!(unknown.stderr, "error: there is no column `Thnig`: did you mean `Thing`?\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_each_question_is_asked_and_its_answer_is_written() {
    let office = TestCli::new(1).await;
    let text = "A text that is long enough to be spoken by an avatar";
    office.write(
        "odd.csv",
        &format!("Thing,Spot,Memo\nTea,{text},{text} 2\nMug,{text} 3,{text} 4\n"),
    );
    let mut command = TerminalSession::command(&office, "new --sheet odd.csv");
    let mut terminal = TerminalSession::spawn(&mut command);
    terminal.wait_for_text("Which column identifies a row?");
    terminal.answer("1");
    terminal.wait_for_text("Which column is the script, the text that is spoken?");
    terminal.answer("Spot");
    terminal.wait_for_text("In which language are the scripts?");
    terminal.wait_for_text("Answer [en]: ");
    terminal.answer("klingon");
    terminal.wait_for_text("`klingon` is no code of a language, such as en, de or ko");
    let ended = terminal.answer_and_wait("German");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let written = read(&office, "jobs/odd.toml");
    assert!(written.contains("columns = { script = \"Spot\", sku = \"Thing\" }"), "{written}");
    assert!(written.contains("defaults = { language = \"de\" }"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn language_that_no_column_names_is_guessed_only_with_yes() {
    let office = TestCli::new(1).await;
    office.write("p.csv", "sku,script\nA1,Our first spring harvest has arrived\n");
    let refused = run_new(&office, &["--sheet", "p.csv"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--set language=en"), "{refused:?}");
    let accepted = run_new(&office, &["--sheet", "p.csv", "--yes"]);
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    let guess = "language: en (a guess: no column names it); change `defaults` in the batch file";
    assert!(accepted.stderr.contains(guess), "{accepted:?}");
    assert!(read(&office, "jobs/p.toml").contains("defaults = { language = \"en\" }"));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_of_a_sheet_is_reported_as_plan_reports_it_and_nothing_is_written() {
    let office = TestCli::new(1).await;
    let batch = |name: &str| {
        format!("name = 'p'\nsheet = '../{name}'\ntemplate = '../t.json.hbs'\nkey = 'key'\n")
    };
    for (name, text) in [
        ("open.csv", "key,script\nA1,Our first harvest\nA2,\"It holds 400 ml\nA3,One bag\n"),
        ("stray.csv", "key,script\nA1,\"Our first\" harvest\nA2,\"It holds\nA3,\"One bag\n"),
    ] {
        office.write(name, text);
        let refused = run_new(&office, &["--sheet", name, "--yes"]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(!office.path("jobs/open.toml").exists() && !office.path("templates").exists());
        std::fs::create_dir_all(office.path("jobs")).unwrap();
        office.write("jobs/x.toml", &batch(name));
        let planned = office.run(&["plan", "jobs/x.toml", "--offline"]);
        std::fs::remove_dir_all(office.path("jobs")).unwrap();
        assert_eq!(planned.code, Some(4), "{planned:?}");
        let mut errors =
            refused.stderr.split("\nerror: ").map(|part| part.trim_start_matches("error: "));
        assert!(
            errors.all(|error| planned.stderr.contains(error.trim())),
            "{refused:?} {planned:?}"
        );
        assert!(refused.stderr.contains("column B `script`: "), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_is_written_anywhere_and_runs() {
    let office = TestCli::new(1).await;
    let written = run_new(&office, &["--demo"]);
    assert_eq!(written.code, Some(0), "{written:?}");
    assert_eq!(written.stdout, "callsheet run jobs/demo.toml --sandbox\n");
    let planned = office.run(&["plan", "demo", "--sandbox"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.stdout.contains("12 to render"), "{planned:?}");
    assert_eq!(run_new(&office, &["--demo"]).code, Some(2), "nothing is overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn sheet_given_instead_of_a_batch_file_leads_to_its_batch_or_to_new() {
    let office = TestCli::new(1).await;
    office.write("My products.csv", "id,script\n1,Hello\n");
    std::fs::write(office.path("products.xlsx"), b"PK\x03\x04\xff\xff").unwrap();
    for (given, want) in [
        ("s.csv", "give the batch that reads it: `promo`"),
        ("My products.csv", "`callsheet new --sheet 'My products.csv'` creates a batch file"),
        ("products.xlsx", "`callsheet new --sheet products.xlsx` creates a batch file"),
    ] {
        for command in ["plan", "run"] {
            let refused = office.run(&[command, given]);
            assert_eq!(refused.code, Some(4), "{refused:?}");
            assert!(refused.stderr.contains("this is a sheet, not a batch file"), "{refused:?}");
            let shown = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(shown.contains(want), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_of_the_gallery_renders_a_sheet_with_and_without_optional_cells() {
    let office = TestCli::new(1).await;
    let script = "Our first spring harvest has arrived, light and floral. ".repeat(7);
    office.write(
        "p.csv",
        &format!(
            "SKU,Title,Subtitle,Script,Price,Image,Language\n\
             A1,Tea,Light,\"{script}\",4.9,https://example.org/tea.png,en\n\
             A2,,,\"{script}\",,https://example.org/mug.png,\n"
        ),
    );
    for template in GALLERY {
        let args = [template.name, "--sheet", "p.csv", "--template", template.name];
        let options = ["--set", "logo=https://example.org/logo.png", "--set", "currency=EUR"];
        let created = run_new(&office, &[&args[..], &options[..]].concat());
        assert_eq!(created.code, Some(0), "{created:?}");
        let ran = office.run(&["run", template.name, "--sandbox", "--speed", "3000"]);
        assert_eq!(ran.code, Some(0), "{}: {ran:?}", template.name);
        let shown = office.run(&["preview", template.name, "--row", "2"]);
        let has_price = ["product", "portrait"].contains(&template.name);
        assert_eq!(shown.stdout.contains("€4.90"), has_price, "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worksheet_with_the_table_is_found_behind_others() {
    let office = TestCli::new(1).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sheets/worksheet-named.xlsx");
    std::fs::copy(path, office.path("book.xlsx")).unwrap();
    let created = run_new(&office, &["--sheet", "book.xlsx", "--yes"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    let planned = office.run(&["plan", "book", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?} {}", read(&office, "jobs/book.toml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn project_of_the_account_becomes_a_template() {
    let office = TestCli::new(1).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let shown = office.run(&["show", "promo", "k000", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let id = shown["project_id"].as_str().unwrap().to_owned();
    let args = ["pull", &id, "-o", "templates/pulled.json.hbs", "--batch", "b.toml"];
    let pulled = office.run(&args);
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
    assert!(read(&office, "templates/pulled.json.hbs").contains("{{script}}"), "{pulled:?}");
    assert_eq!(office.run(&args).code, Some(2), "nothing is overwritten");
    let missing = office.run(&["pull", "0123456789", "-o", "x.hbs", "--batch", "b.toml"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");
    let batch = read(&office, "b.toml");
    let batch =
        batch.replace("t.json.hbs", "templates/pulled.json.hbs").replace("'promo'", "'two'");
    office.write("two.toml", &batch.replace("'out'", "'out-two'"));
    let ran = office.run(&["run", "two.toml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
