//! `--probe` and `--probe-render`: the first calls to an account, which measure what the
//! documentation of AI Studios leaves open.

use clap::Args;

use crate::batch::Batch;
use crate::cli::output::printer::Printer;
use crate::cli::output::{prompt, session_output};
use crate::clock::Clock;
use crate::session::account::credentials::ChosenHost;
use crate::session::check_finding::CheckFinding;
use crate::session::error::CommandError;
use crate::session::ledger_location::LedgerOptions;
use crate::session::probe;
use crate::session::probe::ProbeRequest;

/// The options of a probe.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ProbeArgs {
    /// Measure how the account behaves (see below)
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe: bool,
    /// Like --probe, plus one small video (paid; asks first)
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe_render: bool,
    /// Do not ask before --probe-render spends
    #[arg(long, requires = "probe_render")]
    yes: bool,
}

impl ProbeArgs {
    pub(super) fn is_requested(&self) -> bool {
        self.probe || self.probe_render
    }

    /// Makes the calls. Asks before the paid one.
    pub(super) async fn run(
        &self,
        batch: &Batch,
        host: &ChosenHost,
        printer: &Printer,
    ) -> Result<Vec<CheckFinding>, CommandError> {
        let question = "Render a video of a few seconds, which AI Studios charges for?";
        let may_render = self.probe_render && prompt::confirm(question, self.yes, printer);
        let request = ProbeRequest {
            batch,
            host,
            may_render,
            clock: &Clock::real(),
            observer: &session_output::observer(printer, LedgerOptions::default()),
        };
        probe::run_probe(request).await
    }
}
