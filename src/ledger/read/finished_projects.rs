//! The finished projects of an account: what its project list must show to prove that another
//! project is absent.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::tag::Tag;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};
use crate::request::REQUEST_KINDS;

/// A project that this ledger rendered and named.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FinishedProject {
    /// Its id, as rendered.
    pub id: String,
    /// The tag in its name.
    #[sqlx(try_from = "String")]
    pub tag: Tag,
    /// When its paid request was begun.
    #[sqlx(try_from = "StoredTime")]
    pub paid_at: Timestamp,
    /// When its render was seen to be finished, if that is known.
    #[sqlx(try_from = "StoredTime")]
    pub finished_at: Option<Timestamp>,
}

/// Enough to notice that a list is incomplete.
const PROJECTS_MAX: i64 = 5000;

static FINISHED_PROJECTS: Statement = Statement::new(
    "-- ledger::finished_projects
    select coalesce(s.render_id, s.project_id) as id, s.tag || coalesce('-' || s.seal, '') as tag,
           s.paid_at, s.settled_at as finished_at
    from submission s
    join job j on j.id = s.job_id
    join batch b on b.id = j.batch_id
    join version v on v.job_id = s.job_id and v.version = s.version
    where s.outcome = 'rendered' and s.paid_at is not null
        and coalesce(s.subject, '') <> s.project_id
        and b.base_url = (select base_url from batch where id = $1)
        and v.request in ({list $2})
    order by s.id desc limit $3",
);

impl Ledger {
    /// Returns the latest finished projects of all batches at the batch's address whose names carry
    /// a tag.
    pub async fn finished_projects(
        &self,
        batch: BatchId,
    ) -> Result<Vec<FinishedProject>, LedgerError> {
        let tagged = REQUEST_KINDS.iter().filter(|kind| kind.is_tagged()).map(|kind| kind.name);
        let tagged: Vec<String> = tagged.map(str::to_owned).collect();
        let binds = binds![batch.0, tagged, PROJECTS_MAX];
        Ok(self.readers.fetch_all(&FINISHED_PROJECTS, binds).await?)
    }
}
