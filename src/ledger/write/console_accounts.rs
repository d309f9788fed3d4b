//! Users of the console and their sessions: adding, changing, removing.
//!
//! No lease is needed: nothing here touches a batch. Invariant: a changed password and a removed
//! user end every session of that user in the same transaction.

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::model::audit_entry::{AuditAction, AuditSource, NewAuditEntry};
use crate::ledger::read::console_accounts::{ConsoleSession, ConsoleUser};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::audit::insert_entry;
use crate::ledger::write::write_op::WriteOp;

/// A change of users or sessions; its output is whether it found what it changes.
struct ChangeConsoleAccount {
    change: ConsoleAccountChange,
    /// Recorded if the change was made.
    audit: Option<NewAuditEntry>,
}

enum ConsoleAccountChange {
    AddUser(ConsoleUser),
    RemoveUser { name: String },
    SetPassword { name: String, password_hash: String },
    AddSession(ConsoleSession),
    TouchSession { token_hash: String, at: Timestamp },
    EndSession { token_hash: String },
    EndIdleSessions { before: Timestamp },
}

static ADD_USER: Statement = Statement::new(
    "-- ledger::add_console_user
    insert into console_user (name, role, password_hash, created_at) values ($1, $2, $3, $4)
    on conflict (name) do nothing",
);

static REMOVE_USER: Statement = Statement::new(
    "-- ledger::remove_console_user
    delete from console_user where name = $1",
);

static SET_PASSWORD: Statement = Statement::new(
    "-- ledger::set_console_password
    update console_user set password_hash = $2 where name = $1",
);

static END_SESSIONS_OF_USER: Statement = Statement::new(
    "-- ledger::end_sessions_of_console_user
    delete from console_session where user_name = $1",
);

static ADD_SESSION: Statement = Statement::new(
    "-- ledger::add_console_session
    insert into console_session (token_hash, user_name, created_at, used_at, browser)
    values ($1, $2, $3, $4, $5)",
);

static TOUCH_SESSION: Statement = Statement::new(
    "-- ledger::touch_console_session
    update console_session set used_at = $2 where token_hash = $1 and used_at < $2",
);

static END_SESSION: Statement = Statement::new(
    "-- ledger::end_console_session
    delete from console_session where token_hash = $1",
);

static END_IDLE_SESSIONS: Statement = Statement::new(
    "-- ledger::end_idle_console_sessions
    delete from console_session where used_at < $1",
);

impl WriteOp for ChangeConsoleAccount {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let is_changed = self.change.apply(db).await?;
        if is_changed && let Some(entry) = &self.audit {
            insert_entry(db, entry).await?;
        }
        Ok(is_changed)
    }
}

impl ConsoleAccountChange {
    async fn apply(&self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let (statement, values) = match self {
            Self::AddUser(user) => {
                let role = user.role.as_str();
                let values = binds![&user.name, role, &user.password_hash, user.created_at];
                (&ADD_USER, values)
            }
            Self::RemoveUser { name } => (&REMOVE_USER, binds![name]),
            Self::SetPassword { name, password_hash } => {
                db.execute(&END_SESSIONS_OF_USER, binds![name]).await?;
                (&SET_PASSWORD, binds![name, password_hash])
            }
            Self::AddSession(ConsoleSession {
                token_hash,
                user_name,
                created_at,
                used_at,
                browser,
                ..
            }) => {
                let values = binds![token_hash, user_name, *created_at, *used_at, browser];
                (&ADD_SESSION, values)
            }
            Self::TouchSession { token_hash, at } => (&TOUCH_SESSION, binds![token_hash, *at]),
            Self::EndSession { token_hash } => (&END_SESSION, binds![token_hash]),
            Self::EndIdleSessions { before } => (&END_IDLE_SESSIONS, binds![*before]),
        };
        Ok(db.execute(statement, values).await? > 0)
    }
}

impl Ledger {
    /// Adds a user of the console. Returns `false` if the name is taken.
    pub async fn add_console_user(
        &self,
        user: ConsoleUser,
        source: AuditSource,
    ) -> Result<bool, LedgerError> {
        let subject = format!("{} as {}", user.name, user.role.as_str());
        let entry = NewAuditEntry::new(AuditAction::AddUser, subject, source);
        self.change_account(ConsoleAccountChange::AddUser(user), Some(entry)).await
    }

    /// Removes a user and ends their sessions. Returns `false` if there is no such user.
    pub async fn remove_console_user(
        &self,
        name: &str,
        source: AuditSource,
    ) -> Result<bool, LedgerError> {
        let entry = NewAuditEntry::new(AuditAction::RemoveUser, name, source);
        let name = name.to_owned();
        self.change_account(ConsoleAccountChange::RemoveUser { name }, Some(entry)).await
    }

    /// Changes a user's password and ends their sessions. Returns `false` if there is no such user.
    pub async fn set_console_password(
        &self,
        name: &str,
        password_hash: String,
        source: AuditSource,
    ) -> Result<bool, LedgerError> {
        let entry = NewAuditEntry::new(AuditAction::SetPassword, name, source);
        let name = name.to_owned();
        let change = ConsoleAccountChange::SetPassword { name, password_hash };
        self.change_account(change, Some(entry)).await
    }

    /// Adds a session.
    pub async fn add_console_session(&self, session: ConsoleSession) -> Result<(), LedgerError> {
        self.change_account(ConsoleAccountChange::AddSession(session), None).await.map(drop)
    }

    /// Records that a session was used at this time.
    pub async fn touch_console_session(
        &self,
        token_hash: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let token_hash = token_hash.to_owned();
        let change = ConsoleAccountChange::TouchSession { token_hash, at };
        self.change_account(change, None).await.map(drop)
    }

    /// Ends a session. Returns `false` if there is none.
    pub async fn end_console_session(&self, token_hash: &str) -> Result<bool, LedgerError> {
        let token_hash = token_hash.to_owned();
        self.change_account(ConsoleAccountChange::EndSession { token_hash }, None).await
    }

    /// Ends the sessions that were last used before this time.
    pub async fn end_idle_console_sessions(&self, before: Timestamp) -> Result<(), LedgerError> {
        self.change_account(ConsoleAccountChange::EndIdleSessions { before }, None).await.map(drop)
    }

    async fn change_account(
        &self,
        change: ConsoleAccountChange,
        audit: Option<NewAuditEntry>,
    ) -> Result<bool, LedgerError> {
        self.writer.execute(ChangeConsoleAccount { change, audit }).await
    }
}
