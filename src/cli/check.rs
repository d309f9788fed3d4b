//! `callsheet check [BATCH.toml]`: can a night run here?
//!
//! Everything that stops a night at one in the morning is asked for by day: the batch file, the
//! account (one free call), the way back from it, the clock, room on the disks, the ledger, the lock. Nothing is spent,
//! and nothing is left behind.

mod hours;
mod webhook;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use super::account::Whose;
use super::drive::{self, Early};
use super::exit::Exit;
use super::finding::{Finding, exit_of};
use super::settings::{self, Setting};
use super::table::Sheet;
use super::talk::{Talk, span};
use super::{Global, account, diagnostics, folder, overwrite, probe, vendor};
use crate::batch::{self, Answer, Batch, Host, SheetFrom};
use crate::clock::Clock;
use crate::runner::{BatchLock, LockError, holder_of};
use crate::studio::{Client, Confirmed, Settings};

/// Below this, the ledger or a video will soon meet a full disk.
const FREE_MIN: u64 = 200_000_000;
/// Below this, a night of a hundred videos may meet one.
const FREE_GOOD: u64 = 2_000_000_000;
/// A clock that is further off makes a token look expired, and times hard to compare.
const CLOCK_OFF_MAX: SignedDuration = SignedDuration::from_mins(2);

/// Check whether a night can run here
///
/// Asks AI Studios once, for free, whether the credentials are good; looks at the clock, the
/// disks, the ledger and the lock, and prints every setting with where it came from. Spends
/// nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line begins with ok, warn or fail. Exit code: 0 when none fails, 1 for the
ledger or a disk, 2 for a setting, 4 for the batch file, the sheet or the
template, 5 when AI Studios does not answer, 7 when it refuses the account; the
first of 1, 7, 2, 4, 5 when several fail.

With --json, {\"exit\": …, \"findings\": [{grade, topic, words, todo}], \"settings\":
[{name, value, from}], \"vendor\": [{key, value, from, why}]}.")]
pub(super) struct Check {
    /// The batch file of the night
    batch: Option<PathBuf>,
    /// Ask nobody: leave out the call to AI Studios
    #[arg(long)]
    offline: bool,
    /// Check for rehearsals: their ledger and folder, and no account
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    asks: probe::Asks,
}

pub(super) async fn run(args: Check, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Check, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let batch = match &args.batch {
        Some(path) => match batch::read(path) {
            Ok(batch) => Some(batch),
            Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
        },
        None => None,
    };
    let path = global.ledger(args.sandbox);
    let mut findings = Vec::new();
    if let Some(batch) = &batch {
        findings.extend(files(batch));
        let folder = drive::output_of(batch, args.sandbox);
        if let Err(early) = overwrite::reads_none_of_its_reports(batch, &folder) {
            findings.push(Finding::fail(early.exit, "output", early.words));
        }
    }
    findings.extend(ledger(&path, batch.as_ref(), args.sandbox).await);
    findings.push(lock(&path));
    if let Some(batch) = &batch {
        findings.push(room("output", &drive::output_of(batch, args.sandbox)));
        findings
            .extend(batch.window.as_ref().map(|window| hours::hours(window, Clock::real().now())));
    }
    if args.sandbox {
        findings.push(Finding::ok("account", "a rehearsal needs none"));
    } else {
        findings.extend(account(batch.as_ref(), args.offline).await);
        let calls = batch.as_ref().and_then(|batch| batch.webhook.as_ref());
        if let (Some(calls), false) = (calls, args.offline) {
            findings.push(webhook::way(calls, &path).await);
        }
    }
    if let Some(batch) = batch.as_ref() {
        // What is wrong with the host has been found already.
        if let Ok(host) = host(Some(batch)) {
            findings.extend(vendor::findings(&batch.vendor, &host));
            if args.asks.wanted() && exit_of(&findings) == Exit::Done {
                findings.extend(probe::probe(batch, (&host, &args.asks), talk).await?);
            } else if args.asks.wanted() {
                let todo = "mend what fails above, and probe then";
                findings.push(Finding::warn("probe", "nothing was asked", todo));
            }
        }
    }
    let settings = settings::effective(global, args.sandbox, batch.as_ref());
    let vendor = batch.map(|batch| batch.vendor.answers()).unwrap_or_default();
    let exit = exit_of(&findings);
    show(&Found { findings, settings, vendor }, exit, talk);
    Ok(exit)
}

