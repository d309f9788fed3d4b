//! Carrying a fault out: from what was drawn to what is sent.
//!
//! The work of a request happens at most where its fault says so; everything after that is a
//! matter of the answer and of the wire. `late` alone does the work after the connection is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::{RequestRejection, SandboxRequest, SandboxResponse};
use super::endpoint::SandboxEndpoint;
use super::faults::{
    BodyCorruption, ConnectionFault, FaultArgument, FaultEffect, InjectedFault,
    ReplacementResponse, RequestWork,
};
use super::raw;
use super::state::ServerState;
use super::wire::{CloseKind, CutPoint, ResponseFault};
use super::world::JournalEntry;

/// An answer on its way.
pub(super) struct ResponseDelivery {
    pub(super) answer: SandboxResponse,
    pub(super) fault: ResponseFault,
    /// Real time before anything is sent.
    pub(super) delay: Duration,
}

impl ResponseDelivery {
    pub(super) fn new(answer: SandboxResponse) -> Self {
        Self { answer, fault: ResponseFault::NoFault, delay: Duration::ZERO }
    }

    fn new_cut(answer: SandboxResponse, place: CutPoint, how: CloseKind) -> Self {
        Self { answer, fault: ResponseFault::Cut(place, how), delay: Duration::ZERO }
    }
}

/// Seconds that refusals of faults ask to wait.
const RETRY_AFTER_S: u64 = 2;

/// Does what the fault leaves of the work and prepares what is sent.
pub(super) fn apply_fault(
    stage: &Arc<ServerState>,
    call: &SandboxRequest,
    drawn: InjectedFault,
) -> ResponseDelivery {
    match drawn.kind.effect {
        FaultEffect::Line(RequestWork::Skipped, broken) => {
            break_connection(broken, empty_response(), drawn)
        }
        FaultEffect::Line(RequestWork::Done, broken) => {
            break_connection(broken, stage.handle_request(call), drawn)
        }
        FaultEffect::ReplaceResponse(RequestWork::Skipped, page) => {
            ResponseDelivery::new(replace_response(stage, call, page, drawn))
        }
        FaultEffect::ReplaceResponse(RequestWork::Done, page) => {
            stage.handle_request(call);
            ResponseDelivery::new(replace_response(stage, call, page, drawn))
        }
        FaultEffect::CorruptBody(garble) => {
            ResponseDelivery::new(corrupt_body(stage, garble, stage.handle_request(call), drawn))
        }
        FaultEffect::Latency => {
            let wait = Duration::from_millis(number_argument(drawn));
            ResponseDelivery { delay: wait, ..ResponseDelivery::new(stage.handle_request(call)) }
        }
        FaultEffect::DelayedWork => {
            handle_request_later(stage, call, number_argument(drawn));
            ResponseDelivery::new_cut(empty_response(), CutPoint::AfterBytes(0), CloseKind::Close)
        }
        FaultEffect::RepeatedWork => {
            let answer = stage.handle_request(call);
            stage.handle_request(call);
            ResponseDelivery::new(answer)
        }
        FaultEffect::ExpireToken => {
            if let Some(token) = call.token.clone() {
                let _ = stage.world().commit(vec![JournalEntry::Revoked { token }]);
            }
            ResponseDelivery::new(stage.handle_request(call))
        }
        FaultEffect::InvalidToken => {
            ResponseDelivery::new(replace_token(stage.handle_request(call), "dead.beef.token"))
        }
        FaultEffect::MalformedToken => {
            ResponseDelivery::new(replace_token(stage.handle_request(call), "two\nlines"))
        }
        // These two are met elsewhere: at the door, and where credits are counted.
        FaultEffect::RefuseConnection | FaultEffect::ExhaustCredits => {
            ResponseDelivery::new(stage.handle_request(call))
        }
    }
}

fn empty_response() -> SandboxResponse {
    SandboxResponse {
        status: 200,
        content_type: "text/plain",
        headers: Vec::new(),
        body: Vec::new(),
    }
}

fn number_argument(drawn: InjectedFault) -> u64 {
    match drawn.argument {
        FaultArgument::Number(number) => number,
        FaultArgument::Nothing | FaultArgument::Word(_) => 0,
    }
}

fn word_argument(drawn: InjectedFault) -> &'static str {
    match drawn.argument {
        FaultArgument::Word(word) => word,
        FaultArgument::Nothing | FaultArgument::Number(_) => "",
    }
}

fn break_connection(
    broken: ConnectionFault,
    answer: SandboxResponse,
    drawn: InjectedFault,
) -> ResponseDelivery {
    let cut = || {
        let drawn_place = drawn.random_bits % (answer.body.len() as u64).max(1);
        let place = if number_argument(drawn) > 0 { number_argument(drawn) } else { drawn_place };
        CutPoint::AfterBodyBytes(place as usize)
    };
    match broken {
        ConnectionFault::Close => {
            ResponseDelivery::new_cut(answer, CutPoint::AfterBytes(0), CloseKind::Close)
        }
        ConnectionFault::Reset => {
            ResponseDelivery::new_cut(answer, CutPoint::AfterBytes(0), CloseKind::Reset)
        }
        ConnectionFault::StatusLine => {
            ResponseDelivery::new_cut(answer, CutPoint::AfterStatusLine, CloseKind::Close)
        }
        ConnectionFault::Truncate => {
            let place = cut();
            ResponseDelivery::new_cut(answer, place, CloseKind::Close)
        }
        ConnectionFault::TruncateReset => {
            let place = cut();
            ResponseDelivery::new_cut(answer, place, CloseKind::Reset)
        }
        ConnectionFault::Silence => {
            let wait = Duration::from_secs(number_argument(drawn));
            ResponseDelivery {
                delay: wait,
                ..ResponseDelivery::new_cut(answer, CutPoint::AfterBytes(0), CloseKind::Close)
            }
        }
        ConnectionFault::ByteByByte => {
            let pause = Duration::from_millis(number_argument(drawn));
            ResponseDelivery {
                fault: ResponseFault::Slow { chunk: 1, pause },
                ..ResponseDelivery::new(answer)
            }
        }
        ConnectionFault::CloseAfterResponse => ResponseDelivery {
            fault: ResponseFault::CloseAfterResponse,
            ..ResponseDelivery::new(answer)
        },
        ConnectionFault::MalformedHttp(odd) => ResponseDelivery {
            fault: raw::malformed_response(odd, &answer),
            ..ResponseDelivery::new(answer)
        },
    }
}

