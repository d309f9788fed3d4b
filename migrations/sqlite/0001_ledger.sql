-- The ledger of every batch, job, version and paid request.
-- Times are milliseconds since 1970 UTC. Never edited after release: a change is a new migration.

-- Scene templates as they were merged, so that a batch can go on without the file.
create table template (
    hash   text not null primary key check (length(hash) >= 32),
    source text not null
) strict, without rowid;

-- How a sheet's cells become a template's fields; one row for each distinct heading line.
create table layout (
    id       integer primary key,
    headings text not null check (json_valid(headings)),
    columns  text not null check (json_valid(columns)),
    unique (headings, columns)
) strict;

create table batch (
    id            integer primary key,
    name          text    not null unique check (length(name) between 1 and 64),
    file          text    not null,
    source        text    not null,
    base_url      text    not null,
    template_hash text    references template (hash),
    layout_id     integer references layout (id),
    sheet_hash    text,
    tool          text    not null,
    planned_at    integer,
    -- Jobs verified with the current template; once this reaches the batch's `canary`, the rest may go.
    canary_done   integer not null default 0 check (canary_done >= 0),
    paused        integer not null default 0 check (paused in (0, 1)),
    -- How many plans named some of its rows; the last one's number.
    selection     integer not null default 0 check (selection >= 0),
    constraint planned_whole check (
        (planned_at is null) = (template_hash is null)
        and (planned_at is null) = (layout_id is null)
    )
) strict;

-- One invocation that drove a batch. Its id is the lease token: it only grows.
create table run (
    id           integer primary key autoincrement,
    batch_id     integer not null references batch (id),
    host         text    not null,
    pid          integer not null,
    started_at   integer not null,
    heartbeat_at integer not null,
    ended_at     integer,
    ending       text,
    -- Paid requests begun by this run that were not proven unsent or refused.
    submitted    integer not null default 0 check (submitted >= 0),
    constraint ended_whole check ((ended_at is null) = (ending is null))
) strict;
create index run_batch on run (batch_id, id);

create table job (
    id              integer primary key,
    batch_id        integer not null references batch (id),
    key             text    not null check (length(key) >= 1),
    -- Which of the batch's variants of its row it is, where there are any.
    variant         text,
    position        integer not null check (position >= 0),
    row_number      integer not null check (row_number >= 1),
    in_sheet        integer not null default 1 check (in_sheet in (0, 1)),
    state           text    not null default 'ready',
    -- 1 while a free draft of the current version waits for its paid step; 2 while AI Studios is
    -- still making that draft.
    drafted         integer not null default 0 check (drafted between 0 and 2),
    version         integer not null default 1 check (version >= 1),
    wanted_version  integer not null default 1 check (wanted_version >= version),
    due_at          integer not null default 0,
    -- The run that may write to this job. Grows with every claim and take-over.
    lease_token     integer references run (id),
    attempts        integer not null default 0 check (attempts >= 0),
    submit_failures integer not null default 0 check (submit_failures >= 0),
    rerenders       integer not null default 0 check (rerenders >= 0),
    fetch_failures  integer not null default 0 check (fetch_failures >= 0),
    polls           integer not null default 0 check (polls >= 0),
    submission_id   integer references submission (id) deferrable initially deferred,
    rendering_at    integer,
    progress        real    check (progress between 0 and 100),
    moved_at        integer,
    stalled         integer not null default 0 check (stalled in (0, 1)),
    video_file      text,
    cause           text,
    words           text,
    -- The last plan that named this job, where a person named some.
    selection       integer check (selection >= 1),
    unique (batch_id, key),
    -- What a job carries is decided by its state, and there are no other states.
    constraint carried_by_state check (
        case state
            when 'ready' then (submission_id is not null) = (drafted > 0)
                and rendering_at is null and stalled = 0 and video_file is null and cause is null
            when 'submitting' then submission_id is not null and lease_token is not null
                and rendering_at is null and stalled = 0 and video_file is null and cause is null
            when 'uncertain' then submission_id is not null and lease_token is not null
                and rendering_at is null and stalled = 0 and video_file is null and cause is null
            when 'rendering' then submission_id is not null and lease_token is not null
                and rendering_at is not null and video_file is null and cause is null
            when 'fetching' then submission_id is not null and lease_token is not null
                and rendering_at is not null and stalled = 0 and video_file is null
                and cause is null
            when 'done' then submission_id is null
                and rendering_at is null and stalled = 0 and video_file is not null
                and cause is null
            when 'reused' then submission_id is null
                and rendering_at is null and stalled = 0 and video_file is not null
                and cause is null
            when 'failed' then submission_id is null
                and rendering_at is null and stalled = 0 and video_file is null
                and cause is not null
            when 'cancelled' then submission_id is null
                and rendering_at is null and stalled = 0 and video_file is null
                and cause is not null
            else 0
        end),
    constraint drafted_by_state check (drafted = 0 or state = 'ready'),
    -- The next version waits only while a paid request of the current one is under way.
    constraint next_version_when_final check (
        wanted_version = version
        or state in ('submitting', 'uncertain', 'rendering', 'fetching'))
) strict;
-- The queue. Full rather than partial: the planner never uses a partial index for `in (…)`, and
-- every claim names it.
create index job_due on job (batch_id, state, drafted, due_at, position);
create index job_position on job (batch_id, in_sheet, position);
-- The same queue for a run that submits only the jobs which a person named.
create index job_selected on job (batch_id, selection, state, drafted, due_at, position)
    where selection is not null;

