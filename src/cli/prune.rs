//! `callsheet ledger prune`: lets go of old history, after saying what that is.
//!
//! What may go is the ledger's to say. Here the locks of all batches are taken, so that nobody drives
//! one meanwhile, and a person is asked.

use std::path::Path;

use clap::Args;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::json;

use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::{agreed, unexpected};
use super::talk::{Talk, counted};
use crate::clock::Clock;
use crate::ledger::{Ledger, Pruned};

/// See the help of `callsheet ledger prune`.
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// How long ago it must have come to its end: 90d, 12w, 6mo, 1y
    #[arg(long, value_name = "SPAN", value_parser = span)]
    older_than: Span,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Reads how long ago something must be. Less than a day is a slip: the night that just ended is
/// what a person looks at in the morning.
fn span(text: &str) -> Result<Span, String> {
    let wrong = || "write it like 90d, 12w, 6mo or 1y; a day at the least".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let day = now.checked_sub(Span::new().days(1)).map_err(|_| wrong())?;
    let then = now.checked_sub(span).map_err(|_| wrong())?;
    if then <= day { Ok(span) } else { Err(wrong()) }
}

pub(super) async fn prune(path: &Path, args: Prune, talk: &Talk) -> Result<Exit, Early> {
    let ledger = drive::existing(path).await?;
    let clock = Clock::real();
    let mut locks = Vec::new();
    for batch in ledger.batches().await.map_err(unexpected)? {
        locks.push(drive::lock(path, &batch.name, &clock)?);
    }
    let before = clock.now().to_zoned(TimeZone::UTC).checked_sub(args.older_than);
    let before = before.map_err(|error| Early::new(Exit::Usage, error))?.timestamp();
    let exit = carry_out(&ledger, before, &args, talk).await;
    ledger.close().await;
    drop(locks);
    exit
}

async fn carry_out(
    ledger: &Ledger,
    before: Timestamp,
    args: &Prune,
    talk: &Talk,
) -> Result<Exit, Early> {
    let found = ledger.count_prunable(before).await.map_err(unexpected)?;
    if found == Pruned::default() {
        told(found, "nothing", None, talk);
        return Ok(Exit::Done);
    }
    if !talk.is_json() {
        talk.result(&format!("older than {}: {}", before.strftime("%Y-%m-%d"), words(found)));
    }
    talk.say("every row, its video, and whatever was or may have been paid for stay as they are");
    if !agreed("let go of them? It cannot be undone.", args.yes, talk) {
        return Ok(Exit::Done);
    }
    let size = || std::fs::metadata(ledger.path()).map_or(0, |found| found.len());
    let was = size();
    let gone = ledger.prune(before).await.map_err(unexpected)?;
    if let Err(error) = ledger.compact().await {
        talk.error(&format!("the file keeps its size for now: {error}"));
    }
    told(gone, "gone", Some((was, size())), talk);
    Ok(Exit::Done)
}

fn words(found: Pruned) -> String {
    let Pruned { events, versions, runs } = found;
    format!(
        "{} of finished rows, {} that were never submitted, {} that began no paid request",
        counted(events.unsigned_abs(), "event"),
        counted(versions.unsigned_abs(), "content"),
        counted(runs.unsigned_abs(), "run"),
    )
}

fn told(found: Pruned, word: &str, size: Option<(u64, u64)>, talk: &Talk) {
    let Pruned { events, versions, runs } = found;
    if talk.is_json() {
        let bytes = size.map(|(was, is)| json!({ "before": was, "after": is }));
        talk.document(&json!({
            "events": events, "versions": versions, "runs": runs, "bytes": bytes,
        }));
        return;
    }
    match size {
        Some((was, is)) => talk.result(&format!(
            "{word}; the file took {:.1} MB and takes {:.1} MB",
            was as f64 / 1e6,
            is as f64 / 1e6
        )),
        None => talk.result("nothing to let go of"),
    }
}
