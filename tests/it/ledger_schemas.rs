//! The schemas of both stores hold the same tables, columns, indexes, keys, checks and transitions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use callsheet::ledger::{Durability, Ledger};
use sqlx::ConnectOptions;
use sqlx_sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::postgres_server::TestDatabase;

/// The tables that only a server needs: the lease row, the commit marker, and the server's identity.
const OF_A_SERVER: [&str; 3] = ["batch_lease", "commit_marker", "ledger_server"];

/// Keys that a server checks once for a statement, by a trigger, and not for each row of a plan.
const CHECKED_BY_TRIGGER: [&str; 8] = [
    "job|batch_id|batch",
    "version|job_id|job",
    "version|layout_id|layout",
    "version|template_hash|template",
    "version|dictionary_id|payload_dictionary",
    "job|job_has_batch",
    "version|version_has_parents",
    "version|changed_version_has_parents",
];

/// The two queries must return the same rows, as `text`.
struct SchemaAspect {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const ASPECTS: [SchemaAspect; 6] = [
    SchemaAspect {
        name: "columns: table, name, type, whether it must be set, whether it is generated",
        sqlite: "select t.name || '|' || c.name || '|' || lower(c.type) || '|' ||
                case when c.\"notnull\" = 1 or c.pk > 0 then 'set' else '' end || '|' ||
                case when c.hidden in (2, 3) then 'generated' else '' end
            from sqlite_schema t, pragma_table_xinfo(t.name) c
            where t.type = 'table' and t.name not like 'sqlite%' and t.name <> '_sqlx_migrations'",
        postgres: "select table_name || '|' || column_name || '|' ||
                case data_type when 'bigint' then 'integer' when 'boolean' then 'integer'
                    when 'double precision' then 'real' when 'bytea' then 'blob' else data_type end || '|' ||
                case when is_nullable = 'NO' then 'set' else '' end || '|' ||
                case when is_generated = 'ALWAYS' then 'generated' else '' end
            from information_schema.columns where table_schema = 'public'",
    },
    SchemaAspect {
        name: "unique indexes and primary keys: table, columns, whether it is partial",
        sqlite: "select t.name || '|' || (select group_concat(i.name, ',') from
                    (select name from pragma_index_info(l.name) order by seqno) i) || '|' || l.partial
            from sqlite_schema t, pragma_index_list(t.name) l
            where t.type = 'table' and l.\"unique\" = 1 and t.name <> '_sqlx_migrations'
            union select t.name || '|' || c.name || '|0' from sqlite_schema t, pragma_table_xinfo(t.name) c
            where t.type = 'table' and t.name <> '_sqlx_migrations' and c.pk = 1 and not exists (
                select 1 from pragma_index_list(t.name) where origin = 'pk')",
        postgres: "select i.indrelid::regclass || '|' || (select string_agg(
                    regexp_replace(replace(pg_get_indexdef(i.indexrelid, k, true), chr(34), ''), 'md5\\((.*)\\)', '\\1'), ',' order by k)
                    from generate_series(1, i.indnatts) k) || '|' || case when i.indpred is null then 0 else 1 end
            from pg_index i where i.indisunique and i.indrelid::regclass::text not like 'pg_%'
                and i.indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)",
    },
    SchemaAspect {
        name: "other indexes: name, table, columns, whether it is partial",
        sqlite: "select l.name || '|' || t.name || '|' || (select group_concat(i.name, ',') from
                    (select name from pragma_index_info(l.name) order by seqno) i) || '|' || l.partial
            from sqlite_schema t, pragma_index_list(t.name) l
            where t.type = 'table' and l.\"unique\" = 0",
        postgres: "select i.indexrelid::regclass || '|' || i.indrelid::regclass || '|' || (select string_agg(
                    replace(pg_get_indexdef(i.indexrelid, k, true), chr(34), ''), ',' order by k)
                    from generate_series(1, i.indnatts) k) || '|' || case when i.indpred is null then 0 else 1 end
            from pg_index i where not i.indisunique
                and i.indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)",
    },
    SchemaAspect {
        name: "foreign keys: table, column, table",
        sqlite: "select t.name || '|' || f.\"from\" || '|' || f.\"table\"
            from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table'",
        postgres: "select c.conrelid::regclass || '|' || a.attname || '|' || c.confrelid::regclass
            from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
            where c.contype = 'f'",
    },
    SchemaAspect {
        name: "triggers: table, name",
        sqlite: "select tbl_name || '|' || name from sqlite_schema where type = 'trigger'",
        postgres: "select tgrelid::regclass || '|' || tgname from pg_trigger where not tgisinternal",
    },
    SchemaAspect {
        name: "defaults: table, column",
        sqlite: "select t.name || '|' || c.name from sqlite_schema t, pragma_table_xinfo(t.name) c
            where t.type = 'table' and c.dflt_value is not null and t.name <> '_sqlx_migrations'",
        postgres: "select table_name || '|' || column_name from information_schema.columns
            where table_schema = 'public' and column_default is not null and is_generated = 'NEVER'",
    },
];

