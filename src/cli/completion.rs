//! Completion of the command line: the words that a shell suggests at Tab.
//!
//! The script of `completions` starts this program with the words typed so far. Commands, options and
//! file names are the generator's; batch names and keys are added here. Invariant: only reads ledgers
//! that are files: Tab sends no request, creates nothing, and prints no error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{CompleteEnv, Shells};

use crate::batch::BATCH_FOLDER;
use crate::cli::Cli;
use crate::ledger::Ledger;
use crate::session::ledger_location::{
    LedgerLocation, LedgerOptions, NamedLedger, open_existing_ledger,
};
use crate::session::locked_batch;
use crate::text::shell_quote;

/// Set by the scripts when they ask for words. Not the generator's `COMPLETE`, which another program
/// may have set.
const COMPLETION_VAR: &str = "CALLSHEET_COMPLETE";
/// Keys that are read, and words that are suggested.
const KEYS_READ_MAX: u32 = 100_000;
const WORDS_MAX: usize = 500;

/// Arguments that take a batch, and those that take a key of it. `new` has a column in place of a key.
const BATCH_ARGUMENTS: [&str; 2] = ["batch", "batches"];
const KEY_ARGUMENTS: [&str; 7] =
    ["key", "keys", "only", "approve", "reject", "changes", "withdraw"];
const COMMAND_WITHOUT_KEYS: &str = "new";

/// Prints the suggested words, if a shell asks for them. Returns the exit code then.
pub(crate) fn complete() -> Option<ExitCode> {
    let folder = std::env::current_dir().ok();
    let environment =
        CompleteEnv::with_factory(|| add_candidates(Cli::command())).var(COMPLETION_VAR);
    match environment.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// Returns the script that makes a shell ask for words.
pub(crate) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    if let Some(completer) = Shells::builtins().completer(&shell.to_string()) {
        let name = "callsheet";
        // A vector takes everything.
        drop(completer.write_registration(COMPLETION_VAR, name, name, name, &mut script));
    }
    String::from_utf8_lossy(&script).trim().to_owned()
}

/// Adds batches and keys to the arguments that take them.
fn add_candidates(command: Command) -> Command {
    let has_keys = command.get_name() != COMMAND_WITHOUT_KEYS;
    let command = command.mut_args(|arg| add_candidates_to(arg, has_keys));
    command.mut_subcommands(add_candidates)
}

fn add_candidates_to(arg: Arg, has_keys: bool) -> Arg {
    let id = arg.get_id().as_str();
    if BATCH_ARGUMENTS.contains(&id) {
        return arg.add(ArgValueCompleter::new(batch_candidates));
    }
    if has_keys && KEY_ARGUMENTS.contains(&id) {
        return arg.add(ArgValueCompleter::new(key_candidates));
    }
    // Files that are not parsed as paths, because they may be links or names as well.
    let is_file =
        arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"));
    if is_file { arg.value_hint(ValueHint::FilePath) } else { arg }
}

/// Returns the batches of the ledger by name, the batch files in the usual folder, and files by path.
fn batch_candidates(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut words = read_ledger(batch_names);
    words.extend(usual_batch_files());
    let mut candidates = matching(words, typed);
    let is_batch_file =
        |path: &Path| path.is_dir() || path.extension().is_some_and(|end| end == "toml");
    let known: Vec<_> = candidates.iter().map(|one| one.get_value().to_owned()).collect();
    let files = PathCompleter::any().filter(is_batch_file).complete(typed);
    candidates
        .extend(files.into_iter().filter(|file| !known.contains(&file.get_value().to_owned())));
    candidates
}

/// Returns the keys of the batch that was typed before.
fn key_candidates(typed: &OsStr) -> Vec<CompletionCandidate> {
    matching(read_ledger(batch_keys), typed)
}

/// Keeps the words that begin with the typed text. A word that a shell would read differently is left
/// out: not every shell quotes what it inserts.
fn matching(words: Vec<String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let is_wanted = |word: &String| word.starts_with(&*typed) && shell_quote(word) == *word;
    words.into_iter().filter(is_wanted).take(WORDS_MAX).map(CompletionCandidate::new).collect()
}

fn usual_batch_files() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(BATCH_FOLDER) else { return Vec::new() };
    let is_batch_file = |path: &PathBuf| path.extension().is_some_and(|end| end == "toml");
    let paths = entries.flatten().map(|entry| entry.path()).filter(is_batch_file);
    let mut files: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    files.sort();
    files
}

/// Runs `read` on a runtime of its own: the program's is not started yet.
fn read_ledger(read: impl AsyncFn(&TypedWords) -> Vec<String>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let typed = TypedWords::from_environment();
    runtime.map(|runtime| runtime.block_on(read(&typed))).unwrap_or_default()
}

async fn batch_names(typed: &TypedWords) -> Vec<String> {
    let location = LedgerLocation::find(typed.ledger_options(), &[]).ok();
    let Some(ledger) = open_file(location).await else { return Vec::new() };
    let batches = ledger.batches().await.unwrap_or_default();
    ledger.close().await;
    batches.into_iter().map(|batch| batch.name).collect()
}

async fn batch_keys(typed: &TypedWords) -> Vec<String> {
    for word in typed.plain_words() {
        let location = LedgerLocation::find_for(typed.ledger_options(), word).ok();
        let Some(location) = location.filter(|found| found.address.as_file().is_some()) else {
            continue;
        };
        if let Ok((ledger, stored)) = locked_batch::open_batch(&location, word).await {
            let keys = ledger.first_keys(stored.id, KEYS_READ_MAX).await.unwrap_or_default();
            ledger.close().await;
            return keys;
        }
    }
    Vec::new()
}

async fn open_file(location: Option<LedgerLocation>) -> Option<Ledger> {
    let address = location?.address;
    address.as_file()?;
    open_existing_ledger(&address).await.ok()
}

/// The words typed so far.
struct TypedWords(Vec<String>);

impl TypedWords {
    /// The scripts pass them behind `--`.
    fn from_environment() -> Self {
        let all = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self(all.skip_while(|word| word != "--").skip(2).collect())
    }

    /// Returns the words that may name a batch.
    fn plain_words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|word| !word.is_empty() && !word.starts_with('-'))
    }

    fn ledger_options(&self) -> LedgerOptions {
        let is_rehearsal = self.0.iter().any(|word| word == "--sandbox");
        let next = self.0.iter().skip_while(|word| *word != "--ledger").nth(1);
        let joined = self.0.iter().find_map(|word| word.strip_prefix("--ledger="));
        let option = next.map(String::as_str).or(joined);
        let named = option.map(|given| NamedLedger::from_option(OsStr::new(given)));
        let named = named.or_else(NamedLedger::from_environment);
        LedgerOptions { is_rehearsal, named, option: None }
    }
}
