//! `callsheet run BATCH.toml`: check, plan, submit, watch, fetch, report.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::drive::{self, Account, Drive, Early};
use super::exit::Exit;
use super::narrowing::Narrowing;
use super::talk::{Talk, counted};
use super::wrap::Wrap;
use super::{Global, diagnostics, plan};
use crate::batch::{self, Batch};
use crate::clock::Clock;
use crate::ledger::{Chosen, Ledger, LedgerError, StoredBatch};
use crate::plan::{self as planning, Estimate, Plan};
use crate::runner::Orders;
use crate::sandbox;

/// Check, plan, submit, watch and fetch a batch; the same command continues it
///
/// Run it again, and again, until it is done: rows that are done are not rendered again, changed
/// rows are rendered as a new version, and what was interrupted goes on. Before anything is
/// spent, the whole sheet is checked; on a terminal you are asked first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet run jobs/spring.toml                   the whole night
  callsheet run jobs/spring.toml --limit 3         only three, to look at them
  callsheet run jobs/spring.toml --only ann,bob    only these rows
  callsheet run jobs/spring.toml --where language=ko
  callsheet run jobs/spring.toml --sandbox         rehearse: costs nothing")]
pub(super) struct Run {
    /// The batch file, such as jobs/spring.toml
    batch: PathBuf,
    /// Rehearse: a virtual AI Studios, a ledger and an output folder of its own
    #[arg(long)]
    sandbox: bool,
    /// Submit at most so many videos in this run
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    narrowing: Narrowing,
    /// Try failed jobs again, as `callsheet retry` would
    #[arg(long)]
    retry_failed: bool,
    /// Leave out rows that are wrong, instead of stopping at them
    #[arg(long)]
    skip_invalid: bool,
    /// Do not ask before spending
    #[arg(long, short)]
    yes: bool,
    /// Render, but do not fetch the videos; a later run fetches them
    #[arg(long)]
    no_download: bool,
    /// Release all rows at once, without waiting for the first videos
    #[arg(long)]
    no_canary: bool,
    /// Submit nothing after this time of day; what is under way is still brought home
    #[arg(long, value_name = "HH:MM", value_parser = drive::time_of_day)]
    until: Option<jiff::civil::Time>,
    /// Do not stay for jobs whose answer was lost; the next run looks again
    #[arg(long)]
    no_wait: bool,
    // Not clap's own `env`: set for real nights, it would forbid every rehearsal.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    #[arg(help = "Another address of AI Studios [env: AISTUDIOS_BASE_URL]")]
    base_url: Option<String>,
    /// Virtual seconds per second of a rehearsal
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = drive::REHEARSAL_SPEED)]
    #[arg(help_heading = "Options of rehearsals")]
    speed: f64,
    /// What goes wrong in a rehearsal, such as lost-answer=5%; `callsheet sandbox --help` lists
    /// all faults
    #[arg(long, value_name = "FAULT", requires = "sandbox")]
    #[arg(help_heading = "Options of rehearsals")]
    fault: Vec<String>,
}

pub(super) async fn run(args: Run, global: &Global, talk: &Talk) -> Exit {
    let wrap = Wrap::new(Clock::real());
    let ended = carry_out(args, global, talk, &wrap).await;
    wrap.up(ended, talk).await
}

async fn carry_out(args: Run, global: &Global, talk: &Talk, wrap: &Wrap) -> Result<Exit, Early> {
    let batch = match batch::read(&args.batch) {
        Ok(batch) => batch,
        Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
    };
    talk.about(batch.name.as_str());
    wrap.about(&batch, global, args.sandbox);
    let batch = with_flags(batch, &args)?;
    let clock = Clock::real();
    let ledger_path = global.ledger(args.sandbox);
    // Settings are judged before anything is made on disk.
    let real = if args.sandbox { None } else { Some(Account::real(&batch)?) };
    let studio = rehearsal(&args)?;
    let ledger = drive::open(&ledger_path).await?;
    let lock = drive::lock(&ledger_path, batch.name.as_str(), &clock)?;
    let account = match real {
        Some(account) => account,
        None => Account::rehearsal(&ledger_path, studio).await?,
    };
    let former = former(&ledger, &batch, &account).await?;
    let mut lease = None;
    if let Some(former) = &former {
        // What a former run left in the air is taken over before anything is compared with it.
        let begun = drive::begin(&ledger, former.id, &clock).await?;
        wrap.in_ledger(&ledger, former.id, Some(begun.0));
        lease = Some(begun);
    }
    let choice = args.narrowing.choice();
    let drawn = planning::draw_up_some(&batch, &account.name, &ledger, &choice).await;
    let plan = match drawn {
        Ok(plan) => plan,
        Err(error) => {
            end_before_it_began(&ledger, lease, &clock).await?;
            wrap.finds(diagnostics::words(&error));
            return Ok(diagnostics::plan(talk, &error, &batch));
        }
    };
    if let Some(exit) = stops_at(&plan, &args, &batch, &account, talk) {
        if exit == Exit::Done {
            // A person said no: there is nothing to tell of.
            wrap.leave();
        }
        wrap.finds(plan.problems.kept().iter().map(ToString::to_string));
        plan.discard().await;
        end_before_it_began(&ledger, lease, &clock).await?;
        return Ok(exit);
    }
    let id =
        plan.take_in(clock.now()).await.map_err(|error| Early::new(Exit::Unexpected, error))?;
    let lease = match lease {
        Some(lease) => lease,
        None => drive::begin(&ledger, id, &clock).await?,
    };
    wrap.in_ledger(&ledger, id, Some(lease.0));
    let unexpected = |error| Early::new(Exit::Unexpected, error);
    let only = match choice.is_everything() {
        true => None,
        false => Some(ledger.last_selection(id).await.map_err(unexpected)?),
    };
    if args.retry_failed {
        let chosen = Chosen { selection: only, ..Chosen::default() };
        let again = ledger.try_again(lease.0, id, chosen, clock.now()).await;
        let again = again.map_err(unexpected)?;
        talk.say(&format!("{} are tried again", counted(again.submits + again.fetches, "job")));
    }
    let orders = Orders { only, ..orders(&args) };
    Drive { batch, orders, ledger, lock, account, clock, wrap }.go(id, lease, talk).await
}

