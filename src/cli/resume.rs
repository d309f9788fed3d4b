//! `callsheet resume [BATCH]`: continue from the ledger alone.

use std::path::{Path, PathBuf};

use clap::Args;

use super::advice::Commands;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hours::HoursArgs;
use super::narrowing::number;
use super::night::{Drive, Night};
use super::prepare::{self, Batched, Taken};
use super::talk::Talk;
use super::whom;
use super::wraps::Wraps;
use super::{Global, diagnostics, hooks};
use crate::batch;
use crate::clock::Clock;
use crate::ledger::{Ledger, State, StoredBatch};
use crate::runner::Orders;

/// Continue a batch from the ledger alone, without its sheet and template
///
/// Without a name, every batch of the ledger that has something left to do, side by side. Changed
/// rows are not seen: `callsheet run` sees them.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The batch's name
    batch: Option<String>,
    /// Go on with a rehearsal
    #[arg(long)]
    sandbox: bool,
    /// Submit at most so many videos in this run, of each batch
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    limit: Option<u32>,
    /// Submit at most so many videos in this run, instead of the batch file's `max_videos`
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    max_videos: Option<u32>,
    /// Release all rows at once, without waiting for the first videos
    #[arg(long)]
    no_canary: bool,
    #[command(flatten)]
    hours: HoursArgs,
    /// Take the calls of AI Studios in this run, as `[webhook]` of the batch file says
    #[arg(long)]
    webhook: bool,
    /// Do not stay for jobs whose answer was lost; the next run looks again
    #[arg(long)]
    no_wait: bool,
    // Not clap's own `env`: set for real nights, it would forbid every rehearsal.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    #[arg(help = "Another address of AI Studios [env: AISTUDIOS_BASE_URL]")]
    base_url: Option<String>,
    /// Virtual seconds per second of a rehearsal
    #[arg(long, value_name = "N", requires = "sandbox", default_value_t = whom::REHEARSAL_SPEED)]
    speed: f64,
}

pub(super) async fn run(args: Resume, global: &Global, talk: &Talk) -> Exit {
    let wraps = Wraps::new(Clock::real());
    let ended = wraps.over(carry_out(args, global, talk, &wraps)).await;
    wraps.up(ended, talk).await
}

async fn carry_out(
    args: Resume,
    global: &Global,
    talk: &Talk,
    wraps: &Wraps,
) -> Result<Exit, Early> {
    let path = global.ledger(args.sandbox);
    if !path.exists() {
        let words = format!("there is no ledger `{}` to continue from", path.display());
        return Err(Early::new(Exit::Usage, words).and(&global.elsewhere(args.sandbox)));
    }
    let ledger = drive::open(&path).await?;
    let stored = choose(&ledger, args.batch.as_deref()).await;
    let stored = stored.map_err(|early| early.and(&global.elsewhere(args.sandbox)))?;
    match stored.as_slice() {
        [] => {
            talk.say("nothing is left to do in any batch of this ledger");
            return Ok(Exit::Done);
        }
        [only] => talk.about(&only.name),
        _ => {}
    }
    let batches = match read(&stored, &args, (global, wraps, &ledger), talk)? {
        Ok(batches) => batches,
        Err(exit) => return Ok(exit),
    };
    let clock = Clock::real();
    let taken = take(batches, &args, &path, &clock).await?;
    at_home(&stored, &taken)?;
    let mut drives = Vec::new();
    for (stored, Taken { batch, lock, account, wrap }) in stored.iter().zip(taken) {
        let hours = args.hours.of(batch.window.as_ref(), &jiff::Zoned::now());
        if let Some(words) = hours.shut {
            talk.say(&format!("{}: {words}", batch.name));
        }
        let lease = drive::begin(&ledger, stored.id, &clock).await?;
        wrap.in_ledger(&ledger, stored.id, Some(lease.0));
        let commands = Commands::of(global, args.sandbox, stored);
        drives.push(Drive {
            batch,
            id: stored.id,
            lease,
            orders: Orders { until: hours.until, ..orders(&args) },
            lock,
            account,
            commands,
            wrap,
        });
    }
    Night { ledger, clock, drives, receives: args.webhook }.go(talk, wraps.vigil()).await
}

