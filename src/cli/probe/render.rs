//! The one paid call of a probe: the smallest project is exported, once, and followed to its end.
//!
//! Whether the id changes, when the list shows it and what it cost is only to be seen that way.
//! The export is never sent again, whatever comes of it; the video stays in the account.

use std::time::Duration;

use super::Probe;
use crate::batch::{ExportId, ListShows};
use crate::cli::exit::Exit;
use crate::cli::finding::Finding;
use crate::cli::talk::span;
use crate::studio::{Answer, ExportRequest, Progress, ProjectId, RenderState};

const TOPIC: &str = "render";
/// Looks at the list after the end, for a project that has not been in it.
const LAST_LOOKS: u32 = 3;

/// What was seen while the render was under way.
#[derive(Default)]
struct Seen {
    /// Until the list showed it first, and whether as one that is still under way.
    listed: Option<(Duration, bool)>,
    /// Words that nobody knew, in their order.
    words: Vec<String>,
}

impl Seen {
    fn word(&mut self, progress: &Progress) {
        let Some(state) = &progress.state else { return };
        let word = state.word().to_owned();
        if !self.words.contains(&word) {
            self.words.push(word);
        }
    }
}

impl Probe<'_> {
    /// Exports a draft and follows it.
    pub(super) async fn render(&mut self, draft: &ProjectId) {
        let patience = span(self.batch.limits.stall_after);
        self.talk.say(&format!(
            "now {draft} is exported, once, which AI Studios charges for, and followed for at most \
             {patience}"
        ));
        let request = ExportRequest {
            project: draft.clone(),
            workspace_id: self.batch.studio.workspace_id.clone(),
            resolution: Some(super::RESOLUTION.to_owned()),
            webhook_url: None,
        };
        let answered = match self.client.export(&request).await {
            Answer::Accepted(id) => id,
            answer => match self.not_accepted(answer, draft).await {
                true => None,
                false => return,
            },
        };
        if let Some(id) = &answered {
            let (word, words) = match id == draft {
                true => (ExportId::Same, "it renders under the draft's own id".to_owned()),
                false => (ExportId::New, format!("it renders under another id, {id}")),
            };
            self.learnt.export_id = Some(word);
            self.ok(TOPIC, words);
        } else {
            self.fact(TOPIC, "the answer names no id".to_owned());
        }
        let asked = answered.unwrap_or_else(|| draft.clone());
        self.follow(&asked).await;
    }

    /// Says why an export may not have been taken. Returns whether it can be seen that it was.
    async fn not_accepted(&mut self, answer: Answer<Option<ProjectId>>, draft: &ProjectId) -> bool {
        let (exit, words) = match answer {
            Answer::Accepted(..) => return true,
            Answer::NotSent(reason) => (Exit::PassingTrouble, reason.words),
            Answer::Refused(refusal) => (Exit::Input, refusal.to_string()),
            Answer::Account(trouble) => (Exit::Account, trouble.to_string()),
            Answer::SlowDown { .. } => {
                (Exit::PassingTrouble, "AI Studios asks us to slow down".to_owned())
            }
            Answer::Moved { .. } => (
                Exit::Usage,
                "AI Studios says that it lives elsewhere: check `base_url`".to_owned(),
            ),
            Answer::Unknown(evidence) => {
                let project = self.client.project(draft).await;
                if project.is_ok_and(|project| project.render_evidence().is_some()) {
                    return true;
                }
                let words = format!(
                    "the answer was lost ({evidence}), and {draft} does not show whether it renders: \
                     look at the website; nothing is sent again, and it is not deleted"
                );
                (Exit::PassingTrouble, words)
            }
        };
        self.findings.push(Finding::fail(exit, TOPIC, words));
        false
    }

    /// Asks until the render has come to its end, and looks into the list meanwhile.
    async fn follow(&mut self, id: &ProjectId) {
        let limits = &self.batch.limits;
        let (began, patience) = (self.clock.awake(), limits.stall_after);
        let mut seen = Seen::default();
        let end = loop {
            let spent = self.clock.awake().saturating_sub(began);
            if spent > patience {
                break None;
            }
            if let Ok(progress) = self.client.progress(id).await {
                seen.word(&progress);
                let percent = progress.percent.unwrap_or(0.0);
                match (&progress.state, &progress.download_url) {
                    (Some(RenderState::Failed(_)), _) => break Some(progress),
                    (_, Some(_)) if percent >= 100.0 => break Some(progress),
                    (Some(_) | None, Some(_) | None) => {}
                }
            }
            self.look_for(id, (&mut seen, began)).await;
            self.clock.sleep(limits.poll_min).await;
        };
        let took = span(self.clock.awake().saturating_sub(began));
        match end {
            Some(Progress { state: Some(RenderState::Failed(word)), words, .. }) => {
                let said = words.unwrap_or_else(|| format!("AI Studios says `{word}`"));
                self.facts.push(format!("{TOPIC}: failed after {took}: {said}"));
                let todo = "look at the website what became of it, and whether it was charged";
                self.warn(TOPIC, format!("{id} failed after {took}: {said}"), todo);
            }
            Some(progress) => self.finished(&progress, &took),
            None => {
                let todo = "look at the website what became of it";
                self.warn(TOPIC, format!("{id} has come to no end after {took}"), todo);
            }
        }
        if !seen.words.is_empty() {
            self.fact(TOPIC, format!("state words on the way: {}", seen.words.join(", ")));
        }
        self.listed(id, (seen, began)).await;
        self.price(id).await;
    }

    fn finished(&mut self, progress: &Progress, took: &str) {
        self.fact(TOPIC, format!("finished after {took}"));
        if let Some(RenderState::Other(word)) = &progress.state {
            self.learnt.done_words = vec![word.clone()];
        }
    }

    /// Looks whether the list shows it by now, and as what.
    async fn look_for(&self, id: &ProjectId, (seen, began): (&mut Seen, Duration)) {
        if seen.listed.is_some() {
            return;
        }
        let Ok(list) = self.client.list().await else { return };
        if let Some(item) = list.items.iter().find(|item| item.id == *id) {
            // Its end may have come since it was last asked about: the entry itself has to say.
            let is_over = matches!(item.state, Some(RenderState::Done(_)));
            let under_way = item.download_url.is_none() && !is_over;
            seen.listed = Some((self.clock.awake().saturating_sub(began), under_way));
        }
    }

    /// Says what the list showed of it.
    async fn listed(&mut self, id: &ProjectId, (mut seen, began): (Seen, Duration)) {
        for _ in 0..LAST_LOOKS {
            if seen.listed.is_some() {
                break;
            }
            self.look_for(id, (&mut seen, began)).await;
            self.clock.sleep(self.batch.limits.poll_min).await;
        }
        // That it shows drafts is known from the draft, and says more.
        let shows_drafts = self.learnt.list == Some(ListShows::Everything);
        match seen.listed {
            Some((after, true)) => {
                if !shows_drafts {
                    self.learnt.list = Some(ListShows::Exported);
                }
                let lag = Duration::from_secs(after.as_secs() + 1);
                self.learnt.list_lag = Some(lag);
                self.ok(TOPIC, format!("in the list {} after it was accepted", span(lag)));
            }
            Some((_, false)) => {
                self.learnt.list = Some(ListShows::Finished);
                self.ok(TOPIC, "in the list only when it was finished");
            }
            None => self.fact(TOPIC, "not in the list, even when it was finished".to_owned()),
        }
    }

    async fn price(&mut self, id: &ProjectId) {
        let Ok(project) = self.client.project(id).await else { return };
        match project.credits {
            Some(credits) => self.fact(TOPIC, format!("it cost {credits} credits")),
            None => {
                self.fact(
                    TOPIC,
                    "AI Studios does not say what it cost: see its website".to_owned(),
                );
            }
        }
    }
}
