-- Why each run ended: its exit code, the kind of cause, and a sentence. All three are null for runs
-- that recorded none: those of earlier versions, and those that were killed.
alter table run add column exit_code integer check (exit_code between 0 and 255);
alter table run add column cause text;
alter table run add column words text;
