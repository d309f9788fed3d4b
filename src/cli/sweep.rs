//! `callsheet sweep`: deletes stray drafts of ours at AI Studios.
//!
//! Only drafts that carry a tag of this ledger, whose paid step never began, and which AI Studios
//! itself does not show as exported. Anything in doubt stays, and nothing is called deleted that was
//! not: where the count differs, each is looked for.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::json;

use super::Global;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Hold, Which, agreed, unexpected};
use super::talk::{Talk, counted, plain};
use crate::ledger::{Stray, SubmissionId, Tag};
use crate::runner::{Project, Studio, Tagged, Trouble, Vendor};

/// Why a project stays that is no draft any more, or may not be.
const EXPORTED: &str = "it may have been exported";

/// Delete drafts at AI Studios that lost answers left behind
///
/// A lost answer to a free draft costs nothing, but the draft stays in your account. This finds
/// them by the tag in their name, and asks before it deletes any.
#[derive(Debug, Args)]
pub(super) struct Sweep {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(args: Sweep, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Sweep, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let hold = args.which.hold(global).await?;
    let strays = hold.ledger.strays(hold.stored.id).await.map_err(unexpected)?;
    let (batch, account) = args.which.account(&hold.ledger, &hold.stored).await?;
    let studio = account.vendor(&batch, &hold.clock)?;
    let swept = sweep(&args, &hold, (&studio, strays), talk).await;
    account.close().await;
    hold.release().await?;
    swept
}

async fn sweep(
    args: &Sweep,
    hold: &Hold,
    (studio, strays): (&Vendor, Vec<Stray>),
    talk: &Talk,
) -> Result<Exit, Early> {
    let passing = |words: String| Early::new(Exit::PassingTrouble, words);
    let list = studio.list().await.map_err(|trouble| passing(trouble.words()))?;
    let mut sorted = Sorted::default();
    for (id, Candidate { stray, is_exported }) in candidates(&strays, &Tagged::of(list)) {
        // The project itself has the last word on whether it is a draft still.
        let looked_at = if is_exported { None } else { Some(studio.project(&id).await) };
        let why = match looked_at {
            None => EXPORTED.to_owned(),
            Some(Ok(project)) => match stays_because(&project, stray) {
                None => {
                    sorted.drafts.push((id, stray));
                    continue;
                }
                Some(why) => why.to_owned(),
            },
            Some(Err(Trouble::NotFound)) => {
                sorted.gone.push(stray.submission);
                continue;
            }
            Some(Err(trouble)) => trouble.words(),
        };
        talk.say(&format!("{id} stays: {why}"));
        sorted.staying.insert(stray.submission);
    }
    for (id, stray) in &sorted.drafts {
        if !talk.is_json() {
            talk.result(&format!("{id}  a draft of `{}`", plain(&stray.key)));
        }
    }
    let ids: Vec<String> = sorted.drafts.iter().map(|(id, _)| id.clone()).collect();
    let drafts = counted(ids.len() as u64, "draft");
    let mut deleted = 0;
    if !ids.is_empty() {
        if !agreed(&format!("delete {drafts} at AI Studios?"), args.yes, talk) {
            return Ok(Exit::Done);
        }
        deleted = studio.delete(&ids).await.map_err(|trouble| passing(trouble.words()))?;
        sorted.note_deleted(deleted, studio).await;
    }
    let swept = sorted.swept();
    hold.ledger.swept(swept, hold.clock.now()).await.map_err(unexpected)?;
    if talk.is_json() {
        talk.document(&json!({ "asked": ids.len(), "deleted": deleted }));
    } else if ids.is_empty() {
        talk.result("no stray drafts to delete");
    } else {
        talk.result(&format!("{deleted} of {drafts} deleted"));
    }
    Ok(if deleted == ids.len() as u64 { Exit::Done } else { Exit::PassingTrouble })
}

/// What became of the candidates.
#[derive(Default)]
struct Sorted<'s> {
    /// Projects to delete.
    drafts: Vec<(String, &'s Stray)>,
    /// Submissions of which a project is not there any more.
    gone: Vec<SubmissionId>,
    /// Submissions of which a project stays.
    staying: BTreeSet<SubmissionId>,
}

impl Sorted<'_> {
    /// Believes a count that is right. Of any other nobody knows which ones are meant, so each
    /// project is looked for.
    async fn note_deleted(&mut self, deleted: u64, studio: &Vendor) {
        for (id, stray) in &self.drafts {
            let is_gone = deleted == self.drafts.len() as u64
                || studio.project(id).await == Err(Trouble::NotFound);
            if is_gone {
                self.gone.push(stray.submission);
            } else {
                self.staying.insert(stray.submission);
            }
        }
    }

    /// Returns the submissions of which nothing is left.
    fn swept(self) -> Vec<SubmissionId> {
        let Self { mut gone, staying, .. } = self;
        gone.retain(|submission| !staying.contains(submission));
        gone
    }
}

/// Says why a project is not ours to delete.
fn stays_because(project: &Project, stray: &Stray) -> Option<&'static str> {
    let tag = project.name.as_deref().and_then(Tag::find);
    if project.exported_because.is_some() {
        Some(EXPORTED)
    } else if tag.is_none_or(|tag| tag.as_str() != stray.tag) {
        Some("its name does not carry the tag of this draft, so somebody may have taken it over")
    } else {
        None
    }
}

/// A project that carries the tag of a stray draft.
struct Candidate<'s> {
    stray: &'s Stray,
    /// Whether the list shows it as exported.
    is_exported: bool,
}

/// Returns the projects that ledger and list know of stray drafts.
fn candidates<'s>(strays: &'s [Stray], list: &Tagged) -> BTreeMap<String, Candidate<'s>> {
    let mut found = BTreeMap::new();
    for stray in strays {
        if let Some(id) = &stray.project_id {
            found.insert(id.clone(), Candidate { stray, is_exported: false });
        }
        let Some(tag) = Tag::find(&format!("[cs:{}]", stray.tag)) else { continue };
        for listed in list.with(&tag) {
            let candidate = Candidate { stray, is_exported: listed.exported };
            found.insert(listed.id.clone(), candidate);
        }
    }
    found
}
