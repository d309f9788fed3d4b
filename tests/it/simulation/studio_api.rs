//! The simulated studio's API: every call arrives, takes effect or not, and gets a response or not; and
//! at every one of these steps the run may crash.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use callsheet::aistudios::{
    AccountRefusalKind, CallError, CreateRequest, GenerationStatus, ProjectDetails, ProjectExport,
    ProjectId, ProjectList, RefusalKind, RenderStatus, StudioApi, SubmitOutcome, TransientCause,
    UnknownReason,
};
use callsheet::clock::Clock;
use callsheet::http::{DownloadError, DownloadResume, HttpDownload, NotSentKind};
use callsheet::runner::StopSignal;
use futures_util::{StreamExt, stream};
use rand::Rng;
use tokio::sync::Notify;

use super::sample_video::video_for_bill;
use super::seeded_bugs::SeededBug;
use super::setup::SimulatedFault;
use super::studio_records::{ActionResult, ResponseKind, StudioAction, StudioState};

/// The state shared by the API, the observer and the simulation.
#[derive(Clone, Debug)]
pub(super) struct SimulationHandle {
    pub(super) studio: Arc<Mutex<StudioState>>,
    /// The studio's time.
    pub(super) clock: Clock,
    /// The runner's, whose wall clock may be wrong.
    pub(super) runner_clock: Clock,
    pub(super) crash: Arc<Notify>,
    pub(super) stop: StopSignal,
}

impl SimulationHandle {
    pub(super) fn lock_studio(&self) -> MutexGuard<'_, StudioState> {
        self.studio.lock().unwrap()
    }

    /// A point at which the run may crash, or be asked to stop. Returns whether it has crashed.
    pub(super) fn reach_event(&self, what: &str) -> bool {
        let mut studio = self.lock_studio();
        let now = self.clock.now();
        if let Some(left) = &mut studio.stop_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                studio.stop_in = None;
                studio.note(now, &format!("stop signal at: {what}"));
                self.stop.escalate();
            }
        }
        match studio.crash_in {
            Some(0) => true,
            Some(1) => {
                studio.crash_in = Some(0);
                studio.note(now, &format!("CRASH at: {what}"));
                self.crash.notify_one();
                true
            }
            Some(left) => {
                studio.crash_in = Some(left - 1);
                false
            }
            None => false,
        }
    }

    async fn crash_or_continue(&self, what: &str) {
        if self.reach_event(what) {
            pending::<()>().await;
        }
    }

    async fn sleep(&self, pause: Duration) {
        self.clock.idle(self.clock.sleep(pause)).await;
    }
}

#[derive(Debug)]
pub(super) struct SimulatedStudio {
    pub(super) handle: SimulationHandle,
    pub(super) seeded_bug: Option<SeededBug>,
}

/// The effect of a request whose response is lost.
#[derive(Clone, Copy, Debug)]
enum LostResponse {
    NotActed,
    Acted,
    ActedLate,
}

impl SimulatedStudio {
    /// Delivers a request that changes something, and its response unless that is lost.
    async fn deliver(&self, action: StudioAction, paid: bool) -> SubmitOutcome<usize> {
        let handle = &self.handle;
        let is_down = handle.lock_studio().is_down(handle.clock.now());
        if is_down || handle.lock_studio().should_inject(SimulatedFault::NotSent) {
            handle.sleep(Duration::from_secs(10)).await;
            return not_sent("cannot be reached");
        }
        handle.crash_or_continue("before a request").await;
        {
            let mut studio = handle.lock_studio();
            studio.receive_request(handle.clock.now(), &format!("request: {action:?}"));
            if paid {
                studio.begin_paid_request(handle.clock.now());
            }
        }
        let response = self.respond(action, paid).await;
        if paid {
            handle.lock_studio().end_paid_request();
        }
        handle.crash_or_continue("after a request, before its response").await;
        if let SubmitOutcome::RateLimited { retry_after } = &response {
            handle.lock_studio().note_retry_after(handle.clock.now(), *retry_after);
        }
        let resends = self.seeded_bug == Some(SeededBug::ResendsUnknown) && paid;
        match response {
            SubmitOutcome::Unknown { .. } if resends => not_sent("no response"),
            SubmitOutcome::RateLimited { .. }
                if self.seeded_bug == Some(SeededBug::IgnoresRetryAfter) =>
            {
                not_sent("no response")
            }
            response => response,
        }
    }

