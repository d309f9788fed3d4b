//! Stray drafts: found by their tag, deleted on a word, and nothing else with them.

use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, Stray};
use callsheet::sandbox::{self, Faults, Include};
use callsheet::studio::{Client, Credentials, ExportRequest, ProjectId, Settings};
use url::Url;

use super::answered::Terminal;
use crate::support::binary::Office;

async fn strays(office: &Office) -> Vec<Stray> {
    let ledger = Ledger::open(&office.path("callsheet.db"), Durability::PowerLoss).await.unwrap();
    let batch = ledger.batch("night").await.unwrap().id;
    let strays = ledger.strays(batch).await.unwrap();
    ledger.close().await;
    strays
}

/// Drafts whose rows were taken out: no credits for their exports, and then a person's word.
async fn office_with_drafts(change: impl FnOnce(&mut sandbox::Settings)) -> Office {
    let office = Office::with(6, "", |settings| {
        settings.faults.add("402=export:always").unwrap();
        change(settings);
    })
    .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(7));
    assert_eq!(office.run(&["cancel", "night", "--yes"]).code, Some(0));
    assert!(!strays(&office).await.is_empty());
    office.sandbox.set_faults(Faults::default());
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_whose_answer_was_lost_is_found_by_its_tag_and_deleted_on_a_persons_word() {
    let office = Office::with(3, "", |settings| {
        settings.faults.add("lost-answer=create:1").unwrap();
        settings.switches.list.include = Include::All;
    })
    .await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let listed = office.run(&["sweep", "night"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(listed.out.lines().count(), 1, "{listed:?}");
    assert!(listed.err.contains("say --yes"), "{listed:?}");
    assert_eq!(office.sandbox.counters().of("delete"), 0);

    let swept = office.run(&["sweep", "night", "--yes"]);
    assert_eq!((swept.code, swept.out.ends_with("1 of 1 draft deleted\n")), (Some(0), true));
    assert_eq!(office.run(&["sweep", "night", "--yes"]).out, "no stray drafts to delete\n");
    assert_eq!(office.sandbox.counters().of("delete"), 1);
    // What was rendered and fetched is all still there.
    assert_eq!((office.sandbox.renders(), strays(&office).await.len()), (3, 0));
    assert_eq!(office.assert_promise(3), ["done", "done", "done"]);
}

/// A client of AI Studios beside Callsheet, as a colleague's script is one.
fn colleague(office: &Office) -> Client {
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let settings = Settings::new(Url::parse(&office.sandbox.base_url()).unwrap(), credentials);
    Client::new(settings, Clock::real()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_somebody_exported_is_never_deleted() {
    const NEVER: f64 = 1e9;
    for (lag_s, is_listed) in [(NEVER, false), (0.0, true)] {
        let office = office_with_drafts(|settings| settings.switches.list.lag_s = lag_s).await;
        let known = strays(&office).await;
        let project = ProjectId::parse(known[0].project_id.as_deref().unwrap()).unwrap();
        let client = colleague(&office);
        let export = ExportRequest {
            project: project.clone(),
            workspace_id: None,
            resolution: None,
            webhook_url: None,
        };
        client.export(&export).await;
        assert_eq!(office.sandbox.renders(), 1);
        // Only a render that is finished is in the list.
        while is_listed && client.list().await.unwrap().items.is_empty() {}
        let swept = office.run(&["sweep", "night", "--yes"]);
        assert_eq!(swept.code, Some(0), "{swept:?}");
        let stays = format!("{project} stays: it may have been exported");
        assert!(swept.err.contains(&stays), "{swept:?}");
        let left: Vec<_> =
            strays(&office).await.into_iter().map(|stray| stray.submission).collect();
        assert_eq!(left, [known[0].submission]);
        assert!(client.project(&project).await.is_ok(), "it was deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_lost_its_tag_is_not_ours_to_delete() {
    let office = office_with_drafts(|settings| settings.switches.names.strip_brackets = true).await;
    let known = strays(&office).await.len();
    let swept = office.run(&["sweep", "night", "--yes"]);
    assert_eq!(swept.out, "no stray drafts to delete\n", "{swept:?}");
    assert_eq!(swept.err.matches("does not carry the tag").count(), known, "{swept:?}");
    assert_eq!((office.sandbox.counters().of("delete"), strays(&office).await.len()), (0, known));
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_whose_deletion_was_not_answered_are_looked_for_by_the_next_sweep() {
    let office = office_with_drafts(|_| ()).await;
    let mut faults = Faults::default();
    faults.add("lost-answer=delete:1").unwrap();
    office.sandbox.set_faults(faults);
    let lost = office.run(&["sweep", "night", "--yes"]);
    assert_eq!(lost.code, Some(5), "{lost:?}");
    assert!(!strays(&office).await.is_empty());
    let again = office.run(&["sweep", "night", "--yes"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "no stray drafts to delete\n"));
    assert_eq!((strays(&office).await.len(), office.sandbox.counters().of("delete")), (0, 1));
}

/// Of a count that is not right nobody knows which ones are meant: each is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_told_of_fewer_deletions_looks_for_each_draft() {
    let office = office_with_drafts(|_| ()).await;
    let known = strays(&office).await;
    let mut sweep = Terminal::begin(&office, "sweep night");
    sweep.until("[y/N]");
    // Somebody tidies up on the website while the question stands.
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let settings = Settings::new(Url::parse(&office.sandbox.base_url()).unwrap(), credentials);
    let client = Client::new(settings, Clock::real()).unwrap();
    let first = ProjectId::parse(known[0].project_id.as_deref().unwrap()).unwrap();
    assert_eq!(client.delete(&[first]).await, Ok(1));
    let swept = sweep.answer("y");
    assert_eq!(swept.code, Some(5), "{swept:?}");
    let words = format!("{} of {} drafts deleted", known.len() - 1, known.len());
    assert!(swept.out.contains(&words), "{swept:?}");
    assert_eq!(strays(&office).await.len(), 0, "they are gone, and that was seen");
}
