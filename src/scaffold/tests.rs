//! Sheets as teams have them, and what is derived from each.

use crate::batch;
use crate::scaffold::*;
use crate::sheet::{SheetPreview, SheetRow};
use crate::template::{PartialFiles, SceneTemplate};

fn preview(lines: &[&str]) -> SheetPreview {
    let row = |(line, text): (usize, &&str)| SheetRow {
        number: line as u64 + 1,
        cells: text.split('|').map(str::to_owned).collect(),
    };
    let rows = lines.iter().enumerate().map(row).collect();
    SheetPreview { worksheet: None, delimiter: None, rows, is_complete: true, damage: Vec::new() }
}

fn presenter() -> SceneTemplate {
    let source = find_gallery_template("presenter").unwrap().source;
    SceneTemplate::parse("presenter", source, &PartialFiles::default()).unwrap()
}

/// Returns the settings of the batch file, without comments, and the questions.
fn propose(lines: &[&str], answers: &SetupAnswers) -> (String, Vec<SetupQuestion>) {
    let proposal = propose_batch(&preview(lines), &presenter(), answers).unwrap();
    let name = "spring".parse().unwrap();
    let places = DraftPlaces {
        name: &name,
        batch_file: "jobs/spring.toml",
        sheet: "spring.csv",
        template: "../templates/presenter.json.hbs",
    };
    let text = proposal.draft.to_text(&places);
    batch::parse(std::path::Path::new("jobs/spring.toml"), text.clone()).unwrap();
    let (settings, _) = text.split_once("\n[studio]").unwrap();
    let is_setting = |line: &&str| {
        !line.is_empty()
            && !["#", "name = \"spring", "sheet", "template"]
                .iter()
                .any(|begin| line.starts_with(begin))
    };
    let settings: Vec<&str> = settings.lines().filter(is_setting).collect();
    (settings.join("\n"), proposal.questions)
}

const LONG: &str = "A text that is long enough to be spoken by an avatar";

#[test]
fn sheets_as_teams_have_them_need_no_answer() {
    let other = LONG.replace('A', "Another");
    for (lines, want) in [
        (
            vec!["sku|script", &format!("1|{LONG}"), &format!("2|{other}")],
            "key = \"sku\"\ndefaults = { language = \"en\" }\nfile = \"{{sku}}.mp4\"",
        ),
        (
            vec![
                "Spring campaign|||||||",
                "Status 3 March|||||||",
                "Art.-Nr.|Produkt|Skript DE|Skript EN|Preis|Status|Bild|Notiz",
                &format!("A1|Tee|{LONG}|{other}|4,90 €|freigegeben|https://x.org/a.png|"),
                &format!("A2|Tasse|{LONG}|{other}|9,90 €|Entwurf|https://x.org/b.png|?"),
            ],
            "header_row = 3\nskip = { column = \"Status\", values = [\"Entwurf\"] }\nkey = \"Art.-Nr.\"\n\
             columns = { headline = \"Produkt\", sku = \"Art.-Nr.\" }\n\
             file = \"{{sku}}-{{variant}}.mp4\"\n[[variants]]\nname = \"de\"\n\
             columns = { script = \"Skript DE\" }\nvalues = { language = \"de\" }\nneeds = \"script\"\n\
             [[variants]]\nname = \"en\"\ncolumns = { script = \"Skript EN\" }\n\
             values = { language = \"en\" }\nneeds = \"script\"",
        ),
        (
            vec![
                "Product code|Language|Title|Voice-over",
                &format!("A1|en|Tea|{LONG}"),
                &format!("A1|ko|차|{other}"),
            ],
            "key = [\"Product code\", \"Language\"]\n\
             columns = { headline = \"Title\", script = \"Voice-over\", sku = \"Product code\" }\n\
             file = \"{{sku}}-{{language}}.mp4\"",
        ),
        (
            vec!["ID|English|Deutsch", &format!("1|{LONG}|{other}"), &format!("2|{LONG}|{other}")],
            "key = \"ID\"\ncolumns = { sku = \"ID\" }\nfile = \"{{sku}}-{{variant}}.mp4\"\n[[variants]]\n\
             name = \"en\"\ncolumns = { script = \"English\" }\nvalues = { language = \"en\" }\n\
             needs = \"script\"\n[[variants]]\nname = \"de\"\ncolumns = { script = \"Deutsch\" }\n\
             values = { language = \"de\" }\nneeds = \"script\"",
        ),
        (
            vec![
                "SKU|Headline EN|Headline FR|Script EN|Script FR|Skip",
                &format!("1|Tea|Thé|{LONG}|{other}|"),
                &format!("2|Mug|Tasse|{LONG}|{other}|x"),
            ],
            "skip = \"Skip\"\nkey = \"SKU\"\nfile = \"{{sku}}-{{variant}}.mp4\"\n[[variants]]\nname = \"en\"\n\
             columns = { headline = \"Headline EN\", script = \"Script EN\" }\n\
             values = { language = \"en\" }\nneeds = \"script\"\n[[variants]]\nname = \"fr\"\n\
             columns = { headline = \"Headline FR\", script = \"Script FR\" }\n\
             values = { language = \"fr\" }\nneeds = \"script\"",
        ),
    ] {
        let (settings, mut questions) = propose(&lines, &SetupAnswers::default());
        assert_eq!(settings, want, "{lines:?}");
        // The language is asked for wherever the sheet does not name it.
        let language = QuestionSubject::Value("language".to_owned());
        questions.retain(|question| question.subject != language || !want.contains("defaults"));
        assert_eq!(questions, [], "{lines:?}");
    }
}

