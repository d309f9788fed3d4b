//! Committing a plan: the statements of one transaction, in their order.
//!
//! Each statement handles all rows of one classification (see `compare`) at once; it is skipped if
//! there are none. No statement deletes a job, a version or a paid request.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::batch_path;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::{SqlDialect, Statement};
use crate::ledger::write::staging::{PlanCounts, StagedSheet};

enum StatementBind {
    Batch,
    Template,
    Now,
    FirstJob,
    Request,
    OnlyLayout,
    Dictionary,
}
use StatementBind::{Batch, Dictionary, FirstJob, Now, OnlyLayout, Request, Template};

/// The rows that a statement handles.
enum StatementScope {
    All,
    New,
    Known,
    Unchanged,
    Changed,
    /// Jobs without a row in the sheet that makes a video.
    Removed,
    WithoutJob,
}

impl StatementScope {
    fn has_rows(&self, counts: &PlanCounts) -> bool {
        let jobless = counts.invalid + counts.skipped;
        match self {
            Self::All => true,
            Self::New => counts.new > 0,
            Self::Known => counts.changed + counts.unchanged + counts.skipped > 0,
            Self::Unchanged => counts.unchanged > 0,
            Self::Changed => counts.changed > 0,
            Self::Removed => counts.removed + jobless > 0,
            Self::WithoutJob => jobless > 0,
        }
    }
}

impl StagedSheet {
    /// Makes the ledger's batch equal to the sheet and returns its id.
    pub(in crate::ledger) async fn commit_plan(
        &mut self,
        counts: &PlanCounts,
        now: Timestamp,
    ) -> Result<i64, LedgerError> {
        match self.db.dialect() {
            SqlDialect::Sqlite => {
                self.db.commit().await?;
                self.db.begin().await?;
            }
            // The rows are staged in the transaction that commits them.
            SqlDialect::Postgres => {
                self.leases.check(&mut self.db).await?;
                self.db.execute(&LOCK_JOB_IDS, binds![]).await?;
            }
        }
        let written = self.write_plan(counts, now).await;
        let ended = match &written {
            Ok(_) => self.db.commit().await,
            Err(_) => self.db.rollback().await,
        };
        let batch = written?;
        ended?;
        self.refresh_statistics().await;
        Ok(batch)
    }

    /// A server plans its queries by statistics, which a new plan makes wrong.
    async fn refresh_statistics(&mut self) {
        match self.db.dialect() {
            SqlDialect::Sqlite => {}
            SqlDialect::Postgres => {
                if let Err(error) = self.db.execute(&ANALYZE, binds![]).await {
                    tracing::debug!(%error, "statistics");
                }
            }
        }
    }

    async fn write_plan(
        &mut self,
        counts: &PlanCounts,
        now: Timestamp,
    ) -> Result<i64, sqlx::Error> {
        let batch = self.write_header(now).await?;
        let first_job: i64 = self.db.fetch_value(&NEXT_JOB_ID, binds![]).await?;
        let only_layout: Option<i64> = self.db.fetch_value(&ONLY_LAYOUT, binds![]).await?;
        let dictionary = self.write_dictionary().await?;
        let used = STATEMENTS.iter().filter(|(of, _, _)| of.has_rows(counts));
        for (_, statement, values) in used {
            let values = values.iter().map(|value| match value {
                Batch => batch.into(),
                Template => self.header.template_hash.as_str().into(),
                Now => now.into(),
                Request => self.header.request.as_str().into(),
                FirstJob => first_job.into(),
                OnlyLayout => only_layout.into(),
                Dictionary => dictionary.into(),
            });
            self.db.execute(statement, values.collect()).await?;
        }
        if self.header.has_selection {
            self.db.execute(&INCREMENT_SELECTION, binds![batch]).await?;
            self.db.execute(&MARK_SELECTED_JOBS, binds![batch, first_job]).await?;
        }
        Ok(batch)
    }

    /// Returns the id of the dictionary of all payloads; `None` without any.
    async fn write_dictionary(&mut self) -> Result<Option<i64>, sqlx::Error> {
        let Some(dictionary) = self.payloads.dictionary() else { return Ok(None) };
        if dictionary.id.is_some() {
            return Ok(dictionary.id);
        }
        let id = self
            .db
            .fetch_value(
                &INSERT_DICTIONARY,
                binds![&self.header.template_hash, &dictionary.payload],
            )
            .await?;
        Ok(Some(id))
    }

