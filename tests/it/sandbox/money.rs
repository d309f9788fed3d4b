//! Credits, the bill, and the look behind the scenes.

use callsheet::sandbox::*;
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_empty_account_refuses_renders_until_credits_are_topped_up() {
    let sandbox = start_sandbox("", |switches| switches.credit.balance = Some(0.0)).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let draft = visitor.create("A", false).await;
    let (status, answer) = visitor.export(&draft).await;
    assert_eq!((status, &answer["error"]["msg"]), (402, &json!("not enough credit")));
    sandbox.update_switches(|switches| switches.credit.balance = Some(100.0));
    assert_eq!(visitor.export(&draft).await.0, 200);
    sandbox.update_switches(|switches| {
        switches.credit.balance = Some(0.0);
        switches.credit.insufficient = InsufficientCreditPolicy::AcceptThenFail;
    });
    let other = visitor.create("B", true).await;
    assert_eq!(visitor.progress(&other).await["state"], "failed");
}

#[tokio::test]
async fn credits_run_out_after_so_many_renders_when_a_rule_says_so() {
    let sandbox = start_sandbox("402-after=2", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    for _ in 0..5 {
        visitor.create("draft", false).await;
    }
    visitor.create("A", true).await;
    visitor.create("B", true).await;
    let body = json!({"name": "C", "scenes": scenes("Hi")});
    assert_eq!(visitor.post("editor/project", &body).await.0, 402);
    assert_eq!(sandbox.bill().render_count(), 2);
}

#[tokio::test]
async fn a_failed_render_is_given_back_and_the_next_one_is_not_paid_twice() {
    let change = |switches: &mut SandboxSwitches| {
        switches.failure.first = 1;
        switches.credit.charge_at = ChargeAt::Submit;
    };
    let sandbox = start_sandbox("", change).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("A [cs:1]", false).await;
    visitor.export(&id).await;
    assert!(sandbox.bill().credits() >= 1.0);
    sandbox.advance(AFTER_RENDER);
    assert_eq!((sandbox.bill().credits(), sandbox.bill().lines[0].failed), (0.0, 1));
    visitor.export(&id).await;
    sandbox.advance(AFTER_RENDER);
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.paid_twice()), (2, &[][..]));
    visitor.export(&id).await;
    assert_eq!(sandbox.bill().paid_twice().len(), 1);
}

#[tokio::test]
async fn the_same_content_under_one_name_and_two_tags_counts_as_paid_twice_by_name() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    visitor.create("Ann [cs:1]", true).await;
    visitor.create("Ben [cs:2]", true).await;
    assert!(sandbox.bill().paid_twice().is_empty());
    visitor.create("Ann [cs:3]", true).await;
    let bill = sandbox.bill();
    let twice = bill.paid_twice();
    assert_eq!(
        (twice.len(), twice[0].by, twice[0].what.as_str()),
        (1, DuplicateBasis::Name, "Ann")
    );
}

#[tokio::test]
async fn the_next_version_of_a_video_has_its_name_and_is_not_paid_twice() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let paid =
        |name: &str, text: &str| json!({"name": name, "scenes": scenes(text), "isExport": true});
    visitor.post("editor/project", &paid("Ann [cs:1]", "Hello.")).await;
    visitor.post("editor/project", &paid("Ann [cs:2]", "Good evening.")).await;
    assert_eq!(sandbox.bill().paid_twice(), []);
    // One tag is one request, whatever was asked for under it.
    visitor.post("editor/project", &paid("Ann [cs:2]", "Good night.")).await;
    let bill = sandbox.bill();
    assert_eq!((bill.paid_twice().len(), bill.paid_twice()[0].by), (1, DuplicateBasis::Tag));
}

#[tokio::test]
async fn a_project_that_is_exported_with_each_of_its_texts_is_paid_twice_only_for_the_same_one() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("News", false).await;
    let edit = |text: &str| {
        json!({"updates": {"value": [
            {"sceneIdx": 0, "type": "aiModel", "values": {"script": text}}
        ]}, "isExport": true})
    };
    for text in ["Monday.", "Tuesday."] {
        let (status, _) = visitor.post(&format!("editor/project/{id}"), &edit(text)).await;
        assert_eq!((status, sandbox.bill().paid_twice()), (200, &[][..]));
    }
    visitor.export(&id).await;
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.paid_twice().len()), (3, 1));
    assert_eq!(bill.paid_twice()[0].project_ids, [id.clone(), id]);
}

#[tokio::test]
async fn a_deleted_project_stays_on_the_bill() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("A", true).await;
    visitor.request("DELETE", "editor/project", Some(&json!({"ids": [id]}))).await.unwrap();
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn people_can_look_behind_the_scenes_and_turn_the_switches() {
    let sandbox = start_sandbox("", |_| {}).await;
    let mut visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("A [cs:1]", true).await;
    let counted = sandbox.counters();
    visitor.base_url = format!("{}/__sandbox/", sandbox.base_url());
    visitor.token = String::new();

    let (_, bill) = visitor.get("bill").await;
    assert_eq!((&bill["renders"], &bill["lines"][0]["tag"]), (&json!(1), &json!("1")));
    assert_eq!(visitor.get("projects").await.1[0]["id"], json!(id));
    assert_eq!(visitor.get("requests").await.1[1]["endpoint"], "create");
    assert_eq!(visitor.get("counters").await.1["requests"]["create"], 1);

    let (_, now) = visitor.post("switches", &json!({"credit": {"balance": 7}})).await;
    assert_eq!(now["credit"]["balance"], 7.0);
    assert_eq!(sandbox.switches().credit.balance, Some(7.0));
    let (status, error) = visitor.post("switches", &json!({"credits": 7})).await;
    assert!(status == 400 && error["error"].as_str().unwrap().starts_with("`credits` is not"));
    visitor.post("faults", &json!({"faults": "refuse=list"})).await;
    assert_eq!(visitor.get("faults").await.1["faults"], "refuse=list");
    assert_eq!(visitor.post("faults", &json!({"faults": "nonsense"})).await.0, 400);
    let before = sandbox.now_ms();
    visitor.post("advance", &json!({"seconds": 90})).await;
    assert_eq!(sandbox.now_ms() - before, 90_000);
    assert_eq!(visitor.get("nonsense").await.0, 404);
    assert_eq!(sandbox.counters(), counted, "looking is not counted");
}
