-- The checked payload of each version: stored when its plan is committed, and sent as it is.

-- The first payload of a plan. The others made from its template differ from it in a few texts, so
-- they are compressed with it as dictionary. Kept as long as the ledger, as templates are.
create table payload_dictionary (
    id            integer primary key,
    template_hash text not null references template (hash),
    payload       text not null
) strict;
create index payload_dictionary_template on payload_dictionary (template_hash);

-- One zstd frame with a checksum; null in a version that was planned before payloads were stored.
alter table version add column payload blob;
alter table version add column dictionary_id integer references payload_dictionary (id)
    check ((payload is null) = (dictionary_id is null));

-- 0 until the payloads of a batch that was planned before are made from its stored cells.
alter table batch add column payloads_stored integer not null default 0
    check (payloads_stored in (0, 1));
