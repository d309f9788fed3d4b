//! `callsheet serve user add | list | remove | password`: the users of the console.
//!
//! A password is typed or comes from standard input; never from an argument or the environment,
//! where other processes would read it.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt;
use crate::cli::output::text_table::TextTable;
use crate::clock::Clock;
use crate::console::password;
use crate::ledger::{AuditSource, ConsoleRole, ConsoleUser, Ledger};
use crate::runner::command_requester;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::text::suggest_name;
use crate::text::time_format::{format_local, format_rfc3339};

const NAME_CHARS_MAX: usize = 64;

/// Add, list or remove users of the console
#[derive(Debug, Args)]
#[command(after_help = "\
Roles: a viewer reads, a reviewer also judges videos, an operator also acts on
batches and may spend credits. The password is asked for, or is the first line
of standard input.")]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    /// Users of the rehearsal console
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user
    Add {
        /// User name, as it is typed to sign in
        name: String,
        /// viewer, reviewer or operator
        #[arg(long, value_parser = parse_role)]
        role: ConsoleRole,
    },
    /// List the users
    List,
    /// Remove a user, and sign them out everywhere
    Remove {
        /// User name
        name: String,
    },
    /// Change a password, and sign the user out everywhere
    Password {
        /// User name
        name: String,
    },
}

fn parse_role(text: &str) -> Result<ConsoleRole, String> {
    ConsoleRole::parse(text).ok_or_else(|| {
        let all: Vec<&str> = ConsoleRole::ALL.iter().map(|role| role.as_str()).collect();
        format!("unknown role; {}", suggest_name(text, all, "roles"))
    })
}

pub(super) async fn execute(
    args: UserArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let location = global.find_ledger(args.sandbox, &[])?;
    let ledger = ledger_location::open_ledger(&location.address).await?;
    let result = match args.command {
        UserCommand::Add { name, role } => add_user(&ledger, name, role, printer).await,
        UserCommand::List => list_users(&ledger, printer).await,
        UserCommand::Remove { name } => remove_user(&ledger, &name, printer).await,
        UserCommand::Password { name } => change_password(&ledger, &name, printer).await,
    };
    ledger.close().await;
    result.map(|()| ExitReason::Done)
}

async fn add_user(
    ledger: &Ledger,
    name: String,
    role: ConsoleRole,
    printer: &Printer,
) -> Result<(), CommandError> {
    check_name(&name)?;
    if ledger.console_user(&name).await?.is_some() {
        return Err(name_taken(&name));
    }
    let password_hash = read_new_password(&name)?;
    let created_at = Clock::real().now();
    let user = ConsoleUser { name: name.clone(), role, password_hash, created_at };
    if !ledger.add_console_user(user, audit_source()).await? {
        return Err(name_taken(&name));
    }
    printer.status(&format!("Added `{name}` as {}", role.as_str()));
    Ok(())
}

/// Returns the user of this process, for the audit trail.
fn audit_source() -> AuditSource {
    AuditSource { requester: command_requester(), now: Clock::real().now() }
}

fn check_name(name: &str) -> Result<(), CommandError> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    let length = name.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&length) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "a user's name is 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_`, `-` and `@`"
    )))
}

fn name_taken(name: &str) -> CommandError {
    CommandError::usage(format!(
        "there is a user `{name}` already. For another password: callsheet serve user password \
         {name}; for another role, remove the user first"
    ))
}

fn no_such_user(name: &str) -> CommandError {
    CommandError::usage(format!(
        "the console has no user `{name}`: callsheet serve user list shows them"
    ))
}

/// Returns the hash of a password from the terminal, where it is asked for twice, or from standard
/// input.
fn read_new_password(name: &str) -> Result<String, CommandError> {
    let unanswered = || CommandError::usage("no password; nothing was changed");
    let text = if std::io::stdin().is_terminal() {
        let first = prompt::ask_for_secret(&format!("Password for {name}: "));
        let first = first.ok_or_else(unanswered)?;
        let second = prompt::ask_for_secret("The same again: ").ok_or_else(unanswered)?;
        if first != second {
            return Err(CommandError::usage("the two passwords differ; nothing was changed"));
        }
        first
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(|_| unanswered())?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    password::check_new_password(&text).map_err(CommandError::usage)?;
    password::hash_password(&text).map_err(CommandError::unexpected)
}

async fn list_users(ledger: &Ledger, printer: &Printer) -> Result<(), CommandError> {
    let users = ledger.console_users().await?;
    if printer.is_json() {
        let user_json = |user: &ConsoleUser| {
            let created = format_rfc3339(user.created_at);
            json!({ "name": user.name, "role": user.role.as_str(), "created": created })
        };
        let users: Vec<_> = users.iter().map(user_json).collect();
        printer.print_json(&json!({ "users": users }));
    } else if users.is_empty() {
        printer.status("No users. Next: callsheet serve user add NAME --role operator");
    } else {
        let mut table = TextTable::new(&["name", "role", "added"]);
        for user in users {
            table.add([user.name, user.role.as_str().to_owned(), format_local(user.created_at)]);
        }
        printer.print_result(&table.render());
    }
    Ok(())
}

async fn remove_user(ledger: &Ledger, name: &str, printer: &Printer) -> Result<(), CommandError> {
    if !ledger.remove_console_user(name, audit_source()).await? {
        return Err(no_such_user(name));
    }
    printer.status(&format!("Removed `{name}`"));
    Ok(())
}

async fn change_password(
    ledger: &Ledger,
    name: &str,
    printer: &Printer,
) -> Result<(), CommandError> {
    if ledger.console_user(name).await?.is_none() {
        return Err(no_such_user(name));
    }
    let password_hash = read_new_password(name)?;
    if !ledger.set_console_password(name, password_hash, audit_source()).await? {
        return Err(no_such_user(name));
    }
    printer.status(&format!("Changed the password of `{name}`"));
    Ok(())
}