    async fn respond(&self, action: StudioAction, paid: bool) -> SubmitOutcome<usize> {
        let handle = &self.handle;
        let response_time = handle.lock_studio().setup.behavior.response_time;
        handle.sleep(response_time / 2).await;
        if let Some(response) = self.decline() {
            handle.sleep(response_time / 2).await;
            return response;
        }
        if paid && let Some(response) = self.decline_falsely(&action) {
            handle.crash_or_continue("after a request that was declined").await;
            handle.sleep(response_time / 2).await;
            return response;
        }
        let effect = {
            let mut studio = handle.lock_studio();
            let effects = [
                (SimulatedFault::RequestLost, LostResponse::NotActed),
                (SimulatedFault::ResponseLost, LostResponse::Acted),
                (SimulatedFault::ActedLate, LostResponse::ActedLate),
            ];
            effects
                .into_iter()
                .find(|(fault, _)| studio.should_inject(*fault))
                .map(|(_, effect)| effect)
        };
        let Some(effect) = effect else {
            let (done, hangs) = {
                let mut studio = handle.lock_studio();
                (
                    studio.apply_action(handle.clock.now(), action),
                    studio.should_inject(SimulatedFault::Hang),
                )
            };
            if hangs {
                handle.sleep(Duration::from_secs(30)).await;
                return unknown(UnknownReason::TimedOut);
            }
            handle.crash_or_continue("after a request").await;
            handle.sleep(response_time / 2).await;
            return match done {
                ActionResult::Project { project } => {
                    handle.lock_studio().mark_accepted(handle.clock.now(), project);
                    SubmitOutcome::Accepted(project)
                }
                ActionResult::Refused => refused("exported already"),
            };
        };
        {
            let mut studio = handle.lock_studio();
            let now = handle.clock.now();
            studio.note(now, &format!("(response lost) {effect:?}"));
            match effect {
                LostResponse::NotActed => {}
                LostResponse::Acted => drop(studio.apply_action(now, action)),
                LostResponse::ActedLate => {
                    let most = studio.setup.behavior.act_delay_max;
                    let after = studio.random_duration(most);
                    studio.schedule_action(now + after, action);
                }
            }
        }
        handle.crash_or_continue("after a request with a lost response").await;
        handle.sleep(response_time / 2).await;
        unknown(UnknownReason::ServerError)
    }

    /// Returns a response that declines a paid request for a wrong reason, if a fault requires one.
    fn decline_falsely<T>(&self, action: &StudioAction) -> Option<SubmitOutcome<T>> {
        let now = self.handle.clock.now();
        let mut studio = self.handle.lock_studio();
        let is_export = matches!(action, StudioAction::Export { .. });
        if is_export && studio.should_inject(SimulatedFault::DraftNotKnownYet) {
            studio.note(now, "response: the draft is not known");
            let kind = RefusalKind::NotFound;
            return Some(SubmitOutcome::Refused { kind, message: "no such project".to_owned() });
        }
        if !is_export || !studio.should_inject(SimulatedFault::DeclinedAfterWork) {
            return None;
        }
        studio.note(now, "(declined after the work)");
        studio.apply_action(now, action.clone());
        Some(match studio.rng.random_range(0..3) {
            0 => SubmitOutcome::RateLimited { retry_after: None },
            1 => SubmitOutcome::TokenRefused { message: "who are you".to_owned() },
            _ => refused("it is being exported"),
        })
    }

    /// Returns a response that reports no effect, if a fault requires one.
    fn decline<T>(&self) -> Option<SubmitOutcome<T>> {
        let now = self.handle.clock.now();
        let mut studio = self.handle.lock_studio();
        if let Some(blocks_polls) = studio.account_error(now) {
            studio.note(now, "response: account blocked");
            let kind = match blocks_polls {
                true => AccountRefusalKind::CredentialsRefused,
                false => AccountRefusalKind::NoCredits,
            };
            return Some(SubmitOutcome::Account { kind, message: "no credits".to_owned() });
        }
        if studio.should_inject(SimulatedFault::SlowDown) {
            let retry_after = studio.draw_retry_after();
            studio.note(now, &format!("response: too many requests {retry_after:?}"));
            return Some(SubmitOutcome::RateLimited { retry_after });
        }
        if studio.should_inject(SimulatedFault::Refused) && studio.rng.random_bool(0.3) {
            studio.note(now, "response: refused");
            return Some(refused("invalid clip"));
        }
        None
    }

