//! A second look at a render before it is given up or paid for again: the progress page may be wrong.
//!
//! It may not know what is rendered, know it under another id, or have hiccuped in words that sound
//! like an ending. The project itself, and the account's list for the tag, are read before anything
//! is decided that costs money or loses what was paid for. Decides nothing and writes nothing.

use super::desk::Desk;
use super::evidence::{Tagged, is_tagged};
use super::port::{Project, Render, Studio, Trouble};
use crate::ledger::Due;

/// What is to be seen of a render beside its progress page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elsewhere {
    /// Its project shows where its file is.
    Finished { video_url: String },
    /// Its tag is carried by this project, which was certainly exported.
    Other { id: String, finished: bool },
    /// It is nowhere, or not finished.
    Nothing,
    /// It could not be seen, which says nothing.
    Unseen,
}

/// What was said when AI Studios was asked once more whether a render has failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Again {
    /// It has, and its project shows no file.
    Failed,
    /// It is under way, or so it is said now.
    Running { progress: f64 },
    /// It is finished.
    Finished { video_url: String },
    /// Nothing that can be believed.
    Unseen,
}

/// Asks once more whether a render has failed: one answer is not enough to pay again.
pub(super) async fn ask_again<S: Studio>(desk: &Desk<S>, due: &Due, asked: &str) -> Again {
    match desk.ask(desk.studio.progress(asked)).await {
        Some(Ok(Render::Failed { .. })) => {}
        // Whether that is an ending of its own is for the next poll to say.
        Some(Ok(Render::Finished { .. } | Render::WithoutLink)) => {
            return Again::Running { progress: due.progress.unwrap_or(0.0) };
        }
        Some(Ok(Render::Running { progress })) => return Again::Running { progress },
        Some(Err(_)) | None => return Again::Unseen,
    }
    match at_its_projects(desk, due).await {
        Elsewhere::Finished { video_url } => Again::Finished { video_url },
        Elsewhere::Other { .. } | Elsewhere::Nothing => Again::Failed,
        Elsewhere::Unseen => Again::Unseen,
    }
}

/// Looks at the projects under which a render is known, and then in the list for its tag. `list`
/// keeps what was read of that, for others who look in the same moment.
pub(super) async fn look_elsewhere<S: Studio>(
    desk: &Desk<S>,
    due: &Due,
    list: &mut Option<Tagged>,
) -> Elsewhere {
    let own = at_its_projects(desk, due).await;
    if matches!(own, Elsewhere::Finished { .. }) || !is_tagged(due) {
        return own;
    }
    if list.is_none() {
        match desk.ask(desk.studio.list()).await {
            Some(Ok(read)) => *list = Some(Tagged::of(read)),
            Some(Err(_)) | None => return Elsewhere::Unseen,
        }
    }
    let carriers = list.iter().flat_map(|list| list.with(&due.tag));
    let others: Vec<String> =
        carriers.map(|listed| listed.id.clone()).filter(|id| !is_known(due, id)).collect();
    for id in others {
        // A draft that was made twice carries the tag as well.
        match desk.ask(desk.studio.project(&id)).await {
            Some(Ok(Project { exported_because: Some(_), video_url, .. })) => {
                return Elsewhere::Other { id, finished: video_url.is_some() };
            }
            Some(Ok(Project { exported_because: None, .. }) | Err(Trouble::NotFound)) => {}
            Some(Err(_)) | None => return Elsewhere::Unseen,
        }
    }
    own
}

fn is_known(due: &Due, id: &str) -> bool {
    [&due.project_id, &due.render_id].into_iter().flatten().any(|known| known == id)
}

/// Reads the projects under which a render is known: as rendered, and as made.
pub(super) async fn at_its_projects<S: Studio>(desk: &Desk<S>, due: &Due) -> Elsewhere {
    let mut seen = Elsewhere::Nothing;
    let made = due.project_id.as_ref().filter(|made| due.render_id.as_ref() != Some(*made));
    for id in due.render_id.iter().chain(made) {
        match desk.ask(desk.studio.project(id)).await {
            Some(Ok(project)) => {
                if let Some(video_url) = own_file(project, due) {
                    return Elsewhere::Finished { video_url };
                }
            }
            Some(Err(Trouble::NotFound)) => {}
            Some(Err(_)) | None => seen = Elsewhere::Unseen,
        }
    }
    seen
}

/// Returns where a project's file is, unless it is of the render that it showed before ours.
fn own_file(project: Project, due: &Due) -> Option<String> {
    let is_former = due.mark.is_some() && project.mark == due.mark;
    project.video_url.filter(|_| !is_former)
}
