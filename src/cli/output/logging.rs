//! Log lines on stderr, above the progress bars and never in the results.
//!
//! Logs of libraries are limited to warnings: at finer levels they contain headers and bodies, and
//! a secret must not reach a log at any level.

use std::io::Write;

use indicatif::MultiProgress;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Amount of output on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Everything,
}

/// Starts logging. `bars` are hidden while a line is written.
pub(crate) fn init(verbosity: Verbosity, color: bool, bars: &MultiProgress) {
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
        .with_writer(LogWriter(bars.clone()))
        .with_ansi(color)
        .with_target(false)
        .with_filter(filter);
    // Fails only in tests that run the command line twice in one process.
    drop(tracing_subscriber::registry().with(lines).try_init());
}

#[derive(Clone)]
struct LogWriter(MultiProgress);

impl Write for LogWriter {
    /// Never fails: on an error the subscriber would write to the same closed pipe and panic.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.suspend(|| drop(std::io::stderr().write_all(bytes)));
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
}
