//! The API as documented, and as its switches bend it.

use callsheet::sandbox::*;
use serde_json::json;

use super::*;

#[tokio::test]
async fn the_vendors_sample_flow_gives_a_video() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let (status, answer) = visitor.post("editor/project", &json!({"scenes": scenes("Hi")})).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    let id = project_id_of(&answer);
    assert_eq!(id.len(), 24);

    assert_eq!(visitor.progress(&id).await, json!({"state": "exporting", "progress": 0}));
    sandbox.advance(Duration::from_secs(30));
    let half = visitor.progress(&id).await;
    let percent = half["progress"].as_f64().unwrap();
    assert!((5.0..=50.0).contains(&percent) && half.get("downloadUrl").is_none(), "{half}");

    sandbox.advance(AFTER_RENDER);
    let done = visitor.progress(&id).await;
    assert_eq!((&done["state"], &done["progress"]), (&json!("exported"), &json!(100)));
    let url = done["downloadUrl"].as_str().unwrap();
    assert!(url.starts_with(&sandbox.download_origin()) && !url.starts_with(&sandbox.base_url()));
    let film = visitor.download(url, &[]).await.unwrap();
    assert_eq!((film.status, film.header("content-type")), (200, Some("video/mp4")));
    assert_eq!(&film.body[4..8], b"ftyp");
    assert_eq!((sandbox.bill().render_count(), sandbox.counters().leaked_tokens), (1, 0));
}

#[tokio::test]
async fn a_simple_clip_is_exported_only_when_asked_or_when_the_switch_says_so() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let mut body = json!({
        "language": "en", "text": "Hi", "model": "M000045058", "clothes": "BG00002320",
    });
    project_id_of(&visitor.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 0);
    sandbox.update_switches(|switches| switches.simple_video_exports = true);
    project_id_of(&visitor.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 1);
    body["isExport"] = json!(false);
    project_id_of(&visitor.post("simple/video", &body).await.1);
    assert_eq!(sandbox.bill().render_count(), 1);
    let (_, custom) = visitor
        .post("simple/custom", &json!({"language": "en", "text": "Hi", "model": "M000060009"}))
        .await;
    let (_, project) = visitor.get(&format!("editor/project/{}", project_id_of(&custom))).await;
    assert_eq!(custom["data"]["taskId"], project["data"]["project"]["backendTaskId"]);
    assert_eq!(sandbox.bill().render_count(), 2);
    assert_eq!(visitor.post("simple/video", &json!({"text": "Hi"})).await.0, 400);
}

#[tokio::test]
async fn reading_a_project_gives_every_documented_field() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("Draft", false).await;
    let path = format!("editor/project/{id}");
    let project = visitor.get(&path).await.1["data"]["project"].clone();
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
    let at = |project: &Value| {
        ["state", "progress", "creditSubstracted", "exportType"]
            .map(|key| project[key].to_string())
            .join(" ")
    };
    insta::assert_snapshot!(at(&project), @r#""draft" 0 false null"#);
    visitor.export(&id).await;
    insta::assert_snapshot!(
        at(&visitor.get(&path).await.1["data"]["project"]), @r#""exporting" 0 false "api""#
    );
    sandbox.advance(AFTER_RENDER);
    let project = visitor.get(&path).await.1["data"]["project"].clone();
    insta::assert_snapshot!(at(&project), @r#""exported" 100 true "api""#);
    assert!(project["download_url"].is_string() && project["backendTaskId"].is_string());
    assert_eq!(visitor.get("editor/project/66f0a1b2c3d4e5f600000000").await.0, 404);
}

#[tokio::test]
async fn a_catalogue_comes_in_each_shape_it_was_seen_in() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let first = |answer: &Value, pointer: &str| answer.pointer(pointer).unwrap()["id"].clone();
    let id = visitor.create("One", true).await;
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
        assert_eq!(first(&visitor.get("editor/project").await.1, project), json!(id), "{shape:?}");
        let models = visitor.get("dropdown/models").await.1;
        assert_eq!(first(&models, model), json!("M000045058"), "{shape:?}");
    }
    let (_, numbered) = visitor.post("dropdown/templates_automation", &json!({})).await;
    assert!(numbered["0"]["thumbnailUrl"].is_string());
    assert!(visitor.get("dropdown/workspaces").await.1["data"][0]["workspaceId"].is_string());
    assert!(visitor.get("dropdown/templates_business").await.1["data"][0]["name"].is_string());
    assert!(visitor.get("model").await.1["data"]["models"][0]["clothes"][0]["id"].is_string());
}

