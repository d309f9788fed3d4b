//! What a user reads if this program fails because of a mistake in it, and the end of the run.
//!
//! The failure of one task stops the run as a signal does: what is known is saved and reported, and
//! the exit code is one of the table.

use std::panic;

use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;
use crate::session::run_stop::PANIC_MESSAGE;
use crate::session::signals;

/// What a user reads if the system grants no threads.
pub(super) const NO_THREADS_MESSAGE: &str = "cannot start threads: the memory or the number of threads \
     is limited too much here. Nothing was done; raise the limit, then run the same command again";

/// Ends the process at a panic, for the time before the command: tokio panics if the system grants no
/// thread, and unwinding would wait without end for the threads that it has.
pub(super) fn install_for_start(printer: &Printer) {
    let printer = printer.clone();
    panic::set_hook(Box::new(move |info| {
        printer.error(NO_THREADS_MESSAGE);
        tracing::debug!(panic = %info, "panic");
        printer.wait_until_written();
        #[expect(clippy::exit, reason = "nothing was begun, and nothing else ends the threads")]
        std::process::exit(ExitReason::Unexpected.code().into());
    }));
}

/// Prints every panic as an error with its place in the source, and stops the session.
pub(super) fn install(printer: &Printer) {
    let printer = printer.clone();
    panic::set_hook(Box::new(move |info| {
        let place =
            info.location().map(|location| format!(" ({}:{})", location.file(), location.line()));
        let place = place.unwrap_or_default();
        printer.error(&format!("{PANIC_MESSAGE}; please report it{place}"));
        tracing::debug!(panic = %info, "panic");
        signals::report_panic();
    }));
}
