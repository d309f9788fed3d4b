//! `callsheet run BATCH.toml…`: check, plan, submit, watch, fetch, report.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::advice::Commands;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hours::HoursArgs;
use super::media;
use super::narrowing::{Narrowing, number};
use super::night::{Drive, Night};
use super::prepare::{self, Batched, Drawn, Ready, Taken};
use super::talk::{Talk, counted};
use super::whom;
use super::wraps::Wraps;
use super::{Global, diagnostics, hooks, overwrite, spool};
use crate::batch::{self, Batch};
use crate::clock::Clock;
use crate::ledger::{Chosen, Ledger};
use crate::runner::Orders;
use crate::sandbox;

/// Check, plan, submit, watch and fetch a batch; the same command continues it
///
/// Run it again, and again, until it is done: rows that are done are not rendered again, changed
/// rows are rendered as a new version, and what was interrupted goes on. Before anything is
/// spent, the whole sheet is checked; on a terminal you are asked first.
///
/// Several batch files are driven side by side. Those of one account share its limits: the lowest
/// of their `requests` and `submits` holds for all of them together.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet run jobs/spring.toml                   the whole night
  callsheet run jobs/spring.toml --limit 3         only three, to look at them
  callsheet run jobs/spring.toml --only ann,bob    only these rows
  callsheet run jobs/spring.toml --where language=ko
  callsheet run jobs/spring.toml --sandbox         rehearse: costs nothing
  callsheet run jobs/spring.toml jobs/summer.toml  both, side by side")]
pub(super) struct Run {
    /// The batch file, such as jobs/spring.toml; several are driven side by side, and
    /// share the lowest of their rates where they share an account
    #[arg(value_name = "BATCH", required = true)]
    batches: Vec<PathBuf>,
    /// Rehearse: a virtual AI Studios, a ledger and an output folder of its own
    #[arg(long)]
    sandbox: bool,
    /// Submit at most so many videos in this run, of each batch
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    limit: Option<u32>,
    /// Submit at most so many videos in this run, instead of the batch file's `max_videos`
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    max_videos: Option<u32>,
    #[command(flatten)]
    narrowing: Narrowing,
    /// Try failed jobs again, after a look whether they came after all
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
    #[command(flatten)]
    hours: HoursArgs,
    /// Ask first, once for each address of a picture, film or sound, whether something is there
    #[arg(long)]
    check_media: bool,
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
    #[arg(help_heading = "Options of rehearsals")]
    speed: f64,
    /// What goes wrong in a rehearsal, such as lost-answer=5%; `callsheet sandbox --help` lists
    /// all faults
    #[arg(long, value_name = "FAULT", requires = "sandbox")]
    #[arg(help_heading = "Options of rehearsals")]
    fault: Vec<String>,
    /// Send the notices that the batch file asks for; without it, a rehearsal tells nobody
    #[arg(long, requires = "sandbox")]
    #[arg(help_heading = "Options of rehearsals")]
    notify: bool,
}

pub(super) async fn run(args: Run, global: &Global, talk: &Talk) -> Exit {
    let mut wraps = Wraps::new(Clock::real());
    if args.notify {
        wraps.tell_of_rehearsals();
    }
    let ended = wraps.over(carry_out(args, global, talk, &wraps)).await;
    wraps.up(ended, talk).await
}

async fn carry_out(args: Run, global: &Global, talk: &Talk, wraps: &Wraps) -> Result<Exit, Early> {
    let mut batches = match read(&args, (global, wraps), talk)? {
        Ok(batches) => batches,
        Err(exit) => return Ok(exit),
    };
    let mut spooled = Vec::new();
    for (batch, _) in &mut batches {
        spooled.push(spool::spool(batch).await?);
    }
    if args.check_media && !media::all_there(batches.iter().map(|(batch, _)| batch), talk).await? {
        return Ok(Exit::Input);
    }
    let clock = Clock::real();
    let path = global.ledger(args.sandbox);
    // Settings are judged before anything is made on disk.
    let accounts = if args.sandbox { Vec::new() } else { prepare::accounts(&batches)? };
    let studio = rehearsal(&args)?;
    let ledger = drive::open(&path).await?;
    let taken = prepare::take(batches, (accounts, studio), &path, &clock).await?;
    let choice = args.narrowing.choice();
    let drawn = match prepare::draw_up(taken, &choice, (&ledger, &clock), talk).await? {
        Ok(drawn) => drawn,
        Err(exit) => return Ok(exit),
    };
    // The sheets are in the plans now.
    drop(spooled);
    if let Some(exit) = stops_at(&drawn, &args, talk).await {
        if exit == Exit::Done {
            // A person said no: there is nothing to tell of.
            wraps.leave();
        }
        prepare::let_go(drawn, &ledger, &clock).await?;
        return Ok(exit);
    }
    let ready = prepare::take_in(drawn, &ledger, &clock).await?;
    if args.retry_failed {
        say_what_is_tried_again(&ledger, &ready, talk).await?;
    }
    let drives = ready.into_iter().map(|ready| drive_of(ready, &args, global)).collect();
    Night { ledger, clock, drives, receives: args.webhook }.go(talk, wraps.vigil()).await
}

