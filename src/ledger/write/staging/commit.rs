//! Committing a plan: the statements of one transaction, in their order.
//!
//! Each statement handles all rows of one classification (see `compare`) at once; it is skipped if
//! there are none. No statement deletes a job, a version or a paid request.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::batch_path;
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
        sqlx::raw_sql("commit; begin immediate").execute(&mut self.db).await?;
        let taken = self.write_plan(counts, now.as_millisecond()).await;
        let end = if taken.is_ok() { "commit" } else { "rollback" };
        let ended = sqlx::query(end).execute(&mut self.db).await;
        let batch = taken?;
        ended?;
        Ok(batch)
    }

    async fn write_plan(&mut self, counts: &PlanCounts, now: i64) -> Result<i64, sqlx::Error> {
        let batch = self.write_header(now).await?;
        let first_job: i64 = sqlx::query_scalar("select coalesce(max(id), 0) + 1 from job")
            .fetch_one(&mut self.db)
            .await?;
        let only_layout: Option<i64> =
            sqlx::query_scalar(ONLY_LAYOUT).fetch_one(&mut self.db).await?;
        let dictionary = self.write_dictionary().await?;
        for (_, text, binds) in STATEMENTS.iter().filter(|(of, _, _)| of.has_rows(counts)) {
            let mut query = sqlx::query(*text);
            for bind in *binds {
                query = match bind {
                    Batch => query.bind(batch),
                    Template => query.bind(self.header.template_hash.as_str()),
                    Now => query.bind(now),
                    Request => query.bind(self.header.request.as_str()),
                    FirstJob => query.bind(first_job),
                    OnlyLayout => query.bind(only_layout),
                    Dictionary => query.bind(dictionary),
                };
            }
            query.execute(&mut self.db).await?;
        }
        if self.header.has_selection {
            sqlx::query(INCREMENT_SELECTION).bind(batch).execute(&mut self.db).await?;
            sqlx::query(MARK_SELECTED_JOBS)
                .bind(batch)
                .bind(first_job)
                .execute(&mut self.db)
                .await?;
        }
        Ok(batch)
    }

    /// Returns the id of the dictionary of all payloads; `None` without any.
    async fn write_dictionary(&mut self) -> Result<Option<i64>, sqlx::Error> {
        let Some(dictionary) = self.payloads.dictionary() else { return Ok(None) };
        if dictionary.id.is_some() {
            return Ok(dictionary.id);
        }
        let id = sqlx::query_scalar(INSERT_DICTIONARY)
            .bind(&self.header.template_hash)
            .bind(&dictionary.payload)
            .fetch_one(&mut self.db)
            .await?;
        Ok(Some(id))
    }

    async fn write_header(&mut self, now: i64) -> Result<i64, sqlx::Error> {
        let header = &self.header;
        sqlx::query("insert into template (hash, source) values (?1, ?2) on conflict do nothing")
            .bind(&header.template_hash)
            .bind(&header.template)
            .execute(&mut self.db)
            .await?;
        for (number, columns) in header.columns.iter().enumerate() {
            for statement in [INSERT_LAYOUT, INSERT_LAYOUT_INDEX] {
                sqlx::query(statement)
                    .bind(&header.headings)
                    .bind(columns)
                    .bind(number as i64)
                    .execute(&mut self.db)
                    .await?;
            }
        }
        sqlx::query_scalar(UPSERT_BATCH)
            .bind(&header.name)
            .bind(batch_path::stored_path(&header.file))
            .bind(&header.source)
            .bind(&header.base_url)
            .bind(&header.template_hash)
            .bind(&header.tool)
            .bind(now)
            .fetch_one(&mut self.db)
            .await
    }
}

pub(in crate::ledger) const INSERT_DICTIONARY: &str = "-- ledger::commit_plan, dictionary
    insert into payload_dictionary (template_hash, payload) values (?1, ?2) returning id";

const INSERT_LAYOUT: &str = "-- ledger::commit_plan, layout
    insert into layout (headings, columns) values (?1, ?2) on conflict do nothing";

const INSERT_LAYOUT_INDEX: &str = "-- ledger::commit_plan, which layout is which
    insert into temp.layout_of (layout, id)
    select ?3, id from layout where headings = ?1 and columns = ?2";

/// Most batches have one, which then need not be looked up for each row.
const ONLY_LAYOUT: &str = "-- ledger::commit_plan, the only layout
    select case when count(*) = 1 then max(id) end from temp.layout_of";

/// A changed template needs a new canary.
const UPSERT_BATCH: &str = "-- ledger::commit_plan, batch
    insert into batch (name, file, source, base_url, template_hash, layout_id, tool, planned_at,
        payloads_stored)
    values (?1, ?2, ?3, ?4, ?5, (select id from temp.layout_of where layout = 0), ?6, ?7, 1)
    on conflict (name) do update set
        canary_done = case when template_hash = excluded.template_hash then canary_done
            else 0 end,
        file = excluded.file, source = excluded.source, base_url = excluded.base_url,
        template_hash = excluded.template_hash, layout_id = excluded.layout_id,
        tool = excluded.tool, planned_at = excluded.planned_at
    returning id";

