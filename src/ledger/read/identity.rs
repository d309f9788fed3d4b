//! Reading the identity of a ledger, and how far it has come.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::identity::{LedgerId, LedgerIdentity, TagSecret};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

static IDENTITY: Statement = Statement::new(
    "-- ledger::identity
    select id, tag_secret from identity where only_row = 1",
);

static GENERATION: Statement = Statement::new(
    "-- ledger::generation
    select generation from identity where only_row = 1",
);

static HAS_RUN: Statement = Statement::new(
    "-- ledger::has_run
    select exists (select 1 from run r join batch b on b.id = r.batch_id
        where r.id = $2 and b.name = $1)",
);

static LAST_RUN: Statement = Statement::new(
    "-- ledger::last_run_began
    select r.id, r.started_at from run r join batch b on b.id = r.batch_id
    where b.name = $1 order by r.id desc limit 1",
);

/// Old runs are pruned, but never the newest one.
static LACKS_RUN: Statement = Statement::new(
    "-- ledger::lacks_run
    select case when exists (select 1 from run where id = $1 and started_at = $2) then false
        else exists (select 1 from run where id = $1) or not exists (select 1 from run where id > $1)
        end",
);

/// Only of a server. A read replica shows as a row as well.
static HAS_ASYNCHRONOUS_STANDBY: Statement = Statement::new(
    "-- ledger::server, standbys
    select exists (select 1 from pg_stat_replication)
        and current_setting('synchronous_standby_names') = ''",
);

static HAS_REQUESTS: Statement = Statement::new(
    "-- ledger::has_requests
    select exists (select 1 from submission s join job j on j.id = s.job_id
        where j.batch_id = $1 and s.outcome not in ('not-sent', 'refused'))",
);

static OPEN_PROJECTS: Statement = Statement::new(
    "-- ledger::open_projects
    select j.key, coalesce(s.render_id, s.project_id)
    from job j {by job_due} join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state in ('submitting', 'uncertain', 'rendering', 'fetching')
        and coalesce(s.render_id, s.project_id) is not null",
);

/// The number of a run, and when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RunBeginning {
    /// Its number.
    pub id: i64,
    /// When it began.
    #[sqlx(try_from = "StoredTime")]
    pub started_at: Timestamp,
}

/// Reads the identity, which a migration has created.
pub(in crate::ledger) async fn read_identity(
    db: &mut StoreConnection,
) -> Result<LedgerIdentity, LedgerError> {
    let (id, secret): (String, Vec<u8>) = db.fetch_one(&IDENTITY, binds![]).await?;
    let secret = secret.try_into().map_err(|_| LedgerError::Corrupt("identity".to_owned()))?;
    Ok(LedgerIdentity { id: LedgerId(id), tag_secret: TagSecret::new(secret) })
}

impl Ledger {
    /// Returns the identity of the ledger.
    pub fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    /// Returns the generation: a number that grows with every intent. A copy whose generation is
    /// lower lacks requests that were recorded since.
    pub async fn generation(&self) -> Result<i64, LedgerError> {
        Ok(self.readers.fetch_value(&GENERATION, binds![]).await?)
    }

    /// Returns whether the ledger has this run of a batch.
    pub async fn has_run(&self, batch: &str, run: i64) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&HAS_RUN, binds![batch, run]).await?)
    }

    /// Returns whether the ledger's server has standbys that it does not wait for.
    pub async fn has_asynchronous_standby(&self) -> Result<bool, LedgerError> {
        match self.address().as_server() {
            Some(_) => Ok(self.readers.fetch_value(&HAS_ASYNCHRONOUS_STANDBY, binds![]).await?),
            None => Ok(false),
        }
    }

    /// Returns the beginning of the last run of a batch, if it has one.
    pub async fn last_run_began(&self, batch: &str) -> Result<Option<RunBeginning>, LedgerError> {
        Ok(self.readers.fetch_optional(&LAST_RUN, binds![batch]).await?)
    }

    /// Returns whether this ledger was copied before the run began.
    pub async fn lacks_run(&self, run: RunBeginning) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&LACKS_RUN, binds![run.id, run.started_at]).await?)
    }

    /// Returns whether AI Studios may know a project of the batch: a request was sent that it did
    /// not refuse.
    pub async fn has_requests(&self, batch: BatchId) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&HAS_REQUESTS, binds![batch.0]).await?)
    }

    /// Returns the key and the project of every job of the batch that is open at AI Studios.
    pub async fn open_projects(
        &self,
        batch: BatchId,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        Ok(self.readers.fetch_all(&OPEN_PROJECTS, binds![batch.0]).await?)
    }
}
