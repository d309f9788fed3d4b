//! Files of done jobs that are no longer in the output folder: listing them, and making their jobs due
//! for another download, which is free.
//!
//! A project that several rows change in place is left out: by now it may show another row's video.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId, Ledger};

/// A file that a done job should have in the output folder.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FinishedFile {
    /// The job's id.
    #[sqlx(try_from = "i64")]
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// The file's name within the output folder.
    pub file: String,
    /// Its length in bytes.
    pub bytes: i64,
}

/// A reused video is the file of an earlier version.
static FINISHED_FILES: Statement = Statement::new(
    "-- ledger::finished_files
    select j.id as job, j.key, j.video_file as file, w.video_bytes as bytes
    from job j {by job_due}
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where j.batch_id = $1 and j.state in ('done', 'reused') and j.in_sheet = true
        and w.video_bytes is not null and exists (
            select 1 from submission s where s.job_id = j.id and s.version = w.version
                and s.outcome = 'rendered' and s.project_id is not null
                and coalesce(s.subject, '') <> s.project_id)",
);

/// The version that has the file becomes current again; once the file has arrived, the wanted version
/// uses it as before.
static DOWNLOAD_AGAIN: [Statement; 4] = [
    Statement::new(
        "-- ledger::download_again, job
    update job set state = 'fetching', due_at = $3, lease_token = $2, rendering_at = $3,
        fetch_failures = 0, words = null, video_file = null, wanted_version = version,
        version = (
            select coalesce(v.reused_from, v.version) from version v
            where v.job_id = job.id and v.version = job.version),
        submission_id = (
            select max(s.id) from submission s
            join version v on v.job_id = job.id and v.version = job.version
            where s.job_id = job.id and s.version = coalesce(v.reused_from, v.version)
                and s.outcome = 'rendered')
    where id = $1 and state in ('done', 'reused')",
    ),
    Statement::new(
        "-- ledger::download_again, canary
    update batch set canary_done = {greatest}(0, canary_done - 1)
    where id = (select batch_id from job where id = $1) and template_hash = (
        select v.template_hash from version v join job j on j.id = v.job_id
        where j.id = $1 and v.version = j.version and v.done_at is not null)",
    ),
    Statement::new(
        "-- ledger::download_again, version
    update version set video_file = null, video_bytes = null, video_hash = null, video_ms = null,
        done_at = null
    where job_id = $1 and version = (select version from job where id = $1 and state = 'fetching')",
    ),
    Statement::new(
        "-- ledger::download_again, history
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select id, version, submission_id, $2, $3, 'file-lost', 'fetching', $4
    from job where id = $1 and state = 'fetching'",
    ),
];

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&FINISHED_FILES];

struct DownloadAgain {
    run: RunId,
    file: FinishedFile,
    now: Timestamp,
}

impl WriteOp for DownloadAgain {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        download_again(db, self.run, &self.file, self.now).await
    }
}

/// Makes a done job due for another download.
pub(in crate::ledger) async fn download_again(
    db: &mut StoreConnection,
    run: RunId,
    file: &FinishedFile,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let binds = binds![file.job.0, run.0, now, &file.file];
    db.execute_each(&DOWNLOAD_AGAIN, &binds).await?;
    Ok(())
}

impl Ledger {
    /// Returns the files that the batch's done jobs should have, if they could be downloaded again.
    pub async fn finished_files(&self, batch: BatchId) -> Result<Vec<FinishedFile>, LedgerError> {
        Ok(self.readers.fetch_all(&FINISHED_FILES, binds![batch.0]).await?)
    }
}

impl BatchLease {
    /// Makes a done job whose file was lost due for another download.
    pub async fn download_again(
        &self,
        file: FinishedFile,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.ledger.writer.execute(DownloadAgain { run: self.run, file, now }).await
    }
}
