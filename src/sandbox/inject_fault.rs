//! Applies a fault: from the sampled fault to the bytes that are sent.
//!
//! The work of a request is done only where its fault says so; the rest concerns the response and the
//! connection. Only `late` does the work after the connection is closed.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::altered_list::alter_list;
use super::api::{RequestRejection, SandboxRequest, SandboxResponse};
use super::crossed_responses::Crossing;
use super::endpoint::SandboxEndpoint;
use super::faults::{
    BodyCorruption, ConnectionFault, FalseAnswer, FaultArgument, FaultEffect, InjectedFault,
    RenderFate, ReplacementResponse, RequestWork,
};
use super::raw;
use super::state::ServerState;
use super::vendor_behavior::{FailureMode, FailureSwitches, SandboxSwitches};
use super::wire::{CloseKind, CutPoint, ResponseFault};
use super::world::JournalEntry;

/// A response on its way.
pub(super) struct ResponseDelivery {
    pub(super) response: SandboxResponse,
    pub(super) fault: ResponseFault,
    /// Real time before anything is sent.
    pub(super) delay: Duration,
    /// The response reaches another request.
    pub(super) crossing: Option<Crossing>,
}

impl ResponseDelivery {
    pub(super) fn new(response: SandboxResponse) -> Self {
        Self { response, fault: ResponseFault::NoFault, delay: Duration::ZERO, crossing: None }
    }

    fn new_cut(response: SandboxResponse, place: CutPoint, how: CloseKind) -> Self {
        Self {
            response,
            fault: ResponseFault::Cut(place, how),
            delay: Duration::ZERO,
            crossing: None,
        }
    }
}

/// Seconds in the `Retry-After` of injected rejections.
const RETRY_AFTER_S: u64 = 2;

/// Does the work, as far as the fault allows, and prepares the response.
pub(super) fn apply_fault(
    server: &Arc<ServerState>,
    request: &SandboxRequest,
    injected: &InjectedFault,
) -> ResponseDelivery {
    match injected.kind.effect {
        FaultEffect::BreakConnection(RequestWork::Skipped, broken) => {
            break_connection(broken, empty_response(), injected)
        }
        FaultEffect::BreakConnection(RequestWork::Done, broken) => {
            break_connection(broken, server.handle_request(request), injected)
        }
        FaultEffect::ReplaceResponse(RequestWork::Skipped, page) => {
            ResponseDelivery::new(replace_response(server, request, page, injected))
        }
        FaultEffect::ReplaceResponse(RequestWork::Done, page) => {
            server.handle_request(request);
            ResponseDelivery::new(replace_response(server, request, page, injected))
        }
        FaultEffect::CorruptBody(garble) => ResponseDelivery::new(corrupt_body(
            server,
            garble,
            server.handle_request(request),
            injected,
        )),
        FaultEffect::Latency => {
            let wait = Duration::from_millis(number_argument(injected));
            ResponseDelivery {
                delay: wait,
                ..ResponseDelivery::new(server.handle_request(request))
            }
        }
        FaultEffect::LateFile => {
            let is_late = is_file_late(server, request, number_argument(injected));
            ResponseDelivery::new(if is_late {
                RequestRejection::not_found("file").to_response(&server.switches().errors)
            } else {
                server.handle_request(request)
            })
        }
        FaultEffect::DelayedWork => {
            handle_request_later(server, request, number_argument(injected));
            ResponseDelivery::new_cut(empty_response(), CutPoint::Bytes(0), CloseKind::Close)
        }
        FaultEffect::RepeatedWork => {
            let response = server.handle_request(request);
            server.handle_request(request);
            ResponseDelivery::new(response)
        }
        FaultEffect::ExpireToken => {
            if let Some(token) = request.token.clone() {
                let _ = server.world().commit(vec![JournalEntry::Revoked { token }]);
            }
            ResponseDelivery::new(server.handle_request(request))
        }
        FaultEffect::InvalidToken => {
            ResponseDelivery::new(replace_token(server.handle_request(request), "dead.beef.token"))
        }
        FaultEffect::MalformedToken => {
            ResponseDelivery::new(replace_token(server.handle_request(request), "two\nlines"))
        }
        FaultEffect::ChangeRender(fate) => {
            let mut switches = (*server.switches()).clone();
            change_render(&mut switches, fate, number_argument(injected));
            ResponseDelivery::new(server.handle_request_with(request, &switches))
        }
        FaultEffect::FalseAnswer(answer) => answer_falsely(server, request, answer, injected),
        // These two are handled elsewhere: when a connection is accepted, and where credits are counted.
        FaultEffect::RefuseConnection | FaultEffect::ExhaustCredits => {
            ResponseDelivery::new(server.handle_request(request))
        }
    }
}