    /// Delivers a free call.
    async fn deliver_free_call<T>(
        &self,
        what: String,
        respond: impl FnOnce(&mut StudioState) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let handle = &self.handle;
        handle.crash_or_continue("before a free call").await;
        let response_time = {
            let mut studio = handle.lock_studio();
            studio.receive_request(handle.clock.now(), &what);
            studio.setup.behavior.response_time
        };
        handle.sleep(response_time).await;
        let response = {
            let now = handle.clock.now();
            let mut studio = handle.lock_studio();
            if studio.should_refuse_polls(now) {
                let kind = AccountRefusalKind::CredentialsRefused;
                Err(CallError::Account { kind, message: "token refused".to_owned() })
            } else if studio.is_down(now) || studio.should_inject(SimulatedFault::FreeCallFails) {
                Err(CallError::Transient {
                    cause: TransientCause::Unusable(UnknownReason::ServerError),
                    message: "503".to_owned(),
                    retry_after: None,
                })
            } else if studio.should_inject(SimulatedFault::SlowDown) {
                let retry_after = studio.draw_retry_after();
                Err(CallError::RateLimited { retry_after })
            } else {
                respond(&mut studio)
            }
        };
        let line = match &response {
            Ok(_) => "response".to_owned(),
            Err(error) => format!("response: {error:?}"),
        };
        handle.lock_studio().note(handle.clock.now(), &line);
        handle.crash_or_continue("after a free call").await;
        if let Err(CallError::RateLimited { retry_after }) = &response {
            handle.lock_studio().note_retry_after(handle.clock.now(), *retry_after);
        }
        response
    }
}

/// The content of a request that creates or edits a project, of any kind.
struct ParsedRequest {
    name: String,
    key: String,
    script: String,
    is_export: bool,
    /// The edited project, if one is.
    edited_project: Option<String>,
    /// Whether the studio generates the project.
    is_generated: bool,
}

impl ParsedRequest {
    fn from_request(request: &CreateRequest) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let text = |pointer: &str| body.pointer(pointer)?.as_str().map(str::to_owned);
        let name = text("/name").unwrap_or_default();
        let edited_id = || request.path.strip_prefix("editor/project/").map(str::to_owned);
        let (script, edited_project, is_generated) = match request.path_template {
            "editor/project" => (text("/scenes/0/scripts/0/org")?, None, false),
            "editor/template/{templateId}" => (String::new(), None, false),
            "automation/scripts_to_video" => (text("/scripts")?, None, true),
            "simple/video" => (text("/text")?, None, false),
            "editor/project/{key}" | "editor/project/{projectId}" => {
                (text("/updates/value/0/values/script")?, Some(edited_id()?), false)
            }
            _ => return None,
        };
        // Every script starts with its row's key; a template's first request has no script yet.
        let text = if script.is_empty() { &name } else { &script };
        let key = text.split(' ').next()?.to_owned();
        let export = body.get("isExport").and_then(serde_json::Value::as_bool).unwrap_or(false);
        Some(Self { name, key, script, is_export: export, edited_project, is_generated })
    }
}

