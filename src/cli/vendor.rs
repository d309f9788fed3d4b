//! What is assumed of AI Studios where its documents are silent, as `check` shows it: every
//! question, the answer that holds, who gave it, and what follows.

use serde_json::{Value, json};

use super::finding::Finding;
use super::talk::{Talk, plain};
use super::whom;
use crate::batch::{Answer, Host, VendorProfile};

/// Says what was once measured, and whether it was measured here.
pub(super) fn findings(vendor: &VendorProfile, host: &Host) -> Vec<Finding> {
    let topic = "measured";
    let Some(measured) = &vendor.measured else { return Vec::new() };
    let (on, there, here) = (&measured.on, &measured.host, whom::name_of(host));
    let first = if there.trim_end_matches('/') == here {
        Finding::ok(topic, format!("on {on} at {there}"))
    } else {
        let words = format!("on {on} at {there}, and this batch is for {here}");
        Finding::warn(topic, words, "check with --probe here: another host may be another service")
    };
    let facts = measured.facts.iter().map(|fact| Finding::ok(topic, format!("{fact} (only told)")));
    std::iter::once(first).chain(facts).collect()
}

/// Shows every question with its answer.
pub(super) fn show(answers: &[Answer], talk: &Talk) {
    if answers.is_empty() {
        return;
    }
    talk.result("\nAI Studios, where its documents are silent");
    for Answer { key, value, from, why } in answers {
        talk.result(&format!("{key:13}  {} ({from})", plain(value)));
        talk.result(&format!("{:15}{why}", ""));
    }
}

pub(super) fn document(answer: &Answer) -> Value {
    let Answer { key, value, from, why } = answer;
    json!({ "key": key, "value": value, "from": from.to_string(), "why": why })
}
