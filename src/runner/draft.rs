//! The free half of a submission: the requests that make what is exported later, and its bytes.
//!
//! Nothing here can start a render. A draft that is lost on the way costs nothing and is made
//! again. What a draft shows of a former render is noted before its own begins, so that neither a
//! poll nor a look for evidence takes the one for the other.

use std::sync::Arc;

use super::desk::Desk;
use super::halt::{Cause, Circuit};
use super::happening::Happening;
use super::in_hand::Grip;
use super::pace::Learned;
use super::payload::Unmade;
use super::port::{Make, Studio, Submitted};
use super::submit::{declined, put_back, refuse, try_again};
use crate::batch::Drafts;
use crate::ledger::{Claim, News};
use crate::request::{After, Kind};
use crate::scene::{Payload, Seal, Sealed};

/// Which of the requests that make a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing exists yet.
    First,
    /// Something exists, and is a stray if this comes to nothing.
    Second,
}

pub(super) async fn make_draft<S: Studio>(desk: Arc<Desk<S>>, claim: Claim) {
    let Some((kind, sealed)) = request(&desk, &claim, false).await else { return };
    if kind.subject.is_some() && !is_quiet(&desk, &claim).await {
        return;
    }
    let make = Make { template: kind.path, path: sealed.path, body: sealed.body };
    let Some(made) = send(&desk, &claim, (Step::First, make)).await else { return };
    let draft = match sealed.edit {
        None => made.clone(),
        Some(body) => {
            let (template, path) = ("editor/project/{key}", format!("editor/project/{made}"));
            let make = Make { template, path, body };
            let Some(id) = send(&desk, &claim, (Step::Second, make)).await else { return };
            id
        }
    };
    let mark = match kind.subject {
        None => None,
        Some(_) => match former_render(&desk, &claim, &draft).await {
            Some(mark) => mark,
            None => return,
        },
    };
    let own = match kind.subject {
        None => match own(&desk, &claim, &draft).await {
            Some(own) => Some(own),
            None => return,
        },
        // What is changed in place is everybody's.
        Some(_) => None,
    };
    match kind.after {
        After::Nothing | After::Edit => {
            let edited = (draft != made).then_some(made);
            drafted(&desk, &claim, News::Drafted { project_id: draft, edited, mark }).await;
        }
        After::Generation => begun(&desk, &claim, draft).await,
    }
    drop(own);
}

/// Takes a project for this draft's own. A cache, or an answer that crossed another, may name one that
/// is another row's: exported for both, it would be paid for twice, and one row have the other's film.
async fn own<S: Studio>(desk: &Desk<S>, claim: &Claim, id: &str) -> Option<Grip<String>> {
    let in_hand = desk.drafts.take(id.to_owned());
    let whose = match (&in_hand, desk.ledger.owner_of(id, claim.submission).await) {
        (Some(_), Ok(None)) => return in_hand,
        (_, Ok(Some((batch, key)))) => format!("`{key}` of `{batch}`"),
        (None, Ok(None)) => "another row".to_owned(),
        (_, Err(error)) => {
            desk.ledger_failed(&error);
            return None;
        }
    };
    let words = format!("AI Studios answered with `{id}`, the project of {whose}");
    tracing::warn!(key = claim.key, "{words}; another draft is made");
    try_again(desk, (claim, Circuit::Draft), Cause::Unknown, words).await;
    None
}

/// Tells whether nothing that was lost can still change the project under our hands. A lost edit of
/// another row may arrive after ours and before our export, which would then be of its words; so it
/// is waited for as long as for anything that was lost.
async fn is_quiet<S: Studio>(desk: &Desk<S>, claim: &Claim) -> bool {
    let lost = match desk.ledger.last_lost_edit(claim).await {
        Ok(lost) => lost,
        Err(error) => {
            desk.ledger_failed(&error);
            return false;
        }
    };
    let until = lost.map(|lost| lost + desk.settings.limits.settle_after);
    let Some(due_at) = until.filter(|until| *until > desk.clock.now()) else { return true };
    let words = "an edit of its project was lost, and may still arrive".to_owned();
    desk.record((claim.job, claim.submission), News::PutBack { due_at, words }).await;
    false
}

async fn drafted<S: Studio>(desk: &Desk<S>, claim: &Claim, news: News) {
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.tell(Happening::Drafted { key: claim.key.clone() });
    }
}

