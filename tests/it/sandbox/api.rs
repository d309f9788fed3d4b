//! The API as documented, and as changed by each switch.

use callsheet::sandbox::*;
use serde_json::json;

use super::*;

#[tokio::test]
async fn documented_sample_flow_renders_a_video() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (status, response) = client.post("editor/project", &json!({"scenes": scenes("Hi")})).await;
    assert_eq!((status, &response["success"]), (200, &json!(true)));
    let id = project_id_of(&response);
    assert_eq!(id.len(), 24);

    assert_eq!(client.progress(&id).await, json!({"state": "exporting", "progress": 0}));
    sandbox.advance(Duration::from_secs(30));
    let half = client.progress(&id).await;
    let percent = half["progress"].as_f64().unwrap();
    assert!((5.0..=50.0).contains(&percent) && half.get("downloadUrl").is_none(), "{half}");

    sandbox.advance(AFTER_RENDER);
    let done = client.progress(&id).await;
    assert_eq!((&done["state"], &done["progress"]), (&json!("exported"), &json!(100)));
    let url = done["downloadUrl"].as_str().unwrap();
    assert!(url.starts_with(&sandbox.download_origin()) && !url.starts_with(&sandbox.base_url()));
    let video = client.download(url, &[]).await.unwrap();
    assert_eq!((video.status, video.header("content-type")), (200, Some("video/mp4")));
    assert_eq!(&video.body[4..8], b"ftyp");
    assert_eq!((sandbox.bill().render_count(), sandbox.counters().leaked_tokens), (1, 0));
}

#[tokio::test]
async fn simple_video_is_exported_on_request_or_by_switch() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let mut body = json!({
        "language": "en", "text": "Hi", "model": "M000045058", "clothes": "BG00002320",
    });
    project_id_of(&client.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 0);
    sandbox.update_switches(|switches| switches.simple_video_exports = true);
    project_id_of(&client.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 1);
    body["isExport"] = json!(false);
    project_id_of(&client.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 1);
    let (_, custom) = client
        .post("simple/custom", &json!({"language": "en", "text": "Hi", "model": "M000060009"}))
        .await;
    let (_, project) = client.get(&format!("editor/project/{}", project_id_of(&custom))).await;
    assert_eq!(custom["data"]["taskId"], project["data"]["project"]["backendTaskId"]);
    assert_eq!(sandbox.bill().render_count(), 2);
    assert_eq!(client.post("simple/video", &json!({"text": "Hi"})).await.0, 400);
}

#[tokio::test]
async fn project_response_has_every_documented_field() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("Draft", false).await;
    let path = format!("editor/project/{id}");
    let project = client.get(&path).await.1["data"]["project"].clone();
    let keys: Vec<_> = project.as_object().unwrap().keys().cloned().collect();
    let lines: Vec<_> = keys.chunks(6).map(|keys| keys.join(" ")).collect();
    insta::assert_snapshot!(
        lines.join("\n"),
        @"
    _id backendTaskId baseInfoId createdAt creditSubstracted dictionary
    download_url exportType name orientation progress scenes
    state templateId thumbnailUrl updatedAt userId workspaceId
    "
    );
    assert_eq!(project["scenes"], scenes("Hello."));
    let summary = |project: &Value| {
        ["state", "progress", "creditSubstracted", "exportType"]
            .map(|key| project[key].to_string())
            .join(" ")
    };
    insta::assert_snapshot!(summary(&project), @r#""draft" 0 false null"#);
    client.export(&id).await;
    insta::assert_snapshot!(
        summary(&client.get(&path).await.1["data"]["project"]), @r#""exporting" 0 false "api""#
    );
    sandbox.advance(AFTER_RENDER);
    let project = client.get(&path).await.1["data"]["project"].clone();
    insta::assert_snapshot!(summary(&project), @r#""exported" 100 true "api""#);
    assert!(project["download_url"].is_string() && project["backendTaskId"].is_string());
    assert_eq!(client.get("editor/project/66f0a1b2c3d4e5f600000000").await.0, 404);
}

#[tokio::test]
async fn catalogue_response_has_the_selected_shape() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let first = |response: &Value, pointer: &str| response.pointer(pointer).unwrap()["id"].clone();
    let id = client.create("One", true).await;
    sandbox.advance(AFTER_RENDER);
    let shapes = [
        (ListResponseShape::Bare, "/0", "/0"),
        (ListResponseShape::DataArray, "/data/0", "/data/0"),
        (ListResponseShape::DataKeyed, "/data/projects/0", "/data/models/0"),
        (ListResponseShape::NumericObject, "/0", "/0"),
    ];
    for (shape, project, model) in shapes {
        sandbox.update_switches(|switches| {
            switches.catalogue.projects = shape;
            switches.catalogue.models = shape;
        });
        assert_eq!(first(&client.get("editor/project").await.1, project), json!(id), "{shape:?}");
        let models = client.get("dropdown/models").await.1;
        assert_eq!(first(&models, model), json!("M000045058"), "{shape:?}");
    }
    let (_, numbered) = client.post("dropdown/templates_automation", &json!({})).await;
    assert!(numbered["0"]["thumbnailUrl"].is_string());
    assert!(client.get("dropdown/workspaces").await.1["data"][0]["workspaceId"].is_string());
    assert!(client.get("dropdown/templates_business").await.1["data"][0]["name"].is_string());
    assert!(client.get("model").await.1["data"]["models"][0]["clothes"][0]["id"].is_string());
}