const STATEMENTS: &[(StatementScope, &str, &[StatementBind])] = &[
    // Removed rows first: new rows are not among the known jobs of the sheet.
    (StatementScope::Removed, INSERT_REMOVED_EVENTS, &[Batch, Now]),
    (StatementScope::Removed, MARK_REMOVED_DRAFTS_STRAY, &[Batch, Now]),
    (StatementScope::Removed, CANCEL_REMOVED_ROWS, &[Batch]),
    (StatementScope::Removed, MARK_ROWS_REMOVED, &[Batch]),
    (StatementScope::New, INSERT_JOBS, &[Batch, FirstJob]),
    (StatementScope::New, ADD_TO_TALLY, &[Batch]),
    (
        StatementScope::New,
        INSERT_FIRST_VERSIONS,
        &[FirstJob, Template, Now, Request, OnlyLayout, Dictionary],
    ),
    (StatementScope::Known, UPDATE_POSITIONS, &[]),
    (StatementScope::Unchanged, UPDATE_CELLS, &[Template, Dictionary]),
    (StatementScope::Changed, CREATE_CHANGES, &[]),
    (StatementScope::Changed, INSERT_NEXT_VERSIONS, &[Template, Now, Request, Dictionary]),
    (StatementScope::Changed, SET_WANTED_VERSIONS, &[]),
    (StatementScope::Changed, MARK_REPLACED_DRAFTS_STRAY, &[Now]),
    (StatementScope::Changed, INSERT_REPLACED_EVENTS, &[Now]),
    (StatementScope::Changed, REPLACE_JOBS, &[Now]),
    (StatementScope::Changed, REUSE_VIDEOS, &[]),
    (StatementScope::All, DELETE_ROWS_WITHOUT_JOB, &[Batch]),
    (StatementScope::WithoutJob, INSERT_ROWS_WITHOUT_JOB, &[Batch]),
];

const INSERT_JOBS: &str = "-- ledger::commit_plan, new jobs
    insert into job (id, batch_id, key, variant, position, row_number)
    select ?2 + position, ?1, key, variant, position, row_number
    from temp.staged where row_change = 'new' order by position";

/// The triggers count moved jobs, but not new ones.
const ADD_TO_TALLY: &str = "-- ledger::commit_plan, tally
    insert into tally (batch_id, in_sheet, state, jobs) select ?1, 1, 'ready', changes() where true
    on conflict do update set jobs = jobs + excluded.jobs";

const INSERT_FIRST_VERSIONS: &str = "-- ledger::commit_plan, first versions
    insert into version (job_id, version, cells, layout_id, template_hash, payload_hash,
        file_name, spoken_ms, planned_at, request, subject, payload, dictionary_id)
    select ?1 + position, 1, cells,
        coalesce(?5, (select id from temp.layout_of l where l.layout = s.layout)),
        ?2, payload_hash, file_name, spoken_ms, ?3, ?4, subject, payload, ?6
    from temp.staged s where row_change = 'new' order by position";

const UPDATE_POSITIONS: &str = "-- ledger::commit_plan, places
    update job set position = s.position, row_number = s.row_number, in_sheet = 1,
        state = case when job.state = 'cancelled' and job.cause = 'row-removed' then 'ready'
            else job.state end,
        cause = case when job.state = 'cancelled' and job.cause = 'row-removed' then null
            else job.cause end
    from temp.staged s
    where s.job_id = job.id and s.row_change in ('unchanged', 'changed', 'kept')
        and (job.position <> s.position or job.row_number <> s.row_number or job.in_sheet = 0)";

/// The video is the same; its payload is stored as these cells and this template spell it.
const UPDATE_CELLS: &str = "-- ledger::commit_plan, cells that change no payload
    update version set cells = s.cells, layout_id = l.id, template_hash = ?1,
        payload = s.payload, dictionary_id = ?2
    from temp.staged s
    join temp.layout_of l on l.layout = s.layout
    join job j on j.id = s.job_id
    where version.job_id = j.id and version.version = j.wanted_version
        and s.row_change = 'unchanged'
        and (version.cells <> s.cells or version.layout_id <> l.id
            or version.template_hash <> ?1)";

const CREATE_CHANGES: &str = "-- ledger::commit_plan, changes
    create temp table change as
    select s.position, s.job_id, j.state,
        (select max(version) from version v where v.job_id = s.job_id) + 1 as next_version,
        (select max(version) from version v where v.job_id = s.job_id
            and v.payload_hash = s.payload_hash and v.done_at is not null) as same_as
    from temp.staged s join job j on j.id = s.job_id where s.row_change = 'changed'";

const INSERT_NEXT_VERSIONS: &str = "-- ledger::commit_plan, next versions
    insert into version (job_id, version, cells, layout_id, template_hash, payload_hash,
        file_name, spoken_ms, planned_at, request, subject, payload, dictionary_id, reused_from)
    select c.job_id, c.next_version, s.cells,
        (select id from temp.layout_of l where l.layout = s.layout), ?1, s.payload_hash,
        s.file_name, s.spoken_ms, ?2, ?3, s.subject, s.payload, ?4,
        case when c.state in ('ready', 'done', 'reused', 'failed', 'cancelled')
            then c.same_as end
    from temp.change c join temp.staged s on s.position = c.position";

