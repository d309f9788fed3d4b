//! Is the file sound, and a copy of it while it is in use. Neither changes the ledger.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions, Connection};

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::open;

/// Flaws that are told one by one.
const DEFECTS_MAX: usize = 20;

impl Ledger {
    /// Reads the whole file and returns what is wrong with it; nothing when it is sound.
    pub async fn find_defects(&self) -> Result<Vec<String>, LedgerError> {
        let pages: Vec<String> = sqlx::query_scalar("pragma integrity_check(20)")
            .fetch_all(&self.readers)
            .await?;
        let mut flaws: Vec<String> = pages.into_iter().filter(|page| page != "ok").collect();
        let orphans: Vec<(String, Option<i64>, String)> = sqlx::query_as(
            "select \"table\", rowid, parent from pragma_foreign_key_check limit 20",
        )
        .fetch_all(&self.readers)
        .await?;
        flaws.extend(orphans.into_iter().map(|(table, row, parent)| {
            let row = row.map_or_else(String::new, |row| format!(" {row}"));
            format!("{table}{row} belongs to a {parent} that is not there")
        }));
        let drifted: i64 = sqlx::query_scalar(
            "-- ledger::flaws, tally
             select count(*) from (
                 select batch_id, in_sheet, state, count(*) as jobs from job group by 1, 2, 3
                 except select batch_id, in_sheet, state, jobs from tally)",
        )
        .fetch_one(&self.readers)
        .await?;
        if drifted > 0 {
            flaws.push(format!("{drifted} counts of jobs do not add up"));
        }
        flaws.truncate(DEFECTS_MAX);
        Ok(flaws)
    }

    /// Copies the ledger to `target`, whole, while others may write to it. A file that is there
    /// already is never overwritten.
    pub async fn back_up(&self, target: &Path) -> Result<(), LedgerError> {
        let failed = |why: &str| LedgerError::Open { path: target.to_owned(), reason: why.to_owned() };
        if target.exists() {
            return Err(failed("it exists already; choose another name"));
        }
        if target.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            return Err(failed("its folder does not exist"));
        }
        let half = target.with_added_extension("half");
        remove_if_exists(&half).map_err(|_| failed("its folder may not be written"))?;
        let copied = sqlx::query("vacuum into ?1")
            .bind(half.display().to_string())
            .execute(&self.readers)
            .await;
        copied?;
        finalize_copy(&half, target).map_err(|_| failed("the copy could not be given its name"))?;
        // Whoever needs the copy needs it to open.
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(target).read_only(true);
        let opened = options.connect().await;
        let copy = opened?;
        Ok(copy.close().await?)
    }
}

fn remove_if_exists(path: &PathBuf) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the copy private and durable, and gives it its name.
fn finalize_copy(half: &Path, target: &Path) -> std::io::Result<()> {
    open::restrict_to_owner(half)?;
    std::fs::File::open(half)?.sync_all()?;
    std::fs::rename(half, target)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}
