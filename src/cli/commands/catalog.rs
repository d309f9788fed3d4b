//! `callsheet models`, `workspaces`, `templates`: the catalogue of the account.
//!
//! Requested each time (free) and cached in the ledger, where `plan` and `run` compare it with the
//! batch; `--offline` shows the cached list.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aistudios::CallError;
use crate::batch;
use crate::cli::args::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::cli::output::time_format::format_rfc3339;
use crate::cli::output::{diagnostics, settings_table};
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind, Ledger};
use crate::session::credentials::CredentialQuery;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::target::RunTarget;
use crate::session::{account_catalog, ledger_location, target};
use crate::text::{format_duration, pluralize};

/// List the account's models and their clothes
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"models\": [{id, name, kind, clothes}]}, where
clothes are [{id, name, kind}], or null if AI Studios does not list them.")]
pub(crate) struct ModelsArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// List the account's workspaces
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"workspaces\": [{id, name, kind}]}.")]
pub(crate) struct WorkspacesArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// List the account's templates
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"templates\": [{id, name, kind}]}.")]
pub(crate) struct TemplatesArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

#[derive(Debug, Args)]
struct CatalogArgs {
    /// Batch file of the account [default: from the environment]
    batch: Option<PathBuf>,
    /// Show the cached list; send no request
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run_models(
    args: ModelsArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    run(&args.catalog, CatalogKind::Models, global, printer).await
}

pub(crate) async fn run_workspaces(
    args: WorkspacesArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    run(&args.catalog, CatalogKind::Workspaces, global, printer).await
}

pub(crate) async fn run_templates(
    args: TemplatesArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    run(&args.catalog, CatalogKind::Templates, global, printer).await
}

async fn run(
    which: &CatalogArgs,
    shelf: CatalogKind,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    match execute(which, shelf, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    which: &CatalogArgs,
    shelf: CatalogKind,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = match &which.batch {
        Some(path) => match batch::read(path) {
            Ok(batch) => Some(batch),
            Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
        },
        None => None,
    };
    let (host, from) = settings_table::configured_host(batch.as_ref());
    let host =
        host.map_err(|error| CommandError::new(ExitReason::Usage, format!("{from}: {error}")))?;
    let whose = CredentialQuery::new(&host, batch.as_ref().map(|batch| &batch.studio));
    let name = target::catalog_key(whose);
    let clock = Clock::real();
    let ledger = ledger_location::open_ledger(&global.ledger_path(false)).await?;
    let heard = if which.offline {
        read_cached_catalog(&ledger, (&name, shelf)).await
    } else {
        match RunTarget::for_query(whose) {
            Ok(account) => fetch_catalog(&ledger, (&account, shelf), &clock).await,
            Err(error) => Err(error),
        }
    };
    ledger.close().await;
    let (articles, heard_at) = heard?;
    print_catalog(&articles, (&name, shelf, heard_at), &clock, printer);
    Ok(ExitReason::Done)
}

async fn read_cached_catalog(
    ledger: &Ledger,
    (name, shelf): (&str, CatalogKind),
) -> Result<(Vec<CatalogItem>, Timestamp), CommandError> {
    let word = shelf.as_str();
    ledger.catalog(name, shelf).await?.ok_or_else(|| {
        let words = format!("no cached {word} of {name}: omit --offline");
        CommandError::new(ExitReason::Usage, words)
    })
}

async fn fetch_catalog(
    ledger: &Ledger,
    (account, shelf): (&RunTarget, CatalogKind),
    clock: &Clock,
) -> Result<(Vec<CatalogItem>, Timestamp), CommandError> {
    let client = account.client(account_catalog::REQUEST_TIMEOUT, clock)?;
    let articles = account_catalog::request_catalog(&client, shelf)
        .await
        .map_err(|trouble| catalog_error(&trouble))?;
    let now = clock.now();
    let kept = ledger.save_catalog(&account.catalog_key, shelf, &articles, now).await;
    kept?;
    Ok((articles, now))
}

fn catalog_error(trouble: &CallError) -> CommandError {
    let exit = match trouble {
        CallError::Account { .. } => ExitReason::Account,
        CallError::Moved { .. } => ExitReason::Usage,
        CallError::Transient { .. }
        | CallError::RateLimited { .. }
        | CallError::NotFound
        | CallError::Refused { .. } => ExitReason::TransientFailure,
    };
    CommandError::new(exit, format!("{trouble} (--offline shows the cached list)"))
}

fn print_catalog(
    articles: &[CatalogItem],
    (name, shelf, heard_at): (&str, CatalogKind, Timestamp),
    clock: &Clock,
    printer: &Printer,
) {
    if printer.is_json() {
        let articles: Vec<Value> = articles.iter().map(|one| item_json(one, shelf)).collect();
        let heard = format_rfc3339(heard_at.as_millisecond());
        printer.print_json(&json!({ "account": name, "heard": heard, shelf.as_str(): articles }));
        return;
    }
    let mut table = match shelf {
        CatalogKind::Models => TextTable::new(&["id", "name", "kind", "clothes"]),
        CatalogKind::Workspaces | CatalogKind::Templates => TextTable::new(&["id", "name"]),
    };
    for one in articles {
        let named = [one.id.clone(), one.name.clone().unwrap_or_default()];
        match shelf {
            CatalogKind::Models => {
                let kind = one.kind.clone().unwrap_or_default();
                table.add(named.into_iter().chain([kind, format_clothes(one)]));
            }
            CatalogKind::Workspaces | CatalogKind::Templates => table.add(named),
        }
    }
    if !articles.is_empty() {
        printer.print_result(&table.render());
    }
    let noun = shelf.as_str().trim_end_matches('s');
    let count = pluralize(articles.len() as u64, noun);
    let age = account_catalog::catalog_age(heard_at, clock);
    let age = match age.as_secs() {
        0..5 => "now".to_owned(),
        _ => format!("{} ago", format_duration(age.unsigned_abs())),
    };
    printer.status(&format!("{count} of {name}, retrieved {age}"));
}

fn format_clothes(model: &CatalogItem) -> String {
    let all = model.clothes.iter().flatten();
    let named = all.map(|one| match &one.name {
        Some(name) => format!("{} {name}", one.id),
        None => one.id.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn item_json(article: &CatalogItem, shelf: CatalogKind) -> Value {
    let plain = |one: &CatalogItem| json!({ "id": one.id, "name": one.name, "kind": one.kind });
    let mut document = plain(article);
    if shelf == CatalogKind::Models {
        let clothes = article.clothes.as_ref();
        document["clothes"] = clothes.map(|all| all.iter().map(plain).collect::<Vec<_>>()).into();
    }
    document
}