/// A paid render in flight is finished first; its job then continues with the new version.
const SET_WANTED_VERSIONS: &str = "-- ledger::commit_plan, wait for what is under way
    update job set wanted_version = c.next_version from temp.change c
    where c.job_id = job.id
        and job.state in ('submitting', 'uncertain', 'rendering', 'fetching')";

const MARK_REPLACED_DRAFTS_STRAY: &str = "-- ledger::commit_plan, drafts of the former version
    update submission set outcome = 'stray', settled_at = ?1
    where outcome in ('drafted', 'generating') and id in (
        select j.submission_id from temp.change c join job j on j.id = c.job_id
        where j.state = 'ready' and j.drafted > 0)";

const INSERT_REPLACED_EVENTS: &str = "-- ledger::commit_plan, history
    insert into event (job_id, version, at, event, state)
    select job_id, next_version, ?1, 'replaced', case when same_as is null then 'ready'
        else 'reused' end
    from temp.change where state in ('ready', 'done', 'reused', 'failed', 'cancelled')";

const REPLACE_JOBS: &str = "-- ledger::commit_plan, replace
    update job set state = 'ready', drafted = 0, version = c.next_version,
        wanted_version = c.next_version, due_at = ?1, submit_failures = 0, rerenders = 0,
        fetch_failures = 0, polls = 0, submission_id = null, rendering_at = null,
        progress = null, moved_at = null, stalled = 0, video_file = null, cause = null,
        words = null
    from temp.change c
    where c.job_id = job.id and job.state in ('ready', 'done', 'reused', 'failed', 'cancelled')";

const REUSE_VIDEOS: &str = "-- ledger::commit_plan, reuse
    update job set state = 'reused', video_file = (
        select v.video_file from version v where v.job_id = job.id and v.version = c.same_as)
    from temp.change c
    where c.job_id = job.id and c.same_as is not null and job.state = 'ready'
        and job.version = c.next_version";

const INSERT_REMOVED_EVENTS: &str = "-- ledger::commit_plan, history of removed rows
    insert into event (job_id, version, at, event, state, detail)
    select id, version, ?2, 'cancelled', 'cancelled',
        case when id in (select job_id from temp.staged where row_change = 'skipped')
            then 'its row says that it is left out' else 'its row left the sheet' end
    from job indexed by job_position where batch_id = ?1 and in_sheet = 1 and state = 'ready'
        and id not in (select job_id from temp.staged where row_change in ('unchanged', 'changed', 'kept'))";

const MARK_REMOVED_DRAFTS_STRAY: &str = "-- ledger::commit_plan, drafts of removed rows
    update submission set outcome = 'stray', settled_at = ?2
    where outcome in ('drafted', 'generating') and id in (
        select submission_id from job indexed by job_position
        where batch_id = ?1 and in_sheet = 1 and state = 'ready' and drafted > 0
            and id not in (select job_id from temp.staged
                where row_change in ('unchanged', 'changed', 'kept')))";

const CANCEL_REMOVED_ROWS: &str = "-- ledger::commit_plan, removed rows that were not submitted
    update job indexed by job_position
    set state = 'cancelled', cause = 'row-removed', drafted = 0, submission_id = null,
        progress = null, moved_at = null
    where batch_id = ?1 and in_sheet = 1 and state = 'ready'
        and id not in (select job_id from temp.staged where row_change in ('unchanged', 'changed', 'kept'))";

const MARK_ROWS_REMOVED: &str = "-- ledger::commit_plan, removed rows
    update job indexed by job_position set in_sheet = 0
    where batch_id = ?1 and in_sheet = 1
        and id not in (select job_id from temp.staged where row_change in ('unchanged', 'changed', 'kept'))";

const DELETE_ROWS_WITHOUT_JOB: &str = "-- ledger::commit_plan, former rows without a job
    delete from row_without_job where batch_id = ?1";

const INSERT_ROWS_WITHOUT_JOB: &str = "-- ledger::commit_plan, rows without a job
    insert into row_without_job
        (batch_id, position, row_number, key, variant, cells, why, problem)
    select ?1, position, row_number, key, variant, cells, row_change,
        case when row_change = 'invalid' then problem end
    from temp.staged where row_change in ('invalid', 'skipped')";

/// Selections of earlier plans are kept; each run uses the number of its own.
const INCREMENT_SELECTION: &str = "-- ledger::commit_plan, number of what is named
    update batch set selection = selection + 1 where id = ?1";

const MARK_SELECTED_JOBS: &str = "-- ledger::commit_plan, what is named
    update job set selection = (select selection from batch where id = ?1)
    from temp.staged s
    where s.selected = 1 and s.row_change in ('new', 'changed', 'unchanged')
        and job.id = case s.row_change when 'new' then ?2 + s.position else s.job_id end";