#[tokio::test]
async fn project_list_follows_its_switches() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    for name in ["a", "b", "c"] {
        let id = client.create(name, false).await;
        if name != "c" {
            client.export(&id).await;
        }
    }
    let names = async || {
        let (_, list) = client.get("editor/project").await;
        // Skips the project that every account has from the start.
        let is_ours = |item: &&Value| item["name"] != "House video";
        let items: Vec<_> = list["data"].as_array().unwrap().iter().filter(is_ours).collect();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect::<String>()
    };
    assert_eq!(names().await, "");
    sandbox.advance(AFTER_RENDER);
    assert_eq!(names().await, "ba");
    sandbox.update_switches(|switches| switches.list.include = ListFilter::All);
    assert_eq!(names().await, "cba");
    sandbox.update_switches(|switches| switches.list.order = ListOrder::Oldest);
    sandbox.update_switches(|switches| switches.list.limit = Some(3));
    assert_eq!(names().await, "ab");
    sandbox.update_switches(|switches| switches.list.duplicates = true);
    assert_eq!(names().await, "aabb");
    sandbox.update_switches(|switches| switches.list.lag_s = 900.0);
    assert_eq!(names().await, "");
    sandbox.advance(AFTER_RENDER);
    assert_eq!(names().await, "aabb");
}

#[tokio::test]
async fn second_export_has_the_selected_effect() {
    let table = [
        (DuplicateExport::NewRender, 200, 2),
        (DuplicateExport::NoOp, 200, 1),
        (DuplicateExport::Error, 409, 1),
    ];
    for (duplicate, status, renders) in table {
        for id_switch in [ReturnedId::Same, ReturnedId::New] {
            let change = |switches: &mut SandboxSwitches| {
                switches.export.duplicate = duplicate;
                switches.export.id = id_switch;
            };
            let sandbox = start_sandbox("", change).await;
            let client = ApiClient::with_token(&sandbox).await;
            let draft = client.create("Twice [cs:t1]", false).await;
            let (_, first) = client.export(&draft).await;
            assert_eq!(project_id_of(&first) == draft, id_switch == ReturnedId::Same);
            let (second, _) = client.export(&draft).await;
            assert_eq!(second, status, "{duplicate:?} {id_switch:?}");
            let bill = sandbox.bill();
            assert_eq!(bill.render_count(), renders, "{duplicate:?} {id_switch:?}");
            assert_eq!(bill.paid_twice().len(), usize::from(renders == 2));
        }
    }
}

#[tokio::test]
async fn export_under_a_new_id_does_not_change_the_draft() {
    let sandbox = start_sandbox("", |switches| switches.export.id = ReturnedId::New).await;
    let client = ApiClient::with_token(&sandbox).await;
    let draft = client.create("Film [cs:x]", false).await;
    let exported = project_id_of(&client.export(&draft).await.1);
    sandbox.advance(AFTER_RENDER);
    assert_eq!(client.progress(&draft).await, json!({"state": "draft", "progress": 0}));
    assert_eq!(client.progress(&exported).await["state"], "exported");
    let line = &sandbox.bill().lines[0];
    assert_eq!((line.tag.as_deref(), &line.project_id), (Some("x"), &exported));
}

