//! The one paid call of a probe: exports the smallest project once, and polls it to its end.
//!
//! Only this shows whether the id changes, when the project appears in the list, and what it costs.
//! The export is never sent again, whatever its outcome; the video stays in the account.

use std::time::Duration;

use crate::aistudios::{ExportRequest, ProgressReport, ProjectId, RenderState, SubmitOutcome};
use crate::batch::{ExportIdBehavior, ListContents};
use crate::session::check_finding::CheckFinding;
use crate::session::event::SessionEvent;
use crate::session::exit_code::ExitReason;
use crate::session::probe::{AccountProbe, PROBE_RESOLUTION};
use crate::text::format_duration;

const TOPIC: &str = "render";
/// Requests of the list after the end, for a project that has not been in it.
const LAST_LIST_CHECKS: u32 = 3;

/// The observations of a render.
struct RenderObservation {
    /// When the export was accepted, by the clock's awake time.
    accepted_at: Duration,
    first_listed: Option<FirstListed>,
    /// The state words that were reported, in their order.
    states: Vec<String>,
}

/// The first time that the list contained the project.
#[derive(Clone, Copy)]
struct FirstListed {
    /// The time since the export was accepted.
    after: Duration,
    /// Whether the list showed it as in progress.
    is_in_progress: bool,
}

impl RenderObservation {
    fn record_state(&mut self, progress: &ProgressReport) {
        let Some(state) = &progress.state else { return };
        let state = state.as_str().to_owned();
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }
}

