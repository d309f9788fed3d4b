//! Servers that cannot hold a ledger: the message says why and what to do, without a password.

use callsheet::ledger::{Durability, Ledger};

use super::server_address;
use crate::support::postgres_server::TestDatabase;

/// A server, how it is changed first, and what the message says.
struct UnfitServer {
    change: &'static str,
    user: &'static str,
    more: &'static str,
    message: &'static str,
}

const UNFIT: [UnfitServer; 6] = [
    UnfitServer {
        change: "select 1",
        user: "callsheet",
        more: "&dbname=missing",
        message: "its server has no such database",
    },
    UnfitServer {
        change: "create schema other; create table other.t (id bigint)",
        user: "callsheet",
        more: "&schema=other",
        message: "the tables of another program: choose another one with ?schema=NAME",
    },
    UnfitServer {
        change: "create schema newer; create table newer._sqlx_migrations
            (version bigint, description text, installed_on timestamptz, success boolean,
             checksum bytea, execution_time bigint);
            insert into newer._sqlx_migrations values (9999, '', now(), true, '', 0)",
        user: "callsheet",
        more: "&schema=newer",
        message: "a newer callsheet wrote it (its format is 9999",
    },
    UnfitServer {
        change: "do $$ begin create role reader login; exception when others then null; end $$",
        user: "reader",
        more: "&schema=unseen",
        message: "does not permit that",
    },
    UnfitServer {
        change: "do $$ begin create role full login connection limit 0;
            exception when others then null; end $$",
        user: "full",
        more: "",
        message: "has no free connection",
    },
    UnfitServer {
        change:
            "do $$ begin execute format(
            'alter database %I set default_transaction_read_only = on', current_database()); end $$",
        user: "callsheet",
        more: "",
        message: "its server only reads: use the address of the primary server",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn server_that_cannot_hold_a_ledger_is_rejected_with_the_reason() {
    for UnfitServer { change, user, more, message } in UNFIT {
        let Some(database) = TestDatabase::create() else { return };
        database.query(change);
        let url = database.url().replace("user=callsheet", &format!("user={user}"));
        let server = server_address(&format!("{url}&password=s3cret{more}"));
        let opened =
            Ledger::open(callsheet::ledger::LedgerAddress::Server(server), Durability::PowerLoss)
                .await;
        let error = opened.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(message), "{message}: {text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
