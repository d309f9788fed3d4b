//! Stray drafts: found by their tag, deleted after confirmation, and nothing else with them.

use callsheet::aistudios::{
    ApiClient, ClientSettings, CreateRequest, Credentials, ExportRequest, ProjectId, SubmitOutcome,
};
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, StrayDraft};
use callsheet::sandbox::{self, FaultRules, ListFilter};
use url::Url;

use crate::support::terminal_session::TerminalSession;
use crate::support::test_cli::{TEMPLATE, TestCli};

async fn stray_drafts(office: &TestCli) -> Vec<StrayDraft> {
    let ledger = Ledger::open(&office.path("callsheet.db"), Durability::PowerLoss).await.unwrap();
    let batch = ledger.batch("promo").await.unwrap().id;
    let strays = ledger.stray_drafts(batch).await.unwrap();
    ledger.close().await;
    strays
}

/// Creates stray drafts: their exports fail without credits, and their rows are cancelled.
async fn cli_with_stray_drafts(change: impl FnOnce(&mut sandbox::SandboxSettings)) -> TestCli {
    let office = TestCli::with_settings(6, "", |settings| {
        settings.faults.add("402=export:always").unwrap();
        change(settings);
    })
    .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(7));
    assert_eq!(office.run(&["cancel", "promo", "--yes"]).code, Some(0));
    assert!(!stray_drafts(&office).await.is_empty());
    office.sandbox.set_faults(FaultRules::default());
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_deletes_a_stray_draft_found_by_its_tag_after_confirmation() {
    let office = TestCli::with_settings(3, "", |settings| {
        settings.faults.add("lost-answer=create:1").unwrap();
        settings.switches.list.include = ListFilter::All;
    })
    .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let listed = office.run(&["sweep", "promo"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
    assert!(listed.stderr.contains("use --yes"), "{listed:?}");
    assert_eq!(office.sandbox.counters().request_count("delete"), 0);

    let swept = office.run(&["sweep", "promo", "--yes"]);
    assert_eq!((swept.code, swept.stdout.ends_with("Deleted 1 of 1 draft\n")), (Some(0), true));
    assert_eq!(office.run(&["sweep", "promo", "--yes"]).stdout, "No stray drafts\n");
    assert_eq!(office.sandbox.counters().request_count("delete"), 1);
    // All rendered and downloaded videos are still there.
    assert_eq!((office.sandbox.render_count(), stray_drafts(&office).await.len()), (3, 0));
    assert_eq!(office.assert_guarantees(3), ["done", "done", "done"]);
}

/// Another client of the account, such as a script.
fn separate_client(office: &TestCli) -> ApiClient {
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let settings =
        ClientSettings::new(Url::parse(&office.sandbox.base_url()).unwrap(), credentials);
    ApiClient::new(settings, Clock::real()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_keeps_an_exported_project() {
    const NEVER: f64 = 1e9;
    for (lag_s, is_listed) in [(NEVER, false), (0.0, true)] {
        let office = cli_with_stray_drafts(|settings| settings.switches.list.lag_s = lag_s).await;
        let known = stray_drafts(&office).await;
        let project = ProjectId::parse(known[0].project_id.as_deref().unwrap()).unwrap();
        let client = separate_client(&office);
        let export = ExportRequest {
            project_id: project.clone(),
            workspace_id: None,
            resolution: None,
            webhook_url: None,
        };
        client.export_project(&export).await;
        assert_eq!(office.sandbox.render_count(), 1);
        // The list contains only finished renders.
        while is_listed && client.list_projects().await.unwrap().projects.is_empty() {}
        let swept = office.run(&["sweep", "promo", "--yes"]);
        assert_eq!(swept.code, Some(0), "{swept:?}");
        let stays = format!("{project} is kept: it may have been exported");
        assert!(swept.stderr.contains(&stays), "{swept:?}");
        let left: Vec<_> =
            stray_drafts(&office).await.into_iter().map(|stray| stray.submission).collect();
        assert_eq!(left, [known[0].submission]);
        assert!(client.fetch_project(&project).await.is_ok(), "it was deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sweep_keeps_a_project_without_its_tag() {
    let office =
        cli_with_stray_drafts(|settings| settings.switches.names.strip_brackets = true).await;
    let known = stray_drafts(&office).await.len();
    let swept = office.run(&["sweep", "promo", "--yes"]);
    assert_eq!(swept.stdout, "No stray drafts\n", "{swept:?}");
    assert_eq!(swept.stderr.matches("no longer has the tag").count(), known, "{swept:?}");
    assert_eq!(
        (office.sandbox.counters().request_count("delete"), stray_drafts(&office).await.len()),
        (0, known)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_sweep_checks_drafts_whose_deletion_had_no_response() {
    let office = cli_with_stray_drafts(|_| ()).await;
    let mut faults = FaultRules::default();
    faults.add("lost-answer=delete:1").unwrap();
    office.sandbox.set_faults(faults);
    let lost = office.run(&["sweep", "promo", "--yes"]);
    assert_eq!(lost.code, Some(5), "{lost:?}");
    assert!(!stray_drafts(&office).await.is_empty());
    let again = office.run(&["sweep", "promo", "--yes"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "No stray drafts\n"));
    assert_eq!(
        (stray_drafts(&office).await.len(), office.sandbox.counters().request_count("delete")),
        (0, 1)
    );
}

/// A wrong number of deletions does not show which drafts remain: each is checked.
#[tokio::test(flavor = "multi_thread")]
async fn sweep_checks_each_draft_if_fewer_deletions_are_reported() {
    let office = cli_with_stray_drafts(|_| ()).await;
    let known = stray_drafts(&office).await;
    let mut sweep = TerminalSession::start(&office, "sweep promo");
    sweep.wait_for_text("[y/N]");
    // A draft is deleted on the website while the question is open.
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let settings =
        ClientSettings::new(Url::parse(&office.sandbox.base_url()).unwrap(), credentials);
    let client = ApiClient::new(settings, Clock::real()).unwrap();
    let first = ProjectId::parse(known[0].project_id.as_deref().unwrap()).unwrap();
    assert_eq!(client.delete_projects(&[first]).await, Ok(1));
    let swept = sweep.answer_and_wait("y");
    assert_eq!(swept.code, Some(5), "{swept:?}");
    let words = format!("Deleted {} of {} drafts", known.len() - 1, known.len());
    assert!(swept.stdout.contains(&words), "{swept:?}");
    assert_eq!(stray_drafts(&office).await.len(), 0, "they are gone, and that was seen");
}

/// A colleague duplicates a lost draft in the editor, which keeps the tag, and works on the copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_duplicated_project_is_not_deleted() {
    let office = TestCli::with_settings(2, "", |settings| {
        settings.faults.add("lost-answer=create:1").unwrap();
        settings.switches.list.include = ListFilter::All;
    })
    .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let listed = office.run(&["sweep", "promo"]);
    let (line, client) = (listed.stdout.lines().next().unwrap(), separate_client(&office));
    let (id, name) = (line.split(' ').next().unwrap(), line.split("`: ").nth(1).unwrap());
    assert!(name.contains("[cs:") && name.ends_with(']'), "{listed:?}");
    let mut copies = Vec::new();
    for name in [format!("Copy of {name}"), name.to_owned()] {
        let scene = TEMPLATE.replace("{{script}}", "Another text.");
        let mut body: serde_json::Value = serde_json::from_str(&scene).unwrap();
        (body["name"], body["isExport"]) = (name.into(), false.into());
        let request = CreateRequest::from_body(body.to_string().into_bytes());
        let created = client.create_project(request).await;
        let SubmitOutcome::Accepted(copy) = created else { panic!("{created:?}") };
        copies.push(copy);
    }
    let swept = office.run(&["sweep", "promo", "--yes"]);
    assert!(swept.stdout.ends_with("Deleted 1 of 1 draft\n"), "{swept:?}");
    for copy in &copies {
        assert!(client.fetch_project(copy).await.is_ok(), "{swept:?}");
    }
    assert!(client.fetch_project(&ProjectId::parse(id).unwrap()).await.is_err());
}