    async fn write_header(&mut self, now: Timestamp) -> Result<i64, sqlx::Error> {
        let header = &self.header;
        let template = binds![&header.template_hash, &header.template];
        self.db.execute(&INSERT_TEMPLATE, template).await?;
        for (number, columns) in header.columns.iter().enumerate() {
            for statement in [&INSERT_LAYOUT, &INSERT_LAYOUT_INDEX] {
                self.db
                    .execute(statement, binds![&header.headings, columns, number as i64])
                    .await?;
            }
        }
        self.db
            .fetch_value(
                &UPSERT_BATCH,
                binds![
                    &header.name,
                    batch_path::stored_path(&header.file),
                    &header.source,
                    &header.base_url,
                    &header.template_hash,
                    &header.tool,
                    now
                ],
            )
            .await
    }
}

pub(in crate::ledger) static INSERT_DICTIONARY: Statement = Statement::new(
    "-- ledger::commit_plan, dictionary
    insert into payload_dictionary (template_hash, payload) values ($1, $2) returning id",
);

static INSERT_TEMPLATE: Statement = Statement::new(
    "-- ledger::commit_plan, template
    insert into template (hash, source) values ($1, $2) on conflict do nothing",
);

/// The ids of a plan's new jobs are a range; only plans insert jobs.
static LOCK_JOB_IDS: Statement = Statement::new(
    "-- ledger::server, ids of new jobs
    select pg_advisory_xact_lock(hashtextextended('callsheet jobs ' || current_schema(), 0))",
);

/// Only the columns by which rows are looked up: cells and payloads are large, and no query compares them.
static ANALYZE: Statement = Statement::new(
    "-- ledger::server, statistics
    analyze job, version (job_id, version, payload_hash, done_at), submission",
);

static NEXT_JOB_ID: Statement = Statement::new(
    "-- ledger::commit_plan, first id of the new jobs
    select coalesce(max(id), 0) + 1 from job",
);

static INSERT_LAYOUT: Statement = Statement::new(
    "-- ledger::commit_plan, layout
    insert into layout (headings, columns) values ($1, $2) on conflict do nothing",
);

static INSERT_LAYOUT_INDEX: Statement = Statement::new(
    "-- ledger::commit_plan, which layout is which
    insert into layout_of (layout, id)
    select $3, id from layout where headings = $1 and columns = $2",
);

/// Most batches have one, which then need not be looked up for each row.
static ONLY_LAYOUT: Statement = Statement::new(
    "-- ledger::commit_plan, the only layout
    select case when count(*) = 1 then max(id) end from layout_of",
);

/// A changed template needs a new canary.
static UPSERT_BATCH: Statement = Statement::new(
    "-- ledger::commit_plan, batch
    insert into batch (name, file, source, base_url, template_hash, layout_id, tool, planned_at,
        payloads_stored)
    values ($1, $2, $3, $4, $5, (select id from layout_of where layout = 0), $6, $7, true)
    on conflict (name) do update set
        canary_done = case when batch.template_hash = excluded.template_hash
            then batch.canary_done else 0 end,
        file = excluded.file, source = excluded.source, base_url = excluded.base_url,
        template_hash = excluded.template_hash, layout_id = excluded.layout_id,
        tool = excluded.tool, planned_at = excluded.planned_at
    returning id",
);

static STATEMENTS: &[(StatementScope, &Statement, &[StatementBind])] = &[
    // Removed rows first: new rows are not among the known jobs of the sheet.
    (StatementScope::Removed, &INSERT_REMOVED_EVENTS, &[Batch, Now]),
    (StatementScope::Removed, &MARK_REMOVED_DRAFTS_STRAY, &[Batch, Now]),
    (StatementScope::Removed, &CANCEL_REMOVED_ROWS, &[Batch]),
    (StatementScope::Removed, &MARK_ROWS_REMOVED, &[Batch]),
    (StatementScope::New, &INSERT_JOBS, &[Batch, FirstJob]),
    (StatementScope::New, &ADD_TO_TALLY, &[Batch]),
    (
        StatementScope::New,
        &INSERT_FIRST_VERSIONS,
        &[FirstJob, Template, Now, Request, OnlyLayout, Dictionary],
    ),
    (StatementScope::Known, &UPDATE_POSITIONS, &[]),
    (StatementScope::Unchanged, &UPDATE_CELLS, &[Template, Dictionary]),
    (StatementScope::Unchanged, &UPDATE_FILE_NAMES, &[]),
    (StatementScope::Changed, &CREATE_CHANGES, &[]),
    (StatementScope::Changed, &INSERT_NEXT_VERSIONS, &[Template, Now, Request, Dictionary]),
    (StatementScope::Changed, &SET_WANTED_VERSIONS, &[]),
    (StatementScope::Changed, &MARK_REPLACED_DRAFTS_STRAY, &[Now]),
    (StatementScope::Changed, &INSERT_REPLACED_EVENTS, &[Now]),
    (StatementScope::Changed, &REPLACE_JOBS, &[Now]),
    (StatementScope::Changed, &REUSE_VIDEOS, &[]),
    (StatementScope::All, &DELETE_ROWS_WITHOUT_JOB, &[Batch]),
    (StatementScope::WithoutJob, &INSERT_ROWS_WITHOUT_JOB, &[Batch]),
];

