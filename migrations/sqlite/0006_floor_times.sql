-- When a retry-after floor was raised: a floor raised in the future was recorded by a clock that was
-- ahead. 0: unknown, from before this column.
alter table floor add column raised_at integer not null default 0;
