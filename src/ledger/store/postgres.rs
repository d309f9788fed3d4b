//! A ledger on a PostgreSQL server: connecting, what the server must be like, and its schema.
//!
//! A server that may lose a commit, or that cannot write, is rejected with the reason. No session state
//! is needed after a connection is made, apart from its settings. Invariant: no message contains a
//! password or a text of the library.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{ConnectOptions, Connection};
use sqlx_postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::ledger::error::LedgerError;
use crate::ledger::store::address::ServerAddress;
use crate::ledger::store::open::Durability;
use crate::ledger::store::server_fault::{ServerFault, server_fault};
use crate::ledger::store::server_identity::{SeenTimeline, ServerTimeline};

/// Migrations are applied in one transaction with a lock of its own: that of the library belongs to the
/// session, which a pooler may keep open.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("./migrations/postgres");
    migrations.set_locking(false);
    migrations
});

/// The time for connecting: the library has none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READERS_MAX: u32 = 4;
/// The oldest supported server.
const SERVER_MIN: i64 = 140_000;

const SERVER_STATE: &str = "-- ledger::server, server
    select cast(current_setting('server_version_num') as bigint),
        current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on',
        pg_is_in_recovery() or current_setting('transaction_read_only') = 'on'";

const TABLES_OF_SCHEMA: &str = "-- ledger::server, tables
    select count(*), count(*) filter (where tablename = '_sqlx_migrations')
    from pg_tables where schemaname = $1";

const APPLIED_MIGRATIONS: &str = "-- ledger::server, applied migrations
    select version, checksum from _sqlx_migrations where success order by version";

const LOCK_SCHEMA: &str = "-- ledger::server, lock
    select pg_advisory_xact_lock(hashtextextended('callsheet ' || $1, 0))";

const SCHEMA_EXISTS: &str = "-- ledger::server, schema
    select exists (select 1 from pg_namespace where nspname = $1)";

/// How to connect to a server, and how it is named in messages.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct ServerConnector {
    options: PgConnectOptions,
    schema: String,
    shown: String,
    seen: SeenTimeline,
}

impl ServerConnector {
    /// Returns the connector of an address.
    ///
    /// # Errors
    /// [`LedgerError::OpenServer`] for an address that the library cannot use.
    pub(in crate::ledger) fn new(address: &ServerAddress) -> Result<Self, LedgerError> {
        let shown = address.to_string();
        let options = PgConnectOptions::from_url(&address.connect_url())
            .map_err(|_| open_server_error(&shown, "its address has an invalid part"))?
            .application_name("callsheet")
            .options([
                ("search_path", address.schema()),
                ("plan_cache_mode", "force_generic_plan"),
                ("client_min_messages", "warning"),
            ])
            .disable_statement_logging();
        let options = match address.password() {
            Some(password) => options.password(password),
            None => options,
        };
        Ok(Self {
            options,
            schema: address.schema().to_owned(),
            shown,
            seen: SeenTimeline::default(),
        })
    }

    /// Returns the server's timeline, as the last connection that writes has found it.
    pub(in crate::ledger) fn seen_timeline(&self) -> Option<ServerTimeline> {
        self.seen.get()
    }

    /// Returns the address as messages show it.
    pub(in crate::ledger) fn address_text(&self) -> &str {
        &self.shown
    }