-- A job's content over time; a changed payload is the next version.
create table version (
    job_id        integer not null references job (id) deferrable initially deferred,
    version       integer not null check (version >= 1),
    cells         text    not null,
    layout_id     integer not null references layout (id),
    template_hash text    not null references template (hash),
    payload_hash  text    not null check (length(payload_hash) = 32),
    -- Which kind of request it is, and the project that it changes where that is not ours alone.
    request       text    not null default 'project',
    subject       text    check (length(subject) between 1 and 128),
    file_name     text    not null check (length(file_name) >= 1),
    spoken_ms     integer not null check (spoken_ms >= 0),
    planned_at    integer not null,
    reused_from   integer,
    video_file    text,
    video_bytes   integer check (video_bytes > 0),
    video_hash    text,
    video_ms      integer check (video_ms >= 0),
    done_at       integer,
    primary key (job_id, version),
    constraint video_whole check (
        (done_at is null) = (video_file is null)
        and (done_at is null) = (video_bytes is null)
        and (done_at is null) = (video_hash is null)
        and (done_at is null) = (video_ms is null)),
    constraint reused_is_not_rendered check (reused_from is null or done_at is null)
) strict, without rowid;
-- How fast it goes.
create index version_done on version (done_at) where done_at is not null;

-- One request that may cost money, from its intent to its verdict.
create table submission (
    id          integer primary key,
    job_id      integer not null references job (id),
    version     integer not null,
    attempt     integer not null check (attempt >= 1),
    run_id      integer not null references run (id),
    tag         text    not null unique check (length(tag) = 13),
    way         text    not null check (way in ('two-step', 'one-step')),
    outcome     text    not null,
    -- 1 while this submission may still become, or is, a paid render that is not settled.
    live        integer not null as (case outcome
        when 'sent' then 1
        when 'accepted' then 1
        when 'drafting' then 1
        when 'generating' then 1
        when 'drafted' then 1
        when 'uncertain' then 1
        else 0
    end) stored,
    -- The project as made (two-step: the draft), and as rendered when the export answered another.
    project_id  text    check (length(project_id) between 1 and 128),
    render_id   text    check (length(render_id) between 1 and 128),
    -- The project that was changed to make it, and the render that it showed before its own.
    subject     text    check (length(subject) between 1 and 128),
    mark        text,
    begun_at    integer not null,
    paid_at     integer,
    settled_at  integer,
    looks       integer not null default 0 check (looks >= 0),
    video_url   text,
    credits     real,
    -- When a stray draft was deleted at AI Studios.
    swept_at    integer check (swept_at is null or (outcome = 'stray' and paid_at is null)),
    unique (job_id, attempt),
    -- What a submission carries is decided by its outcome, and there are no other outcomes.
    constraint carried_by_outcome check (
        case outcome
            when 'sent' then paid_at is not null
            when 'accepted' then paid_at is not null and project_id is not null
            when 'rendered' then paid_at is not null and project_id is not null
            when 'drafting' then project_id is null
            when 'generating' then project_id is not null and paid_at is null
            when 'drafted' then project_id is not null and paid_at is null
            when 'uncertain' then paid_at is not null
            when 'render-failed' then 1
            when 'not-sent' then 1
            when 'refused' then 1
            when 'stray' then 1
            when 'absent' then 1
            when 'abandoned' then 1
            else 0
        end)
) strict;
-- At most one unsettled paid render exists per job: the promise, held by the file itself.
create unique index submission_live on submission (job_id) where live = 1;
-- And at most one that changes a project in place: what one row changes, another would export.
create unique index submission_holds on submission (subject)
    where live = 1 and subject is not null and (project_id is null or project_id = subject);
create index submission_subject on submission (subject) where subject is not null;
create index submission_project on submission (project_id) where project_id is not null;
create index submission_render on submission (render_id) where render_id is not null;
create index submission_run on submission (run_id);
create index submission_paid on submission (paid_at) where paid_at is not null;

