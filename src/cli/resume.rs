//! `callsheet resume [BATCH]`: continue from the ledger alone.

use std::path::PathBuf;

use clap::Args;

use super::drive::{self, Account, Drive, Early};
use super::exit::Exit;
use super::talk::Talk;
use super::wrap::Wrap;
use super::{Global, diagnostics};
use crate::batch;
use crate::clock::Clock;
use crate::ledger::{Ledger, StoredBatch};
use crate::runner::Orders;

/// Continue a batch from the ledger alone, without its sheet and template
///
/// Without a name, the ledger's only batch. Changed rows are not seen: `callsheet run` sees them.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The batch's name
    batch: Option<String>,
    /// Go on with a rehearsal
    #[arg(long)]
    sandbox: bool,
    /// Submit at most so many videos in this run
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
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
    speed: f64,
}

pub(super) async fn run(args: Resume, global: &Global, talk: &Talk) -> Exit {
    let wrap = Wrap::new(Clock::real());
    let ended = carry_out(args, global, talk, &wrap).await;
    wrap.up(ended, talk).await
}

async fn carry_out(args: Resume, global: &Global, talk: &Talk, wrap: &Wrap) -> Result<Exit, Early> {
    let ledger_path = global.ledger(args.sandbox);
    if !ledger_path.exists() {
        let words = format!("there is no ledger `{}` to continue from", ledger_path.display());
        return Err(Early::new(Exit::Usage, words));
    }
    let ledger = drive::open(&ledger_path).await?;
    let stored = choose(&ledger, args.batch.as_deref()).await?;
    let file = PathBuf::from(&stored.file);
    let mut batch = match batch::parse(&file, stored.source.clone()) {
        Ok(batch) => batch,
        Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
    };
    talk.about(&stored.name);
    wrap.about(&batch, global, args.sandbox);
    wrap.in_ledger(&ledger, stored.id, None);
    if !args.sandbox {
        drive::at_base_url(&mut batch, args.base_url.as_deref())?;
    }
    let clock = Clock::real();
    let (account, lock) = if args.sandbox {
        let settings = super::sandbox::settings(&[], args.speed)
            .map_err(|words| Early::new(Exit::Usage, words))?;
        let lock = drive::lock(&ledger_path, &stored.name, &clock)?;
        (Account::rehearsal(&ledger_path, settings).await?, lock)
    } else {
        (Account::real(&batch)?, drive::lock(&ledger_path, &stored.name, &clock)?)
    };
    if account.name != stored.base_url {
        let words = format!(
            "batch `{}` was begun at {} and cannot go on at {}",
            stored.name, stored.base_url, account.name
        );
        return Err(Early::new(Exit::Usage, words));
    }
    let lease = drive::begin(&ledger, stored.id, &clock).await?;
    wrap.in_ledger(&ledger, stored.id, Some(lease.0));
    let orders = Orders {
        only: None,
        limit: args.limit,
        canary: !args.no_canary,
        download: true,
        wait: !args.no_wait,
        until: args.until.map(|until| drive::next_time(until, &jiff::Zoned::now())),
    };
    Drive { batch, orders, ledger, lock, account, clock, wrap }.go(stored.id, lease, talk).await
}

async fn choose(ledger: &Ledger, name: Option<&str>) -> Result<StoredBatch, Early> {
    let usage = |words: &dyn std::fmt::Display| Early::new(Exit::Usage, words);
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            let batches = ledger.batches().await.map_err(|error| usage(&error))?;
            let names: Vec<String> = batches.into_iter().map(|batch| batch.name).collect();
            match names.as_slice() {
                [only] => only.clone(),
                [] => return Err(usage(&"this ledger holds no batch yet: use `callsheet run`")),
                many => {
                    let words = format!("which batch? This ledger holds {}", many.join(", "));
                    return Err(usage(&words));
                }
            }
        }
    };
    ledger.batch(&name).await.map_err(|error| usage(&error))
}
