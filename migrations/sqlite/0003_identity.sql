-- The identity of this ledger. The output folder of every batch remembers it, so that a run with
-- another ledger, or with an older copy of this one, is noticed before anything is paid for again.
create table identity (
    only_row   integer primary key check (only_row = 1),
    id         text    not null check (length(id) = 16),
    -- Known to this ledger and its copies alone; tags are derived from it.
    tag_secret blob    not null check (length(tag_secret) = 16),
    -- Grows with every draft and every paid intent; a copy made before is behind.
    generation integer not null check (generation >= 0)
) strict;

insert into identity (only_row, id, tag_secret, generation)
    values (1, lower(hex(randomblob(8))), randomblob(16), (select count(*) from submission));

create trigger generation_grows after insert on submission
begin
    update identity set generation = generation + 1 where only_row = 1;
end;

create trigger generation_grows_when_paid after update of paid_at on submission
when new.paid_at is not null and new.paid_at is not old.paid_at
begin
    update identity set generation = generation + 1 where only_row = 1;
end;
