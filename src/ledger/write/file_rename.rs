//! New names of finished videos' files, after the `file` pattern of the batch file has changed.
//!
//! The caller has renamed the file already. Invariant: only names of files that exist are recorded. If the
//! power fails before that, the same command finds the file under its new name and records it; a run that
//! comes first downloads the video again, which is free.

use crate::ledger::JobId;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;

/// The new name of a finished video's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRename {
    /// The job's id.
    pub job: JobId,
    /// The version that was rendered.
    pub version: i64,
    /// The name by the pattern.
    pub file_name: String,
    /// The file in the output folder.
    pub file: String,
}

static RENAME_VIDEO: Statement = Statement::new(
    "-- ledger::rename_file, the video
    update version set video_file = $3
    where job_id = $1 and version = $2 and done_at is not null",
);

static CHANGE_FILE_NAME: Statement = Statement::new(
    "-- ledger::rename_file, the name by the pattern
    update version set file_name = $2
    where job_id = $1 and version = (select wanted_version from job where id = $1)",
);

static RENAME_JOB_FILE: Statement = Statement::new(
    "-- ledger::rename_file, job
    update job set video_file = $2 where id = $1 and state in ('done', 'reused')",
);

impl WriteOp for FileRename {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let job = self.job.0;
        db.execute(&RENAME_VIDEO, binds![job, self.version, &self.file]).await?;
        db.execute(&CHANGE_FILE_NAME, binds![job, &self.file_name]).await?;
        db.execute(&RENAME_JOB_FILE, binds![job, &self.file]).await?;
        Ok(())
    }
}

impl BatchLease {
    /// Records the new name of a finished video's file.
    pub async fn rename_file(&self, renamed: FileRename) -> Result<(), LedgerError> {
        self.ledger.writer.execute(renamed).await
    }
}