/// All that is shown.
struct Found {
    findings: Vec<Finding>,
    settings: Vec<Setting>,
    vendor: Vec<Answer>,
}

fn files(batch: &Batch) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut files = vec![("template", &batch.template)];
    match &batch.sheet_from {
        SheetFrom::File(_) => files.insert(0, ("sheet", &batch.sheet)),
        from @ (SheetFrom::Stdin | SheetFrom::Link(_)) => {
            findings.push(Finding::ok("sheet", format!("{from}, read when it is planned")));
        }
    }
    for (topic, path) in files {
        let shown = path.display().to_string();
        findings.push(match std::fs::File::open(path) {
            Ok(_) => Finding::ok(topic, shown),
            Err(error) => {
                let words = format!("`{shown}` cannot be read ({})", error.kind());
                Finding::fail(Exit::Input, topic, words)
                    .and("its place is relative to the batch file")
            }
        });
    }
    findings
}

/// Is the ledger sound, is there room beside it, and does the batch belong to this host.
async fn ledger(path: &Path, batch: Option<&Batch>, sandbox: bool) -> Vec<Finding> {
    let topic = "ledger";
    let shown = path.display();
    let mut findings = vec![room("ledger disk", &folder_of(path))];
    if !path.exists() {
        findings.push(Finding::ok(topic, format!("`{shown}` is made by the first run")));
        return findings;
    }
    let ledger = match drive::open(path).await {
        Ok(ledger) => ledger,
        Err(early) => {
            findings.push(Finding::fail(Exit::Unexpected, topic, early.words));
            return findings;
        }
    };
    findings.push(match ledger.flaws().await {
        Ok(flaws) if flaws.is_empty() => Finding::ok(topic, format!("`{shown}` is sound")),
        Ok(flaws) => Finding::fail(Exit::Unexpected, topic, flaws.join("; "))
            .and("keep the file, run nothing with it, and see callsheet ledger check"),
        Err(error) => Finding::fail(Exit::Unexpected, topic, error.to_string()),
    });
    if let Some(batch) = batch
        && let Ok(stored) = ledger.batch(batch.name.as_str()).await
        && !sandbox
    {
        let host = host(Some(batch)).map(|host| host.base_url().to_string());
        let host = host.unwrap_or_default();
        if stored.base_url.trim_end_matches('/') != host.trim_end_matches('/') {
            let words = format!("this batch was begun at {}, not at {host}", stored.base_url);
            findings.push(
                Finding::fail(Exit::Usage, "host", words)
                    .and("a batch stays with its host; give another one another name"),
            );
        }
        if let Some(holder) = holder_of(path, &stored.name) {
            findings.push(Finding::warn(
                "run",
                format!("a run is live: {holder}"),
                "a second one ends with exit 11",
            ));
        }
    }
    ledger.close().await;
    findings
}

