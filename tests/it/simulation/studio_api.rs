//! The simulated studio as the runner sees it: every call arrives, is acted upon or not, and is
//! answered or not; and at every one of these steps the runner may die.

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
use super::studio_records::{ActionResult, StudioAction, StudioState};

/// What is shared between the stage, the observer and the night.
#[derive(Clone, Debug)]
pub(super) struct SimulationHandle {
    pub(super) studio: Arc<Mutex<StudioState>>,
    pub(super) clock: Clock,
    pub(super) crash: Arc<Notify>,
    pub(super) stop: StopSignal,
}

impl SimulationHandle {
    pub(super) fn lock_studio(&self) -> MutexGuard<'_, StudioState> {
        self.studio.lock().unwrap()
    }

    /// A moment at which the runner may die, or be asked to stop. Tells whether it is dead.
    pub(super) fn reach_event(&self, what: &str) -> bool {
        let mut world = self.lock_studio();
        let now = self.clock.now();
        if let Some(left) = &mut world.stop_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                world.stop_in = None;
                world.note(now, &format!("asked to stop at: {what}"));
                self.stop.escalate();
            }
        }
        match world.crash_in {
            Some(0) => true,
            Some(1) => {
                world.crash_in = Some(0);
                world.note(now, &format!("DIES at: {what}"));
                self.crash.notify_one();
                true
            }
            Some(left) => {
                world.crash_in = Some(left - 1);
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

/// What becomes of a request that was sent and will not be answered.
#[derive(Clone, Copy, Debug)]
enum LostResponse {
    NotActed,
    Acted,
    ActedLate,
}

impl SimulatedStudio {
    /// Brings a request that makes something through: to the studio, and back if it comes back.
    async fn deliver(&self, act: StudioAction, paid: bool) -> SubmitOutcome<usize> {
        let house = &self.handle;
        if house.lock_studio().should_inject(SimulatedFault::NotSent) {
            house.sleep(Duration::from_secs(10)).await;
            return not_sent("cannot be reached");
        }
        house.crash_or_continue("before an act").await;
        {
            let mut world = house.lock_studio();
            world.receive_request(house.clock.now(), &format!("asked: {act:?}"));
            if paid {
                world.begin_paid_request(house.clock.now());
            }
        }
        let answer = self.respond(act).await;
        if paid {
            house.lock_studio().end_paid_request();
        }
        house.crash_or_continue("after an act, before its answer").await;
        if let SubmitOutcome::RateLimited { retry_after } = &answer {
            house.lock_studio().note_retry_after(house.clock.now(), *retry_after);
        }
        let sins = self.seeded_bug == Some(SeededBug::ResendsUnknown) && paid;
        match answer {
            SubmitOutcome::Unknown { .. } if sins => not_sent("no response"),
            SubmitOutcome::RateLimited { .. }
                if self.seeded_bug == Some(SeededBug::IgnoresRetryAfter) =>
            {
                not_sent("no response")
            }
            answer => answer,
        }
    }

    async fn respond(&self, act: StudioAction) -> SubmitOutcome<usize> {
        let house = &self.handle;
        let answers_in = house.lock_studio().setup.behavior.response_time;
        house.sleep(answers_in / 2).await;
        if let Some(answer) = self.decline() {
            house.sleep(answers_in / 2).await;
            return answer;
        }
        let fate = {
            let mut world = house.lock_studio();
            let fates = [
                (SimulatedFault::RequestLost, LostResponse::NotActed),
                (SimulatedFault::ResponseLost, LostResponse::Acted),
                (SimulatedFault::ActedLate, LostResponse::ActedLate),
            ];
            fates.into_iter().find(|(fault, _)| world.should_inject(*fault)).map(|(_, fate)| fate)
        };
        let Some(fate) = fate else {
            let (done, hangs) = {
                let mut world = house.lock_studio();
                (
                    world.apply_action(house.clock.now(), act),
                    world.should_inject(SimulatedFault::Hang),
                )
            };
            if hangs {
                house.sleep(Duration::from_secs(30)).await;
                return unknown(UnknownReason::TimedOut);
            }
            house.crash_or_continue("after an act").await;
            house.sleep(answers_in / 2).await;
            return match done {
                ActionResult::Project { project } => {
                    house.lock_studio().mark_accepted(house.clock.now(), project);
                    SubmitOutcome::Accepted(project)
                }
                ActionResult::Refused => refused("exported already"),
            };
        };
        {
            let mut world = house.lock_studio();
            let now = house.clock.now();
            world.note(now, &format!("(answer lost) {fate:?}"));
            match fate {
                LostResponse::NotActed => {}
                LostResponse::Acted => drop(world.apply_action(now, act)),
                LostResponse::ActedLate => {
                    let most = world.setup.behavior.act_delay_max;
                    let after = world.random_duration(most);
                    world.schedule_action(now + after, act);
                }
            }
        }
        house.crash_or_continue("after an act whose answer is lost").await;
        house.sleep(answers_in / 2).await;
        unknown(UnknownReason::ServerError)
    }

    /// Answers that say that nothing was done.
    fn decline<T>(&self) -> Option<SubmitOutcome<T>> {
        let now = self.handle.clock.now();
        let mut world = self.handle.lock_studio();
        if let Some(polls_too) = world.account_error(now) {
            world.note(now, "answered: the account is in trouble");
            let kind = match polls_too {
                true => AccountRefusalKind::CredentialsRefused,
                false => AccountRefusalKind::NoCredits,
            };
            return Some(SubmitOutcome::Account { kind, message: "no credits".to_owned() });
        }
        if world.should_inject(SimulatedFault::SlowDown) {
            let retry_after = world.draw_retry_after();
            world.note(now, &format!("answered: slow down {retry_after:?}"));
            return Some(SubmitOutcome::RateLimited { retry_after });
        }
        if world.should_inject(SimulatedFault::Refused) && world.rng.random_bool(0.3) {
            world.note(now, "answered: refused");
            return Some(refused("invalid clip"));
        }
        None
    }

    /// Brings a free call through.
    async fn deliver_free_call<T>(
        &self,
        what: String,
        answer: impl FnOnce(&mut StudioState) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let house = &self.handle;
        house.crash_or_continue("before a free call").await;
        let answers_in = {
            let mut world = house.lock_studio();
            world.receive_request(house.clock.now(), &what);
            world.setup.behavior.response_time
        };
        house.sleep(answers_in).await;
        let answer = {
            let now = house.clock.now();
            let mut world = house.lock_studio();
            if world.should_refuse_polls(now) {
                let kind = AccountRefusalKind::CredentialsRefused;
                Err(CallError::Account { kind, message: "token refused".to_owned() })
            } else if world.should_inject(SimulatedFault::FreeCallFails) {
                Err(CallError::Transient {
                    cause: TransientCause::Unusable(UnknownReason::ServerError),
                    message: "503".to_owned(),
                    retry_after: None,
                })
            } else if world.should_inject(SimulatedFault::SlowDown) {
                let retry_after = world.draw_retry_after();
                Err(CallError::RateLimited { retry_after })
            } else {
                answer(&mut world)
            }
        };
        let words = match &answer {
            Ok(_) => "answered".to_owned(),
            Err(trouble) => format!("answered: {trouble:?}"),
        };
        house.lock_studio().note(house.clock.now(), &words);
        house.crash_or_continue("after a free call").await;
        if let Err(CallError::RateLimited { retry_after }) = &answer {
            house.lock_studio().note_retry_after(house.clock.now(), *retry_after);
        }
        answer
    }
}

/// What a request that makes or changes a project says, whatever its kind.
struct ParsedRequest {
    name: String,
    key: String,
    script: String,
    is_export: bool,
    /// The project that is changed, where one is.
    edited_project: Option<String>,
    /// The studio writes the project by itself.
    is_written_by_studio: bool,
}

impl ParsedRequest {
    fn from_request(make: &CreateRequest) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_slice(&make.body).unwrap();
        let text = |pointer: &str| body.pointer(pointer)?.as_str().map(str::to_owned);
        let name = text("/name").unwrap_or_default();
        let changed = || make.path.strip_prefix("editor/project/").map(str::to_owned);
        let (script, edits, writes) = match make.path_template {
            "editor/project" => (text("/scenes/0/scripts/0/org")?, None, false),
            "editor/template/{templateId}" => (String::new(), None, false),
            "automation/scripts_to_video" => (text("/scripts")?, None, true),
            "simple/video" => (text("/text")?, None, false),
            "editor/project/{key}" | "editor/project/{projectId}" => {
                (text("/updates/value/0/values/script")?, Some(changed()?), false)
            }
            _ => return None,
        };
        // Every script begins with its row's key; a template's first request has none yet.
        let said = if script.is_empty() { &name } else { &script };
        let key = said.split(' ').next()?.to_owned();
        let export = body.get("isExport").and_then(serde_json::Value::as_bool).unwrap_or(false);
        Some(Self {
            name,
            key,
            script,
            is_export: export,
            edited_project: edits,
            is_written_by_studio: writes,
        })
    }
}

impl StudioApi for SimulatedStudio {
    async fn create_project(&self, make: CreateRequest) -> SubmitOutcome<ProjectId> {
        let Some(asked) = ParsedRequest::from_request(&make) else {
            return refused("no such page");
        };
        let (export, writes) = (asked.is_export, asked.is_written_by_studio);
        let act = {
            let world = self.handle.lock_studio();
            let edits = world.edits.get(&asked.key).copied().unwrap_or(0);
            let content = (asked.key, asked.script, edits);
            match asked.edited_project {
                None => StudioAction::Create { name: asked.name, content, export },
                Some(id) => match world.project_index(&id) {
                    Some(project) => StudioAction::Edit { project, content },
                    None => {
                        return refused("no such project");
                    }
                },
            }
        };
        let made = self.deliver(act, export).await;
        made.map(|project| {
            let mut world = self.handle.lock_studio();
            if writes {
                world.start_generation(self.handle.clock.now(), project);
            }
            project_id(&world.projects[project].id)
        })
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<ProjectId>> {
        let Some(project) = self.handle.lock_studio().project_index(&export.project_id) else {
            return refused("no such project");
        };
        let made = self.deliver(StudioAction::Export { project }, true).await;
        made.map(|project| Some(project_id(&self.handle.lock_studio().exported_id(project))))
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        let clock = &self.handle.clock;
        let seen = self.deliver_free_call(format!("asked: progress of {project_id}"), |world| {
            let project =
                world.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
            let render = world.progress(clock.now(), project);
            world.note(clock.now(), &format!("project {project}: {render:?}"));
            Ok(render)
        });
        let seen = seen.await;
        if self.seeded_bug == Some(SeededBug::TreatsRunningAsFailed)
            && matches!(seen, Ok(RenderStatus::Running { .. }))
        {
            return Ok(RenderStatus::Failed { message: "failed, it seems".to_owned() });
        }
        seen
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let clock = &self.handle.clock;
        self.deliver_free_call(format!("asked: generation of {project_id}"), |world| {
            let project =
                world.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
            Ok(world.generation(clock.now(), project))
        })
        .await
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let clock = &self.handle.clock;
        self.deliver_free_call(format!("asked: project {project_id}"), |world| {
            let project =
                world.visible_project(clock.now(), project_id).ok_or(CallError::NotFound)?;
            Ok(world.project_page(clock.now(), project))
        })
        .await
    }

    async fn list_projects(&self) -> Result<ProjectList, CallError> {
        let clock = &self.handle.clock;
        let list = self
            .deliver_free_call("asked: list".to_owned(), |world| Ok(world.list(clock.now())))
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

    /// Nobody sweeps at night.
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

/// Parts in which a video arrives.
const CHUNK_BYTES: usize = 5000;

async fn download_video(
    house: SimulationHandle,
    sin: Option<SeededBug>,
    url: String,
    resume: Option<DownloadResume>,
) -> Result<HttpDownload, DownloadError> {
    house.crash_or_continue("before a download").await;
    let (mut bytes, mark, ends_early, breaks) = {
        let mut world = house.lock_studio();
        let now = house.clock.now();
        world.note(now, &format!("download {url} from {:?}", resume.as_ref().map(|at| at.offset)));
        let bill =
            world.resolve_link(now, &url).ok_or(DownloadError::LinkExpired { status: 403 })?;
        if world.should_inject(SimulatedFault::DownloadRefused) {
            return Err(DownloadError::TooLarge);
        }
        let bill = if sin == Some(SeededBug::DownloadsWrongVideo) { bill + 1 } else { bill };
        let bytes = if world.should_inject(SimulatedFault::NotAVideo) {
            b"<html>please log in</html>".to_vec()
        } else {
            video_for_bill(bill)
        };
        let length = bytes.len();
        let ends_early = world
            .should_inject(SimulatedFault::DownloadTruncated)
            .then(|| world.rng.random_range(0..length));
        let breaks = world
            .should_inject(SimulatedFault::DownloadBreaks)
            .then(|| world.rng.random_range(0..length));
        (bytes, format!("\"{bill}-{length}\""), ends_early, breaks)
    };
    let total = ends_early.is_none().then_some(bytes.len() as u64);
    let from = match resume {
        Some(at) if at.etag == mark && at.offset <= bytes.len() as u64 => at.offset,
        Some(_) | None => 0,
    };
    bytes.truncate(ends_early.unwrap_or(usize::MAX));
    let breaks = breaks.unwrap_or(usize::MAX);
    let body = stream::unfold((house, bytes, from as usize, false), move |state| async move {
        let (house, bytes, at, over) = state;
        if over || at >= bytes.len() {
            return None;
        }
        house.crash_or_continue("in a download").await;
        house.sleep(Duration::from_millis(700)).await;
        if at >= breaks {
            return Some((
                Err(DownloadError::Truncated { received: at as u64, total }),
                (house, bytes, at, true),
            ));
        }
        let to = (at + CHUNK_BYTES).min(bytes.len()).min(breaks);
        let chunk = bytes[at..to].to_vec().into();
        Some((Ok(chunk), (house, bytes, to, false)))
    });
    Ok(HttpDownload { offset: from, total_bytes: total, etag: Some(mark), body: body.boxed() })
}
