//! Credits, the bill, and the control API.

use callsheet::sandbox::*;
use serde_json::json;

use super::*;

#[tokio::test]
async fn renders_are_rejected_until_credits_are_topped_up() {
    let sandbox = start_sandbox("", |switches| switches.credit.balance = Some(0.0)).await;
    let client = ApiClient::with_token(&sandbox).await;
    let draft = client.create("A", false).await;
    let (status, response) = client.export(&draft).await;
    assert_eq!((status, &response["error"]["msg"]), (402, &json!("not enough credit")));
    sandbox.update_switches(|switches| switches.credit.balance = Some(100.0));
    assert_eq!(client.export(&draft).await.0, 200);
    sandbox.update_switches(|switches| {
        switches.credit.balance = Some(0.0);
        switches.credit.insufficient = InsufficientCreditPolicy::AcceptThenFail;
    });
    let other = client.create("B", true).await;
    assert_eq!(client.progress(&other).await["state"], "failed");
}

#[tokio::test]
async fn credits_run_out_after_the_renders_of_a_fault_rule() {
    let sandbox = start_sandbox("402-after=2", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    for _ in 0..5 {
        client.create("draft", false).await;
    }
    client.create("A", true).await;
    client.create("B", true).await;
    let body = json!({"name": "C", "scenes": scenes("Hi")});
    assert_eq!(client.post("editor/project", &body).await.0, 402);
    assert_eq!(sandbox.bill().render_count(), 2);
}

#[tokio::test]
async fn failed_render_is_refunded_and_its_repetition_is_not_paid_twice() {
    let change = |switches: &mut SandboxSwitches| {
        switches.failure.first = 1;
        switches.credit.charge_at = ChargeAt::Submit;
    };
    let sandbox = start_sandbox("", change).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("A [cs:1]", false).await;
    client.export(&id).await;
    assert!(sandbox.bill().credits() >= 1.0);
    sandbox.advance(AFTER_RENDER);
    assert_eq!((sandbox.bill().credits(), sandbox.bill().lines[0].failed), (0.0, 1));
    client.export(&id).await;
    sandbox.advance(AFTER_RENDER);
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.paid_twice()), (2, &[][..]));
    client.export(&id).await;
    assert_eq!(sandbox.bill().paid_twice().len(), 1);
}

#[tokio::test]
async fn same_content_and_name_with_two_tags_is_paid_twice_by_name() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    client.create("Ann [cs:1]", true).await;
    client.create("Ben [cs:2]", true).await;
    assert!(sandbox.bill().paid_twice().is_empty());
    client.create("Ann [cs:3]", true).await;
    let bill = sandbox.bill();
    let twice = bill.paid_twice();
    assert_eq!(
        (twice.len(), twice[0].by, twice[0].what.as_str()),
        (1, DuplicateBasis::Name, "Ann")
    );
}

#[tokio::test]
async fn next_version_with_the_same_name_is_not_paid_twice() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let paid =
        |name: &str, text: &str| json!({"name": name, "scenes": scenes(text), "isExport": true});
    client.post("editor/project", &paid("Ann [cs:1]", "Hello.")).await;
    client.post("editor/project", &paid("Ann [cs:2]", "Good evening.")).await;
    assert_eq!(sandbox.bill().paid_twice(), []);
    // A repeated tag is a repeated request, whatever its content.
    client.post("editor/project", &paid("Ann [cs:2]", "Good morning.")).await;
    let bill = sandbox.bill();
    assert_eq!((bill.paid_twice().len(), bill.paid_twice()[0].by), (1, DuplicateBasis::Tag));
}

#[tokio::test]
async fn project_with_several_texts_is_paid_twice_only_for_a_repeated_text() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("News", false).await;
    let edit = |text: &str| {
        json!({"updates": {"value": [
            {"sceneIdx": 0, "type": "aiModel", "values": {"script": text}}
        ]}, "isExport": true})
    };
    for text in ["Monday.", "Tuesday."] {
        let (status, _) = client.post(&format!("editor/project/{id}"), &edit(text)).await;
        assert_eq!((status, sandbox.bill().paid_twice()), (200, &[][..]));
    }
    client.export(&id).await;
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.paid_twice().len()), (3, 1));
    assert_eq!(bill.paid_twice()[0].project_ids, [id.clone(), id]);
}

#[tokio::test]
async fn deleted_project_stays_on_the_bill() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("A", true).await;
    client.request("DELETE", "editor/project", Some(&json!({"ids": [id]}))).await.unwrap();
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn control_api_shows_the_state_and_changes_switches() {
    let sandbox = start_sandbox("", |_| {}).await;
    let mut client = ApiClient::with_token(&sandbox).await;
    let id = client.create("A [cs:1]", true).await;
    let counters = sandbox.counters();
    client.base_url = format!("{}/__sandbox/", sandbox.base_url());
    client.token = String::new();

    let (_, bill) = client.get("bill").await;
    assert_eq!((&bill["renders"], &bill["lines"][0]["tag"]), (&json!(1), &json!("1")));
    assert_eq!(client.get("projects").await.1[0]["id"], json!(id));
    assert_eq!(client.get("requests").await.1[1]["endpoint"], "create");
    assert_eq!(client.get("counters").await.1["requests"]["create"], 1);

    let (_, now) = client.post("switches", &json!({"credit": {"balance": 7}})).await;
    assert_eq!(now["credit"]["balance"], 7.0);
    assert_eq!(sandbox.switches().credit.balance, Some(7.0));
    let (status, error) = client.post("switches", &json!({"credits": 7})).await;
    assert!(status == 400 && error["error"].as_str().unwrap().starts_with("`credits` is not"));
    client.post("faults", &json!({"faults": "refuse=list"})).await;
    assert_eq!(client.get("faults").await.1["faults"], "refuse=list");
    assert_eq!(client.post("faults", &json!({"faults": "nonsense"})).await.0, 400);
    let before = sandbox.now_ms();
    client.post("advance", &json!({"seconds": 90})).await;
    assert_eq!(sandbox.now_ms() - before, 90_000);
    assert_eq!(client.get("nonsense").await.0, 404);
    assert_eq!(sandbox.counters(), counters, "the control API is not counted");
}