-- The addresses at which AI Studios may call about a submission, by the hash of the secret in them.
-- One without a submission is a call that we make to ourselves, to see whether the way is open.
create table hook (
    secret_hash   text    not null primary key check (length(secret_hash) = 64),
    submission_id integer references submission (id),
    made_at       integer not null,
    answered_at   integer check (answered_at is null or submission_id is null)
) strict, without rowid;
create index hook_submission on hook (submission_id) where submission_id is not null;

-- What such calls said of a submission. It is believed in one respect alone: there is something to
-- call about, so the request was accepted.
create table hearsay (
    submission_id integer primary key references submission (id),
    first_at      integer not null,
    at            integer not null check (at >= first_at),
    -- When the job is to be looked at because of them.
    look_at       integer,
    progress      real    check (progress between 0 and 100),
    credits       real,
    task          text    check (length(task) between 1 and 128),
    -- A second task on one address: one request may have been taken twice.
    other_task    text    check (length(other_task) between 1 and 128)
) strict;

-- Everything that happened, for ever. State answers "what now"; this answers "how come".
create table event (
    id            integer primary key,
    job_id        integer not null references job (id),
    version       integer not null,
    submission_id integer references submission (id),
    run_id        integer references run (id),
    at            integer not null,
    event         text    not null,
    state         text    not null,
    detail        text
) strict;
create index event_job on event (job_id, id);

-- Rows that make no video, when the batch was last planned: they could not be merged, or say
-- themselves that they are to be left out.
create table row_without_job (
    batch_id   integer not null references batch (id),
    position   integer not null,
    row_number integer not null,
    key        text,
    variant    text,
    cells      text    not null,
    why        text    not null check (why in ('invalid', 'skipped')),
    problem    text,
    primary key (batch_id, position),
    constraint problem_of_invalid check ((problem is not null) = (why = 'invalid'))
) strict, without rowid;

-- "Nobody asks before": a Retry-After that outlives the process, for each account's host.
create table floor (
    base_url text    not null primary key,
    until    integer not null
) strict, without rowid;

-- What an account offered when it was last asked: a hint for people, never a reason to refuse.
create table catalogue (
    account  text not null,
    kind     text not null check (kind in ('models', 'workspaces', 'templates')),
    items    text not null check (json_valid(items)),
    heard_at integer not null,
    primary key (account, kind)
) strict, without rowid;

-- How many jobs of a batch stand where; kept by the triggers below, so it cannot drift.
create table tally (
    batch_id integer not null references batch (id),
    in_sheet integer not null check (in_sheet in (0, 1)),
    state    text    not null,
    jobs     integer not null,
    primary key (batch_id, in_sheet, state)
) strict, without rowid;

create trigger tally_moves after update of state, in_sheet on job
when old.state <> new.state or old.in_sheet <> new.in_sheet
begin
    update tally set jobs = jobs - 1
        where batch_id = old.batch_id and in_sheet = old.in_sheet and state = old.state;
    insert into tally (batch_id, in_sheet, state, jobs)
        values (new.batch_id, new.in_sheet, new.state, 1)
        on conflict do update set jobs = jobs + 1;
end;

-- The arrows of the state machine, so that no statement can take another way.
-- One comparison after another: a list behind `in` would be built anew for every row.
create trigger state_follows_its_arrows before update of state on job
when old.state <> new.state and case old.state || '>' || new.state
    when 'ready>submitting' then 0
    when 'submitting>rendering' then 0
    when 'rendering>fetching' then 0
    when 'fetching>done' then 0
    when 'submitting>ready' then 0
    when 'submitting>uncertain' then 0
    when 'submitting>failed' then 0
    when 'uncertain>rendering' then 0
    when 'uncertain>ready' then 0
    when 'uncertain>failed' then 0
    when 'rendering>ready' then 0
    when 'rendering>failed' then 0
    when 'fetching>failed' then 0
    when 'ready>failed' then 0
    when 'ready>cancelled' then 0
    when 'ready>reused' then 0
    when 'done>ready' then 0
    when 'reused>ready' then 0
    when 'failed>ready' then 0
    when 'failed>rendering' then 0
    when 'failed>fetching' then 0
    when 'cancelled>ready' then 0
    when 'cancelled>rendering' then 0
    when 'cancelled>fetching' then 0
    else 1
end
begin
    select raise(abort, 'no arrow leads from this state to that');
end;

-- A secret address is worth nothing once its job has come to its end.
create trigger hook_goes_with_its_job after update of state on job
when old.state <> new.state and case new.state
    when 'done' then 1
    when 'reused' then 1
    when 'failed' then 1
    when 'cancelled' then 1
    else 0
end
begin
    delete from hook where submission_id in (select id from submission where job_id = new.id);
end;
