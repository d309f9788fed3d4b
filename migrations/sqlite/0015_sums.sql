-- Sums that pages and metrics show, kept by triggers, so that none of them reads every job.

-- The paid requests of a run in each ten minutes, counted as for the caps: sent, and not proven to be
-- unsent or declined.
create table spending (
    run_id           integer not null references run (id),
    -- Tens of minutes since 1970.
    span             integer not null,
    requests         integer not null,
    -- Their started minutes of speech, and of those the ones without a reported cost.
    minutes          integer not null,
    unpriced_minutes integer not null,
    -- The requests with a reported cost, and that cost.
    priced           integer not null,
    credits          real    not null,
    primary key (run_id, span)
) strict, without rowid;
create index spending_span on spending (span);

-- How long renders took, in seconds, from the paid request to the report that they are finished.
create table render_time (
    seconds integer not null primary key,
    renders integer not null
) strict, without rowid;

-- The rows that need the user, by cause, in the order of the sheet.
create index job_cause on job (batch_id, in_sheet, state, cause, position) where cause is not null;
create index row_without_job_why on row_without_job (batch_id, why, position);

insert into spending (run_id, span, requests, minutes, unpriced_minutes, priced, credits)
    select run_id, paid_at / 600000, count(*), sum(minutes),
        sum(case when coalesce(credits, 0) = 0 then minutes else 0 end), count(credits),
        coalesce(sum(credits), 0.0)
    from (select s.run_id, s.paid_at, s.credits, max(1, (v.spoken_ms + 59999) / 60000) as minutes
        from submission s join version v on v.job_id = s.job_id and v.version = s.version
        where s.paid_at is not null and s.outcome in
            ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')) paid
    group by 1, 2;
insert into render_time (seconds, renders)
    select (settled_at - paid_at + 999) / 1000, count(*) from submission
    where outcome = 'rendered' and settled_at >= paid_at group by 1;

create trigger spending_begins after insert on submission
when new.paid_at is not null and new.outcome in
    ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')
begin
    insert into spending (run_id, span, requests, minutes, unpriced_minutes, priced, credits)
        select new.run_id, new.paid_at / 600000, 1, minutes,
            case when coalesce(new.credits, 0) = 0 then minutes else 0 end,
            new.credits is not null, coalesce(new.credits, 0.0)
        from (select max(1, (spoken_ms + 59999) / 60000) as minutes from version
            where job_id = new.job_id and version = new.version) spoken
        where true
        on conflict (run_id, span) do update set requests = requests + 1,
            minutes = minutes + excluded.minutes,
            unpriced_minutes = unpriced_minutes + excluded.unpriced_minutes,
            priced = priced + excluded.priced, credits = credits + excluded.credits;
end;

-- What the request counted before is taken away, and what it counts now is added.
create trigger spending_changes after update of outcome, paid_at, credits, run_id on submission
when old.paid_at is not new.paid_at or old.credits is not new.credits or old.run_id <> new.run_id
    or (old.outcome in ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned'))
    <> (new.outcome in ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned'))
begin
    update spending set requests = requests - 1, minutes = spending.minutes - spoken.minutes,
        unpriced_minutes = unpriced_minutes
            - case when coalesce(old.credits, 0) = 0 then spoken.minutes else 0 end,
        priced = priced - (old.credits is not null),
        credits = spending.credits - coalesce(old.credits, 0.0)
        from (select max(1, (spoken_ms + 59999) / 60000) as minutes from version
            where job_id = old.job_id and version = old.version) spoken
        where run_id = old.run_id and span = old.paid_at / 600000 and old.outcome in
            ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned');
    insert into spending (run_id, span, requests, minutes, unpriced_minutes, priced, credits)
        select new.run_id, new.paid_at / 600000, 1, minutes,
            case when coalesce(new.credits, 0) = 0 then minutes else 0 end,
            new.credits is not null, coalesce(new.credits, 0.0)
        from (select max(1, (spoken_ms + 59999) / 60000) as minutes from version
            where job_id = new.job_id and version = new.version) spoken
        where new.paid_at is not null and new.outcome in
            ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')
        on conflict (run_id, span) do update set requests = requests + 1,
            minutes = minutes + excluded.minutes,
            unpriced_minutes = unpriced_minutes + excluded.unpriced_minutes,
            priced = priced + excluded.priced, credits = credits + excluded.credits;
end;

create trigger render_time_begins after insert on submission
when new.outcome = 'rendered' and new.settled_at >= new.paid_at
begin
    insert into render_time (seconds, renders)
        values ((new.settled_at - new.paid_at + 999) / 1000, 1)
        on conflict (seconds) do update set renders = renders + 1;
end;

create trigger render_time_grows after update of outcome on submission
when old.outcome <> new.outcome and (new.outcome = 'rendered' or old.outcome = 'rendered')
begin
    update render_time set renders = renders - 1
        where old.outcome = 'rendered' and seconds = (old.settled_at - old.paid_at + 999) / 1000
            and old.settled_at >= old.paid_at;
    insert into render_time (seconds, renders)
        select (new.settled_at - new.paid_at + 999) / 1000, 1
        where new.outcome = 'rendered' and new.settled_at >= new.paid_at
        on conflict (seconds) do update set renders = renders + 1;
end;
