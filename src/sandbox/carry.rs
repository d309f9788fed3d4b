//! Carrying a fault out: from what was drawn to what is sent.
//!
//! The work of a request happens at most where its fault says so; everything after that is a
//! matter of the answer and of the wire. `late` alone does the work after the connection is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::desk::{Answer, Call, Problem};
use super::endpoint::Endpoint;
use super::faults::{Break, Drawn, Effect, Garble, Given, Page, Work};
use super::raw;
use super::stage::Stage;
use super::wire::{Fate, How, Place};
use super::world::Entry;

/// An answer on its way.
pub(super) struct Delivery {
    pub(super) answer: Answer,
    pub(super) fate: Fate,
    /// Real time before anything is sent.
    pub(super) wait: Duration,
}

impl Delivery {
    pub(super) fn plain(answer: Answer) -> Self {
        Self { answer, fate: Fate::Plain, wait: Duration::ZERO }
    }

    fn ended(answer: Answer, place: Place, how: How) -> Self {
        Self { answer, fate: Fate::End(place, how), wait: Duration::ZERO }
    }
}

/// Seconds that refusals of faults ask to wait.
const RETRY_AFTER_S: u64 = 2;

/// Does what the fault leaves of the work and prepares what is sent.
pub(super) fn carry(stage: &Arc<Stage>, call: &Call, drawn: Drawn) -> Delivery {
    match drawn.known.effect {
        Effect::Line(Work::Skipped, broken) => break_line(broken, nothing(), drawn),
        Effect::Line(Work::Done, broken) => break_line(broken, stage.perform(call), drawn),
        Effect::Page(Work::Skipped, page) => Delivery::plain(show(stage, call, page, drawn)),
        Effect::Page(Work::Done, page) => {
            stage.perform(call);
            Delivery::plain(show(stage, call, page, drawn))
        }
        Effect::Garble(garble) => {
            Delivery::plain(garbled(stage, garble, stage.perform(call), drawn))
        }
        Effect::Latency => {
            let wait = Duration::from_millis(number(drawn));
            Delivery { wait, ..Delivery::plain(stage.perform(call)) }
        }
        Effect::Late => {
            perform_later(stage, call, number(drawn));
            Delivery::ended(nothing(), Place::Byte(0), How::Close)
        }
        Effect::Twice => {
            let answer = stage.perform(call);
            stage.perform(call);
            Delivery::plain(answer)
        }
        Effect::KillToken => {
            if let Some(token) = call.token.clone() {
                let _ = stage.world().commit(vec![Entry::Revoked { token }]);
            }
            Delivery::plain(stage.perform(call))
        }
        Effect::DeadToken => Delivery::plain(other_token(stage.perform(call), "dead.beef.token")),
        Effect::BrokenToken => Delivery::plain(other_token(stage.perform(call), "two\nlines")),
        // These two are met elsewhere: at the door, and where credits are counted.
        Effect::Refuse | Effect::CreditsGone => Delivery::plain(stage.perform(call)),
    }
}

fn nothing() -> Answer {
    Answer { status: 200, content_type: "text/plain", headers: Vec::new(), body: Vec::new() }
}

fn number(drawn: Drawn) -> u64 {
    match drawn.given {
        Given::Number(number) => number,
        Given::Nothing | Given::Word(_) => 0,
    }
}

fn word(drawn: Drawn) -> &'static str {
    match drawn.given {
        Given::Word(word) => word,
        Given::Nothing | Given::Number(_) => "",
    }
}

