//! Interactive confirmation: one prompt for every question of the program.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};

use crate::cli::output::printer::Printer;
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::run_forecast::ExpectedSpending;
use crate::session::run_request::SpendingQuestion;
use crate::text::{format_credits, pluralize, strip_control};

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
            printer.status("Nothing was done; use --yes to skip the question");
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
    let text = spending_question(&question.spending);
    // On its own thread, so that Ctrl-C works while the question is open.
    tokio::task::spawn_blocking(move || prompt.ask(&text)).await.unwrap_or(false)
}

/// Returns the question: how many videos, their price, and what the user should know before.
fn spending_question(spending: &ExpectedSpending) -> String {
    let ExpectedSpending { videos, credits, paid_again, credits_left, remarks } = spending;
    let mut text = String::new();
    for remark in remarks {
        text.push_str(&format!("{}\n", strip_control(remark)));
    }
    let left = credits_left.map(|left| format!(" ({} left of the caps)", format_credits(left)));
    let again = match paid_again {
        0 => String::new(),
        again => format!(", {again} of them paid for before"),
    };
    text.push_str(&format!(
        "Render {} for about {}{}{again}?",
        pluralize(*videos, "video"),
        format_credits(*credits),
        left.unwrap_or_default(),
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_states_videos_price_and_what_is_paid_for_again() {
        let one = ExpectedSpending { videos: 1, credits: 1.0, ..ExpectedSpending::default() };
        let capped = ExpectedSpending {
            videos: 41,
            credits: 61.5,
            paid_again: 3,
            credits_left: Some(50.0),
            remarks: vec!["all 41 videos would be identical".to_owned()],
        };
        assert_eq!(spending_question(&one), "Render 1 video for about 1 credit?");
        assert_eq!(
            spending_question(&capped),
            "all 41 videos would be identical\nRender 41 videos for about 61.5 credits (50 \
             credits left of the caps), 3 of them paid for before?"
        );
    }
}
