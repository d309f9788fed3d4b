-- One rate for every process that uses an account through this ledger.

-- The time line of an account's requests of one kind: the time from which on no slot is reserved, and the
-- retry-after floor before which nothing is sent. Microseconds since 1970 UTC; for a server, by its clock.
create table account_rate (
    account      text    not null check (length(account) = 32),
    kind         text    not null check (kind in ('requests', 'submits')),
    next_free_us integer not null,
    floor_us     integer not null default 0,
    primary key (account, kind)
) strict, without rowid;

-- The processes that use it now. The slowest rate among them applies to all.
create table account_member (
    account     text    not null check (length(account) = 32),
    kind        text    not null check (kind in ('requests', 'submits')),
    member      text    not null,
    interval_us integer not null check (interval_us > 0),
    until_us    integer not null,
    primary key (account, kind, member)
) strict, without rowid;