/// The definitions of checks, partial indexes and triggers, whose texts differ between the stores: compared
/// by the words that they quote (states, outcomes, transitions) and the names of the constraints.
const DEFINITIONS: SchemaAspect = SchemaAspect {
    name: "quoted words",
    sqlite: "select tbl_name || '|' || sql from sqlite_schema where sql is not null and type <> 'view'",
    postgres: "select conrelid::regclass || '|constraint ' || conname || ' ' || replace(pg_get_constraintdef(oid), chr(10), ' ')
            from pg_constraint where conrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
        union all select tgrelid::regclass || '|' || replace(pg_get_triggerdef(t.oid) || f.prosrc, chr(10), ' ')
            from pg_trigger t join pg_proc f on f.oid = tgfoid where not tgisinternal
        union all select table_name || '|' || coalesce(column_default, '') || coalesce(replace(generation_expression, chr(10), ' '), '')
            from information_schema.columns where table_schema = 'public'",
};

async fn open_sqlite(dir: &Path) -> SqliteConnection {
    let file = dir.join("l.db");
    Ledger::open(&file, Durability::ProcessDeath).await.unwrap().close().await;
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// Returns a database with the schema of a server ledger; `None` where PostgreSQL is not installed.
fn create_postgres() -> Option<TestDatabase> {
    let database = TestDatabase::create()?;
    let mut files: Vec<_> =
        fs::read_dir("migrations/postgres").unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        database.query(&fs::read_to_string(file).unwrap());
    }
    Some(database)
}

fn of_both_stores(rows: Vec<String>) -> BTreeSet<String> {
    let is_of_server = |row: &String| {
        OF_A_SERVER.iter().any(|table| row.split('|').any(|field| field == *table))
            || CHECKED_BY_TRIGGER.contains(&row.as_str())
    };
    rows.into_iter().filter(|row| !is_of_server(row)).collect()
}

async fn query_sqlite(db: &mut SqliteConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(db).await.unwrap()
}

#[tokio::test]
async fn both_stores_have_the_same_schema() {
    let dir = tempfile::tempdir().unwrap();
    let mut sqlite = open_sqlite(dir.path()).await;
    let Some(postgres) = create_postgres() else { return };
    for aspect in ASPECTS {
        let in_sqlite = of_both_stores(query_sqlite(&mut sqlite, aspect.sqlite).await);
        let in_postgres = of_both_stores(postgres.query(aspect.postgres));
        let only_sqlite: Vec<_> = in_sqlite.difference(&in_postgres).collect();
        let only_postgres: Vec<_> = in_postgres.difference(&in_sqlite).collect();
        assert!(!in_sqlite.is_empty(), "{}", aspect.name);
        assert!(
            only_sqlite.is_empty() && only_postgres.is_empty(),
            "{}\nonly SQLite: {only_sqlite:#?}\nonly PostgreSQL: {only_postgres:#?}",
            aspect.name
        );
    }
}

