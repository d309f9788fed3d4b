//! The one paid call of a probe: the smallest project is exported, once, and followed to its end.
//!
//! Whether the id changes, when the list shows it and what it cost is only to be seen that way.
//! The export is never sent again, whatever comes of it; the video stays in the account.

use std::time::Duration;

use crate::aistudios::{ExportRequest, ProgressReport, ProjectId, RenderState, SubmitOutcome};
use crate::batch::{ExportIdBehavior, ListContents};
use crate::cli::output::finding::CheckFinding;
use crate::session::exit_code::ExitReason;
use crate::session::probe::AccountProbe;
use crate::text::format_duration;

const TOPIC: &str = "render";
/// Looks at the list after the end, for a project that has not been in it.
const LAST_LIST_CHECKS: u32 = 3;

/// What was seen while the render was under way.
#[derive(Default)]
struct RenderObservation {
    /// Until the list showed it first, and whether as one that is still under way.
    first_listed: Option<(Duration, bool)>,
    /// Words that nobody knew, in their order.
    unknown_states: Vec<String>,
}

impl RenderObservation {
    fn record_state(&mut self, progress: &ProgressReport) {
        let Some(state) = &progress.state else { return };
        let word = state.as_str().to_owned();
        if !self.unknown_states.contains(&word) {
            self.unknown_states.push(word);
        }
    }
}