impl AccountProbe<'_> {
    /// Exports a draft and polls it.
    pub(crate) async fn probe_render(&mut self, draft: &ProjectId) {
        self.observer.notify(SessionEvent::ProbeExportStarting {
            project: &draft.to_string(),
            time_max: self.batch.limits.stall_after,
        });
        let request = ExportRequest {
            project_id: draft.clone(),
            workspace_id: self.batch.studio.workspace_id.clone(),
            resolution: Some(PROBE_RESOLUTION.to_owned()),
            webhook_url: None,
        };
        let accepted = match self.client.export_project(&request).await {
            SubmitOutcome::Accepted(id) => id,
            outcome => match self.check_unaccepted_export(outcome, draft).await {
                true => None,
                false => return,
            },
        };
        if let Some(id) = &accepted {
            let (behavior, message) = match id == draft {
                true => (ExportIdBehavior::Same, "it renders under the draft's id".to_owned()),
                false => (ExportIdBehavior::New, format!("it renders under another id, {id}")),
            };
            self.profile.export_id = Some(behavior);
            self.add_ok(TOPIC, message);
        } else {
            self.add_fact(TOPIC, "the response contains no id".to_owned());
        }
        let id = accepted.unwrap_or_else(|| draft.clone());
        self.follow_render(&id).await;
    }

    /// Records why an export may not have been accepted. Returns whether the project shows that it
    /// was.
    async fn check_unaccepted_export(
        &mut self,
        outcome: SubmitOutcome<Option<ProjectId>>,
        draft: &ProjectId,
    ) -> bool {
        let (exit, message) = match outcome {
            SubmitOutcome::Accepted(..) => return true,
            SubmitOutcome::NotSent { message, .. } | SubmitOutcome::TokenRefused { message } => {
                (ExitReason::TransientFailure, message)
            }
            SubmitOutcome::Refused { message, .. } => (ExitReason::Input, message),
            SubmitOutcome::Account { message, .. } => (ExitReason::Account, message),
            SubmitOutcome::RateLimited { .. } => {
                (ExitReason::TransientFailure, "rate limited by AI Studios".to_owned())
            }
            SubmitOutcome::Moved { .. } => (
                ExitReason::Usage,
                "AI Studios has moved to another address: check `base_url`".to_owned(),
            ),
            SubmitOutcome::Unknown { message, .. } => {
                let project = self.client.fetch_project(draft).await;
                if project.is_ok_and(|project| project.export_evidence().is_some()) {
                    return true;
                }
                let message = format!(
                    "no response ({message}), and {draft} does not show whether it renders: \
                     check the website; nothing is sent again, and it is not deleted"
                );
                (ExitReason::TransientFailure, message)
            }
        };
        self.findings.push(CheckFinding::fail(exit, TOPIC, message));
        false
    }

    /// Polls the render until its end, and requests the list meanwhile.
    async fn follow_render(&mut self, id: &ProjectId) {
        let limits = &self.batch.limits;
        let mut observed = RenderObservation {
            accepted_at: self.clock.awake_time(),
            first_listed: None,
            states: Vec::new(),
        };
        let end = loop {
            if self.time_since(observed.accepted_at) > limits.stall_after {
                break None;
            }
            if let Ok(progress) = self.client.render_progress(id).await {
                observed.record_state(&progress);
                let percent = progress.percent.unwrap_or(0.0);
                match (&progress.state, &progress.download_url) {
                    (Some(RenderState::Failed(_)), _) => break Some(progress),
                    (_, Some(_)) if percent >= 100.0 => break Some(progress),
                    (Some(_) | None, Some(_) | None) => {}
                }
            }
            self.check_list(id, &mut observed).await;
            self.clock.sleep(limits.poll_min).await;
        };
        self.record_end(id, end, self.time_since(observed.accepted_at));
        if !observed.states.is_empty() {
            let states = observed.states.join(", ");
            self.add_fact(TOPIC, format!("state words while rendering: {states}"));
        }
        self.record_list_findings(id, observed).await;
        self.record_price(id).await;
    }

    fn time_since(&self, start: Duration) -> Duration {
        self.clock.awake_time().saturating_sub(start)
    }

    fn record_end(&mut self, id: &ProjectId, end: Option<ProgressReport>, duration: Duration) {
        let duration = format_duration(duration);
        match end {
            Some(ProgressReport { state: Some(RenderState::Failed(state)), message, .. }) => {
                let message = message.unwrap_or_else(|| format!("AI Studios reports `{state}`"));
                self.facts.push(format!("{TOPIC}: failed after {duration}: {message}"));
                let todo = "check on the website whether it was charged";
                self.add_warning(TOPIC, format!("{id} failed after {duration}: {message}"), todo);
            }
            Some(progress) => {
                self.add_fact(TOPIC, format!("finished after {duration}"));
                if let Some(RenderState::InProgress(state)) = progress.state {
                    self.profile.done_words = vec![state];
                }
            }
            None => {
                let todo = "check its state on the website";
                self.add_warning(TOPIC, format!("{id} is not finished after {duration}"), todo);
            }
        }
    }

    /// Checks whether the list contains the project by now, and in which state.
    async fn check_list(&self, id: &ProjectId, observed: &mut RenderObservation) {
        if observed.first_listed.is_some() {
            return;
        }
        let Ok(list) = self.client.list_projects().await else { return };
        if let Some(item) = list.projects.iter().find(|item| item.id == *id) {
            // The render may have ended since the last poll, so only the item itself counts.
            let is_done = matches!(item.state, Some(RenderState::Done(_)));
            observed.first_listed = Some(FirstListed {
                after: self.time_since(observed.accepted_at),
                is_in_progress: !item.has_video && !is_done,
            });
        }
    }

    /// Records when and how the list contained the project.
    async fn record_list_findings(&mut self, id: &ProjectId, mut observed: RenderObservation) {
        for _ in 0..LAST_LIST_CHECKS {
            if observed.first_listed.is_some() {
                break;
            }
            self.check_list(id, &mut observed).await;
            self.clock.sleep(self.batch.limits.poll_min).await;
        }
        // The draft has already shown whether the list contains drafts, which includes renders.
        let shows_drafts = self.profile.list == Some(ListContents::Everything);
        match observed.first_listed {
            Some(FirstListed { after, is_in_progress: true }) => {
                if !shows_drafts {
                    self.profile.list = Some(ListContents::Exported);
                }
                let lag = Duration::from_secs(after.as_secs() + 1);
                self.profile.list_lag = Some(lag);
                self.add_ok(
                    TOPIC,
                    format!("in the list {} after it was accepted", format_duration(lag)),
                );
            }
            Some(FirstListed { is_in_progress: false, .. }) => {
                self.profile.list = Some(ListContents::Finished);
                self.add_ok(TOPIC, "in the list only after it was finished");
            }
            None => self.add_fact(TOPIC, "not in the list, even after it was finished".to_owned()),
        }
    }

    async fn record_price(&mut self, id: &ProjectId) {
        let Ok(project) = self.client.fetch_project(id).await else { return };
        match project.price {
            Some(credits) => self.add_fact(TOPIC, format!("it cost {credits} credits")),
            None => {
                let message = "AI Studios does not report the price: see its website";
                self.add_fact(TOPIC, message.to_owned());
            }
        }
    }
}