fn replace_response(
    stage: &ServerState,
    call: &SandboxRequest,
    page: ReplacementResponse,
    drawn: InjectedFault,
) -> SandboxResponse {
    let errors = &stage.switches().errors;
    let hint = |answer: SandboxResponse| match word_argument(drawn) {
        "none" => answer,
        kind => answer
            .with_header("retry-after", retry_after_value(kind, RETRY_AFTER_S, drawn.random_bits)),
    };
    match page {
        ReplacementResponse::ErrorEnvelope(status, code, msg) => {
            RequestRejection::new(status, code, msg).answer(errors)
        }
        ReplacementResponse::Refusal(code, msg) => {
            RequestRejection::new(200, code, msg).answer(errors)
        }
        ReplacementResponse::Html(status) => {
            let mut page = SandboxResponse::html_page(status, "Service notice");
            // A file's error page wears the file's own type: only its bytes give it away.
            if call.endpoint == SandboxEndpoint::Download && status == 200 {
                page.content_type = "video/mp4";
            }
            page
        }
        ReplacementResponse::Unavailable => {
            hint(RequestRejection::new(503, 5030, "temporarily unavailable").answer(errors))
        }
        ReplacementResponse::TooManyRequests => {
            hint(RequestRejection::new(429, 4290, "too many requests").answer(errors))
        }
        ReplacementResponse::Redirect(status) => {
            let elsewhere =
                format!("{}/moved/{}", stage.download_links.origin, call.endpoint.as_str());
            SandboxResponse { status, ..empty_response() }.with_header("location", elsewhere)
        }
    }
}

/// Writes a `Retry-After` value: `seconds`, `date`, or one of the odd ones seen in the wild.
pub(super) fn retry_after_value(kind: &str, seconds: u64, luck: u64) -> String {
    match kind {
        "date" => {
            let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            let then = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
            then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        }
        "odd" => ["soon", "-5", "1000000000000", "0", ""][(luck % 5) as usize].to_owned(),
        _ => seconds.to_string(),
    }
}

fn corrupt_body(
    stage: &ServerState,
    garble: BodyCorruption,
    mut answer: SandboxResponse,
    drawn: InjectedFault,
) -> SandboxResponse {
    match garble {
        BodyCorruption::Empty => answer.body.clear(),
        BodyCorruption::WrongJson => answer.body = raw::wrong_json(&answer.body, drawn.random_bits),
        BodyCorruption::Huge => {
            answer.body = raw::pad_json(&answer.body, (number_argument(drawn) as usize) << 20)
        }
        BodyCorruption::OtherShape => {
            raw::change_json_shape(&mut answer.body, word_argument(drawn))
        }
        BodyCorruption::Gzip => return answer.with_header("content-encoding", "gzip".to_owned()),
        BodyCorruption::NoId => {
            let id = match word_argument(drawn) {
                "empty" => Some(json!("")),
                "number" => Some(json!(42)),
                "null" => Some(Value::Null),
                "huge" => Some(json!("f".repeat(1 << 20))),
                _ => None,
            };
            change_data(&mut answer, |data| match id {
                Some(id) => data["projectId"] = id,
                None => {
                    if let Value::Object(fields) = data {
                        fields.remove("projectId");
                    }
                }
            });
        }
        BodyCorruption::WrongId => {
            let world = stage.world();
            change_data(&mut answer, |data| {
                let other = world.projects().find(|project| data["projectId"] != project.id);
                let id = other.map_or("66f0a1b2c3d4e5f600000000", |project| &project.id);
                data["projectId"] = json!(id);
            });
        }
    }
    answer
}

fn replace_token(mut answer: SandboxResponse, token: &str) -> SandboxResponse {
    change_data(&mut answer, |data| data["token"] = json!(token));
    answer
}

/// Changes what stands under `data` of a good answer; refusals stay as they are.
fn change_data(answer: &mut SandboxResponse, change: impl FnOnce(&mut Value)) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return };
    if body["data"].is_object() {
        change(&mut body["data"]);
        answer.body = body.to_string().into_bytes();
    }
}

fn handle_request_later(stage: &Arc<ServerState>, call: &SandboxRequest, after_s: u64) {
    let due = stage.clock.now() + i64::try_from(after_s).unwrap_or(i64::MAX / 4000) * 1000;
    let (stage, call) = (Arc::clone(stage), call.clone());
    tokio::spawn(async move {
        let mut changes = stage.subscribe();
        let come = async {
            loop {
                match stage.clock.real_time_until(due) {
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
        if stage.stop.run_until_cancelled(come).await.is_some() {
            stage.handle_request(&call);
            stage.notify_change();
        }
    });
}