#[tokio::test]
async fn the_list_shows_what_its_switches_let_it() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    for name in ["a", "b", "c"] {
        let id = visitor.create(name, false).await;
        if name != "c" {
            visitor.export(&id).await;
        }
    }
    let names = async || {
        let (_, list) = visitor.get("editor/project").await;
        // What every account has from the beginning is not what this is about.
        let ours = |item: &&Value| item["name"] != "House film";
        let items: Vec<_> = list["data"].as_array().unwrap().iter().filter(ours).collect();
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
async fn a_second_export_does_what_the_switch_says() {
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
            let visitor = ApiClient::with_token(&sandbox).await;
            let draft = visitor.create("Twice [cs:t1]", false).await;
            let (_, first) = visitor.export(&draft).await;
            assert_eq!(project_id_of(&first) == draft, id_switch == ReturnedId::Same);
            let (second, _) = visitor.export(&draft).await;
            assert_eq!(second, status, "{duplicate:?} {id_switch:?}");
            let bill = sandbox.bill();
            assert_eq!(bill.render_count(), renders, "{duplicate:?} {id_switch:?}");
            assert_eq!(bill.paid_twice().len(), usize::from(renders == 2));
        }
    }
}

#[tokio::test]
async fn an_export_under_a_new_id_leaves_the_draft_as_it_was() {
    let sandbox = start_sandbox("", |switches| switches.export.id = ReturnedId::New).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let draft = visitor.create("Film [cs:x]", false).await;
    let exported = project_id_of(&visitor.export(&draft).await.1);
    sandbox.advance(AFTER_RENDER);
    assert_eq!(visitor.progress(&draft).await, json!({"state": "draft", "progress": 0}));
    assert_eq!(visitor.progress(&exported).await["state"], "exported");
    let line = &sandbox.bill().lines[0];
    assert_eq!((line.tag.as_deref(), &line.project_id), (Some("x"), &exported));
}

#[tokio::test]
async fn renders_wait_for_a_worker_and_look_like_drafts_while_reads_lag() {
    let change = |switches: &mut SandboxSwitches| {
        switches.queue.workers = Some(1);
        switches.export.read_lag_s = 20.0;
    };
    let sandbox = start_sandbox("", change).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let (first, second) = (visitor.create("one", true).await, visitor.create("two", true).await);
    assert_eq!(visitor.progress(&second).await["state"], "draft");
    sandbox.advance(Duration::from_secs(30));
    assert_eq!(visitor.progress(&first).await["state"], "exporting");
    assert_eq!(visitor.progress(&second).await, json!({"state": "waiting", "progress": 0}));
    sandbox.advance(AFTER_RENDER + AFTER_RENDER);
    assert_eq!(visitor.progress(&second).await["state"], "exported");
}

#[tokio::test]
async fn progress_is_written_as_the_switch_says() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("one", true).await;
    sandbox.advance(Duration::from_millis(33_333));
    let mut seen = Vec::new();
    for number in [ProgressNumberType::Float, ProgressNumberType::Int, ProgressNumberType::String] {
        sandbox.update_switches(|switches| switches.progress.number = number);
        seen.push(visitor.progress(&id).await["progress"].clone());
    }
    assert!(seen[0].is_f64() && seen[1].is_i64() && seen[2].is_string(), "{seen:?}");
    sandbox.update_switches(|switches| switches.progress.state_present = false);
    assert!(visitor.progress(&id).await.get("state").is_none());
}

