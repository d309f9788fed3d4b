//! Where a ledger was moved to: recorded in the ledger itself, so that no run uses two of them.
//!
//! The source is `moving` until the target is complete, and `moved` from then on; the target is
//! `arriving` until the source says so. In each of these states the ledger opens for the copy alone.
//! Invariant: at no time can runs begin on both.

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr};

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;

static READ_MOVE: Statement = Statement::new(
    "-- ledger::move, read
    select state, address from ledger_move where only_row = 1",
);

static SET_MOVE: Statement = Statement::new(
    "-- ledger::move, set
    insert into ledger_move (only_row, state, address, at) values (1, $1, $2, $3)
    on conflict (only_row) do update set state = excluded.state, address = excluded.address,
        at = excluded.at",
);

static CLEAR_MOVE: Statement = Statement::new(
    "-- ledger::move, clear
    delete from ledger_move where only_row = 1",
);

/// How far the move of a ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum MoveState {
    /// It is being copied to the address.
    Moving,
    /// The ledger at the address has replaced it.
    Moved,
    /// It is complete, and the ledger at the address may not know that yet.
    Arriving,
}

/// Returns the state of a move and the other address, if there is one.
pub(in crate::ledger) async fn read_move(
    db: &mut StoreConnection,
) -> Result<Option<(MoveState, String)>, LedgerError> {
    let found: Option<(String, String)> = db.fetch_optional(&READ_MOVE, binds![]).await?;
    let Some((state, address)) = found else { return Ok(None) };
    let corrupt = |_| LedgerError::Corrupt("the state of its move".to_owned());
    Ok(Some((state.parse().map_err(corrupt)?, address)))
}

/// Rejects a ledger that was moved, or is being moved.
pub(in crate::ledger) async fn ensure_not_moved(
    db: &mut StoreConnection,
    from: &str,
) -> Result<(), LedgerError> {
    let from = from.to_owned();
    match read_move(db).await? {
        None => Ok(()),
        Some((MoveState::Moved, to)) => Err(LedgerError::Moved { from, to, is_complete: true }),
        Some((MoveState::Moving, to)) => Err(LedgerError::Moved { from, to, is_complete: false }),
        Some((MoveState::Arriving, source)) => {
            Err(LedgerError::Moved { from: source, to: from, is_complete: false })
        }
    }
}

/// Records the state of a move.
pub(in crate::ledger) async fn write_move(
    db: &mut StoreConnection,
    state: MoveState,
    address: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let state: &'static str = state.into();
    db.execute(&SET_MOVE, binds![state, address, now]).await.map(drop)
}

struct SetMove {
    state: MoveState,
    address: String,
    now: Timestamp,
}

impl WriteOp for SetMove {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        Ok(write_move(db, self.state, &self.address, self.now).await?)
    }
}

struct ClearMove;

impl WriteOp for ClearMove {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&CLEAR_MOVE, binds![]).await?;
        Ok(())
    }
}

impl Ledger {
    /// Returns how far a move of this ledger is, and the other address.
    pub async fn move_state(&self) -> Result<Option<(MoveState, String)>, LedgerError> {
        let mut db = self.readers.acquire().await?;
        read_move(&mut db).await
    }

    /// Records how far its move is.
    pub async fn set_move_state(
        &self,
        state: MoveState,
        address: String,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.writer.execute(SetMove { state, address, now }).await
    }

    /// Records that it may be used: its source knows that it was moved here.
    pub async fn clear_move_state(&self) -> Result<(), LedgerError> {
        self.writer.execute(ClearMove).await
    }
}
