//! Interactive confirmation: one prompt for every question of the program.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use crate::cli::output::printer::Printer;
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::run_request::SpendingQuestion;
use crate::text::strip_control;

/// Where answers are read from.
enum Prompt {
    Stdin,
    /// The terminal itself, since standard input is a sheet.
    Tty(File),
}

impl Prompt {
    /// Returns the prompt, if the user is at a terminal. Under cron there is none.
    fn available(is_stdin_used: bool) -> Option<Self> {
        if !is_stdin_used {
            return std::io::stdin().is_terminal().then_some(Self::Stdin);
        }
        if !std::io::stderr().is_terminal() {
            return None;
        }
        File::open("/dev/tty").ok().map(Self::Tty)
    }

    /// Asks a yes-or-no question. Anything but `y` or `yes` means no.
    fn ask(self, question: &str) -> bool {
        let mut err = std::io::stderr();
        if write!(err, "{question} [y/N] ").and_then(|()| err.flush()).is_err() {
            return false;
        }
        let mut answer = String::new();
        let read = match self {
            Self::Stdin => std::io::stdin().lock().read_line(&mut answer),
            Self::Tty(terminal) => BufReader::new(terminal).read_line(&mut answer),
        };
        read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

/// Returns whether the user can answer questions.
pub(crate) fn has_terminal() -> bool {
    Prompt::available(false).is_some()
}

/// Asks for a line; `None` if the terminal is closed.
pub(crate) fn ask_for_line(question: &str) -> Option<String> {
    let mut err = std::io::stderr();
    write!(err, "{question}").and_then(|()| err.flush()).ok()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer)
}

/// Asks for a secret, which the terminal does not show; `None` if the terminal is closed.
pub(crate) fn ask_for_secret(question: &str) -> Option<String> {
    let terminal = console::Term::stderr();
    terminal.write_str(question).ok()?;
    terminal.is_term().then(|| terminal.read_secure_line().ok()).flatten()
}

/// Asks before an action. Without a terminal the action needs `--yes`.
pub(crate) fn confirm(question: &str, has_yes: bool, printer: &Printer) -> bool {
    if has_yes {
        return true;
    }
    match Prompt::available(false) {
        Some(prompt) => prompt.ask(question),
        None => {
            printer.status("nothing was done; use --yes to skip the question");
            false
        }
    }
}

/// Asks before a batch file from the ledger is used that this user has not run here. Without a
/// terminal it needs `--trust`.
pub(crate) async fn confirm_trust(question: TrustQuestion) -> bool {
    let Some(prompt) = Prompt::available(false) else { return false };
    let text = format!("{}\nContinue it?", strip_control(&question.message()));
    tokio::task::spawn_blocking(move || prompt.ask(&text)).await.unwrap_or(false)
}

/// Asks before credits are spent. Without a terminal, scheduled runs are not asked.
pub(crate) async fn confirm_spending(question: SpendingQuestion) -> bool {
    let Some(prompt) = Prompt::available(question.is_stdin_used) else { return true };
    let videos = question.videos;
    let text = format!("submit {videos} to AI Studios? This costs credits.");
    // On its own thread, so that Ctrl-C works while the question is open.
    tokio::task::spawn_blocking(move || prompt.ask(&text)).await.unwrap_or(false)
}