/// Changes the switches for a request that starts a render.
fn change_render(switches: &mut SandboxSwitches, fate: RenderFate, times: u64) {
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    match fate {
        RenderFate::Fails => {
            switches.failure = FailureSwitches { share: 1.0, ..FailureSwitches::default() };
        }
        RenderFate::Stalls => {
            let mode = FailureMode::Frozen;
            switches.failure = FailureSwitches { mode, share: 1.0, ..FailureSwitches::default() };
        }
        RenderFate::IsSlow => {
            let queue = &mut switches.queue;
            queue.render_min_s = queue.render_min_s.saturating_mul(times);
            queue.render_max_s = queue.render_max_s.saturating_mul(times);
        }
    }
}

/// Returns whether the render of the requested file ended less than `late_s` ago.
fn is_file_late(server: &ServerState, request: &SandboxRequest, late_s: u64) -> bool {
    let now = server.clock.now();
    let late_ms = i64::try_from(late_s).unwrap_or(i64::MAX / 4000) * 1000;
    let world = server.world();
    let render = world.project(&request.key).and_then(|project| world.newest_render(project));
    render.is_some_and(|render| now < render.end + late_ms)
}

/// Does the work, as far as it is done, and prepares a response that is wrong and looks right.
fn answer_falsely(
    server: &Arc<ServerState>,
    request: &SandboxRequest,
    answer: FalseAnswer,
    injected: &InjectedFault,
) -> ResponseDelivery {
    match answer {
        FalseAnswer::AlterList(alteration) => {
            let mut response = server.handle_request(request);
            alter_list(&mut response, alteration, number_argument(injected));
            ResponseDelivery::new(response)
        }
        FalseAnswer::DeclineAfterWork => {
            server.handle_request(request);
            ResponseDelivery::new(decline(server, injected))
        }
        FalseAnswer::HideYoungDraft => {
            let hidden = is_young_draft(server, request, number_argument(injected));
            ResponseDelivery::new(if hidden {
                RequestRejection::not_found("project").to_response(&server.switches().errors)
            } else {
                server.handle_request(request)
            })
        }
        FalseAnswer::ReportFailure
            if !is_young_render(server, request, number_argument(injected)) =>
        {
            ResponseDelivery::new(server.handle_request(request))
        }
        FalseAnswer::ReportFailure => {
            let mut response = server.handle_request(request);
            change_data(&mut response, |data| *data = json!({"state": "failed", "progress": 0}));
            ResponseDelivery::new(response)
        }
        FalseAnswer::CrossResponses => ResponseDelivery {
            crossing: Some(match word_argument(injected) {
                "older" => Crossing::Older,
                _ => Crossing::Swapped,
            }),
            ..ResponseDelivery::new(server.handle_request(request))
        },
        FalseAnswer::EndOtherTokens => {
            let mut world = server.world();
            let revoked = world.tokens().map(|token| JournalEntry::Revoked { token });
            let revoked: Vec<_> = revoked.collect();
            let _ = world.commit(revoked);
            drop(world);
            ResponseDelivery::new(server.handle_request(request))
        }
    }
}

/// Returns a response that declines a request whose work is done, in the rule's words if it has any.
fn decline(server: &ServerState, injected: &InjectedFault) -> SandboxResponse {
    let errors = &server.switches().errors;
    let FaultArgument::Decline { status, words } = &injected.argument else {
        return RequestRejection::bad_request("bad request").to_response(errors);
    };
    if let Some(words) = words {
        let code = i64::from(*status) * 10;
        return RequestRejection::new(*status, code, words).to_response(errors);
    }
    let rejection = match status {
        401 => RequestRejection::invalid_token(),
        402 => RequestRejection::no_credit(),
        403 => return SandboxResponse::html_page(403, "Request blocked"),
        404 => RequestRejection::not_found("project"),
        409 => RequestRejection::new(409, 4090, "conflict"),
        422 => RequestRejection::new(422, 4000, "invalid state"),
        429 => RequestRejection::new(429, 4290, "too many requests"),
        // "The project is already being exported."
        status => RequestRejection::new(*status, 4000, "이미 내보내는 중인 프로젝트입니다"),
    };
    rejection.to_response(errors)
}

