//! The control API, which the vendor does not have: state and switches, for rehearsals and for tests of
//! the real program.
//!
//! JSON without a token, under `/__sandbox/`. Faults do not apply here and nothing is counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{SandboxApi, SandboxResponse, project_state};
use super::clock::format_iso;
use super::faults::FaultRules;
use super::state::ServerState;

pub(super) const CONTROL_PREFIX: &str = "/__sandbox/";

/// Newest projects listed; the whole list of a benchmark would be unreadable.
const PROJECTS_MAX: usize = 10_000;

pub(super) fn response(
    server: &ServerState,
    method: &str,
    path: &str,
    body: &[u8],
) -> SandboxResponse {
    let page = path.strip_prefix(CONTROL_PREFIX).unwrap_or(path).trim_end_matches('/');
    match (method, page) {
        ("GET", "bill") => bill_response(server),
        ("GET", "requests") => SandboxResponse::from_json(200, &server.request_log().requests()),
        ("GET", "counters") => SandboxResponse::from_json(200, &server.request_log().counters()),
        ("GET", "projects") => projects_response(server),
        ("GET", "switches") => SandboxResponse::from_json(200, &*server.switches()),
        ("POST", "switches") => change_switches(server, body),
        ("GET", "faults") => SandboxResponse::from_json(
            200,
            &json!({ "faults": server.fault_sampler().faults().to_string() }),
        ),
        ("POST", "faults") => change_faults(server, body),
        ("POST", "advance") => advance_clock(server, body),
        _ => error_response(
            404,
            "there are: GET bill, requests, counters, projects; GET and POST switches, faults; \
             POST advance",
        ),
    }
}

fn error_response(status: u16, error: &str) -> SandboxResponse {
    SandboxResponse::from_json(status, &json!({ "error": error }))
}

fn bill_response(server: &ServerState) -> SandboxResponse {
    let bill = server.bill();
    let (renders, credits) = (bill.render_count(), bill.credits());
    SandboxResponse::from_json(
        200,
        &json!({
            "renders": renders,
            "credits": credits,
            "paid_twice": bill.paid_twice,
            "lines": bill.lines,
        }),
    )
}

fn projects_response(server: &ServerState) -> SandboxResponse {
    let switches = server.switches();
    let mut world = server.world();
    let api = SandboxApi {
        world: &mut world,
        switches: &switches,
        credentials: &server.credentials,
        download_links: &server.download_links,
        now: server.clock.now(),
        scale: server.clock.scale(),
        renders_max: None,
        started_renders: Vec::new(),
    };
    let newest = api.world.projects().rev().take(PROJECTS_MAX);
    let projects: Vec<Value> = newest
        .map(|project| {
            let (state, progress) = project_state(&api, project);
            json!({
                "id": project.id,
                "name": project.sent_name,
                "state": state,
                "progress": progress,
                "renders": project.renders.len(),
                "created": format_iso(project.created),
            })
        })
        .collect();
    SandboxResponse::from_json(200, &projects)
}

fn change_switches(server: &ServerState, body: &[u8]) -> SandboxResponse {
    let Ok(patch @ Value::Object(_)) = serde_json::from_slice(body) else {
        return error_response(400, "the body must be a JSON object of switches: {\"credit\": …}");
    };
    let mut outcome = Ok(());
    server.update_switches(|switches| match switches.with_patch(&patch) {
        Ok(patched) => *switches = patched,
        Err(error) => outcome = Err(error),
    });
    match outcome {
        Ok(()) => SandboxResponse::from_json(200, &*server.switches()),
        Err(error) => error_response(400, &error),
    }
}

fn change_faults(server: &ServerState, body: &[u8]) -> SandboxResponse {
    let spec = serde_json::from_slice::<Value>(body).ok();
    let spec = spec.as_ref().and_then(|body| body["faults"].as_str());
    let Some(spec) = spec else {
        return error_response(
            400,
            "the body must be {\"faults\": \"RULES\"}; no rules end all faults",
        );
    };
    match FaultRules::parse(spec) {
        Ok(faults) => {
            server.fault_sampler().replace_rules(faults);
            server.notify_change();
            SandboxResponse::from_json(200, &json!({ "faults": spec }))
        }
        Err(error) => error_response(400, &error.to_string()),
    }
}

fn advance_clock(server: &ServerState, body: &[u8]) -> SandboxResponse {
    let seconds = serde_json::from_slice::<Value>(body).ok();
    let seconds = seconds.and_then(|body| body["seconds"].as_f64());
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(by)) => {
            server.update_clock(|clock| clock.advance(by));
            SandboxResponse::from_json(200, &json!({ "now": format_iso(server.clock.now()) }))
        }
        Some(Err(_)) | None => {
            error_response(400, "the body must be {\"seconds\": N}, N not negative")
        }
    }
}
