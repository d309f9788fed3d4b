//! The events of a video in plain words, the same in the terminal and in the console.
//!
//! Invariant: an event says something about money only if it decides about it.

use crate::ledger::{EventRow, JobEvent};
use crate::session::account::target::is_rehearsal_host;
use crate::session::operator::resolution::MARKED_NOT_SUBMITTED;

/// Begins the message of a refusal.
const REFUSAL_PREFIX: &str = "AI Studios refused it: ";

/// Returns a message for a place that already says that AI Studios refused the request.
pub(crate) fn without_refusal_prefix(message: &str) -> &str {
    message.strip_prefix(REFUSAL_PREFIX).unwrap_or(message)
}

/// Returns the events of a video, oldest first, with their descriptions: what was sent is known from what
/// came of it.
pub(crate) fn describe_history<'h>(
    events: &'h [EventRow],
    base_url: &str,
) -> Vec<(&'h EventRow, &'h str)> {
    let is = |event: Option<&EventRow>, kind: JobEvent| {
        event.is_some_and(|event| event.event == kind.as_str())
    };
    let describe = |(index, event): (usize, &'h EventRow)| {
        let next = events.get(index + 1);
        let is_draft = is(next, JobEvent::Drafted)
            || is(next, JobEvent::DraftLost)
            || next.is_some_and(|event| event.event == "generating");
        match is(Some(event), JobEvent::Claimed) && is_draft {
            true => (event, "making the draft (free)"),
            false => {
                let text = describe_detailed_event(&event.event, event.detail.as_deref(), base_url);
                (event, text)
            }
        }
    };
    events.iter().enumerate().map(describe).collect()
}

/// Returns an event with its message as its reader understands it: what the operator has stated is not
/// what AI Studios shows.
pub(crate) fn describe_detailed_event<'e>(
    event: &'e str,
    detail: Option<&str>,
    base_url: &str,
) -> &'e str {
    let is_stated = detail.is_some_and(|detail| detail.starts_with(MARKED_NOT_SUBMITTED));
    match event == JobEvent::ProvenAbsent.as_str() && is_stated {
        true => "not accepted, as the operator states",
        false => describe_job_event(event, base_url),
    }
}

/// Returns an event of the ledger as its reader understands it. `base_url` is that of the batch: a
/// rehearsal pays for nothing.
pub(crate) fn describe_job_event<'e>(event: &'e str, base_url: &str) -> &'e str {
    match event {
        "accepted" | "rerendered" | "answer-lost" | "abandoned" if is_rehearsal_host(base_url) => {
            match event {
                "accepted" => "accepted (a rehearsal: free)",
                "answer-lost" => "response lost",
                "abandoned" => "given up by the operator",
                _ => "render failed; rendered again (a rehearsal: free)",
            }
        }
        "claimed" => "sending the request",
        "drafted" => "draft made",
        "generating" => "AI Studios makes the draft",
        "generated" => "AI Studios has made the draft",
        "generation-failed" => "AI Studios failed to make the draft; another one is made (free)",
        "draft-lost" => "draft lost (free); another one is made",
        "not-sent" => "not sent; waiting",
        "put-back" => "not accepted for now; waiting",
        "refused" => "refused by AI Studios (not paid)",
        "submit-given-up" => "could not be sent (not paid)",
        "answer-lost" => "response lost (may be paid for)",
        "declined" => "AI Studios reports a refusal; checked before it is believed",
        "looked" => "checked at AI Studios",
        "rechecked" => "an earlier request is checked first",
        "accepted" => "accepted by AI Studios (paid)",
        "proven-not-made" => "no trace of it at AI Studios (not paid)",
        "abandoned" => "given up by the operator (may be paid for)",
        "polled" => "progress checked",
        "reassigned" => "the project turned out to be another one",
        "rendered" => "finished at AI Studios",
        "rerendered" => "render failed; rendered and paid again",
        "render-failed" => "render failed",
        "fetched" => "downloaded and checked",
        "fresh-link" => "new link to the file",
        "file-awaited" => "the file is not there yet; tried again",
        "fetch-trouble" => "the download failed; tried again",
        "fetch-failed" => "could not be downloaded",
        "file-lost" => "the file is missing; downloaded again (free)",
        "cancelled" => "cancelled",
        "retried" => "to be tried again",
        "replaced" => "the row or the template changed",
        "reused" => "same content as before; not rendered again",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::JobEvent;
    use crate::session::account::target::REHEARSAL_HOST;
    use crate::session::job_event_text::*;

    #[test]
    fn every_event_has_plain_words_and_only_a_real_one_says_paid() {
        let within_a_state = [
            "generating",
            "generated",
            "generation-failed",
            "declined",
            "looked",
            "polled",
            "reassigned",
            "fresh-link",
            "file-awaited",
            "fetch-trouble",
        ];
        for event in JobEvent::ALL.iter().map(|event| event.as_str()).chain(within_a_state) {
            let text = describe_job_event(event, "https://studio.example");
            let is_plain = text.contains(' ') || text == "cancelled";
            assert!(is_plain && !text.contains('-'), "{event}: {text}");
        }
        assert_eq!(describe_job_event("accepted", ""), "accepted by AI Studios (paid)");
        assert_eq!(describe_job_event("accepted", REHEARSAL_HOST), "accepted (a rehearsal: free)");
        assert_eq!(describe_job_event("of a later version", ""), "of a later version");
        let absent = JobEvent::ProvenAbsent.as_str();
        for (detail, text) in [
            ("no trace of it after the quiet wait", "no trace of it at AI Studios (not paid)"),
            (
                "marked as not submitted by the operator: I looked",
                "not accepted, as the operator states",
            ),
        ] {
            assert_eq!(describe_detailed_event(absent, Some(detail), ""), text);
        }
    }
}
