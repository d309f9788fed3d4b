-- The transitions of the state machine, with two more: a done job whose file was lost is downloaded or
-- rendered again, and a job that is due again may be checked first.
drop trigger state_follows_its_arrows;

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
    when 'ready>uncertain' then 0
    when 'ready>failed' then 0
    when 'ready>cancelled' then 0
    when 'ready>reused' then 0
    when 'done>ready' then 0
    when 'done>fetching' then 0
    when 'reused>ready' then 0
    when 'reused>fetching' then 0
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