#[tokio::test]
async fn renders_wait_for_a_worker_and_are_shown_as_drafts_during_read_lag() {
    let change = |switches: &mut SandboxSwitches| {
        switches.queue.workers = Some(1);
        switches.export.read_lag_s = 20.0;
    };
    let sandbox = start_sandbox("", change).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (first, second) = (client.create("one", true).await, client.create("two", true).await);
    assert_eq!(client.progress(&second).await["state"], "draft");
    sandbox.advance(Duration::from_secs(30));
    assert_eq!(client.progress(&first).await["state"], "exporting");
    assert_eq!(client.progress(&second).await, json!({"state": "waiting", "progress": 0}));
    sandbox.advance(AFTER_RENDER + AFTER_RENDER);
    assert_eq!(client.progress(&second).await["state"], "exported");
}

#[tokio::test]
async fn progress_has_the_selected_number_type() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("one", true).await;
    sandbox.advance(Duration::from_millis(33_333));
    let mut values = Vec::new();
    for number in [ProgressNumberType::Float, ProgressNumberType::Int, ProgressNumberType::String] {
        sandbox.update_switches(|switches| switches.progress.number = number);
        values.push(client.progress(&id).await["progress"].clone());
    }
    assert!(values[0].is_f64() && values[1].is_i64() && values[2].is_string(), "{values:?}");
    sandbox.update_switches(|switches| switches.progress.state_present = false);
    assert!(client.progress(&id).await.get("state").is_none());
}

#[tokio::test]
async fn failed_render_is_reported_in_the_selected_way() {
    let table = [
        (FailureMode::Failed, json!("failed")),
        (FailureMode::Error, json!("error")),
        (FailureMode::Frozen, json!("exporting")),
        (FailureMode::BackToZero, json!("waiting")),
        (FailureMode::MinusOne, json!("exporting")),
        (FailureMode::NoUrl, json!("exporting")),
        // No data: `success: false`, and a project that is not found.
        (FailureMode::SuccessFalse, Value::Null),
        (FailureMode::Gone, Value::Null),
    ];
    for (mode, state) in table {
        let sandbox = start_sandbox("", |switches| {
            switches.failure = FailureSwitches { mode, share: 0.0, first: 1 }
        });
        let sandbox = sandbox.await;
        let client = ApiClient::with_token(&sandbox).await;
        let id = client.create("one", true).await;
        sandbox.advance(AFTER_RENDER);
        let progress = client.progress(&id).await;
        assert_eq!(progress["state"], state, "{mode:?}");
        assert!(progress.get("downloadUrl").is_none(), "{mode:?}");
        let other = client.create("two", true).await;
        sandbox.advance(AFTER_RENDER);
        assert_eq!(client.progress(&other).await["state"], "exported", "{mode:?}");
    }
}

#[tokio::test]
async fn drafts_from_templates_and_topics_can_be_edited_and_deleted() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let template = "editor/template/655c744d2b4d3b4051400be0?aiName=M000004017&name=T";
    let made = client.request("POST", template, None).await.unwrap().status_and_json().1;
    let id = project_id_of(&made);
    let edit = json!({
        "updates": {"value": [
            {"sceneIdx": 0, "type": "aiModel", "values": {"script": "Edited."}},
        ]},
        "isExport": false,
    });
    assert_eq!(project_id_of(&client.post(&format!("editor/project/{id}"), &edit).await.1), id);
    let project = client.get(&format!("editor/project/{id}")).await.1["data"]["project"].clone();
    let script = &project["scenes"][0]["scripts"][0];
    assert_eq!((&script["org"], &script["modelId"]), (&json!("Edited."), &json!("M000004017")));
    assert_eq!((&project["name"], sandbox.bill().render_count()), (&json!("T"), 0));

    let (_, job) = client.post("automation/topic_to_video", &json!({"topic": "tea"})).await;
    let video = project_id_of(&job);
    let path = format!("automation/progress?projectId={video}");
    assert_eq!(client.get(&path).await.1["data"]["progress"], 10);
    assert_eq!(client.export(&video).await.0, 400);
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(client.get(&path).await.1["data"]["state"], "building audio");
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(client.get(&path).await.1["data"], json!({"state": "finish", "progress": 100}));
    assert_eq!(client.export(&video).await.0, 200);

    let delete = json!({"ids": [id, "66f0a1b2c3d4e5f600000000"]});
    let gone = client
        .request("DELETE", "editor/project", Some(&delete))
        .await
        .unwrap()
        .status_and_json()
        .1;
    assert_eq!(gone["data"]["deletedCount"], 1);
    assert_eq!(client.get(&format!("editor/project/{id}")).await.0, 404);
    assert_eq!(
        client.request("DELETE", "editor/project", Some(&json!({}))).await.unwrap().status,
        400
    );
}

