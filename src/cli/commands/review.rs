//! `callsheet review BATCH`: lists finished videos with their verdicts, records verdicts, and exports
//! what is approved.
//!
//! Takes no lock: a verdict moves no job, and a run may be live.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::batch;
use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::clock::Clock;
use crate::ledger::{Ledger, ReviewCounts, ReviewItem, ReviewVerdict, StoredBatch, VerdictKind};
use crate::report;
use crate::report::ReportError;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::overwrite_guard;
use crate::session::next_steps::CommandHints;
use crate::session::review::review_json::{counts_json, item_json};
use crate::session::review::verdicts;
use crate::session::review::verdicts::{REASON_CHARS_MAX, VerdictRequest};
use crate::text::time_format::format_local;
use crate::text::{pluralize, shell_quote};

/// Videos read at once.
const ITEMS_PER_PAGE: u32 = 500;

/// Approve or reject finished videos
#[derive(Debug, Args)]
#[command(after_help = "\
A verdict is about one exact video: a video that is made again has none yet.
Reviewing is free and starts no run.
JSON fields: callsheet help json review

Examples:
  callsheet review spring                       the videos and their verdicts
  callsheet review spring --approve TEA-001 TEA-002
  callsheet review spring --reject TEA-003 --reason \"wrong price\"
  callsheet review spring --export approved.csv")]
pub(crate) struct ReviewArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Approve the videos of these keys
    #[arg(long, value_name = "KEY", num_args = 1..)]
    approve: Vec<String>,
    /// Reject the videos of these keys
    #[arg(long, value_name = "KEY", num_args = 1.., requires = "reason")]
    reject: Vec<String>,
    /// Request changes to the videos of these keys
    #[arg(long, value_name = "KEY", num_args = 1.., requires = "reason")]
    changes: Vec<String>,
    /// Withdraw the verdicts on these videos
    #[arg(long, value_name = "KEY", num_args = 1..)]
    withdraw: Vec<String>,
    /// Why, for --reject and --changes
    #[arg(long, alias = "because", value_name = "TEXT")]
    reason: Option<String>,
    /// List the videos and their verdicts (default)
    #[arg(long)]
    list: bool,
    /// Write the rows with an approved video to this file
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
}