#[tokio::test]
async fn a_failed_render_shows_in_the_way_the_switch_says() {
    let table = [
        (FailureMode::Failed, json!("failed")),
        (FailureMode::Error, json!("error")),
        (FailureMode::Frozen, json!("exporting")),
        (FailureMode::BackToZero, json!("waiting")),
        (FailureMode::MinusOne, json!("exporting")),
        (FailureMode::NoUrl, json!("exporting")),
        // No data at all: `success: false`, and a project that is not found.
        (FailureMode::SuccessFalse, Value::Null),
        (FailureMode::Gone, Value::Null),
    ];
    for (mode, state) in table {
        let sandbox = start_sandbox("", |switches| {
            switches.failure = FailureSwitches { mode, share: 0.0, first: 1 }
        });
        let sandbox = sandbox.await;
        let visitor = ApiClient::with_token(&sandbox).await;
        let id = visitor.create("one", true).await;
        sandbox.advance(AFTER_RENDER);
        let progress = visitor.progress(&id).await;
        assert_eq!(progress["state"], state, "{mode:?}");
        assert!(progress.get("downloadUrl").is_none(), "{mode:?}");
        let other = visitor.create("two", true).await;
        sandbox.advance(AFTER_RENDER);
        assert_eq!(visitor.progress(&other).await["state"], "exported", "{mode:?}");
    }
}

#[tokio::test]
async fn drafts_come_from_templates_and_from_a_model_and_can_be_edited_and_deleted() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let template = "editor/template/655c744d2b4d3b4051400be0?aiName=M000004017&name=T";
    let made = visitor.request("POST", template, None).await.unwrap().status_and_json().1;
    let id = project_id_of(&made);
    let edit = json!({
        "updates": {"value": [
            {"sceneIdx": 0, "type": "aiModel", "values": {"script": "Edited."}},
        ]},
        "isExport": false,
    });
    assert_eq!(project_id_of(&visitor.post(&format!("editor/project/{id}"), &edit).await.1), id);
    let project = visitor.get(&format!("editor/project/{id}")).await.1["data"]["project"].clone();
    let script = &project["scenes"][0]["scripts"][0];
    assert_eq!((&script["org"], &script["modelId"]), (&json!("Edited."), &json!("M000004017")));
    assert_eq!((&project["name"], sandbox.bill().render_count()), (&json!("T"), 0));

    let (_, job) = visitor.post("automation/topic_to_video", &json!({"topic": "tea"})).await;
    let film = project_id_of(&job);
    let path = format!("automation/progress?projectId={film}");
    assert_eq!(visitor.get(&path).await.1["data"]["progress"], 10);
    assert_eq!(visitor.export(&film).await.0, 400);
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(visitor.get(&path).await.1["data"]["state"], "building audio");
    sandbox.advance(Duration::from_secs(60));
    assert_eq!(visitor.get(&path).await.1["data"], json!({"state": "finish", "progress": 100}));
    assert_eq!(visitor.export(&film).await.0, 200);

    let delete = json!({"ids": [id, "66f0a1b2c3d4e5f600000000"]});
    let gone = visitor
        .request("DELETE", "editor/project", Some(&delete))
        .await
        .unwrap()
        .status_and_json()
        .1;
    assert_eq!(gone["data"]["deletedCount"], 1);
    assert_eq!(visitor.get(&format!("editor/project/{id}")).await.0, 404);
    assert_eq!(
        visitor.request("DELETE", "editor/project", Some(&json!({}))).await.unwrap().status,
        400
    );
}

