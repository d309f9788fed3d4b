-- The operator's requests: what was asked for, by which requester, for which jobs, and what came of it.
-- A live run carries them out; the table is also the audit trail.
create table operator_request (
    id           integer primary key,
    batch_id     integer not null references batch (id),
    action       text    not null check (action in ('retry', 'cancel', 'resolve', 'download-again',
        'pause', 'unpause', 'stop', 'edit', 'approve-plan', 'start')),
    -- The filter, or what is asked for one job, as JSON.
    target       text    not null check (length(target) >= 2),
    -- The ids of the jobs as ranges, such as 1-5,9; and the hash of that set with its effects.
    jobs         text    not null,
    set_hash     text    not null check (length(set_hash) = 64),
    -- 1: the set was shown, and the request is refused if it has changed. 0: whatever matches.
    is_bound     integer not null check (is_bound in (0, 1)),
    job_count    integer not null check (job_count >= 0),
    -- How many of them may be paid for, and the estimate for those.
    paid_count   integer not null check (paid_count between 0 and job_count),
    credits      real    not null check (credits >= 0),
    requester    text    not null check (length(requester) between 1 and 300),
    reason       text    check (length(reason) between 1 and 2000),
    -- Sent with the request, so that the same one sent twice is one request.
    token        text    unique check (length(token) between 1 and 100),
    requested_at integer not null,
    -- It is not carried out after this time.
    expires_at   integer not null,
    -- The run that carried it out.
    run_id       integer references run (id),
    done_at      integer,
    outcome      text    check (outcome in ('done', 'refused', 'failed', 'expired')),
    words        text,
    constraint done_whole check (
        (done_at is null) = (outcome is null) and (done_at is null) = (words is null))
) strict;
create index operator_request_batch on operator_request (batch_id, id);
create index operator_request_open on operator_request (batch_id, id) where done_at is null;

-- The request that an event of a job belongs to.
alter table event add column request_id integer references operator_request (id);