pub(crate) async fn run(args: ReviewArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ReviewArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let requests = verdict_requests(&args)?;
    let (ledger, stored) = args.batch_ref.open_batch(global).await?;
    let commands = global.command_hints(args.batch_ref.sandbox, &stored.name, &stored.file);
    let page = ReviewOutput { ledger: &ledger, stored: &stored, commands, printer };
    let has_verdicts = !requests.is_empty();
    if has_verdicts {
        page.record(requests).await?;
    }
    if let Some(path) = &args.export {
        page.export(path).await?;
    }
    if args.list || (!has_verdicts && args.export.is_none()) {
        page.list().await?;
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

fn verdict_requests(args: &ReviewArgs) -> Result<Vec<VerdictRequest>, CommandError> {
    let reason = args.reason.as_deref().map(|text| {
        verdicts::clean_text(text, REASON_CHARS_MAX)
            .ok_or_else(|| CommandError::usage("--reason is empty: say what is wrong"))
    });
    let reason = reason.transpose()?;
    let named = [
        (VerdictKind::Approved, &args.approve),
        (VerdictKind::Rejected, &args.reject),
        (VerdictKind::Changes, &args.changes),
        (VerdictKind::Withdrawn, &args.withdraw),
    ];
    let requests = named.into_iter().filter(|(_, keys)| !keys.is_empty());
    let request = |(kind, keys): (VerdictKind, &Vec<String>)| VerdictRequest {
        kind,
        keys: keys.clone(),
        reason: reason.clone().filter(|_| kind.has_to_be_explained()),
    };
    Ok(requests.map(request).collect())
}

/// What the command prints about.
struct ReviewOutput<'r> {
    ledger: &'r Ledger,
    stored: &'r StoredBatch,
    commands: CommandHints,
    printer: &'r Printer,
}

impl ReviewOutput<'_> {
    async fn record(&self, requests: Vec<VerdictRequest>) -> Result<(), CommandError> {
        let (source, clock) = (verdicts::command_line_source(), Clock::real());
        let decided =
            verdicts::record_verdicts(self.ledger, self.stored, requests, source, &clock).await?;
        let counts = self.ledger.review_counts(self.stored.id).await?;
        if self.printer.is_json() {
            let mut recorded = Vec::new();
            for (_, item) in &decided {
                let now = self.ledger.review_item(self.stored.id, &item.key).await?;
                recorded.extend(now.as_ref().map(item_json));
            }
            self.printer.print_json(&json!({
                "batch": self.stored.name, "recorded": recorded, "counts": counts_json(&counts),
            }));
            return Ok(());
        }
        for kind in VerdictKind::ALL {
            let keys = decided.iter().filter(|(decision, _)| decision == kind);
            let keys: Vec<&str> = keys.map(|(_, item)| item.key.as_str()).collect();
            if !keys.is_empty() {
                let label = record_label(*kind);
                self.printer.print_result(&format!("{label}: {}", keys.join(", ")));
            }
        }
        self.printer.print_result(&describe_counts(&counts));
        Ok(())
    }

    async fn list(&self) -> Result<(), CommandError> {
        let items = self.read_items().await?;
        let counts = self.ledger.review_counts(self.stored.id).await?;
        if self.printer.is_json() {
            let videos: Vec<_> = items.iter().map(item_json).collect();
            self.printer.print_json(&json!({
                "batch": self.stored.name, "videos": videos, "counts": counts_json(&counts),
            }));
            return Ok(());
        }
        if items.is_empty() {
            self.printer.status("No finished videos");
            return Ok(());
        }
        let mut table = TextTable::new(&["key", "row#", "version#", "review", "by", "at", "video"]);
        items.iter().for_each(|item| table.add(item_cells(item)));
        self.printer.print_result(&table.render());
        self.printer.status(&describe_counts(&counts));
        if let Some(item) = items.iter().find(|item| item.verdict.is_none()) {
            self.print_next_step(&item.key);
        }
        Ok(())
    }

    /// Prints how the first video without a verdict is reviewed.
    fn print_next_step(&self, key: &str) {
        // A key that begins with a hyphen would be an option.
        let separator = if key.starts_with('-') { "=" } else { " " };
        let (review, key) = (self.commands.review_command(), shell_quote(key));
        self.printer.status(&format!(
            "Next: {review} --approve{separator}{key}\n      after you have watched it; to object: \
             --reject KEY --reason TEXT"
        ));
    }

    async fn read_items(&self) -> Result<Vec<ReviewItem>, CommandError> {
        let (mut items, mut after) = (Vec::new(), -1);
        loop {
            let page = self.ledger.review_items(self.stored.id, after, ITEMS_PER_PAGE).await?;
            let Some(last) = page.last() else { return Ok(items) };
            after = last.position;
            items.extend(page);
        }
    }

    async fn export(&self, path: &Path) -> Result<(), CommandError> {
        let batch = batch::parse(Path::new(&self.stored.file), self.stored.source.clone()).ok();
        overwrite_guard::ensure_not_protected(path, self.ledger.address(), batch.as_ref())?;
        let failed = |source| ReportError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file =
            report::create_temp_file(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let rows =
            report::write_approved_csv(self.ledger, self.stored, path, file.as_file_mut()).await?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        let approved = pluralize(rows, "approved video");
        self.printer.status(&format!("{approved}: {}", path.display()));
        Ok(())
    }
}

fn record_label(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Approved => "Approved",
        VerdictKind::Rejected => "Rejected",
        VerdictKind::Changes => "Changes requested",
        VerdictKind::Withdrawn => "Verdict withdrawn",
    }
}

fn item_cells(item: &ReviewItem) -> [String; 7] {
    let verdict = item.verdict.as_ref();
    let review = match verdict {
        None => "not reviewed".to_owned(),
        Some(verdict) => match &verdict.reason {
            Some(reason) => format!("{}: {reason}", verdict.kind.as_str()),
            None => verdict.kind.as_str().to_owned(),
        },
    };
    [
        item.key.clone(),
        item.row_number.to_string(),
        item.version.to_string(),
        review,
        verdict.map(ReviewVerdict::attribution).unwrap_or_default(),
        verdict.map(|verdict| format_local(verdict.at)).unwrap_or_default(),
        item.video_file.clone(),
    ]
}

/// Returns the counts that are not zero.
fn describe_counts(counts: &ReviewCounts) -> String {
    let all = [
        (counts.waiting, "not reviewed"),
        (counts.approved, "approved"),
        (counts.rejected, "rejected"),
        (counts.changes, "changes requested"),
    ];
    let shown = all.into_iter().filter(|(videos, _)| *videos > 0);
    let shown: Vec<String> = shown.map(|(videos, label)| format!("{videos} {label}")).collect();
    match shown.as_slice() {
        [] => "No finished videos".to_owned(),
        _ => format!("Finished videos: {}", shown.join(", ")),
    }
}
