//! `callsheet pause` and `callsheet unpause`: a person holds a batch back, or lets it go on, also
//! while another process drives it.
//!
//! Neither takes the batch's lock: that is the live run's. The run reads the pause in every claim.

use clap::Args;
use serde_json::json;

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Which, unexpected};
use super::talk::Talk;
use crate::runner::holder_of;

/// Hold a batch back: nothing more is submitted until it is unpaused
#[derive(Debug, Args)]
#[command(after_help = "\
Works while a run is live, which hears of it within seconds: it brings home what
is under way, then waits until the batch is unpaused, its time is over or it is
stopped. A run that is begun meanwhile submits nothing and ends with exit 8.

With --json, {\"batch\": …, \"paused\": …, \"changed\": …, \"live\": … or null}.")]
pub(super) struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Let a paused batch go on
#[derive(Debug, Args)]
#[command(after_help = "\
A run that is live goes on within seconds; otherwise the next one does.

With --json, {\"batch\": …, \"paused\": …, \"changed\": …, \"live\": … or null}.")]
pub(super) struct Unpause {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn pause(args: Pause, global: &Global, talk: &Talk) -> Exit {
    set(args.which, true, (global, talk)).await.unwrap_or_else(|early| early.tell(talk))
}

pub(super) async fn unpause(args: Unpause, global: &Global, talk: &Talk) -> Exit {
    set(args.which, false, (global, talk)).await.unwrap_or_else(|early| early.tell(talk))
}

async fn set(which: Which, paused: bool, (global, talk): (&Global, &Talk)) -> Result<Exit, Early> {
    let (ledger, stored) = which.find(global).await?;
    let changed = ledger.set_paused(stored.id, paused).await.map_err(unexpected)?;
    let live = holder_of(ledger.path(), &stored.name);
    ledger.close().await;
    if talk.is_json() {
        talk.document(&json!({
            "batch": stored.name, "paused": paused, "changed": changed, "live": live,
        }));
        return Ok(Exit::Done);
    }
    let name = &stored.name;
    let commands = Commands::of(global, which.sandbox, &stored);
    match (paused, changed) {
        (true, true) => talk.result(&format!("{name} is paused: nothing more is submitted")),
        (true, false) => talk.result(&format!("{name} was paused already")),
        (false, true) => talk.result(&format!("{name} may go on")),
        (false, false) => talk.result(&format!("{name} was not paused")),
    }
    match (paused, live) {
        (true, Some(holder)) => talk.say(&format!(
            "a run is live ({holder}): it hears of it within seconds, brings home what is under \
             way, and waits\nlet it go on: {}",
            commands.unpause()
        )),
        (true, None) => talk.say(&format!("let it go on: {}", commands.unpause())),
        (false, Some(holder)) => {
            talk.say(&format!("a run is live ({holder}): it goes on within seconds"));
        }
        (false, None) => talk.say(&format!("now: {}", commands.run())),
    }
    Ok(Exit::Done)
}