fn with_flags(mut batch: Batch, args: &Run) -> Result<Batch, Early> {
    if !args.sandbox {
        drive::at_base_url(&mut batch, args.base_url.as_deref())?;
    }
    Ok(batch)
}

fn orders(args: &Run) -> Orders {
    Orders {
        only: None,
        limit: args.limit,
        canary: !args.no_canary && !args.no_download,
        download: !args.no_download,
        wait: !args.no_wait,
        until: args.until.map(|until| drive::next_time(until, &jiff::Zoned::now())),
    }
}

fn rehearsal(args: &Run) -> Result<sandbox::Settings, Early> {
    super::sandbox::settings(&args.fault, args.speed)
        .map_err(|words| Early::new(Exit::Usage, words))
}

/// Returns the batch as the ledger knows it. A batch belongs to one host for ever: its open
/// renders could not be found at another, and would be paid for again.
async fn former(
    ledger: &Ledger,
    batch: &Batch,
    account: &Account,
) -> Result<Option<StoredBatch>, Early> {
    match ledger.batch(batch.name.as_str()).await {
        Ok(stored) if stored.base_url == account.name => Ok(Some(stored)),
        Ok(stored) => Err(Early::new(
            Exit::Usage,
            format!(
                "batch `{}` was begun at {} and cannot go on at {}: give it another name, or \
                 choose another ledger",
                batch.name, stored.base_url, account.name
            ),
        )),
        Err(LedgerError::NoBatch { .. }) => Ok(None),
        Err(error) => Err(Early::new(Exit::Unexpected, error)),
    }
}

async fn end_before_it_began(
    ledger: &Ledger,
    lease: Option<(crate::ledger::Lease, crate::ledger::TakenOver)>,
    clock: &Clock,
) -> Result<(), Early> {
    let Some((lease, _)) = lease else { return Ok(()) };
    let ended = ledger.end_run(lease, "not begun", clock.now()).await;
    ended.map_err(|error| Early::new(Exit::Unexpected, error))
}

/// Shows the plan, and says whether the run ends here.
fn stops_at(
    plan: &Plan,
    args: &Run,
    batch: &Batch,
    account: &Account,
    talk: &Talk,
) -> Option<Exit> {
    if !plan.is_clean() {
        let in_sheet = diagnostics::rows(talk, &plan.problems, &plan.texts, batch);
        if !args.skip_invalid || plan.counts.invalid == 0 {
            if in_sheet {
                talk.say("mend the rows, or run with --skip-invalid to leave them out");
            }
            return Some(Exit::Input);
        }
    }
    let estimate = Estimate::of(&plan.counts, &batch.limits);
    if talk.is_json() {
        talk.event(json!({ "type": "plan", "plan": plan::document(plan, batch) }));
    } else {
        talk.say(&plan::headline(plan, batch));
    }
    if estimate.videos == 0 {
        return None;
    }
    let expectation = drive::expectation(&estimate);
    let in_a_rehearsal = if account.is_rehearsal() { " of a real night" } else { "" };
    talk.say(&format!("{expectation}{in_a_rehearsal}"));
    if account.is_rehearsal() || args.yes || !std::io::stdin().is_terminal() {
        return None;
    }
    (!agrees(estimate.videos)).then(|| {
        talk.say("nothing was submitted");
        Exit::Done
    })
}

/// Asks before spending; only ever on a terminal.
fn agrees(videos: u64) -> bool {
    let mut err = std::io::stderr();
    let asked = write!(err, "submit {videos} to AI Studios? This costs credits. [y/N] ");
    if asked.and_then(|()| err.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