impl AccountProbe<'_> {
    /// Exports a draft and follows it.
    pub(crate) async fn probe_render(&mut self, draft: &ProjectId) {
        let patience = format_duration(self.batch.limits.stall_after);
        self.printer.status(&format!(
            "now {draft} is exported, once, which AI Studios charges for, and followed for at most \
             {patience}"
        ));
        let request = ExportRequest {
            project_id: draft.clone(),
            workspace_id: self.batch.studio.workspace_id.clone(),
            resolution: Some(crate::session::probe::PROBE_RESOLUTION.to_owned()),
            webhook_url: None,
        };
        let answered = match self.client.export_project(&request).await {
            SubmitOutcome::Accepted(id) => id,
            answer => match self.check_unaccepted_export(answer, draft).await {
                true => None,
                false => return,
            },
        };
        if let Some(id) = &answered {
            let (word, words) = match id == draft {
                true => (ExportIdBehavior::Same, "it renders under the draft's own id".to_owned()),
                false => (ExportIdBehavior::New, format!("it renders under another id, {id}")),
            };
            self.profile.export_id = Some(word);
            self.add_ok(TOPIC, words);
        } else {
            self.add_fact(TOPIC, "the answer names no id".to_owned());
        }
        let asked = answered.unwrap_or_else(|| draft.clone());
        self.follow_render(&asked).await;
    }

    /// Says why an export may not have been taken. Returns whether it can be seen that it was.
    async fn check_unaccepted_export(
        &mut self,
        answer: SubmitOutcome<Option<ProjectId>>,
        draft: &ProjectId,
    ) -> bool {
        let (exit, words) = match answer {
            SubmitOutcome::Accepted(..) => return true,
            SubmitOutcome::NotSent { message, .. } => (ExitReason::TransientFailure, message),
            SubmitOutcome::Refused { message, .. } => (ExitReason::Input, message),
            SubmitOutcome::Account { message, .. } => (ExitReason::Account, message),
            SubmitOutcome::RateLimited { .. } => {
                (ExitReason::TransientFailure, "AI Studios asks us to slow down".to_owned())
            }
            SubmitOutcome::Moved { .. } => (
                ExitReason::Usage,
                "AI Studios says that it lives elsewhere: check `base_url`".to_owned(),
            ),
            SubmitOutcome::Unknown { message, .. } => {
                let project = self.client.fetch_project(draft).await;
                if project.is_ok_and(|project| project.export_evidence().is_some()) {
                    return true;
                }
                let words = format!(
                    "the answer was lost ({message}), and {draft} does not show whether it renders: \
                     look at the website; nothing is sent again, and it is not deleted"
                );
                (ExitReason::TransientFailure, words)
            }
        };
        self.findings.push(CheckFinding::fail(exit, TOPIC, words));
        false
    }

    /// Asks until the render has come to its end, and looks into the list meanwhile.
    async fn follow_render(&mut self, id: &ProjectId) {
        let limits = &self.batch.limits;
        let (began, patience) = (self.clock.awake_time(), limits.stall_after);
        let mut seen = RenderObservation::default();
        let end = loop {
            let spent = self.clock.awake_time().saturating_sub(began);
            if spent > patience {
                break None;
            }
            if let Ok(progress) = self.client.render_progress(id).await {
                seen.record_state(&progress);
                let percent = progress.percent.unwrap_or(0.0);
                match (&progress.state, &progress.download_url) {
                    (Some(RenderState::Failed(_)), _) => break Some(progress),
                    (_, Some(_)) if percent >= 100.0 => break Some(progress),
                    (Some(_) | None, Some(_) | None) => {}
                }
            }
            self.check_list(id, (&mut seen, began)).await;
            self.clock.sleep(limits.poll_min).await;
        };
        let took = format_duration(self.clock.awake_time().saturating_sub(began));
        match end {
            Some(ProgressReport {
                state: Some(RenderState::Failed(word)), message: words, ..
            }) => {
                let said = words.unwrap_or_else(|| format!("AI Studios says `{word}`"));
                self.facts.push(format!("{TOPIC}: failed after {took}: {said}"));
                let todo = "look at the website what became of it, and whether it was charged";
                self.add_warning(TOPIC, format!("{id} failed after {took}: {said}"), todo);
            }
            Some(progress) => self.record_finish(&progress, &took),
            None => {
                let todo = "look at the website what became of it";
                self.add_warning(TOPIC, format!("{id} has come to no end after {took}"), todo);
            }
        }
        if !seen.unknown_states.is_empty() {
            self.add_fact(
                TOPIC,
                format!("state words on the way: {}", seen.unknown_states.join(", ")),
            );
        }
        self.record_list_findings(id, (seen, began)).await;
        self.record_price(id).await;
    }

    fn record_finish(&mut self, progress: &ProgressReport, took: &str) {
        self.add_fact(TOPIC, format!("finished after {took}"));
        if let Some(RenderState::InProgress(word)) = &progress.state {
            self.profile.done_words = vec![word.clone()];
        }
    }

    /// Looks whether the list shows it by now, and as what.
    async fn check_list(&self, id: &ProjectId, (seen, began): (&mut RenderObservation, Duration)) {
        if seen.first_listed.is_some() {
            return;
        }
        let Ok(list) = self.client.list_projects().await else { return };
        if let Some(item) = list.projects.iter().find(|item| item.id == *id) {
            // Its end may have come since it was last asked about: the entry itself has to say.
            let is_over = matches!(item.state, Some(RenderState::Done(_)));
            let under_way = !item.has_video && !is_over;
            seen.first_listed = Some((self.clock.awake_time().saturating_sub(began), under_way));
        }
    }

    /// Says what the list showed of it.
    async fn record_list_findings(
        &mut self,
        id: &ProjectId,
        (mut seen, began): (RenderObservation, Duration),
    ) {
        for _ in 0..LAST_LIST_CHECKS {
            if seen.first_listed.is_some() {
                break;
            }
            self.check_list(id, (&mut seen, began)).await;
            self.clock.sleep(self.batch.limits.poll_min).await;
        }
        // That it shows drafts is known from the draft, and says more.
        let shows_drafts = self.profile.list == Some(ListContents::Everything);
        match seen.first_listed {
            Some((after, true)) => {
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
            Some((_, false)) => {
                self.profile.list = Some(ListContents::Finished);
                self.add_ok(TOPIC, "in the list only when it was finished");
            }
            None => self.add_fact(TOPIC, "not in the list, even when it was finished".to_owned()),
        }
    }

    async fn record_price(&mut self, id: &ProjectId) {
        let Ok(project) = self.client.fetch_project(id).await else { return };
        match project.price {
            Some(credits) => self.add_fact(TOPIC, format!("it cost {credits} credits")),
            None => {
                self.add_fact(
                    TOPIC,
                    "AI Studios does not say what it cost: see its website".to_owned(),
                );
            }
        }
    }
}