static INSERT_JOBS: Statement = Statement::new(
    "-- ledger::commit_plan, new jobs
    insert into job (id, batch_id, key, variant, position, row_number)
    select $2 + position, $1, key, variant, position, row_number
    from staged where row_change = 'new' order by position",
);

/// The triggers count moved jobs, but not new ones.
static ADD_TO_TALLY: Statement = Statement::new(
    "-- ledger::commit_plan, tally
    insert into tally (batch_id, in_sheet, state, jobs) select $1, true, 'ready', count(*)
    from staged where row_change = 'new'
    on conflict (batch_id, in_sheet, state) do update set jobs = tally.jobs + excluded.jobs",
);

static INSERT_FIRST_VERSIONS: Statement = Statement::new(
    "-- ledger::commit_plan, first versions
    insert into version (job_id, version, cells, layout_id, template_hash, payload_hash,
        file_name, spoken_ms, planned_at, request, subject, payload, dictionary_id)
    select $1 + position, 1, cells,
        coalesce($5, (select id from layout_of l where l.layout = s.layout)),
        $2, payload_hash, file_name, spoken_ms, $3, $4, subject, payload, $6
    from staged s where row_change = 'new' order by position",
);

static UPDATE_POSITIONS: Statement = Statement::new(
    "-- ledger::commit_plan, places
    update job set position = s.position, row_number = s.row_number, in_sheet = true,
        state = case when job.state = 'cancelled' and job.cause = 'row-removed' then 'ready'
            else job.state end,
        cause = case when job.state = 'cancelled' and job.cause = 'row-removed' then null
            else job.cause end
    from staged s
    where s.job_id = job.id and s.row_change in ('unchanged', 'changed', 'kept')
        and (job.position <> s.position or job.row_number <> s.row_number or job.in_sheet = false)",
);

/// The video is the same; its payload is stored as these cells and this template spell it.
static UPDATE_CELLS: Statement = Statement::new(
    "-- ledger::commit_plan, cells that change no payload
    update version set cells = s.cells, layout_id = l.id, template_hash = $1,
        payload = s.payload, dictionary_id = $2
    from staged s
    join layout_of l on l.layout = s.layout
    join job j on j.id = s.job_id
    where version.job_id = j.id and version.version = j.wanted_version
        and s.row_change = 'unchanged'
        and (version.cells <> s.cells or version.layout_id <> l.id
            or version.template_hash <> $1)",
);

/// What is not downloaded yet gets the name of today's pattern.
static UPDATE_FILE_NAMES: Statement = Statement::new(
    "-- ledger::commit_plan, file names of videos to come
    update version set file_name = s.file_name
    from staged s
    join job j on j.id = s.job_id
    where version.job_id = j.id and version.version = j.wanted_version
        and s.row_change = 'unchanged' and version.file_name <> s.file_name
        and j.state not in ('done', 'reused', 'fetching')",
);

static CREATE_CHANGES: Statement = Statement::new(
    "-- ledger::commit_plan, changes
    insert into change (position, job_id, state, next_version, same_as)
    select s.position, s.job_id, j.state,
        (select max(version) from version v where v.job_id = s.job_id) + 1 as next_version,
        (select max(version) from version v where v.job_id = s.job_id
            and v.payload_hash = s.payload_hash and v.done_at is not null) as same_as
    from staged s join job j on j.id = s.job_id where s.row_change = 'changed'",
);

static INSERT_NEXT_VERSIONS: Statement = Statement::new(
    "-- ledger::commit_plan, next versions
    insert into version (job_id, version, cells, layout_id, template_hash, payload_hash,
        file_name, spoken_ms, planned_at, request, subject, payload, dictionary_id, reused_from)
    select c.job_id, c.next_version, s.cells,
        (select id from layout_of l where l.layout = s.layout), $1, s.payload_hash,
        s.file_name, s.spoken_ms, $2, $3, s.subject, s.payload, $4,
        case when c.state in ('ready', 'done', 'reused', 'failed', 'cancelled')
            then c.same_as end
    from change c join staged s on s.position = c.position",
);

/// A paid render in flight is finished first; its job then continues with the new version.
static SET_WANTED_VERSIONS: Statement = Statement::new(
    "-- ledger::commit_plan, wait for what is under way
    update job set wanted_version = c.next_version from change c
    where c.job_id = job.id
        and job.state in ('submitting', 'uncertain', 'rendering', 'fetching')",
);

