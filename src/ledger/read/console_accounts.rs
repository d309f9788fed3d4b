//! Users of the console and their sessions. Reads only.
//!
//! What a session may do is its user's role at the moment of the request, so a removed user is
//! signed out at once.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::model::console_role::ConsoleRole;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;

/// A user of the console.
#[derive(Clone, Debug, FromRow)]
pub struct ConsoleUser {
    /// The name that is typed to sign in.
    pub name: String,
    /// What the user may do.
    pub role: ConsoleRole,
    /// The Argon2id hash of the password, with its parameters and salt.
    pub password_hash: String,
    /// When the user was added.
    #[sqlx(try_from = "StoredTime")]
    pub created_at: Timestamp,
}

/// A browser that is signed in.
#[derive(Clone, Debug, FromRow)]
pub struct ConsoleSession {
    /// The hash of the secret in its cookie.
    pub token_hash: String,
    /// The user; `None` if it signed in with the link that the console printed.
    pub user_name: Option<String>,
    /// The user's role now; that of an operator for the link.
    pub role: ConsoleRole,
    /// When it signed in.
    #[sqlx(try_from = "StoredTime")]
    pub created_at: Timestamp,
    /// Its last request, to a few minutes.
    #[sqlx(try_from = "StoredTime")]
    pub used_at: Timestamp,
    /// How the browser calls itself.
    pub browser: String,
}

static USERS: Statement = Statement::new(
    "-- ledger::console_users
    select name, role, password_hash, created_at from console_user order by name",
);

static USER: Statement = Statement::new(
    "-- ledger::console_user
    select name, role, password_hash, created_at from console_user where name = $1",
);

static SESSION: Statement = Statement::new(
    "-- ledger::console_session
    select s.token_hash, s.user_name, coalesce(u.role, 'operator') as role,
        s.created_at, s.used_at, s.browser
    from console_session s left join console_user u on u.name = s.user_name
    where s.token_hash = $1",
);

static SESSIONS: Statement = Statement::new(
    "-- ledger::console_sessions
    select s.token_hash, s.user_name, coalesce(u.role, 'operator') as role,
        s.created_at, s.used_at, s.browser
    from console_session s left join console_user u on u.name = s.user_name
    order by s.used_at desc",
);

impl Ledger {
    /// Returns the users of the console by name.
    pub async fn console_users(&self) -> Result<Vec<ConsoleUser>, LedgerError> {
        Ok(self.readers.fetch_all(&USERS, Vec::new()).await?)
    }

    /// Returns a user of the console.
    pub async fn console_user(&self, name: &str) -> Result<Option<ConsoleUser>, LedgerError> {
        Ok(self.readers.fetch_optional(&USER, binds![name]).await?)
    }

    /// Returns the session with this hash of its secret.
    pub async fn console_session(
        &self,
        token_hash: &str,
    ) -> Result<Option<ConsoleSession>, LedgerError> {
        Ok(self.readers.fetch_optional(&SESSION, binds![token_hash]).await?)
    }

    /// Returns every session, the most recently used first.
    pub async fn console_sessions(&self) -> Result<Vec<ConsoleSession>, LedgerError> {
        Ok(self.readers.fetch_all(&SESSIONS, Vec::new()).await?)
    }
}
