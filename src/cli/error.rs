//! Printing why a command failed.

use crate::cli::output::printer::Printer;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

impl CommandError {
    /// Prints the message, unless the cause was already shown, and returns the exit code.
    pub(crate) fn report(self, printer: &Printer) -> ExitReason {
        if let Some(message) = self.message() {
            printer.error(message);
        }
        self.exit()
    }
}