#[tokio::test]
async fn tokens_end_when_they_should() {
    let sandbox = start_sandbox("token-expires=list:1", |_| {}).await;
    let mut visitor = ApiClient::with_token(&sandbox).await;
    let confirm = async |visitor: &ApiClient| visitor.get("auth").await;
    assert_eq!(confirm(&visitor).await.1["data"]["isAuthenticated"], true);
    // By age.
    sandbox.advance(Duration::from_secs(86_400));
    assert_eq!(confirm(&visitor).await.0, 401);
    // By a newer one.
    sandbox.update_switches(|switches| switches.token.single_active = true);
    visitor.token = visitor.fresh_token().await;
    let older = visitor.token.clone();
    let newer = visitor.fresh_token().await;
    assert_eq!(confirm(&visitor).await.0, 401);
    visitor.token = newer;
    assert_eq!(confirm(&visitor).await.0, 200);
    assert_ne!(visitor.token, older);
    // By a fault, in the middle of a request; and for good.
    assert_eq!(visitor.get("editor/project").await.0, 401);
    assert_eq!(visitor.get("editor/project").await.0, 401);
    // By a person.
    visitor.token = visitor.fresh_token().await;
    sandbox.update_switches(|switches| switches.auth.revoked = true);
    assert_eq!(confirm(&visitor).await.0, 401);
    assert_eq!(visitor.post("auth/token", &credentials()).await.0, 401);
}

#[tokio::test]
async fn a_token_is_a_jwt_whose_end_is_true_in_the_clients_time() {
    use base64::Engine as _;
    let sandbox = start_sandbox("", |switches| switches.time_scale = 60.0).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let claims = visitor.token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["appId"], APP_ID);
    assert_eq!(claims["platform"].as_str().unwrap().len(), 3);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_400 / 60);
}

#[tokio::test]
async fn strangers_are_refused_as_the_switches_say() {
    let sandbox = start_sandbox("", |_| {}).await;
    let mut visitor = ApiClient::without_token(&sandbox);
    let wrong = json!({"appId": APP_ID, "userKey": "wrong"});
    let (status, answer) = visitor.post("auth/token", &wrong).await;
    assert_eq!((status, &answer["success"]), (401, &json!(false)));
    assert_eq!(visitor.get("editor/project").await.0, 401);
    sandbox.update_switches(|switches| {
        switches.auth.bad_credentials = AuthErrorShape::SuccessFalse;
        switches.auth.bad_token = AuthErrorShape::SuccessFalse;
    });
    assert_eq!(visitor.post("auth/token", &wrong).await.0, 200);
    let (status, answer) = visitor.get("editor/project").await;
    assert_eq!((status, &answer["error"]["msg"]), (200, &json!("invalid token")));
    visitor.token = format!("Bearer {}", visitor.fresh_token().await);
    assert_eq!(visitor.get("editor/project").await.1["success"], false);
    sandbox.update_switches(|switches| switches.auth.accept_bearer = true);
    assert_eq!(visitor.get("editor/project").await.1["success"], true);
}

#[tokio::test]
async fn bad_input_is_refused_or_fails_later_as_the_switch_says() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let broken = json!({"scenes": []});
    assert_eq!(visitor.post("editor/project", &broken).await.0, 400);
    assert_eq!(visitor.post("editor/project", &json!([])).await.0, 400);
    sandbox.update_switches(|switches| switches.validate = ValidationLevel::Lenient);
    let id = project_id_of(&visitor.post("editor/project", &broken).await.1);
    sandbox.advance(AFTER_RENDER);
    assert_eq!(visitor.progress(&id).await["state"], "failed");
    sandbox.update_switches(|switches| switches.validate = ValidationLevel::Strict);
    assert_eq!(visitor.post("editor/project", &json!({"scenes": scenes("Hi")})).await.0, 400);
}

#[tokio::test]
async fn names_are_kept_as_the_switches_say_but_the_bill_knows_what_was_sent() {
    let change = |switches: &mut SandboxSwitches| {
        switches.names = NameSwitches { cut_to: Some(8), strip_brackets: true };
    };
    let sandbox = start_sandbox("", change).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("Ann [cs:7h3k]", true).await;
    let (_, project) = visitor.get(&format!("editor/project/{id}")).await;
    assert_eq!(project["data"]["project"]["name"], "Ann cs:7");
    assert_eq!(sandbox.bill().lines[0].tag.as_deref(), Some("7h3k"));
}

#[tokio::test]
async fn paths_that_lead_nowhere_say_so_in_the_envelope() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    assert_eq!(visitor.get("editor/projects").await.0, 404);
    let (status, answer) = visitor.get("editor/project/export").await;
    assert_eq!((status, &answer["success"]), (405, &json!(false)));
}
