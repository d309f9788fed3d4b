//! `callsheet ledger catch-up`: searches AI Studios for what a ledger may lack.
//!
//! `session::maintenance::catch_up` does the work; this asks about stored batch files and prints what was found.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::cli::args::TrustArgs;
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt;
use crate::clock::Clock;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::LedgerLocation;
use crate::session::maintenance::catch_up;
use crate::session::maintenance::catch_up::{
    CatchUpEvent, CatchUpReport, CatchUpRequest, ComparedBatch,
};
use crate::session::next_steps::ledger_arguments;
use crate::text::pluralize;

/// Arguments of `callsheet ledger catch-up`.
#[derive(Debug, Args)]
#[command(after_help = "\
A ledger that was restored from a backup, or whose server failed over, may have
lost records. No run pays for anything until this command has compared it with
the projects of its accounts (free). The next run checks the requests found. If
an account cannot be compared, look at its projects yourself, then use
--checked.")]
pub(crate) struct LedgerCatchUpArgs {
    /// Batch files of batches that the ledger lost completely
    pub(super) files: Vec<PathBuf>,
    /// Accept accounts that cannot be compared: you checked them
    #[arg(long)]
    checked: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(crate) async fn catch_up_ledger(
    location: LedgerLocation,
    args: LedgerCatchUpArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let LedgerCatchUpArgs { files, checked: is_checked, trust } = args;
    let arguments = ledger_arguments(&location.options);
    let request = CatchUpRequest { location, files, is_checked, trusts: trust.trust };
    let notify = |event| match event {
        CatchUpEvent::Waiting { until } => printer.status(&format!(
            "Waiting until {} for requests that may still be under way",
            local_time(until)
        )),
    };
    let confirm = async |question| prompt::confirm_trust(question).await;
    let report = catch_up::catch_up(&request, &Clock::real(), notify, confirm).await?;
    if printer.is_json() {
        printer.print_json(&report_json(&report));
    } else {
        print_report(&report, &arguments, printer);
    }
    Ok(if report.is_complete { ExitReason::Done } else { ExitReason::Uncertain })
}

fn local_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

fn report_json(report: &CatchUpReport) -> serde_json::Value {
    let batch = |compared: &ComparedBatch| {
        json!({
            "batch": compared.name, "found": compared.jobs.found, "drafts": compared.jobs.drafts,
            "objection": compared.objection,
        })
    };
    json!({
        "complete": report.is_complete,
        "gaps": report.gaps.iter().map(|gap| gap.detail.as_str()).collect::<Vec<_>>(),
        "projects": report.found_projects,
        "batches": report.batches.iter().map(batch).collect::<Vec<_>>(),
    })
}

fn print_report(report: &CatchUpReport, ledger_arguments: &str, printer: &Printer) {
    if report.gaps.is_empty() {
        printer.print_result("Nothing to catch up with: no records are known to be missing");
        return;
    }
    for gap in &report.gaps {
        printer.status(&format!("The ledger may lack records: {}", gap.detail));
    }
    for ComparedBatch { name, jobs, objection } in &report.batches {
        let found = pluralize(jobs.found, "video");
        let drafts = pluralize(jobs.drafts, "draft");
        printer.print_result(&format!(
            "{name}: {found} found at AI Studios and not in the ledger, {drafts} to check"
        ));
        if let Some(objection) = objection {
            printer.print_result(&format!("{name}: not compared, {objection}"));
        }
    }
    if report.is_complete {
        printer.print_result("The ledger is complete. Next: run the batches again");
    } else {
        printer.print_result(&format!(
            "Nothing is paid yet. Compare these batches with your AI Studios account. Next: callsheet \
             ledger catch-up --checked{ledger_arguments}"
        ));
    }
}
