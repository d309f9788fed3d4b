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
use crate::cli::args::{GlobalArgs, batch_file_parser};
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind, Ledger};
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::target::RunTarget;
use crate::session::account::{account_catalog, target};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::text::time_format::format_rfc3339;
use crate::text::{format_duration, pluralize};

/// List the account's avatars (models) and their clothes
#[derive(Debug, Args)]
#[command(after_help = "\
Their ids are `modelId` and `clothId` of a template; with a template of the
gallery, they may stand in the columns `model` and `cloth` of the sheet.
JSON fields: callsheet help json models")]
pub(crate) struct ModelsArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// List the account's workspaces
#[derive(Debug, Args)]
#[command(after_help = "\
An id is `workspace_id` under [studio] in a batch file: the workspace that is
billed.
JSON fields: callsheet help json workspaces")]
pub(crate) struct WorkspacesArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

/// List the account's AI Studios templates
#[derive(Debug, Args)]
#[command(after_help = "\
An id is `templateId` in the payload of a batch with `request = \"template\"`,
which fills this template of the account with each row.
JSON fields: callsheet help json templates")]
pub(crate) struct TemplatesArgs {
    #[command(flatten)]
    catalog: CatalogArgs,
}

#[derive(Debug, Args)]
struct CatalogArgs {
    /// Batch name or file, for its account [default: your login]
    #[arg(value_parser = batch_file_parser())]
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
    args: &CatalogArgs,
    kind: CatalogKind,
    global: &GlobalArgs,
    printer: &Printer,
) -> ExitReason {
    match execute(args, kind, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: &CatalogArgs,
    kind: CatalogKind,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = match &args.batch {
        Some(path) => match batch::read(path) {
            Ok(batch) => Some(batch),
            Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
        },
        None => None,
    };
    let host = target::choose_host(batch.as_ref())?;
    let query = CredentialQuery::new(&host, batch.as_ref());
    let account = target::catalog_key(query);
    let clock = Clock::real();
    let files: Vec<PathBuf> = args.batch.iter().cloned().collect();
    let location = global.find_ledger(false, &files)?;
    let ledger = ledger_location::open_ledger(&location.address).await?;
    let catalog = if args.offline {
        read_cached_catalog(&ledger, &account, kind).await
    } else {
        match RunTarget::for_query(query).await {
            Ok(target) => fetch_catalog(&ledger, &target, kind, &clock).await,
            Err(error) => Err(error),
        }
    };
    ledger.close().await;
    catalog?.print(&clock, printer);
    Ok(ExitReason::Done)
}

/// One kind of items of an account, and when they were retrieved.
struct RetrievedCatalog {
    account: String,
    kind: CatalogKind,
    items: Vec<CatalogItem>,
    retrieved_at: Timestamp,
}

async fn read_cached_catalog(
    ledger: &Ledger,
    account: &str,
    kind: CatalogKind,
) -> Result<RetrievedCatalog, CommandError> {
    let Some((items, retrieved_at)) = ledger.catalog(account, kind).await? else {
        let message = format!("no cached {} of {account}: omit --offline", kind.as_str());
        return Err(CommandError::new(ExitReason::Usage, message));
    };
    Ok(RetrievedCatalog { account: account.to_owned(), kind, items, retrieved_at })
}

async fn fetch_catalog(
    ledger: &Ledger,
    target: &RunTarget,
    kind: CatalogKind,
    clock: &Clock,
) -> Result<RetrievedCatalog, CommandError> {
    let client = target.client(account_catalog::REQUEST_TIMEOUT, clock)?;
    let items = account_catalog::request_catalog(&client, kind)
        .await
        .map_err(|error| catalog_error(&error))?;
    let (account, retrieved_at) = (target.catalog_key.clone(), clock.now());
    ledger.save_catalog(&account, kind, &items, retrieved_at).await?;
    Ok(RetrievedCatalog { account, kind, items, retrieved_at })
}

fn catalog_error(error: &CallError) -> CommandError {
    let exit = match error {
        CallError::Account { .. } => ExitReason::Account,
        CallError::Moved { .. } => ExitReason::Usage,
        CallError::Transient { .. }
        | CallError::RateLimited { .. }
        | CallError::NotFound
        | CallError::Refused { .. } => ExitReason::TransientFailure,
    };
    CommandError::new(exit, format!("{error} (--offline shows the cached list)"))
}

impl RetrievedCatalog {
    fn print(&self, clock: &Clock, printer: &Printer) {
        if printer.is_json() {
            printer.print_json(&self.to_json());
            return;
        }
        if !self.items.is_empty() {
            printer.print_result(&self.table().render());
        }
        let noun = match self.kind.as_str() {
            "models" => "avatar",
            kind => kind.trim_end_matches('s'),
        };
        let count = pluralize(self.items.len() as u64, noun);
        let age = account_catalog::catalog_age(self.retrieved_at, clock);
        let age = match age.as_secs() {
            0..5 => "now".to_owned(),
            _ => format!("{} ago", format_duration(age.unsigned_abs())),
        };
        printer.status(&format!("{count} of {}, retrieved {age}", self.account));
    }

    fn to_json(&self) -> Value {
        let items: Vec<Value> = self.items.iter().map(|item| item_json(item, self.kind)).collect();
        let retrieved = format_rfc3339(self.retrieved_at);
        json!({ "account": self.account, "heard": retrieved, self.kind.as_str(): items })
    }

    fn table(&self) -> TextTable {
        let has_clothes = self.kind == CatalogKind::Models;
        let mut table = match has_clothes {
            true => TextTable::new(&["id", "name", "kind", "clothes"]),
            false => TextTable::new(&["id", "name"]),
        };
        for item in &self.items {
            let mut cells = vec![item.id.clone(), item.name.clone().unwrap_or_default()];
            if has_clothes {
                cells.extend([item.kind.clone().unwrap_or_default(), format_clothes(item)]);
            }
            table.add(cells);
        }
        table
    }
}

fn format_clothes(model: &CatalogItem) -> String {
    let all = model.clothes.iter().flatten();
    let named = all.map(|one| match &one.name {
        Some(name) => format!("{} {name}", one.id),
        None => one.id.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn item_json(item: &CatalogItem, kind: CatalogKind) -> Value {
    let plain = |one: &CatalogItem| json!({ "id": one.id, "name": one.name, "kind": one.kind });
    let mut document = plain(item);
    if kind == CatalogKind::Models {
        let clothes = item.clothes.as_ref();
        document["clothes"] = clothes.map(|all| all.iter().map(plain).collect::<Vec<_>>()).into();
    }
    document
}
