-- The audit trail of what is no request to a run: spreadsheets and cells in the console, approvals and the
-- runs that they start, share links, users. Requests to runs are in operator_request, verdicts in
-- review_verdict.
create table audit_entry (
    id         integer primary key,
    -- The batch's name, not its id: the ledger does not know a batch before its first run.
    batch      text    check (length(batch) >= 1),
    -- The row's key, where it is about one row.
    key        text    check (length(key) >= 1),
    action     text    not null check (action in ('create-batch', 'replace-sheet', 'set-columns', 'edit',
        'approve-plan', 'start', 'withdraw', 'create-share-link', 'revoke-share-link', 'add-user',
        'remove-user', 'set-password')),
    -- What it was about, in a few words: the summary of a plan, the text of a cell, a user's name.
    subject    text    not null check (length(subject) between 1 and 2000),
    -- The hash of the plan or of the sheet that it was about.
    hash       text    check (length(hash) between 1 and 64),
    -- What was approved, in credits.
    credits    real    check (credits >= 0),
    requester  text    not null check (length(requester) between 1 and 300),
    reason     text    check (length(reason) between 1 and 2000),
    at         integer not null,
    -- The run that began.
    run_id     integer references run (id),
    done_at    integer,
    outcome    text    check (outcome in ('done', 'refused', 'failed', 'expired')),
    words      text,
    constraint done_whole check ((done_at is null) = (outcome is null))
) strict;
create index audit_entry_batch on audit_entry (batch, id);
