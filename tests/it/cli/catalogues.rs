//! The account's catalogue: listed, cached, and compared with a batch.

use callsheet::clock::Clock;
use callsheet::ledger::{CatalogKind, Durability, Ledger};
use callsheet::sandbox::ListResponseShape;
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::test_cli::{TEMPLATE, TestCli};

const CATALOG_COMMANDS: [&str; 3] = ["models", "workspaces", "templates"];

/// Returns the number of requests to AI Studios.
fn request_count(office: &TestCli) -> u64 {
    office.sandbox.counters().requests.values().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn account_catalogues_are_listed_and_cached() {
    let mut listed = Vec::new();
    for shape in [
        ListResponseShape::Bare,
        ListResponseShape::DataArray,
        ListResponseShape::DataKeyed,
        ListResponseShape::NumericObject,
    ] {
        let office = TestCli::with_settings(1, "", |settings| {
            let catalogue = &mut settings.switches.catalogue;
            catalogue.models = shape;
            catalogue.workspaces = shape;
            catalogue.templates_business = shape;
            catalogue.templates_automation = shape;
        })
        .await;
        let mut shown = String::new();
        for command in CATALOG_COMMANDS {
            let early = office.run(&[command, "b.toml", "--offline"]);
            assert_eq!(early.code, Some(2), "{early:?}");
            let asked = office.run(&[command, "b.toml"]);
            assert_eq!(asked.code, Some(0), "{asked:?}");
            shown.push_str(&asked.stdout);
            assert!(asked.stderr.contains("retrieved now"), "{asked:?}");
            // Without a response, the cached list is still known.
            let again = office
                .start(&mut office.command_without_credentials(&[command, "b.toml", "--offline"]))
                .wait();
            assert_eq!((again.code, &again.stdout), (Some(0), &asked.stdout), "{again:?}");
        }
        listed.push(shown);
    }
    assert!(listed.iter().all(|shown| *shown == listed[0]), "{listed:#?}");
    insta::assert_snapshot!(listed[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogues_as_json_are_complete_also_without_clothes() {
    let office = TestCli::new(1).await;
    let document = |office: &TestCli, command| -> Value {
        let ended = office.run(&[command, "b.toml", "--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let models = document(&office, "models");
    assert_eq!(models["models"][0]["clothes"][1]["id"], "BG00002321");
    assert_eq!(models["models"][0]["kind"], "studio");
    assert!(models["heard"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(document(&office, "workspaces")["workspaces"][1]["name"], "Marketing");
    assert_eq!(document(&office, "templates")["templates"].as_array().unwrap().len(), 4);

    let bare =
        TestCli::with_settings(1, "", |settings| settings.switches.catalogue.model_page = false)
            .await;
    let models = document(&bare, "models");
    assert_eq!(models["models"].as_array().unwrap().len(), 4);
    assert_eq!(models["models"][0]["clothes"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_missing_from_the_account_are_warnings_with_suggestions() {
    let office =
        TestCli::with_settings(3, "workspace_id = '66f0a1b2c3d4e5f60718293e'", |_| ()).await;
    let template = TEMPLATE.replace("\"M1\"", "\"{{model}}\"").replace("B1", "BG00002399");
    office.write("t.json.hbs", &template);
    office.write(
        "s.csv",
        "key,model,script\nk000,M000045058,Hi\nk001,M000045085,Ho\nk002,Hannah,He\n",
    );
    // Without a cached list and offline there is no warning.
    let offline = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!((offline.code, request_count(&office)), (Some(0), 0), "{offline:?}");
    assert!(!offline.stderr.contains("warning"), "{offline:?}");

    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let told = &planned.stderr[planned.stderr.find("warning: ").unwrap()..];
    insta::assert_snapshot!(told, @"
    warning: row 4: `Hannah` is not among the account's models
      help: did you mean `M000004017` Hannah (Blazer)?
    warning: row 3: `M000045085` is not among the account's models
      help: did you mean `M000045058` Jonathan (Suit)?
    warning: row 2: `BG00002399` is not among the clothes of `M000045058` Jonathan (Suit)
      help: did you mean `BG00002320` Suit?
    warning: the sheet: `66f0a1b2c3d4e5f60718293e` is not among the account's workspaces
      help: did you mean `66f0a1b2c3d4e5f60718293c` Team?
    ");
    let asked = request_count(&office);
    let again = office.run(&["plan", "b.toml", "--json"]);
    let plan: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(plan["warnings"].as_array().unwrap().len(), told.lines().count() / 2, "{plan}");
    assert_eq!(request_count(&office), asked, "it was asked again within the day");

    let ran = office.run(&["run", "b.toml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("`M000045085` is not among the account's models"), "{ran:?}");
    assert_eq!(office.sandbox.render_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_succeeds_without_a_response_of_the_account() {
    let office = TestCli::with_settings(2, "", |settings| {
        settings.faults.add("503=models:always").unwrap();
    })
    .await;
    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.stderr.contains("the account's models are unavailable"), "{planned:?}");
    let without = office.start(&mut office.command_without_credentials(&["plan", "b.toml"])).wait();
    assert_eq!(without.code, Some(0), "{without:?}");
    assert!(!without.stderr.contains("unavailable"), "{without:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cached_catalogue_is_refreshed_or_shows_its_age() {
    let office = TestCli::new(1).await;
    let ledger = Ledger::open(&office.path("callsheet.db"), Durability::PowerLoss).await.unwrap();
    let (shop, long_ago) = (office.sandbox.base_url(), SignedDuration::from_hours(72));
    let then = Clock::real().now() - long_ago;
    ledger.save_catalog(&shop, CatalogKind::Models, &[], then).await.unwrap();
    ledger.close().await;
    for args in [["plan", "b.toml", "--offline"], ["run", "b.toml", "--yes"]] {
        let ended = office.run(&args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("warning: row 2: `M1` is not among"), "{ended:?}");
        assert!(ended.stderr.contains("is 3 days old"), "{ended:?}");
        assert_eq!(office.sandbox.counters().request_count("models"), 0);
    }
    let asked = office.run(&["plan", "b.toml"]);
    assert_eq!(office.sandbox.counters().request_count("models"), 1, "{asked:?}");
    assert!(!asked.stderr.contains("heard"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_missing_from_the_account_is_reported_before_the_run() {
    let office = TestCli::with_settings(2, "request = 'template'", |_| ()).await;
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
    let warnings: Vec<_> = planned.stderr.lines().filter(|line| line.contains("warning")).collect();
    insta::assert_snapshot!(
        warnings.join("\n"),
        @"warning: row 3: `655c744d2b4d3b4051400bff` is not among the account's templates"
    );
    assert_eq!(office.sandbox.counters().request_count("template"), 0);
}