#[test]
fn uncertain_columns_are_questions_whose_answers_decide() {
    let rows = [format!("Tea|{LONG}|{LONG} 1|Legal"), format!("Mug|{LONG}|{LONG} 2|Ready")];
    let lines = ["Product|Briefing|Spot|Status", &rows[0], &rows[1]];
    let (_, questions) = propose(&lines, &SetupAnswers::default());
    let options: Vec<String> = questions.iter().map(SetupQuestion::option).collect();
    assert_eq!(
        options,
        [
            "--key Product",
            "--column script=Spot",
            "--set language=en",
            "--skip Status=Legal, or --no-skip"
        ]
    );
    let mut answers = SetupAnswers::default();
    for (question, answer) in questions.iter().zip(["product", "2", "Deutsch", ""]) {
        answers.answer(question, answer).unwrap();
    }
    let (settings, questions) = propose(&lines, &answers);
    assert_eq!(questions, []);
    assert_eq!(
        settings,
        "key = \"Product\"\n\
         columns = { headline = \"Product\", script = \"Briefing\", sku = \"Product\" }\n\
         defaults = { language = \"de\" }\n\
         file = \"{{sku}}.mp4\""
    );
}

#[test]
fn answer_that_is_no_choice_is_refused_with_the_choices() {
    let lines = ["Product|Spot", &format!("Tea|{LONG}")];
    let (_, questions) = propose(&lines, &SetupAnswers::default());
    let refused = SetupAnswers::default().answer(&questions[0], "Colour");
    assert_eq!(refused, Err("`Colour` is none of: Product, Spot".to_owned()));
}

#[test]
fn headings_with_any_character_make_a_batch_file_that_parses() {
    for heading in ["a\"b", "a\\b", "a]]b", "줄 1", "a\nb", "{{x}}", "'"] {
        let lines = [format!("Key {heading}|Script"), format!("1|{LONG}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        propose(&lines, &SetupAnswers::default());
    }
}

#[test]
fn price_with_its_currency_in_the_heading_needs_no_answer() {
    let source = find_gallery_template("product").unwrap().source;
    let product = SceneTemplate::parse("product", source, &PartialFiles::default()).unwrap();
    for (heading, currency) in
        [("Price (EUR)", Some("EUR")), ("Preis €", Some("€")), ("Sale price", None)]
    {
        let lines = [format!("SKU|{heading}|Script"), format!("1|4.90|{LONG}")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let proposal = propose_batch(&preview(&lines), &product, &SetupAnswers::default()).unwrap();
        assert_eq!(proposal.used_columns.get("price").map(String::as_str), Some(heading));
        let stated = proposal.draft.defaults.get("currency").map(String::as_str);
        assert_eq!(stated, currency, "{heading}");
        let mut asked = proposal.questions.iter().map(|question| &question.text);
        assert_eq!(asked.any(|text| text.contains("Currency")), currency.is_none(), "{heading}");
    }
}

#[test]
fn batch_file_names_also_the_columns_that_need_no_setting() {
    let source = find_gallery_template("product").unwrap().source;
    let product = SceneTemplate::parse("product", source, &PartialFiles::default()).unwrap();
    let lines = ["SKU|Product|Script|Price", &format!("T-1|Tea|{LONG}|4.90 €")];
    let proposal = propose_batch(&preview(&lines), &product, &SetupAnswers::default()).unwrap();
    let name = "tea".parse().unwrap();
    let places = DraftPlaces { name: &name, batch_file: "b", sheet: "s", template: "t" };
    let text = proposal.draft.to_text(&places);
    let matching = "# used as well, without a setting: price = Price, script = Script, sku = SKU\n";
    assert!(text.contains(matching), "{text}");
}

#[test]
fn no_guess_gives_one_column_two_names_except_that_a_title_may_be_the_key() {
    let texts = [format!("A1|Tea|{LONG}"), format!("A1|Mug|{LONG} 2")];
    let lines = ["Art.-Nr.|Product|Script", &texts[0], &texts[1]];
    let proposal = propose_batch(&preview(&lines), &presenter(), &SetupAnswers::default()).unwrap();
    let used = |name: &str| proposal.used_columns.get(name).map(String::as_str);
    assert_eq!(proposal.draft.key, ["Product"]);
    assert_eq!((used("sku"), used("headline")), (Some("Art.-Nr."), Some("Product")));
    let lines = ["Product|Script", &format!("Tea|{LONG}"), &format!("Mug|{LONG} 2")];
    let proposal = propose_batch(&preview(&lines), &presenter(), &SetupAnswers::default()).unwrap();
    let used = |name: &str| proposal.used_columns.get(name).map(String::as_str);
    assert_eq!((used("sku"), used("headline")), (Some("Product"), Some("Product")));
    let columns = proposal.draft.columns.iter().map(|(name, heading)| format!("{name}={heading}"));
    assert_eq!(columns.collect::<Vec<_>>(), ["headline=Product", "sku=Product"]);
    assert_eq!(proposal.draft.video_file, "{{sku}}.mp4");
}
