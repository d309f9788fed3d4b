-- Verdicts on videos, links for reviewers without an account, the sample gate, and the handing over of
-- finished videos to the user's command. None of them changes the state of a job: a rejected video is
-- paid for all the same.

-- A link through which reviewers without an account see one batch or some of its videos.
create table share_link (
    id         integer primary key,
    batch_id   integer not null references batch (id),
    -- The token itself is shown once, and stored nowhere.
    token_hash text    not null unique check (length(token_hash) = 64),
    label      text    not null check (length(label) between 1 and 100),
    -- The keys of the videos that it shows, as a JSON list; all of the batch without one.
    keys       text    check (json_valid(keys)),
    created_by text    not null check (length(created_by) >= 1),
    created_at integer not null,
    expires_at integer not null check (expires_at > created_at),
    revoked_at integer
) strict;
create index share_link_batch on share_link (batch_id);

-- Every verdict ever given. The last one on a job's current version and its very bytes counts; a new
-- version or new bytes have none.
create table review_verdict (
    id         integer primary key,
    batch_id   integer not null references batch (id),
    job_id     integer not null references job (id),
    version    integer not null check (version >= 1),
    video_hash text    not null check (length(video_hash) >= 1),
    verdict    text    not null,
    reason     text    check (length(reason) >= 1),
    reviewer   text    not null check (length(reviewer) >= 1),
    origin     text    not null,
    share_id   integer references share_link (id),
    at         integer not null,
    constraint known_verdict check (verdict in ('approved', 'rejected', 'changes', 'withdrawn')),
    constraint known_origin check (origin in ('cli', 'console', 'share')),
    constraint reason_of_objection check (
        verdict not in ('rejected', 'changes') or reason is not null),
    constraint link_of_share check ((share_id is not null) = (origin = 'share'))
) strict;
create index review_verdict_job on review_verdict (job_id, id);
create index review_verdict_batch on review_verdict (batch_id);
create index review_verdict_share on review_verdict (share_id) where share_id is not null;

-- What the approval of a batch's sample is bound to: a digest of the template and of the settings that
-- are sent with a payload. Another one begins a new sample.
create table sample_gate (
    batch_id integer not null primary key references batch (id),
    basis    text    not null check (length(basis) = 64),
    since    integer not null
) strict, without rowid;

-- The jobs that were submitted while the gate was closed, with their version then: another version is
-- another payload, which was not approved.
create table sample_video (
    batch_id integer not null references batch (id),
    job_id   integer not null references job (id),
    version  integer not null check (version >= 1),
    primary key (batch_id, job_id, version)
) strict, without rowid;

-- A finished video that was handed to the command of `[on_done]`, or is to be handed to it again.
create table delivery (
    job_id     integer not null references job (id),
    version    integer not null check (version >= 1),
    video_hash text    not null check (length(video_hash) >= 1),
    state      text    not null,
    attempts   integer not null check (attempts >= 1),
    -- When it is tried again.
    due_at     integer not null,
    -- When the last attempt ended, and why it failed.
    at         integer not null,
    failure    text,
    primary key (job_id, version, video_hash),
    constraint known_delivery check (state in ('done', 'failed')),
    constraint failure_by_state check ((failure is not null) = (state = 'failed'))
) strict, without rowid;