/// Returns whether the requested render started less than `younger_s` ago; 0 stands for no limit.
fn is_young_render(server: &ServerState, request: &SandboxRequest, younger_s: u64) -> bool {
    let now = server.clock.now();
    let younger_ms = i64::try_from(younger_s).unwrap_or(i64::MAX / 4000) * 1000;
    let world = server.world();
    let render = world.project(&request.key).and_then(|project| world.newest_render(project));
    younger_s == 0 || render.is_some_and(|render| now - render.submitted < younger_ms)
}

/// Returns whether the project of an export was created less than `younger_s` virtual seconds ago.
fn is_young_draft(server: &ServerState, request: &SandboxRequest, younger_s: u64) -> bool {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let id = body["projectId"].as_str().unwrap_or_default();
    let now = server.clock.now();
    let younger_ms = i64::try_from(younger_s).unwrap_or(i64::MAX / 4000) * 1000;
    server.world().project(id).is_some_and(|project| now - project.created < younger_ms)
}

fn empty_response() -> SandboxResponse {
    SandboxResponse {
        status: 200,
        content_type: "text/plain",
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn number_argument(injected: &InjectedFault) -> u64 {
    match injected.argument {
        FaultArgument::Number(number) => number,
        FaultArgument::Nothing | FaultArgument::Word(_) | FaultArgument::Decline { .. } => 0,
    }
}

fn word_argument(injected: &InjectedFault) -> &'static str {
    match injected.argument {
        FaultArgument::Word(word) => word,
        FaultArgument::Nothing | FaultArgument::Number(_) | FaultArgument::Decline { .. } => "",
    }
}

fn break_connection(
    broken: ConnectionFault,
    response: SandboxResponse,
    injected: &InjectedFault,
) -> ResponseDelivery {
    let cut = || {
        let drawn_place = injected.random_bits % (response.body.len() as u64).max(1);
        let place =
            if number_argument(injected) > 0 { number_argument(injected) } else { drawn_place };
        CutPoint::BodyBytes(place as usize)
    };
    match broken {
        ConnectionFault::Close => {
            ResponseDelivery::new_cut(response, CutPoint::Bytes(0), CloseKind::Close)
        }
        ConnectionFault::Reset => {
            ResponseDelivery::new_cut(response, CutPoint::Bytes(0), CloseKind::Reset)
        }
        ConnectionFault::StatusLine => {
            ResponseDelivery::new_cut(response, CutPoint::StatusLine, CloseKind::Close)
        }
        ConnectionFault::Truncate => {
            let place = cut();
            ResponseDelivery::new_cut(response, place, CloseKind::Close)
        }
        ConnectionFault::TruncateReset => {
            let place = cut();
            ResponseDelivery::new_cut(response, place, CloseKind::Reset)
        }
        ConnectionFault::Silence => {
            let wait = Duration::from_secs(number_argument(injected));
            ResponseDelivery {
                delay: wait,
                ..ResponseDelivery::new_cut(response, CutPoint::Bytes(0), CloseKind::Close)
            }
        }
        ConnectionFault::ByteByByte => {
            let pause = Duration::from_millis(number_argument(injected));
            ResponseDelivery {
                fault: ResponseFault::Slow { chunk: 1, pause },
                ..ResponseDelivery::new(response)
            }
        }
        ConnectionFault::CloseAfterResponse => ResponseDelivery {
            fault: ResponseFault::CloseAfterResponse,
            ..ResponseDelivery::new(response)
        },
        ConnectionFault::MalformedHttp(odd) => ResponseDelivery {
            fault: raw::malformed_response(odd, &response),
            ..ResponseDelivery::new(response)
        },
    }
}

fn replace_response(
    server: &ServerState,
    request: &SandboxRequest,
    page: ReplacementResponse,
    injected: &InjectedFault,
) -> SandboxResponse {
    let errors = &server.switches().errors;
    let hint = |response: SandboxResponse| match word_argument(injected) {
        "none" => response,
        kind => response.with_header(
            "retry-after",
            retry_after_value(kind, RETRY_AFTER_S, injected.random_bits),
        ),
    };
    match page {
        ReplacementResponse::ErrorEnvelope(status, code, msg) => {
            RequestRejection::new(status, code, msg).to_response(errors)
        }
        ReplacementResponse::Refusal(code, msg) => {
            RequestRejection::new(200, code, msg).to_response(errors)
        }
        ReplacementResponse::Html(status) => {
            let mut page = SandboxResponse::html_page(status, "Service notice");
            // A file's error page has the file's own content type: only its bytes show the error.
            if request.endpoint == SandboxEndpoint::Download && status == 200 {
                page.content_type = "video/mp4";
            }
            page
        }
        ReplacementResponse::Unavailable => {
            hint(RequestRejection::new(503, 5030, "temporarily unavailable").to_response(errors))
        }
        ReplacementResponse::TooManyRequests => {
            hint(RequestRejection::new(429, 4290, "too many requests").to_response(errors))
        }
        ReplacementResponse::Redirect(status) => {
            let elsewhere =
                format!("{}/moved/{}", server.download_links.origin, request.endpoint.as_str());
            SandboxResponse { status, ..empty_response() }.with_header("location", elsewhere)
        }
    }
}

/// Formats a `Retry-After` value: `seconds`, `date`, or one of the odd ones seen in the wild.
pub(super) fn retry_after_value(kind: &str, seconds: u64, random_bits: u64) -> String {
    match kind {
        "date" => {
            let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            let then = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
            then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        }
        "odd" => ["soon", "-5", "1000000000000", "0", ""][(random_bits % 5) as usize].to_owned(),
        _ => seconds.to_string(),
    }
}

fn corrupt_body(
    server: &ServerState,
    garble: BodyCorruption,
    mut response: SandboxResponse,
    injected: &InjectedFault,
) -> SandboxResponse {
    match garble {
        BodyCorruption::Empty => response.body.clear(),
        BodyCorruption::WrongJson => {
            response.body = raw::wrong_json(&response.body, injected.random_bits);
        }
        BodyCorruption::Huge => {
            response.body =
                raw::pad_json(&response.body, (number_argument(injected) as usize) << 20);
        }
        BodyCorruption::OtherShape => {
            raw::change_json_shape(&mut response.body, word_argument(injected));
        }
        BodyCorruption::Gzip => return response.with_header("content-encoding", "gzip".to_owned()),
        BodyCorruption::NestedBoxes => {
            raw::nest_boxes(&mut response.body, number_argument(injected) as usize);
        }
        BodyCorruption::TrailingBytes => response.body.extend_from_slice(b"<!-- cached -->"),
        BodyCorruption::NoId => {
            let id = match word_argument(injected) {
                "empty" => Some(json!("")),
                "number" => Some(json!(42)),
                "null" => Some(Value::Null),
                "huge" => Some(json!("f".repeat(1 << 20))),
                _ => None,
            };
            change_data(&mut response, |data| match id {
                Some(id) => data["projectId"] = id,
                None => {
                    if let Value::Object(fields) = data {
                        fields.remove("projectId");
                    }
                }
            });
        }
        BodyCorruption::WrongId => {
            let world = server.world();
            change_data(&mut response, |data| {
                let other = world.projects().find(|project| data["projectId"] != project.id);
                let id = other.map_or("66f0a1b2c3d4e5f600000000", |project| &project.id);
                data["projectId"] = json!(id);
            });
        }
    }
    response
}

fn replace_token(mut response: SandboxResponse, token: &str) -> SandboxResponse {
    change_data(&mut response, |data| data["token"] = json!(token));
    response
}

/// Changes `data` of a successful response; rejections stay as they are.
fn change_data(response: &mut SandboxResponse, change: impl FnOnce(&mut Value)) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else { return };
    if body["data"].is_object() {
        change(&mut body["data"]);
        response.body = body.to_string().into_bytes();
    }
}

fn handle_request_later(server: &Arc<ServerState>, request: &SandboxRequest, after_s: u64) {
    let due = server.clock.now() + i64::try_from(after_s).unwrap_or(i64::MAX / 4000) * 1000;
    let (server, request) = (Arc::clone(server), request.clone());
    tokio::spawn(async move {
        let mut changes = server.subscribe();
        let come = async {
            loop {
                match server.clock.real_time_until(due) {
                    Some(Duration::ZERO) => return,
                    Some(wait) => {
                        tokio::select! {
                            () = tokio::time::sleep(wait) => {}
                            _ = changes.changed() => {}
                        }
                    }
                    None => {
                        let _ = changes.changed().await;
                    }
                }
            }
        };
        if server.stop.run_until_cancelled(come).await.is_some() {
            server.handle_request(&request);
            server.notify_change();
        }
    });
}
