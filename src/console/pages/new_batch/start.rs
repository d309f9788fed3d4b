//! The approval of a plan, which starts its run.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::open_console_batch;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::{PageFormat, PageRequest, json_response};
use crate::session::upload::{ApprovedStart, StartOutcome};
use crate::text::truncate;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 500;

/// Starts the run of the plan that was shown, and leads to the batch.
pub(in crate::console) async fn start(mut page: PageRequest) -> PageResult {
    let form = page.read_form().await?;
    let upload = open_console_batch(&page).await?;
    let missing = || PageError::Invalid("the approval names no plan: look at it again".to_owned());
    let approval = ApprovedStart {
        hash: form.get("hash").ok_or_else(missing)?,
        shown: form.get("shown").unwrap_or_default(),
        accepts_changes: form.get("accept").is_some(),
        not_before: form.get("at").map(parse_local_time).transpose()?,
        reason: form.get("because").map(|reason| truncate(reason, REASON_CHARS_MAX)),
        source: page.audit_source(),
        is_rehearsal: page.state.settings.ledger_options.is_rehearsal,
    };
    let outcome = upload.start(&approval, &page.state.ledger, &page.state.clock).await?;
    tracing::info!(
        "{} approved a plan of the batch {}: {outcome:?}",
        page.requester.name,
        upload.name()
    );
    if page.format == PageFormat::Json {
        let is_started = outcome == StartOutcome::Started;
        return Ok(json_response(axum::http::StatusCode::OK, &json!({ "started": is_started })));
    }
    let address = page.links().to(&format!("/new/{}/started", upload.name()));
    page.redirect(&address)
}

/// Parses a time as a browser sends it, in the time zone of this machine.
fn parse_local_time(text: &str) -> Result<Timestamp, PageError> {
    let wrong = || PageError::Invalid("choose a date and a time".to_owned());
    let local: DateTime = text.parse().map_err(|_| wrong())?;
    local.to_zoned(TimeZone::system()).map(|time| time.timestamp()).map_err(|_| wrong())
}

/// Ends a run that waits for its beginning.
pub(in crate::console) async fn withdraw(page: PageRequest) -> PageResult {
    let upload = open_console_batch(&page).await?;
    if !upload.withdraw(&page.state.ledger, page.audit_source()).await? {
        return Err(PageError::Changed(
            "the run has begun or ended: stop it at its batch".to_owned(),
        ));
    }
    tracing::info!("{} withdrew the approval of the batch {}", page.requester.name, upload.name());
    let address = page.links().to(&format!("/new/{}", upload.name()));
    page.redirect(&address)
}