/// Do locks keep two runs apart here?
fn lock(ledger: &Path) -> Finding {
    let (topic, name) = ("lock", format!("check-{}", std::process::id()));
    let taken = BatchLock::take(ledger, &name, Clock::real().now());
    let finding = match taken {
        Ok(lock) => {
            drop(lock);
            Finding::ok(topic, "two runs of one batch are kept apart")
        }
        Err(error @ LockError::Lies { .. }) => Finding::fail(Exit::Usage, topic, error.to_string()),
        Err(error @ (LockError::Io { .. } | LockError::Held { .. })) => {
            Finding::fail(Exit::Unexpected, topic, error.to_string())
                .and("make the ledger's folder, and let this user write there")
        }
    };
    let _ = std::fs::remove_file(BatchLock::path(ledger, &name));
    finding
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Can files be made in `folder`, and is there room for them. A folder that a run would make is
/// judged by the one that it would be made in.
fn room(topic: &'static str, folder: &Path) -> Finding {
    let shown = folder.display();
    let there = match folder::would_do(folder) {
        Ok(there) => there,
        Err(error) => {
            let words = format!("files cannot be made in `{shown}` ({})", error.kind());
            return Finding::fail(Exit::Unexpected, topic, words).and("let this user write there");
        }
    };
    let Ok(free) = fs4::available_space(there) else {
        let words = format!("`{shown}` does not say how much room it has");
        return Finding::warn(topic, words, "look for yourself");
    };
    let words = format!("{:.1} GB free in `{shown}`", free as f64 / 1e9);
    if free < FREE_MIN {
        Finding::fail(Exit::Unexpected, topic, words).and("free some space, or choose another disk")
    } else if free < FREE_GOOD {
        Finding::warn(topic, words, "a long night may need more")
    } else {
        Finding::ok(topic, words)
    }
}

/// Returns the host that a run would talk to.
fn host(batch: Option<&Batch>) -> Result<Host, Early> {
    let (host, from) = settings::host(batch);
    match host {
        Ok(host) => Ok(host),
        Err(error) => Err(Early::new(Exit::Usage, format!("{from}: {error}"))),
    }
}

/// Are the credentials there and good, and does the clock agree with the host's.
async fn account(batch: Option<&Batch>, offline: bool) -> Vec<Finding> {
    let topic = "account";
    let fail = |words: String| vec![Finding::fail(Exit::Usage, topic, words)];
    let host = match host(batch) {
        Ok(host) => host,
        Err(early) => return fail(early.words),
    };
    let whose = Whose::of(&host, batch.map(|batch| &batch.studio));
    let credentials = match account::credentials(whose) {
        Ok(credentials) => credentials,
        Err(error) => return fail(error.to_string()),
    };
    let from = account::source(whose);
    if offline {
        let words = format!("credentials from {from}; whether they are good was not asked");
        return vec![Finding::ok(topic, words)];
    }
    let mut settings = Settings::new(host.base_url(), credentials);
    if let Some(batch) = batch {
        settings.request_timeout = batch.limits.request_timeout;
    }
    let client = match Client::new(settings, Clock::real()) {
        Ok(client) => client,
        Err(error) => return fail(error.to_string()),
    };
    match client.confirm().await {
        Ok(confirmed) => {
            let words = format!("{} accepts the credentials from {from}", host.base_url());
            vec![Finding::ok(topic, words), clock(&confirmed)]
        }
        Err(trouble) => vec![Finding::refused(topic, &trouble)],
    }
}

fn clock(confirmed: &Confirmed) -> Finding {
    let topic = "clock";
    let Some(ahead) = confirmed.clock_ahead else {
        let words = "AI Studios did not say what time it is";
        return Finding::warn(topic, words, "compare this machine's clock with another");
    };
    let off = span(ahead.unsigned_abs());
    if ahead.abs() <= CLOCK_OFF_MAX {
        return Finding::ok(topic, format!("within {off} of AI Studios' own"));
    }
    let way = if ahead.is_positive() { "ahead of" } else { "behind" };
    let words = format!("this machine is {off} {way} AI Studios");
    Finding::warn(topic, words, "set it, or let it follow a time server")
}

fn show(found: &Found, exit: Exit, talk: &Talk) {
    if talk.is_json() {
        let findings: Vec<_> = found.findings.iter().map(Finding::document).collect();
        let settings: Vec<_> = found.settings.iter().map(Setting::document).collect();
        let vendor: Vec<_> = found.vendor.iter().map(vendor::document).collect();
        talk.document(&json!({
            "exit": exit.code(), "findings": findings, "settings": settings, "vendor": vendor,
        }));
        return;
    }
    found.findings.iter().for_each(|finding| finding.show(talk));
    let mut table = Sheet::new(&["setting", "value", "from"]);
    for setting in &found.settings {
        table.add([setting.name.to_owned(), setting.value.clone(), setting.from.to_owned()]);
    }
    talk.result(&format!("\n{}", table.shown()));
    vendor::show(&found.vendor, talk);
}