impl StudioApi for SimulatedStudio {
    async fn create_project(&self, request: CreateRequest) -> SubmitOutcome<ProjectId> {
        let Some(parsed) = ParsedRequest::from_request(&request) else {
            return refused("no such endpoint");
        };
        let (export, is_generated) = (parsed.is_export, parsed.is_generated);
        let action = {
            let studio = self.handle.lock_studio();
            let edits = studio.edits.get(&parsed.key).copied().unwrap_or(0);
            let content = (parsed.key, parsed.script, edits);
            match parsed.edited_project {
                None => StudioAction::Create { name: parsed.name, content, export },
                Some(id) => match studio.project_index(&id) {
                    Some(project) => StudioAction::Edit { project, content },
                    None => {
                        return refused("no such project");
                    }
                },
            }
        };
        let created = self.deliver(action, export).await;
        created.map(|project| {
            let mut studio = self.handle.lock_studio();
            if is_generated {
                studio.start_generation(self.handle.clock.now(), project);
            }
            let id = studio.projects[project].id.clone();
            project_id(&studio.cross_response(ResponseKind::Create, id))
        })
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<ProjectId>> {
        let Some(project) = self.handle.lock_studio().project_index(&export.project_id) else {
            return refused("no such project");
        };
        let created = self.deliver(StudioAction::Export { project }, true).await;
        created.map(|project| {
            let mut studio = self.handle.lock_studio();
            let id = studio.exported_id(project);
            Some(project_id(&studio.cross_response(ResponseKind::Export, id)))
        })
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        let clock = &self.handle.clock;
        let status =
            self.deliver_free_call(format!("request: progress of {project_id}"), |studio| {
                let project =
                    studio.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
                let render = studio.progress(clock.now(), project);
                let render = studio.cross_status(project, render);
                studio.note(clock.now(), &format!("project {project}: {render:?}"));
                Ok(render)
            });
        let status = status.await;
        if self.seeded_bug == Some(SeededBug::TreatsRunningAsFailed)
            && matches!(status, Ok(RenderStatus::Running { .. }))
        {
            return Ok(RenderStatus::Failed { message: "failed, it seems".to_owned() });
        }
        status
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let clock = &self.handle.clock;
        self.deliver_free_call(format!("request: generation of {project_id}"), |studio| {
            let project =
                studio.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
            Ok(studio.generation(clock.now(), project))
        })
        .await
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let clock = &self.handle.clock;
        self.deliver_free_call(format!("request: project {project_id}"), |studio| {
            let project =
                studio.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
            Ok(studio.project_page(clock.now(), project))
        })
        .await
    }

    async fn list_projects(&self) -> Result<ProjectList, CallError> {
        let clock = &self.handle.clock;
        let list = self
            .deliver_free_call("request: list".to_owned(), |studio| Ok(studio.list(clock.now())))
            .await;
        match list {
            Ok(mut list) if self.seeded_bug == Some(SeededBug::TrustsOldLists) => {
                list.projects.sort_by(|one, other| one.id.cmp(&other.id));
                list.projects.truncate(1);
                Ok(ProjectList { is_complete: true, ..list })
            }
            list => list,
        }
    }

    /// Runs never delete projects.
    async fn delete_projects(&self, _: &[String]) -> Result<u64, CallError> {
        Ok(0)
    }

    fn open_download(
        &self,
        url: &str,
        resume: Option<DownloadResume>,
    ) -> impl Future<Output = Result<HttpDownload, DownloadError>> + Send {
        download_video(self.handle.clone(), self.seeded_bug, url.to_owned(), resume)
    }
}

fn project_id(id: &str) -> ProjectId {
    ProjectId::parse(id).expect("the ids of the simulation are valid")
}

fn not_sent<T>(message: &str) -> SubmitOutcome<T> {
    SubmitOutcome::NotSent { kind: NotSentKind::Unreachable, message: message.to_owned() }
}

fn refused<T>(message: &str) -> SubmitOutcome<T> {
    SubmitOutcome::Refused { kind: RefusalKind::Validation, message: message.to_owned() }
}

fn unknown<T>(reason: UnknownReason) -> SubmitOutcome<T> {
    SubmitOutcome::Unknown { reason, message: reason.to_string(), retry_after: None }
}

/// The size of a downloaded chunk.
const CHUNK_BYTES: usize = 5000;

async fn download_video(
    handle: SimulationHandle,
    bug: Option<SeededBug>,
    url: String,
    resume: Option<DownloadResume>,
) -> Result<HttpDownload, DownloadError> {
    handle.crash_or_continue("before a download").await;
    let (mut bytes, mark, ends_early, breaks) = {
        let mut studio = handle.lock_studio();
        let now = handle.clock.now();
        studio.note(now, &format!("download {url} from {:?}", resume.as_ref().map(|at| at.offset)));
        let bill =
            studio.resolve_link(now, &url).ok_or(DownloadError::LinkExpired { status: 403 })?;
        if studio.should_inject(SimulatedFault::DownloadRefused) {
            return Err(DownloadError::TooLarge);
        }
        let bill = if bug == Some(SeededBug::DownloadsWrongVideo) { bill + 1 } else { bill };
        let bytes = if studio.should_inject(SimulatedFault::NotAVideo) {
            b"<html>please log in</html>".to_vec()
        } else {
            video_for_bill(bill)
        };
        let length = bytes.len();
        let ends_early = studio
            .should_inject(SimulatedFault::DownloadTruncated)
            .then(|| studio.rng.random_range(0..length));
        let breaks = studio
            .should_inject(SimulatedFault::DownloadBreaks)
            .then(|| studio.rng.random_range(0..length));
        (bytes, format!("\"{bill}-{length}\""), ends_early, breaks)
    };
    let total = ends_early.is_none().then_some(bytes.len() as u64);
    let from = match resume {
        Some(at) if at.etag == mark && at.offset <= bytes.len() as u64 => at.offset,
        Some(_) | None => 0,
    };
    bytes.truncate(ends_early.unwrap_or(usize::MAX));
    let breaks = breaks.unwrap_or(usize::MAX);
    let body = stream::unfold((handle, bytes, from as usize, false), move |state| async move {
        let (handle, bytes, at, over) = state;
        if over || at >= bytes.len() {
            return None;
        }
        handle.crash_or_continue("in a download").await;
        handle.sleep(Duration::from_millis(700)).await;
        if at >= breaks {
            return Some((
                Err(DownloadError::Truncated { received: at as u64, total }),
                (handle, bytes, at, true),
            ));
        }
        let to = (at + CHUNK_BYTES).min(bytes.len()).min(breaks);
        let chunk = bytes[at..to].to_vec().into();
        Some((Ok(chunk), (handle, bytes, to, false)))
    });
    Ok(HttpDownload { offset: from, total_bytes: total, etag: Some(mark), body: body.boxed() })
}