async fn begun<S: Studio>(desk: &Desk<S>, claim: &Claim, project_id: String) {
    let limits = &desk.settings.limits;
    let pause = Learned::default().first_poll(limits.poll_min, limits.poll_max);
    let due_at = desk.after(desk.dice.around(pause, 0.1));
    let news = News::Generating { project_id, due_at };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.bells.generation.notify_one();
        desk.observer.tell(Happening::Generating { key: claim.key.clone(), progress: 0.0 });
    }
}

/// Sends one of the free requests when its turn comes. What comes of anything but success is
/// recorded here.
async fn send<S: Studio>(
    desk: &Desk<S>,
    claim: &Claim,
    (step, make): (Step, Make),
) -> Option<String> {
    let turn = async {
        tokio::select! {
            biased;
            () = desk.no_more_submitting() => false,
            () = desk.allowance.requests().take() => true,
        }
    };
    if !turn.await {
        put_back(desk, claim, "the run ended before its turn").await;
        return None;
    }
    let made = desk.studio.create(make).await;
    if let Submitted::Unknown { retry_after, .. } = &made {
        // The floor first: another draft may be due at once.
        desk.leave_alone(*retry_after).await;
    }
    match (made, step) {
        (Submitted::Accepted(project_id), _) => {
            desk.heard();
            desk.halts.went_well(Circuit::Draft);
            return Some(project_id);
        }
        // Made again, it would be paid for again.
        (Submitted::Unknown { words, .. }, _) if desk.settings.vendor.drafts == Drafts::Cost => {
            let words = format!(
                "the answer to its draft was lost ({words}), and drafts cost: look for it at AI \
                 Studios, then retry"
            );
            refuse(desk, claim, words).await;
        }
        // A lost draft costs nothing; the stray is remembered.
        (Submitted::Unknown { words, .. }, _) | (Submitted::NotSent { words }, Step::Second) => {
            try_again(desk, (claim, Circuit::Draft), Cause::Unknown, words).await;
        }
        (other, _) => declined(desk, (claim, Circuit::Draft), other.map(drop)).await,
    }
    None
}

/// Reads which render a project shows that was there before us. Nothing comes back when that
/// could not be seen: then it must not be exported.
async fn former_render<S: Studio>(
    desk: &Desk<S>,
    claim: &Claim,
    id: &str,
) -> Option<Option<String>> {
    match desk.ask(desk.studio.project(id)).await {
        Some(Ok(project)) => Some(project.mark),
        Some(Err(trouble)) => {
            let words = format!("the edited project could not be read: {}", trouble.words());
            try_again(desk, (claim, Circuit::Draft), Cause::Unknown, words).await;
            None
        }
        None => {
            put_back(desk, claim, "the run ended before its project was read").await;
            None
        }
    }
}

/// Makes the request to send; a job whose bytes cannot be made is failed before anything leaves.
pub(super) async fn request<S: Studio>(
    desk: &Desk<S>,
    claim: &Claim,
    export: bool,
) -> Option<(&'static Kind, Sealed)> {
    let Some(kind) = Kind::named(&claim.request) else {
        let words = format!("this version knows no request `{}`", claim.request);
        refuse(desk, claim, words).await;
        return None;
    };
    if export && !kind.renders_at_once() {
        let words = format!("`{kind}` cannot be rendered with one request; plan it again");
        refuse(desk, claim, words).await;
        return None;
    }
    let resolution = desk.settings.resolution.as_deref();
    let text = match desk.payloads.make(&desk.ledger, (claim, kind), resolution).await {
        Ok(text) => text,
        Err(Unmade::Ledger(error)) => {
            desk.ledger_failed(&error);
            return None;
        }
        Err(Unmade::Differs(words)) => {
            refuse(desk, claim, words).await;
            return None;
        }
    };
    // A draft costs nothing and ends in no video: there is nothing to call about.
    let webhook_url = if export { desk.hook_of(claim) } else { None };
    let seal = Seal {
        tag: claim.tag.as_str(),
        export,
        resolution,
        workspace_id: desk.settings.workspace_id.as_deref(),
        webhook_url: webhook_url.as_deref(),
    };
    match Payload::request(&text, kind, &seal) {
        Ok(sealed) => Some((kind, sealed)),
        Err(error) => {
            refuse(desk, claim, error.to_string()).await;
            None
        }
    }
}
