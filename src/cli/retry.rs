//! `callsheet retry` and `callsheet cancel`: a person puts jobs back into the queue, or takes them
//! out of it.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Hold, Which, agreed, key, unexpected};
use super::standing::credits as credits_told;
use super::talk::{Talk, counted};
use crate::ledger::{Again, Chosen, Ledger, State, StoredBatch};

/// Put failed or cancelled jobs back into the queue
///
/// Says how many and what they will cost before it acts. A video that is paid for and could only
/// not be fetched is fetched again, not rendered again. Uncertain jobs are left alone: they may be
/// paid for already (see `callsheet resolve`).
#[derive(Debug, Args)]
pub(super) struct Retry {
    #[command(flatten)]
    which: Which,
    /// Only these keys; a part that means one key is enough
    keys: Vec<String>,
    /// Only jobs that failed for this cause, such as render-failed or refused
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<Wanted>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// The cause after which a film may come all the same.
const GIVEN_UP: &str = "render-failed";

/// A state that somebody can put a job back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Failed,
    Cancelled,
}

impl Wanted {
    fn state(self) -> State {
        match self {
            Self::Failed => State::Failed,
            Self::Cancelled => State::Cancelled,
        }
    }
}

/// Take jobs out that were not submitted yet
///
/// What is under way cannot be stopped: AI Studios has no way to cancel a render, and it will be
/// billed. The command says how many those are.
#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    which: Which,
    /// Only these keys; all that are not submitted when none is given
    keys: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn retry(args: Retry, global: &Global, talk: &Talk) -> Exit {
    match try_again(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

pub(super) async fn cancel(args: Cancel, global: &Global, talk: &Talk) -> Exit {
    match take_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn try_again(args: Retry, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let hold = args.which.hold(global).await?;
    let keys = whole(&hold.ledger, &hold.stored, &args.keys).await?;
    let state = args.state.map(Wanted::state);
    let chosen = Chosen { keys, cause: args.cause, state, selection: None };
    let again = hold.ledger.count_again(hold.stored.id, &chosen).await.map_err(unexpected)?;
    let uncertain = count(&hold.ledger, &hold.stored, State::Uncertain).await?;
    if uncertain > 0 {
        talk.say(&format!(
            "{} left alone: they may be paid for already (callsheet resolve)",
            counted(uncertain, "uncertain job")
        ));
    }
    if again.submits + again.fetches == 0 {
        said(talk, "nothing to try again", &retried(Again::default(), 0.0));
        hold.release().await?;
        return Ok(Exit::Done);
    }
    let per_minute = hold.ledger.credits_per_minute().await.map_err(unexpected)?;
    let credits = again.minutes as f64 * per_minute;
    let what = format!(
        "{} to render and pay for again (about {}), {} to fetch again",
        counted(again.submits, "video"),
        credits_told(credits),
        counted(again.fetches, "finished video")
    );
    let commands = Commands::of(global, args.which.sandbox, &hold.stored);
    say_what_may_have_come(&hold, chosen.clone(), &commands, talk).await?;
    if !agreed(&format!("{what}: go on?"), args.yes, talk) {
        if talk.is_json() {
            talk.document(&retried(Again::default(), 0.0));
        }
        hold.release().await?;
        return Ok(Exit::Done);
    }
    let now = hold.clock.now();
    let again = hold.ledger.try_again(hold.lease, hold.stored.id, chosen, now).await;
    let again = again.map_err(unexpected)?;
    said(talk, &what, &retried(again, credits));
    talk.say(&format!("now: {}", commands.run()));
    hold.release().await?;
    Ok(Exit::Done)
}

/// What is put back here is paid for again, also where its render has come to an end meanwhile.
async fn say_what_may_have_come(
    hold: &Hold,
    chosen: Chosen,
    commands: &Commands,
    talk: &Talk,
) -> Result<(), Early> {
    if chosen.cause.as_deref().is_some_and(|cause| cause != GIVEN_UP) {
        return Ok(());
    }
    let given_up = Chosen { cause: Some(GIVEN_UP.to_owned()), ..chosen };
    let again = hold.ledger.count_again(hold.stored.id, &given_up).await.map_err(unexpected)?;
    if let (1.., Some(run)) = (again.submits, commands.run_again()) {
        let jobs = counted(again.submits, "render");
        talk.say(&format!(
            "{jobs} failed or did not end in time, and may have come since: `{run}` looks first, \
             and pays only for the rest"
        ));
    }
    Ok(())
}

/// Says what came of it, to a person or to a program.
fn said(talk: &Talk, words: &str, document: &Value) {
    if talk.is_json() { talk.document(document) } else { talk.result(words) }
}

fn retried(again: Again, credits: f64) -> Value {
    json!({
        "submits": again.submits, "fetches": again.fetches, "estimated_credits": credits,
    })
}

async fn take_out(args: Cancel, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let hold = args.which.hold(global).await?;
    let keys = whole(&hold.ledger, &hold.stored, &args.keys).await?;
    let open = [State::Submitting, State::Uncertain, State::Rendering];
    let mut billed = 0;
    for state in open {
        billed += count(&hold.ledger, &hold.stored, state).await?;
    }
    let ready = count(&hold.ledger, &hold.stored, State::Ready).await?;
    let most = if keys.is_empty() { ready } else { ready.min(keys.len() as u64) };
    let question = format!("take out {}?", counted(most, "job"));
    if most == 0 || !agreed(&question, args.yes, talk) {
        let document = json!({ "cancelled": 0, "still_billed": billed });
        said(talk, "nothing was taken out", &document);
        hold.release().await?;
        return Ok(Exit::Done);
    }
    let now = hold.clock.now();
    let cancelled = hold.ledger.cancel(hold.lease, hold.stored.id, keys, now).await;
    let cancelled = cancelled.map_err(unexpected)?;
    if talk.is_json() {
        talk.document(&json!({ "cancelled": cancelled, "still_billed": billed }));
    } else {
        talk.result(&format!("{} taken out", counted(cancelled, "job")));
        if billed > 0 {
            talk.result(&format!(
                "{} under way cannot be stopped and will be billed",
                counted(billed, "render")
            ));
        }
    }
    hold.release().await?;
    Ok(Exit::Done)
}

async fn whole(
    ledger: &Ledger,
    stored: &StoredBatch,
    parts: &[String],
) -> Result<Vec<String>, Early> {
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        keys.push(key(ledger, stored, part).await?);
    }
    Ok(keys)
}

async fn count(ledger: &Ledger, stored: &StoredBatch, state: State) -> Result<u64, Early> {
    let counts = ledger.counts(stored.id).await.map_err(unexpected)?;
    Ok(counts.get(&state).copied().unwrap_or(0))
}
