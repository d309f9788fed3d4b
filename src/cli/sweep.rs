//! `callsheet sweep`: deletes stray drafts of ours at AI Studios.
//!
//! Only drafts whose tag is in this ledger, whose paid step never began, and which AI Studios
//! itself does not show as exported. Anything in doubt stays.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::Global;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Hold, Which, agreed, unexpected};
use super::talk::{Talk, counted, plain};
use crate::ledger::{Stray, SubmissionId, Tag};
use crate::runner::{Studio, Tagged, Vendor};

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
    let candidates = candidates(&strays, &Tagged::of(list));
    let mut found: BTreeMap<String, SubmissionId> = BTreeMap::new();
    for (id, stray) in candidates {
        // The project itself has the last word on whether it was ever exported.
        match studio.project(&id).await {
            Ok(project) if project.exported_because.is_none() => {
                talk.result(&format!("{id}  a draft of `{}`", plain(&stray.key)));
                found.insert(id, stray.submission);
            }
            Ok(_) => talk.say(&format!("{id} stays: it may have been exported")),
            Err(trouble) => talk.say(&format!("{id} stays: {}", trouble.words())),
        }
    }
    if found.is_empty() {
        talk.result("no stray drafts to delete");
        return Ok(Exit::Done);
    }
    let drafts = counted(found.len() as u64, "draft");
    if !agreed(&format!("delete {drafts} at AI Studios?"), args.yes, talk) {
        return Ok(Exit::Done);
    }
    let ids: Vec<String> = found.keys().cloned().collect();
    let deleted = studio.delete(&ids).await.map_err(|trouble| passing(trouble.words()))?;
    let submissions = found.into_values().collect();
    hold.ledger.swept(submissions, hold.clock.now()).await.map_err(unexpected)?;
    if talk.is_json() {
        talk.document(&json!({ "asked": ids.len(), "deleted": deleted }));
    } else {
        talk.result(&format!("{deleted} of {drafts} deleted"));
    }
    Ok(if deleted == ids.len() as u64 { Exit::Done } else { Exit::PassingTrouble })
}

/// Returns projects that are stray drafts as far as ledger and list can tell.
fn candidates<'s>(strays: &'s [Stray], list: &Tagged) -> BTreeMap<String, &'s Stray> {
    let mut found = BTreeMap::new();
    for stray in strays {
        if let Some(id) = &stray.project_id {
            found.insert(id.clone(), stray);
        }
        let Some(tag) = Tag::find(&format!("[cs:{}]", stray.tag)) else { continue };
        for listed in list.with(&tag) {
            if listed.exported {
                found.remove(&listed.id);
            } else {
                found.insert(listed.id.clone(), stray);
            }
        }
    }
    found
}
