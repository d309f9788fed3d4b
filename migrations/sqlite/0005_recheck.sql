-- A paid request that AI Studios declined, and a render that was given up, are checked before
-- anything is paid again. A tag has a second part, which only this ledger can compute.

-- Why a submission that is uncertain is checked: AI Studios declined it for good, declined it for
-- now, did not know its draft, or the job was retried. Null: its response was lost.
alter table submission add column recheck text
    check (recheck in ('declined', 'postponed', 'not-found', 'retried'));
alter table submission add column recheck_since integer
    check ((recheck_since is null) = (recheck is null));
-- What AI Studios reported when it declined the request.
alter table submission add column decline text;
-- The second part of the tag. Null: the tag has only one.
alter table submission add column seal text check (length(seal) = 13);
