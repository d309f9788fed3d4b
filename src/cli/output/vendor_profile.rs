//! Prints the vendor profile: assumptions about AI Studios that its documentation leaves open.
//!
//! Each entry has a value, its source and the reason. `batch` decides the values.

use serde_json::{Value, json};

use crate::batch::{StudioHost, VendorProfile, VendorProfileEntry};
use crate::cli::output::printer::Printer;
use crate::session::account::target;
use crate::session::check_finding::CheckFinding;
use crate::text::strip_control;

/// Returns the findings about measured facts, and whether they were measured at this host.
pub(crate) fn measurement_findings(vendor: &VendorProfile, host: &StudioHost) -> Vec<CheckFinding> {
    let topic = "measured";
    let Some(measured) = &vendor.measured else { return Vec::new() };
    let (date, measured_host) = (&measured.date, &measured.host);
    let batch_host = target::stored_host(host);
    let first = if measured_host.trim_end_matches('/') == batch_host {
        CheckFinding::ok(topic, format!("on {date} at {measured_host}"))
    } else {
        let message =
            format!("on {date} at {measured_host}, but the batch belongs to {batch_host}");
        CheckFinding::warn(
            topic,
            message,
            "run `check --probe`: another host may behave differently",
        )
    };
    let facts = measured
        .facts
        .iter()
        .map(|fact| CheckFinding::ok(topic, format!("{fact} (for information)")));
    std::iter::once(first).chain(facts).collect()
}

/// Prints every assumption with its value, source and reason.
pub(crate) fn print_profile(entries: &[VendorProfileEntry], printer: &Printer) {
    if entries.is_empty() {
        return;
    }
    printer.print_result("\nAssumptions about AI Studios (not documented)");
    for VendorProfileEntry { key, value, source: from, rationale: why } in entries {
        printer.print_result(&format!("{key:13}  {} ({from})", strip_control(value)));
        printer.print_result(&format!("{:15}{why}", ""));
    }
}

pub(crate) fn profile_line_json(entry: &VendorProfileEntry) -> Value {
    let VendorProfileEntry { key, value, source: from, rationale: why } = entry;
    json!({ "key": key, "value": value, "from": from.to_string(), "why": why })
}