/// Returns the quoted words of each table's definitions, and the names of its constraints.
fn quoted_words(definitions: Vec<String>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for definition in of_both_stores(definitions) {
        let (table, text) = definition.split_once('|').unwrap();
        let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
        let text = lines.collect::<Vec<_>>().join(" ");
        let is_word = |word: &&str| {
            word.len() > 1 && word.chars().all(|c| matches!(c, 'a'..='z' | '-' | '>'))
        };
        words.extend(
            text.split('\'')
                .skip(1)
                .step_by(2)
                .filter(is_word)
                .map(|word| format!("{table}|{word}")),
        );
        let names: Vec<_> = text.split_whitespace().collect();
        let is_given = |name: &str| {
            let name = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
            !["_check", "_pkey", "_fkey", "_key"].iter().any(|end| name.ends_with(end))
        };
        words.extend(
            names
                .windows(2)
                .filter(|pair| pair[0] == "constraint" && is_given(pair[1]))
                .map(|pair| format!("{table}|constraint {}", pair[1])),
        );
    }
    words
}

#[tokio::test]
async fn checks_and_transitions_of_both_stores_name_the_same_states() {
    let dir = tempfile::tempdir().unwrap();
    let mut sqlite = open_sqlite(dir.path()).await;
    let Some(postgres) = create_postgres() else { return };
    let in_sqlite = quoted_words(query_sqlite(&mut sqlite, DEFINITIONS.sqlite).await);
    let in_postgres = quoted_words(postgres.query(DEFINITIONS.postgres));
    assert!(in_sqlite.contains("job|done>fetching"), "the transitions are read");
    assert!(in_sqlite.contains("submission|render-failed"), "the outcomes are read");
    let only_sqlite: Vec<_> = in_sqlite.difference(&in_postgres).collect();
    let only_postgres: Vec<_> = in_postgres.difference(&in_sqlite).collect();
    assert!(
        only_sqlite.is_empty() && only_postgres.is_empty(),
        "only SQLite: {only_sqlite:#?}\nonly PostgreSQL: {only_postgres:#?}"
    );
}

#[test]
fn server_takes_no_row_without_its_parents() {
    let Some(postgres) = create_postgres() else { return };
    postgres.query(
        "insert into template values (repeat('t', 64), '{}');
        insert into layout (headings, columns) values ('[]', '[]');
        insert into batch (name, file, source, base_url, tool) values ('b', 'b', 's', 'u', 't');
        insert into job (batch_id, key, position, row_number) values (1, 'k', 0, 2);
        insert into version (job_id, version, cells, layout_id, template_hash, payload_hash, file_name,
            spoken_ms, planned_at) values (1, 1, '[]', 1, repeat('t', 64), repeat('p', 32), 'f', 0, 0)",
    );
    for change in [
        "insert into job (batch_id, key, position, row_number) values (9, 'l', 1, 3)",
        "update version set layout_id = 9",
        "insert into version select 9, 1, cells, layout_id, template_hash, payload_hash, request, subject,
            file_name, spoken_ms, planned_at from version",
        "update version set template_hash = repeat('x', 64)",
        "update version set payload = '', dictionary_id = 9",
        "insert into version select 1, 2, cells, 9, template_hash, payload_hash, request, subject,
            file_name, spoken_ms, planned_at from version",
    ] {
        let result = postgres.query(&format!(
            "create or replace function attempt() returns text language plpgsql as $$
            begin {change}; return 'taken';
            exception when foreign_key_violation then return 'refused'; end $$;
            select attempt()"
        ));
        assert_eq!(result, ["refused"], "{change}");
    }
}

#[test]
fn texts_of_a_server_ledger_are_ordered_by_their_bytes() {
    let Some(postgres) = create_postgres() else { return };
    let others = postgres.query(
        "select attrelid::regclass || '.' || attname from pg_attribute
         where attcollation not in (0, (select oid from pg_collation where collname = 'C'))
             and attrelid in (select oid from pg_class
                 where relkind = 'r' and relnamespace = 'public'::regnamespace)",
    );
    assert_eq!(others, Vec::<String>::new());
}
