//! `callsheet resolve`: a person settles one job whose answer was lost.
//!
//! Before a person's word is taken, AI Studios is asked once more: late proof beats a wrong answer.

use clap::{ArgGroup, Args};
use serde_json::json;

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Hold, Which, key, unexpected};
use super::talk::{Talk, plain};
use crate::ledger::{Due, Hearsay, Ledger, News};
use crate::runner::{Seen, Studio, Tagged, Trouble, judge, told_to_keep_ids, weigh};

/// Settle one job whose answer was lost
///
/// AI Studios is asked once more first; what it shows is taken before anything that you say.
#[derive(Debug, Args)]
#[command(override_usage = "\
callsheet resolve <BATCH> <KEY> --adopt <PROJECT>
       callsheet resolve <BATCH> <KEY> --not-submitted
       callsheet resolve <BATCH> <KEY> --abandon")]
#[command(group = ArgGroup::new("verdict").required(true))]
pub(super) struct Resolve {
    #[command(flatten)]
    which: Which,
    /// The job's key; a part that means one key is enough
    key: String,
    /// It was accepted, as this project
    #[arg(long, value_name = "PROJECT", group = "verdict")]
    adopt: Option<String>,
    /// It was never accepted: submit it again in the next run
    #[arg(long, group = "verdict")]
    not_submitted: bool,
    /// Close it without a verdict; it is not submitted again
    #[arg(long, group = "verdict")]
    abandon: bool,
    /// Why, for the job's history
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
}

pub(super) async fn run(args: Resolve, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Resolve, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let hold = args.which.hold(global).await?;
    let key = key(&hold.ledger, &hold.stored, &args.key).await?;
    let found = hold.ledger.uncertain(hold.stored.id, &key).await.map_err(unexpected)?;
    let Some(due) = found else {
        let words = format!("`{key}` is not uncertain: there is nothing to settle");
        hold.release().await?;
        return Err(Early::new(Exit::Usage, words));
    };
    let heard = hold.ledger.hearsay(due.submission).await.map_err(unexpected)?;
    let seen = look(&args, (&hold, &due), heard.as_ref(), talk).await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(early) => {
            hold.release().await?;
            return Err(early);
        }
    };
    let (news, said) = match verdict(&args, (&seen, heard.is_some()), &hold) {
        Ok(verdict) => verdict,
        Err(words) => {
            hold.release().await?;
            return Err(Early::new(Exit::Uncertain, words));
        }
    };
    let now = hold.clock.now();
    let recorded = hold.ledger.record(hold.lease, due.job, due.submission, news, now).await;
    let state = recorded.map_err(unexpected)?.state;
    if talk.is_json() {
        talk.document(&json!({ "key": key, "state": state.word(), "words": said }));
    } else {
        talk.result(&format!("{}: {state}: {}", plain(&key), plain(&said)));
        let commands = Commands::of(global, args.which.sandbox, &hold.stored);
        talk.say(&format!("now: {}", commands.run()));
    }
    hold.release().await?;
    Ok(Exit::Done)
}

/// Looks once more, as the settle loop does.
async fn look(
    args: &Resolve,
    (hold, due): (&Hold, &Due),
    heard: Option<&Hearsay>,
    talk: &Talk,
) -> Result<Seen, Early> {
    let (batch, account) = args.which.account(&hold.ledger, &hold.stored).await?;
    let studio = account.vendor(&batch, &hold.clock)?;
    let draft = match &due.project_id {
        Some(id) => Some(studio.project(id).await.map_err(|trouble| trouble.words())),
        None => None,
    };
    let list = match studio.list().await {
        Ok(list) => {
            let mut tagged = Tagged::of(list).known_from(&batch.vendor);
            tagged.proven = hold.ledger.knows_any(&tagged.ids).await.map_err(unexpected)?;
            let told = told_to_keep_ids(&batch.vendor);
            let keeps_ids = hold.ledger.exports_keep_their_id(hold.stored.id, told).await;
            tagged.keeps_ids = keeps_ids.map_err(unexpected)?;
            Ok(tagged)
        }
        Err(trouble) => Err(trouble.words()),
    };
    let keeps_ids = list.as_ref().is_ok_and(|list: &Tagged| list.keeps_ids);
    let seen = weigh(due, judge(due, &list, draft.as_ref()), heard, keeps_ids);
    let adopted = match (&args.adopt, &seen) {
        // What was seen is taken, whatever was said.
        (None, _) | (_, Seen::Evidence { .. }) => Ok(()),
        (Some(project), _) => may_adopt(project, due, (&hold.ledger, &studio), talk).await,
    };
    account.close().await;
    adopted.map(|()| seen)
}

/// A project that is not there, or another row's, is no film of this row; once adopted, only paying
/// again would help.
async fn may_adopt(
    project: &str,
    due: &Due,
    (ledger, studio): (&Ledger, &impl Studio),
    talk: &Talk,
) -> Result<(), Early> {
    let refused = |words: String| Err(Early::new(Exit::Usage, words));
    let owner = ledger.owner_of(project, due.submission).await.map_err(unexpected)?;
    if let Some((batch, key)) = owner {
        return refused(format!("`{project}` was made for `{key}` of the batch `{batch}`"));
    }
    match studio.project(project).await {
        Ok(_) => Ok(()),
        Err(Trouble::NotFound) => refused(format!(
            "AI Studios has no project `{project}`: copy its id from your account there"
        )),
        Err(trouble) => {
            let words = trouble.words();
            talk.say(&format!(
                "AI Studios could not be asked whether it has `{project}` ({words})"
            ));
            Ok(())
        }
    }
}

/// Weighs what was seen against what the person says.
fn verdict(
    args: &Resolve,
    (seen, was_called_about): (&Seen, bool),
    hold: &Hold,
) -> Result<(News, String), String> {
    let because =
        if args.because.is_empty() { String::new() } else { format!(": {}", args.because) };
    let due_at = hold.clock.now();
    if let Seen::Evidence { project_id, render_id, words, .. } = seen {
        let said = format!("it was accepted after all, as {project_id}: {words}");
        let (project_id, render_id) = (project_id.clone(), render_id.clone());
        let news = News::Accepted { project_id, render_id, due_at, words: words.clone() };
        return Ok((news, said));
    }
    if let Some(project_id) = &args.adopt {
        let said = format!("adopted as {project_id} on a person's word{because}");
        let project_id = project_id.clone();
        let words = said.clone();
        return Ok((News::Accepted { project_id, render_id: None, due_at, words }, said));
    }
    if args.abandon {
        let said = format!("closed by a person without a verdict{because}");
        return Ok((News::Abandoned { words: said.clone() }, said));
    }
    if was_called_about {
        return Err("AI Studios called about this very request, so it was accepted: look for its \
                    project on the website and --adopt it, or --abandon it"
            .to_owned());
    }
    match seen {
        Seen::NoTrace => {
            let said = format!("never accepted, on a person's word{because}");
            Ok((News::ProvenNotMade { due_at, words: said.clone() }, said))
        }
        Seen::Nothing { words } if !args.because.is_empty() => {
            let said = format!("never accepted, on a person's word{because} (and {words})");
            Ok((News::ProvenNotMade { due_at, words: said.clone() }, said))
        }
        Seen::Nothing { words } => Err(format!(
            "AI Studios could not be asked whether it has this job ({words}); if you know from \
             its website that it has not, say so with --because \"…\""
        )),
        Seen::Evidence { .. } => Err("the job was accepted".to_owned()),
    }
}