static MARK_REPLACED_DRAFTS_STRAY: Statement = Statement::new(
    "-- ledger::commit_plan, drafts of the former version
    update submission set outcome = 'stray', settled_at = $1
    where outcome in ('drafted', 'generating') and id in (
        select j.submission_id from change c join job j on j.id = c.job_id
        where j.state = 'ready' and j.drafted > 0)",
);

static INSERT_REPLACED_EVENTS: Statement = Statement::new(
    "-- ledger::commit_plan, history
    insert into event (job_id, version, at, event, state)
    select job_id, next_version, $1, 'replaced', case when same_as is null then 'ready'
        else 'reused' end
    from change where state in ('ready', 'done', 'reused', 'failed', 'cancelled')",
);

static REPLACE_JOBS: Statement = Statement::new(
    "-- ledger::commit_plan, replace
    update job set state = 'ready', drafted = 0, version = c.next_version,
        wanted_version = c.next_version, due_at = $1, submit_failures = 0, rerenders = 0,
        fetch_failures = 0, polls = 0, submission_id = null, rendering_at = null,
        progress = null, moved_at = null, stalled = false, video_file = null, cause = null,
        words = null
    from change c
    where c.job_id = job.id and job.state in ('ready', 'done', 'reused', 'failed', 'cancelled')",
);

static REUSE_VIDEOS: Statement = Statement::new(
    "-- ledger::commit_plan, reuse
    update job set state = 'reused', video_file = (
        select v.video_file from version v where v.job_id = job.id and v.version = c.same_as)
    from change c
    where c.job_id = job.id and c.same_as is not null and job.state = 'ready'
        and job.version = c.next_version",
);

static INSERT_REMOVED_EVENTS: Statement = Statement::new("-- ledger::commit_plan, history of removed rows
    insert into event (job_id, version, at, event, state, detail)
    select id, version, $2, 'cancelled', 'cancelled',
        case when id in (select job_id from staged where row_change = 'skipped')
            then 'its row says that it is left out' else 'its row left the sheet' end
    from job {by job_position} where batch_id = $1 and in_sheet = true and state = 'ready'
        and id not in (select job_id from staged where row_change in ('unchanged', 'changed', 'kept'))");

static MARK_REMOVED_DRAFTS_STRAY: Statement = Statement::new(
    "-- ledger::commit_plan, drafts of removed rows
    update submission set outcome = 'stray', settled_at = $2
    where outcome in ('drafted', 'generating') and id in (
        select submission_id from job {by job_position}
        where batch_id = $1 and in_sheet = true and state = 'ready' and drafted > 0
            and id not in (select job_id from staged
                where row_change in ('unchanged', 'changed', 'kept')))",
);

static CANCEL_REMOVED_ROWS: Statement = Statement::new("-- ledger::commit_plan, removed rows that were not submitted
    update job {by job_position}
    set state = 'cancelled', cause = 'row-removed', drafted = 0, submission_id = null,
        progress = null, moved_at = null
    where batch_id = $1 and in_sheet = true and state = 'ready'
        and id not in (select job_id from staged where row_change in ('unchanged', 'changed', 'kept'))");

static MARK_ROWS_REMOVED: Statement = Statement::new("-- ledger::commit_plan, removed rows
    update job {by job_position} set in_sheet = false
    where batch_id = $1 and in_sheet = true
        and id not in (select job_id from staged where row_change in ('unchanged', 'changed', 'kept'))");

static DELETE_ROWS_WITHOUT_JOB: Statement = Statement::new(
    "-- ledger::commit_plan, former rows without a job
    delete from row_without_job where batch_id = $1",
);

static INSERT_ROWS_WITHOUT_JOB: Statement = Statement::new(
    "-- ledger::commit_plan, rows without a job
    insert into row_without_job
        (batch_id, position, row_number, key, variant, cells, why, problem)
    select $1, position, row_number, key, variant, cells, row_change,
        case when row_change = 'invalid' then problem end
    from staged where row_change in ('invalid', 'skipped')",
);

/// Selections of earlier plans are kept; each run uses the number of its own.
static INCREMENT_SELECTION: Statement = Statement::new(
    "-- ledger::commit_plan, number of what is named
    update batch set selection = selection + 1 where id = $1",
);

static MARK_SELECTED_JOBS: Statement = Statement::new(
    "-- ledger::commit_plan, what is named
    update job set selection = (select selection from batch where id = $1)
    from staged s
    where s.selected = true and s.row_change in ('new', 'changed', 'unchanged')
        and job.id = case s.row_change when 'new' then $2 + s.position else s.job_id end",
);
