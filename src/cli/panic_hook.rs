//! What a user reads if this program fails because of a mistake in it, and the end of the run.
//!
//! The failure of one task stops the run as a signal does: what is known is saved and reported, and
//! the exit code is one of the table.

use std::panic;

use crate::cli::output::printer::Printer;
use crate::session::run_stop::PANIC_MESSAGE;
use crate::session::signals;

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
