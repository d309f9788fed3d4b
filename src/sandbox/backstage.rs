//! What the vendor does not have: a look behind the scenes, for people who rehearse and for tests
//! that run the real program.
//!
//! JSON without a token, under `/__sandbox/`. No fault strikes here and nothing is counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::iso;
use super::desk::{Answer, Desk, state_of};
use super::faults::Faults;
use super::stage::Stage;

pub(super) const PREFIX: &str = "/__sandbox/";

/// Newest projects shown; the whole of a benchmark would be no page for people.
const PROJECTS_MAX: usize = 10_000;

pub(super) fn answer(stage: &Stage, method: &str, path: &str, body: &[u8]) -> Answer {
    let page = path.strip_prefix(PREFIX).unwrap_or(path).trim_end_matches('/');
    match (method, page) {
        ("GET", "bill") => bill(stage),
        ("GET", "requests") => Answer::json(200, &stage.logbook().requests()),
        ("GET", "counters") => Answer::json(200, &stage.logbook().counters()),
        ("GET", "projects") => projects(stage),
        ("GET", "switches") => Answer::json(200, &*stage.switches()),
        ("POST", "switches") => change_switches(stage, body),
        ("GET", "faults") => {
            Answer::json(200, &json!({ "faults": stage.draws().faults().to_string() }))
        }
        ("POST", "faults") => change_faults(stage, body),
        ("POST", "advance") => advance(stage, body),
        _ => refused(
            404,
            "there are: GET bill, requests, counters, projects; GET and POST switches, faults; \
             POST advance",
        ),
    }
}

fn refused(status: u16, error: &str) -> Answer {
    Answer::json(status, &json!({ "error": error }))
}

fn bill(stage: &Stage) -> Answer {
    let bill = stage.bill();
    let (renders, credits) = (bill.renders(), bill.credits());
    Answer::json(
        200,
        &json!({
            "renders": renders,
            "credits": credits,
            "paid_twice": bill.paid_twice,
            "lines": bill.lines,
        }),
    )
}

fn projects(stage: &Stage) -> Answer {
    let switches = stage.switches();
    let mut world = stage.world();
    let desk = Desk {
        world: &mut world,
        switches: &switches,
        links: &stage.links,
        now: stage.clock.now(),
        scale: stage.clock.scale(),
        renders_max: None,
        started: Vec::new(),
    };
    let newest = desk.world.projects().rev().take(PROJECTS_MAX);
    let projects: Vec<Value> = newest
        .map(|project| {
            let (state, progress) = state_of(&desk, project);
            json!({
                "id": project.id,
                "name": project.sent_name,
                "state": state,
                "progress": progress,
                "renders": project.renders.len(),
                "created": iso(project.created),
            })
        })
        .collect();
    Answer::json(200, &projects)
}

fn change_switches(stage: &Stage, body: &[u8]) -> Answer {
    let Ok(patch @ Value::Object(_)) = serde_json::from_slice(body) else {
        return refused(400, "the body must be a JSON object of switches: {\"credit\": …}");
    };
    let mut outcome = Ok(());
    stage.set(|switches| match switches.patched(&patch) {
        Ok(patched) => *switches = patched,
        Err(error) => outcome = Err(error),
    });
    match outcome {
        Ok(()) => Answer::json(200, &*stage.switches()),
        Err(error) => refused(400, &error),
    }
}

fn change_faults(stage: &Stage, body: &[u8]) -> Answer {
    let spec = serde_json::from_slice::<Value>(body).ok();
    let spec = spec.as_ref().and_then(|body| body["faults"].as_str());
    let Some(spec) = spec else {
        return refused(400, "the body must be {\"faults\": \"RULES\"}; no rules end all faults");
    };
    match Faults::parse(spec) {
        Ok(faults) => {
            stage.draws().replace(faults);
            stage.announce();
            Answer::json(200, &json!({ "faults": spec }))
        }
        Err(error) => refused(400, &error.to_string()),
    }
}

fn advance(stage: &Stage, body: &[u8]) -> Answer {
    let seconds = serde_json::from_slice::<Value>(body).ok();
    let seconds = seconds.and_then(|body| body["seconds"].as_f64());
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(by)) => {
            stage.turn_clock(|clock| clock.advance(by));
            Answer::json(200, &json!({ "now": iso(stage.clock.now()) }))
        }
        Some(Err(_)) | None => refused(400, "the body must be {\"seconds\": N}, N not negative"),
    }
}
