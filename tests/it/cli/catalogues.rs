//! What the account offers: listed, remembered, and held against a batch.

use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, Shelf};
use callsheet::sandbox::Shape;
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::binary::{Office, TEMPLATE};

const COMMANDS: [&str; 3] = ["models", "workspaces", "templates"];

/// How many requests AI Studios has seen.
fn requests(office: &Office) -> u64 {
    office.sandbox.counters().requests.values().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_catalogues_are_listed_alike_in_every_shape_and_remembered() {
    let mut listed = Vec::new();
    for shape in [Shape::Bare, Shape::DataArray, Shape::DataKeyed, Shape::NumericObject] {
        let office = Office::with(1, "", |settings| {
            let catalogue = &mut settings.switches.catalogue;
            catalogue.models = shape;
            catalogue.workspaces = shape;
            catalogue.templates_business = shape;
            catalogue.templates_automation = shape;
        })
        .await;
        let mut shown = String::new();
        for command in COMMANDS {
            let early = office.run(&[command, "b.toml", "--offline"]);
            assert_eq!(early.code, Some(2), "{early:?}");
            let asked = office.run(&[command, "b.toml"]);
            assert_eq!(asked.code, Some(0), "{asked:?}");
            shown.push_str(&asked.out);
            assert!(asked.err.contains("heard now"), "{asked:?}");
            // With nobody there to ask, what was heard is still known.
            let again = office.start(&mut office.bare(&[command, "b.toml", "--offline"])).end();
            assert_eq!((again.code, &again.out), (Some(0), &asked.out), "{again:?}");
        }
        listed.push(shown);
    }
    assert!(listed.iter().all(|shown| *shown == listed[0]), "{listed:#?}");
    insta::assert_snapshot!(listed[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_the_catalogues_whole_and_a_missing_page_of_clothes_is_no_trouble() {
    let office = Office::new(1).await;
    let document = |office: &Office, command| -> Value {
        let ended = office.run(&[command, "b.toml", "--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    };
    let models = document(&office, "models");
    assert_eq!(models["models"][0]["clothes"][1]["id"], "BG00002321");
    assert_eq!(models["models"][0]["kind"], "studio");
    assert!(models["heard"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(document(&office, "workspaces")["workspaces"][1]["name"], "Marketing");
    assert_eq!(document(&office, "templates")["templates"].as_array().unwrap().len(), 4);

    let bare = Office::with(1, "", |settings| settings.switches.catalogue.model_page = false).await;
    let models = document(&bare, "models");
    assert_eq!(models["models"].as_array().unwrap().len(), 4);
    assert_eq!(models["models"][0]["clothes"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_names_and_the_account_lacks_is_told_with_the_nearest_and_stops_nothing() {
    let office = Office::with(3, "workspace_id = '66f0a1b2c3d4e5f60718293e'", |_| ()).await;
    let template = TEMPLATE.replace("\"M1\"", "\"{{model}}\"").replace("B1", "BG00002399");
    office.write("t.json.hbs", &template);
    office.write(
        "s.csv",
        "key,model,script\nk000,M000045058,Hi\nk001,M000045085,Ho\nk002,Hannah,He\n",
    );
    // Nothing is known yet and nobody may be asked: nothing is said.
    let offline = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!((offline.code, requests(&office)), (Some(0), 0), "{offline:?}");
    assert!(!offline.err.contains("warning"), "{offline:?}");

    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let told = planned.err.split_once("/s)\n").unwrap().1;
    insta::assert_snapshot!(told, @"
    warning: row 4: `Hannah` is not among the account's models
      did you mean `M000004017` Hannah (Blazer)?
    warning: row 3: `M000045085` is not among the account's models
      did you mean `M000045058` Jonathan (Suit)?
    warning: row 2: `BG00002399` is not among the clothes of `M000045058` Jonathan (Suit)
      did you mean `BG00002320` Suit?
    warning: the sheet: `66f0a1b2c3d4e5f60718293e` is not among the account's workspaces
      did you mean `66f0a1b2c3d4e5f60718293c` Team?
    ");
    let asked = requests(&office);
    let again = office.run(&["plan", "b.toml", "--json"]);
    let plan: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(plan["warnings"].as_array().unwrap().len(), told.lines().count() / 2, "{plan}");
    assert_eq!(requests(&office), asked, "it was asked again within the day");

    let ran = office.run(&["run", "b.toml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("`M000045085` is not among the account's models"), "{ran:?}");
    assert_eq!(office.sandbox.renders(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_asked_hinders_no_plan() {
    let office = Office::with(2, "", |settings| {
        settings.faults.add("503=models:always").unwrap();
    })
    .await;
    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.err.contains("models could not be asked for"), "{planned:?}");
    let without = office.start(&mut office.bare(&["plan", "b.toml"])).end();
    assert_eq!(without.code, Some(0), "{without:?}");
    assert!(!without.err.contains("could not be asked"), "{without:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_memory_is_refreshed_where_that_can_be_done_and_else_says_its_age() {
    let office = Office::new(1).await;
    let ledger = Ledger::open(&office.path("callsheet.db"), Durability::PowerLoss).await.unwrap();
    let (shop, long_ago) = (office.sandbox.base_url(), SignedDuration::from_hours(72));
    let then = Clock::real().now() - long_ago;
    ledger.keep_catalogue((&shop, Shelf::Models), &[], then).await.unwrap();
    ledger.close().await;
    for args in [["plan", "b.toml", "--offline"], ["run", "b.toml", "--yes"]] {
        let ended = office.run(&args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains("warning: row 2: `M1` is not among"), "{ended:?}");
        assert!(ended.err.contains("was heard 3 days ago"), "{ended:?}");
        assert_eq!(office.sandbox.counters().of("models"), 0);
    }
    let asked = office.run(&["plan", "b.toml"]);
    assert_eq!(office.sandbox.counters().of("models"), 1, "{asked:?}");
    assert!(!asked.err.contains("heard"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_the_account_lacks_is_told_before_anything_is_asked_of_it() {
    let office = Office::with(2, "request = 'template'", |_| ()).await;
    office.write(
        "t.json.hbs",
        r#"{"templateId": "{{template}}", "name": "{{key}}", "updates": {"value": [
            {"sceneIdx": 0, "type": "aiModel", "values": {"script": "{{script}}"}}]}}"#,
    );
    office.write(
        "s.csv",
        "key,template,script\nk000,655c744d2b4d3b4051400be0,Hi\nk001,655c744d2b4d3b4051400bff,Ho\n",
    );
    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let warnings: Vec<_> = planned.err.lines().filter(|line| line.contains("warning")).collect();
    insta::assert_snapshot!(
        warnings.join("\n"),
        @"warning: row 3: `655c744d2b4d3b4051400bff` is not among the account's templates"
    );
    assert_eq!(office.sandbox.counters().of("template"), 0);
}