fn orders(args: &Resume) -> Orders {
    Orders {
        only: None,
        limit: args.limit,
        canary: !args.no_canary,
        download: true,
        wait: !args.no_wait,
        until: None,
        again: false,
    }
}

/// Returns the named batch, or all that have something left to do.
async fn choose(ledger: &Ledger, name: Option<&str>) -> Result<Vec<StoredBatch>, Early> {
    let usage = |words: &dyn std::fmt::Display| Early::new(Exit::Usage, words);
    if let Some(name) = name {
        return Ok(vec![ledger.batch(name).await.map_err(|error| usage(&error))?]);
    }
    let batches = ledger.batches().await.map_err(|error| usage(&error))?;
    if batches.is_empty() {
        return Err(usage(&"this ledger holds no batch yet: use `callsheet run`"));
    }
    let mut open = Vec::new();
    for batch in &batches {
        let counts = ledger.counts(batch.id).await.map_err(|error| usage(&error))?;
        if counts.keys().any(|state| goes_on(*state)) || batches.len() == 1 {
            open.push(ledger.batch(&batch.name).await.map_err(|error| usage(&error))?);
        }
    }
    Ok(open)
}

/// Tells whether a run can do something for a job in this state.
fn goes_on(state: State) -> bool {
    match state {
        State::Ready
        | State::Submitting
        | State::Uncertain
        | State::Rendering
        | State::Fetching => true,
        State::Done | State::Reused | State::Failed | State::Cancelled => false,
    }
}

/// Reads the batch files as the ledger keeps them.
fn read(
    stored: &[StoredBatch],
    args: &Resume,
    (global, wraps, ledger): (&Global, &Wraps, &Ledger),
    talk: &Talk,
) -> Result<Result<Vec<Batched>, Exit>, Early> {
    let (mut batches, mut exits) = (Vec::new(), Vec::new());
    for stored in stored {
        match batch::parse(&PathBuf::from(&stored.file), stored.source.clone()) {
            Ok(mut batch) => {
                let wrap = wraps.about(&batch, global, args.sandbox);
                wrap.in_ledger(ledger, stored.id, None);
                batch.limits.max_videos = args.max_videos.or(batch.limits.max_videos);
                if args.webhook && !args.sandbox {
                    hooks::are_named(&batch)?;
                }
                if !args.sandbox {
                    whom::at_base_url(&mut batch, args.base_url.as_deref())?;
                }
                batches.push((batch, wrap));
            }
            Err(problems) => exits.push(diagnostics::batch(talk, &problems)),
        }
    }
    Ok(if exits.is_empty() { Ok(batches) } else { Err(Exit::gravest(exits)) })
}

async fn take(
    batches: Vec<Batched>,
    args: &Resume,
    ledger: &Path,
    clock: &Clock,
) -> Result<Vec<Taken>, Early> {
    let accounts = if args.sandbox { Vec::new() } else { prepare::accounts(&batches)? };
    let studio = super::sandbox::settings(&[], args.speed)
        .map_err(|words| Early::new(Exit::Usage, words))?;
    prepare::take(batches, (accounts, studio), ledger, clock).await
}

/// A batch belongs to one host for ever.
fn at_home(stored: &[StoredBatch], taken: &[Taken]) -> Result<(), Early> {
    for (stored, taken) in stored.iter().zip(taken) {
        if taken.account.name != stored.base_url {
            let words = format!(
                "batch `{}` was begun at {} and cannot go on at {}",
                stored.name, stored.base_url, taken.account.name
            );
            return Err(Early::new(Exit::Usage, words));
        }
    }
    Ok(())
}
