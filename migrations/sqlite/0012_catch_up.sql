-- What a ledger may lack, and where it was moved to. Nothing is paid while records may be lacking: the
-- account's projects are compared with the ledger first.

-- Since `last_record_at`, records may be lacking: after a failover, or because this is a restored copy.
create table ledger_gap (
    id             integer primary key,
    reason         text    not null,
    detail         text    not null check (length(detail) >= 1),
    last_record_at integer not null,
    found_at       integer not null,
    closed_at      integer,
    constraint known_gap check (reason in ('failover', 'backup', 'older-copy'))
) strict;

-- The batches that were compared with the projects of their account since.
create table compared_batch (
    gap_id   integer not null references ledger_gap (id),
    batch_id integer not null references batch (id),
    at       integer not null,
    primary key (gap_id, batch_id)
) strict, without rowid;

-- Projects that carry a tag which no submission of this ledger has. Before a job is paid for, its next
-- tags are looked up here.
create table found_project (
    project_id     text    not null primary key check (length(project_id) between 1 and 128),
    tag            text    not null check (length(tag) = 13),
    is_exported    integer not null check (is_exported in (0, 1)),
    last_record_at integer not null,
    found_at       integer not null
) strict, without rowid;
create index found_project_tag on found_project (tag);

-- Whether this ledger is being moved to another address, was moved there, or has come from there.
create table ledger_move (
    only_row integer primary key check (only_row = 1),
    state    text    not null,
    address  text    not null check (length(address) >= 1),
    at       integer not null,
    constraint known_move check (state in ('moving', 'moved', 'arriving'))
) strict;
