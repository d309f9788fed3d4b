//! `callsheet models`, `workspaces`, `templates`: what the account offers.
//!
//! Asked anew each time, for free, and remembered in the ledger for `plan` and `run` to compare
//! with; `--offline` shows what is remembered.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::Whose;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::unexpected;
use super::moment::iso;
use super::table::Sheet;
use super::talk::{Talk, counted, span};
use super::whom::{self, Account};
use super::{Global, diagnostics, offers, settings};
use crate::batch;
use crate::clock::Clock;
use crate::ledger::{Article, Ledger, Shelf};
use crate::studio::Trouble;

/// List the models (avatars) that the account offers, with their clothes
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"models\": [{id, name, kind, clothes}]}, where
clothes are [{id, name, kind}], or null when AI Studios does not list them.")]
pub(super) struct Models {
    #[command(flatten)]
    which: Which,
}

/// List the workspaces of the account
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"workspaces\": [{id, name, kind}]}.")]
pub(super) struct Workspaces {
    #[command(flatten)]
    which: Which,
}

/// List the templates of the account
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, {\"account\", \"heard\", \"templates\": [{id, name, kind}]}.")]
pub(super) struct Templates {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// The batch file whose account is meant [default: the environment's]
    batch: Option<PathBuf>,
    /// Ask nobody: show what was heard last
    #[arg(long)]
    offline: bool,
}

pub(super) async fn models(args: Models, global: &Global, talk: &Talk) -> Exit {
    list(&args.which, Shelf::Models, global, talk).await
}

pub(super) async fn workspaces(args: Workspaces, global: &Global, talk: &Talk) -> Exit {
    list(&args.which, Shelf::Workspaces, global, talk).await
}

pub(super) async fn templates(args: Templates, global: &Global, talk: &Talk) -> Exit {
    list(&args.which, Shelf::Templates, global, talk).await
}

async fn list(which: &Which, shelf: Shelf, global: &Global, talk: &Talk) -> Exit {
    match carry_out(which, shelf, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(
    which: &Which,
    shelf: Shelf,
    global: &Global,
    talk: &Talk,
) -> Result<Exit, Early> {
    let batch = match &which.batch {
        Some(path) => match batch::read(path) {
            Ok(batch) => Some(batch),
            Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
        },
        None => None,
    };
    let (host, from) = settings::host(batch.as_ref());
    let host = host.map_err(|error| Early::new(Exit::Usage, format!("{from}: {error}")))?;
    let whose = Whose::of(&host, batch.as_ref().map(|batch| &batch.studio));
    let name = whom::shop_of(whose);
    let clock = Clock::real();
    let ledger = drive::open(&global.ledger(false)).await?;
    let heard = if which.offline {
        remembered(&ledger, (&name, shelf)).await
    } else {
        match Account::of(whose) {
            Ok(account) => ask(&ledger, (&account, shelf), &clock).await,
            Err(early) => Err(early),
        }
    };
    ledger.close().await;
    let (articles, heard_at) = heard?;
    show(&articles, (&name, shelf, heard_at), &clock, talk);
    Ok(Exit::Done)
}

async fn remembered(
    ledger: &Ledger,
    (name, shelf): (&str, Shelf),
) -> Result<(Vec<Article>, Timestamp), Early> {
    let word = shelf.word();
    ledger.catalogue(name, shelf).await.map_err(unexpected)?.ok_or_else(|| {
        let words = format!("the {word} of {name} were never asked for: leave out --offline");
        Early::new(Exit::Usage, words)
    })
}

async fn ask(
    ledger: &Ledger,
    (account, shelf): (&Account, Shelf),
    clock: &Clock,
) -> Result<(Vec<Article>, Timestamp), Early> {
    let client = account.client(offers::PATIENCE, clock)?;
    let articles = offers::ask(&client, shelf).await.map_err(|trouble| refused(&trouble))?;
    let now = clock.now();
    let kept = ledger.keep_catalogue((&account.shop, shelf), &articles, now).await;
    kept.map_err(unexpected)?;
    Ok((articles, now))
}

fn refused(trouble: &Trouble) -> Early {
    let exit = match trouble {
        Trouble::Account(_) => Exit::Account,
        Trouble::Moved { .. } => Exit::Usage,
        Trouble::Unreachable(_)
        | Trouble::Broken(_)
        | Trouble::SlowDown { .. }
        | Trouble::NotFound
        | Trouble::Refused(_) => Exit::PassingTrouble,
    };
    Early::new(exit, format!("{trouble} (--offline shows what was heard last)"))
}

fn show(
    articles: &[Article],
    (name, shelf, heard_at): (&str, Shelf, Timestamp),
    clock: &Clock,
    talk: &Talk,
) {
    if talk.is_json() {
        let articles: Vec<Value> = articles.iter().map(|one| document(one, shelf)).collect();
        let heard = iso(heard_at.as_millisecond());
        talk.document(&json!({ "account": name, "heard": heard, shelf.word(): articles }));
        return;
    }
    let mut table = match shelf {
        Shelf::Models => Sheet::new(&["id", "name", "kind", "clothes"]),
        Shelf::Workspaces | Shelf::Templates => Sheet::new(&["id", "name"]),
    };
    for one in articles {
        let named = [one.id.clone(), one.name.clone().unwrap_or_default()];
        match shelf {
            Shelf::Models => {
                let kind = one.kind.clone().unwrap_or_default();
                table.add(named.into_iter().chain([kind, clothes(one)]));
            }
            Shelf::Workspaces | Shelf::Templates => table.add(named),
        }
    }
    if !articles.is_empty() {
        talk.result(&table.shown());
    }
    let noun = shelf.word().trim_end_matches('s');
    let count = counted(articles.len() as u64, noun);
    let age = offers::age(heard_at, clock);
    let age = match age.as_secs() {
        0..5 => "now".to_owned(),
        _ => format!("{} ago", span(age.unsigned_abs())),
    };
    talk.say(&format!("{count} of {name}, heard {age}"));
}

fn clothes(model: &Article) -> String {
    let all = model.clothes.iter().flatten();
    let named = all.map(|one| match &one.name {
        Some(name) => format!("{} {name}", one.id),
        None => one.id.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn document(article: &Article, shelf: Shelf) -> Value {
    let plain = |one: &Article| json!({ "id": one.id, "name": one.name, "kind": one.kind });
    let mut document = plain(article);
    if shelf == Shelf::Models {
        let clothes = article.clothes.as_ref();
        document["clothes"] = clothes.map(|all| all.iter().map(plain).collect::<Vec<_>>()).into();
    }
    document
}