#[tokio::test]
async fn tokens_become_invalid_by_age_by_replacement_by_fault_and_by_revocation() {
    let sandbox = start_sandbox("token-expires=list:1", |_| {}).await;
    let mut client = ApiClient::with_token(&sandbox).await;
    let confirm = async |client: &ApiClient| client.get("auth").await;
    assert_eq!(confirm(&client).await.1["data"]["isAuthenticated"], true);
    // By age.
    sandbox.advance(Duration::from_secs(86_400));
    assert_eq!(confirm(&client).await.0, 401);
    // By a newer token.
    sandbox.update_switches(|switches| switches.token.single_active = true);
    client.token = client.fresh_token().await;
    let older = client.token.clone();
    let newer = client.fresh_token().await;
    assert_eq!(confirm(&client).await.0, 401);
    client.token = newer;
    assert_eq!(confirm(&client).await.0, 200);
    assert_ne!(client.token, older);
    // By a fault during a request, permanently.
    assert_eq!(client.get("editor/project").await.0, 401);
    assert_eq!(client.get("editor/project").await.0, 401);
    // By the operator.
    client.token = client.fresh_token().await;
    sandbox.update_switches(|switches| switches.auth.revoked = true);
    assert_eq!(confirm(&client).await.0, 401);
    assert_eq!(client.post("auth/token", &credentials()).await.0, 401);
}

#[tokio::test]
async fn token_is_a_jwt_that_expires_in_the_clients_time() {
    use base64::Engine as _;
    let sandbox = start_sandbox("", |switches| switches.time_scale = 60.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    let claims = client.token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["appId"], APP_ID);
    assert_eq!(claims["platform"].as_str().unwrap().len(), 3);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_400 / 60);
}

#[tokio::test]
async fn invalid_credentials_are_rejected_in_the_selected_shape() {
    let sandbox = start_sandbox("", |_| {}).await;
    let mut client = ApiClient::without_token(&sandbox);
    let wrong = json!({"appId": APP_ID, "userKey": "wrong"});
    let (status, response) = client.post("auth/token", &wrong).await;
    assert_eq!((status, &response["success"]), (401, &json!(false)));
    assert_eq!(client.get("editor/project").await.0, 401);
    sandbox.update_switches(|switches| {
        switches.auth.bad_credentials = AuthErrorShape::SuccessFalse;
        switches.auth.bad_token = AuthErrorShape::SuccessFalse;
    });
    assert_eq!(client.post("auth/token", &wrong).await.0, 200);
    let (status, response) = client.get("editor/project").await;
    assert_eq!((status, &response["error"]["msg"]), (200, &json!("invalid token")));
    client.token = format!("Bearer {}", client.fresh_token().await);
    assert_eq!(client.get("editor/project").await.1["success"], false);
    sandbox.update_switches(|switches| switches.auth.accept_bearer = true);
    assert_eq!(client.get("editor/project").await.1["success"], true);
}

#[tokio::test]
async fn invalid_payload_is_rejected_or_fails_later_by_switch() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let broken = json!({"scenes": []});
    assert_eq!(client.post("editor/project", &broken).await.0, 400);
    assert_eq!(client.post("editor/project", &json!([])).await.0, 400);
    sandbox.update_switches(|switches| switches.validate = ValidationLevel::Lenient);
    let id = project_id_of(&client.post("editor/project", &broken).await.1);
    sandbox.advance(AFTER_RENDER);
    assert_eq!(client.progress(&id).await["state"], "failed");
    sandbox.update_switches(|switches| switches.validate = ValidationLevel::Strict);
    assert_eq!(client.post("editor/project", &json!({"scenes": scenes("Hi")})).await.0, 400);
}

#[tokio::test]
async fn bill_has_the_sent_name_even_if_the_project_name_is_changed() {
    let change = |switches: &mut SandboxSwitches| {
        switches.names = NameSwitches { cut_to: Some(8), strip_brackets: true };
    };
    let sandbox = start_sandbox("", change).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("Ann [cs:7h3k]", true).await;
    let (_, project) = client.get(&format!("editor/project/{id}")).await;
    assert_eq!(project["data"]["project"]["name"], "Ann cs:7");
    assert_eq!(sandbox.bill().lines[0].tag.as_deref(), Some("7h3k"));
}

#[tokio::test]
async fn unknown_paths_return_an_error_in_the_envelope() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    assert_eq!(client.get("editor/projects").await.0, 404);
    let (status, response) = client.get("editor/project/export").await;
    assert_eq!((status, &response["success"]), (405, &json!(false)));
}