fn break_line(broken: Break, answer: Answer, drawn: Drawn) -> Delivery {
    let cut = || {
        let drawn_place = drawn.luck % (answer.body.len() as u64).max(1);
        let place = if number(drawn) > 0 { number(drawn) } else { drawn_place };
        Place::Body(place as usize)
    };
    match broken {
        Break::Close => Delivery::ended(answer, Place::Byte(0), How::Close),
        Break::Reset => Delivery::ended(answer, Place::Byte(0), How::Reset),
        Break::StatusLine => Delivery::ended(answer, Place::StatusLine, How::Close),
        Break::Cut => {
            let place = cut();
            Delivery::ended(answer, place, How::Close)
        }
        Break::CutReset => {
            let place = cut();
            Delivery::ended(answer, place, How::Reset)
        }
        Break::Silence => {
            let wait = Duration::from_secs(number(drawn));
            Delivery { wait, ..Delivery::ended(answer, Place::Byte(0), How::Close) }
        }
        Break::Drip => {
            let pause = Duration::from_millis(number(drawn));
            Delivery { fate: Fate::Slow { chunk: 1, pause }, ..Delivery::plain(answer) }
        }
        Break::HangUp => Delivery { fate: Fate::HangUp, ..Delivery::plain(answer) },
        Break::Raw(odd) => Delivery { fate: raw::fate(odd, &answer), ..Delivery::plain(answer) },
    }
}

fn show(stage: &Stage, call: &Call, page: Page, drawn: Drawn) -> Answer {
    let errors = &stage.switches().errors;
    let hint = |answer: Answer| match word(drawn) {
        "none" => answer,
        kind => answer.with("retry-after", retry_after(kind, RETRY_AFTER_S, drawn.luck)),
    };
    match page {
        Page::Envelope(status, code, msg) => Problem::new(status, code, msg).answer(errors),
        Page::Refusal(code, msg) => Problem::new(200, code, msg).answer(errors),
        Page::Html(status) => {
            let mut page = Answer::html(status, "Service notice");
            // A file's error page wears the file's own type: only its bytes give it away.
            if call.endpoint == Endpoint::Download && status == 200 {
                page.content_type = "video/mp4";
            }
            page
        }
        Page::Busy => hint(Problem::new(503, 5030, "temporarily unavailable").answer(errors)),
        Page::SlowDown => hint(Problem::new(429, 4290, "too many requests").answer(errors)),
        Page::Moved(status) => {
            let elsewhere = format!("{}/moved/{}", stage.links.origin, call.endpoint.word());
            Answer { status, ..nothing() }.with("location", elsewhere)
        }
    }
}

/// Writes a `Retry-After` value: `seconds`, `date`, or one of the odd ones seen in the wild.
pub(super) fn retry_after(kind: &str, seconds: u64, luck: u64) -> String {
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

fn garbled(stage: &Stage, garble: Garble, mut answer: Answer, drawn: Drawn) -> Answer {
    match garble {
        Garble::Empty => answer.body.clear(),
        Garble::WrongJson => answer.body = raw::wrong_json(&answer.body, drawn.luck),
        Garble::Huge => answer.body = raw::padded(&answer.body, (number(drawn) as usize) << 20),
        Garble::OtherShape => raw::reshape(&mut answer.body, word(drawn)),
        Garble::Gzip => return answer.with("content-encoding", "gzip".to_owned()),
        Garble::NoId => {
            let id = match word(drawn) {
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
        Garble::WrongId => {
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

fn other_token(mut answer: Answer, token: &str) -> Answer {
    change_data(&mut answer, |data| data["token"] = json!(token));
    answer
}

/// Changes what stands under `data` of a good answer; refusals stay as they are.
fn change_data(answer: &mut Answer, change: impl FnOnce(&mut Value)) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return };
    if body["data"].is_object() {
        change(&mut body["data"]);
        answer.body = body.to_string().into_bytes();
    }
}

fn perform_later(stage: &Arc<Stage>, call: &Call, after_s: u64) {
    let due = stage.clock.now() + i64::try_from(after_s).unwrap_or(i64::MAX / 4000) * 1000;
    let (stage, call) = (Arc::clone(stage), call.clone());
    tokio::spawn(async move {
        let mut changes = stage.subscribe();
        let come = async {
            loop {
                match stage.clock.real_until(due) {
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
            stage.perform(&call);
            stage.announce();
        }
    });
}
