//! Log lines on stderr, above the progress bars and never in the results.
//!
//! Logs of libraries are limited to warnings: at finer levels they contain headers and bodies, and
//! a secret must not reach a log at any level.

use std::io::Write;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::cli::output::printer::{Printer, log_time};
use crate::cli::output::stream_writer::OutputWeight;

/// Amount of output on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Everything,
}

/// Starts logging through `printer`.
pub(crate) fn init(verbosity: Verbosity, color: bool, printer: &Printer) {
    let ours = match verbosity {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::ERROR,
        Verbosity::Verbose => LevelFilter::DEBUG,
        Verbosity::Everything => LevelFilter::TRACE,
    };
    let others = match verbosity {
        Verbosity::Quiet | Verbosity::Normal => LevelFilter::OFF,
        Verbosity::Verbose | Verbosity::Everything => LevelFilter::WARN,
    };
    let filter = Targets::new().with_target("callsheet", ours).with_default(others);
    let lines = fmt::layer()
        .with_writer(LogWriter { printer: printer.clone(), weight: OutputWeight::Message })
        .with_timer(LocalTime)
        .with_ansi(color)
        .with_target(false)
        .with_filter(filter);
    // Fails only in tests that run the command line twice in one process.
    drop(tracing_subscriber::registry().with(lines).try_init());
}

/// Begins a line of the log as messages of an unattended run begin.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&log_time())
    }
}

/// Writes log lines through the printer, which no reader delays.
#[derive(Clone)]
struct LogWriter {
    printer: Printer,
    weight: OutputWeight,
}

impl Write for LogWriter {
    /// Never fails: on an error the subscriber would write to the same closed pipe and panic.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.printer.log_line(&String::from_utf8_lossy(bytes), self.weight);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self {
        let is_important = *meta.level() <= tracing::Level::WARN;
        let weight = if is_important { OutputWeight::Message } else { OutputWeight::Progress };
        Self { weight, ..self.clone() }
    }
}