/// Reads every batch file, and tells all problems of all of them.
fn read(
    args: &Run,
    (global, wraps): (&Global, &Wraps),
    talk: &Talk,
) -> Result<Result<Vec<Batched>, Exit>, Early> {
    let (mut batches, mut exits) = (Vec::new(), Vec::new());
    for file in &args.batches {
        match batch::read(file) {
            Ok(batch) => {
                if args.batches.len() == 1 {
                    talk.about(batch.name.as_str());
                }
                let wrap = wraps.about(&batch, global, args.sandbox);
                let batch = with_flags(batch, args)?;
                let output = drive::output_of(&batch, args.sandbox);
                overwrite::reads_none_of_its_reports(&batch, &output)?;
                if args.webhook && !args.sandbox {
                    hooks::are_named(&batch)?;
                }
                batches.push((batch, wrap));
            }
            Err(problems) => exits.push(diagnostics::batch(talk, &problems)),
        }
    }
    if !exits.is_empty() {
        return Ok(Err(Exit::gravest(exits)));
    }
    apart(&batches).inspect_err(|_| wraps.leave())?;
    Ok(Ok(batches))
}

/// Two batches of one name are one batch to the ledger, and two in one folder would write over each
/// other's reports.
fn apart(batches: &[Batched]) -> Result<(), Early> {
    let (mut names, mut folders) = (BTreeMap::new(), BTreeMap::new());
    for (batch, _) in batches {
        let file = batch.file.display();
        if let Some(other) = names.insert(batch.name.as_str(), &batch.file) {
            let words =
                format!("`{}` and `{file}` are one batch, `{}`", other.display(), batch.name);
            return Err(Early::new(Exit::Usage, words));
        }
        let folder = std::path::absolute(&batch.output).unwrap_or_else(|_| batch.output.clone());
        if let Some(other) = folders.insert(folder, &batch.file) {
            let words = format!(
                "`{}` and `{file}` both write to `{}`: give one of them another `output`",
                other.display(),
                batch.output.display()
            );
            return Err(Early::new(Exit::Input, words));
        }
    }
    Ok(())
}

/// The run puts them back itself, once it has looked whether what was given up came after all.
async fn say_what_is_tried_again(
    ledger: &Ledger,
    ready: &[Ready],
    talk: &Talk,
) -> Result<(), Early> {
    let mut jobs = 0;
    for one in ready {
        let chosen = Chosen { selection: one.only, ..Chosen::default() };
        let again = ledger.count_again(one.id, &chosen).await;
        let again = again.map_err(|error| Early::new(Exit::Unexpected, error))?;
        jobs += again.submits + again.fetches;
    }
    let jobs = counted(jobs, "job");
    talk.say(&format!("{jobs} are tried again, but for those whose video has come meanwhile"));
    Ok(())
}

fn drive_of(ready: Ready, args: &Run, global: &Global) -> Drive {
    let Ready { taken: Taken { batch, lock, account, wrap }, id, lease, only } = ready;
    let file = batch.file.display().to_string();
    let commands = Commands::named(global, args.sandbox, (batch.name.as_str(), &file));
    let until = args.hours.of(batch.window.as_ref(), &jiff::Zoned::now()).until;
    let orders = Orders { only, until, ..orders(args) };
    Drive { batch, id, lease, orders, lock, account, commands, wrap }
}

fn with_flags(mut batch: Batch, args: &Run) -> Result<Batch, Early> {
    batch.limits.max_videos = args.max_videos.or(batch.limits.max_videos);
    if !args.sandbox {
        whom::at_base_url(&mut batch, args.base_url.as_deref())?;
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
        until: None,
        again: args.retry_failed,
    }
}

fn rehearsal(args: &Run) -> Result<sandbox::Settings, Early> {
    super::sandbox::settings(&args.fault, args.speed)
        .map_err(|words| Early::new(Exit::Usage, words))
}

/// Shows the plans, and says whether the run ends here.
async fn stops_at(drawn: &[Drawn], args: &Run, talk: &Talk) -> Option<Exit> {
    let (mut videos, mut exits) = (0, Vec::new());
    let asked = prepare::Asked {
        skip_invalid: args.skip_invalid,
        retry_failed: args.retry_failed,
        limit: args.limit,
        hours: &args.hours,
    };
    for one in drawn {
        let talk = if drawn.len() > 1 { &talk.of(one.name()) } else { talk };
        match prepare::show(one, &asked, talk) {
            Ok(more) => videos += more,
            Err(exit) => exits.push(exit),
        }
    }
    if !exits.is_empty() {
        return Some(Exit::gravest(exits));
    }
    let asks = Person::there(drawn.iter().any(Drawn::took_stdin));
    let (Some(person), false) = (asks, videos == 0 || args.sandbox || args.yes) else {
        return None;
    };
    // On a thread of its own, so that a question nobody answers can be interrupted.
    let agrees = tokio::task::spawn_blocking(move || person.agrees(videos)).await;
    (!agrees.unwrap_or(false)).then(|| {
        talk.say("nothing was submitted");
        Exit::Done
    })
}

/// Somebody at a terminal, who can be asked before anything is spent.
enum Person {
    /// Whose words come by standard input.
    AtStdin,
    /// The same where standard input is the sheet: the terminal itself.
    AtTerminal(File),
}

impl Person {
    /// Finds out whether somebody is there. Under cron nobody is.
    fn there(sheet_is_stdin: bool) -> Option<Self> {
        if !sheet_is_stdin {
            return std::io::stdin().is_terminal().then_some(Self::AtStdin);
        }
        if !std::io::stderr().is_terminal() {
            return None;
        }
        File::open("/dev/tty").ok().map(Self::AtTerminal)
    }

    /// Asks before spending.
    fn agrees(self, videos: u64) -> bool {
        let mut err = std::io::stderr();
        let asked = write!(err, "submit {videos} to AI Studios? This costs credits. [y/N] ");
        if asked.and_then(|()| err.flush()).is_err() {
            return false;
        }
        let mut answer = String::new();
        let read = match self {
            Self::AtStdin => std::io::stdin().lock().read_line(&mut answer),
            Self::AtTerminal(terminal) => BufReader::new(terminal).read_line(&mut answer),
        };
        read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}
