//! What is assumed of AI Studios where its documents are silent, as `check` shows it: every
//! question, the answer that holds, who gave it, and what follows.

use serde_json::{Value, json};

use crate::batch::{StudioHost, VendorProfile, VendorProfileEntry};
use crate::cli::output::finding::CheckFinding;
use crate::cli::output::printer::Printer;
use crate::session::target;
use crate::text::strip_control;

/// Says what was once measured, and whether it was measured here.
pub(crate) fn measurement_findings(vendor: &VendorProfile, host: &StudioHost) -> Vec<CheckFinding> {
    let topic = "measured";
    let Some(measured) = &vendor.measured else { return Vec::new() };
    let (on, there, here) = (&measured.date, &measured.host, target::stored_host(host));
    let first = if there.trim_end_matches('/') == here {
        CheckFinding::ok(topic, format!("on {on} at {there}"))
    } else {
        let words = format!("on {on} at {there}, and this batch is for {here}");
        CheckFinding::warn(
            topic,
            words,
            "check with --probe here: another host may be another service",
        )
    };
    let facts =
        measured.facts.iter().map(|fact| CheckFinding::ok(topic, format!("{fact} (only told)")));
    std::iter::once(first).chain(facts).collect()
}

/// Shows every question with its answer.
pub(crate) fn print_profile(answers: &[VendorProfileEntry], printer: &Printer) {
    if answers.is_empty() {
        return;
    }
    printer.print_result("\nAI Studios, where its documents are silent");
    for VendorProfileEntry { key, value, source: from, rationale: why } in answers {
        printer.print_result(&format!("{key:13}  {} ({from})", strip_control(value)));
        printer.print_result(&format!("{:15}{why}", ""));
    }
}

pub(crate) fn profile_line_json(answer: &VendorProfileEntry) -> Value {
    let VendorProfileEntry { key, value, source: from, rationale: why } = answer;
    json!({ "key": key, "value": value, "from": from.to_string(), "why": why })
}