    /// Connects.
    pub(in crate::ledger) async fn connect(&self) -> Result<PgConnection, LedgerError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect()).await {
            Ok(connected) => connected.map_err(|source| self.connect_error(&source)),
            Err(_) => Err(LedgerError::Unavailable {
                reason: format!("no response from `{}` within 10 seconds", self.shown),
            }),
        }
    }

    /// Connects, checks the server, and creates and migrates the tables as needed.
    pub(in crate::ledger) async fn open_writer(&self) -> Result<PgConnection, LedgerError> {
        let mut db = self.connect().await?;
        self.check_server(&mut db).await?;
        if !self.is_up_to_date(&mut db).await? {
            self.bring_up_to_date(&mut db).await?;
        }
        self.seen.check(db, &self.shown).await
    }

    /// Connects again to a ledger that was open. A server that has become a replica is unavailable until
    /// the address leads to the primary again.
    pub(in crate::ledger) async fn open_primary(&self) -> Result<PgConnection, LedgerError> {
        let mut db = self.connect().await?;
        let (_, _, is_read_only): (i64, bool, bool) =
            sqlx::query_as(SERVER_STATE).fetch_one(&mut db).await?;
        match is_read_only {
            false => self.seen.check(db, &self.shown).await,
            true => Err(LedgerError::Unavailable {
                reason: format!("`{}` only reads for now", self.shown),
            }),
        }
    }

    /// Returns the connections that read.
    pub(in crate::ledger) fn open_readers(&self, durability: Durability) -> PgPool {
        let at_once = match durability {
            Durability::PowerLoss => READERS_MAX,
            Durability::ProcessDeath => 1,
        };
        PgPoolOptions::new()
            .max_connections(at_once)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(self.options.clone())
    }

    async fn check_server(&self, db: &mut PgConnection) -> Result<(), LedgerError> {
        let (version, is_durable, is_read_only): (i64, bool, bool) =
            sqlx::query_as(SERVER_STATE).fetch_one(db).await?;
        let reason = if version < SERVER_MIN {
            "its server is older than PostgreSQL 14"
        } else if !is_durable {
            "its server may lose what it has acknowledged: set fsync and full_page_writes to on"
        } else if is_read_only {
            "its server only reads: use the address of the primary server"
        } else {
            return Ok(());
        };
        Err(open_server_error(&self.shown, reason))
    }

    /// Returns whether the schema is a ledger of the newest format.
    async fn is_up_to_date(&self, db: &mut PgConnection) -> Result<bool, LedgerError> {
        let (tables, steps): (i64, i64) =
            sqlx::query_as(TABLES_OF_SCHEMA).bind(&self.schema).fetch_one(&mut *db).await?;
        if tables == 0 {
            return Ok(false);
        }
        if steps == 0 {
            let reason = format!(
                "its schema `{}` holds the tables of another program: choose another one with \
                 ?schema=NAME",
                self.schema
            );
            return Err(open_server_error(&self.shown, &reason));
        }
        let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(APPLIED_MIGRATIONS).fetch_all(db).await?;
        let found = applied.last().map_or(0, |(version, _)| *version);
        let newest = newest_version();
        if found > newest {
            let reason = format!(
                "a newer callsheet wrote it (its format is {found}, this program knows up to \
                 {newest}): use that version"
            );
            return Err(open_server_error(&self.shown, &reason));
        }
        let known = MIGRATIONS.iter().map(|step| (step.version, step.checksum.as_ref()));
        Ok(known.eq(applied.iter().map(|(version, checksum)| (*version, checksum.as_slice()))))
    }

    async fn bring_up_to_date(&self, db: &mut PgConnection) -> Result<(), LedgerError> {
        let mut change = db.begin().await?;
        sqlx::query(LOCK_SCHEMA).bind(&self.schema).execute(&mut *change).await?;
        // Another process may have done it while this one waited.
        if !self.is_up_to_date(&mut change).await? {
            let exists: bool = sqlx::query_scalar(SCHEMA_EXISTS)
                .bind(&self.schema)
                .fetch_one(&mut *change)
                .await?;
            if !exists {
                // A plain name: see `ServerAddress`.
                let create = sqlx::AssertSqlSafe(format!("create schema {}", self.schema));
                sqlx::raw_sql(create).execute(&mut *change).await?;
            }
            MIGRATIONS.run(&mut *change).await.map_err(|source| self.migration_error(source))?;
        }
        Ok(change.commit().await?)
    }

    fn migration_error(&self, source: MigrateError) -> LedgerError {
        tracing::debug!(error = ?source, "migration");
        let failed = |source: sqlx::Error| match LedgerError::from(source) {
            LedgerError::Database { .. } => open_server_error(&self.shown, FORMAT_UNKNOWN),
            known => known,
        };
        match source {
            MigrateError::Execute(source) => failed(source),
            MigrateError::ExecuteMigration(source, _) => failed(source),
            _ => open_server_error(&self.shown, FORMAT_UNKNOWN),
        }
    }

    /// Returns why there is no connection. A refusal is not a server that cannot be reached: waiting
    /// changes nothing.
    fn connect_error(&self, source: &sqlx::Error) -> LedgerError {
        tracing::debug!(error = ?source, "connecting to the ledger");
        let refused = |reason: &str| open_server_error(&self.shown, reason);
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match (code.as_deref(), source) {
            (Some("28P01" | "28000"), _) => refused(
                "the server refused the user or the password: see CALLSHEET_LEDGER, PGPASSWORD and \
                 ~/.pgpass",
            ),
            (Some("3D000"), _) => refused("its server has no such database: create it first"),
            (Some("42501"), _) => refused("the user may not connect to the database"),
            (None, sqlx::Error::Tls(_)) => refused(
                "no secure connection: check the server's certificate, or choose another sslmode",
            ),
            (None, sqlx::Error::Configuration(_)) => refused("its address has an invalid part"),
            (_, source) => LedgerError::Unavailable {
                reason: match server_fault(source) {
                    Some(ServerFault::TooManyConnections) => {
                        format!("`{}` has no free connection", self.shown)
                    }
                    Some(_) | None => format!("`{}` does not accept connections", self.shown),
                },
            },
        }
    }
}

const FORMAT_UNKNOWN: &str = "its format could not be brought up to date; nothing was changed. Use \
                              the version that wrote it, or restore a backup";

fn newest_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn open_server_error(address: &str, reason: &str) -> LedgerError {
    LedgerError::OpenServer { address: address.to_owned(), reason: reason.to_owned() }
}
